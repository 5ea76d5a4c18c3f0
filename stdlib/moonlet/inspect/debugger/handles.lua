-- Numbers for things of the debugged program, by which a client names them. One is good as long as
-- its task stands where it did.

local core = require "moonlet.inspect.debugger.core"

local pairs, error = pairs, error

local handles = {}

local entries = {} -- number -> {task, stop, switches, ...}
local last = 0

--- A number for `entry`, a table, about a task (nil: about none).
function handles.new(id, entry)
  local about = id and core.task(id)
  last = last + 1
  entry.task, entry.stop, entry.switches = id, about and about.stop, about and about.switches
  entries[last] = entry
  return last
end

--- The entry; raises if it is good no more.
function handles.get(number)
  local entry = entries[number]
  local about = entry and entry.task and core.task(entry.task)
  local is_good = entry and (not entry.task or about and about.stop == entry.stop
    and about.switches == entry.switches)
  if not is_good then error("the task has gone on: the handle is not valid any more", 0) end
  return entry
end

--- Those of a task, and those of none.
function handles.forget(id)
  for number, entry in pairs(entries) do
    if entry.task == id or not entry.task then entries[number] = nil end
  end
end

function handles.forget_all()
  entries = {}
end

return handles
