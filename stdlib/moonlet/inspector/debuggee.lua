-- The debugged program of `moonlet --debug`: its inspector has the session, with the adapter that
-- started it.

local agent = require "moonlet.inspect.agent"
local mistake = require "moonlet.inspector.mistake"
local task = require "moonlet.task"

local debuggee = {}

--- Returns when the adapter's client has set its breakpoints, or has gone.
-- @tparam string path of the adapter's socket
function debuggee.run(path)
  local is_good, message = agent.ask_at_leisure("debug", path, task.current().id)
  if not is_good then mistake("cannot connect to the debugger: " .. message) end
end

return debuggee
