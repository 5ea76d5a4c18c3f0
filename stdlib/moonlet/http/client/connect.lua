--- Connections of the HTTP client to origins and proxies: TCP, tunnels, TLS. For moonlet's own
-- modules.
-- @module moonlet.http.client.connect

local ipairs, pairs, setmetatable, type = ipairs, pairs, setmetatable, type
local math_huge = math.huge

local core = require "moonlet.http.client.core"
local credentials = require "moonlet.http.client.credentials"
local deadline = require "moonlet.http.client.deadline"
local net = require "moonlet.net"
local new_headers = require("moonlet.http.headers").new
local proxies = require "moonlet.http.proxy"
local task = require "moonlet.task"

local now, left = task.now, deadline.left

local connect = {}

local contexts = setmetatable({}, { __mode = "k" })
local numbers, last_number = setmetatable({}, { __mode = "k" }), 0

local function number_of(value)
  if value == nil then return 0 end
  if not numbers[value] then
    last_number = last_number + 1
    numbers[value] = last_number
  end
  return numbers[value]
end

local DEFAULT_TLS = {}

-- The protocols that a handshake offers, the preferred first.
local EITHER, HTTP2 = { "h2", "http/1.1" }, { "h2" }

local function new_context(tls, alpn)
  local opts = {}
  for name, value in pairs(tls) do opts[name] = value end
  opts.server_name = nil
  opts.alpn = opts.alpn or alpn
  return net.tls(opts)
end

-- The context for an option `tls`: nil, true, a table or a context, which offers what it was made
-- for.
local function context_of(tls, alpn)
  if tls == nil or tls == true then tls = DEFAULT_TLS end
  if type(tls) ~= "table" then return tls end
  if tls.context then return tls.context end
  local made, offer = contexts[tls] or {}, alpn or 1
  contexts[tls] = made
  if not made[offer] then
    local context, message, code = new_context(tls, alpn)
    if not context then return nil, message, code end
    made[offer] = context
  end
  return made[offer]
end

-- Connects over TCP to what `allow` lets through.
local function dial(host, port, times, allow)
  local seconds = left(times, times.connect)
  if not allow then return net.connect(host, port, { timeout = seconds }) end
  local at = now() + (seconds or math_huge)
  local addresses, message, code = net.resolve(host, { timeout = seconds })
  if not addresses then return nil, message, code end
  message, code = "address not allowed: " .. host, "EACCES"
  for _, address in ipairs(addresses) do
    if allow(address) then
      local stream
      local timeout = at < math_huge and at - now() or nil
      stream, message, code = net.connect(address.host, port, { timeout = timeout })
      if stream then return stream end
    end
  end
  return nil, message, code
end

local function fail(stream, message, code)
  stream:close()
  return nil, message, code
end

-- The tunnel that HTTP's CONNECT makes.
local function tunnel(stream, through, target, times)
  local x = core.new(stream)
  local headers = new_headers { host = target }
  if through.user then
    headers["proxy-authorization"] = credentials.basic(through.user, through.password)
  end
  local ok, message, code = x:send("CONNECT", target, headers, nil, left(times, times.connect))
  if not ok then return fail(stream, message, code) end
  local status
  status, message, code = x:receive(left(times, times.connect))
  if not status then return fail(stream, message, code) end
  if status // 100 ~= 2 then
    code = status == 407 and "EACCES" or "EPROTO"
    return fail(stream, ("the proxy answered %d"):format(status), code)
  end
  return stream
end

local function guard_of(stream)
  return setmetatable({ stream = stream }, { __close = function(self)
    if self.stream then self.stream:close() end
  end })
end

-- TLS on a stream of the caller's, or of a proxy.
local function secure(stream, plan, times)
  local alpn = plan.may_share and (plan.version == "2" and HTTP2 or EITHER) or nil
  local context, message, code = context_of(plan.tls, alpn)
  if not context then return fail(stream, message, code) end
  local name = type(plan.tls) == "table" and plan.tls.server_name or plan.host
  local ok
  ok, message, code = stream:starttls { context = context, server_name = name }
  if ok then ok, message, code = stream:handshake(left(times, times.connect)) end
  if not ok then return fail(stream, message, code) end
  return stream
end

local function join_host(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

local function reach(plan, times)
  local through = plan.proxy or plan
  if plan.connect then return plan.connect(through.host, through.port) end
  return dial(through.host, through.port, times, plan.allow)
end

-- The stream to a proxy becomes one to the origin.
local function pass_through(stream, plan, times)
  local through = plan.proxy
  local message, code
  if through.scheme == "https" then
    stream, message, code = secure(stream, { host = through.host }, times)
  end
  if stream and through.scheme:find "^socks" then
    local ok
    ok, message, code = proxies.socks5(stream, through, plan.host, plan.port)
    if not ok then stream = nil end
  elseif stream and plan.scheme == "https" then
    stream, message, code = tunnel(stream, through, join_host(plan.host, plan.port), times)
  end
  return stream, message, code
end

local function open(plan, times)
  local stream, message, code = reach(plan, times)
  if not stream then return nil, message, code end
  local guard <close> = guard_of(stream)
  if plan.proxy then stream, message, code = pass_through(stream, plan, times) end
  if stream and plan.scheme == "https" then stream, message, code = secure(stream, plan, times) end
  if not stream then return nil, message, code end
  guard.stream = nil
  return stream
end

--- A stream for a plan: scheme, host, port, tls, connect, allow, proxy, version, may_share (with
-- other requests: HTTP/2 is offered). All of it under the time for connecting, also calls of the
-- script's. Or nil, message, code.
function connect.open(plan, times)
  local seconds = left(times, times.connect)
  local stream, message, code = task.timeout(seconds, open, plan, times)
  if not stream and code == "EDEADLINE" then return nil, "timeout", "ETIMEDOUT" end
  return stream, message, code
end

--- What connections that serve the same requests have in common: a text.
function connect.key(plan)
  local through = plan.proxy
  local by = through and (" %s %s %d %s %s"):format(through.scheme, through.host, through.port,
    through.user or "", through.password or "") or ""
  return plan.scheme .. " " .. plan.host .. " " .. plan.port .. " " .. number_of(plan.tls) .. " "
    .. number_of(plan.connect) .. " " .. number_of(plan.allow) .. " " .. (plan.version or "") .. by
end

return connect
