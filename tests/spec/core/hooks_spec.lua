-- The hook of a script and those of the runtime on one thread: each works as if it were alone.

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local libc = require "libc"
local c_hook = require "c_hook"

local function nothing() end

-- What a profiler, a coverage tool and a debugger set.
local HOOKS = { { "", 1 }, { "", 100 }, { "", 100000 }, { "c" }, { "r" }, { "l" }, { "crl", 7 } }

-- Runs fn(...) with that hook on the running thread.
local function hooked(hook, fn, ...)
  debug.sethook(nothing, hook[1], hook[2])
  local results = table.pack(pcall(fn, ...))
  debug.sethook()
  return table.unpack(results, 1, results.n)
end

-- With a hook of the script's own, a call of a C library that was cancelled raised nothing when it returned: a loop of
-- such calls went on for ever, whatever its time limit.
describe("under a hook of the script's own", function()
  for _, hook in ipairs(HOOKS) do
    local name = ("%q, %s"):format(hook[1], hook[2])

    it("a time limit cuts calls of C libraries (" .. name .. ")", function()
      local count = 0
      local ok, value, message, code = hooked(hook, task.timeout, 0.01, function()
        while count < 100 do
          count = count + 1
          libc.sleep(30)
        end
        return "all of them"
      end)
      assert.same({ true, nil, "EDEADLINE", 1 }, { ok, value, code, count }, message)
    end)

    it("it cuts them in a generator that has the hook (" .. name .. ")", function()
      local generator = coroutine.wrap(function()
        return hooked(hook, function()
          libc.sleep(30)
          return "late"
        end)
      end)
      support.is_failure("EDEADLINE", nil, task.timeout(0.01, generator))
    end)

    -- A library with non-blocking descriptors: others run once its function has returned.
    it("slices end (" .. name .. ")", function()
      local left, right = libc.socketpair()
      libc.nonblock(left)
      local turns = support.turns_beside(function()
        hooked(hook, function()
          for _ = 1, 2000 do libc.recv(left, 1) end
        end)
      end)
      libc.close(left)
      libc.close(right)
      assert.is_true(turns >= 3, turns)
    end)
  end
end)

describe("debug.sethook", function()
  it("and debug.gethook agree, whatever is in force besides", function()
    task.timeout(0.001, pcall, libc.sleep, 30) -- leaves a reason behind, or not
    for _, hook in ipairs(HOOKS) do
      debug.sethook(nothing, hook[1], hook[2])
      local fn, mask, count = debug.gethook()
      debug.sethook()
      assert.same({ nothing, hook[1], hook[2] or 0 }, { fn, mask, count })
      assert.is_nil(debug.gethook())
    end
  end)

  it("counts on while calls are cancelled", function()
    local seen = 0
    debug.sethook(function() seen = seen + 1 end, "", 100)
    for _ = 1, 10 do
      task.timeout(0.001, libc.sleep, 30)
      for _ = 1, 10000 do end
    end
    debug.sethook()
    assert.is_true(seen > 900 and seen < 1500, seen)
  end)

  it("counts what is more than a piece in pieces", function()
    local seen = 0
    debug.sethook(function() seen = seen + 1 end, "", 2500)
    for _ = 1, 250000 do end
    debug.sethook()
    assert.is_true(seen >= 99 and seen <= 102, seen)
  end)

  it("is its thread's alone", function()
    local here, there = 0, 0
    local co = coroutine.create(function()
      for _ = 1, 3 do coroutine.yield() end
    end)
    debug.sethook(co, function() there = there + 1 end, "l")
    debug.sethook(function() here = here + 1 end, "r")
    repeat until not coroutine.resume(co)
    debug.sethook()
    assert.is_true(here > 0 and there > 0)
    local fn = debug.gethook(co)
    assert.is_function(fn)
    assert.is_nil(debug.gethook())
  end)

  it("takes hooks that set, remove and raise", function()
    local events = {}
    debug.sethook(function()
      events[#events + 1] = "first"
      debug.sethook(function(event)
        events[#events + 1] = event
        debug.sethook()
      end, "l")
    end, "l")
    local x = 1
    local y = x
    assert.same({ "first", "line" }, events, y)
    local ok, message = pcall(function()
      debug.sethook(function()
        debug.sethook()
        error("from the hook", 0)
      end, "", 1)
      while true do end
    end)
    assert.same({ false, "from the hook" }, { ok, message })
  end)

  it("tells a wrong argument as the stock function does", function()
    for _, arguments in ipairs { { 1, "l" }, { nothing }, { nothing, {} }, { nothing, "l", "x" } } do
      local ok, message = pcall(debug.sethook, table.unpack(arguments))
      assert.is_false(ok)
      assert.matches("bad argument #%d to 'debug.sethook'", message)
    end
  end)

  it("may be called for thousands of threads", function()
    local threads = {}
    for i = 1, 3000 do
      threads[i] = coroutine.create(function() return i end)
      debug.sethook(threads[i], nothing, "crl")
    end
    for i, thread in ipairs(threads) do
      assert.same({ true, i }, { coroutine.resume(thread) })
      assert.equal(nothing, (debug.gethook(thread)))
    end
  end)

  it("of a hook that waits leaves others running", function()
    local order = {}
    task.spawn(function() order[#order + 1] = "other" end)
    debug.sethook(function()
      debug.sethook()
      task.sleep(0.001)
      order[#order + 1] = "hook"
    end, "", 10)
    for _ = 1, 100 do end
    assert.same({ "other", "hook" }, order)
  end)
end)

describe("a hook that C code has set", function()
  it("is called as before while calls are cancelled, and found where it was set", function()
    c_hook.set(100)
    for _ = 1, 10 do
      support.is_failure("EDEADLINE", nil, task.timeout(0.001, libc.sleep, 30))
      for _ = 1, 10000 do end
    end
    local calls, is_there = c_hook.get()
    local name = debug.gethook()
    c_hook.set(0)
    assert.is_true(is_there)
    assert.equal("external hook", name)
    assert.is_true(calls > 900 and calls < 1500, calls)
  end)

  it("set over the runtime's is chained", function()
    local seen = 0
    debug.sethook(function() seen = seen + 1 end, "", 100)
    c_hook.set(100)
    debug.sethook(function() seen = seen + 1 end, "", 100)
    for _ = 1, 10000 do end
    debug.sethook()
    assert.is_true(seen > 90)
    assert.is_nil(debug.gethook())
  end)
end)
