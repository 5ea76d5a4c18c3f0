-- Calls of files, as bench/files.c makes them: a line of JSON for each, nanoseconds a call, the
-- best of five rounds.
--
--     moonlet bench/files.lua FILE DIRECTORY COUNT
package.path = arg[0]:match("^(.*)/") .. "/lib/?.lua;" .. package.path
local measure = require("best").measure
local fs = require "moonlet.fs"

local path, directory, count = arg[1], arg[2], tonumber(arg[3])

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
