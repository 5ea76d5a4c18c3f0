--- Accounts of tasks: what each has computed and allocated, while that is asked for.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local core = require "moonlet.inspect.tasks.core"
local inspect = require "moonlet.inspect"
local task = require "moonlet.task"

local function entry_of(t, opts)
  opts = opts or {}
  opts.id = t.id
  return inspect.tasks(opts)[1]
end

local function keep() inspect.tasks({ account = true, limit = 0 }) end
local function stop() inspect.tasks({ account = false, limit = 0 }) end

describe("accounts of tasks", function()
  after_each(stop)

  it("are not kept unless asked for, and are gone afterwards", function()
    assert.is_nil(entry_of(task.current()).cpu)
    assert.is_nil(entry_of(task.current()).allocated)
    keep()
    assert.equal("number", type(entry_of(task.current()).cpu))
    stop()
    assert.is_nil(entry_of(task.current()).cpu)
  end)

  it("have the time that a task's code ran, and not that of its waits and of others", function()
    keep()
    local computed
    local busy = task.spawn({ daemon = true }, function()
      local begin = task.now()
      while task.now() - begin < 0.05 do end
      computed = true
      task.sleep(60)
    end)
    local idle = task.spawn({ daemon = true }, task.sleep, 60)
    support.eventually(function() return computed end)
    task.yield()
    local b, i = entry_of(busy), entry_of(idle)
    busy:cancel() idle:cancel()
    assert.is_true(b.cpu >= 0.05, b.cpu)
    assert.is_true(i.cpu < b.cpu / 2, i.cpu)
    assert.is_true(b.paused >= 0 and b.paused < 30)
    busy:join() idle:join()
  end)

  it("have the bytes that a task allocated, also of what is collected by now", function()
    keep()
    local other = task.spawn({ daemon = true }, task.sleep, 60)
    local eater = task.spawn({ daemon = true }, function()
      for _ = 1, 10 do local _ = ("x"):rep(100000) task.yield() end
      task.sleep(60)
    end)
    for _ = 1, 20 do task.yield() end
    collectgarbage()
    local e, o = entry_of(eater), entry_of(other)
    eater:cancel() other:cancel()
    assert.is_true(e.allocated >= 1000000, e.allocated)
    assert.is_true(o.allocated < 100000, o.allocated)
    eater:join() other:join()
  end)

  it("have the task that spawned it, and the most C frames", function()
    keep()
    local t = task.spawn({ daemon = true }, function()
      table.sort({ 2, 1 }, function(a, b) task.yield() return a < b end)
      task.sleep(60)
    end)
    for _ = 1, 5 do task.yield() end
    local e = entry_of(t)
    t:cancel() t:join()
    assert.equal(task.current().id, e.parent)
    assert.is_true(e.stack_high > e.c_stack, e.stack_high)
  end)

  it("count for the running task up to now", function()
    keep()
    local before = entry_of(task.current()).cpu
    local begin = task.now()
    while task.now() - begin < 0.02 do end
    assert.is_true(entry_of(task.current()).cpu - before >= 0.02)
  end)

  it("begin anew for a task in the slot of one that ended", function()
    keep()
    local first = task.spawn(function()
      local begin = task.now()
      while task.now() - begin < 0.05 do end
      task.yield()
    end)
    first:join()
    local second = task.spawn({ daemon = true }, task.sleep, 60)
    task.yield()
    local e = entry_of(second)
    second:cancel() second:join()
    assert.is_true(e.cpu < 0.05, e.cpu)
  end)

  it("are kept as long as anybody wants them", function()
    core.account(true)
    keep()
    stop()
    assert.is_not_nil(entry_of(task.current()).cpu)
    core.account(false)
    assert.is_nil(entry_of(task.current()).cpu)
    core.account(false)
    keep() keep() stop()
    assert.is_nil(entry_of(task.current()).cpu)
  end)
end)
