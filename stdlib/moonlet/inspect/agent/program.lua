-- What the inspector asks of the program as a whole.

local tostring = tostring

local task = require "moonlet.task"

local program = {}

--- Tells that the program answers. Never waits.
-- @treturn string the name of the task in whose time the answer was given
function program.ping()
  local current = task.current()
  return current.name or tostring(current.id)
end

return program
