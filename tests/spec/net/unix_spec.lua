-- The Unix domain in moonlet.net: streams and datagrams by path and by abstract name, paths left behind,
-- credentials, and descriptors passed from one process to another.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local lfs = require "lfs" -- busted brings it
local is_failure = support.is_failure

local PATIENCE = support.patience
local directory -- of this run's sockets

local limited = support.limited(it)
local it = limited

local function path_of(name)
  return directory .. "/" .. name
end

local function exists(path)
  return (os.execute("test -e '" .. path .. "'")) == true
end

-- Two connected streams of the Unix domain.
local function pair()
  local listener <close> = assert(net.listen("unix:" .. path_of("pair")))
  local here = assert(net.connect(listener:address()))
  local there = assert(listener:accept(PATIENCE))
  return here, there
end

local function open_descriptors()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  return count
end

-- A socket file that nobody has open any more.
local function abandon(path, kind)
  local output = support.run(([[
    local net = require "moonlet.net"
    local address = "unix:%s"
    kept = "%s" == "stream" and net.listen(address) or net.udp{host = address}
    print(kept)
    io.stdout:flush()
    os.exit(0)
  ]]):format(path, kind))
  assert.matches("%(open%)", output)
  assert.is_true(exists(path))
end

setup(function()
  local pipe <close> = assert(io.popen("mktemp -d"))
  directory = pipe:read("l")
end)

teardown(function() os.execute("rm -rf '" .. directory .. "'") end)

