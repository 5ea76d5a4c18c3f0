--- A thread of a pool, as it sees itself: carries out one call after the other.
-- @module moonlet.thread.worker

local core = require "moonlet.thread.core"
package.loaded["moonlet.thread.core"] = nil
local answer = core.answer

local worker = {}

--- Prepares the runtime, then serves until there are no more calls.
function worker.serve(calls, outcomes, setup)
  if setup then setup() end
  while answer(calls, outcomes) do end
end

return worker
