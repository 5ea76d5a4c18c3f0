--- One request on a connection, and the head of its response. For moonlet's own modules.
-- @module moonlet.http.client.exchange

local error, pairs, type = error, pairs, type

local bodies = require "moonlet.http.client.body"
local core = require "moonlet.http.client.core"
local credentials = require "moonlet.http.client.credentials"
local deadline = require "moonlet.http.client.deadline"
local new_headers = require("moonlet.http.headers").new

local left = deadline.left

local exchange = {}

local CONTINUE = 1 -- seconds that an answer to Expect: 100-continue is waited for

local codings

-- Fields that the client adds unless the caller has given them.
local function add_defaults(h, request)
  if not h["user-agent"] then h["user-agent"] = "moonlet" end
  if not h.accept then h.accept = "*/*" end
  codings = codings or core.codings()
  if request.decode and codings ~= "" and not h["accept-encoding"] and not h.range then
    h["accept-encoding"] = codings
  end
end

-- The fields of one hop.
local function fields_for(request, parts, plan)
  local given, h = request.headers, new_headers()
  h.host = not request.is_redirected and given.host or parts.authority
  for name, value in pairs(given) do
    if name ~= "host" then h:add(name, value) end
  end
  add_defaults(h, request)
  local auth = request.auth
  if auth and not h.authorization then h.authorization = credentials.value(auth) end
  if plan.is_plain_proxy and plan.proxy.user then
    h["proxy-authorization"] = credentials.basic(plan.proxy.user, plan.proxy.password)
  end
  if request.jar then
    local cookie = request.jar:header(parts.scheme, parts.host, parts.path)
    if cookie and not request.has_own_cookie then h.cookie = cookie end
  end
  return h
end

-- Sends the parts of a body; stops when the server has answered already. true; or nil, message,
-- code.
local function send_parts(x, body, times)
  for piece in bodies.reader(body) do
    if type(piece) ~= "string" then
      error("a reader function must return strings, not a " .. type(piece), 0)
    end
    if x:has_response() then return true end
    local ok, message, code = x:write(piece, left(times, times.idle))
    if not ok then
      if code == "EPROTO" then message = "the body is longer than its length" end
      return nil, message, code
    end
  end
  local ok, message, code = x:end_body(left(times, times.idle))
  if not ok and code == "EPROTO" then message = "the body is shorter than its length" end
  return ok, message, code
end

-- What the body is to exchange:send(), and whether parts follow.
local function body_for(body, method, expects)
  if not body then
    local is_usual = method == "POST" or method == "PUT" or method == "PATCH"
    return is_usual and "" or nil, false
  end
  if body.data and not expects then return body.data, false end
  if body.data then return #body.data, true end
  return body.length or true, true
end

local function await_continue(x, times)
  local status, headers, reason, version, length = x:receive(left(times, CONTINUE), true)
  if not status and reason == "ETIMEDOUT" then return true end
  if status ~= 100 then return false, status, headers, reason, version, length end
  return true
end

local function is_hung_up(code) return code == "EPIPE" or code == "ECONNRESET" end

--- Sends the request and waits for the head of its response: status, headers, reason, version,
-- length; or nil, message, code, whether a byte of an answer came, whether anything may have been
-- sent. May wait.
function exchange.run(conn, request, parts, plan, times)
  local x, body = conn.x, request.body
  local headers = fields_for(request, parts, plan)
  local expects = body and (headers.expect or ""):lower() == "100-continue"
  local kind, follows = body_for(body, request.method, expects)
  local target = plan.is_plain_proxy and parts.text or parts.target
  local ok, message, code, was_sent = x:send(request.method, target, headers, kind,
    left(times, times.idle))
  if not ok and not (is_hung_up(code) and was_sent) then
    return nil, message, code, false, was_sent
  end
  if ok and expects then
    local status, h, reason, version, length
    follows, status, h, reason, version, length = await_continue(x, times)
    if status then return status, h, reason, version, length end
    if not follows then return nil, h, reason, version, true end
  end
  if ok and follows then
    ok, message, code = send_parts(x, body, times)
    if not ok and not is_hung_up(code) then return nil, message, code, false, true end
  end
  local status, h, reason, version, length = x:receive(left(times, times.head))
  if not status then
    -- The failure to send says more than that nothing came.
    if not ok and not version then h, reason = message, code end
    return nil, h, reason, version, true
  end
  return status, h, reason, version, length
end

return exchange
