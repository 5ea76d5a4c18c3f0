--- The time limits of a request. For moonlet's own modules.
-- @module moonlet.http.client.deadline

local error, pairs, tostring, type = error, pairs, tostring, type
local math_huge, math_max, math_min = math.huge, math.max, math.min

local options = require "moonlet.http.client.options"
local task = require "moonlet.task"

local now = task.now

local deadline = {}

-- Defaults, seconds.
local CONNECT, TOTAL, STREAM_HEAD, STREAM_IDLE = 10, 30, 30, 30

local TIMES = options.set "connect head idle total"

-- The limits of most requests.
local function usual()
  return { connect = CONNECT, head = math_huge, idle = math_huge, at = now() + TOTAL }
end

--- Reads an option `timeout`. `at` is absolute; connect, head and idle are spans.
function deadline.read(value, is_stream)
  if value == nil and not is_stream then return usual() end
  local given = type(value) == "table" and value or { total = value }
  for name, seconds in pairs(given) do
    if not TIMES[name] then error(("unknown option 'timeout.%s'"):format(tostring(name)), 0) end
    if type(seconds) ~= "number" then
      error("option 'timeout' must be seconds, or a table with seconds, not a " .. type(seconds), 0)
    end
  end
  local total = given.total or (not is_stream and type(value) ~= "table" and TOTAL) or math_huge
  if type(value) == "table" and not given.total and not is_stream then total = TOTAL end
  return {
    connect = given.connect or CONNECT,
    head = given.head or (is_stream and STREAM_HEAD) or math_huge,
    idle = given.idle or (is_stream and STREAM_IDLE) or math_huge,
    at = now() + total,
  }
end

--- Seconds for one step, `span` at most; nil: no limit.
function deadline.left(times, span)
  local seconds = math_min(times.at - now(), span)
  if seconds == math_huge then return nil end
  return math_max(seconds, 0)
end

--- The message and code of a failure: that of a step which the whole limit cut is EDEADLINE.
function deadline.failure(times, message, code)
  if code == "ETIMEDOUT" and now() >= times.at then return "deadline passed", "EDEADLINE" end
  return message, code
end

return deadline
