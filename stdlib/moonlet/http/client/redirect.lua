--- Redirects that are followed (RFC 9110, 15.4). For moonlet's own modules.
-- @module moonlet.http.client.redirect

local ipairs = ipairs

local address = require "moonlet.http.client.address"
local reply = require "moonlet.http.client.reply"
local retry = require "moonlet.http.client.retry"

local redirect = {}

local STATUSES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local CONTENT_FIELDS = { "content-type", "content-encoding", "content-language",
  "content-location", "expect" }

local function drop_content(request)
  request.body = nil
  if not request.headers then return end
  for _, name in ipairs(CONTENT_FIELDS) do request.headers[name] = nil end
end

local function drop_credentials(request)
  request.auth, request.has_own_cookie = nil, nil
  if not request.headers then return end
  request.headers.authorization, request.headers.cookie = nil, nil
  request.headers["proxy-authorization"] = nil
end

local function is_rewritten(request, status)
  return status == 303 and request.method ~= "HEAD" or
    (status == 301 or status == 302) and request.method == "POST"
end

-- Encodes the bytes of a Location that no URL has, such as spaces and UTF-8: many servers send
-- them, and browsers follow.
local function encode_rest(location)
  return (location:gsub("[^!#$%%&'()*+,%-./0-9:;=?@A-Z%[%]_a-z~]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- Prepares the request that a redirect asks for. Its URL; or nil, message, code.
local function follow(request, parts, status, location)
  local to, message, code = address.parse(encode_rest(location), parts.text)
  if not to then return nil, message, code end
  if parts.scheme == "https" and to.scheme ~= "https" and not request.downgrade then
    return nil, "a redirect leads from https to http", "EPROTO"
  end
  if is_rewritten(request, status) then
    request.method = "GET"
    drop_content(request)
  elseif request.body and not request.body.can_replay then
    return nil, "a redirect asks for the body again, which can be read only once", "EPROTO"
  end
  local is_same = to.scheme == parts.scheme and to.host == parts.host and to.port == parts.port
  if not is_same then drop_credentials(request) end
  request.is_redirected = true
  return to
end

--- The response at the end of the redirects, its content begun; or nil, message, code. May wait.
function redirect.run(client, request, parts, times)
  local redirects = 0
  while true do
    local response, message, code = retry.run(client, request, parts, times)
    if not response then return nil, message, code end
    local location = STATUSES[response.status] and response.headers.location
    if not location or request.redirects == 0 then
      return reply.begin_content(response, request)
    end
    redirects = redirects + 1
    local guard <close> = response
    if redirects > request.redirects then
      return nil, ("more than %d redirects"):format(request.redirects), "EPROTO"
    end
    reply.discard(guard)
    parts, message, code = follow(request, parts, response.status, location)
    if not parts then return nil, message, code end
  end
end

return redirect
