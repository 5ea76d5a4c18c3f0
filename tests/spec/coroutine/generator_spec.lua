--- coroutine.* on C stacks of their own: a yield works across any C call, and a call that waits inside a
-- generator parks the whole task.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local task = require "moonlet.task"

local yield, wrap = coroutine.yield, coroutine.wrap

-- Bytes of memory that the process has in RAM.
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return pages * 4096
end

local function collect(generator)
  local all = {}
  for value in generator do all[#all + 1] = value end
  return all
end

describe("a generator may yield from inside", function()
  it("a comparator of table.sort", function()
    local list, asked = { 5, 3, 1, 4, 2 }, 0
    local sorter = wrap(function()
      table.sort(list, function(a, b) yield "asked" return a < b end)
      return "sorted"
    end)
    while sorter() == "asked" do asked = asked + 1 end
    assert.are.same({ 1, 2, 3, 4, 5 }, list)
    assert.is_true(asked >= 5)
  end)

  it("a callback of string.gsub", function()
    local generator = wrap(function()
      return (("abc"):gsub(".", function(c) return yield(c) end))
    end)
    assert.are.equal("a", generator())
    assert.are.equal("b", generator("1"))
    assert.are.equal("c", generator("2"))
    assert.are.equal("123", generator("3"))
  end)

  it("metamethods, __gc's neighbours included", function()
    local object = setmetatable({}, {
      __index = function(_, key) return yield("index " .. key) end,
      __tostring = function() return yield "tostring" end,
      __lt = function() return yield "lt" end,
    })
    local generator = wrap(function()
      return object.x .. tostring(object) .. tostring(object < object)
    end)
    assert.are.equal("index x", generator())
    assert.are.equal("tostring", generator "1")
    assert.are.equal("lt", generator "2")
    assert.are.equal("12true", generator(true))
  end)

  it("a reader of load, require, a message handler, a hook", function()
    local generator = wrap(function()
      local pieces = { "return ", "42" }
      local chunk = load(function() yield "load" return table.remove(pieces, 1) end)
      package.preload["support.test_module"] = function() yield "require" return { ok = true } end
      local module = require "support.test_module"
      package.preload["support.test_module"], package.loaded["support.test_module"] = nil, nil
      local _, message = xpcall(error, function(m) yield "handler" return m .. "!" end, "e")
      return chunk(), module.ok, message
    end)
    local seen, results = {}
    repeat
      results = table.pack(generator())
      seen[#seen + 1] = results[1]
    until results.n == 3
    assert.are.same({ "load", "load", "load", "require", "handler", 42 }, seen)
    assert.are.same({ 42, true, "e!", n = 3 }, results)
  end)

  it("another generator's consumer, nested 3,000 deep", function()
    local function nest(depth)
      if depth == 0 then
        yield "deep"
        return "bottom"
      end
      local inner = wrap(nest)
      local value = inner(depth - 1)
      while value == "deep" do
        yield(value)
        value = inner()
      end
      return value
    end
    local generator = wrap(nest)
    assert.are.equal("deep", generator(3000))
    assert.are.equal("bottom", generator())
  end)
end)

describe("a generator", function()
  it("that recurses through others without end gets Lua's error", function()
    local depth, message = 0, nil
    local function recurse()
      depth = depth + 1
      local ok, err = coroutine.resume(coroutine.create(recurse))
      if not ok and not message then message = err end
    end
    recurse()
    assert.are.equal("C stack overflow", message)
    assert.is_true(depth > 9000 and depth < 11000)
  end)

  -- Each may hold 200 levels of C calls: 10,000 of them took 1.2 GB, and more.
  it("that recurses through others, deep in C calls each, gets it before it takes the memory", function()
    local before = resident()
    local function inside(levels, fn)
      if levels == 0 then return fn() end
      return (("x"):gsub("x", function() inside(levels - 1, fn) end))
    end
    local depth = 0
    local function recurse()
      depth = depth + 1
      inside(50, coroutine.wrap(recurse))
    end
    local ok, message = pcall(recurse)
    assert.is_false(ok)
    assert.is_truthy(message:find("C stack overflow$"))
    assert.is_true(depth > 100)
    assert.is_true(resident() - before < 200e6 * (os.getenv "ASAN_OPTIONS" and 4 or 1))
    assert.are.equal(3, coroutine.wrap(function() return coroutine.wrap(function() return 3 end)() end)())
  end)

  it("that waits parks its task, and the others run", function()
    local log = {}
    local other = task.spawn(function()
      for _ = 1, 3 do log[#log + 1] = "other" task.yield() end
    end)
    local generator = wrap(function()
      for i = 1, 3 do
        task.yield()
        log[#log + 1] = i
        yield(i)
      end
    end)
    assert.are.same({ 1, 2, 3 }, collect(generator))
    support.finish(other)
    assert.are.same({ "other", 1, "other", 2, "other", 3 }, log)
  end)

  it("may be resumed by one task and later by another", function()
    local generator = wrap(function()
      for i = 1, 4 do
        task.yield()
        yield(i)
      end
    end)
    assert.are.equal(1, generator())
    assert.are.equal(2, support.finish(task.spawn(generator)))
    assert.are.equal(3, generator())
    assert.are.equal(4, support.finish(task.spawn(generator)))
  end)

  it("that another task is running cannot be resumed, closed, or waited on", function()
    local co = coroutine.create(function() task.sleep(30) end)
    local runner = support.parked(task.spawn(coroutine.resume, co))
    assert.are.equal("normal", coroutine.status(co))
    assert.are.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.has_error(function() coroutine.close(co) end, "cannot close a normal coroutine")
    runner:cancel()
    runner:join()
    assert.are.equal("dead", coroutine.status(co))
  end)

  it("is yieldable inside any C call, a task's own thread never", function()
    assert.is_false(coroutine.isyieldable())
    assert.is_true(wrap(function()
      local answer
      table.sort({ 1, 2 }, function() answer = coroutine.isyieldable() return false end)
      return answer
    end)())
    assert.has_error(function() yield() end, "attempt to yield from outside a coroutine")
  end)

  it("inside a finalizer may yield, but nothing yields out of one", function()
    local inner, outer
    local generator = wrap(function()
      setmetatable({}, { __gc = function()
        inner = wrap(function() yield(7) end)()
        outer = select(2, pcall(yield))
      end })
      collectgarbage()
      collectgarbage()
      return "end"
    end)
    assert.are.equal("end", generator())
    assert.are.equal(7, inner)
    assert.are.equal("attempt to yield across a C-call boundary", outer)
  end)

  it("that is closed inside a sort runs its pending variables once", function()
    local closed = 0
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      table.sort({ 3, 2, 1 }, function() yield() return false end)
    end)
    assert.is_true(coroutine.resume(co))
    assert.is_true(coroutine.close(co))
    assert.are.equal("dead", coroutine.status(co))
    assert.are.equal(1, closed)
    assert.is_true(coroutine.close(co))
    assert.are.equal(1, closed)
  end)

  it("that nobody holds is collected, its stack's copy included", function()
    local weak = setmetatable({}, { __mode = "k" })
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 2000 do
      local co = coroutine.create(function()
        table.sort({ 2, 1 }, function() yield() return false end)
      end)
      coroutine.resume(co)
      weak[co] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    assert.is_true(collectgarbage "count" < before + 500)
  end)

  it("that failed keeps its stack for a traceback", function()
    local co = coroutine.create(function() local function inner() error "boom" end inner() end)
    assert.is_false((coroutine.resume(co)))
    assert.is_truthy(debug.traceback(co):find("in local 'inner'", 1, true)
      or debug.traceback(co):find("in upvalue 'inner'", 1, true))
    local suspended = coroutine.create(function() yield() end)
    coroutine.resume(suspended)
    assert.is_truthy(debug.traceback(suspended):find("in function 'coroutine.yield'", 1, true))
  end)

  it("that ended cannot be resumed again, wrapped or not", function()
    local generator = wrap(function() return 1 end)
    assert.are.equal(1, generator())
    assert.is_truthy(support.message_of(generator):find "cannot resume dead coroutine$")
    -- Its thread serves the next one, which has nothing of it.
    local first = wrap(function(...) return select("#", ...), ... end)
    assert.are.same({ 2, 8, 9 }, { first(8, 9) })
  end)
end)

describe("a cancellation and generators", function()
  it("goes through a generator that waits, whose variables are closed once", function()
    local log = {}
    local t = support.parked(task.spawn(function()
      wrap(function()
        local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
        pcall(task.sleep, 30)
        log[#log + 1] = "swallowed"
      end)()
    end))
    t:cancel()
    assert.are.same({ nil, "cancelled", "ECANCELED" }, { t:join() })
    assert.are.same({ "closed" }, log)
  end)

  it("a time limit opened in a generator is in force only while that runs", function()
    local generator = wrap(function()
      return task.timeout(0.01, function()
        yield "out"
        task.sleep(30)
      end)
    end)
    assert.are.equal("out", generator())
    task.sleep(0.03)
    assert.is_true(task.remaining() > 1)
    local _, _, code = generator()
    assert.are.equal("EDEADLINE", code)
  end)

  it("a time limit around a resume cuts what the generator waits for", function()
    local generator = wrap(function() yield(1) task.sleep(30) end)
    generator()
    assert.are.equal("EDEADLINE", (select(3, task.timeout(0.01, generator))))
  end)
end)
