--- Dumps while memory is out: an error that says so, and nothing broken.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local faults = require "memory_faults"
local inspect = require "moonlet.inspect"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

-- Calls fn with each of its allocations failing, one after the other, until it needs no more.
local function sweep(fn)
  local n, failures = 0, 0
  repeat
    n = n + 1
    local count
    local ok, message = pcall(function() -- the call itself may need memory, too
      faults.lua(n)
      fn()
      count = faults.lua(0)
    end)
    count = count or faults.lua(0)
    if not ok then
      failures = failures + 1
      assert.equal("not enough memory", message)
    end
  until count < n
  assert.is_true(failures > 3, failures)
  assert.is_true((pcall(fn)))
end

describe("with memory out", function()
  local tasks, mutex = {}, sync.mutex()

  before_each(function()
    mutex:lock()
    for i = 1, 3 do
      tasks[i] = task.spawn({ name = "t" .. i, daemon = true }, function()
        task.locals().k = i
        for _ in coroutine.wrap(function() mutex:lock() end) do end
      end)
    end
    tasks[4] = task.spawn({ daemon = true }, function() tasks[1]:join() end)
    task.yield()
  end)

  after_each(function()
    mutex:unlock()
    for _, t in ipairs(tasks) do t:cancel() end
    for _, t in ipairs(tasks) do t:join() end
  end)

  it("tasks() fails and leaves everything as it was", function()
    sweep(function() inspect.tasks({ slice = 0 }) end)
    assert.equal(5, #inspect.tasks())
  end)

  it("groups fail and leave everything as it was", function()
    sweep(function() inspect.tasks({ group = true, slice = 0 }) end)
  end)

  it("waits() fails and leaves everything as it was", function()
    sweep(function() inspect.waits({ slice = 0 }) end)
  end)
end)
