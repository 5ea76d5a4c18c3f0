--- Looks at many sleeping tasks: how late another task is meanwhile, the time and the memory that
-- takes.
--
--     moonlet bench/dump.lua TASKS
--
-- One JSON object per look. `late_ms` is the longest that a task which always yields had to wait,
-- in CPU time of the process: what others on the machine do is not counted.
local inspect = require "moonlet.inspect"
local task = require "moonlet.task"

local count = assert(tonumber(arg[1]), "usage: dump.lua TASKS")

local function sleeper() task.sleep(3600) end
for _ = 1, count do task.spawn({ daemon = true }, sleeper) end
task.sleep(0)

local function resident_kb()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then return tonumber(kb) end
  end
end

local function measure(name, look)
  collectgarbage()
  collectgarbage()
  collectgarbage "stop" -- a collection marks all tasks' stacks in one go, look or no look
  local late, done, before = 0, false, resident_kb()
  local watcher = task.spawn({ daemon = true }, function() -- if look() fails, the program ends
    local last = os.clock()
    while not done do
      task.yield()
      local now = os.clock()
      late, last = math.max(late, now - last), now
    end
  end)
  task.yield()
  local begin = os.clock()
  look()
  local seconds = os.clock() - begin
  done = true
  watcher:join()
  collectgarbage "restart"
  print(('{"name":"%s","seconds":%.3f,"late_ms":%.2f,"extra_kb":%d}'):format(name, seconds,
    late * 1000, resident_kb() - before))
end

measure("tasks()", function() inspect.tasks() end)
measure("tasks(group)", function() inspect.tasks { group = true } end)
measure("waits()", function() inspect.waits() end)
os.exit(0)
