-- What C libraries make of a call that was cancelled, shown with LuaSocket.

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

local found, socket = pcall(require, "socket")
if not found then error("the Debian package lua-socket is needed: " .. socket, 0) end
package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local libc = require "libc"

-- Waits, and when poll fails raises "select failed" instead of returning.
local function wait() socket.select(nil, nil, nil) end

-- The outcome of a task that is cancelled while it waits in fn().
local function cancelled(fn)
  local t = support.parked(task.spawn({ quiet = true }, fn))
  t:cancel("enough")
  return { t:join(support.patience) }
end

local CANCELLED = { nil, "cancelled", "ECANCELED" }

-- LuaSocket's select raises an error when it is told ECANCELED. That error went on as if it were the task's own: the
-- task was said to have failed, and task.timeout raised it.
describe("a C function that raises when it is cancelled", function()
  it("leaves its task cancelled", function()
    assert.same(CANCELLED, cancelled(wait))
    assert.same(CANCELLED, cancelled(function() return pcall(wait) end))
    assert.same(CANCELLED, cancelled(function() return coroutine.resume(coroutine.create(wait)) end))
    assert.same(CANCELLED, cancelled(coroutine.wrap(wait)))
  end)

  it("leaves a deadline passed", function()
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, wait))
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, function() return pcall(wait) end))
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, coroutine.wrap(wait)))
  end)

  it("leaves a group cut", function()
    local group
    local result = table.pack(task.group(function(g)
      group = g
      g:spawn(function()
        task.sleep(0.01)
        g:cancel("enough")
      end)
      wait()
    end))
    support.is_failure("ECANCELED", "enough", table.unpack(result, 1, result.n))
    assert.same({}, group:errors())
  end)

  it("does not hide an error of a closing variable, nor one that comes later", function()
    local _, message, code = table.unpack(cancelled(function()
      local _ <close> = setmetatable({}, { __close = function() error("not closed", 0) end })
      wait()
    end), 1, 3)
    assert.same({ "not closed", "EFAILED" }, { message, code })
    local t = task.spawn({ quiet = true }, function()
      support.is_failure("EDEADLINE", nil, task.timeout(0.01, wait))
      task.current():cancel()
      error("later", 0)
    end)
    assert.same({ nil, "later", "EFAILED" }, { t:join(support.patience) })
  end)

  -- The cancellation was raised in the first instruction, or at the first return, of what closes a variable.
  it("does not cut closing variables short", function()
    local steps = {}
    local function clean_up()
      steps[#steps + 1] = tostring("one")
      steps[#steps + 1] = tostring("two")
    end
    local function leave()
      local _ <close> = setmetatable({}, { __close = clean_up })
      wait()
    end
    assert.same(CANCELLED, cancelled(leave))
    assert.same({ "one", "two" }, steps)
    assert.same(CANCELLED, cancelled(function() return pcall(leave) end))
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, leave))
    assert.same({ "one", "two", "one", "two", "one", "two" }, steps)
  end)
end)

-- LuaSocket's sleep sleeps what nanosleep left until nothing is. Cancelled, it asked again and again, all day, and
-- nobody else ran.
describe("a C function that sleeps what is left", function()
  it("ends when it is cancelled", function()
    local start = task.now()
    assert.same(CANCELLED, cancelled(function() socket.sleep(support.patience) end))
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, socket.sleep, support.patience))
    assert.is_true(task.now() - start < support.patience / 2)
  end)
end)

-- Until its time had come it kept the thread with calls that were refused.
describe("a C function that tries again whatever errno says", function()
  it("lets others run until it returns, cancelled", function()
    local outcome
    task.spawn(function() outcome = cancelled(function() libc.sleep_stubbornly(0.2) end) end)
    local ticks = 0
    while not outcome do
      task.sleep(0.005)
      ticks = ticks + 1
    end
    assert.same(CANCELLED, outcome)
    assert.is_true(ticks > 1) -- when it keeps the thread, there is one
  end)
end)
