-- moonlet.task: starting tasks, joining them, and what a Task tells of itself.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it = support.virtual(it)

local function pack_join(t, ...) return table.pack(t:join(...)) end

describe("task.spawn", function()
  it("never runs the function inline", function()
    local ran = false
    local t = task.spawn(function() ran = true end)
    assert.is_false(ran)
    t:join()
    assert.is_true(ran)
  end)

  it("runs tasks in the order in which they were spawned", function()
    local order, tasks = {}, {}
    for i = 1, 200 do
      tasks[i] = task.spawn(function() order[#order + 1] = i end)
    end
    for _, t in ipairs(tasks) do t:join() end
    for i = 1, 200 do assert.equal(i, order[i]) end
  end)

  it("hands over no argument, one, nil in the middle, and many", function()
    local function echo(...) return select("#", ...), ... end
    assert.same({ true, 0, n = 2 }, pack_join(task.spawn(echo)))
    assert.same({ true, 1, "x", n = 3 }, pack_join(task.spawn(echo, "x")))
    assert.same({ true, 3, 1, nil, 3, n = 5 }, pack_join(task.spawn(echo, 1, nil, 3)))
    assert.same({ true, 2, nil, nil, n = 4 }, pack_join(task.spawn(echo, nil, nil)))
    local many = table.pack(task.spawn(echo, table.unpack({}, 1, 5000)):join())
    assert.equal(5002, many.n)
    assert.equal(5000, many[2])
  end)

  it("takes what can be called for a function", function()
    local callable = setmetatable({}, { __call = function(_, a, b) return a + b end })
    assert.same({ true, 5, n = 2 }, pack_join(task.spawn(callable, 2, 3)))
    assert.same({ true, 7, n = 2 }, pack_join(task.spawn({ name = "sum" }, callable, 3, 4)))
    assert.same({ true, "number", n = 2 }, pack_join(task.spawn(type, 1)))
  end)

  it("gives the task the name of the options", function()
    assert.equal("worker", task.spawn({ name = "worker" }, function() end).name)
    assert.is_nil(task.spawn(function() end).name)
  end)

  it("runs on a private stack when asked", function()
    local function body(n)
      task.yield()
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b)
        task.yield()
        return a < b
      end)
      return n, table.concat(list)
    end
    local tasks = {}
    for i = 1, 10 do tasks[i] = task.spawn({ stack = "private" }, body, i) end
    for i = 1, 10 do assert.same({ true, i, "123", n = 3 }, pack_join(tasks[i])) end
  end)

  it("names the argument and the function when one is wrong", function()
    assert.matches("bad argument #1 to '[%w.]*spawn'", support.message_of(task.spawn))
    assert.matches("bad argument #1 to '[%w.]*spawn'", support.message_of(task.spawn, 5))
    assert.matches("bad argument #2 to '[%w.]*spawn'", support.message_of(task.spawn, {}))
    assert.matches("bad argument #2 to '[%w.]*spawn'", support.message_of(task.spawn, {}, "f"))
    local nothing = function() end
    assert.matches("bad argument #1 to '[%w.]*spawn'.*'stack'",
      support.message_of(task.spawn, { stack = "huge" }, nothing))
    assert.matches("bad argument #1 to '[%w.]*spawn'.*'stack'",
      support.message_of(task.spawn, { stack = {} }, nothing))
    assert.matches("bad argument #1 to '[%w.]*spawn'.*'name'",
      support.message_of(task.spawn, { name = {} }, nothing))
  end)

  it("runs a task that was spawned by one that has ended", function()
    local inner
    task.spawn(function() inner = task.spawn(function() return "still there" end) end):join()
    assert.same({ true, "still there", n = 2 }, pack_join(inner))
  end)
end)

