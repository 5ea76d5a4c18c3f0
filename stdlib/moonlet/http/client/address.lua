--- URLs of http and https, taken apart for a request. For moonlet's own modules.
-- @module moonlet.http.client.address

local tostring, type = tostring, type

local url = require "moonlet.url"

local address = {}

local PORTS = { http = 80, https = 443 }

local function is_good(u)
  return PORTS[(u.scheme or ""):lower()] and u.host and u.host ~= ""
end

local function join_queries(query, more)
  more = type(more) == "string" and more or url.query(more)
  if more == "" then return query end
  return query and query ~= "" and query .. "&" .. more or more
end

local function parse(text, base)
  if base then
    local joined, message, code = url.join(base, text)
    if not joined then return nil, message, code end
    text = joined
  end
  local u, message, code = url.parse(text)
  if not u then return nil, message, code end
  if not is_good(u) then
    local shown = tostring(text):gsub("//[^/@]*@", "//")
    return nil, ("'%s' is no URL of http or https with a host"):format(shown), "EURL"
  end
  return u
end

local function read(text, base, query)
  local u, message, code = parse(text, base)
  if not u then return nil, message, code end
  local parts = {
    scheme = u.scheme:lower(), host = u.host:lower(), port = u.port,
    path = u.path ~= "" and u.path or "/", query = u.query, user = u.user, password = u.password,
  }
  parts.has_port = parts.port ~= nil and parts.port ~= PORTS[parts.scheme]
  parts.port = parts.port or PORTS[parts.scheme]
  if parts.port == 0 then return nil, "a URL's port must not be 0", "EURL" end
  if query then parts.query = join_queries(parts.query, query) end
  local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
  parts.authority = parts.has_port and host .. ":" .. parts.port or host
  parts.target = parts.query and parts.path .. "?" .. parts.query or parts.path
  parts.text = parts.scheme .. "://" .. parts.authority .. parts.target
  return parts
end

-- URLs that were read lately, since programs ask for the same ones again; at most 256.
local known, known_count = {}, 0

--- The parts of a URL, to which callers add what follows from it alone (plan, fields); or nil,
-- message, code.
-- @tparam string text
-- @tparam[opt] string base that it is relative to
-- @tparam[opt] string|table query more of it
function address.parse(text, base, query)
  if base or query then return read(text, base, query) end
  if known[text] then return known[text] end
  local parts, message, code = read(text)
  if not parts then return nil, message, code end
  if #text > 1024 then return parts end
  if known_count >= 256 then known, known_count = {}, 0 end
  known[text], known_count = parts, known_count + 1
  return parts
end

return address
