--- inspect.waits(): which task waits for which, and deadlocks.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local inspect = require "moonlet.inspect"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

-- Spawns daemons; all end with the test.
local function scene()
  local tasks = {}
  local self = { tasks = tasks }
  function self.start(name, fn, ...)
    local t = task.spawn({ name = name, daemon = true }, fn, ...)
    tasks[#tasks + 1] = t
    return t
  end
  return setmetatable(self, { __close = function()
    for _, t in ipairs(tasks) do t:cancel() end
    for _, t in ipairs(tasks) do t:join() end
  end })
end

-- The hostile build wakes each wait once for nothing.
local function settle() for _ = 1, 20 do task.yield() end end

-- "a>b b>c" of the edges.
local function arrows(graph)
  local list = {}
  for i, e in ipairs(graph.edges) do list[i] = (e.from_name or e.from) .. ">" .. (e.to_name or e.to) end
  table.sort(list)
  return table.concat(list, " ")
end

-- The names in a deadlock, beginning with the first of them.
local function members(deadlock)
  local names, first = {}, 1
  for i, e in ipairs(deadlock.tasks) do
    names[i] = e.name
    if e.name < names[first] then first = i end
  end
  table.move(names, 1, first - 1, #names + 1)
  return table.concat(names, " ", first)
end

describe("inspect.waits", function()
  it("has an edge from a task to the one that it joins, or whose mutex it wants", function()
    local s <close> = scene()
    local mutex = sync.mutex()
    local holder = s.start("holder", function() local guard <close> = mutex:lock() task.sleep(60) end)
    s.start("joiner", function() holder:join(30) end)
    s.start("locker", function() mutex:lock() end)
    settle()
    local graph = inspect.waits()
    assert.equal("joiner>holder locker>holder", arrows(graph))
    assert.equal(2, graph.count)
    assert.same({}, graph.deadlocks)
    local e = graph.edges[1]
    assert.equal("the end of task", e.waits_for)
    assert.equal(holder.id, e.to)
    assert.is_true(e.deadline > 0 and e.deadline <= 30)
    assert.is_nil(graph.edges[2].deadline)
  end)

  it("has an edge to each member of a group that is waited for", function()
    local s <close> = scene()
    s.start("parent", function()
      task.group(function(group)
        for i = 1, 3 do group:spawn({ name = "child" .. i }, task.sleep, 60) end
      end)
    end)
    settle()
    local graph = inspect.waits()
    assert.equal("parent>child1 parent>child2 parent>child3", arrows(graph))
    graph = inspect.waits({ limit = 2 })
    assert.equal(2, #graph.edges)
    assert.equal(3, graph.count)
  end)

  it("finds a deadlock of two mutexes, and the tasks behind it are no part of it", function()
    local s <close> = scene()
    local a, b = sync.mutex(), sync.mutex()
    local first = s.start("first", function() a:lock() task.yield() b:lock() end)
    s.start("second", function() b:lock() task.yield() a:lock() end)
    s.start("behind", function() first:join() end)
    settle()
    local deadlocks = inspect.waits().deadlocks
    assert.equal(1, #deadlocks)
    assert.equal("first second", members(deadlocks[1]))
    assert.is_nil(deadlocks[1].deadline)
    assert.equal("a mutex held by task", deadlocks[1].tasks[1].waits_for)
    assert.is_nil(deadlocks[1].tasks[1].stack)
  end)

  it("says until when two tasks wait for each other if one has a time limit", function()
    local s <close> = scene()
    local a, b = sync.mutex(), sync.mutex()
    s.start("first", function() a:lock() task.yield() b:lock(40) end)
    s.start("second", function() b:lock() task.yield() task.timeout(20, a.lock, a) end)
    settle()
    local deadlocks = inspect.waits().deadlocks
    assert.equal(1, #deadlocks)
    local left = deadlocks[1].deadline
    assert.is_true(left > 0 and left <= 20, left)
  end)

  it("finds deadlocks of joins, and in and across groups", function()
    local s <close> = scene()
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = s.start("j" .. i, function() task.yield() tasks[i % 3 + 1]:join() end)
    end
    local parents = {}
    for _, name in ipairs { "p", "q" } do
      parents[name] = s.start(name, function()
        task.group(function(group)
          group:spawn({ name = "idle" }, task.sleep, 60)
          group:spawn({ name = name .. "1" }, function()
            task.yield()
            parents[name == "p" and "q" or "p"]:join()
          end)
        end)
      end)
    end
    parents.r = s.start("r", function()
      task.group(function(group) group:spawn({ name = "r1" }, function() task.yield() parents.r:join() end) end)
    end)
    settle()
    local found = {}
    for i, d in ipairs(inspect.waits({ limit = 0 }).deadlocks) do found[i] = members(d) end
    table.sort(found)
    assert.same({ "j1 j2 j3", "p p1 q q1", "r r1" }, found)
  end)

  -- The search sees that A waits for D, and D for a row of tasks that ends with C. Meanwhile D gives up and unlocks the
  -- mutex. A gets it, and C, at which the search arrives then, wants it, too, and waits for A.
  it("calls a circle of waits that were not there at the same time no deadlock", function()
    for delay = 0, 20 do
      local s <close> = scene()
      local mutex, go, rows = sync.mutex(), sync.event(), {}
      s.start("A", function()
        for _ = 1, 3 do task.yield() end
        local guard <close> = mutex:lock()
        task.sleep(60)
      end)
      local d = s.start("D", function()
        local guard <close> = mutex:lock()
        rows[1]:join()
      end)
      for i = 1, 8 do rows[i] = s.start("row" .. i, function() rows[i + 1]:join() end) end
      rows[9] = s.start("C", function()
        go:wait()
        local guard <close> = mutex:lock()
      end)
      for _ = 1, 8 do task.yield() end
      s.start("director", function()
        for _ = 1, delay do task.yield() end
        d:cancel()
        go:set()
      end)
      assert.same({}, inspect.waits({ slice = 0 }).deadlocks)
    end
  end)

  it("finds a deadlock while others come and go between its slices", function()
    local s <close> = scene()
    local a, b = sync.mutex(), sync.mutex()
    s.start("first", function() a:lock() task.yield() b:lock() end)
    s.start("second", function() b:lock() task.yield() a:lock() end)
    settle()
    s.start("spawner", function()
      while true do
        local t = task.spawn(task.yield)
        t:join()
      end
    end)
    for _ = 1, 20 do assert.equal(1, #inspect.waits({ slice = 0 }).deadlocks) end
  end)

  it("follows long chains", function()
    local s <close> = scene()
    local tasks = {}
    tasks[1] = s.start("c1", function() task.sleep(0) tasks[3000]:join() end)
    for i = 2, 3000 do tasks[i] = s.start("c" .. i, function() tasks[i - 1]:join() end) end
    settle()
    support.eventually(function() return #inspect.waits({ limit = 0 }).deadlocks == 1 end)
    assert.equal(3000, #inspect.waits({ limit = 0 }).deadlocks[1].tasks)
  end)

  it("has an edge to the task that loads the module, however many tasks there are", function()
    local s <close> = scene()
    function package.preload.loads_for_long() task.sleep(60) end
    for i = 1, 100 do s.start("idle" .. i, task.sleep, 60) end
    s.start("loader", function() require "loads_for_long" end)
    task.yield()
    s.start("requirer", function() require "loads_for_long" end)
    settle()
    local graph = inspect.waits()
    package.preload.loads_for_long = nil
    assert.equal("requirer>loader", arrows(graph))
    assert.equal("a module that is loaded by task", graph.edges[1].waits_for)
  end)

  it("counts deadlocks beyond those with 10,000 members in all", function()
    local s <close> = scene()
    s.start("parent", function()
      local parent = task.current()
      task.group(function(group)
        for _ = 1, 6000 do group:spawn(function() parent:join() end) end
      end)
    end)
    settle()
    support.eventually(function() return inspect.waits({ limit = 0 }).deadlock_count == 6000 end)
    local graph = inspect.waits({ limit = 10 })
    assert.equal(5000, #graph.deadlocks)
    assert.equal(6000, graph.deadlock_count)
    assert.equal(10, #graph.edges)
    assert.equal(12000, graph.count)
  end)

  it("works where no wait is allowed", function()
    local s <close> = scene()
    local t = s.start("t", task.sleep, 60)
    s.start("j", function() t:join() end)
    settle()
    assert.equal("j>t", arrows(task.no_switch(inspect.waits, { slice = 0 })))
  end)

  it("refuses options that it does not know", function()
    assert.error_matches(function() inspect.waits({ group = true }) end, "unknown option 'group'")
  end)
end)
