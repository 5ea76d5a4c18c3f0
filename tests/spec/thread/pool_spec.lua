--- thread.spawn, thread.map and pools of threads.

-- luacheck: globals calls count total

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local thread = require "moonlet.thread"

local function spin() while true do end end

local function square(n) return n * n end

describe("an object that can be called", function()
  -- A pool took functions only, where thread.call took objects.
  it("is what call, spawn, map and pools take in place of a function: its __call gets a copy of it", function()
    local adder = setmetatable({ n = 5 }, { __metatable = "kept", __call = function(self, a, b)
      return self.n + a + (b or 0), getmetatable(self)
    end })
    local pool <close> = thread.pool { size = 1 }
    assert.same({ 13 }, { thread.call(adder, 7, 1) })
    assert.same({ 13 }, { thread.call({ name = "x" }, adder, 7, 1) })
    assert.same({ true, 12 }, { thread.spawn(adder, 7):join() })
    assert.same({ 13 }, { pool:call(adder, 7, 1) })
    assert.same({ 6, 7, n = 2 }, (pool:map({ 1, 2 }, adder)))
    assert.same({ 6, 7, n = 2 }, (thread.map({ 1, 2 }, adder)))
  end)

  it("is refused when it, or its function, cannot be copied", function()
    local pool <close> = thread.pool { size = 1 }
    local bad = setmetatable({ file = io.stdout }, { __call = square })
    local settings = {}
    local worse = setmetatable({}, { __call = function() return settings end })
    for _, call in ipairs { thread.call, thread.spawn, function(...) return pool:call(...) end } do
      assert.error_matches(function() call(bad, 1) end, "argument #2.file is a userdata")
      assert.error_matches(function() call(worse, 1) end, "argument #1, upvalue 'settings' is a table")
      assert.error_matches(function() call(setmetatable({}, { __index = square }), 1) end, "bad argument #%d to '%w+'")
    end
    assert.error_matches(function() pool:map({}, bad) end, "bad argument #2 to 'map' %(fn.file is a userdata%)")
    assert.error_matches(function() thread.map({}, worse) end, "bad argument #2 to 'map' %(fn, upvalue 'settings'")
    assert.error_matches(function() pool:map({}, {}) end, "bad argument #2 to 'map' %(a function or")
  end)
end)

describe("thread.spawn", function()
  it("gives a task: it is joined, by several, and named", function()
    local t = thread.spawn({ name = "adder" }, function(a, b) return a + b end, 1, 2)
    assert.are.equal("adder", t.name)
    local other = task.spawn(function() return t:join() end)
    assert.are.same({ true, 3 }, { t:join() })
    assert.are.same({ true, true, 3 }, { other:join() })
    assert.are.equal("done", t:status())
  end)

  it("copies at once", function()
    local list = { 1 }
    local t = thread.spawn(function(l) return #l end, list)
    list[2] = 2
    assert.are.same({ true, 1 }, { t:join() })
    assert.has_error(function() thread.spawn({ colour = 1 }, square) end,
      "bad argument #1 to 'spawn' (unknown option 'colour')")
  end)

  it("ends when it is cancelled, also while it computes", function()
    local t = thread.spawn(spin)
    support.parked(t)
    t:cancel "enough"
    local ok, message, code = t:join(support.patience)
    assert.is_nil(ok)
    assert.are.equal("cancelled", message)
    assert.are.equal("ECANCELED", code)
  end)

  it("reports an error once, unless it is joined, with the thread's name", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      thread.spawn({name = "loser"}, function() error "lost" end)
    ]]
    assert.are.equal(1, status)
    assert.matches("task 'loser'.*lost", output)
    local _, count = output:gsub("lost\n", "")
    assert.are.equal(1, count)
  end)

  it("reports errors of tasks inside a thread with its name", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      thread.call({name = "inner"}, function()
        require "moonlet.task".spawn(function() error "inside" end)
      end)
    ]]
    assert.are.equal(1, status)
    assert.matches("thread 'inner': .*inside", output)
  end)
end)

describe("thread.map", function()
  it("keeps the order, and errors apart", function()
    local results, errors, tracebacks = thread.map({ 1, 2, "three", 4 }, function(n)
      if n == "three" then error({ item = n }) end
      return n * n
    end)
    assert.are.same({ 1, 4, nil, 16, n = 4 }, results)
    assert.are.same({ [3] = { item = "three" }, n = 4 }, errors)
    assert.matches("in thread 'map':", tracebacks[3])
    assert.are.same({ n = 0 }, (thread.map({}, square)))
    assert.are.same({ "aaa", n = 1 }, (thread.map({ "aaa" }, "string.lower", 1)))
  end)

  it("refuses a function that cannot be copied", function()
    local settings = {}
    assert.has_error(function() thread.map({ 1, 2 }, function() return settings end) end,
      "bad argument #2 to 'map' (fn, upvalue 'settings' is a table, which is not copied: make it an argument)")
  end)

  it("cancels the calls when it is cancelled", function()
    local started = task.now()
    local _, _, code = task.timeout(0.05, thread.map, { 1, 2, 3 }, spin)
    assert.are.equal("EDEADLINE", code)
    assert.is_true(task.now() - started < support.patience)
  end)

  it("does so many calls at a time", function()
    local results = thread.map({ 1, 2, 3, 4, 5 }, function() count = (count or 0) + 1 return count end, 1)
    assert.are.same({ 1, 2, 3, 4, 5, n = 5 }, results)
    assert.has_error(function() thread.map({}, square, 0) end,
      "bad argument #3 to 'map' (the limit must be a positive integer)")
  end)
end)

