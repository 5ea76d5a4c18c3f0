--- Requests that are sent again, where that is safe (RFC 9110, 9.2.2). For moonlet's own modules.
-- @module moonlet.http.client.retry

local tonumber = tonumber

local hop = require "moonlet.http.client.hop"
local options = require "moonlet.http.client.options"
local task = require "moonlet.task"

local now = task.now

local retry = {}

local IDEMPOTENT = options.set "GET HEAD PUT DELETE OPTIONS TRACE"
local STATUSES = { [429] = true, [502] = true, [503] = true, [504] = true }

-- Failures after which the same request may succeed.
local PASSING = options.set "ECONNRESET ECONNREFUSED EPIPE EEOF CLOSED ETIMEDOUT EHOSTUNREACH \z
  ENETUNREACH"

-- Whether the request may be sent again without doing its work twice.
local function is_safe(request, state)
  if request.body and not request.body.can_replay then return false end
  return state.unsent or IDEMPOTENT[request.method]
end

-- Before try n; false: the time does not suffice.
local function pause(times, n, response)
  local after = response and tonumber(response.headers["retry-after"] or "")
  local seconds = after or 0.1 * 2 ^ (n - 1)
  if now() + seconds >= times.at then return false end
  task.sleep(seconds)
  return true
end

-- How often a request is sent again of which the server says that it has not looked at it.
local REFUSALS = 5

-- Whether the server has refused a request that can be sent again, and wait a little.
local function is_refused(request, state, times, refusals)
  if not state.refused or refusals > REFUSALS or not is_safe(request, { unsent = true }) then
    return false
  end
  return refusals == 1 or pause(times, refusals - 1)
end

-- Whether the server wants HTTP/1.1 for the request, and may have its way.
local function wants_http1(request, state)
  return state.wants_http1 and not request.version and is_safe(request, { unsent = true })
end

-- The connection had died before: that is no try.
local function had_died(request, state, code)
  return state.reused and not state.answered and PASSING[code] and code ~= "ETIMEDOUT"
    and is_safe(request, state)
end

--- As hop.run(), several times if need be. May wait.
function retry.run(client, request, parts, times)
  local tries, refusals, is_fresh = 0, 0, false
  while true do
    local response, message, code, state = hop.run(client, request, parts, times, is_fresh)
    state = state or {}
    if response then
      if not STATUSES[response.status] or tries >= request.retries or not is_safe(request, {}) then
        return response
      end
      tries = tries + 1
      if not pause(times, tries, response) then return response end
      response:close()
    elseif wants_http1(request, state) then
      request.version = "1.1"
    elseif is_refused(request, state, times, refusals + 1) then
      refusals = refusals + 1
    elseif not is_fresh and had_died(request, state, code) then
      is_fresh = true
    elseif tries < request.retries and PASSING[code] and is_safe(request, state) then
      tries = tries + 1
      if not pause(times, tries) then return nil, message, code end
    else
      return nil, message, code
    end
  end
end

return retry
