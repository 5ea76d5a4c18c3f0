-- Traces for the inspector, which makes text of them on its own thread (moonlet.inspect.perfetto).
-- Nothing here waits.

local trace = require "moonlet.inspect.trace"

local agent = {}

--- Records from now on, until finish(), beside other traces under way.
-- @tparam[opt] integer size bytes
-- @treturn boolean true; or nil, message, code
agent.begin = trace.begin

--- What was recorded.
-- @tparam[opt] number seconds the last of it
-- @treturn table for perfetto.format(); nil: nothing is recorded
agent.take = trace.copy

--- Ends what begin() has begun.
agent.finish = trace.finish

return agent
