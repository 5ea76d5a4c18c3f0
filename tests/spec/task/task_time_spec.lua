-- moonlet.task: sleeping and taking turns.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it, it_in_virtual_time = support.limited(it), support.virtual(it)

describe("task.sleep", function()
  it("never returns early", function()
    for _, span in ipairs { 0, 0.0001, 0.001, 0.0137, 0.05 } do
      local start = task.now()
      task.sleep(span)
      assert.is_true(task.now() - start >= span)
    end
  end)

  it("counts from the call, not from the loop's last look at the clock", function()
    -- A sleep right after 60 ms without a switch once ended at once: the loop's idea of "now" was old.
    local busy = os.clock() + 0.06
    while os.clock() < busy do end
    local start = task.now()
    task.sleep(0.03)
    assert.is_true(task.now() - start >= 0.03)
  end)

  it_in_virtual_time("wakes sleepers in the order of their deadlines, whatever the order of their calls", function()
    local order, tasks = {}, {}
    local spans = { 5, 2, 8, 1, 9, 3, 7, 4, 6, 10 }
    local start = task.now() + 0.02
    for i, span in ipairs(spans) do
      tasks[i] = task.spawn(function()
        task.sleep_until(start + span * 0.004)
        order[#order + 1] = span
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
  end)

  it("lets the others run meanwhile, even for 0 and less", function()
    local count = 0
    local counter = task.spawn(function()
      while true do
        count = count + 1
        task.yield()
      end
    end)
    for _, span in ipairs { 0, -1, 0.002, -math.huge } do
      local before = count
      task.sleep(span)
      assert.is_true(count > before)
    end
    counter:cancel()
  end)

  it("sleeps thousands at once, each for its own time", function()
    local tasks = {}
    for i = 1, 3000 do
      local span = (i * 7919 % 1000) / 20000
      tasks[i] = task.spawn(function()
        local start = task.now()
        task.sleep(span)
        return task.now() - start >= span
      end)
    end
    for _, t in ipairs(tasks) do assert.is_true(support.finish(t)) end
  end)

  it_in_virtual_time("sleeps forever for infinity, until it is cancelled", function()
    local t = support.parked(task.spawn(task.sleep, math.huge))
    t:cancel()
    support.is_failure("ECANCELED", nil, t:join())
  end)

  it("names the argument and the function when one is wrong", function()
    for name, fn in pairs { sleep = task.sleep, sleep_until = task.sleep_until } do
      local text = "bad argument #1 to '[%w.]*" .. name .. "'"
      assert.matches(text, support.message_of(fn))
      assert.matches(text, support.message_of(fn, "a while"))
      assert.matches(text, support.message_of(fn, 0 / 0))
    end
  end)
end)

describe("task.sleep_until", function()
  it("returns once task.now() has reached the time", function()
    local at = task.now() + 0.01
    task.sleep_until(at)
    assert.is_true(task.now() >= at)
    task.sleep_until(at - 5)
  end)
end)

describe("task.yield", function()
  it("lets every ready task have one turn, in order", function()
    local order, tasks = {}, {}
    for i = 1, 5 do
      tasks[i] = task.spawn(function()
        for round = 1, 4 do
          order[#order + 1] = round * 10 + i
          task.yield()
        end
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
    local expected = {}
    for round = 1, 4 do
      for i = 1, 5 do expected[#expected + 1] = round * 10 + i end
    end
    assert.same(expected, order)
  end)

  it("does not starve a sleeper", function()
    local woken = false
    task.spawn(function()
      task.sleep(0.01)
      woken = true
    end)
    support.eventually(function()
      for _ = 1, 1000 do task.yield() end
      return woken
    end)
  end)

  it("returns at once, every time, when nobody else can run", function()
    for _ = 1, 10000 do task.yield() end
  end)
end)

describe("task.now", function()
  it("never goes back", function()
    local last = task.now()
    for _ = 1, 1000 do
      local now = task.now()
      assert.is_true(now >= last)
      last = now
    end
  end)
end)
