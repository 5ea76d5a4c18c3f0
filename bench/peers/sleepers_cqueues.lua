-- N cqueues coroutines sleep SECONDS. Usage: sleepers_cqueues.lua N SECONDS
local cqueues = require "cqueues"

local function rss_kb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s*(%d+)")
    if kb then return tonumber(kb) end
  end
end

local count, seconds = tonumber(arg[1]), tonumber(arg[2])
local asleep, still, during = 0, nil, nil

local function sleeper()
  asleep = asleep + 1
  cqueues.sleep(seconds)
  asleep = asleep - 1
end

-- A controller runs its newest coroutine first: the observer has to wait for a round of its own.
local function look()
  cqueues.poll(0)
  still, during = asleep, rss_kb()
end

local before = rss_kb()
local start = cqueues.monotime()
local controller = cqueues.new()
controller:wrap(look)
for _ = 1, count do controller:wrap(sleeper) end
assert(controller:loop())
print(string.format('{"n":%d,"seconds":%.6f,"asleep":%d,"rss_kb_per_task":%.3f}',
  count, cqueues.monotime() - start, still, (during - before) / count))
