-- Where a task cannot wait, and how deep it can go: always an error of Lua's own kind, never a crash,
-- and nobody else is harmed.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it = support.limited(it)

describe("waiting inside a finalizer", function()
  local function in_finalizer(fn)
    local message
    setmetatable({}, { __gc = function() message = support.message_of(fn) end })
    collectgarbage()
    collectgarbage()
    return message
  end

  it("is an error that says so, whatever would wait", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local other = task.spawn(task.sleep, 1000)
    for _, wait in ipairs {
      function() task.sleep(0.001) end, task.yield, function() here:read() end,
      function() there:write("x") end, function() other:join() end,
    } do
      assert.matches("finalizer (__gc)", in_finalizer(wait), 1, true)
    end
  end)

  it("leaves the collector working", function()
    in_finalizer(task.yield)
    local collected = 0
    for _ = 1, 100 do
      setmetatable({}, { __gc = function() collected = collected + 1 end })
    end
    collectgarbage()
    assert.equal(100, collected)
    local before = collectgarbage "count"
    for _ = 1, 200000 do local _ = {} end
    assert.is_true(collectgarbage "count" < before + 8 * 1024, "no garbage was collected by itself")
  end)

  it("is an error that no pcall catches: a warning, and the task goes on", function()
    local output, status = support.run([[
      local task = require "moonlet.task"
      setmetatable({}, { __gc = function() task.sleep(1) end })
      collectgarbage()
      task.sleep(0.001)
      print "goes on"
    ]], "-W")
    assert.matches("warning: error in .*finalizer %(__gc%)", output)
    assert.matches("goes on", output, 1, true)
    assert.equal(0, status)
  end)

  it("does not forbid to spawn and to cancel there", function()
    local ran
    local victim = support.parked(task.spawn(task.sleep, 1000))
    setmetatable({}, { __gc = function()
      task.spawn(function() ran = true end)
      victim:cancel()
    end })
    collectgarbage()
    collectgarbage()
    support.is_failure("ECANCELED", nil, victim:join())
    support.eventually(function() return ran end)
  end)
end)

describe("a coroutine in which a task waits", function()
  local function parked_in_coroutine()
    local co = coroutine.create(function()
      task.sleep(0.02)
      return "own result"
    end)
    local t = task.spawn(function() return coroutine.resume(co) end)
    support.parked(t)
    return co, t
  end

  it("cannot be resumed by another task, and is unharmed", function()
    local co, t = parked_in_coroutine()
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.equal("normal", coroutine.status(co))
    local ok, result = support.finish(t)
    assert.is_true(ok)
    assert.equal("own result", result)
  end)

  it("cannot be closed by another task, and is unharmed", function()
    local co, t = parked_in_coroutine()
    assert.matches("cannot close a normal coroutine", support.message_of(coroutine.close, co))
    assert.equal("own result", select(2, support.finish(t)))
  end)

  it("survives collections while nothing but the task holds it", function()
    local t = task.spawn(function()
      return coroutine.wrap(function()
        task.sleep(0.01)
        return "alive"
      end)()
    end)
    support.parked(t)
    for _ = 1, 3 do collectgarbage() end
    assert.equal("alive", support.finish(t))
  end)
end)

describe("a task outside any coroutine", function()
  it("cannot yield, also through C", function()
    local text = "attempt to yield from outside a coroutine"
    assert.matches(text, support.message_of(coroutine.yield), 1, true)
    local t = task.spawn({ quiet = true }, function() coroutine.yield(1) end)
    assert.matches(text, tostring(select(2, t:join())), 1, true)
    local bare = task.spawn({ quiet = true }, coroutine.yield)
    assert.equal("EFAILED", select(3, bare:join()))
  end)

  it("is told from a coroutine by coroutine.running", function()
    local main_thread, is_main = coroutine.running()
    assert.equal("thread", type(main_thread))
    assert.is_true(is_main)
    local thread, other_is_main = support.finish(task.spawn(coroutine.running))
    assert.is_false(other_is_main)
    assert.not_equal(main_thread, thread)
  end)

  it("never gets a thread that a script still holds", function()
    local threads = {}
    for i = 1, 100 do
      local thread = support.finish(task.spawn(function() return (coroutine.running()) end))
      assert.is_nil(threads[thread], "thread of task " .. i .. " was used again")
      threads[thread] = true
    end
  end)
end)

describe("recursion", function()
  it("of Lua functions goes 100,000 deep, with waits on the way, in several tasks at once", function()
    local function deep(n)
      if n == 0 then
        task.yield()
        return 0
      end
      if n % 20000 == 0 then task.sleep(0) end
      return 1 + deep(n - 1)
    end
    local tasks = {}
    for i = 1, 4 do tasks[i] = task.spawn(deep, 100000) end
    for i = 1, 4 do assert.equal(100000, support.finish(tasks[i])) end
  end)

  it("without an end is Lua's stack overflow, and the task can go on", function()
    local function endless(n) return 1 + endless(n + 1) end
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = task.spawn(function()
        local ok, message = pcall(endless, 1)
        task.yield()
        return ok, message
      end)
    end
    for i = 1, 4 do
      local ok, message = support.finish(tasks[i])
      assert.is_false(ok)
      assert.matches("stack overflow", message, 1, true)
    end
  end)

  --- Ways to recurse through C; each calls again() one C level deeper.
  local through_c = {
    sort = function(again) table.sort({ 2, 1 }, again) end,
    gsub = function(again) return ("x"):gsub("x", again) end,
    index = function(again) return setmetatable({}, { __index = again }).x end,
    tostring = function(again) tostring(setmetatable({}, { __tostring = again })) end,
    format = function(again) return ("%s"):format(setmetatable({}, { __tostring = again })) end,
    load = function(again) assert(load(again)) end,
    resume = function(again) coroutine.wrap(again)() end,
  }

  for name, recurse in pairs(through_c) do
    it("through " .. name .. " ends with the error of lua5.4, in several tasks at once", function()
      local deepest, bystander_turns, over = 0, 0, false
      local bystander = task.spawn(function()
        while not over do
          bystander_turns = bystander_turns + 1
          task.yield()
        end
        return "unharmed"
      end)
      local function go(depth, seen)
        deepest = math.max(deepest, depth)
        if depth % 30 == 0 then task.yield() end
        return recurse(function()
          local ok, message = pcall(go, depth + 1, seen)
          if not ok and not seen.message then seen.message = message end
          return nil
        end)
      end
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = task.spawn(function()
          local seen = {}
          pcall(go, 1, seen)
          task.yield()
          return tostring(seen.message)
        end)
      end
      for i = 1, 5 do assert.matches("C stack overflow", support.finish(tasks[i]), 1, true) end
      over = true
      assert.equal("unharmed", support.finish(bystander))
      assert.is_true(deepest >= 60 and bystander_turns > 2)
    end)
  end

  it("that no pcall catches ends its own task only", function()
    local function endless() return 1 + endless() end
    local t = task.spawn({ quiet = true }, endless)
    local _, message, code = t:join()
    assert.equal("EFAILED", code)
    assert.matches("stack overflow", message, 1, true)
    assert.equal(1, support.finish(task.spawn(function() return 1 end)))
  end)
end)
