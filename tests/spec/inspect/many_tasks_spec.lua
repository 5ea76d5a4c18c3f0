--- Looks at 200,000 tasks: nobody is late by 5 ms, and what is told is bounded.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local it = support.limited(it)

-- A program of its own: to end so many tasks takes longer than to look at them.
local PROGRAM = [==[
local inspect = require "moonlet.inspect"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local COUNT, PART = 200000, 25000

-- Runs look(). Returns how long another task, which always yields, had to wait meanwhile, in seconds of the process's
-- CPU time, and by how many bytes the heap grew. The collector stands still: its steps are no part of a look.
local function lateness(look)
  collectgarbage()
  collectgarbage "stop"
  local late, done, before = 0, false, collectgarbage "count"
  local watcher = task.spawn({ daemon = true }, function()
    local last = os.clock()
    while not done do
      task.yield()
      local now = os.clock()
      late, last = math.max(late, now - last), now
    end
  end)
  task.yield()
  look()
  done = true
  watcher:join()
  local grown = (collectgarbage "count" - before) * 1024
  collectgarbage "restart"
  return late, grown
end

-- The least of some looks: what else the machine does is not the look's.
local function check(name, look)
  local least, grown, looks = math.huge, 0, 0
  repeat
    local late, bytes = lateness(look)
    least, grown, looks = math.min(least, late), math.max(grown, bytes), looks + 1
  until looks >= 3 and least <= 0.005 or looks == 10
  if least > 0.005 then print(("%s: late by %.2f ms"):format(name, least * 1000)) end
  if grown > 16 * 2 ^ 20 then print(("%s: %d bytes"):format(name, grown)) end
end

-- Sleepers, a queue for a mutex, a chain of joins, a circle of joins, a group that waits for its parent, and one module
-- that all the others want.
local list, mutex = {}, sync.mutex()
local function start(fn, ...) list[#list + 1] = task.spawn({ daemon = true }, fn, ...) end
function package.preload.loads_for_long() task.sleep(3600) end
for _ = 1, 3 * PART do start(task.sleep, 3600) end
for _ = 1, PART do start(function() mutex:lock() task.sleep(3600) end) end
for _ = 1, PART do start(list[#list].join, list[#list]) end
local circle = #list
for i = 1, 4999 do start(function() list[circle + i % 4999 + 1]:join() end) end
start(function()
  local parent = task.current()
  task.group(function(group)
    for _ = 1, PART do group:spawn(function() parent:join() end) end
  end)
end)
while #list + PART < COUNT do start(require, "loads_for_long") end
for _ = 1, 20 do task.yield() end

check("tasks", function() assert(#inspect.tasks() == 1000) end)
check("groups", function() assert(#inspect.tasks({ group = true }) < 20) end)
check("waits", function()
  local graph = inspect.waits()
  assert(#graph.edges == 1000 and #graph.deadlocks > 1 and graph.deadlock_count > #graph.deadlocks)
end)
local groups, count = inspect.tasks({ group = true })
print(count)
for _, group in ipairs(groups) do assert(#group.tasks <= 20) end
os.exit(0)
]==]

describe("with 200,000 tasks", function()
  it("each look lets others run, and tells a bounded part", function()
    assert.equal("200001\n", (support.run(PROGRAM)))
  end)
end)

-- Tells for each look by an inspector how long it kept a task waiting that always yields, as lateness() above.
local INSPECTED = [==[
local task = require "moonlet.task"
for _ = 1, 4000 do task.spawn({ name = "sleeper", daemon = true }, task.sleep, 3600) end
local late, last = 0, os.clock()
package.preload["moonlet.inspect.agent.probe"] = function()
  collectgarbage "stop"
  local probe = {}
  function probe.begin() late, last = 0, os.clock() end
  function probe.late() return late end
  return probe
end
print "watches" io.flush()
while true do
  task.yield()
  local now = os.clock()
  late, last = math.max(late, now - last), now
end
]==]

describe("the inspector of a program with 4,000 tasks", function()
  it("lists them all, and lets others run meanwhile", function()
    local program <close> = inspected.start(INSPECTED)
    program:line "watches"
    local least, looks = math.huge, 0 -- the least, as in check() above
    repeat
      program:results "probe.begin"
      local reply = program:get("/tasks?limit=100000&filter=sleeper&stack=0")
      assert.equal(200, reply.status)
      local found, seen = reply:json(), {}
      for i, entry in ipairs(found.tasks) do seen[entry.id] = i end
      local count = 0
      for _ in pairs(seen) do count = count + 1 end
      assert.same({ 4000, 4000, 4000 }, { count, #found.tasks, found.count })
      least, looks = math.min(least, (program:results "probe.late")), looks + 1
    until looks >= 2 and least <= 0.005 or looks == 10
    assert.is_true(least <= 0.005, least)
  end)
end)
