--- What C libraries see of coroutines, and do to them, through Lua's C API: what stock Lua shows them.

local support = dofile "tests/spec/support.lua"
package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local it = support.limited(it)
local task = require "moonlet.task"
local greenlet = require "moonlet.greenlet"
local threads = require "threads"

local OK, YIELD, ERRRUN = 0, 1, 2

-- A coroutine that has yielded its arguments, and yields on from each resume to the next.
local function echo(...)
  local co = coroutine.create(function(...)
    local values = table.pack(...)
    while true do values = table.pack(coroutine.yield(table.unpack(values, 1, values.n))) end
  end)
  assert(coroutine.resume(co, ...))
  return co
end

-- One that has left off inside a C function.
local function inside_sort()
  local co = coroutine.create(function()
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b)
      coroutine.yield(a, b)
      return a < b
    end)
    return table.concat(list)
  end)
  coroutine.resume(co)
  return co
end

describe("lua_status", function()
  -- It was LUA_OK: lgi called functions on the stack of a suspended coroutine, which crashed.
  it("tells a coroutine that has yielded from others", function()
    local co = coroutine.create(function() coroutine.yield() end)
    assert.equal(OK, threads.status(co))
    coroutine.resume(co)
    assert.equal(YIELD, threads.status(co))
    assert.equal(YIELD, threads.status(inside_sort()))
    coroutine.resume(co)
    assert.equal(OK, threads.status(co))
    co = coroutine.create(error)
    coroutine.resume(co)
    assert.equal(ERRRUN, threads.status(co))
  end)

  it("is LUA_OK of what runs, and of what resumed it", function()
    local outer
    outer = coroutine.create(function()
      assert.equal(OK, threads.status((coroutine.running())))
      coroutine.wrap(function() assert.equal(OK, threads.status(outer)) end)()
      return true
    end)
    assert.same({ true, true }, { coroutine.resume(outer) })
    assert.equal(OK, threads.status((coroutine.running())))
  end)

  it("is LUA_YIELD of a task that waits, and of a greenlet that is left", function()
    local thread
    local t = task.spawn(function()
      thread = coroutine.running()
      task.sleep(1000)
    end)
    task.yield()
    assert.equal(YIELD, threads.status(thread))
    t:cancel()
    t:join()
    local g = greenlet.new(function()
      thread = coroutine.running()
      greenlet.current().parent:switch()
    end)
    g:switch()
    assert.equal(YIELD, threads.status(thread))
    g:switch()
  end)
end)

describe("lua_isyieldable", function()
  it("is true where lua_yield works", function()
    assert.is_false(threads.is_yieldable())
    assert.is_true(threads.is_yieldable(echo()))
    assert.is_true(threads.is_yieldable(inside_sort()))
    coroutine.wrap(function() assert.is_true(threads.is_yieldable()) end)()
    coroutine.wrap(function()
      table.sort({ 1, 2 }, function() assert.is_false(threads.is_yieldable()) end)
    end)()
    greenlet.new(function() assert.is_false(threads.is_yieldable()) end):switch()
  end)
end)

