--- Nothing taken is lost and nothing given is doubled: whatever callback fails, whatever cuts a call.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local task, sync = require "moonlet.task", require "moonlet.sync"
local queue, pool = require "moonlet.queue", require "moonlet.pool"

-- A value whose block's end calls fn.
local function at_end(fn)
  return setmetatable({}, { __close = fn })
end

-- Runs fn in a task that is cancelled where it waits first; returns how that ended.
local function cancelled(fn)
  local t = support.parked(task.spawn({ quiet = true }, fn))
  t:cancel()
  return t:join()
end

-- What can be got from a queue without waiting.
local function drain(q)
  local all = {}
  for i = 1, math.huge do
    local value = q:get(0)
    if value == nil then return all end
    all[i] = value
  end
end

describe("a group with a limit that has ended", function()
  it("refuses each child as the first", function()
    local ended
    task.group({ limit = 2 }, function(group) ended = group end)
    for _ = 1, 5 do
      assert.is_truthy(support.message_of(ended.spawn, ended, print):find("the group has ended", 1, true))
    end
    ended:room()
  end)

  -- All places are taken when the group ends; whoever waits for one gets none and keeps none.
  it("refuses all who waited for a place in it", function()
    local group = task.group { limit = 1 }
    group:spawn(task.sleep, 1)
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = support.parked(task.spawn({ quiet = true }, group.spawn, group, task.sleep, 1))
    end
    group:cancel()
    local closer = task.spawn({ quiet = true }, function() local _ <close> = group end)
    closer:join()
    for _, t in ipairs(waiting) do t:join() end
    assert.is_false(pcall(group.spawn, group, print))
  end)
end)

describe("task.all and task.map", function()
  it("have a result or an error for each, also of what raised nil or was cancelled", function()
    local results, errors = task.all {
      function() error(nil) end,
      function() task.current():cancel("enough") task.sleep(1) end,
      function() return nil end,
      function() return false end,
      function() error(false) end,
    }
    assert.are.same({ nil, nil, nil, false, nil, n = 5 }, results)
    assert.are.equal("(error object is a nil value)", errors[1])
    assert.is_true(task.is_cancellation(errors[2]))
    assert.are.equal("cancelled: enough", tostring(errors[2]))
    assert.is_nil(errors[3])
    assert.is_nil(errors[4])
    assert.is_false(errors[5])
  end)

  it("have an error for one that was cancelled before it ran", function()
    local before = {}
    for _, t in ipairs(task.list()) do before[t] = true end
    local canceller = task.spawn(function()
      for _, t in ipairs(task.list()) do
        if not before[t] and t ~= task.current() then t:cancel() end
      end
    end)
    local results, errors = task.map({ 1, 2 }, function(x) return x end)
    support.finish(canceller)
    assert.are.same({ n = 2 }, results)
    assert.are.same({ "cancelled", "cancelled", n = 2 }, errors)
  end)

  it("take what can be called, though its metatable is kept from scripts", function()
    local seven = setmetatable({}, { __call = function(_, x) return x or 7 end, __metatable = "locked" })
    assert.are.same({ 7, n = 1 }, (task.all { seven }))
    assert.are.same({ 5, n = 1 }, (task.map({ 5 }, seven)))
    assert.are.same({ 1, 7 }, { task.race { seven } })
    assert.are.equal(7, task.supervise { fn = seven })
    assert.is_truthy(queue.new { order = "priority", less = seven })
    assert.is_truthy(pool.new { open = seven, close = seven, check = seven })
  end)
end)