describe("Task:join", function()
  it("returns true and the results, as often as it is asked", function()
    local t = task.spawn(function() return 1, nil, "three", nil end)
    for _ = 1, 3 do assert.same({ true, 1, nil, "three", nil, n = 5 }, pack_join(t)) end
    assert.same({ true, n = 1 }, pack_join(task.spawn(function() end)))
    assert.same({ true, nil, n = 2 }, pack_join(task.spawn(function() return nil end)))
  end)

  it("returns the very value that was raised, and EFAILED", function()
    local value = { "anything" }
    for _, raised in ipairs { value, "text", 42, false } do
      local t = task.spawn({ quiet = true }, function() error(raised, 0) end)
      local failed, err, code = t:join()
      assert.is_nil(failed)
      assert.is_true(rawequal(raised, err))
      assert.equal("EFAILED", code)
    end
    assert.same({ nil, nil, "EFAILED", n = 3 },
      pack_join(task.spawn({ quiet = true }, function() error() end)))
  end)

  it("wakes every joiner", function()
    local go = false
    local t = task.spawn(function()
      while not go do task.yield() end
      return "done"
    end)
    local joiners = {}
    for i = 1, 20 do joiners[i] = task.spawn(function() return i, t:join() end) end
    for _, joiner in ipairs(joiners) do support.parked(joiner) end
    go = true
    for i = 1, 20 do assert.same({ true, i, true, "done", n = 4 }, pack_join(joiners[i])) end
  end)

  it("gives up after its timeout and leaves the task alone", function()
    local go = false
    local t = task.spawn(function()
      while not go do task.sleep(0.001) end
      return 7
    end)
    local start = task.now()
    support.is_failure("ETIMEDOUT", "timeout", t:join(0.02))
    assert.near(0.02, task.now() - start, 1e-6)
    go = true
    assert.same({ true, 7, n = 2 }, pack_join(t))
  end)

  it("neither waits nor switches with the timeout 0", function()
    local ran = false
    local t = task.spawn(function() ran = true end)
    support.is_failure("ETIMEDOUT", "timeout", t:join(0))
    assert.is_false(ran)
    t:join()
    assert.same({ true, n = 1 }, pack_join(t, 0))
  end)

  it("tells a cancellation by its code", function()
    local t = task.spawn(function() task.sleep(1000) end)
    support.parked(t):cancel()
    support.is_failure("ECANCELED", "cancelled", t:join())
  end)

  it("refuses the caller's own task", function()
    assert.matches("cannot join itself", support.message_of(task.current().join, task.current()))
  end)

  it("names the argument and the function when one is wrong", function()
    local t = task.spawn(function() end)
    assert.matches("bad argument #1 to 'join'",
      support.message_of(function() return t:join("soon") end))
    assert.matches("bad argument #1 to 'join'", support.message_of(function() return t.join({}) end))
    assert.matches("join", support.message_of(function() return t.join() end))
  end)
end)

