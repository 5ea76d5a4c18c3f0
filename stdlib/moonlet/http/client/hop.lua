--- One request, to one URL, by one connection. For moonlet's own modules.
-- @module moonlet.http.client.hop

local ipairs, setmetatable = ipairs, setmetatable

local connect = require "moonlet.http.client.connect"
local core = require "moonlet.http.client.core"
local connection = require "moonlet.http.client.connection"
local exchange = require "moonlet.http.client.exchange"
local proxies = require "moonlet.http.proxy"
local reply = require "moonlet.http.client.reply"

local hop = {}

-- Which versions may be spoken. A proxy that reads the requests is spoken to in HTTP/1.1. true; or
-- nil, message, code.
local function choose_version(plan, parts)
  if plan.version == "1.1" or plan.is_plain_proxy then return true end
  local has_http2 = (parts.scheme == "https" or plan.version == "2") and core.has_http2()
  if plan.version == "2" and not has_http2 then
    return nil, "HTTP/2 needs the library libnghttp2", "EOPNOTSUPP"
  end
  plan.may_share = has_http2
  return true
end

local function new_plan(request, parts)
  local plan = { scheme = parts.scheme, host = parts.host, port = parts.port, tls = request.tls,
    connect = request.connect, allow = request.allow, version = request.version }
  if request.proxy then
    local message, code
    plan.proxy, message, code = proxies.parse(request.proxy)
    if not plan.proxy then return nil, message, code end
  elseif request.proxy == nil and not request.connect then
    plan.proxy = proxies.from_environment(parts.scheme, parts.host, parts.port)
  end
  plan.is_plain_proxy = plan.proxy ~= nil and parts.scheme == "http"
    and plan.proxy.scheme:find "^http" ~= nil
  local ok, message, code = choose_version(plan, parts)
  if not ok then return nil, message, code end
  plan.key = connect.key(plan)
  return plan
end

-- Whether nothing but its URL says how a request gets there.
local function is_usual(request)
  return request.tls == nil and request.connect == nil and request.allow == nil
    and request.proxy == nil and request.version == nil
end

--- How the origin is reached. Nobody changes a plan: usual requests to a URL share theirs.
function hop.plan(request, parts)
  if not is_usual(request) then return new_plan(request, parts) end
  if parts.plan then return parts.plan end
  local plan, message, code = new_plan(request, parts)
  parts.plan = plan
  return plan, message, code
end

local VERSIONS = { [10] = "1.0", [11] = "1.1", [20] = "2" }

-- The facts about a failure by which retries are decided.
local function state_of(conn, answered, was_sent)
  local refused, wants_http1 = conn.x:advice()
  return {
    reused = conn.reused or false, answered = answered, unsent = was_sent == false,
    refused = refused, wants_http1 = wants_http1,
  }
end

local function keep_cookies(jar, headers, parts)
  for _, line in ipairs(headers:all "set-cookie") do
    jar:set(line, parts.scheme, parts.host, parts.path)
  end
end

local Guard = { __close = function(guard)
  if guard.conn then guard.conn:release(false) end
end }

--- The response, its content not yet begun; or nil, message, code, {unsent=, reused=, answered=,
-- refused=, wants_http1=}. is_fresh: not by an idle connection. May wait.
function hop.run(client, request, parts, times, is_fresh)
  local plan, message, code = hop.plan(request, parts)
  if not plan then return nil, message, code end
  local conn
  conn, message, code = connection.acquire(client.pool, plan, times, is_fresh)
  if not conn then return nil, message, code, { unsent = true } end
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local status, headers, reason, version, length = exchange.run(conn, request, parts, plan, times)
  if not status then
    return nil, headers, reason, state_of(conn, version, length)
  end
  if request.jar then keep_cookies(request.jar, headers, parts) end
  local response = reply.new {
    status = status, headers = headers, reason = reason, version = VERSIONS[version],
    url = parts.text, reused = conn.reused or false, conn = conn, times = times, length = length,
  }
  guard.conn = nil
  return response
end

return hop
