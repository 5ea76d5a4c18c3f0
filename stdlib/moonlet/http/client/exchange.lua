--- One request on a connection, and the head of its response. For moonlet's own modules.
-- @module moonlet.http.client.exchange

local pairs = pairs
local math_max = math.max

local core = require "moonlet.http.client.core"
local credentials = require "moonlet.http.client.credentials"
local deadline = require "moonlet.http.client.deadline"
local new_headers = require("moonlet.http.headers").new
local task = require "moonlet.task"
local upload = require "moonlet.http.client.upload"

local left, now = deadline.left, task.now

local exchange = {}

local CONTINUE = 1 -- seconds that an answer to Expect: 100-continue is waited for

-- Bytes of a body that a socket takes though the server does not read yet.
local AT_ONCE = 64 * 1024

local NONE = {}

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

-- The fields that any request to the URL has.
local function new_fields(request, parts)
  local given, h = request.headers, new_headers()
  h.host = given and not request.is_redirected and given.host or parts.authority
  for name, value in pairs(given or NONE) do
    if name ~= "host" then h:add(name, value) end
  end
  add_defaults(h, request)
  return h
end

-- Whether a request has no fields of its own.
local function has_usual_fields(request, plan)
  return not (request.headers or request.auth or request.jar or plan.proxy) and request.decode
end

-- The fields of one hop. Nobody changes them: usual requests to a URL share theirs.
local function fields_for(request, parts, plan)
  if has_usual_fields(request, plan) then
    parts.fields = parts.fields or new_fields(request, parts)
    return parts.fields
  end
  local h = new_fields(request, parts)
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

-- What the body is to exchange:send(), and whether parts follow.
local function body_for(body, method, expects)
  if not body then
    local is_usual = method == "POST" or method == "PUT" or method == "PATCH"
    return is_usual and "" or nil, false
  end
  if not body.data then return body.length or true, true end
  if #body.data <= AT_ONCE and not expects then return body.data, false end
  return #body.data, true
end

local function await_continue(x, times)
  local status, headers, reason, version, length = x:receive(left(times, CONTINUE), true)
  if not status and reason == "ETIMEDOUT" then return true end
  if status ~= 100 then return false, status, headers, reason, version, length end
  return true
end

local function is_hung_up(code) return code == "EPIPE" or code == "ECONNRESET" end

-- The head of the final response. A server has `head` seconds for it once the request is whole.
local function receive(x, sending, times)
  while true do
    local since = sending and sending.ended
    local span = since and math_max(since + times.head - now(), 0) or times.head
    local status, headers, reason, version, length = x:receive(left(times, span))
    if status or reason ~= "ETIMEDOUT" or not sending or now() >= times.at
      or sending.ended and now() >= sending.ended + times.head then
      return status, headers, reason, version, length
    end
  end
end

-- Waits for the response while the body is being sent.
local function converse(conn, sending, times)
  local status, headers, reason, version, length = receive(conn.x, sending, times)
  sending:answered(status)
  if not status then
    local message, code = sending:reason()
    -- The failure to send says more than that nothing came.
    if message and not version then headers, reason = message, code end
    return nil, headers, reason, version, true
  end
  return status, headers, reason, version, length
end

-- Sends the head, with the body unless that follows. true, whether it follows; or nil, message,
-- code, whether anything may have been sent.
local function begin(x, request, parts, plan, times, expects)
  local body = request.body
  local kind, follows = body_for(body, request.method, expects)
  if kind == 0 then
    local is_empty, message, code = upload.check_empty(body)
    if not is_empty then return nil, message, code, false end
    follows = false
  end
  local target = plan.is_plain_proxy and parts.text or parts.target
  local headers = fields_for(request, parts, plan)
  local ok, message, code, was_sent = x:send(request.method, target, headers, kind,
    left(times, times.idle))
  if not ok then return nil, message, code, was_sent end
  return true, follows
end

local function expects_continue(request)
  local expect = request.body and request.headers and request.headers.expect
  return expect and expect:lower() == "100-continue"
end

local function run(conn, request, parts, plan, times)
  local x, expects = conn.x, expects_continue(request)
  local ok, follows, code, was_sent = begin(x, request, parts, plan, times, expects)
  local status, h, reason, version, length
  if not ok and not (is_hung_up(code) and was_sent) then
    return nil, follows, code, false, was_sent
  elseif ok and follows and expects then
    follows, status, h, reason, version, length = await_continue(x, times)
    if status then return status, h, reason, version, length end
    if not follows then return nil, h, reason, version, true end
  end
  if ok and follows then return converse(conn, upload.start(conn, request.body, times), times) end
  status, h, reason, version, length = x:receive(left(times, times.head))
  if not status then
    -- The same as above.
    if not ok and not version then h, reason = follows, code end
    return nil, h, reason, version, true
  end
  return status, h, reason, version, length
end

--- For metrics: told(host, seconds, status or nil) is called after each exchange. nil: none is.
exchange.told = nil

--- Sends the request and waits for the head of its response: status, headers, reason, version,
-- length; or nil, message, code, whether a byte of an answer came, whether anything may have been
-- sent. conn.upload: what is still being sent. May wait.
function exchange.run(conn, request, parts, plan, times)
  local told = exchange.told
  if not told then return run(conn, request, parts, plan, times) end
  local since = now()
  local status, h, reason, version, length = run(conn, request, parts, plan, times)
  told(parts.authority, now() - since, status)
  return status, h, reason, version, length
end

return exchange
