-- Children of moonlet, as bench/children_spawn.c makes them.
--
--     moonlet bench/children.lua spawn COUNT MEGABYTES
--     moonlet bench/children.lua pipes CHILDREN MEGABYTES
local process = require "moonlet.process"
local task = require "moonlet.task"

local what, count, megabytes = arg[1], tonumber(arg[2]), tonumber(arg[3])
local memory = {} -- in use during the whole
for i = 1, what == "spawn" and megabytes or 0 do memory[i] = ("x"):rep(1 << 20) end
local begun, cpu, bytes = task.now(), os.clock(), 0

local function spawn_and_wait()
  for _ = 1, count do
    local p = assert(process.spawn { "/bin/true", stdin = "inherit" })
    p:wait()
  end
end

local function read_all()
  local p <close> = assert(process.spawn {
    "head", "-c", megabytes << 20, "/dev/zero", stdout = "pipe",
  })
  for piece in p.stdout:chunks() do bytes = bytes + #piece end
  p:wait()
end

if what == "spawn" then
  spawn_and_wait()
else
  local readers = {}
  for i = 1, count do readers[i] = read_all end
  task.all(readers)
end
print(('{"s": %.6f, "cpu": %.6f, "bytes": %d}'):format(task.now() - begun, os.clock() - cpu, bytes))
return memory
