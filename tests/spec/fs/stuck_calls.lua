-- Calls that a disk does not answer at all (tests/support/slow_disk.c) are left at their time limit.
--
--     moonlet tests/spec/fs/stuck_calls.lua FILES PLACE
local fs = require "moonlet.fs"
local task = require "moonlet.task"

local FILES, PLACE = arg[1], arg[2]
local LIMIT = 0.05

assert(fs.write(FILES .. "/a", "text\n"))
assert(fs.write(FILES .. "/m.lua", "return 1"))
package.path = PLACE .. "/?.lua"
local reader = assert(io.open(PLACE .. "/a"))

local calls = {
  { "fs.read", fs.read, PLACE .. "/a" },
  { "fs.stat", fs.stat, PLACE .. "/a" },
  { "fs.list", fs.list, PLACE },
  { "fs.open", fs.open, PLACE .. "/a" },
  { "io.open", io.open, PLACE .. "/a" },
  { "io.lines", function() for line in reader:lines() do print(line) end end },
  { "require", require, "m" },
}
local waiting = {}
assert(fs.write(FILES .. ".hold", "ALL"))
for i, call in ipairs(calls) do
  waiting[i] = task.spawn(function() return select(3, task.timeout(LIMIT, table.unpack(call, 2))) end)
end
for i, t in ipairs(waiting) do print(calls[i][1] .. " " .. tostring(select(2, t:join()))) end
print "other tasks go on"
-- The disk answers before the program ends: the kernel waits for it when it closes the files.
assert(fs.remove(FILES .. ".hold"))
