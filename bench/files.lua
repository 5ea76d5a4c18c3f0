-- Calls of files, as bench/files.c makes them: a line of JSON for each, nanoseconds a call, the
-- best of five rounds.
--
--     moonlet bench/files.lua FILE DIRECTORY COUNT
local fs = require "moonlet.fs"
local task = require "moonlet.task"

local path, directory, count = arg[1], arg[2], tonumber(arg[3])
local ROUNDS = 5

local function measure(what, calls, fn)
  local best = math.huge
  for _ = 1, ROUNDS do
    local begun = task.now()
    fn(calls)
    best = math.min(best, (task.now() - begun) / calls * 1e9)
  end
  print(('{"what":"%s","ns":%.1f}'):format(what, best))
end

local file <close> = assert(fs.open(path))

measure("stat", count, function(calls)
  for _ = 1, calls do assert(fs.stat(path)) end
end)
measure("read", count, function(calls)
  for _ = 1, calls do
    file:seek "set"
    assert(#file:read_exactly(4096) == 4096)
  end
end)
measure("whole", count, function(calls)
  for _ = 1, calls do assert(#fs.read(path) == 4096) end
end)
measure("walk", 1, function()
  for _ in fs.walk(directory) do end
end)
-- tmpfs and /proc are read by workers.
measure("worker", count // 10, function(calls)
  for _ = 1, calls do assert(fs.read "/proc/self/comm") end
end)
