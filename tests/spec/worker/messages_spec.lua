-- Messages between workers: order, ends, reloads.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

describe("between workers", function()
  it("messages of each sender arrive in order, with its id", function()
    local program <close> = workers.start([[
      worker.ready()
      if worker.id ~= 1 then
        for i = 1, 5000 do assert(worker.send(1, "count", i)) end
      else
        local last = { [2] = 0, [3] = 0 }
        for value, from in worker.messages "count" do
          assert(value == last[from] + 1)
          last[from] = value
          if last[2] + last[3] == 10000 then break end
        end
        io.stderr:write "in order\n"
      end
      task.sleep(600)
    ]], { count = 3 })
    program:await "in order"
    assert.are.equal(0, program:stop())
  end)

  it("all reaches each of them, and a number without a worker is an error", function()
    local program <close> = workers.start([[
      worker.ready()
      assert(worker.send(2, "here", true))
      if worker.id == 2 then
        for _ = 1, 3 do assert(worker.receive "here") end
        local sent, failed = worker.send("all", "news", "x")
        io.stderr:write(("sent %d, failed %d\n"):format(sent, failed))
      end
      local value, from = worker.receive "news"
      io.stderr:write(("worker %d: %s of %d, %s\n"):format(worker.id, value, from,
        select(3, worker.send(4, "news", 1))))
      task.sleep(600)
    ]], { count = 3 })
    program:await "sent 3, failed 0"
    for id = 1, 3 do program:await(("worker %d: x of 2, ESRCH"):format(id)) end
    assert.are.equal(0, program:stop())
  end)

  it("a send that waits fails when the worker has ended, and the next goes to its replacement", function()
    local program <close> = workers.start [[
      worker.ready()
      if worker.id == 1 then
        worker.receive "begin"
        local ok, message, code
        repeat ok, message, code = worker.send(2, "unread", 1) until not ok
        io.stderr:write(("failed: %s, %s\n"):format(code, message))
        repeat
          ok, message, code = worker.send(2, "read", "again")
          assert(ok or code == "EPIPE", message)
          task.sleep(0.01)
        until ok
      else
        if worker.send(1, "begin", pid) then io.stderr:write(("pid %d\n"):format(pid)) end
        local value, from = worker.receive "read"
        io.stderr:write(("replacement got %s of %d\n"):format(value, from))
      end
      task.sleep(600)
    ]]
    local pid = program:await "^pid (%d+)"
    assert(os.execute("kill -KILL " .. pid))
    program:await "failed: EPIPE, worker 2 has ended"
    program:await "replacement got again of 1"
    assert.are.equal(0, program:stop())
  end)

  it("an id is the worker of the new generation after a reload", function()
    local program <close> = workers.start [[
      routes.ask = function()
        assert(worker.send(3 - worker.id, "who", true))
        return "ok"
      end
      task.spawn({ daemon = true }, function()
        for _, from in worker.messages "who" do
          io.stderr:write(("asked: %d of generation %d by %d\n"):format(worker.id, worker.generation, from))
        end
      end)
      serve()
    ]]
    program:await_ready()
    program:get "ask"
    program:await "asked: %d of generation 1"
    program:signal "HUP"
    program:await "generation 2 serves"
    program:await_generation(2)
    program:get "ask"
    program:await "asked: %d of generation 2"
    assert.are.equal(0, program:stop())
  end)

  it("what was sent goes out before the program ends", function()
    local program <close> = workers.start [[
      if worker.id == 1 then
        worker.ready()
        for i = 1, 900 do assert(worker.receive("last", 60) == i) end
        io.stderr:write "all 900 came\n"
        task.sleep(600)
      end
      worker.ready()
      for i = 1, worker.generation == 1 and 900 or 0 do worker.send(1, "last", i) end
    ]]
    program:await "all 900 came"
    program:stop()
  end)
end)
