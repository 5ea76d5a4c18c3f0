--- task.blocking: C functions on worker threads.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local libc = require "libc"

local function is_refused(text, ...)
  local ok, message = pcall(task.blocking, ...)
  assert.is_false(ok)
  assert.is_truthy(message:find(text, 1, true), message)
end

describe("task.blocking", function()
  it("runs a C function on another thread, several at once, while tasks go on", function()
    local start, tasks, long = task.now(), {}, 3 * support.patience
    for i = 1, 10 do tasks[i] = task.spawn(task.blocking, libc.block, long, i) end
    local ticker = task.spawn({ daemon = true }, function()
      for _ = 1, 10 do task.sleep(0.001) end
      while true do
        libc.unblock()
        task.sleep(0.001)
      end
    end)
    for i = 1, 10 do assert.same({ true, long, i, n = 3 }, table.pack(tasks[i]:join())) end
    assert.is_true(task.now() - start < support.patience)
    ticker:cancel()
  end)

  it("queues what is more than there are workers", function()
    local tasks = {}
    for i = 1, 100 do tasks[i] = task.spawn(task.blocking, libc.block, 0.01, i) end
    for i = 1, 100 do assert.same({ true, 0.01, i, n = 3 }, table.pack(tasks[i]:join())) end
  end)

  it("carries plain values both ways", function()
    local long = ("\0x"):rep(100)
    assert.same({ 0, 1, -2.5, true, false, "", long, nil, n = 8 },
      table.pack(task.blocking(libc.block, 0, 1, -2.5, true, false, "", long, nil)))
    assert.equal("integer", math.type((select(2, task.blocking(libc.block, 0, 1)))))
    assert.equal("float", math.type((select(2, task.blocking(libc.block, 0, 1.0)))))
  end)

  it("raises what the function raises", function()
    is_refused("it failed", libc.block, 0, "fail")
    is_refused("number expected", libc.block, "x")
  end)

  it("refuses what cannot run or go there", function()
    is_refused("(function expected, got no value)")
    is_refused("(a C function expected, got one in Lua", function() end)
    is_refused("this C function has values of its Lua state", libc.bound)
    is_refused("belongs to its Lua state or to its task", task.sleep, 1)
    is_refused("belongs to its Lua state or to its task", coroutine.running)
    is_refused("belongs to its Lua state or to its task", load, "return 1")
    -- In a state that knew nothing of files or of tasks they ended the process with a SIGSEGV.
    is_refused("belongs to its Lua state or to its task", io.read)
    is_refused("belongs to its Lua state or to its task", os.exit)
    is_refused("(a table cannot go to another thread)", libc.block, 0, {})
    is_refused("a table cannot come from another thread (result #3)", libc.block, 0, "table")
    task.no_switch(function() is_refused("task.no_switch", libc.block, 0) end)
  end)

  it("lets go of a call when its task is cancelled", function()
    local start = task.now()
    assert.equal("EDEADLINE", (select(3, task.timeout(0.02, task.blocking, libc.block, 3 * support.patience))))
    assert.is_true(task.now() - start < support.patience)
    assert.equal(0, (task.blocking(libc.block, 0)))
  end)

  it("does not hold up the end of the program", function()
    local start = os.time()
    local output, status = support.run([[
      package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
      local libc, task = require "libc", require "moonlet.task"
      local last
      for _ = 1, 50 do last = task.spawn({ daemon = true }, task.blocking, libc.block, 60) end
      repeat task.yield() until last:status() == "waiting"
      print "end"
    ]])
    assert.equal("end\n", output)
    assert.equal(0, status)
    assert.is_true(os.time() - start < 30)
  end)

  it("closes a call's Lua state when it is over, not when the collector comes", function()
    collectgarbage "stop"
    for i = 0, 9 do assert.equal(i, (task.blocking(libc.leave_object))) end
    collectgarbage "restart"
  end)

  it("works for functions of the standard library that only compute", function()
    assert.equal(5, task.blocking(string.len, "12345"))
    assert.equal(os.getenv "PATH", task.blocking(os.getenv, "PATH"))
  end)
end)
