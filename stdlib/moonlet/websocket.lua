--- WebSockets (RFC 6455), both sides.
-- @module moonlet.websocket

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tostring, type = tostring, type
local math_huge, table_concat = math.huge, table.concat

local argument = require "moonlet.argument"
local core = require "moonlet.websocket.core"
local crypto = require "moonlet.crypto"
local headers = require "moonlet.http.headers"
local net = require "moonlet.net"
local server = require "moonlet.http.server.core"
local task = require "moonlet.task"
local tunnels = require "moonlet.http.client.tunnel"
local urls = require "moonlet.url"

local websocket = {}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local PORTS = { ws = 80, wss = 443 }
local TIMEOUT = 10 -- seconds for connecting and the handshake

local COMMON = {
  max_message = true, max_queue = true, ping_interval = true, compression = true,
  subprotocols = true,
}
local CONNECT = {
  connect = true, tls = true, timeout = true, headers = true, origin = true, client = true,
}
local UPGRADE = { origins = true }
for name in pairs(COMMON) do CONNECT[name], UPGRADE[name] = true, true end

local function accept_key(key)
  return crypto.base64(crypto.digest("sha1", key .. GUID))
end

-- Whether the list in a field holds the token, in any case.
local function has_token(list, token)
  for item in (list or ""):gmatch "[^,]+" do
    if item:match("^%s*(.-)%s*$"):lower() == token then return true end
  end
  return false
end

local function check_names(list, option, pattern)
  if list == nil then return end
  if type(list) ~= "table" then error(("option '%s' must be a list"):format(option), 0) end
  for _, name in ipairs(list) do
    if type(name) ~= "string" or not name:find(pattern) then
      error(("option '%s' has a wrong item"):format(option), 0)
    end
  end
end

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"

local function check_options(opts, position, name, known)
  argument.options(opts, position, name, known)
  core.check(opts)
  if opts.client ~= nil and not tunnels.is_client(opts.client) then
    error("option 'client' must be a client of moonlet.http", 0)
  end
  check_names(opts.subprotocols, "subprotocols", TOKEN)
  check_names(opts.origins, "origins", "^%S+$")
end

-- An object of moonlet.http, or a table of a spec that plays one.
local function is_object(value) return type(value) == "userdata" or type(value) == "table" end

-- ---- the client ----

local function parse(text)
  local u, message, code = urls.parse(text)
  if not u then return nil, message, code end
  local scheme = (u.scheme or ""):lower()
  if not PORTS[scheme] or not u.host or u.host == "" or u.fragment then
    return nil, "no URL of ws or wss with a host and without a fragment", "EURL"
  end
  local host = u.host:lower()
  local port = u.port or PORTS[scheme]
  local shown = host:find(":", 1, true) and "[" .. host .. "]" or host
  local path = u.path ~= "" and u.path or "/"
  return {
    host = host, port = port, is_secure = scheme == "wss",
    authority = port == PORTS[scheme] and shown or shown .. ":" .. port,
    path = path, target = u.query and path .. "?" .. u.query or path,
  }
end

-- A connected stream, with TLS for wss.
local function open_stream(place, opts)
  local tls = place.is_secure and (opts.tls or true) or nil
  if not opts.connect then return net.connect(place.host, place.port, { tls = tls }) end
  local stream, message, code = opts.connect(place.host, place.port)
  if not stream or not tls then return stream, message, code end
  local context = tls
  if tls == true then context = {} end
  if type(context) == "table" then context, message, code = net.tls(context) end
  local ok = context
  if ok then
    local name = type(tls) == "table" and tls.server_name or place.host
    ok, message, code = stream:starttls { context = context, server_name = name }
  end
  if ok then ok, message, code = stream:handshake() end
  if ok then return stream end
  stream:close()
  return nil, message, code
end

local RESERVED = { host = true, upgrade = true, connection = true, origin = true }

-- Fields that the request has over each version of HTTP, one behind the other.
local function each_field(place, opts, add)
  add("Sec-WebSocket-Version", "13")
  if opts.subprotocols and #opts.subprotocols > 0 then
    add("Sec-WebSocket-Protocol", table_concat(opts.subprotocols, ", "))
  end
  local offer = core.offer(opts)
  if offer then add("Sec-WebSocket-Extensions", offer) end
  local given = headers.new(opts.headers)
  if opts.client then tunnels.add_fields(opts.client, place, given) end
  if opts.origin then given.origin = opts.origin end
  for name, value in pairs(given) do
    if name == "origin" or not (RESERVED[name] or name:find "^sec%-websocket%-") then
      add(name, value)
    end
  end
end

