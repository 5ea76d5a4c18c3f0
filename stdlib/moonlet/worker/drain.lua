-- The end of a worker that its master has asked to drain: it takes no new connections, and finishes
-- what it has begun.

local ipairs, require = ipairs, require

local core = require "moonlet.worker.core"
local serving = require "moonlet.serving"
local task = require "moonlet.task"

local drain = {}

-- Seconds that a program has for its own end once its servers have stopped.
local OWN_END = 5

-- All stop at once; each closes its listeners first. Returns how many there were.
local function stop_servers(grace, is_replaced)
  local list = serving.list()
  task.group(function(group)
    for _, entry in ipairs(list) do
      group:spawn(function() task.pcall(entry[2], entry[1], grace, is_replaced) end)
    end
  end)
  return #list
end

--- Stops what serves. A program that then goes on is ended as by SIGTERM: at once if nothing
-- served; after the grace if it accepts by itself, for the master does not know what of it is
-- finished.
function drain.run(grace, is_replaced)
  local deadline = task.now() + grace
  local sockets = core.count_sockets()
  local servers = stop_servers(grace, is_replaced)
  local own = core.close_sockets()
  if own > 0 then
    task.sleep(deadline - task.now())
  elseif servers > 0 or sockets > 0 then
    local left = deadline - task.now()
    task.sleep(left < OWN_END and left or OWN_END)
  end
  core.interrupt()
end

return drain
