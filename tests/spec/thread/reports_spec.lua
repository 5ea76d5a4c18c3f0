--- Threads as users of other libraries have reported them to go wrong; each test names a report.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local thread = require "moonlet.thread"

describe("a thread", function()
  -- denoland/deno 13705: a worker that waits for the lock of a file cannot be ended, and hangs the one that tries.
  it("that waits for the lock of a file can be cancelled, and does not have it", function()
    local dir <close> = assert(fs.temp_dir())
    local path <const> = dir.path .. "/f"
    local file <close> = assert(fs.open(path, "a+"))
    local started = thread.channel(1)
    local lock = assert(file:lock())
    local worker = thread.spawn(function(name, out)
      local own <close> = assert(require("moonlet.fs").open(name, "a+"))
      out:put(true)
      local theirs <close> = assert(own:lock())
    end, path, started)
    started:get()
    worker:cancel()
    assert.same({ nil, "cancelled", "ECANCELED" }, { worker:join() })
    lock:close()
    local again <close> = assert(fs.open(path, "a+"))
    assert(again:lock("exclusive", 0))
  end)

  -- nodejs/node 22073: to end a worker in what is called at its end is a deadlock.
  it("may be cancelled by what its end calls, and keeps its result", function()
    local calls = 0
    local worker = thread.spawn(function() return 5 end)
    worker:on_exit(function()
      worker:cancel()
      calls = calls + 1
    end)
    assert.same({ true, 5 }, { worker:join() })
    assert.equal(1, calls)
  end)

  -- oven-sh/bun 37075: what a worker has sent before it ends, or fails, is lost.
  it("has delivered all that it has put when it ends, by an error too", function()
    for _, ending in ipairs { "return", "error 'over'", "os.exit(0, true)" } do
      local out = thread.channel(1000)
      local worker = thread.spawn({ quiet = true }, function(channel, text)
        for i = 1, 1000 do channel:put(i) end
        load(text)()
      end, out, ending)
      worker:join()
      for i = 1, 1000 do assert.equal(i, out:get(0)) end
    end
  end)

  -- emscripten 19738, Odin 5959: a thread that is ended in the middle of an output keeps the lock of the file.
  it("that is cancelled while it prints keeps no lock that another needs to print", function()
    local output, status = support.run([[
      local task, thread = require "moonlet.task", require "moonlet.thread"
      for i = 1, 20 do
        local worker = thread.spawn(function() while true do io.stderr:write "x" print(("y"):rep(5000)) end end)
        task.sleep(0.002)
        worker:cancel()
        worker:join()
        print "on"
      end
      io.stderr:write "done\n"]])
    assert.equal(0, status)
    assert.matches("done\n", output)
  end)

  -- php-async 162: a worker that waits in a channel nobody will ever put into keeps the process for ever.
  it("that waits in a channel which the program has forgotten is told of as a deadlock, or ends with it", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      local orders = thread.channel(1)
      thread.spawn({ daemon = true }, function(from) from:get() end, orders)
      print "end"]]
    assert.same({ "end\n", 0 }, { output, status })
  end)

  -- An error of a type that only the other side knows: pools of other languages break by it.
  it("of a pool goes on with the next call after an error value that cannot be copied", function()
    local pool <close> = thread.pool { size = 1 }
    local ok, problem = pcall(pool.call, pool, function() error(io.stdout) end)
    assert.is_false(ok)
    assert.matches("file %(0x", tostring(problem))
    assert.equal(3, pool:call(function() return 3 end))
  end)

  it("leaves no descriptor behind, however it ends", function()
    local function count() return #fs.list "/proc/self/fd" end
    local function some()
      for _, body in ipairs { "return 1", "error 'x'", "require('moonlet.task').sleep(1000)" } do
        local worker = thread.spawn({ quiet = true }, function(text) load(text)() end, body)
        task.yield()
        worker:cancel()
        worker:join()
      end
    end
    some()
    local before = count()
    for _ = 1, 5 do some() end
    support.eventually(function() return count() <= before end)
  end)
end)
