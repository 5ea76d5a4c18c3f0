-- URLs of Redis servers: redis://user:password@host:port/db, rediss:// with TLS, unix:/path.

local tonumber = tonumber
local string_match = string.match

local url = require "moonlet.url"

local function refuse(text, reason)
  return nil, ("not a URL of Redis: %s (%s)"):format(text, reason), "EURL"
end

local function database_of(text)
  if not text or text == "" or text == "/" then return 0 end
  local db = tonumber(string_match(text, "^/?(%d+)/?$"))
  return db and db <= 0x7FFFFFFF and db or nil
end

-- The path is taken as it is, as net.connect does.
local function of_path(text)
  local path, query = string_match(text, "^unix:(/[^?]*)%??(.*)$")
  if not path then return refuse(text, "no path") end
  local fields = url.parse_query(query)
  local db = fields and database_of(fields.db)
  if not db then return refuse(text, "no number of a database") end
  return { path = path, db = db, password = fields.password, user = fields.user }
end

-- Returns { host=, port= or path=, user=, password=, db=, is_tls= }; or nil, message, "EURL". The
-- message does not show the password.
return function(text)
  if string_match(text, "^unix:") then return of_path(text) end
  local shown = text:gsub("//[^/@]*@", "//...@")
  local parts, message = url.parse(text)
  if not parts then return refuse(shown, message) end
  local is_tls = parts.scheme == "rediss"
  if not is_tls and parts.scheme ~= "redis" then
    return refuse(shown, "it begins with redis://, rediss:// or unix:")
  end
  local db = database_of(parts.path)
  if not db then return refuse(shown, "no number of a database") end
  local host = parts.host and parts.host ~= "" and url.decode(parts.host) or "127.0.0.1"
  local user = parts.user and parts.user ~= "" and url.decode(parts.user) or nil
  local password = parts.password and url.decode(parts.password) or nil
  return { host = host, port = parts.port or 6379, db = db, is_tls = is_tls, user = user,
    password = password }
end