describe("a Task", function()
  it("tells its status", function()
    local running
    local t = task.spawn(function()
      running = task.current():status()
      task.sleep(1000)
    end)
    assert.equal("ready", t:status())
    support.parked(t)
    assert.equal("running", running)
    local done = task.spawn(function() end)
    done:join()
    assert.equal("done", done:status())
    local failed = task.spawn({ quiet = true }, error)
    failed:join()
    assert.equal("failed", failed:status())
    local cancelled = task.spawn(task.sleep, 1000)
    cancelled:cancel()
    cancelled:join()
    assert.equal("cancelled", cancelled:status())
  end)

  it("prints as what it is", function()
    local t = task.spawn({ name = "printer" }, function() end)
    assert.equal(("task 'printer' (#%d) (ready)"):format(t.id), tostring(t))
    t:join()
    assert.equal(("task 'printer' (#%d) (done)"):format(t.id), tostring(t))
    assert.matches("^task #%d+ %(ready%)$", tostring(task.spawn(function() end)))
  end)

  it("has an id that counts up and is never used again", function()
    local last = 0
    for _ = 1, 50 do
      local t = task.spawn(function() end)
      assert.is_true(math.type(t.id) == "integer" and t.id > last)
      last = t.id
      t:join()
    end
  end)

  it("cannot be given fields, and has none but its own", function()
    local t = task.spawn(function() end)
    assert.is_nil(t.nothing)
    assert.is_nil(t[1])
    assert.is_false(pcall(function() t.name = "other" end))
  end)

  it("tells where it waits", function()
    local t = task.spawn({ name = "waiter" }, function()
      task.sleep(1000) -- the line that is told
    end)
    local text = support.parked(t):traceback()
    assert.matches("task 'waiter'", text, 1, true)
    assert.matches("task_spec.lua:%d+", text)
    assert.matches("sleep", text, 1, true)
  end)

  it("tells where it waits inside a coroutine, and who resumed that", function()
    local function innermost() task.sleep(1000) end
    local function outermost() coroutine.wrap(innermost)() end
    local here = debug.getinfo(innermost, "S").linedefined
    local there = debug.getinfo(outermost, "S").linedefined
    local t = support.parked(task.spawn(outermost))
    local text = t:traceback()
    local inner = text:find("task_spec.lua:" .. here, 1, true)
    local outer = text:find("task_spec.lua:" .. there, 1, true)
    assert.is_truthy(inner and outer and inner < outer, text)
  end)

  it("tells its traceback before it ran, while it runs and after it ended", function()
    local t
    t = task.spawn(function() return t:traceback() end)
    assert.matches("task #", t:traceback(), 1, true)
    assert.matches("task_spec.lua", support.finish(t), 1, true)
    assert.matches("task #", t:traceback(), 1, true)
  end)
end)

describe("task.current and task.list", function()
  it("know the caller", function()
    local t
    t = task.spawn(function() return task.current() == t end)
    assert.is_true(support.finish(t))
    assert.equal("main", task.current().name)
    assert.is_true(coroutine.wrap(function() return task.current().name == "main" end)())
  end)

  it("hold every task that has not ended, once", function()
    local before = #task.list()
    local tasks = {}
    for i = 1, 10 do tasks[i] = task.spawn(task.sleep, 1000) end
    local count = {}
    for _, t in ipairs(task.list()) do count[t.id] = (count[t.id] or 0) + 1 end
    for _, t in ipairs(tasks) do assert.equal(1, count[t.id]) end
    assert.equal(before + 10, #task.list())
    for _, t in ipairs(tasks) do
      t:cancel()
      t:join()
    end
    assert.equal(before, #task.list())
  end)
end)

describe("task.locals", function()
  it("are the task's own, the same table each time", function()
    local mine = task.locals()
    assert.equal(mine, task.locals())
    support.finish(task.spawn(function()
      assert.are_not.equal(mine, task.locals())
    end))
  end)

  it("start as a shallow copy of the spawner's", function()
    local shared = {}
    support.finish(task.spawn(function()
      task.locals().shared = shared
      task.locals().user = "ann"
      local child = task.spawn(function()
        assert.equal(shared, task.locals().shared)
        task.locals().user = "bob"
        return coroutine.wrap(function() return task.locals().user end)()
      end)
      task.locals().late = true
      assert.equal("bob", support.finish(child))
      assert.equal("ann", task.locals().user)
      assert.is_nil(support.finish(task.spawn(function()
        task.locals().late = nil
        return support.finish(task.spawn(function() return task.locals().late end))
      end)))
    end))
  end)
end)

describe("a thousand tasks", function()
  it("keep their own locals over many switches", function()
    local tasks = {}
    for i = 1, 1000 do
      tasks[i] = task.spawn(function()
        local sum = 0
        for k = 1, 20 do
          sum = sum + i * k
          task.yield()
        end
        return sum
      end)
    end
    for i = 1, 1000 do assert.equal(i * 210, support.finish(tasks[i])) end
  end)
end)
