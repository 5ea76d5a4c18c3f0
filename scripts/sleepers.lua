-- N tasks sleep SECONDS each, all at the same time.
--
--     moonlet scripts/sleepers.lua N SECONDS
--
-- Prints how long it took from the first spawn to the last end, and what one sleeping task costs.
local task = require "moonlet.task"

local count, seconds = math.tointeger(tonumber(arg[1])), tonumber(arg[2])
if #arg ~= 2 or not count or count < 1 or not seconds or seconds < 0 then
  io.stderr:write("usage: moonlet sleepers.lua N SECONDS\n")
  os.exit(1)
end

-- What the process has in memory, in KB; what Lua has of it where there is no /proc.
local function memory_kb()
  local file <close> = io.open("/proc/self/status")
  if not file then return collectgarbage "count" end
  return tonumber(file:read("a"):match("VmRSS:%s*(%d+)"))
end

local memory_before, start = memory_kb(), task.now()
local left, kb_per_task = count, nil

local function report()
  print(string.format("%d tasks slept %g s in %.3f s, %s KB per task", count, seconds,
    task.now() - start, kb_per_task and string.format("%.2f", kb_per_task) or "?"))
end

-- The last to end reports, so there is no need to keep and join them.
local function sleeper()
  task.sleep(seconds)
  left = left - 1
  if left == 0 then report() end
end

for _ = 1, count do assert(task.spawn(sleeper)) end

-- Tasks first run in the order of their spawns: this one finds all others asleep, unless SECONDS is
-- less than it takes to start them.
task.spawn(function()
  if left == count then kb_per_task = (memory_kb() - memory_before) / count end
end)
