--- Times a loop often enough to trust the median, and prints it as a line of JSON.
local json = require "json"
local stats = require "stats"

local timing = {}

local REPETITIONS = 5

--- Prints the nanoseconds per operation of `body(operations)`.
-- @tparam string name
-- @tparam function clock returns seconds
-- @tparam integer operations how many `body` is asked to do
-- @tparam function body
function timing.report(name, clock, operations, body)
  local results = {}
  for i = 1, REPETITIONS do
    collectgarbage()
    local start = clock()
    body(operations)
    local elapsed = clock() - start
    assert(elapsed > 0, "the clock stood still")
    results[i] = elapsed * 1e9 / operations
  end
  print(json.encode {
    name = name, unit = "ns", repetitions = REPETITIONS,
    median = stats.median(results), min = stats.min(results),
  })
  io.stdout:flush()
end

return timing
