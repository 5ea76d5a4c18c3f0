--- Groups, shield, queues, pools and the tools for tests.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local is_failure = support.is_failure
local task = require "moonlet.task"
local queue = require "moonlet.queue"
local pool = require "moonlet.pool"
local test = require "moonlet.test"

describe("a group with a body", function()
  it("returns the body's results once all children have ended", function()
    local ended = 0
    assert.are.same({ "body", 3 }, { task.group(function(g)
      for _ = 1, 3 do g:spawn(function() task.yield() ended = ended + 1 end) end
      return "body", #g
    end) })
    assert.are.equal(3, ended)
  end)

  it("raises the first failure unchanged, cancels the rest, and lists later ones", function()
    local oops, closed, group = {}, 0, nil
    local ok, err = pcall(task.group, function(g)
      group = g
      g:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 error "later" end })
        task.sleep(30)
      end)
      g:spawn(function() error(oops) end)
      task.sleep(30)
    end)
    assert.is_false(ok)
    assert.are.equal(oops, err)
    assert.are.equal(1, closed)
    assert.are.equal(1, #group:errors())
  end)

  it("that is cancelled says so if that cut the body", function()
    assert.are.same({ n = 3, nil, "why", "ECANCELED" }, table.pack(task.group(function(g)
      g:spawn(function() g:cancel "why" end)
      task.sleep(30)
    end)))
  end)

  it("is cut by a time limit, children included", function()
    local child
    assert.are.equal("EDEADLINE", (select(3, task.timeout(0.005, task.group, function(g)
      child = g:spawn(task.sleep, 30)
    end))))
    assert.are.equal("cancelled", child:status())
  end)

  it("whose body is dropped with its generator cancels its children and waits for them", function()
    local cancelled = false
    local generator = coroutine.create(function()
      task.group(function(g)
        g:spawn(function()
          local _ <close> = setmetatable({}, { __close = function() cancelled = true end })
          task.sleep(1000)
        end)
        task.yield()
        coroutine.yield()
      end)
    end)
    assert(coroutine.resume(generator))
    assert.is_true(coroutine.close(generator))
    assert.is_true(cancelled)
  end)

  it("takes no more children once it has ended", function()
    local group
    task.group(function(g) group = g end)
    assert.matches("the group has ended", support.message_of(group.spawn, group, print))
  end)

  it("calls the function given for errors, in which nobody may wait, and goes on", function()
    local told, child = {}, nil
    assert.equal("body", task.group({ on_error = function(t, err)
      told[#told + 1] = { t, err, (support.message_of(task.sleep, 0)) }
    end }, function(g)
      child = g:spawn(error, "oops")
      child:on_exit(function() told[#told + 1] = "exit" end)
      task.yield()
      return "body"
    end))
    assert.same({ { child, "oops", "cannot wait while the end of a task is being told" }, "exit" }, told)
  end)

  it("names the argument that is wrong", function()
    assert.matches("bad argument #1 to '[%w.]*group'.*'limit'", support.message_of(task.group, { limit = 0 }))
    assert.matches("bad argument #1 to '[%w.]*group'.*'limit'", support.message_of(task.group, { limit = "x" }))
    assert.matches("bad argument #1 to '[%w.]*group'.*'on_error'", support.message_of(task.group, { on_error = "x" }))
    assert.matches("bad argument #1 to '[%w.]*group'", support.message_of(task.group, 1))
    assert.matches("bad argument #2 to '[%w.]*group'", support.message_of(task.group, {}, 1))
    local g <close> = task.group()
    assert.matches("bad argument #1 to 'spawn'", support.message_of(function() g:spawn(1) end))
  end)

  it("keeps to its limit, also when children are cancelled before they run", function()
    local running, most = 0, 0
    task.group({ limit = 2 }, function(g)
      for i = 1, 10 do
        local child = g:spawn(function()
          running = running + 1
          most = math.max(most, running)
          task.yield()
          running = running - 1
        end)
        if i % 3 == 0 then child:cancel() end
      end
    end)
    assert.is_true(most <= 2)
  end)

  it("may report failures, or hand them to a function, and go on", function()
    local seen
    task.group({ on_error = function(t, err) seen = { t:status(), err } end }, function(g)
      g:spawn(error, "x")
      task.yield()
    end)
    assert.are.same({ "failed", "x" }, seen)
  end)

  it("tells on_error where a child has failed; so does the child, also while its variables are closed", function()
    local seen, inside = {}, nil
    local function fail()
      local _ <close> = setmetatable({}, { __close = function() inside = task.current():traceback() end })
      error "x"
    end
    task.group({ on_error = function(t, _, traceback) seen = { traceback, t:traceback() } end }, function(g)
      g:spawn(fail)
      g:spawn(task.sleep, 3600):cancel()
    end)
    assert.matches("^stack traceback:\n.*group_spec.lua:%d+: in .*\nspawned at task/group_spec.lua:%d+$",
      (seen[1]:gsub("tests/spec/", "")))
    assert.matches("^task #%d+\n", seen[2])
    assert.are.equal(seen[1], seen[2]:match "\n(.*)")
    assert.are.equal(seen[2], inside)
  end)

  it("knows its children until they have ended", function()
    local group <close> = task.group()
    local child = group:spawn(function() return group:has(task.current()) end)
    local stranger = task.spawn(function() return group:has(task.current()) end)
    assert.is_true(group:has(child))
    assert.is_false(group:has(stranger))
    assert.are.same({ true, true }, { child:join() })
    assert.are.same({ true, false }, { stranger:join() })
    assert.is_false(group:has(child))
    assert.is_false(task.group():has(child))
    assert.matches("bad argument #1 to 'has'", support.message_of(function() group:has(5) end))
  end)

  it("says when there is room for a child, and leaves the place free", function()
    local group <close> = task.group { limit = 1 }
    group:room()
    group:room()
    local child = group:spawn(task.sleep, 3600)
    local t = support.parked(task.spawn(function() group:room() end))
    child:cancel()
    support.finish(t)
    group:spawn(task.yield)
    task.group():room()
    is_failure("EDEADLINE", nil, task.timeout(0.001, function()
      local full <close> = task.group { limit = 1 }
      full:spawn(task.sleep, 3600)
      full:room()
    end))
  end)

  it("keeps the names of its children", function()
    local group <close> = task.group()
    local child = group:spawn({ name = "child" }, task.yield)
    assert.are.equal("child", child.name)
    assert.is_nil(group:spawn(task.yield).name)
    assert.matches("task 'child'", tostring(child))
  end)
end)

describe("a group without a body", function()
  it("waits for its children at the end of its block", function()
    local ended = 0
    do
      local g <close> = task.group()
      for _ = 1, 3 do g:spawn(function() task.yield() ended = ended + 1 end) end
    end
    assert.are.equal(3, ended)
  end)

  it("left by an error cancels them first", function()
    local child
    local ok, err = pcall(function()
      local g <close> = task.group()
      child = g:spawn(task.sleep, 30)
      error "left"
    end)
    assert.is_false(ok)
    assert.is_truthy(err:find "left")
    assert.are.equal("cancelled", child:status())
  end)

  it("raises the first failure at its end, and join returns it", function()
    assert.has_error(function()
      local g <close> = task.group()
      g:spawn({ name = "bad" }, error, "child")
    end, "child")
    local g = task.group()
    g:spawn(error, "child")
    assert.are.same({ n = 3, nil, "child", "EFAILED" }, table.pack(g:join()))
    g:spawn(task.sleep, 30)
    g:cancel()
    g:join()
    assert.are.equal(0, #g)
  end)
end)

describe("all, map, race, every, supervise", function()
  it("keep the order, and collect errors", function()
    local results, errors = task.map({ 1, 2, 3 }, function(x)
      if x == 2 then error("two", 0) end
      return x * x
    end, 2)
    assert.are.same({ 1, nil, 9, n = 3 }, results)
    assert.are.same({ nil, "two", n = 3 }, errors)
    assert.are.same({ "a", "b", n = 2 },
      (task.all { function() return "a" end, function() return "b" end }))
  end)

  it("race gives the first, and cancels the others", function()
    local cut
    assert.are.same({ 2, "two" }, { task.race {
      function()
        local _ <close> = setmetatable({}, { __close = function() cut = true end })
        task.sleep(10)
      end,
      function() task.sleep(1) return "two" end,
    } })
    assert.is_true(cut)
  end)

  it("every neither drifts nor overlaps, and skips what it missed", function()
    local start, times = task.now(), {}
    pcall(task.every, 1, function()
      times[#times + 1] = math.floor(task.now() - start + 0.5)
      if #times == 2 then task.sleep(2.5) end
      if #times == 4 then error "enough" end
    end)
    assert.are.same({ 1, 2, 5, 6 }, times)
  end)

  it("supervise starts again what fails, with growing pauses, up to an intensity", function()
    local times, start = {}, task.now()
    assert.are.equal("ok", task.supervise { backoff = { 1, 3 }, fn = function()
      times[#times + 1] = math.floor(task.now() - start + 0.5)
      if #times < 5 then error "again" end
      return "ok"
    end })
    assert.are.same({ 0, 1, 3, 6, 9 }, times)
    assert.has_error(function()
      task.supervise { intensity = { 2, 100 }, fn = function() error("bad", 0) end }
    end, "bad")
  end)
end)

describe("shield, no_switch, pcall, on_exit", function()
  it("shield holds a cancellation off, and only so long", function()
    local log = {}
    local t = support.parked(task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function()
        task.shield(1, function() task.yield() log[#log + 1] = "cleaned up" end)
        log[#log + 1] = pcall(task.yield)
      end })
      task.sleep(30)
    end))
    t:cancel()
    t:join()
    assert.are.same({ "cleaned up" }, log)
    assert.are.equal("EDEADLINE", (select(3, task.shield(0.001, task.sleep, 30))))
  end)

  it("no_switch refuses whatever would wait", function()
    assert.is_truthy(support.message_of(task.no_switch, task.yield):find "no_switch")
    assert.are.equal(5, task.no_switch(function() return 5 end))
  end)

  it("task.pcall returns a cancellation, which stays in force", function()
    local first, second
    local t = support.parked(task.spawn(function()
      first = task.is_cancellation(select(2, task.pcall(task.sleep, 30)))
      second = task.pcall(task.yield)
    end))
    t:cancel()
    t:join()
    assert.is_true(first)
    assert.is_false(second)
  end)

  it("on_exit functions are called once, also for one that never ran", function()
    local log = {}
    local function note(t) log[#log + 1] = t:status() end
    local done, never = task.spawn(function() end), task.spawn(function() end)
    done:on_exit(note)
    never:on_exit(note)
    never:cancel()
    done:join()
    never:join()
    done:on_exit(note)
    assert.are.same({ "done", "cancelled", "done" }, log)
  end)
end)

describe("a queue", function()
  it("gives in its order, and counts what is unfinished", function()
    local function drain(q) local all = {} while #q > 0 do all[#all + 1] = q:get() end return all end
    local expected = { fifo = { 3, 1, 2 }, lifo = { 2, 1, 3 }, priority = { 1, 2, 3 } }
    for order, values in pairs(expected) do
      local q = queue.new { order = order }
      for _, value in ipairs { 3, 1, 2 } do q:put(value) end
      assert.are.equal(values[1], q:peek())
      assert.are.same(values, drain(q))
      support.is_failure("ETIMEDOUT", nil, q:join(0))
      for _ = 1, 3 do q:task_done() end
      assert.is_true(q:join())
    end
  end)

  it("with a capacity makes put wait, and close ends both sides", function()
    local q = queue.new { capacity = 1 }
    q:put "a"
    support.is_failure("ETIMEDOUT", "timeout", q:put("b", 0.001))
    local putter = support.parked(task.spawn(q.put, q, "b"))
    assert.are.equal("a", q:get())
    assert.is_true(support.finish(putter))
    q:close()
    support.is_failure("CLOSED", "closed", q:put "c")
    assert.are.equal("b", q:get())
    support.is_failure("CLOSED", "closed", q:get())
  end)
end)

describe("a queue in a cancelled task", function()
  -- Found by the model test: put looked whether the queue was closed before it looked at its scopes, and join
  -- at what was unfinished.
  it("raises from put and join even if they need not wait", function()
    local q = queue.new { capacity = 1 }
    q:close()
    local log = {}
    local t = task.spawn(function()
      task.current():cancel()
      log[1] = task.is_cancellation(select(2, task.pcall(q.put, q, 1)))
      log[2] = task.is_cancellation(select(2, task.pcall(q.join, q)))
      log[3] = q:join(0)
    end)
    t:join()
    assert.are.same({ true, true, true }, log)
  end)
end)

describe("a pool", function()
  it("leases at most max, uses them again, discards what an error left", function()
    local opened, closed = 0, 0
    local p <close> = pool.new { max = 2,
      open = function() opened = opened + 1 return { close = function() closed = closed + 1 end } end }
    for _ = 1, 3 do
      local lease <close> = p:lease()
      assert.is_not_nil(lease.value)
    end
    assert.are.equal(1, opened)
    pcall(function() local lease <close> = p:lease() error(lease) end)
    assert.are.equal(1, closed)
    local a, b = p:lease(), p:lease()
    support.is_failure("ETIMEDOUT", "timeout", p:lease(0.001))
    a:close()
    b:discard()
    assert.are.equal(2, closed)
  end)
end)

describe("a queue whose values cannot be compared", function()
  -- The place of the value was lost, and one of the others was there twice.
  it("refuses the value and keeps what it has", function()
    local q = queue.new { order = "priority", capacity = 4 }
    for _, value in ipairs { 3, 1, 2 } do q:put(value) end
    for _ = 1, 3 do assert.is_truthy(support.message_of(q.put, q, "text"):find "compare") end
    assert.is_true(q:put(0, 0))
    local all = {}
    for i = 1, 4 do all[i] = q:get(0) end
    assert.are.same({ 0, 1, 2, 3 }, all)
  end)
end)

describe("a pool whose work is cancelled", function()
  local function value(log) return { close = function() log[#log + 1] = "closed" end } end

  -- Runs fn in a task that is cancelled as soon as it waits.
  local function cancelled(fn)
    local t = support.parked(task.spawn(fn))
    t:cancel()
    t:join()
  end

  -- The place was gone until the collector found it.
  it("has its place again when open() was cancelled", function()
    local slow = true
    local p <close> = pool.new { max = 1,
      open = function() if slow then task.sleep(support.patience) end return value {} end }
    cancelled(function() p:lease() end)
    slow = false
    local lease <close> = p:lease(0)
    assert.is_not_nil(lease)
  end)

  it("closes the value whose check() was cancelled, and has its place again", function()
    local log, slow = {}, true
    local p <close> = pool.new { max = 1,
      open = function() return value(log) end,
      check = function() if slow then task.sleep(support.patience) end return true end }
    p:lease():close()
    cancelled(function() p:lease() end)
    assert.are.same({ "closed" }, log)
    slow = false
    local lease <close> = p:lease(0)
    assert.is_not_nil(lease)
  end)

  it("has its place again when close() was cancelled", function()
    local slow = true
    local p <close> = pool.new { max = 1, open = function() return {} end,
      close = function() if slow then task.sleep(support.patience) end end }
    cancelled(function() p:lease():discard() end)
    slow = false
    local lease <close> = p:lease(0)
    assert.is_not_nil(lease)
  end)
end)

describe("a queue's join", function()
  it("raises a cancellation, though there is nothing to wait for", function()
    local q, reached = queue.new(), false
    local t = task.spawn(function()
      task.pcall(task.sleep, support.patience)
      q:join()
      reached = true
    end)
    support.parked(t):cancel()
    t:join()
    assert.is_false(reached)
  end)
end)

describe("the tools for tests", function()
  it("the clock jumps when everybody waits", function()
    local clock <close> = test.virtual_clock()
    local start = task.now()
    task.sleep(60)
    assert.is_true(math.abs(task.now() - start - 60) < 0.001)
    assert.is_not_nil(clock)
  end)

  it("wait_idle returns when all others wait", function()
    local steps = 0
    local t = task.spawn(function() for _ = 1, 100 do task.yield() steps = steps + 1 end task.sleep(30) end)
    test.wait_idle()
    assert.are.equal(100, steps)
    t:cancel()
  end)

  it("leaks names what was left behind", function()
    local check = test.leaks()
    assert.are.same({}, check())
    local t = task.spawn({ name = "left" }, task.sleep, 30)
    assert.is_truthy(check()[1]:find("left", 1, true))
    t:cancel()
    t:join()
    assert.are.same({}, check())
  end)

  it("shuffle changes the order, and a seed reproduces it", function()
    local function order(seed)
      local log = {}
      test.shuffle(seed)
      task.group(function(g) for i = 1, 8 do g:spawn(function() log[#log + 1] = i end) end end)
      test.shuffle(nil)
      return table.concat(log, " ")
    end
    assert.are.equal("1 2 3 4 5 6 7 8", order(nil))
    assert.are.equal(order(42), order(42))
    assert.are_not.equal("1 2 3 4 5 6 7 8", order(42))
  end)
end)

describe("a group whose body is dropped with the generator in which it stands", function()
  -- Its scope went to the next who opened one, and g:cancel() cancelled him.
  it("cancels nobody else", function()
    local group
    local generator = coroutine.create(function()
      task.group(function(g) group = g coroutine.yield() end)
    end)
    coroutine.resume(generator)
    coroutine.close(generator)
    assert.are.equal("untouched", task.timeout(support.patience, function()
      group:cancel()
      task.yield()
      return "untouched"
    end))
  end)
end)

describe("the error of a body that has cancelled its group", function()
  -- Cancellations were counted for all tasks together: one raised elsewhere made the body's own error pass
  -- for the cancellation.
  it("is raised, whoever else was cancelled meanwhile", function()
    local other = task.spawn({ quiet = true }, task.sleep, support.patience)
    local ok, message = pcall(task.group, function(group)
      task.yield()
      other:cancel()
      other:join()
      group:cancel()
      error("its own", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("its own", message)
  end)

  it("is raised, though its children were cancelled while it cleaned up", function()
    local ok, message = pcall(task.group, function(group)
      local child = group:spawn(task.sleep, support.patience)
      task.yield()
      group:cancel()
      task.shield(support.patience, function() child:join() end)
      error("its own", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("its own", message)
  end)
end)