local function request(place, opts, key)
  local lines = { "GET " .. place.target .. " HTTP/1.1", "Host: " .. place.authority,
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: " .. key }
  each_field(place, opts, function(name, value) lines[#lines + 1] = name .. ": " .. value end)
  return table_concat(lines, "\r\n") .. "\r\n\r\n"
end

-- The fields of a request over HTTP/2.
local function fields_of(place, opts)
  local fields = headers.new()
  fields.host = place.authority
  each_field(place, opts, function(name, value) fields:add(name, value) end)
  return fields
end

local function contains(list, item)
  for _, one in ipairs(list or {}) do
    if one == item then return true end
  end
  return false
end

-- What is wrong with the answer of HTTP/1.1; nil: nothing.
local function upgrade_problem(status, given, key)
  if status ~= 101 then return ("the server answered %d"):format(status) end
  if not has_token(given.upgrade, "websocket") then return "bad response: no Upgrade: websocket" end
  if not has_token(given.connection, "upgrade") then
    return "bad response: no Connection: Upgrade"
  end
  if given["sec-websocket-accept"] ~= accept_key(key) then
    return "bad response: wrong Sec-WebSocket-Accept"
  end
end

-- What is wrong with what it agrees to; nil: nothing.
local function agreement_problem(given, opts)
  local extensions = given["sec-websocket-extensions"]
  if extensions and not core.offer(opts) then
    return "bad response: an extension nobody asked for"
  end
  if extensions and not core.agrees(opts, extensions) then
    return "bad response: not what was offered in Sec-WebSocket-Extensions"
  end
  local protocol = given["sec-websocket-protocol"]
  if protocol and not contains(opts.subprotocols, protocol) then
    return "bad response: a subprotocol nobody asked for"
  end
end

local function shake(stream, place, opts)
  local key = crypto.base64(crypto.random(16))
  local ok, message, code = stream:write(request(place, opts, key))
  if not ok then return nil, message, code end
  local status, given
  status, given, code = core.response(stream)
  if not status then return nil, given, code end
  message = upgrade_problem(status, given, key) or agreement_problem(given, opts)
  if message then return nil, message, status == 101 and "EPROTO" or "ESTATUS" end
  return given
end

local guard = { __close = function(self)
  if self.stream then self.stream:close() end
end }

-- A stream, and, if it is one of HTTP/2, the headers of the answer; or nil, message, code.
local function reach(place, opts)
  if not opts.client and not tunnels.shared then return open_stream(place, opts) end
  local times = { connect = math_huge, at = math_huge }
  local fields = fields_of(place, opts)
  local status, given, stream, code = tunnels.open(opts.client, place, opts, fields, times)
  if not status then
    if not given and not code and not opts.client then return open_stream(place, opts) end
    if not given then return nil, stream, code end
    return given
  end
  if not stream then return nil, ("the server answered %d"):format(status), "ESTATUS" end
  return stream, given
end

local function dial(place, opts)
  local stream, given, code = reach(place, opts)
  if not stream then return nil, given, code end
  local owner <close> = setmetatable({ stream = stream }, guard)
  local message
  if given then
    message = agreement_problem(given, opts)
    if message then return nil, message, "EPROTO" end
  else
    given, message, code = shake(stream, place, opts)
    if not given then return nil, message, code end
  end
  if opts.client then tunnels.keep_cookies(opts.client, place, given) end
  local ws = core.open(stream, opts, true, given["sec-websocket-extensions"])
  owner.stream = nil
  return ws, given["sec-websocket-protocol"]
end

--- Connects to a WebSocket server. May wait.
-- @tparam string url ws://host[:port]/path, or wss://
-- @tparam[opt] table opts
-- @tparam[opt=1 MiB] integer opts.max_message bytes of a message
-- @tparam[opt=1 MiB] integer opts.max_queue bytes that may wait to be sent before `send` waits
-- @tparam[opt=30] number|boolean opts.ping_interval seconds; false: no pings
-- @tparam[opt=false] boolean|table opts.compression offers permessage-deflate; a table has
-- level (1 to 9, 6), window_bits (9 to 15, 12), min_size (128: shorter messages are sent as they
-- are), context_takeover (true: messages refer to those before)
-- @tparam[opt] {string} opts.subprotocols asked for, the best first
-- @tparam[opt] string opts.origin
-- @tparam[opt] table opts.headers more fields
-- @tparam[opt=10] number opts.timeout seconds for connecting and the handshake
-- @tparam[opt] table|context opts.tls as of net.connect, for wss
-- @tparam[opt] function opts.connect function(host, port) -> stream
-- @tparam[opt] http.Client opts.client whose connections carry it, by its options tls, connect,
-- allow and proxy, and whose headers, auth and cookies the request has: over HTTP/2 if the server
-- takes WebSockets so (RFC 8441). Without the option a connection of HTTP/2 that the plain calls of
-- moonlet.http have to that server is used, if there is one
-- @treturn Websocket or nil, message, code: "EURL"; "ESTATUS": the server refused; "EPROTO": no
-- WebSocket's answer; and those of net.connect
-- @treturn string the subprotocol that the server chose, or nil
function websocket.connect(url, opts)
  opts = opts or {}
  check_options(opts, 2, "connect", CONNECT)
  argument.check(argument.is_text(url), 1, "connect", "URL expected, got " .. type(url))
  local place, message, code = parse(tostring(url))
  if not place then return nil, message, code end
  local ws, more
  ws, more, code = task.timeout(opts.timeout or TIMEOUT, dial, place, opts)
  if not ws and code == "EDEADLINE" then return nil, "timeout", "ETIMEDOUT" end
  return ws, more, code
end

-- ---- the server ----

local function is_key(key)
  return type(key) == "string" and #key == 24 and key:find "^[%w+/]+==$" ~= nil
end

local function is_same_origin(origin, req)
  return origin:lower():match "^%a[%w+.-]*://(.*)$" == (req.host or ""):lower()
end

local function may_come(req, h, origins)
  local origin = h.origin
  if not origin then return true end
  if not origins then return is_same_origin(origin, req) end
  return contains(origins, "*") or contains(origins, origin)
end

-- Status and message of a request that is no handshake; nil: it is one.
local function refusal(req, h, opts)
  local is_http2 = req.version == "2"
  if req.method ~= "GET" or not (is_http2 or req.version == "1.1") then
    return 400, "no WebSocket handshake"
  end
  if not has_token(h.upgrade, "websocket") or not has_token(h.connection, "upgrade") then
    return 426, "WebSocket expected"
  end
  if h["sec-websocket-version"] ~= "13" then return 426, "WebSocket version 13 expected" end
  if not (is_http2 or is_key(h["sec-websocket-key"])) then
    return 400, "wrong Sec-WebSocket-Key"
  end
  if not may_come(req, h, opts.origins) then return 403, "origin not allowed" end
  local offered = h["sec-websocket-extensions"]
  if offered and core.accept(opts, offered) == false then
    return 400, "malformed Sec-WebSocket-Extensions"
  end
end

local CODES = { [400] = "EPROTO", [403] = "EACCES", [426] = "EPROTO" }

local function refuse(res, status, message)
  res.status = status
  if status == 426 then
    res.headers.upgrade = "websocket"
    res.headers["sec-websocket-version"] = "13"
  end
  res:send(message .. "\n")
  return nil, message, CODES[status]
end

-- The first of ours that the client asked for.
local function choose(opts, asked)
  for _, name in ipairs(opts.subprotocols or {}) do
    for item in (asked or ""):gmatch "[^,]+" do
      if item:match "^%s*(.-)%s*$" == name then return name end
    end
  end
end

local function greeting(h, protocol, extensions)
  local lines = { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: " .. accept_key(h["sec-websocket-key"]) }
  if protocol then lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. protocol end
  if extensions then lines[#lines + 1] = "Sec-WebSocket-Extensions: " .. extensions end
  return table_concat(lines, "\r\n") .. "\r\n\r\n"
end

-- The stream behind the answer that the handshake is done; or nil, message, code. A WebSocket over
-- HTTP/2 has a stream of the connection (RFC 8441).
local function agree(req, res, h, protocol, extensions)
  if req.version == "2" then return server.tunnel(res, protocol, extensions) end
  local text = greeting(h, protocol, extensions)
  local stream, message, code = res:hijack()
  if not stream then return nil, message, code end
  local ok
  ok, message, code = stream:write(text)
  if not ok then return nil, message, code end
  return stream
end

--- Makes a WebSocket of a request to an HTTP server, in its handler. May wait. The connection is
-- closed after the handler: `ws:finish()` at its end waits for the peer's goodbye.
-- @tparam Request req
-- @tparam Response res
-- @tparam[opt] table opts as of connect: max_message, max_queue, ping_interval, compression; and
-- @tparam[opt] {string} opts.subprotocols ours, the best first
-- @tparam[opt] {string} opts.origins whose pages may connect, "*": all; by default this host's
-- @treturn Websocket or nil, message, code: the request was answered with 400, 403 or 426
-- @treturn string the subprotocol, or nil
function websocket.upgrade(req, res, opts)
  opts = opts or {}
  argument.check(is_object(req), 1, "upgrade", "the handler's request expected")
  argument.check(is_object(res), 2, "upgrade", "the handler's response expected")
  check_options(opts, 3, "upgrade", UPGRADE)
  local h = type(req) == "userdata" and server.headers(req) or req.headers
  local status, problem = refusal(req, h, opts)
  if status then return refuse(res, status, problem) end
  local protocol = choose(opts, h["sec-websocket-protocol"])
  local offered = h["sec-websocket-extensions"]
  local extensions = offered and core.accept(opts, offered) or nil
  local stream, message, code = agree(req, res, h, protocol, extensions)
  if not stream then return nil, message, code end
  local ws = core.open(stream, opts, false, extensions)
  if type(req) == "userdata" then server.note_socket(req, ws) end
  return ws, protocol
end

return websocket
