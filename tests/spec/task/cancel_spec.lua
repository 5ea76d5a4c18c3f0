-- Cancelling a task: where it strikes, what lets it through, what it leaves behind.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local function is_cancelled(t)
  assert.same({ nil, "cancelled", "ECANCELED", n = 3 }, table.pack(t:join(support.patience)))
  assert.equal("cancelled", t:status())
end

--- Starts fn, cancels it once it waits, and returns the task when it has ended.
local function cut(fn, ...)
  local t = support.parked(task.spawn(fn, ...))
  t:cancel()
  is_cancelled(t)
  return t
end

describe("Task:cancel", function()
  it("before the first run never runs the body, and completes joiners", function()
    local ran = false
    local t = task.spawn(function() ran = true end)
    t:cancel()
    local joiner = task.spawn(function() return t:join() end)
    is_cancelled(t)
    assert.same({ nil, "cancelled", "ECANCELED" }, { support.finish(joiner) })
    assert.is_false(ran)
  end)

  it("completes joiners that wait already", function()
    local t = support.parked(task.spawn(task.sleep, 1000))
    local joiners = {}
    for i = 1, 5 do joiners[i] = task.spawn(function() return t:join() end) end
    for _, joiner in ipairs(joiners) do support.parked(joiner) end
    t:cancel()
    for _, joiner in ipairs(joiners) do
      assert.same({ nil, "cancelled", "ECANCELED" }, { support.finish(joiner) })
    end
  end)

  it("returns at once, and nothing", function()
    local t = support.parked(task.spawn(task.sleep, 1000))
    assert.equal(0, select("#", t:cancel()))
    assert.equal("ready", t:status())
  end)

  it("strikes in sleep", function() cut(task.sleep, 1000) end)

  it("strikes in sleep without an end", function() cut(task.sleep, math.huge) end)

  it("strikes in yield", function()
    local t = task.spawn(function() while true do task.yield() end end)
    task.yield()
    t:cancel()
    is_cancelled(t)
  end)

  it("strikes in join, and leaves the joined task alone", function()
    local other = task.spawn(task.sleep, 1000)
    cut(function() other:join() end)
    assert.equal("waiting", other:status())
  end)

  it("strikes in accept, and the listener still serves", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    cut(function() listener:accept() end)
    local client <close> = net.connect(listener:address())
    local server <close> = assert(listener:accept(support.patience))
  end)

  it("strikes in read, and the bytes stay for the next one", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    there:write("half a line, ")
    local t = task.spawn(function() here:read_line() end)
    assert.equal("h", here:read_exactly(1))
    support.parked(t):cancel()
    is_cancelled(t)
    there:write("and the rest\n")
    assert.equal("alf a line, and the rest", here:read_line())
  end)

  it("strikes in write, which is broken then", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    cut(function() here:write(("x"):rep(64 * 1024 * 1024)) end)
    support.is_failure("EPIPE", nil, here:write("more"))
  end)

  it("strikes in a write that waits for its turn, without a byte sent", function()
    support.ends_in_the_queue(function(here) cut(function() here:write("never") end) end)
  end)

  it("strikes in connect", function()
    local listener <close> = net.listen("127.0.0.1", 0, { backlog = 1 })
    local address = listener:address()
    local streams, waiting = {}, nil
    support.eventually(function() -- until the backlog is full
      waiting = task.spawn(function() streams[#streams + 1] = net.connect(address) end)
      waiting:join(0.2)
      return waiting:status() == "waiting"
    end)
    waiting:cancel()
    is_cancelled(waiting)
    for _, s in ipairs(streams) do s:close() end
  end)

  it("is told at every later wait, also at one that would not have to wait", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    there:write("data")
    assert.equal("d", here:read_exactly(1))
    local caught = 0
    local t = task.spawn(function()
      local calls = {
        function() task.sleep(1000) end, function() task.sleep(0) end, task.yield,
        function() here:read_some() end, function() there:write("x") end,
        function() task.spawn(function() end):join() end,
        function() net.connect("127.0.0.1", 1) end, function() net.listen("127.0.0.1", 0) end,
      }
      -- pcall lets it through, so each call but the last is made by the __close of the one before.
      local function after(i)
        if not calls[i] then return end
        local next_call <close> = setmetatable({}, { __close = function() after(i + 1) end })
        local count <close> = setmetatable({}, { __close = function(_, err)
          if task.is_cancellation(err) then caught = caught + 1 end
        end })
        calls[i]()
      end
      after(1)
    end)
    support.parked(t):cancel()
    is_cancelled(t)
    assert.equal(8, caught)
    assert.equal("ata", here:read_exactly(3))
  end)

  it("leaves what never waits alone", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local log = {}
    local t = task.spawn(function()
      task.current():cancel()
      log[1] = task.spawn(function() log[3] = "spawned" end)
      log[2] = here:close()
      task.current():cancel()
      return "ended"
    end)
    assert.same({ true, "ended" }, { t:join() })
    assert.is_true(log[2])
    log[1]:join()
    assert.equal("spawned", log[3])
  end)

  it("of a dead task changes nothing", function()
    local t = task.spawn(function() return 5 end)
    t:join()
    t:cancel("too late")
    assert.same({ true, 5 }, { t:join() })
    assert.equal("done", t:status())
  end)

  it("of the caller's own task strikes at its next wait", function()
    local before, after
    local t = task.spawn(function()
      task.current():cancel()
      before = true
      task.yield()
      after = true
    end)
    is_cancelled(t)
    assert.is_true(before)
    assert.is_nil(after)
  end)

  it("twice, or with reasons, is still one cancellation", function()
    local closed = 0
    local t = support.parked(task.spawn(function()
      local guard <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      task.sleep(1000)
    end))
    t:cancel("one")
    t:cancel("two")
    is_cancelled(t)
    assert.equal(1, closed)
  end)
end)

describe("a cancellation goes through", function()
  local function expect_through(fn)
    local survived = false
    local t = support.parked(task.spawn(function()
      fn()
      survived = true
    end))
    t:cancel()
    is_cancelled(t)
    assert.is_false(survived)
  end
  local function expect_replaced(fn)
    local survived = false
    local t = support.parked(task.spawn({ quiet = true }, function()
      fn()
      survived = true
    end))
    t:cancel()
    support.is_failure("EFAILED", "replaced", t:join())
    assert.is_false(survived)
  end
  local function wait() task.sleep(1000) end
  local function breaker() return setmetatable({}, { __close = function() error("replaced", 0) end }) end

  it("pcall", function() expect_through(function() pcall(wait) end) end)
  it("nested pcalls", function() expect_through(function() pcall(pcall, pcall, wait) end) end)
  it("xpcall", function() expect_through(function() xpcall(wait, function(err) return err end) end) end)

  it("an xpcall whose handler replaces the error value", function()
    expect_through(function() xpcall(wait, function() return "something else" end) end)
  end)

  it("an xpcall whose handler fails", function()
    expect_through(function() xpcall(wait, function() error("in the handler") end) end)
  end)

  -- Its error was lost: the protected call raised the cancellation in its place.
  it("a pcall, and so does the error that a __close raises in its place", function()
    expect_replaced(function()
      pcall(function()
        local b <close> = breaker()
        wait()
      end)
    end)
    expect_replaced(function()
      xpcall(function()
        local b <close> = breaker()
        wait()
      end, debug.traceback)
    end)
  end)

  it("an error handler that catches it and raises its own", function()
    expect_through(function()
      local ok = pcall(function()
        local ok = pcall(wait)
        error(ok)
      end)
    end)
  end)

  it("coroutine.resume", function()
    expect_through(function() coroutine.resume(coroutine.create(wait)) end)
  end)

  it("coroutine.wrap", function()
    expect_through(function() pcall(coroutine.wrap(wait)) end)
  end)

  it("coroutine.wrap, and so does the error that a __close raises in its place", function()
    expect_replaced(function()
      pcall(coroutine.wrap(function()
        local b <close> = breaker()
        wait()
      end))
    end)
    expect_replaced(function()
      coroutine.wrap(function()
        local b <close> = breaker()
        wait()
      end)()
    end)
  end)

  it("coroutine.close", function()
    expect_through(function()
      local co = coroutine.create(function()
        local guard <close> = setmetatable({}, { __close = wait })
        coroutine.yield()
      end)
      coroutine.resume(co)
      coroutine.close(co)
    end)
  end)

  it("load, when its reader waits", function()
    expect_through(function() load(function() wait() end) end)
  end)

  it("require, when the module waits", function()
    package.preload["spec.waiting"] = wait
    expect_through(function() pcall(require, "spec.waiting") end)
    package.preload["spec.waiting"] = nil
  end)

  it("table.sort and string.gsub", function()
    expect_through(function() pcall(table.sort, { 2, 1 }, wait) end)
    expect_through(function() pcall(string.gsub, "x", ".", wait) end)
  end)
end)

describe("a cancelled task", function()
  it("closes its variables once each, innermost first, with the cancellation", function()
    local log = {}
    local function guard(name)
      return setmetatable({}, { __close = function(_, err)
        log[#log + 1] = name .. (task.is_cancellation(err) and "" or "?")
      end })
    end
    cut(function()
      local a <close> = guard "a"
      pcall(function()
        local b <close> = guard "b"
        coroutine.wrap(function()
          local c <close> = guard "c"
          task.sleep(1000)
        end)()
      end)
    end)
    assert.same({ "c", "b", "a" }, log)
  end)
end)

describe("the cancellation", function()
  local function caught(reason, ...)
    local seen
    local t = support.parked(task.spawn(function()
      local guard <close> = setmetatable({}, { __close = function(_, err) seen = err end })
      task.sleep(1000)
    end))
    if reason == nil then t:cancel(...) else t:cancel(reason) end
    t:join()
    return seen
  end

  it("has the code ECANCELED and prints as its message", function()
    local err = caught()
    assert.equal("ECANCELED", err.code)
    assert.equal("cancelled", err.message)
    assert.equal("cancelled", tostring(err))
    assert.is_nil(err.reason)
  end)

  it("tells the reason", function()
    local err = caught("no longer needed")
    assert.equal("no longer needed", err.reason)
    assert.equal("cancelled: no longer needed", tostring(err))
    local reason = { 1, 2 }
    assert.equal(reason, caught(reason).reason)
    assert.equal(false, caught(false).reason)
  end)

  it("is told from other errors by task.is_cancellation", function()
    assert.is_true(task.is_cancellation(caught()))
    for _, value in ipairs { "cancelled", 1, {}, print, setmetatable({}, {}), true } do
      assert.is_false(task.is_cancellation(value))
    end
    assert.is_false(task.is_cancellation(nil))
    assert.matches("bad argument #1 to '[%w.]*is_cancellation'",
      support.message_of(task.is_cancellation))
  end)
end)
