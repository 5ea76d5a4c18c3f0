-- Messages between workers: order, credit, ends. Without workers a process sends to itself.

local workers = dofile "tests/spec/worker/workers.lua"
local support = workers.support
local it = support.limited(it)

local json = require "moonlet.json"
local net = require "moonlet.net"
local task = require "moonlet.task"
local worker = require "moonlet.worker"

local named = 0

-- A topic of its own for each test.
local function new_topic()
  named = named + 1
  return "topic " .. named
end

local function send(topic, value)
  assert.are.same({ 1, 0 }, { worker.send("all", topic, value) })
end

-- Sends until a send waits, after as many as expected; returns the task that waits.
local function fill(topic, value, expected)
  local sent = 0
  local sender = task.spawn({ daemon = true }, function()
    while true do
      worker.send("all", topic, value)
      sent = sent + 1
    end
  end)
  workers.eventually(function() return sent == expected and sender:status() == "waiting" end)
  task.sleep(0.02)
  assert.are.equal(expected, sent)
  return sender
end

describe("without workers", function()
  it("all is this process, and an id is nobody", function()
    local topic = new_topic()
    send(topic, "here")
    assert.are.same({ n = 1, "here" }, table.pack((worker.receive(topic, support.patience))))
    assert.are.equal("ENOTCONN", select(3, worker.send(1, topic, 1)))
  end)

  it("gives back what was sent: any string, number, boolean or table", function()
    local topic = new_topic()
    local values = { "", "a\0b", ("x"):rep(5000), 0, -1, math.mininteger, math.maxinteger, 1.5, -0.0, 1 / 0,
      true, false, { 1, 2, { a = "b", [1.5] = true } }, json.null, {} }
    for _, value in ipairs(values) do send(topic, value) end
    for _, value in ipairs(values) do
      local got = worker.receive(topic, support.patience)
      assert.are.same(value, got)
      assert.are.equal(math.type(value), math.type(got))
    end
    local circle = {}
    circle.self = circle
    send(topic, circle)
    local copy = worker.receive(topic, support.patience)
    assert.are.equal(copy, copy.self)
    assert.are_not.equal(circle, copy)
    send(topic, function(a) return a + 1 end)
    assert.are.equal(3, worker.receive(topic, support.patience)(2))
  end)

  it("refuses what cannot be sent", function()
    local topic = new_topic()
    assert.has_error(function() worker.send("all", topic, nil) end)
    assert.has_error(function() worker.send("all", topic, coroutine.create(print)) end)
    assert.has_error(function() worker.send("all", topic, require("moonlet.thread").channel()) end,
      "value cannot be sent: a channel is of this process")
    assert.has_error(function() worker.send("some", topic, 1) end)
    for _, to in ipairs { 0, -1, 1.5, "1", 1 << 32 } do
      assert.has_error(function() worker.send(to, topic, 1) end)
    end
    assert.has_error(function() worker.send("all", ("t"):rep(256), 1) end)
    assert.has_error(function() worker.send("all", 1, 1) end)
    assert.has_error(function() worker.receive(1) end)
    assert.has_error(function() worker.receive(topic, "soon") end)
    assert.has_error(function() worker.messages() end)
    assert.are.equal("ETIMEDOUT", select(3, worker.receive(topic, 0)))
  end)

  it("takes topics of any bytes, and messages of any size", function()
    local large = ("0123456789"):rep(700000)
    for _, topic in ipairs { "", "\0", ("t"):rep(255) } do
      send(topic, large)
      assert.is_true(large == worker.receive(topic, support.patience))
      send(topic, { large })
      assert.is_true(large == worker.receive(topic, support.patience)[1])
      send(topic, 1)
      assert.are.equal(1, worker.receive(topic, support.patience))
    end
  end)

  it("keeps the order of many messages", function()
    local topic = new_topic()
    local sender = task.spawn(function()
      for i = 1, 10000 do worker.send("all", topic, i) end
    end)
    local expected = 0
    for value in worker.messages(topic) do
      expected = expected + 1
      assert.are.equal(expected, value)
      if value == 10000 then break end
    end
    sender:join()
  end)

  it("makes a sender wait whose topic is not read, and nobody else", function()
    local topic, other = new_topic(), new_topic()
    local sender = fill(topic, "x", 1024)
    for i = 1, 3000 do
      send(other, i)
      assert.are.equal(i, worker.receive(other, support.patience))
    end
    assert.are.equal("waiting", sender:status())
    for _ = 1, 1024 do assert.are.equal("x", worker.receive(topic, support.patience)) end
    assert.are.equal("x", worker.receive(topic, support.patience)) -- that one could go on
    sender:cancel()
    sender:join()
    while worker.receive(topic, 0.05) do end
  end)

  it("counts bytes, too; a message that is larger than all credit goes alone", function()
    local topic = new_topic()
    local sender = fill(topic, ("x"):rep(300000), 3)
    sender:cancel()
    sender:join()
    for _ = 1, 3 do worker.receive(topic, support.patience) end
    local large = fill(topic, ("x"):rep(3 << 20), 1)
    large:cancel()
    large:join()
    assert.are.equal(3 << 20, #worker.receive(topic, support.patience))
    assert.is_nil(worker.receive(topic, 0.05))
  end)

  it("lets senders that wait go on in their order, and forgets the cancelled ones", function()
    local topic = new_topic()
    local filler = fill(topic, 0, 1024)
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = task.spawn(function() return worker.send("all", topic, i) end)
    end
    for _ = 1, 10 do task.yield() end
    filler:cancel()
    tasks[2]:cancel()
    filler:join()
    tasks[2]:join()
    local got = {}
    repeat
      local value = worker.receive(topic, support.patience)
      if value ~= 0 then got[#got + 1] = value end
    until #got == 4
    assert.are.same({ 1, 3, 4, 5 }, got)
    assert.is_nil(worker.receive(topic, 0.05))
  end)

  it("loses nothing with a receiver that is cancelled or gives up", function()
    local topic = new_topic()
    local receivers = {}
    local got = {}
    for i = 1, 20 do
      receivers[i] = task.spawn(function()
        local value = worker.receive(topic)
        got[#got + 1] = value
      end)
    end
    task.yield()
    for i = 1, 20 do
      send(topic, i)
      if i % 2 == 0 then receivers[i]:cancel() end
    end
    for i = 1, 20 do receivers[i]:join() end
    repeat
      local value = worker.receive(topic, 0.05)
      got[#got + 1] = value
    until not value
    table.sort(got)
    local expected = {}
    for i = 1, 20 do expected[i] = i end
    assert.are.same(expected, got)
  end)

  it("forgets topics that are empty", function()
    for i = 1, 100 do
      send("of one use " .. i, i)
      worker.receive("of one use " .. i, support.patience)
    end
    collectgarbage()
    local before = collectgarbage "count"
    for i = 101, 5000 do
      send("of one use " .. i, i)
      worker.receive("of one use " .. i, support.patience)
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 200)
  end)
end)


-- What a connection says when the other side has got it: whoever holds it answers "ID text".
local function exchange(stream, text)
  assert(stream:write(text, "\n"))
  return stream:read_line()
end

describe("descriptors", function()
  it("go along as the value, and as fields of a table, also to this process", function()
    local topic = new_topic()
    local here, there = net.pair()
    send(topic, there)
    local got = worker.receive(topic, support.patience)
    there:close() -- the copy stays open
    here:write "through\n"
    assert.are.equal("through", got:read_line())
    local listener = assert(net.listen("127.0.0.1", 0))
    local udp = assert(net.udp { host = "127.0.0.1", port = 0 })
    local file = assert(io.tmpfile())
    send(topic, { listener = listener, udp = udp, stream = got, file = file, n = 1, [2] = "two" })
    local all, port = worker.receive(topic, support.patience), listener:address().port
    assert.are.same({ 1, "two" }, { all.n, all[2] })
    assert.are.equal(port, all.listener:address().port)
    assert.are.equal(udp:address().port, all.udp:address().port)
    all.file:write "x"
    all.file:close()
    assert.are.equal("x", file:seek "set" and file:read "a")
    listener:close()
    local client = assert(net.connect("127.0.0.1", port))
    local accepted = assert(all.listener:accept(support.patience))
    got:close()
    all.stream:close()
    assert.is_nil(here:read_line()) -- nobody holds it any more
    for _, object in ipairs { here, client, accepted, all.listener, all.udp, udp, file } do object:close() end
  end)

  it("are refused where they cannot go", function()
    local topic = new_topic()
    local here, there = net.pair()
    for _, value in ipairs { { { there } }, { there, print = coroutine.create(print) }, { [there] = 1 } } do
      assert.has_error(function() worker.send("all", topic, value) end)
    end
    local many = {}
    for i = 1, 256 do many[i] = there end
    assert.error_matches(function() worker.send("all", topic, many) end, "more than 255 descriptors")
    there:close()
    assert.are.same({ nil, "closed", "CLOSED" }, { worker.send("all", topic, there) })
    here:close()
    assert.is_nil(worker.receive(topic, 0.01))
  end)
end)

describe("between workers", function()
  it("connections go to another worker, in the order of the messages around them", function()
    local program <close> = workers.start [[
      worker.ready()
      if worker.id == 2 then
        for value, from in worker.messages "work" do
          if type(value) == "table" then
            for _, conn in ipairs(value) do
              conn:write(worker.id, " ", conn:read_line(), "\n")
              conn:close()
            end
          else
            worker.send(from, "done", value)
          end
        end
      end
      local listener = assert(net.listen("127.0.0.1", port))
      for i = 1, 50 do
        local a, b = listener:accept(), listener:accept()
        assert(worker.send(2, "work", i))
        assert(worker.send(2, "work", { a, b }))
        assert(worker.send(2, "work", -i))
        a:close()
        b:close()
      end
      for i = 1, 50 do
        assert(worker.receive "done" == i)
        assert(worker.receive "done" == -i)
      end
      listener:close()
      io.stderr:write "all passed\n"
      task.sleep(600)
    ]]
    program:await_ready()
    task.group(function(group)
      for i = 1, 100 do
        group:spawn(function()
          local conn <close> = workers.eventually(function() return net.connect("127.0.0.1", program.port) end)
          assert.are.equal("2 " .. i, exchange(conn, i))
          assert.is_nil(conn:read_line()) -- neither worker holds it any more
        end)
      end
    end)
    program:await "all passed"
    assert.are.equal(0, program:stop())
  end)

  it("a descriptor to all reaches each, and the end of one that should get it is an error", function()
    local program <close> = workers.start([[
      worker.ready()
      if worker.id == 1 then
        local here, there = net.pair()
        local sent, failed = worker.send("all", "pair", { there })
        assert(sent == 3 and failed == 0)
        there:close()
        worker.receive("pair")[1]:write "1\n"
        local ids = {}
        for i = 1, 3 do ids[i] = here:read_line() end
        table.sort(ids)
        io.stderr:write("said: ", table.concat(ids, " "), "\n")
        assert(worker.send(2, "die", { here }))
        local code
        repeat
          _, _, code = worker.send(2, "pair", { here })
          task.sleep(0.01)
        until code
        io.stderr:write("then: ", code, "\n")
        task.sleep(600)
      end
      task.spawn({ daemon = true }, function()
        worker.receive "die"
        os.exit(3)
      end)
      worker.receive("pair")[1]:write(worker.id, "\n")
      task.sleep(600)
    ]], { count = 3 })
    program:await "said: 1 2 3"
    program:await "then: EPIPE"
    program:stop()
  end)

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
        local other = worker.receive "begin"
        for i = 1, 1024 do assert(worker.send(2, "unread", i)) end
        io.stderr:write(("pid %d\n"):format(other))
        local ok, message, code = worker.send(2, "unread", 1025)
        assert(not ok)
        io.stderr:write(("failed: %s, %s\n"):format(code, message))
        repeat -- one that is queued while the worker is ending is lost with it: the next says so
          ok, message, code = worker.send(2, "read", "again")
          assert(ok or code == "EPIPE", message)
        until worker.receive("taken", 0.01)
      else
        worker.send(1, "begin", pid)
        local value, from = worker.receive "read"
        worker.send(1, "taken", true)
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

  it("a connection whose tasks were cancelled has ended, and the next send makes another", function()
    local program <close> = workers.start [[
      worker.ready()
      if worker.id == 2 then
        for value, from in worker.messages "read" do assert(worker.send(from, "answer", value)) end
      end
      local function cancel(name)
        for _, other in ipairs(task.list()) do
          if tostring(other):find(name, 1, true) then
            other:cancel()
            other:join()
          end
        end
      end
      local function ask(value)
        local ok, message, code
        repeat
          ok, message, code = worker.send(2, "read", value)
          assert(ok or code == "EPIPE", message)
        until ok
        assert(worker.receive "answer" == value)
      end
      for i, name in ipairs { "messages to worker 2", "credit from worker 2" } do
        ask(i)
        local sent = 0
        local sender = task.spawn(function()
          local ok, message, code
          repeat
            ok, message, code = worker.send(2, "unread", i)
            sent = sent + 1
          until not ok and sent > 1
          return code
        end)
        repeat task.sleep(0.01) until sent >= 1024 and sender:status() == "waiting"
        cancel(name)
        assert(select(2, sender:join()) == "EPIPE")
        ask(-i)
      end
      io.stderr:write "goes on\n"
      task.sleep(600)
    ]]
    program:await "goes on"
    assert.are.equal(0, program:stop())
  end)

  it("what was sent goes out before the program ends, also a single message", function()
    local program <close> = workers.start [[
      worker.ready()
      if worker.id == 1 then
        assert(worker.receive "single" == "only")
        io.stderr:write "it came\n"
        task.sleep(600)
      end
      if worker.generation == 1 then worker.send(1, "single", "only") end
    ]]
    program:await "it came"
    program:stop()
  end)

  it("what was sent goes out before the program ends", function()
    local program <close> = workers.start [[
      if worker.id == 1 then
        worker.ready()
        local first, count = nil, 0
        repeat -- the replacements of the sender send, too
          local sender, i = worker.receive("last", 60):match "(%d+) (%d+)"
          first = first or sender
          if sender == first then
            count = count + 1
            assert(tonumber(i) == count)
          end
        until count == 900
        io.stderr:write "all came\n"
        task.sleep(600)
      end
      worker.ready()
      for i = 1, worker.generation == 1 and 900 or 0 do worker.send(1, "last", pid .. " " .. i) end
    ]]
    program:await "all came"
    program:stop()
  end)
end)