describe("a stream of the Unix domain", function()
  it("connects by path and by abstract name, and works as one over TCP", function()
    for _, name in ipairs { "unix:" .. path_of("stream"), "unix:@moonlet " .. path_of("\0\1") } do
      local listener <close> = assert(net.listen(name))
      local client <close> = assert(net.connect(name))
      local server <close> = assert(listener:accept(PATIENCE))
      assert.equal(name, tostring(client:peer()))
      assert.equal(name:sub(6), listener:address().path)
      client:write("hello\n")
      assert.equal("hello", server:read_line())
      server:write(("x"):rep(30000), "\nend")
      server:shutdown()
      assert.equal(30001, #client:read("L"))
      assert.equal("end", client:read_all())
    end
  end)

  it("prints the names of both ends", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local path = path_of("pair")
    assert.equal("net.stream unix: <- unix:" .. path .. " (open)", tostring(here))
    assert.equal("net.stream unix:" .. path .. " <- unix: (open)", tostring(there))
  end)

  it("may be bound to a path of its own, which is removed with it", function()
    local listener <close> = assert(net.listen("unix:" .. path_of("server")))
    local own = path_of("client")
    local client <close> = assert(net.connect(listener:address(), { bind = "unix:" .. own }))
    local server <close> = assert(listener:accept(PATIENCE))
    assert.equal(own, server:peer().path)
    assert.is_true(exists(own))
    client:close()
    assert.is_false(exists(own))
  end)
end)

describe("the path of a socket", function()
  it("is removed when the socket is closed, and when it is collected", function()
    for _, open in ipairs {
      function(path) return net.listen("unix:" .. path) end,
      function(path) return net.udp { host = "unix:" .. path } end,
    } do
      local path = path_of("removed")
      local socket = assert(open(path))
      assert.is_true(exists(path))
      socket:close()
      assert.is_false(exists(path))
      assert(open(path))
      collectgarbage()
      collectgarbage()
      assert.is_false(exists(path))
    end
  end)

  it("stays when something else stands there by then", function()
    local path = path_of("replaced")
    local first = assert(net.listen("unix:" .. path))
    os.remove(path)
    local second <close> = assert(net.listen("unix:" .. path))
    first:close()
    assert.is_true(exists(path))
    local client <close> = assert(net.connect("unix:" .. path))
  end)

  it("is taken over from a process that is gone", function()
    for _, left in ipairs { "stream", "datagram" } do
      local path = path_of("stale." .. left)
      abandon(path, left)
      is_failure("ECONNREFUSED", nil, net.connect("unix:" .. path))
      local listener <close> = assert(net.listen("unix:" .. path))
      local client <close> = assert(net.connect("unix:" .. path))
      listener:close()
      abandon(path, left)
      local socket <close> = assert(net.udp { host = "unix:" .. path })
      assert.is_true(socket:send_to("x", socket:address()))
    end
  end)

  it("in use stays in use, whatever it is", function()
    local path = path_of("used")
    local listener <close> = assert(net.listen("unix:" .. path))
    is_failure("EADDRINUSE", "unix:" .. path, net.listen("unix:" .. path))
    is_failure("EADDRINUSE", "unix:" .. path, net.udp { host = "unix:" .. path })
    local client <close> = assert(net.connect("unix:" .. path))
    local datagrams = path_of("used.datagrams")
    local socket <close> = assert(net.udp { host = "unix:" .. datagrams })
    is_failure("EADDRINUSE", nil, net.udp { host = "unix:" .. datagrams })
    is_failure("EADDRINUSE", nil, net.listen("unix:" .. datagrams))
    socket:send_to("x", socket:address())
    assert.equal("x", (socket:receive(PATIENCE)))
  end)

  it("in use stays in use even when its backlog is full", function()
    local name = "unix:" .. path_of("full")
    local listener <close> = assert(net.listen(name, { backlog = 1 }))
    local clients = {}
    support.eventually(function()
      clients[#clients + 1] = net.connect(name, { timeout = 0.05 })
      return #clients > 0 and not net.connect(name, { timeout = 0.05 })
    end)
    is_failure("EADDRINUSE", nil, net.listen(name))
    assert.is_true(exists(path_of("full")))
    for _, client in ipairs(clients) do client:close() end
  end)

  -- The kernel has no place for a zero byte behind such a path, but counts one.
  it("may fill the 108 bytes of an address", function()
    assert(os.execute(("ln -sfn '%s' u"):format(directory))) -- the path itself is to be of one length everywhere
    local path = "u/" .. ("x"):rep(106)
    local listener <close> = assert(net.listen("unix:" .. path))
    assert.equal(path, listener:address().path)
    local own = "u/" .. ("y"):rep(106)
    local client <close> = assert(net.connect(listener:address(), { bind = "unix:" .. own }))
    local accepted <close> = assert(listener:accept(PATIENCE))
    assert.equal(own, accepted:peer().path)
    assert.is_true(accepted:peer() == client:address())
    assert.equal("net.stream unix:" .. path .. " <- unix:" .. own .. " (open)", tostring(accepted))
    client:close()
    assert.is_false(exists(own))
    is_failure("EADDRINUSE", nil, net.listen("unix:" .. path))
    listener:close()
    assert.is_false(exists(path))
    local first <close> = assert(net.udp { host = "unix:" .. path })
    local second <close> = assert(net.udp { host = "unix:" .. own })
    second:send_to("ping", first:address())
    local data, from = first:receive_from(PATIENCE)
    assert.equal("ping", data)
    assert.equal(own, from.path)
    first:send_to("pong", from)
    assert.equal("pong", (second:receive(PATIENCE)))
    assert.matches("too long", support.message_of(net.listen, "unix:" .. path .. "x"))
    os.remove "u"
  end)

  it("of a server whose backlog is full is connected to when there is room, within the time limit", function()
    local name = "unix:" .. path_of("waits")
    local listener <close> = assert(net.listen(name, { backlog = 1 }))
    local clients = {}
    local client, message, code
    repeat
      client, message, code = net.connect(name, { timeout = 0 })
      clients[#clients + 1] = client
    until not client
    is_failure("ETIMEDOUT", name, client, message, code)
    is_failure("ETIMEDOUT", name, net.connect(name, { timeout = 0.05 }))
    local waiting = support.parked(task.spawn(net.connect, name, { timeout = PATIENCE }))
    local cancelled = support.parked(task.spawn(net.connect, name))
    cancelled:cancel()
    assert.equal("ECANCELED", (select(3, cancelled:join(PATIENCE))))
    listener:accept(PATIENCE):close()
    local connected <close> = support.finish(waiting)
    assert.equal("net.stream", tostring(connected):match "^[%w.]+")
    for _, other in ipairs(clients) do other:close() end
  end)

  it("is never taken from a file of another kind, or through a link", function()
    local path = path_of("file")
    assert(io.open(path, "w")):close()
    is_failure("EADDRINUSE", nil, net.listen("unix:" .. path))
    is_failure("EADDRINUSE", nil, net.udp { host = "unix:" .. path })
    assert.is_true(exists(path))
    abandon(path_of("target"), "stream")
    os.execute(("ln -s '%s' '%s'"):format(path_of("target"), path_of("link")))
    is_failure("EADDRINUSE", nil, net.listen("unix:" .. path_of("link")))
    assert.is_true(exists(path_of("target")))
  end)

  it("is told with its error", function()
    is_failure("ENOENT", "unix:" .. path_of("none/x"), net.listen("unix:" .. path_of("none/x")))
    is_failure("ENOENT", "unix:" .. path_of("none"), net.connect("unix:" .. path_of("none")))
    is_failure("ENOENT", "unix:" .. path_of("none/x"), net.udp { host = "unix:" .. path_of("none/x") })
  end)
end)

describe("a datagram socket of the Unix domain", function()
  it("sends to a path and to an abstract name, and tells the sender's", function()
    for _, name in ipairs { "unix:" .. path_of("udp"), "unix:@moonlet " .. path_of("udp") } do
      local server <close> = assert(net.udp { host = name })
      local client <close> = assert(net.udp { host = "unix:" .. path_of("client.udp") })
      assert.is_true(client:send_to("question", name))
      local data, from = server:receive_from(PATIENCE)
      assert.equal("question", data)
      assert.equal(path_of("client.udp"), from.path)
      assert.is_true(from == client:address())
      assert.is_true(server:send_to("answer", from))
      local answer, sender, truncated = client:receive_from(PATIENCE)
      assert.equal("answer", answer)
      assert.equal(name, tostring(sender))
      assert.is_false(truncated)
    end
  end)

  it("gets an abstract name from the system when none is given", function()
    local server <close> = assert(net.udp { host = "unix:" .. path_of("named") })
    local client <close> = assert(net.udp { family = "unix" })
    assert.matches("^unix:@", tostring(client:address()))
    client:connect("unix:" .. path_of("named"))
    assert.equal(("net.udp %s -> %s (open)"):format(client:address(), server:address()), tostring(client))
    client:send("hello")
    local _, from = server:receive_from(PATIENCE)
    server:send_to("back", from)
    assert.equal("back", (client:receive(PATIENCE)))
  end)

  it("cuts what is longer than max, and says so", function()
    local server <close> = assert(net.udp { host = "unix:" .. path_of("short"), max = 3 })
    local client <close> = assert(net.udp { family = "unix" })
    client:send_to("12345", server:address())
    local data, from, truncated = server:receive_from(PATIENCE)
    assert.equal("123", data)
    assert.is_true(from == client:address())
    assert.is_true(truncated)
  end)

  it("waits while the receiver is full, without spinning, and in turn", function()
    for _, is_connected in ipairs { true, false } do
      local server <close> = assert(net.udp { host = "unix:" .. path_of("full.udp") })
      local client <close> = assert(net.udp { family = "unix" })
      local to = server:address()
      if is_connected then client:connect(to) end
      local function send(text)
        if is_connected then return client:send(text) end
        return client:send_to(text, to)
      end
      local sent, senders = 0, {}
      for i = 1, 40 do
        senders[i] = task.spawn(function()
          assert(send(tostring(i)))
          sent = sent + 1
        end)
      end
      support.parked(senders[40])
      local before, already = os.clock(), sent
      assert.is_true(already < 40)
      task.sleep(0.2)
      assert.is_true(os.clock() - before < 0.1)
      assert.equal(already, sent)
      is_failure("EDEADLINE", nil, task.timeout(0.01, send, "too much"))
      if is_connected then
        is_failure("ETIMEDOUT", "timeout", client:send("too much", 0.01))
        is_failure("ETIMEDOUT", "timeout", client:send("too much", 0))
      else
        is_failure("ETIMEDOUT", "timeout", client:send_to("too much", to, { timeout = 0.01 }))
      end
      local seen = {}
      for _ = 1, 40 do seen[assert(server:receive(PATIENCE))] = true end
      for i = 1, 40 do
        assert.is_true(seen[tostring(i)])
        support.finish(senders[i])
      end
    end
  end)

  it("wakes its senders when it is closed", function()
    for _, is_connected in ipairs { true, false } do
      local server <close> = assert(net.udp { host = "unix:" .. path_of("closed.udp") })
      local client = assert(net.udp { family = "unix" })
      local to = server:address()
      if is_connected then client:connect(to) end
      local senders = {}
      for i = 1, 40 do
        senders[i] = task.spawn(function()
          return client:send_to("x", to)
        end)
        if is_connected then senders[i] = task.spawn(function() return client:send("x") end) end
      end
      support.parked(senders[40])
      client:close()
      is_failure("CLOSED", "closed", support.finish(senders[40]))
      for _, t in ipairs(senders) do support.finish(t) end
    end
  end)

  it("has no options of UDP", function()
    local socket <close> = assert(net.udp { family = "unix" })
    is_failure("EOPNOTSUPP", "option 'ttl'", socket:set { ttl = 3 })
    is_failure("EINVAL", nil, socket:join("239.1.2.3"))
  end)
end)

describe("stream:credentials", function()
  it("tells who is at the other end", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local pipe <close> = assert(io.popen("echo $PPID; id -u; id -g"))
    local pid, uid, gid = pipe:read("n", "n", "n")
    assert.same({ pid = pid, uid = uid, gid = gid }, here:credentials())
    assert.same({ pid = pid, uid = uid, gid = gid }, there:credentials())
  end)

  it("are known in the Unix domain only, and of an open stream", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    is_failure("EOPNOTSUPP", "Unix domain", here:credentials())
    local stream, other = pair()
    stream:close()
    other:close()
    is_failure("CLOSED", "closed", stream:credentials())
  end)
end)

describe("a descriptor passed", function()
  it("comes out as what it is", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local function pass(what)
      assert.is_true(here:send_fd(what))
      return assert(there:recv_fd(PATIENCE))
    end
    local tcp <close> = assert(net.listen("127.0.0.1", 0))
    local listener <close> = pass(tcp)
    assert.equal(tostring(tcp), tostring(listener))
    local client <close> = assert(net.connect(tcp:address()))
    tcp:close()
    local server <close> = assert(listener:accept(PATIENCE))
    local stream <close> = pass(server)
    assert.equal(tostring(server), tostring(stream))
    server:close()
    client:write("over there\n")
    assert.equal("over there", stream:read_line())
    local udp <close> = assert(net.udp { host = "127.0.0.1" })
    local passed <close> = pass(udp)
    assert.equal(tostring(udp), tostring(passed))
    udp:send_to("to both", udp:address())
    assert.equal("to both", (passed:receive(PATIENCE)))
    local local_end <close> = pass(there)
    assert.equal(tostring(there), tostring(local_end))
    assert.is_table(local_end:credentials())
  end)

  it("of a file is an io file of the same mode", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local path = path_of("text")
    local file <close> = assert(io.open(path, "w"))
    assert.is_true(here:send_fd(file))
    local passed = assert(there:recv_fd(PATIENCE))
    assert.equal("file", io.type(passed))
    assert(passed:write("written there"))
    assert.is_nil((passed:read(1)))
    assert.is_true(passed:close())
    assert.equal("closed file", io.type(passed))
    assert.equal("written there", assert(io.open(path)):read("a"))
    local reader <close> = assert(io.open(path))
    here:send_fd(reader)
    local read <close> = assert(there:recv_fd(PATIENCE))
    assert.equal("written there", read:read("a"))
    assert.is_true(here:send_fd(0))
    assert.equal("file", io.type(there:recv_fd(PATIENCE)))
  end)

  it("leaves the bytes around it in order, whoever reads when", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local file <close> = assert(io.tmpfile())
    for _, wait in ipairs { true, false } do
      local function send()
        for i = 1, 3 do
          here:write("before ", i, "\nand\n")
          assert.is_true(here:send_fd(file))
          here:write("after ", i, "\n")
          assert.is_true(here:send_fd(file, "with " .. i .. "\n"))
        end
      end
      if wait then send() else task.spawn(send) end
      for i = 1, 3 do
        assert.equal("before " .. i, there:read_line())
        assert.equal("file", io.type(there:recv_fd(PATIENCE)))
        assert.equal("and", there:read_line())
        assert.equal("after " .. i, there:read_line())
        assert.equal("file", io.type(there:recv_fd(PATIENCE)))
        assert.equal("with " .. i, there:read_line())
      end
    end
  end)

  it("is kept while what came with it is read, and closed when a read goes on", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local file <close> = assert(io.tmpfile())
    here:send_fd(file, "line\n")
    assert.equal("line", there:read_line())
    assert(there:recv_fd(PATIENCE)):close()
    collectgarbage() -- what earlier tests have left
    collectgarbage()
    local before = open_descriptors()
    here:send_fd(file, "with\n")
    here:write("behind\n")
    assert.equal("with", there:read_line())
    assert.equal(before + 1, open_descriptors())
    assert.equal("behind", there:read_line())
    there:close()
    assert.equal(before - 1, open_descriptors())
  end)

  it("that nobody asks for is closed, not leaked", function()
    local here <close>, there = pair()
    local file <close> = assert(io.tmpfile())
    collectgarbage()
    collectgarbage()
    local before = open_descriptors()
    for _ = 1, 100 do
      assert.is_true(here:send_fd(file, "x"))
      assert.equal("x", there:read(1))
    end
    assert.is_true(open_descriptors() <= before + 16)
    here:send_fd(file, "x")
    there:close() -- with one that has not even been received
    assert.equal(before - 1, open_descriptors())
  end)

  it("is not lost to a timeout, a cancellation or a limit", function()
    local here <close>, peer = pair()
    local there <close> = peer
    is_failure("ETIMEDOUT", "timeout", there:recv_fd(0.01))
    is_failure("ETIMEDOUT", "timeout", there:recv_fd(0))
    is_failure("EDEADLINE", nil, task.timeout(0.01, there.recv_fd, there))
    there:set_timeout(0.01, "read")
    is_failure("ETIMEDOUT", "timeout", there:recv_fd())
    local file <close> = assert(io.tmpfile())
    here:send_fd(file)
    assert.equal("file", io.type(there:recv_fd(PATIENCE)))
    local t = task.spawn(function()
      here:write(("x"):rep(100000))
      here:send_fd(file)
    end)
    is_failure("EMSGSIZE", "too much input", there:recv_fd(PATIENCE))
    assert.equal(100000, #there:read_exactly(100000))
    assert.equal("file", io.type(there:recv_fd(PATIENCE)))
    support.finish(t)
  end)

  it("is waited for by one task, which close and the end wake", function()
    local here, there = pair()
    local t = support.parked(task.spawn(function() return there:recv_fd() end))
    is_failure("EBUSY", "another task is reading", there:recv_fd())
    is_failure("EBUSY", nil, there:read_line())
    there:close()
    is_failure("CLOSED", "closed", support.finish(t))
    is_failure("CLOSED", "closed", there:recv_fd())
    is_failure("CLOSED", "closed", there:send_fd(0))
    here:close()
    local first, second = pair()
    t = support.parked(task.spawn(function() return table.pack(second:recv_fd()) end))
    first:close()
    assert.same({ n = 1 }, support.finish(t))
    second:close()
  end)

  it("goes between the writes of others, each of them whole", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local file <close> = assert(io.tmpfile())
    local big = ("x"):rep(1000000)
    local writer = task.spawn(function() assert(here:write(big)) end)
    support.parked(writer)
    local sender = support.parked(task.spawn(function() return here:send_fd(file, big) end))
    local last = support.parked(task.spawn(function() assert(here:write("end")) end))
    assert.equal(2000000, #there:read_exactly(1000000) + #there:read_exactly(1000000))
    assert.equal("end", there:read_exactly(3))
    assert.is_true(support.finish(sender))
    support.finish(writer)
    support.finish(last)
  end)

  it("keeps the path of a listener, which has a new owner", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local path = path_of("handed on")
    local listener = assert(net.listen("unix:" .. path))
    here:send_fd(listener)
    local successor <close> = assert(there:recv_fd(PATIENCE))
    listener:close()
    local client <close> = assert(net.connect("unix:" .. path))
    local server <close> = assert(successor:accept(PATIENCE))
    successor:close()
    assert.is_true(exists(path))
  end)

  it("reaches another process", function()
    local name = "unix:" .. path_of("process")
    local control <close> = assert(net.listen(name))
    local tcp = assert(net.listen("127.0.0.1", 0))
    local address = tcp:address()
    local command, script = support.command(([[
      local net = require "moonlet.net"
      local control = assert(net.connect("%s"))
      local listener = assert(control:recv_fd(%d))
      for conn in listener:accepted() do
        conn:write("served by another process\n")
        conn:close()
        break
      end
    ]]):format(name, PATIENCE))
    local pipe <close> = assert(io.popen(command))
    local stream <close> = assert(control:accept(PATIENCE))
    assert.is_true(stream:send_fd(tcp))
    tcp:close()
    local client <close> = assert(net.connect(address))
    assert.equal("served by another process", client:read_line())
    os.remove(script)
  end)

  it("needs a stream of the Unix domain", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    is_failure("EOPNOTSUPP", "Unix domain", here:send_fd(0))
    is_failure("EOPNOTSUPP", "Unix domain", there:recv_fd(0))
  end)

  it("must be one", function()
    local here <close>, peer = pair()
    local there <close> = peer
    is_failure("EBADF", nil, here:send_fd(9999))
    is_failure("EBADF", nil, here:send_fd(-1))
    local closed = assert(net.udp { host = "127.0.0.1" })
    closed:close()
    is_failure("CLOSED", "closed", here:send_fd(closed))
    local file = assert(io.tmpfile())
    file:close()
    is_failure("CLOSED", "closed", here:send_fd(file))
    for _, what in ipairs { "text", {}, 1.5, true } do
      assert.matches("#1 to 'send_fd'", support.message_of(function() here:send_fd(what) end))
    end
    assert.matches("#2 to 'send_fd'", support.message_of(function() here:send_fd(0, "") end))
    here:write("the stream is unharmed\n")
    assert.equal("the stream is unharmed", there:read_line())
  end)
end)
