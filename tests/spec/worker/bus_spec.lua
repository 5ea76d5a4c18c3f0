--- worker.bus over a real Redis: order, room, members that end, a server that goes away.

local support = dofile "tests/spec/support.lua"
local servers = dofile "tests/spec/redis/server.lua"
local programs = servers.programs
local it = support.limited(it)
local json = require "moonlet.json"
local redis = require "moonlet.redis"
local task = require "moonlet.task"
local worker = require "moonlet.worker"

if not servers.is_installed() then
  describe("a bus", function() pending "needs redis-server" end)
  return
end

local server, r
local named = 0
local members = {} -- of the test

-- Members of a bus of its own.
local function open(count, opts)
  named = named + 1
  members = {}
  for i = 1, count do
    members[i] = assert(worker.bus { redis = opts and opts.redis or server.url, name = "bus " .. named })
  end
  return table.unpack(members)
end

local function keys_of(pattern)
  local list = {}
  for key in r:scan { match = pattern } do list[#list + 1] = key end
  return list
end

describe("a bus", function()
  setup(function()
    server = servers.start()
    r = assert(redis.open(server.url))
  end)
  teardown(function()
    r:close()
    servers.stop_all()
  end)

  after_each(function()
    for _, member in ipairs(members) do member:close() end
    members = {}
  end)

  it("carries any string, number, boolean or table to a member, with the sender's id", function()
    local a, b = open(2)
    local values = { "", "a\0b", ("x"):rep(5000), 0, -1, math.mininteger, math.maxinteger, 1.5, 1 / 0, true, false,
      { 1, 2, { a = "b", [1.5] = true } }, json.null, {} }
    for _, value in ipairs(values) do assert.is_true(a:send(b.id, "t", value)) end
    for _, value in ipairs(values) do
      local got, from = b:receive("t", support.patience)
      assert.are.same(value, got)
      assert.are.equal(math.type(value), math.type(got))
      assert.are.equal(a.id, from)
    end
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { b:receive("t", 0.01) })
    assert.are.equal("ETIMEDOUT", select(3, a:receive("t", 0)))
  end)

  it("speaks both protocols, and takes a client, which stays open", function()
    for _, protocol in ipairs { 2, 3 } do
      local client <close> = assert(redis.open(server.url, { protocol = protocol }))
      local a, b = open(2, { redis = client })
      assert.are.same({ 2, 0 }, { a:send("all", "t", "x") })
      assert.are.equal("x", a:receive("t", support.patience))
      assert.are.equal("x", b:receive("t", support.patience))
      assert.are.same({ a.id, b.id }, a:members())
      a:close()
      b:close()
      assert.are.equal("PONG", client:ping())
    end
  end)

  it("keeps the order of each sender, over all topics and to all", function()
    local a, b, c = open(3)
    task.group(function(group)
      for _, sender in ipairs { a, b } do
        group:spawn(function() for i = 1, 300 do sender:send("all", "count", i) end end)
      end
      for _, receiver in ipairs { a, b, c } do
        group:spawn(function()
          local last = { [a.id] = 0, [b.id] = 0 }
          for value, from in receiver:messages "count" do
            assert.are.equal(last[from] + 1, value)
            last[from] = value
            if last[a.id] + last[b.id] == 600 then break end
          end
        end)
      end
    end)
  end)

  it("makes a sender wait whose topic is not read, in the order of the calls, and nobody else", function()
    local a, b = open(2)
    for i = 1, 1024 do assert.is_true(a:send(b.id, "full", i)) end
    local done = {}
    local senders = {}
    for i = 1, 4 do
      senders[i] = task.spawn(function()
        assert.is_true(a:send(b.id, "full", 1024 + i))
        done[#done + 1] = i
      end)
      support.eventually(function() return senders[i]:status() == "waiting" end)
      task.sleep(0.02)
    end
    senders[2]:cancel()
    senders[2]:join()
    for i = 1, 100 do
      assert.is_true(a:send(b.id, "other", i))
      assert.are.equal(i, b:receive("other", support.patience))
    end
    assert.are.same({}, done)
    for i = 1, 1024 do assert.are.equal(i, b:receive("full", support.patience)) end
    for _, i in ipairs { 1, 3, 4 } do assert.are.equal(1024 + i, b:receive("full", support.patience)) end
    for _, i in ipairs { 1, 3, 4 } do senders[i]:join() end
    assert.are.same({ 1, 3, 4 }, done)
    support.eventually(function() return #keys_of("*" .. named .. "*:room:*") == 0 end)
    support.eventually(function() return r:xlen(("{bus %d}:in:%d"):format(named, b.id)) == 0 end)
  end)

  it("counts bytes, too; a message that is larger than all room goes alone", function()
    local a, b = open(2)
    local large = ("x"):rep(3 << 20)
    assert.is_true(a:send(b.id, "t", large))
    local sender = task.spawn(function() return a:send(b.id, "t", "small") end)
    support.eventually(function() return sender:status() == "waiting" end)
    task.sleep(0.05)
    assert.are_not.equal("done", sender:status())
    assert.are.equal(#large, #b:receive("t", support.patience))
    assert.are.equal("small", b:receive("t", support.patience))
    sender:join()
  end)

  it("all without room for one holds up none of the others", function()
    local a, b, c = open(3)
    for i = 1, 1024 do a:send(b.id, "t", i) end
    local sent, failed
    local sender = task.spawn(function() sent, failed = a:send("all", "t", "news") end)
    assert.are.equal("news", c:receive("t", support.patience))
    assert.are.equal("news", a:receive("t", support.patience))
    assert.is_nil(sent)
    b:close()
    sender:join()
    assert.are.same({ 2, 1 }, { sent, failed })
    assert.are.same({ 2, 0 }, { a:send("all", "t", "news") })
  end)

  it("tells a member that has left or was not heard of, and removes what it had", function()
    local a, b, c = open(3)
    a:send(b.id, "t", 1)
    b:close()
    b:close()
    assert.are.same({ nil, ("member %d has ended, and what it had not read is lost"):format(b.id), "EPIPE" },
      { a:send(b.id, "t", 2) })
    assert.are.same({ nil, "there is no member 1000", "ESRCH" }, { a:send(1000, "t", 1) })
    assert.are.same({ a.id, c.id }, a:members())
    assert.are.same({ nil, "closed", "CLOSED" }, { b:receive "t" })
    assert.are.same({ nil, "closed", "CLOSED" }, { b:send(a.id, "t", 1) })
    for _ in b:messages "t" do error "a message after the end" end
    r:del(("{bus %d}:alive:%d"):format(named, c.id)) -- as if its time had passed
    assert.are.equal("EPIPE", select(3, a:send(c.id, "t", 1)))
    assert.are.same({ a.id }, a:members())
    c:close()
    a:close()
    assert.are.same({ ("{bus %d}:ids"):format(named) }, keys_of("{bus " .. named .. "}*"))
  end)

  it("ends the tasks that wait when it is closed", function()
    local a, b = open(2)
    local receiver = task.spawn(function() return a:receive "t" end)
    local iterator = task.spawn(function() for _ in a:messages "u" do error "none" end return "ended" end)
    for i = 1, 1024 do a:send(b.id, "t", i) end
    local sender = task.spawn(function() return select(3, a:send(b.id, "t", 1)) end)
    support.eventually(function() return sender:status() == "waiting" and receiver:status() == "waiting" end)
    a:close()
    assert.are.same({ true, nil, "closed", "CLOSED" }, { receiver:join() })
    assert.are.same({ true, "ended" }, { iterator:join() })
    assert.are.same({ true, "CLOSED" }, { sender:join() })
  end)

  it("is closed when one of its tasks was cancelled", function()
    for _, name in ipairs { "reader", "room", "heartbeat" } do
      local a = open(1)
      local receiver = task.spawn(function() return select(3, a:receive "t") end)
      support.parked(receiver)
      for _, other in ipairs(task.list()) do
        if tostring(other):find("bus: " .. name, 1, true) then other:cancel() end
      end
      assert.are.same({ true, "CLOSED" }, { receiver:join() })
      a:close()
    end
  end)

  it("loses nothing with connections that are lost, nor with receivers that are cancelled", function()
    local a, b = open(2)
    local got = {}
    local receiver = task.spawn(function()
      for value in b:messages "t" do
        got[#got + 1] = value
        if value == "end" then break end
      end
    end)
    local lost = 0
    for i = 1, 300 do
      if i % 50 == 0 then r:client("KILL", "TYPE", "normal", "SKIPME", "yes") end
      if not a:send(b.id, "t", i) then lost = lost + 1 end
      if i % 10 == 0 then
        local other = task.spawn(function() return b:receive "t" end)
        task.yield()
        other:cancel()
        local ok, value = other:join()
        if ok and value then got[#got + 1] = value end
      end
    end
    support.eventually(function() return a:send(b.id, "t", "end") end)
    receiver:join()
    local seen = {}
    for _, value in ipairs(got) do
      assert.is_nil(seen[value])
      seen[value] = true
    end
    assert.is_true(#got >= 301 - lost, #got .. " of 300, " .. lost .. " lost")
  end)

  it("goes on when the server is started anew, without its memory", function()
    local own = servers.start()
    local a <close> = assert(worker.bus { redis = own.url })
    local b <close> = assert(worker.bus { redis = own.url })
    own.program:kill "KILL"
    own.program:wait()
    support.eventually(function() return select(3, a:send(b.id, "t", 1)) == "ECONNREFUSED" end)
    local again = programs.start(("redis-server --port %d --bind 127.0.0.1 --save ''"):format(own.port))
    support.eventually(function() return a:send(b.id, "t", "again") end)
    assert.are.equal("again", b:receive("t", support.patience))
    local c <close> = assert(worker.bus { redis = own.url })
    assert.are.equal(3, c.id)
    again:kill "KILL"
    again:wait()
  end)

  it("raises for a message that moonlet has not sent, and takes the next one", function()
    local a = open(1)
    local inbox = ("{bus %d}:in:%d"):format(named, a.id)
    r:xadd(inbox, "*", "t", "t", "f", "1", "b", "junk")
    r:xadd(inbox, "*", "x", "y")
    assert.are.equal("EPROTO", select(3, a:receive("t", support.patience)))
    r:xadd(inbox, "*", "t", "t", "f", "1", "b", "junk")
    local ok, failure = pcall(function() for _ in a:messages "t" do error "one" end end)
    assert.is_false(ok)
    assert.are.equal("EPROTO", failure.code)
    a:send(a.id, "t", "good")
    assert.are.equal("good", a:receive("t", support.patience))
  end)

  it("refuses what it cannot send, and wrong options", function()
    local a = open(1)
    assert.has_error(function() a:send("all", "t", nil) end)
    assert.has_error(function() a:send("all", "t", print) end, "bad argument #3 to 'send' (value is a function)")
    assert.has_error(function() a:send("some", "t", 1) end)
    for _, to in ipairs { 0, -1, 1.5, "1" } do assert.has_error(function() a:send(to, "t", 1) end) end
    assert.has_error(function() a:send("all", ("t"):rep(256), 1) end)
    assert.has_error(function() a:send("all", 1, 1) end)
    assert.has_error(function() a:receive(1) end)
    assert.has_error(function() a:receive("t", "soon") end)
    assert.has_error(function() a.messages(1, "t") end)
    for _, opts in ipairs { {}, { redis = 1 }, { redis = {} }, { redis = r, name = "" }, { redis = r, name = 1 },
      { redis = r, other = 1 } } do
      assert.has_error(function() worker.bus(opts) end)
    end
    assert.has_error(function() worker.bus "redis://127.0.0.1" end)
    assert.are.equal("EURL", select(3, worker.bus { redis = "http://127.0.0.1" }))
    local port = support.free_port()
    assert.are.equal("ECONNREFUSED", select(3, worker.bus { redis = "redis://127.0.0.1:" .. port }))
  end)

  it("joins workers with a program beside them; one that is killed is gone for the others", function()
    local a = open(1)
    local command, path = support.command(([[
      local task, worker = require "moonlet.task", require "moonlet.worker"
      local bus = assert(worker.bus { redis = %q, name = %q })
      worker.ready()
      assert(bus:send(1, "hello", worker.id))
      bus:receive "stop"
      worker.stop()
      task.sleep(60)
    ]]):format(server.url, "bus " .. named), "--workers 2")
    local program = programs.start(command)
    local first, one = a:receive("hello", support.patience)
    local second, two = a:receive("hello", support.patience)
    assert.are.equal(3, first + second)
    assert.are_not.equal(one, two)
    a:send(one, "stop", true)
    assert.are.equal(0, program:wait())
    os.remove(path)
    r:del(("{bus %d}:alive:%d"):format(named, two))
    assert.are.equal("EPIPE", select(3, a:send(two, "hello", 1)))
  end)
end)
