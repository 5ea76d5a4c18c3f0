-- What the inspector asks of the workers beside this one.

local worker = require "moonlet.worker"

local workers = {}

--- How the workers are. Waits for the master.
-- @treturn table id: of this worker; status: as worker.status() has it; or nil, message, code:
-- "ENOTCONN": this process is none
function workers.status()
  local status, message, code = worker.status()
  if not status then return nil, message, code end
  return { id = worker.id, status = status }
end

return workers
