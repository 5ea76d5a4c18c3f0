--- Mutex, semaphore, event, condition, future: first come first served, nothing half done.

local support = dofile "tests/spec/support.lua"
local it_in_time = support.limited(it) -- by the real clock
local it = support.virtual(it)
local task = require "moonlet.task"
local sync = require "moonlet.sync"

describe("a mutex", function()
  it("lets one in after the other, in the order in which they came", function()
    local mutex, log = sync.mutex(), {}
    local tasks = {}
    mutex:lock()
    for i = 1, 4 do
      tasks[i] = support.parked(task.spawn(function()
        local _ <close> = mutex:lock()
        log[#log + 1] = i
        task.yield()
        log[#log + 1] = i
      end))
    end
    mutex:unlock()
    assert.is_false(mutex:try_lock())
    for i = 1, 4 do support.finish(tasks[i]) end
    assert.are.same({ 1, 1, 2, 2, 3, 3, 4, 4 }, log)
    assert.is_true(mutex:try_lock())
    mutex:unlock()
  end)

  it("gives up after a timeout, and is not taken then", function()
    local mutex = sync.mutex()
    local holder = support.parked(task.spawn(function()
      local _ <close> = mutex:lock()
      task.sleep(30)
    end))
    support.is_failure("ETIMEDOUT", "timeout", mutex:lock(0.001))
    support.is_failure("ETIMEDOUT", "timeout", mutex:lock(0))
    holder:cancel()
    holder:join()
    assert.is_true(mutex:try_lock())
    mutex:unlock()
  end)

  it("is not given to one who was cancelled while waiting", function()
    local mutex = sync.mutex()
    mutex:lock()
    local cancelled = support.parked(task.spawn(mutex.lock, mutex))
    local patient = support.parked(task.spawn(function() mutex:lock() mutex:unlock() return "had it" end))
    cancelled:cancel()
    mutex:unlock()
    assert.are.equal("had it", support.finish(patient))
  end)

  it("cannot be locked twice, nor unlocked by others", function()
    local mutex = sync.mutex()
    assert.is_truthy(support.message_of(mutex.unlock, mutex):find "not locked")
    mutex:lock()
    assert.is_truthy(support.message_of(mutex.lock, mutex):find "holds already")
    local other = task.spawn({ quiet = true }, mutex.unlock, mutex)
    local _, message = other:join()
    assert.is_truthy(tostring(message):find "holds")
    mutex:unlock()
  end)

  it_in_time("that a task dies with is released, with a warning that says where it was made", function()
    local output, status = support.run([[
      local task, sync = require "moonlet.task", require "moonlet.sync"
      local mutex = sync.mutex()
      task.spawn(function() mutex:lock() end):join()
      print(mutex:try_lock())
      mutex:unlock()
    ]], "-W")
    assert.are.equal(0, status)
    assert.is_truthy(output:find("while it held the mutex made at script:2", 1, true))
    assert.is_truthy(output:find("true", 1, true))
  end)
end)

describe("a semaphore", function()
  it("gives as many permits as it has, first come first served", function()
    local semaphore = sync.semaphore(2)
    local inside, most = 0, 0
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(function()
        local _ <close> = semaphore:hold()
        inside = inside + 1
        most = math.max(most, inside)
        task.yield()
        inside = inside - 1
      end)
    end
    for i = 1, 10 do support.finish(tasks[i]) end
    assert.are.equal(2, most)
    assert.are.equal(2, #semaphore)
  end)

  it("loses no permit to a timeout or a cancellation", function()
    local semaphore = sync.semaphore(0)
    support.is_failure("ETIMEDOUT", "timeout", semaphore:acquire(0.001))
    local cancelled = support.parked(task.spawn(semaphore.acquire, semaphore))
    cancelled:cancel()
    semaphore:release()
    cancelled:join()
    assert.are.equal(1, #semaphore)
    assert.is_true(semaphore:acquire())
  end)

  it("that is closed turns away those who wait", function()
    local semaphore = sync.semaphore(0)
    local waiter = support.parked(task.spawn(semaphore.acquire, semaphore))
    semaphore:close()
    support.is_failure("CLOSED", "closed", support.finish(waiter))
    support.is_failure("CLOSED", "closed", semaphore:acquire())
  end)
end)

describe("an event", function()
  for _, count in ipairs { 1, 100, 1000 } do
    it(("that is set and cleared at once still wakes the %d who waited"):format(count), function()
      local event, woken, tasks = sync.event(), 0, {}
      for i = 1, count do
        tasks[i] = task.spawn(function()
          event:wait()
          woken = woken + 1
        end)
      end
      support.parked(tasks[count])
      event:set()
      event:clear()
      for i = 1, count do support.finish(tasks[i]) end
      assert.are.equal(count, woken)
      support.is_failure("ETIMEDOUT", "timeout", event:wait(0))
    end)
  end
end)

describe("a condition", function()
  it("unlocks its mutex while one waits, and wakes the longest waiting", function()
    local mutex = sync.mutex()
    local condition = sync.condition(mutex)
    local log, tasks = {}, {}
    for i = 1, 3 do
      tasks[i] = support.parked(task.spawn(function()
        local _ <close> = mutex:lock()
        condition:wait()
        log[#log + 1] = i
      end))
    end
    mutex:lock()
    condition:notify()
    mutex:unlock()
    support.finish(tasks[1])
    condition:notify_all()
    support.finish(tasks[2])
    support.finish(tasks[3])
    assert.are.same({ 1, 2, 3 }, log)
  end)

  it("holds the mutex again when a wait is cancelled", function()
    local mutex = sync.mutex()
    local condition = sync.condition(mutex)
    local waiter = support.parked(task.spawn(function()
      local _ <close> = mutex:lock()
      condition:wait()
    end))
    mutex:lock()
    waiter:cancel()
    task.yield()
    assert.are.equal("waiting", waiter:status())
    mutex:unlock()
    waiter:join()
    assert.is_true(mutex:try_lock())
    mutex:unlock()
  end)

  it("takes a mutex that its caller holds", function()
    local condition = sync.condition(sync.mutex())
    assert.is_truthy(support.message_of(condition.wait, condition):find "does not hold")
  end)
end)

describe("a future", function()
  it("gives its values to all who get, before and after they are set", function()
    local future = sync.future()
    local early = support.parked(task.spawn(future.get, future))
    support.is_failure("ETIMEDOUT", "timeout", future:get(0.001))
    assert.is_true(future:set(1, nil, 3))
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(support.finish(early)))
    assert.are.same({ n = 3, 1, nil, 3 }, table.pack(future:get()))
    assert.is_false(future:set "again")
  end)

  it("carries an error, unchanged", function()
    local future, oops = sync.future(), {}
    future:fail(oops)
    local value, err, code = future:get()
    assert.is_nil(value)
    assert.are.equal(oops, err)
    assert.are.equal("EFAILED", code)
  end)
end)