describe("lua_resume", function()
  it("goes on with a coroutine that coroutine.yield has left", function()
    local co = echo("first")
    assert.same({ YIELD }, { threads.resume(co) })
    assert.same({ YIELD, "a", "b" }, { threads.resume(co, "a", "b") })
    assert.same({ true, "c" }, { coroutine.resume(co, "c") })
    assert.same({ n = 4, YIELD, nil, false, nil }, table.pack(threads.resume(co, nil, false, nil)))
    assert.equal(YIELD, threads.status(co))
    assert.equal("suspended", coroutine.status(co))
  end)

  it("hands over as many values as there are", function()
    local many = {}
    for i = 1, 10000 do many[i] = i end
    local results = table.pack(threads.resume(echo(), table.unpack(many)))
    assert.equal(10001, results.n)
    assert.equal(10000, results[10001])
  end)

  it("goes on inside a C function, to its end", function()
    local co, steps, results = inside_sort(), 0
    repeat
      results = { threads.resume(co) }
      steps = steps + 1
    until results[1] ~= YIELD
    assert.same({ OK, "123" }, results)
    assert.is_true(steps > 1)
    assert.equal("dead", coroutine.status(co))
    assert.same({ ERRRUN, "cannot resume dead coroutine" }, { threads.resume(co) })
  end)

  it("gives the error of a coroutine that fails", function()
    local err = {}
    local co = coroutine.create(function() error(coroutine.yield()) end)
    coroutine.resume(co)
    local status, value = threads.resume(co, err)
    assert.equal(ERRRUN, status)
    assert.equal(err, value)
    assert.equal(ERRRUN, threads.status(co))
    assert.same({ ERRRUN, "cannot resume dead coroutine" }, { threads.resume(co) })
  end)

  it("leaves out what somebody left on the thread", function()
    local co = echo()
    threads.litter(co)
    assert.same({ YIELD, "a" }, { threads.resume(co, "a") })
    threads.litter(co)
    threads.litter(co)
    assert.same({ YIELD }, { threads.resume(co) })
  end)

  it("refuses what runs, and what resumed it", function()
    local co
    co = coroutine.create(function()
      assert.is_false((coroutine.resume(co)))
      return coroutine.wrap(function() return threads.resume(co) end)()
    end)
    assert.same({ true, ERRRUN, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
  end)

  it("waits when the coroutine does, and others run", function()
    local co, ticks = coroutine.create(function()
      coroutine.yield()
      task.sleep(0.02)
      return "woke"
    end), 0
    coroutine.resume(co)
    local ticker <close> = setmetatable({ task.spawn(function()
      while true do
        ticks = ticks + 1
        task.sleep(0.001)
      end
    end) }, { __close = function(self)
      self[1]:cancel()
      self[1]:join()
    end })
    assert.same({ OK, "woke" }, { threads.resume(co) })
    assert.is_true(ticks > 1)
  end)

  it("serves a library that is a scheduler, many coroutines deep", function()
    local function deep(n)
      if n == 0 then return coroutine.yield "bottom" end
      local co = coroutine.create(deep)
      coroutine.resume(co, n - 1)
      coroutine.yield(n)
      return select(2, threads.resume(co, n))
    end
    local co = coroutine.create(deep)
    coroutine.resume(co, 50)
    assert.same({ OK, 1 }, { threads.resume(co) })
  end)

  it("may come in another task than the one that began the coroutine", function()
    local co = echo()
    for i = 1, 20 do
      local t = task.spawn(function() return threads.resume(co, i) end)
      assert.same({ true, YIELD, i }, { t:join() })
      assert.same({ true, -i }, { coroutine.resume(co, -i) })
    end
  end)

  it("lets a cancellation through", function()
    local co = coroutine.create(function()
      coroutine.yield()
      task.sleep(1000)
    end)
    coroutine.resume(co)
    local caught
    local t = task.spawn(function()
      local status, err = threads.resume(co)
      caught = status == ERRRUN and task.is_cancellation(err)
      error(err, 0)
    end)
    task.yield()
    t:cancel()
    assert.equal("ECANCELED", (select(3, t:join())))
    assert.is_true(caught)
  end)
end)

describe("lua_yield", function()
  it("leaves a coroutine that anybody may resume", function()
    local co = coroutine.create(function(...)
      local values = table.pack(threads.yield(...))
      return coroutine.yield(table.unpack(values, 1, values.n))
    end)
    assert.same({ true, 1, 2 }, { coroutine.resume(co, 1, 2) })
    assert.equal(YIELD, threads.status(co))
    assert.same({ YIELD, 3 }, { threads.resume(co, 3) })
    assert.same({ true, 4, 5 }, { coroutine.resume(co, 4, 5) })
    assert.equal("dead", coroutine.status(co))
  end)

  it("has its continuation called", function()
    local co = coroutine.create(threads.yieldk)
    assert.same({ true, "out" }, { coroutine.resume(co, "out") })
    assert.same({ OK, "in", YIELD, 42 }, { threads.resume(co, "in") })
  end)

  it("is refused in C code that Lua could not yield from, and outside of coroutines", function()
    local co = coroutine.create(function()
      table.sort({ 1, 2 }, function() return threads.yield() end)
    end)
    local _, message = coroutine.resume(co)
    assert.equal("attempt to yield across a C-call boundary", message)
    assert.is_false((pcall(threads.yield)))
  end)
end)

describe("lua_resetthread", function()
  it("closes a suspended coroutine, and its variables", function()
    for _, where in ipairs { pcall, function(fn) table.sort({ 1, 2 }, fn) end } do
      local closed
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        where(function() coroutine.yield() end)
      end)
      coroutine.resume(co)
      assert.same({ OK }, { threads.reset(co) })
      assert.is_true(closed)
      assert.equal("dead", coroutine.status(co))
      assert.equal(OK, threads.status(co))
    end
  end)

  it("gives the error of a closing variable", function()
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() error("no", 0) end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.same({ ERRRUN, "no" }, { threads.reset(co) })
  end)

  it("leaves a thread that serves again", function()
    local co = echo()
    threads.reset(co)
    assert.same({ ERRRUN, "cannot resume dead coroutine" }, { threads.resume(co) })
  end)
end)

describe("a function that a library calls on the thread of a coroutine", function()
  it("may resume that coroutine", function()
    local co, results = echo(), nil
    threads.call_on(co, function() results = { coroutine.resume(co, "x") } end)
    assert.same({ true, "x" }, results)
  end)

  -- Nobody protects the library's call: the error ended the task.
  it("fails to the library's caller", function()
    for _ = 1, 3 do
      local closed = 0
      local results = table.pack(pcall(threads.call_on, echo(), function()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        error("boom", 0)
      end))
      assert.same({ n = 2, false, "boom" }, results)
      assert.equal(1, closed)
    end
    coroutine.wrap(function()
      assert.same({ false, "boom" }, { pcall(threads.call_on, echo(), function() error("boom", 0) end) })
    end)()
    assert.is_true((pcall(task.yield)))
  end)
end)
