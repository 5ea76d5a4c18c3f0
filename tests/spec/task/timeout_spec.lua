-- task.timeout: a limit over everything that a function does, however deep.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it, it_in_real_time = support.virtual(it), support.limited(it)

-- In a task of its own, which the limit of the test itself does not hold for.
local function it_without_limits(title, body)
  it(title, function() support.finish(task.spawn(body)) end)
end

local function finally(fn) return setmetatable({}, { __close = fn }) end

describe("task.timeout", function()
  it("returns the function's results when it ends in time", function()
    assert.same({ 1, nil, "x", nil, n = 4 },
      table.pack(task.timeout(10, function(...) return ... end, 1, nil, "x", nil)))
    assert.equal(0, select("#", task.timeout(10, function() task.yield() end)))
  end)

  it("cuts the function short and says so", function()
    local start, after = task.now(), false
    assert.same({ nil, "deadline passed", "EDEADLINE", n = 3 },
      table.pack(task.timeout(0.02, function()
        task.sleep(1000)
        after = true
      end)))
    assert.near(0.02, task.now() - start, 1e-6)
    assert.is_false(after)
  end)

  it_without_limits("sets no limit when it is nil or infinite", function()
    for _, limit in ipairs { math.huge, false } do
      assert.equal("done", task.timeout(limit or nil, function()
        assert.equal(math.huge, task.remaining())
        task.sleep(0.002)
        return "done"
      end))
    end
  end)

  it("strikes at the first wait when it is 0 or less", function()
    for _, limit in ipairs { 0, -1 } do
      local reached = false
      local _, _, code = task.timeout(limit, function()
        reached = true
        task.yield()
        return "never"
      end)
      assert.equal("EDEADLINE", code)
      assert.is_true(reached)
    end
  end)

  it_in_real_time("lets results win when the function ended without another wait", function()
    assert.equal("late", task.timeout(0.001, function()
      local busy = task.now() + 0.005
      while task.now() < busy do end
      return "late"
    end))
  end)

  it_in_real_time("works over any blocking call at any depth", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local waits = {
      function() here:read_line() end,
      function() task.current():status() task.spawn({ daemon = true }, task.sleep, 5):join() end,
      function() table.sort({ 3, 2, 1 }, function() task.sleep(5) end) end,
      function() pcall(xpcall, function() task.sleep(5) end, tostring) end,
      function() coroutine.wrap(function() task.sleep(5) end)() end,
      function() while true do task.yield() end end,
    }
    for i, wait in ipairs(waits) do
      assert.equal("EDEADLINE", select(3, task.timeout(0.01, wait)), "wait " .. i)
    end
    for _, t in ipairs(task.list()) do if t ~= task.current() then t:cancel() t:join() end end
  end)

  it("can be told apart when nested: the inner one expires", function()
    assert.same({ "EDEADLINE", "outer goes on" }, { task.timeout(30, function()
      local _, _, code = task.timeout(0.005, task.sleep, 1000)
      task.yield()
      return code, "outer goes on"
    end) })
  end)

  it("can be told apart when nested: the outer one expires", function()
    local inner_returned = false
    local _, _, code = task.timeout(0.005, function()
      task.timeout(30, task.sleep, 1000)
      inner_returned = true
    end)
    assert.equal("EDEADLINE", code)
    assert.is_false(inner_returned)
  end)

  it_in_real_time("ends the outer one when both have expired", function()
    local inner_returned = false
    local _, _, code = task.timeout(0.005, function()
      task.timeout(0.004, function()
        local busy = task.now() + 0.01
        while task.now() < busy do end
        task.yield()
      end)
      inner_returned = true
    end)
    assert.equal("EDEADLINE", code)
    assert.is_false(inner_returned)
  end)

  it("nests to any depth", function()
    local function nest(depth)
      if depth == 0 then return task.sleep(1000) end
      return task.timeout(30 + depth, nest, depth - 1)
    end
    assert.equal("EDEADLINE", select(3, task.timeout(0.01, nest, 50)))
  end)

  it("raises other errors unchanged", function()
    local value = { "mine" }
    local ok, err = pcall(task.timeout, 10, error, value)
    assert.is_false(ok)
    assert.is_true(rawequal(value, err))
    local ok2, err2 = pcall(task.timeout, 10, function()
      task.timeout(0.001, task.sleep, 1000)
      error(value)
    end)
    assert.is_false(ok2)
    assert.is_true(rawequal(value, err2))
  end)

  it("lets a cancellation of the task through", function()
    local survived = false
    local t = support.parked(task.spawn(function()
      task.timeout(30, task.sleep, 1000)
      survived = true
    end))
    t:cancel("from outside")
    support.is_failure("ECANCELED", nil, t:join())
    assert.is_false(survived)
  end)

  it("is level-triggered: every wait in the scope raises once the limit has passed", function()
    local raised = 0
    task.timeout(0.003, function()
      local two <close> = finally(function()
        local one <close> = finally(function() raised = raised + 1 end)
        task.yield()
        raised = raised + 100
      end)
      task.sleep(1000)
    end)
    assert.equal(1, raised)
    task.sleep(0.001)
  end)

  it("raises a cancellation with the code EDEADLINE inside", function()
    local seen
    task.timeout(0.001, function()
      local guard <close> = finally(function(_, err) seen = err end)
      task.sleep(1000)
    end)
    assert.is_true(task.is_cancellation(seen))
    assert.equal("EDEADLINE", seen.code)
    assert.equal("deadline passed", tostring(seen))
  end)

  it("expires even though a handler replaced the error", function()
    assert.equal("EDEADLINE", select(3, task.timeout(0.001, function()
      xpcall(task.sleep, function() return "replaced" end, 1000)
    end)))
  end)

  -- It was lost: nil, "deadline passed", "EDEADLINE".
  it("raises the error of a __close that ran because of it", function()
    local function fail() error("clean-up broke", 0) end
    local function break_off()
      local guard <close> = finally(fail)
      task.sleep(1000)
    end
    for _, limit in ipairs { task.timeout, task.shield } do
      assert.same({ false, "clean-up broke" }, { pcall(limit, 0.001, break_off) })
    end
    assert.same({ false, "clean-up broke" }, { pcall(task.timeout, 0.001, pcall, break_off) })
    assert.same({ false, "clean-up broke" }, { pcall(task.timeout, 0.001, task.timeout, 1000, break_off) })
    assert.same({ false, "clean-up broke" }, { pcall(task.timeout, 0.001, task.group, break_off) })
    assert.same({ false, "clean-up broke" }, { pcall(task.timeout, 0.001, task.race, { break_off }) })
  end)

  it("does not hold for tasks that are spawned inside", function()
    local t
    task.timeout(0.005, function()
      t = task.spawn(function()
        task.sleep(0.02)
        return task.remaining()
      end)
      task.sleep(1000)
    end)
    assert.equal(math.huge, support.finish(t))
  end)

  it("works in many tasks at once, each with its own limit", function()
    local tasks = {}
    for i = 1, 500 do
      tasks[i] = task.spawn(function()
        local start = task.now()
        local limit = (i % 20) / 1000
        local _, _, code = task.timeout(limit, task.sleep, i % 3 == 0 and 0 or 1000)
        assert(i % 3 == 0 and limit > 0 or code == "EDEADLINE")
        assert(i % 3 == 0 or math.abs(task.now() - start - limit) < 1e-6)
      end)
    end
    for _, t in ipairs(tasks) do support.finish(t) end
  end)

  it("names the argument and the function when one is wrong", function()
    assert.matches("bad argument #1 to '[%w.]*timeout'",
      support.message_of(task.timeout, "soon", print))
    assert.matches("bad argument #2 to '[%w.]*timeout'", support.message_of(task.timeout, 1))
    assert.matches("bad argument #2 to '[%w.]*timeout'", support.message_of(task.timeout, 1, 2))
  end)
end)

describe("task.remaining", function()
  it_without_limits("is infinite without a limit", function()
    assert.equal(math.huge, task.remaining())
  end)

  it_without_limits("counts down to the nearest limit, whichever scope sets it", function()
    task.timeout(50, function()
      local outer = task.remaining()
      assert.near(50, outer, 1e-6)
      task.timeout(20, function() assert.near(20, task.remaining(), 1e-6) end)
      task.timeout(100, function() assert.near(50, task.remaining(), 1e-6) end)
      task.sleep(2)
      assert.near(outer - 2, task.remaining(), 1e-6)
    end)
    assert.equal(math.huge, task.remaining())
  end)

  it("is 0, never less, once the limit has passed", function()
    task.timeout(0, function() assert.equal(0, task.remaining()) end)
  end)
end)
