--- A call of the HTTP client, from its options to the response. For moonlet's own modules.
-- @module moonlet.http.client.call

local pairs, pcall, tostring = pairs, pcall, tostring
local math_type = math.type

local address = require "moonlet.http.client.address"
local argument = require "moonlet.argument"
local bodies = require "moonlet.http.client.body"
local credentials = require "moonlet.http.client.credentials"
local deadline = require "moonlet.http.client.deadline"
local new_headers = require("moonlet.http.headers").new
local options = require "moonlet.http.client.options"
local redirect = require "moonlet.http.client.redirect"
local reply = require "moonlet.http.client.reply"
local task = require "moonlet.task"
local url = require "moonlet.url"

local call = {}

-- Defaults: a count, bytes.
local REDIRECTS, MAX_BODY = 10, 64 * 1024 * 1024

local REQUEST = options.set "url method headers query body length json form multipart redirects \z
  retries auth tls proxy max_body timeout check decode connect allow downgrade progress resume"

-- Those of the client, and those of the call over them; nil: there are none.
local function merge_headers(client, opts)
  if not opts.headers and not client.headers then return nil end
  local headers = new_headers(client.headers)
  if opts.headers then
    local given = new_headers(opts.headers)
    for field in pairs(given) do headers[field] = given:all(field) end
  end
  return headers
end

local function redirects_of(redirects)
  if redirects == nil or redirects == true then return REDIRECTS end
  return redirects or 0
end

local function prepare(client, opts, name)
  local all = options.merged(client.opts, opts)
  local headers = merge_headers(client, opts)
  local body, kind = bodies.read(opts)
  if kind then
    headers = headers or new_headers()
    if not headers["content-type"] then headers["content-type"] = kind end
  end
  credentials.check(all.auth)
  local redirects = redirects_of(all.redirects)
  argument.check(math_type(redirects) == "integer", 1, name,
    "option 'redirects' must be an integer")
  return {
    method = all.method or "GET", headers = headers, body = body,
    redirects = redirects, retries = all.retries or 0, auth = all.auth,
    tls = all.tls, proxy = all.proxy, connect = all.connect, allow = all.allow,
    decode = all.decode ~= false, max_body = all.max_body, check = all.check,
    downgrade = all.downgrade, version = client.version, jar = client.jar,
    has_own_cookie = headers and headers.cookie ~= nil,
  }, all
end

-- The response, its body unread, the request and its times; or nil, message, code.
local function start(client, opts, name, is_streamed)
  argument.options(opts, 1, name, REQUEST)
  if client.is_closed then
    task.yield() -- a task that goes on asking lets others run
    return nil, "closed", "CLOSED"
  end
  argument.check(opts.url ~= nil, 1, name, "option 'url' is missing")
  argument.check(argument.is_text(opts.url), 1, name, "option 'url' must be a URL")
  local ok, request, all = pcall(prepare, client, opts, name)
  if not ok then argument.fail(request) end
  local parts, message, code = address.parse(tostring(opts.url), client.opts.base, opts.query)
  if not parts then return nil, message, code end
  if parts.user and not request.auth then
    request.auth = { user = url.decode(parts.user), password = url.decode(parts.password or "") }
  end
  if not is_streamed then request.max_body = request.max_body or MAX_BODY end
  local good, times = pcall(deadline.read, all.timeout, is_streamed)
  argument.check(good, 1, name, times)
  local response
  response, message, code = redirect.run(client, request, parts, times)
  if not response then return nil, deadline.failure(times, message, code) end
  return response, request, times
end

local function checked(response, request)
  if request.check and response.status >= 400 then
    local message = ("%s answered %d %s"):format(response.url, response.status, response.reason)
    return nil, message, "ESTATUS", response
  end
  return response
end

--- The whole response; or nil, message, code. May wait.
function call.run(client, opts, name)
  local response, request, times = start(client, opts, name, false)
  if not response then return nil, request, times end
  local whole, message, code = reply.read_body(response, request.max_body, times)
  if not whole then return nil, message, code end
  return checked(whole, request)
end

--- The response with its body unread; or nil, message, code. May wait.
function call.stream(client, opts, name)
  local response, request, times = start(client, opts, name, true)
  if not response then return nil, request, times end
  if request.check and response.status >= 400 then
    local whole, message, code = reply.read_body(response, MAX_BODY, times)
    if not whole then return nil, message, code end
    return checked(whole, request)
  end
  return response
end

return call