describe("task.race", function()
  local function first() task.sleep(1) return "first" end

  it("gives what the first gave, whatever the others come to in the same moment", function()
    local start = sync.event()
    local function wins() start:wait() return "first" end
    local function fails_too() start:wait() error("too late", 0) end
    local starter = task.spawn(function() task.sleep(1) start:set() end)
    assert.are.same({ 1, "first" }, { task.race { wins, fails_too, wins } })
    support.finish(starter)
    assert.are.same({ 1, "first" }, { task.race { wins, fails_too } })
  end)

  it("raises the error of one that failed first", function()
    assert.has_error(function()
      task.race { function() task.sleep(2) end, function() task.sleep(1) error("sooner", 0) end }
    end, "sooner")
  end)

  it("reports the error of one that failed as it cleaned up, and gives what the first gave", function()
    local told = {}
    local before = task.on_error(function(_, err) told[#told + 1] = err end)
    local _ <close> = at_end(function() task.on_error(before) end)
    local function untidy()
      local _ <close> = at_end(function() error("untidy", 0) end)
      task.sleep(9)
    end
    assert.are.same({ 1, "first" }, { task.race { first, untidy } })
    assert.are.same({ "untidy" }, told)
  end)

  it("says so when each was cancelled", function()
    support.is_failure("ECANCELED", "cancelled", task.race {
      function() task.current():cancel() task.sleep(1) end })
    support.is_failure("EINVAL", nil, task.race {})
  end)
end)

describe("a group's errors", function()
  it("have a place for each that was nil", function()
    local seen
    pcall(task.group, function(group)
      seen = group
      for _ = 1, 3 do
        group:spawn(function() task.pcall(task.sleep, 1) error(nil) end)
      end
    end)
    assert.are.equal(2, #seen:errors())
  end)
end)

describe("a queue by priority", function()
  -- A queue whose less() calls a function that the test may set.
  local function new_queue(values, capacity)
    local hook = {}
    local q = queue.new { order = "priority", capacity = capacity, less = function(a, b)
      if hook.call then hook.call() end
      return a < b
    end }
    for _, value in ipairs(values) do q:put(value) end
    return q, hook
  end

  for count = 0, 9 do
    it(("of %d values loses none when a comparison fails, whichever"):format(count + 1), function()
      local values = {}
      for i = 1, count + 1 do values[i] = (i * 7) % 10 end
      local expected = table.move(values, 1, #values, 1, {})
      table.sort(expected)
      for which = 1, 12 do
        local q, hook = new_queue(values, count + 2)
        local left = which
        function hook.call()
          left = left - 1
          if left == 0 then error("no comparison", 0) end
        end
        local got, value = pcall(q.get, q)
        hook.call = nil
        assert.are.equal(got and count or count + 1, #q)
        if got then q:put(value) end
        left = which
        function hook.call()
          left = left - 1
          if left == 0 then error("no comparison", 0) end
        end
        local put = pcall(q.put, q, -1, 0)
        hook.call = nil
        if not put then assert.is_true(q:put(-1, 0)) end -- the room is there
        support.is_failure("ETIMEDOUT", nil, q:put(-1, 0)) -- and not twice
        assert.are.equal(-1, q:get(0))
        assert.are.same(expected, drain(q))
      end
    end)
  end

  it("loses none to a cancellation inside a comparison that waits", function()
    local q, hook = new_queue({ 3, 1, 2, 6, 5, 4 }, 7)
    hook.call = function() task.sleep(1) end
    cancelled(function() q:get() end)
    assert.are.equal("EDEADLINE", (select(3, task.timeout(0.5, q.get, q))))
    cancelled(function() q:put(0) end)
    hook.call = nil
    assert.are.equal(6, #q)
    assert.is_true(q:put(7, 0))
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7 }, drain(q))
  end)

  it("is in order when several put and get while comparisons wait", function()
    local q, hook = new_queue { 5, 3, 9, 1 }
    hook.call = task.yield
    local got, tasks = {}, {}
    for i = 1, 6 do
      tasks[#tasks + 1] = task.spawn(q.put, q, i * 2)
      tasks[#tasks + 1] = task.spawn(function()
        local value = q:get()
        got[#got + 1] = value
      end)
    end
    for _, t in ipairs(tasks) do support.finish(t) end
    hook.call = nil
    local rest = drain(q)
    for i = 2, #rest do assert.is_true(rest[i - 1] <= rest[i]) end
    local all = table.move(rest, 1, #rest, #got + 1, got)
    table.sort(all)
    assert.are.same({ 1, 2, 3, 4, 5, 6, 8, 9, 10, 12 }, all)
  end)

  it("that is closed while put compares takes no value any more", function()
    local q, hook = new_queue { 1, 2 }
    hook.call = task.yield

    local putter = task.spawn(q.put, q, 0)
    task.yield()
    q:close()
    support.is_failure("CLOSED", "closed", support.finish(putter))
    hook.call = nil
    assert.are.same({ 1, 2 }, drain(q))
    support.is_failure("CLOSED", "closed", q:get())
  end)
end)

describe("queue:values", function()
  it("gives each value until the queue is closed and empty", function()
    local q, got = queue.new(), {}
    local consumer = task.spawn(function() for value in q:values() do got[#got + 1] = value end end)
    for _, value in ipairs { "a", false, 3 } do q:put(value) end
    q:close()
    support.finish(consumer)
    assert.are.same({ "a", false, 3 }, got)
  end)
end)

describe("a pool that is closed", function()
  -- A pool with three idle values; close(n) is called with how many were closed before.
  local function idle_pool(close)
    local count = { open = 0, closing = 0 }
    local p = pool.new { max = 4,
      open = function() count.open = count.open + 1 return {} end,
      close = function()
        count.closing = count.closing + 1
        close(count.closing)
        count.open = count.open - 1
      end }
    local leases = {}
    for i = 1, 3 do leases[i] = p:lease() end
    for i = 1, 3 do leases[i]:close() end
    return p, count
  end

  it("closes every value, and raises the first error", function()
    local p, count = idle_pool(function(n) if n < 3 then error("failure " .. n, 0) end end)
    assert.are.same({ false, "failure 1" }, { pcall(p.close, p) })
    assert.are.equal(3, count.closing)
    assert.is_true(pcall(p.close, p))
    assert.are.equal(3, count.closing)
  end)

  it("raises an error that is nil, too", function()
    local p, count = idle_pool(function() error(nil) end)
    assert.is_false(pcall(p.close, p))
    assert.are.equal(3, count.closing)
  end)

  it("by a cancelled task closes every value, though that waits", function()
    local p, count = idle_pool(function() task.sleep(1) end)
    cancelled(function()
      local _ <close> = p
      task.sleep(30)
    end)
    assert.are.equal(0, count.open)
  end)

  it("gives up a value whose closing takes too long, and goes on", function()
    local p, count = idle_pool(function(n) if n == 1 then task.sleep(math.huge) end end)
    assert.is_truthy(support.message_of(p.close, p):find("could not be closed", 1, true))
    assert.are.equal(1, count.open)
  end)

  it("looks at the caller's cancellation first", function()
    local p = idle_pool(function() end)
    p:close()
    local t = task.spawn(function() task.current():cancel() p:lease() end)
    assert.are.equal("ECANCELED", (select(3, t:join())))
    support.is_failure("CLOSED", "closed", p:lease())
  end)

  it("closes a value that came back, whatever cancels its user", function()
    local closed = 0
    local p = pool.new { open = function() return {} end,
      close = function() task.yield() closed = closed + 1 end }
    cancelled(function()
      local _ <close> = p:lease()
      task.sleep(30)
    end)
    assert.are.equal(1, closed)
    assert.are.equal(10, #p.places)
  end)
end)

describe("coroutine.close", function()
  -- A coroutine that is suspended with a closing variable that waits.
  local function suspended(log)
    local co = coroutine.create(function()
      local _ <close> = at_end(function() log[#log + 1] = "outer" end)
      local _ <close> = at_end(function() task.sleep(1) log[#log + 1] = "inner" end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    return co
  end

  it("that is cut by a cancellation leaves the coroutine dead, all its variables closed", function()
    local log = {}
    local co = suspended(log)
    cancelled(function() coroutine.close(co) end)
    assert.are.same({ "outer" }, log)
    assert.are.equal("dead", coroutine.status(co))
    assert.are.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    assert.are.same({ true }, { coroutine.close(co) })
  end)

  it("that is under way in one task is no chance for another", function()
    local log = {}
    local co = suspended(log)
    local closer = support.parked(task.spawn(coroutine.close, co))
    assert.is_false((coroutine.resume(co)))
    assert.is_false((pcall(coroutine.close, co)))
    assert.are.same({ true }, { support.finish(closer) })
    assert.are.same({ "inner", "outer" }, log)
  end)
end)

describe("a semaphore", function()
  it("refuses more permits than an integer counts, and keeps what it has", function()
    local semaphore = sync.semaphore(math.maxinteger)
    assert.is_truthy(support.message_of(semaphore.release, semaphore):find "more permits")
    assert.are.equal(math.maxinteger, #semaphore)
    assert.is_true(semaphore:acquire(0))
    assert.is_truthy(support.message_of(semaphore.release, semaphore, 2):find "more permits")
    semaphore:release()
    assert.are.equal(math.maxinteger, #semaphore)
  end)

  it("is given the largest number of permits in one step, those who wait first", function()
    local semaphore = sync.semaphore(0)
    local waiting = {}
    for i = 1, 3 do waiting[i] = support.parked(task.spawn(semaphore.acquire, semaphore)) end
    semaphore:release(math.maxinteger)
    for _, t in ipairs(waiting) do assert.is_true(support.finish(t)) end
    assert.are.equal(math.maxinteger - 3, #semaphore)
  end)

  it("that has all the permits there are takes back one that was held, and has no more", function()
    local semaphore = sync.semaphore(1)
    local permit = semaphore:hold()
    semaphore:release(math.maxinteger)
    permit:close()
    assert.are.equal(math.maxinteger, #semaphore)
  end)
end)
