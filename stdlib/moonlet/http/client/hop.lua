--- One request, to one URL, by one connection. For moonlet's own modules.
-- @module moonlet.http.client.hop

local ipairs, setmetatable = ipairs, setmetatable

local connection = require "moonlet.http.client.connection"
local exchange = require "moonlet.http.client.exchange"
local proxies = require "moonlet.http.proxy"
local reply = require "moonlet.http.client.reply"

local hop = {}

-- How the origin is reached.
local function plan_for(request, parts)
  local plan = { scheme = parts.scheme, host = parts.host, port = parts.port, tls = request.tls,
    connect = request.connect, allow = request.allow }
  if request.proxy then
    local message, code
    plan.proxy, message, code = proxies.parse(request.proxy)
    if not plan.proxy then return nil, message, code end
  elseif request.proxy == nil and not request.connect then
    plan.proxy = proxies.from_environment(parts.scheme, parts.host, parts.port)
  end
  plan.is_plain_proxy = plan.proxy ~= nil and parts.scheme == "http"
    and plan.proxy.scheme:find "^http" ~= nil
  return plan
end

local function keep_cookies(jar, headers, parts)
  for _, line in ipairs(headers:all "set-cookie") do
    jar:set(line, parts.scheme, parts.host, parts.path)
  end
end

local Guard = { __close = function(guard)
  if guard.conn then guard.conn:release(false) end
end }

--- The response, its content not yet begun; or nil, message, code, {unsent=, reused=, answered=}.
-- is_fresh: not by an idle connection. May wait.
function hop.run(client, request, parts, times, is_fresh)
  local plan, message, code = plan_for(request, parts)
  if not plan then return nil, message, code end
  local conn
  conn, message, code = connection.acquire(client.pool, plan, times, is_fresh)
  if not conn then return nil, message, code, { unsent = true } end
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local reused = conn.reused or false
  local status, headers, reason, version, length = exchange.run(conn, request, parts, plan, times)
  if not status then
    return nil, headers, reason, { reused = reused, answered = version, unsent = length == false }
  end
  if request.jar then keep_cookies(request.jar, headers, parts) end
  local response = reply.new {
    status = status, headers = headers, reason = reason, version = version == 11 and "1.1" or "1.0",
    url = parts.text, reused = reused, conn = conn, times = times, length = length,
  }
  guard.conn = nil
  return response
end

return hop
