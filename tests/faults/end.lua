-- The end of a scenario: what is left behind is told, with status 3.
--
--     local left = test.leaks()
--     ... the scenario ...
--     dofile "tests/faults/end.lua"(left)
local task = require "moonlet.task"

-- Ends the tasks that a step left in the middle, and the objects that no variable holds.
local function tidy()
  task.sleep(0.001)
  collectgarbage()
  collectgarbage()
  for _, t in ipairs(task.list()) do
    if t ~= task.current() then t:cancel() t:join(1) end
  end
end

-- left: of test.leaks(). patience: seconds for what ends later by itself; more: a list of what else was left.
return function(left, patience, more)
  local deadline = task.now() + (patience or 0)
  tidy()
  local leaks = left()
  while #leaks > 0 and task.now() < deadline do
    task.sleep(0.01)
    collectgarbage()
    leaks = left()
  end
  for _, leak in ipairs(more or {}) do leaks[#leaks + 1] = leak end
  if #leaks > 0 then
    io.stderr:write("left behind: ", table.concat(leaks, ", "), "\n")
    os.exit(3)
  end
end
