--- Connections of HTTP clients that carry a WebSocket: a stream of HTTP/2 (RFC 8441), or one whose
-- handshake is that of HTTP/1.1. For moonlet's own modules.
-- @module moonlet.http.client.tunnel

local getmetatable, ipairs, pairs, setmetatable = getmetatable, ipairs, pairs, setmetatable

local connect = require "moonlet.http.client.connect"
local connection = require "moonlet.http.client.connection"
local credentials = require "moonlet.http.client.credentials"
local deadline = require "moonlet.http.client.deadline"
local hop = require "moonlet.http.client.hop"
local new_headers = require("moonlet.http.headers").new
local task = require "moonlet.task"

local left = deadline.left

local tunnels = {
  shared = nil, -- the client of the plain calls, once there is one
  Client = nil, -- the class of clients, once that is loaded
}

-- Seconds that the last bytes of a WebSocket may take.
local FAREWELL = 1

function tunnels.is_client(value)
  return tunnels.Client ~= nil and getmetatable(value) == tunnels.Client
end

local function scheme_of(place) return place.is_secure and "https" or "http" end

--- Adds what a client says in all its requests: headers, login and cookies, unless `fields` has
-- them.
function tunnels.add_fields(client, place, fields)
  for name in pairs(new_headers(client.headers)) do
    if not fields:get(name) then fields[name] = new_headers(client.headers):all(name) end
  end
  local auth, jar = client.opts.auth, client.jar
  if auth and not fields.authorization then fields.authorization = credentials.value(auth) end
  if jar and not fields.cookie then
    fields.cookie = jar:header(scheme_of(place), place.host, place.path)
  end
end

--- Keeps the cookies of an answer.
function tunnels.keep_cookies(client, place, fields)
  if not client.jar then return end
  for _, line in ipairs(fields:all "set-cookie") do
    client.jar:set(line, scheme_of(place), place.host, place.path)
  end
end

local function plan_for(client, place, opts)
  local own = client.opts
  local function option(name)
    if opts[name] ~= nil then return opts[name] end
    return own[name]
  end
  return hop.plan({
    tls = option "tls", connect = option "connect", allow = own.allow, proxy = own.proxy,
    version = client.version,
  }, { scheme = scheme_of(place), host = place.host, port = place.port })
end

local Guard = { __close = function(guard)
  if guard.conn then guard.conn:release(false) end
end }

-- The connection is the WebSocket's until that has closed the stream.
local function keep(conn)
  local guard = setmetatable({ conn = conn }, Guard)
  task.spawn({ daemon = true, quiet = true, name = "websocket over http/2" }, function()
    local _ <close> = guard
    conn.x:await_tunnel()
    conn.x:end_body(FAREWELL)
  end):on_exit(function() conn:release(false) end) -- also if it was cancelled before it began
end

-- Asks over a place on a connection of HTTP/2. status, headers, a stream if the status is 2xx; nil:
-- another connection may do better; or nil, message, code.
local function ask(conn, place, headers, times)
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local x = conn.x
  local ok, _, code = x:connect(place.target, headers, left(times, times.connect))
  local status, fields, problem
  if ok then
    status, fields, problem = x:receive(left(times, times.connect))
    if not status then code = problem end
  end
  if not status then
    if code == "ETIMEDOUT" then return nil, "timeout", code end
    return nil
  end
  if status // 100 ~= 2 then return status, fields end
  local stream = x:tunnel()
  local opened <close> = setmetatable({ stream = stream }, { __close = function(self)
    if self.stream then self.stream:close() end
  end })
  keep(conn)
  guard.conn, opened.stream = nil, nil
  return status, fields, stream
end

-- A connection of HTTP/2 that is there and takes WebSockets.
local function find(client, plan)
  local origin = plan.may_share and client.pool.origins[plan.key]
  local shared = origin and origin:room()
  return shared and shared.http2:takes_websockets() and shared:carry() or nil
end

-- The same, made if need be; or the stream of another.
local function obtain(client, plan, times)
  local conn, message, code = connection.acquire(client.pool, plan, times, true)
  if not conn then return nil, message, code end
  if not conn.shared then return nil, conn:take_stream() end
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local http2 = conn.shared.http2
  http2:await_settings(left(times, times.connect))
  if not http2:takes_websockets() then return nil end
  guard.conn = nil
  return conn
end

--- A stream to a place for a WebSocket. client: whose connections serve, which are made if need be;
-- nil: that of the plain calls, whose connections serve if they are there. headers: of the request.
--
-- - status, headers, stream: over HTTP/2, the handshake is done if there is a stream;
-- - nil, stream: over HTTP/1.1, the handshake is to be done;
-- - nil: the caller is to connect;
-- - nil, nil, message, code.
--
-- May wait.
function tunnels.open(client, place, opts, headers, times)
  local given = client
  client = client or tunnels.shared
  if not client or client.is_closed then
    if given then return nil, nil, "closed", "CLOSED" end
    return nil
  end
  local plan, message, code = plan_for(client, place, opts)
  if not plan then return nil, nil, message, code end
  local conn = find(client, plan)
  if not conn and given and plan.may_share then
    local other
    conn, other, code = obtain(client, plan, times)
    if code then return nil, nil, other, code end
    if other then return nil, other end
  end
  if conn then
    local status, fields, over = ask(conn, place, headers, times)
    if status then return status, fields, over end
    if fields then return nil, nil, fields, over end
  end
  if not given then return nil end
  if plan.is_plain_proxy then
    return nil, nil, "a proxy of HTTP carries WebSockets of wss alone", "EOPNOTSUPP"
  end
  plan.may_share = false
  local stream
  stream, message, code = connect.open(plan, times)
  return nil, stream, message, code
end

return tunnels
