--- Proxies of HTTP clients: which one a URL is reached through, and how (HTTP's CONNECT, SOCKS5).
-- For moonlet's own modules.
-- @module moonlet.http.proxy

local os_getenv, tonumber = os.getenv, tonumber
local string_char, string_pack = string.char, string.pack

local url = require "moonlet.url"

local proxy = {}

local SCHEMES = { http = 80, https = 443, socks5 = 1080, socks5h = 1080 }

--- Reads a proxy's URL.
-- @treturn ?table scheme, host, port, user, password; or nil, message, code
function proxy.parse(text)
  if not text:find "^%a[%w+.-]*://" then text = "http://" .. text end
  local u, message, code = url.parse(text)
  if not u then return nil, message, code end
  local port = SCHEMES[u.scheme]
  if not port or not u.host or u.host == "" then
    return nil, ("no proxy is known by '%s://'"):format(u.scheme or ""), "EURL"
  end
  return {
    scheme = u.scheme, host = u.host, port = u.port or port, user = u.user and url.decode(u.user),
    password = u.password and url.decode(u.password),
  }
end

-- The environment does not change while a program runs: each name is asked once.
local variables = {}

local function variable(name)
  local value = variables[name]
  if value == nil then
    value = os_getenv and (os_getenv(name) or (name ~= "http_proxy" and os_getenv(name:upper())))
    value = value and value ~= "" and value or false
    variables[name] = value
  end
  return value or nil
end

-- Whether no_proxy names the host.
local function is_exempt(host, port)
  local list = variable "no_proxy"
  if not list then return false end
  host = host:lower()
  for entry in list:gmatch "[^,%s]+" do
    local name, own_port = entry:match "^(.-):(%d+)$"
    if not name or name:find ":" then name, own_port = entry, nil end
    name = name:gsub("^%*?%.", ""):gsub("[%[%]]", ""):lower()
    if entry == "*" then return true end
    local fits = host == name or host:sub(-#name - 1) == "." .. name
    if fits and (not own_port or tonumber(own_port) == port) then return true end
  end
  return false
end

--- The proxy that the environment names for a URL; nil: none.
function proxy.from_environment(scheme, host, port)
  local text = variable(scheme .. "_proxy") or variable "all_proxy"
  if not text or is_exempt(host, port) then return nil end
  return proxy.parse(text)
end

local REPLIES = {
  "general failure", "connection not allowed", "network unreachable", "host unreachable",
  "connection refused", "TTL expired", "command not supported", "address type not supported",
}

local function fail(stream, message, code)
  stream:close()
  return nil, message, code or "EPROTO"
end

local function login(stream, through)
  local user, password = through.user, through.password or ""
  if not user or #user > 255 or #password > 255 then
    return nil, "the proxy asks for a login", "EACCES"
  end
  local ok, message, code = stream:write("\1", string_pack("s1s1", user, password))
  if not ok then return nil, message, code end
  local reply
  reply, message, code = stream:read_exactly(2)
  if not reply then return nil, message, code end
  if reply:byte(2) ~= 0 then return nil, "the proxy refused the login", "EACCES" end
  return true
end

--- Asks a SOCKS5 proxy, to which the stream is connected, for a connection (RFC 1928, 1929).
-- @treturn boolean true; or nil, message, code, the stream closed
function proxy.socks5(stream, through, host, port)
  if #host > 255 then return fail(stream, "host name too long", "EURL") end
  local methods = through.user and "\0\2" or "\0"
  local ok, message, code = stream:write("\5", string_char(#methods), methods)
  if not ok then return fail(stream, message, code) end
  local reply
  reply, message, code = stream:read_exactly(2)
  if not reply then return fail(stream, message or "the proxy closed the connection", code) end
  if reply == "\5\2" and through.user then
    ok, message, code = login(stream, through)
    if not ok then return fail(stream, message, code) end
  elseif reply ~= "\5\0" then
    return fail(stream, "the proxy offers no way to log in that is known here", "EACCES")
  end
  stream:write("\5\1\0\3", string_pack(">s1I2", host, port))
  reply, message, code = stream:read_exactly(4)
  if not reply then return fail(stream, message or "the proxy closed the connection", code) end
  local version, result, _, kind = reply:byte(1, 4)
  if version ~= 5 then return fail(stream, "bad answer of the proxy") end
  if result ~= 0 then
    code = result == 5 and "ECONNREFUSED" or "EPROTO"
    return fail(stream, "proxy: " .. (REPLIES[result] or "failure"), code)
  end
  local size = kind == 1 and 4 or kind == 4 and 16 or nil
  if kind == 3 then
    local length = stream:read_exactly(1)
    size = length and length:byte()
  end
  if not size or not stream:read_exactly(size + 2) then
    return fail(stream, "bad answer of the proxy")
  end
  return true
end

return proxy
