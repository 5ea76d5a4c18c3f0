-- N tasks sleep SECONDS: the time from the first spawn to the last end, and the memory while all
-- are asleep.
-- Usage: moonlet sleepers.lua N SECONDS
local task = require "moonlet.task"

local count, seconds = tonumber(arg[1]), tonumber(arg[2])
local ended, ended_when_measured, rss_when_measured = 0, nil, nil

local function rss_kb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s*(%d+)")
    if kb then return tonumber(kb) end
  end
end

local rss_before = rss_kb()
local start = task.now()

local function report()
  print(string.format('{"n":%d,"seconds":%.6f,"asleep":%d,"rss_kb_per_task":%.3f}',
    count, task.now() - start, count - ended_when_measured,
    (rss_when_measured - rss_before) / count))
end

-- The last to end reports: joining each would measure the joins, too.
local function sleeper()
  task.sleep(seconds)
  ended = ended + 1
  if ended == count then report() end
end

for _ = 1, count do task.spawn(sleeper) end

-- Tasks run in the order of their spawns, so this one finds all others asleep (unless SECONDS is
-- shorter than that takes).
task.spawn(function()
  ended_when_measured, rss_when_measured = ended, rss_kb()
end)