describe("a pool of threads", function()
  it("keeps the runtimes, prepared by its setup", function()
    local pool <close> = thread.pool { size = 1, setup = function() total = 100 end }
    local function add(n) total = total + n return total end
    assert.are.equal(101, pool:call(add, 1))
    assert.are.equal(103, pool:call(add, 2))
    assert.are.same({ 104, 106, n = 2 }, (pool:map({ 1, 2 }, add)))
  end)

  it("raises the error of a call, and of a setup", function()
    local pool <close> = thread.pool { size = 1 }
    local ok, err = pcall(pool.call, pool, function() error { code = 1 } end)
    assert.is_false(ok)
    assert.are.same({ code = 1 }, err)
    assert.are.equal(4, pool:call(square, 2))
    local bad <close> = thread.pool { size = 1, setup = function() error("no setup", 0) end }
    for _ = 1, 2 do
      ok, err = pcall(bad.call, bad, square, 2)
      assert.is_false(ok)
      assert.are.equal("no setup", err)
    end
  end)

  it("goes on after values that cannot be copied", function()
    local pool <close> = thread.pool { size = 1 }
    local function f(x) calls = (calls or 0) + 1 return calls, x end
    assert.has_error(function() pool:call(f, print, io.stdout) end)
    local ok, message = pcall(pool.call, pool, function() return io.stdout end)
    assert.is_false(ok)
    assert.are.equal("result #1 is a userdata", message)
    assert.are.equal(1, (pool:call(f)))
  end)

  it("replaces a thread whose call was cancelled, or that has ended", function()
    local pool <close> = thread.pool { size = 1, setup = function() calls = 0 end }
    local function count() calls = calls + 1 return calls end
    assert.are.equal(1, pool:call(count))
    local _, _, code = task.timeout(0.05, pool.call, pool, spin)
    assert.are.equal("EDEADLINE", code)
    assert.are.equal(1, pool:call(count))
    local ok, message = pcall(pool.call, pool, function() os.exit(3, true) end)
    assert.is_false(ok)
    assert.are.equal("the thread has ended with os.exit(3, true)", message)
    assert.are.equal(1, pool:call(count))
  end)

  it("names the line of a caller with wrong arguments, and prints as its name and state", function()
    local pool <close> = thread.pool { size = 1, name = "sums" }
    local reason = "bad argument #%d to '%s' (a function or \"module.function\" expected)"
    local here = "pool_spec.lua:%d+: "
    local function refused(text, fn)
      local _, message = pcall(fn)
      assert.truthy(message:find(here .. text:gsub("%p", "%%%0") .. "$"), message)
    end
    refused(reason:format(1, "call"), function() pool:call(5) end)
    refused(reason:format(2, "map"), function() pool:map({}, "print") end)
    refused(reason:format(2, "map"), function() thread.map({}, 5) end)
    assert.are.equal("thread.pool sums (open)", tostring(pool))
  end)

  it("is nothing to warn of at the end of a program that has closed it, nor is a daemon", function()
    local output, status = support.run([[
      local thread = require "moonlet.thread"
      local pool <close> = thread.pool { size = 1 }
      print(pool:call(function() return 1 end), thread.map({ 2 }, function(n) return n end)[1])
      thread.spawn({ daemon = true }, function() while true do end end)
    ]], "-W")
    assert.are.equal("1\t2\n", output)
    assert.are.equal(0, status)
  end)

  it("has a caller wait while all threads compute", function()
    local pool <close> = thread.pool { size = 2 }
    local calls = {}
    for i = 1, 6 do calls[i] = task.spawn(function() return pool:call(square, i) end) end
    for i = 1, 6 do assert.are.same({ true, i * i }, { calls[i]:join() }) end
  end)

  it("limits the memory of each thread", function()
    local pool <close> = thread.pool { size = 1, memory = 2000000 }
    local ok, message = pcall(pool.call, pool, function() return #("x"):rep(10000000) end)
    assert.is_false(ok)
    assert.are.equal("not enough memory", message)
    assert.are.equal(9, pool:call(square, 3))
    assert.has_error(function() thread.pool { memory = 1 } end,
      "bad argument #1 to 'pool' (option 'memory' must be an integer, 262144 or more)")
  end)

  it("is closed at once; later calls are refused", function()
    local pool = thread.pool { size = 1 }
    assert.are.equal(4, pool:call(square, 2))
    pool:close()
    pool:close()
    assert.has_error(function() pool:call(square, 2) end, "pool: closed")
    assert.are.equal("thread.pool pool (closed)", tostring(pool))
  end)
end)
