--- inspect.tasks(): every task as data, with what it waits for and its calls.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local greenlet = require "moonlet.greenlet"
local inspect = require "moonlet.inspect"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local HERE = "tests/spec/inspect/tasks_spec.lua"

-- A task that fn(...) runs in, daemon, named; ended with the test.
local function start(name, fn, ...)
  local t = task.spawn({ name = name, daemon = true }, fn, ...)
  return setmetatable({}, { __close = function() t:cancel() t:join() end, __index = { task = t } })
end

local function entry_of(name, opts)
  opts = opts or {}
  opts.filter = "^" .. name .. "$"
  local list, count = inspect.tasks(opts)
  assert.equal(1, count)
  return list[1]
end

local function names_of(stack)
  local names = {}
  for i, call in ipairs(stack) do names[i] = call.omitted and "..." or call.name or call.what end
  return table.concat(names, " ")
end

-- The hostile build wakes each wait once for nothing.
local function settle() for _ = 1, 20 do task.yield() end end

local function line_here() return debug.getinfo(2, "l").currentline end

describe("inspect.tasks", function()
  it("says who a task is, since when, where it was spawned, and where it waits", function()
    local line = line_here() + 1
    local sleeper <close> = start("sleeper", function() task.sleep(60) end)
    settle()
    local e = entry_of "sleeper"
    assert.equal(sleeper.task.id, e.id)
    assert.equal("waiting", e.state)
    assert.equal("the clock", e.waits_for)
    assert.is_nil(e.on)
    assert.matches(HERE .. ":%d+$", e.spawned)
    assert.is_true(e.daemon)
    assert.is_nil(e.cancelled)
    assert.is_true(e.age >= 0 and e.age < 60, e.age)
    assert.is_true(e.deadline > 0 and e.deadline <= 60, e.deadline)
    -- The hostile build wakes its wait once for nothing.
    assert.equal(os.getenv("MOONLET"):find "hostile" and 2 or 1, e.switches)
    assert.is_true(e.c_stack > 0 and e.c_stack < 100000, e.c_stack)
    assert.same({ name = "moonlet.task.sleep", what = "C", strand = 1 }, e.stack[1])
    assert.same({ source = HERE, line = line, defined = line, what = "Lua", strand = 1 }, e.stack[2])
  end)

  it("shows each state, and a task that has not begun at its function", function()
    local line = line_here() + 1
    local new <close> = start("fresh", function() end)
    local e = task.no_switch(entry_of, "fresh") -- else it may begin while others are looked at
    assert.equal("new", e.state)
    assert.equal(0, e.switches)
    assert.same({ { source = HERE, line = line, defined = line, what = "Lua", strand = 1 } }, e.stack)
    assert.equal("running", inspect.tasks({ id = task.current().id })[1].state)
    local yielder <close> = start("yielder", function() while true do task.yield() end end)
    settle()
    assert.equal("ready", entry_of("yielder").state)
    assert.is_nil(entry_of("yielder").waits_for)
  end)

  it("names the task that holds a mutex now, not the one that did when the wait began", function()
    local mutex, go = sync.mutex(), sync.event()
    local function hold() local guard <close> = mutex:lock() go:wait() task.sleep(60) end
    mutex:lock()
    local second <close> = start("second", hold)
    local third <close> = start("third", hold)
    settle()
    assert.same({ task = task.current().id, name = task.current().name }, entry_of("third").on)
    mutex:unlock()
    settle()
    assert.equal("a mutex held by task", entry_of("third").waits_for)
    assert.same({ task = second.task.id, name = "second" }, entry_of("third").on)
  end)

  it("names the task that a join waits for, and a module's loader", function()
    local target <close> = start("target", function() task.sleep(60) end)
    local joiner <close> = start("joiner", function() target.task:join() end)
    settle()
    assert.same({ task = target.task.id, name = "target" }, entry_of("joiner").on)
    package.preload["slow.module"] = function() task.sleep(60) end
    local loader <close> = start("loader", function() require "slow.module" end)
    settle()
    local requirer <close> = start("requirer", function() require "slow.module" end)
    settle()
    assert.same({ task = loader.task.id, name = "loader" }, entry_of("requirer").on)
    package.preload["slow.module"] = nil
  end)

  it("tells the descriptor and its peer", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local accepter <close> = start("accepter", function() return listener:accept() end)
    local reader <close> = start("reader", function()
      local conn <close> = assert(net.connect(listener:address()))
      conn:read_some()
    end)
    local function reads() return (entry_of("reader").waits_for or ""):find "input" end
    while not reads() do task.sleep(0.001) end
    local on = entry_of("reader").on
    assert.equal("127.0.0.1:" .. listener:address().port, on.peer)
    assert.equal("integer", math.type(on.descriptor))
  end)

  it("follows a task through generators and greenlets", function()
    local generating <close> = start("generating", function()
      for _ in coroutine.wrap(function()
        local inner = greenlet.new(function() task.sleep(60) end)
        inner:switch()
      end) do end
    end)
    settle()
    local strands = {}
    for _, call in ipairs(entry_of("generating").stack) do
      if call.what ~= "C" then strands[#strands + 1] = call.strand end
    end
    assert.same({ 1, 2, 3 }, strands)
  end)

  it("names C functions under which a task waits", function()
    local sorting <close> = start("sorting", function()
      table.sort({ 3, 2, 1 }, function(a, b) task.sleep(60) return a < b end)
    end)
    settle()
    assert.equal("moonlet.task.sleep Lua table.sort Lua", names_of(entry_of("sorting").stack))
  end)

  it("shows 30 calls of a deep stack, how many are left out, and 5", function()
    local function deep(n) if n == 0 then task.sleep(60) return 0 end return 1 + deep(n - 1) end
    for _, depth in ipairs { 0, 1, 27, 28, 29, 33, 34, 35, 100, 10000 } do
      local diver <close> = start("diver", deep, depth)
      task.yield()
      local stack, calls = entry_of("diver").stack, depth + 2
      if calls <= 35 then
        assert.equal(calls, #stack)
      else
        assert.equal(36, #stack)
        assert.same({ omitted = calls - 35 }, stack[31])
      end
      assert.equal("moonlet.task.sleep", stack[1].name)
    end
  end)

  it("shows both ends of a deep chain of generators", function()
    local function nest(n)
      if n == 0 then task.sleep(60) end
      for _ in coroutine.wrap(nest), n - 1 do end
    end
    local nested <close> = start("nested", nest, 60)
    settle()
    local stack = entry_of("nested").stack
    assert.equal(36, #stack)
    assert.equal(2 + 2 * 60 - 35, stack[31].omitted)
    assert.equal(61, stack[36].strand)
    assert.equal(61, stack[35].strand)
    assert.equal(60, stack[34].strand)
  end)

  it("shows the plain values of a task's locals", function()
    local local_values <close> = start("locals", function()
      local own = task.locals()
      own.request, own.user, own.done, own.list, own[1] = 17, "eve", false, {}, "unnamed"
      task.sleep(60)
    end)
    settle()
    assert.same({ request = 17, user = "eve", done = false }, entry_of("locals").locals)
  end)

  it("shows the nearest deadline and a cancellation", function()
    local limited <close> = start("limited", function()
      task.timeout(30, function() task.timeout(10, function() task.sleep(60) end) end)
    end)
    local done = sync.event()
    local stubborn <close> = start("stubborn", function()
      local closed <close> = setmetatable({}, { __close = function()
        task.shield(30, function() done:wait() end)
      end })
      task.sleep(60)
    end)
    settle()
    stubborn.task:cancel()
    settle()
    local left = entry_of("limited").deadline
    assert.is_true(left > 0 and left <= 10, left)
    local e = entry_of "stubborn"
    done:set()
    assert.is_true(e.cancelled)
    assert.equal("an event", e.waits_for)
  end)

  it("works where no wait is allowed: in no_switch and in a finalizer", function()
    local list = task.no_switch(inspect.tasks)
    assert.equal("running", list[#list >= 1 and 1].state)
    local seen
    setmetatable({}, { __gc = function() seen = { inspect.tasks({ slice = 0 }) } end })
    collectgarbage()
    assert.is_true(#seen[1] >= 1)
    assert.equal(#seen[1], seen[2])
  end)

  it("works in a coroutine of a hook, and in a cancelled task", function()
    local count
    debug.sethook(function() debug.sethook() count = #inspect.tasks() end, "l")
    local _ = 1
    assert.is_true(count >= 1)
    local result
    local t = task.spawn(function()
      task.current():cancel()
      result = #inspect.tasks({ slice = 0 })
      return true
    end)
    t:join()
    assert.is_true(result >= 1)
  end)

  it("lets others run between slices, and goes on past those that end and begin meanwhile", function()
    local tasks, ended = {}, 0
    for i = 1, 200 do
      tasks[i] = task.spawn({ name = "brief" }, function()
        for _ = 1, i do task.yield() end
        ended = ended + 1
        task.spawn({ name = "later" }, function() task.yield() end)
      end)
    end
    local list, count = inspect.tasks({ slice = 0 })
    assert.is_true(ended > 0, ended)
    assert.equal(#list, count)
    for _, e in ipairs(list) do assert.not_equal("later", e.name) end
    for _, t in ipairs(tasks) do t:join() end
  end)

  it("counts all, and describes as many as the limit says", function()
    local all <close> = start("parent", function()
      local group <close> = task.group()
      for _ = 1, 50 do group:spawn({ name = "child" }, task.sleep, 60) end
      group:join()
    end)
    settle()
    local list, count = inspect.tasks({ filter = "child", limit = 10 })
    assert.equal(10, #list)
    assert.equal(50, count)
    assert.equal(0, #inspect.tasks({ limit = 0 }))
    assert.equal("the tasks of a group", entry_of("parent").waits_for)
  end)

  it("leaves out the calls if asked to", function()
    assert.is_nil(inspect.tasks({ stack = false })[1].stack)
  end)

  it("refuses options that it does not know", function()
    assert.error_matches(function() inspect.tasks({ filters = "x" }) end, "unknown option 'filters'")
    assert.error_matches(function() inspect.tasks({ state = "asleep" }) end, "option 'state' must be")
    assert.error_matches(function() inspect.tasks({ filter = 1 }) end, "option 'filter' must be a pattern")
    assert.error_matches(function() inspect.tasks({ filter = "[" }) end, "malformed pattern")
    assert.error_matches(function() inspect.tasks({ limit = -1 }) end, "option 'limit' must be an integer")
    assert.error_matches(function() inspect.tasks({ limit = 1.5 }) end, "option 'limit' must be an integer")
    assert.error_matches(function() inspect.tasks(1) end, "table expected")
  end)
end)

describe("inspect.tasks with groups", function()
  it("puts tasks with equal stacks together, and tasks in other lines, states, waits apart", function()
    local mutex = sync.mutex()
    mutex:lock()
    local function sleeper() task.sleep(60) end
    local function locker() mutex:lock() end
    local all <close> = start("all", function()
      local group <close> = task.group()
      for _ = 1, 40 do group:spawn({ name = "same" }, sleeper) end
      group:spawn({ name = "same" }, sleeper)
      for _ = 1, 3 do group:spawn({ name = "same" }, locker) end
      group:join()
    end)
    settle()
    local groups, count = inspect.tasks({ group = true, filter = "same" })
    mutex:unlock()
    assert.equal(44, count)
    local counts = {}
    for i, g in ipairs(groups) do counts[i] = g.count end
    assert.same({ 40, 1, 3 }, counts)
    assert.equal(20, #groups[1].tasks)
    assert.equal("the clock", groups[1].waits_for)
    assert.equal("moonlet.task.sleep Lua", names_of(groups[1].stack))
    assert.equal("same", groups[1].tasks[20].name)
    assert.is_nil(groups[1].tasks[20].stack)
    assert.same({ task = task.current().id, name = task.current().name }, groups[3].tasks[3].on)
  end)

  it("counts tasks beyond the most groups", function()
    local groups, count = inspect.tasks({ group = true, limit = 0 })
    assert.equal(0, #groups)
    assert.is_true(count >= 1)
  end)
end)
