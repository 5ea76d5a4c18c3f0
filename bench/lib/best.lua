--- Times a loop, the best of five rounds, as a line of JSON; for scripts that stand beside a
-- program in C which prints the same.
local task = require "moonlet.task"

local best = {}

local ROUNDS = 5

--- Prints `what` and the nanoseconds a call of `fn(calls)`.
-- @tparam string what
-- @tparam integer calls how many `fn` is asked to do
-- @tparam function fn
function best.measure(what, calls, fn)
  local least = math.huge
  for _ = 1, ROUNDS do
    local begun = task.now()
    fn(calls)
    least = math.min(least, (task.now() - begun) / calls * 1e9)
  end
  print(('{"what":"%s","ns":%.1f}'):format(what, least))
end

return best
