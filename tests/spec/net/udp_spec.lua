-- net.udp: datagrams over IPv4 and IPv6, multicast and broadcast. The Unix domain is in unix_spec.lua.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)
local is_failure = support.is_failure

local PATIENCE = support.patience

-- Two sockets on the loopback, and their addresses.
local function two(options)
  local a = assert(net.udp { host = "127.0.0.1" })
  local b = { host = "127.0.0.1" }
  for name, value in pairs(options or {}) do b[name] = value end
  b = assert(net.udp(b))
  return a, b, a:address(), b:address()
end

local function open(options)
  local socket, message, code = net.udp(options)
  return socket or nil, message, code
end

describe("net.udp", function()
  it("binds to a port of the system's choice, on every address, if nothing is said", function()
    local socket <close> = assert(net.udp())
    local address = socket:address()
    assert.equal("0.0.0.0", address.host)
    assert.is_true(address.port > 0)
    local other <close> = assert(net.udp { host = "*", port = 0 })
    assert.equal("0.0.0.0", other:address().host)
  end)

  it("binds to a number, a name, or an address", function()
    local first = assert(net.udp { host = "127.0.0.2" })
    local address = first:address()
    assert.equal("127.0.0.2", address.host)
    first:close()
    local again <close> = assert(net.udp { host = address })
    assert.is_true(again:address() == address)
    local named <close> = assert(net.udp { host = "localhost" })
    assert.equal("127.0.0.1", named:address().host)
  end)

  it("returns what the system says", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    local address = socket:address()
    is_failure("EADDRINUSE", tostring(address), net.udp { host = address })
    is_failure("EADDRNOTAVAIL", "192.0.2.1:0", net.udp { host = "192.0.2.1" })
    is_failure("ENOTFOUND", "name.invalid", net.udp { host = "name.invalid" })
    is_failure("ENOTFOUND", nil, net.udp { host = "127.0.0.1", family = "inet6" })
    is_failure("ENODEV", "multicast_interface", net.udp { multicast_interface = "nosuch0" })
  end)

  it("lets several sockets have one port when each says so", function()
    for _, option in ipairs { "reuse", "reuseport" } do
      local first <close> = assert(net.udp { host = "127.0.0.1", [option] = true })
      local address = first:address()
      local second <close> = assert(net.udp { host = address, [option] = true })
      assert.is_true(second:address() == address)
      is_failure("EADDRINUSE", nil, net.udp { host = address })
    end
  end)

  it("names the argument and the option when one is wrong", function()
    local function wrong(what, options)
      local message = support.message_of(net.udp, options)
      assert.matches("bad argument #1 to '[%w.]*udp'", message)
      assert.matches(what, message)
    end
    wrong("table", 5)
    wrong("host", { host = {} })
    wrong("path", { host = "unix:" })
    wrong("path", { host = "unix:" .. ("x"):rep(200) })
    wrong("no port", { host = "unix:/tmp/x", port = 5 })
    wrong("port", { port = "http" })
    wrong("port", { port = 65536 })
    wrong("family", { family = "inet5" })
    wrong("max", { max = 0 })
    wrong("max", { max = 65537 })
    wrong("multicast_ttl", { multicast_ttl = 256 })
    wrong("multicast_interface", { multicast_interface = 1 })
    wrong("receive_buffer", { receive_buffer = "large" })
  end)
end)

describe("a datagram", function()
  it("arrives as it was sent, with its sender's address", function()
    local a <close>, other, from, to = two()
    local b <close> = other
    assert.is_true(a:send_to("one", to))
    assert.is_true(a:send_to("two", to.host, to.port))
    assert.is_true(a:send_to("three", "localhost", to.port))
    for _, text in ipairs { "one", "two", "three" } do
      local data, sender, truncated = b:receive_from(PATIENCE)
      assert.equal(text, data)
      assert.is_true(sender == from)
      assert.is_false(truncated)
    end
  end)

  it("may be empty, have any bytes, and be as long as UDP allows", function()
    local a <close>, other, _, to = two()
    local b <close> = other
    local longest = ("\0\255\r\n"):rep(16377):sub(1, 65507)
    for _, data in ipairs { "", "\0\0", longest } do
      assert.is_true(a:send_to(data, to))
      local got, _, truncated = b:receive_from(PATIENCE)
      assert.is_true(data == got)
      assert.is_false(truncated)
    end
    is_failure("EMSGSIZE", tostring(to), a:send_to(longest .. "x", to))
  end)

  it("longer than max is cut, and that is told", function()
    local a <close>, other, from, to = two { max = 4 }
    local b <close> = other
    for _, text in ipairs { "123", "1234", "12345", ("12345"):rep(10000) } do
      a:send_to(text, to)
      local data, sender, truncated = b:receive_from(PATIENCE)
      assert.equal(text:sub(1, 4), data)
      assert.is_true(sender == from)
      assert.equal(#text > 4, truncated)
    end
    a:send_to("12345", to)
    local data, truncated = b:receive(PATIENCE)
    assert.equal("1234", data)
    assert.is_true(truncated)
    assert.is_true(b:set { max = 5 })
    a:send_to("12345", to)
    assert.equal("12345", (b:receive(PATIENCE)))
  end)

  it("keeps its place among others", function()
    local a <close>, other, _, to = two()
    local b <close> = other
    for i = 1, 50 do a:send_to(tostring(i), to) end
    for i = 1, 50 do assert.equal(tostring(i), (b:receive(PATIENCE))) end
    is_failure("ETIMEDOUT", "timeout", b:receive(0))
  end)

  it("goes back and forth between tasks", function()
    local a <close>, other, _, to = two()
    local b <close> = other
    task.spawn(function()
      while true do
        local data, from = b:receive_from()
        if not data then return end
        b:send_to(data .. "!", from)
      end
    end)
    for i = 1, 200 do
      a:send_to(tostring(i), to)
      assert.equal(i .. "!", (a:receive_from(PATIENCE)))
    end
  end)

  it("costs its string and nothing else", function()
    local a <close>, other, _, to = two()
    local b <close> = other
    local text = ("x"):rep(64) -- 89 bytes as a Lua string, twice per round
    local function rounds(count)
      for _ = 1, count do
        a:send_to(text, to)
        local data, from = b:receive_from()
        b:send_to(data, from)
        a:receive_from()
      end
    end
    rounds(10)
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    rounds(1000)
    local per_round = (collectgarbage("count") - before) * 1024 / 1000
    collectgarbage("restart")
    assert.is_true(per_round < 200, per_round .. " bytes per round")
  end)
end)

describe("the address of a sender", function()
  it("is the same object as long as few others send", function()
    local b <close> = assert(net.udp { host = "127.0.0.1" })
    local to = b:address()
    local function sender_of(socket)
      socket:send_to("x", to)
      return (select(2, b:receive_from(PATIENCE)))
    end
    local first <close> = assert(net.udp { host = "127.0.0.1" })
    local second <close> = assert(net.udp { host = "127.0.0.1" })
    local one, two_ = sender_of(first), sender_of(second)
    assert.is_true(rawequal(one, sender_of(first)))
    assert.is_true(rawequal(two_, sender_of(second)))
    assert.is_false(one == two_)
  end)

  it("is right among more senders than are remembered", function()
    local b <close> = assert(net.udp { host = "127.0.0.1" })
    local to = b:address()
    local sockets, seen = {}, {}
    for i = 1, 600 do sockets[i] = assert(net.udp { host = "127.0.0.1" }) end
    for _ = 1, 2 do
      for _, socket in ipairs(sockets) do
        socket:send_to("x", to)
        local _, from = b:receive_from(PATIENCE)
        assert(from == socket:address())
        seen[tostring(from)] = true
      end
    end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(600, count)
    for _, socket in ipairs(sockets) do socket:close() end
  end)
end)

describe("udp:receive_from", function()
  it("gives up after its timeout", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    local start = task.now()
    is_failure("ETIMEDOUT", "timeout", socket:receive_from(0.02))
    assert.is_true(task.now() - start >= 0.02)
    is_failure("ETIMEDOUT", "timeout", socket:receive_from(0))
    socket:send_to("x", socket:address())
    assert.equal("x", (socket:receive_from(0)))
  end)

  it("finds what is there already, however short its timeout", function()
    -- After datagrams that came one at a time it waits before it looks.
    local a <close>, other, _, to = two()
    local b <close> = other
    for _, timeout in ipairs { 1e-9, 0, 1e-9 } do
      for _ = 1, 4 do
        local t = support.parked(task.spawn(function() return (b:receive_from()) end))
        a:send_to("alone", to)
        assert.equal("alone", support.finish(t))
      end
      a:send_to("there", to)
      assert.equal("there", (b:receive_from(timeout)))
    end
  end)

  it("refuses a second task, and the first is unharmed", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    local t = support.parked(task.spawn(function() return (socket:receive_from()) end))
    is_failure("EBUSY", "another task is receiving", socket:receive_from())
    is_failure("EBUSY", "another task is receiving", socket:receive(0))
    socket:send_to("for the first", socket:address())
    assert.equal("for the first", support.finish(t))
  end)

  it("is woken by close", function()
    local socket = net.udp { host = "127.0.0.1" }
    local t = support.parked(task.spawn(function() return socket:receive_from() end))
    assert.is_true(socket:close())
    is_failure("CLOSED", "closed", support.finish(t))
  end)

  it("can be cancelled, and cut short, and loses nothing", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    local t = support.parked(task.spawn(function() socket:receive_from() end))
    t:cancel()
    is_failure("ECANCELED", nil, t:join(PATIENCE))
    is_failure("EDEADLINE", nil, task.timeout(0.01, function() socket:receive_from() end))
    socket:send_to("still there", socket:address())
    local cancelled = task.spawn(function() socket:receive_from() end)
    cancelled:cancel()
    cancelled:join(PATIENCE)
    assert.equal("still there", (socket:receive_from(PATIENCE)))
  end)

  it("is a point of cancellation even if a datagram is there, except with timeout 0", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    socket:send_to("x", socket:address())
    local log = {}
    local t = task.spawn(function()
      task.current():cancel()
      log[1] = (socket:receive_from(0))
      socket:send_to("y", socket:address())
      log[2] = "not reached"
    end)
    t:join(PATIENCE)
    assert.same({ "x" }, log)
    is_failure("ETIMEDOUT", nil, socket:receive_from(0))
  end)

  it("lets others run however fast datagrams come", function()
    local socket <close> = assert(net.udp { host = "127.0.0.1", receive_buffer = 1024 * 1024 })
    for _ = 1, 200 do socket:send_to("x", socket:address()) end
    local turns = support.turns_beside(function()
      for _ = 1, 200 do assert(socket:receive_from(PATIENCE)) end
    end)
    assert.is_true(turns >= 2)
  end)
end)

describe("a connected socket", function()
  it("sends to its peer, and receives from it alone", function()
    local a <close>, other, from, to = two()
    local b <close> = other
    local stranger <close> = net.udp { host = "127.0.0.1" }
    is_failure("ENOTCONN", nil, a:peer())
    is_failure("EDESTADDRREQ", nil, a:send("x"))
    assert.is_true(a:connect(to))
    assert.is_true(a:peer() == to)
    stranger:send_to("from a stranger", from)
    assert.is_true(a:send("hello"))
    local data, sender = b:receive_from(PATIENCE)
    assert.equal("hello", data)
    assert.is_true(b:connect(sender.host, sender.port))
    assert.is_true(b:send("answer"))
    assert.equal("answer", (a:receive(PATIENCE)))
    is_failure("ETIMEDOUT", nil, a:receive(0))
  end)

  it("is told when nobody is there", function()
    local gone = net.udp { host = "127.0.0.1" }
    local address = gone:address()
    gone:close()
    local a <close> = net.udp { host = "127.0.0.1" }
    a:connect(address)
    assert.is_true(a:send("anybody?"))
    is_failure("ECONNREFUSED", nil, a:receive(PATIENCE))
    is_failure("ETIMEDOUT", nil, a:receive(0))
    local t = support.parked(task.spawn(function() return a:receive() end))
    a:send("anybody?")
    is_failure("ECONNREFUSED", nil, support.finish(t))
  end)

  it("connects to a name, and says which does not exist", function()
    local a <close>, other, _, to = two()
    local b <close> = other
    assert.is_true(a:connect("localhost", to.port, { timeout = PATIENCE }))
    a:send("by name")
    assert.equal("by name", (b:receive(PATIENCE)))
    is_failure("ENOTFOUND", "name.invalid:53", a:connect("name.invalid", 53))
    is_failure("ENOTFOUND", "name.invalid:53", a:send_to("x", "name.invalid", 53))
    assert.is_true(a:peer() == to)
  end)
end)

describe("a udp socket", function()
  it("prints as what it is", function()
    local a, b, from, to = two()
    assert.equal(("net.udp %s (open)"):format(from), tostring(a))
    a:connect(to)
    assert.equal(("net.udp %s -> %s (open)"):format(from, to), tostring(a))
    a:close()
    b:close()
    assert.equal("net.udp (closed)", tostring(a))
  end)

  it("is closed once and for all", function()
    local a, b, _, to = two()
    assert.is_true(a:close())
    assert.is_true(a:close())
    for _, call in ipairs {
      function() return a:send_to("x", to) end,
      function() return a:send_to("x", "name.invalid", 1) end,
      function() return a:send("x") end,
      function() return a:receive_from() end,
      function() return a:receive(0) end,
      function() return a:connect(to) end,
      function() return a:join("239.1.2.3") end,
      function() return a:set { broadcast = true } end,
      function() return a:address() end,
      function() return a:peer() end,
    } do
      is_failure("CLOSED", "closed", call())
    end
    b:close()
  end)

  it("is closed when it is collected, with a warning that says where it was made", function()
    local output, status = support.run([[
      local net = require "moonlet.net"
      local address = (function() return net.udp{host = "127.0.0.1"}:address() end)()
      collectgarbage() collectgarbage()
      print(net.udp{host = address} ~= nil)
    ]], "-W")
    assert.equal(0, status)
    assert.matches("net.udp 127.0.0.1:%d+ %(open%) was never closed; made at .*:2", output)
    assert.matches("true", output)
  end)

  it("names the argument and the function when one is wrong", function()
    local socket <close> = net.udp { host = "127.0.0.1" }
    local function wrong(pattern, name, ...)
      local call = load("local socket = ... socket:" .. name .. "(select(2, ...))")
      assert.matches(pattern, support.message_of(call, socket, ...))
    end
    wrong("#1 to 'send_to'", "send_to")
    wrong("#2 to 'send_to'", "send_to", "x")
    wrong("#2 to 'send_to'", "send_to", "x", {})
    wrong("#3 to 'send_to'", "send_to", "x", "127.0.0.1")
    wrong("#3 to 'send_to'", "send_to", "x", "127.0.0.1", 65536)
    wrong("#4 to 'send_to'", "send_to", "x", "127.0.0.1", 1, 5)
    wrong("#1 to 'receive_from'", "receive_from", "soon")
    wrong("#1 to 'receive'", "receive", 0 / 0)
    wrong("#1 to 'join'", "join", "group")
    wrong("#1 to 'join'", "join", "unix:/tmp/x")
    wrong("#1 to 'set'", "set")
    wrong("#1 to 'set'", "set", { ttl = 0 })
    assert.matches("net.udp", support.message_of(function() socket.send_to({}) end))
  end)
end)

describe("IPv6", function()
  local works = open { host = "::1" }
  if works then works:close() end

  it("works as IPv4 does", function()
    if not works then return end
    local a <close> = assert(net.udp { host = "::1" })
    local b <close> = assert(net.udp { host = "::1" })
    assert.equal("inet6", a:address().family)
    assert.equal(("net.udp [::1]:%d (open)"):format(a:address().port), tostring(a))
    a:send_to("six", b:address())
    local data, from = b:receive_from(PATIENCE)
    assert.equal("six", data)
    assert.is_true(from == a:address())
    b:send_to("back", "::1", from.port)
    assert.equal("back", (a:receive_from(PATIENCE)))
    assert.is_true(a:connect("::1", b:address().port))
  end)

  it("reaches IPv4 from a socket on every address", function()
    if not works then return end
    local six <close> = assert(net.udp { family = "inet6" })
    local four <close> = assert(net.udp { host = "127.0.0.1" })
    assert.is_true(six:send_to("from six", four:address()))
    local data, from = four:receive_from(PATIENCE)
    assert.equal("from six", data)
    assert.is_true(four:send_to("back", from))
    local back, sender = six:receive_from(PATIENCE)
    assert.equal("back", back)
    assert.is_true(six:send_to("again", sender))
    assert.equal("again", (four:receive_from(PATIENCE)))
  end)

  it("is not reached from an IPv4 socket", function()
    local four <close> = assert(net.udp { host = "127.0.0.1" })
    is_failure("EAFNOSUPPORT", "[::1]:9", four:send_to("x", "::1", 9))
  end)
end)

describe("broadcast", function()
  it("needs the option", function()
    local socket <close> = assert(net.udp { host = "127.0.0.1" })
    is_failure("EACCES", "127.255.255.255:9", socket:send_to("x", "127.255.255.255", 9))
    assert.is_true(socket:set { broadcast = true })
    assert.is_true(socket:send_to("x", "127.255.255.255", 9))
    assert.is_true(socket:set { broadcast = false })
    is_failure("EACCES", nil, socket:send_to("x", "127.255.255.255", 9))
  end)

  it("reaches every socket on the port", function()
    local first <close> = assert(net.udp { reuse = true })
    local port = first:address().port
    local second <close> = assert(net.udp { port = port, reuse = true })
    local sender <close> = assert(net.udp { host = "127.0.0.1", broadcast = true })
    assert.is_true(sender:send_to("to all", "127.255.255.255", port))
    assert.equal("to all", (first:receive_from(PATIENCE)))
    assert.equal("to all", (second:receive_from(PATIENCE)))
  end)
end)

describe("multicast", function()
  -- Calls body(receiver, sender, port, group, interface) for each family that can do it on the loopback.
  local function each(body)
    for family, where in pairs {
      inet = { group = "239.77.1.2", interface = "lo" },
      inet6 = { group = "ff01::4d", interface = "lo" },
    } do
      local receiver <close> = open { family = family, reuse = true }
      local sender <close> = open { family = family, multicast_interface = "lo" }
      local works = receiver and sender and receiver:join(where.group, where.interface) and
        sender:send_to("probe", where.group, receiver:address().port) and receiver:receive(0.5)
      if works then
        receiver:leave(where.group, where.interface)
        body(receiver, sender, receiver:address().port, where.group, where.interface)
      end
    end
  end

  it("is received by those who joined, until they leave", function()
    local count = 0
    each(function(receiver, sender, port, group, interface)
      count = count + 1
      sender:send_to("too early", group, port)
      assert.is_true(receiver:join(group, interface))
      sender:send_to("in time", group, port)
      assert.equal("in time", (receiver:receive(PATIENCE)))
      assert.is_true(receiver:leave(group, interface))
      is_failure("EADDRNOTAVAIL", group, receiver:leave(group, interface))
      sender:send_to("too late", group, port)
      sender:send_to("to one", sender:address().family == "inet" and "127.0.0.1" or "::1", port)
      assert.equal("to one", (receiver:receive(PATIENCE)))
    end)
    assert.is_true(count >= 1)
  end)

  it("is received by all on the port who joined", function()
    each(function(receiver, sender, port, group, interface)
      local second <close> = assert(net.udp { family = sender:address().family, port = port, reuse = true })
      assert.is_true(receiver:join(group, interface))
      assert.is_true(second:join(group, interface))
      sender:send_to("to all", group, port)
      assert.equal("to all", (receiver:receive(PATIENCE)))
      assert.equal("to all", (second:receive(PATIENCE)))
      -- On the loopback interface itself that changes nothing.
      assert.is_true(sender:set { multicast_loop = false, multicast_ttl = 3, ttl = 5 })
    end)
  end)

  it("takes an interface by name, number or IPv4 address", function()
    each(function(receiver, _, _, group)
      local four = receiver:address().family == "inet"
      for _, interface in ipairs { "lo", "1", four and "127.0.0.1" or nil } do
        assert.is_true(receiver:join(group, interface))
        assert.is_true(receiver:leave(group, interface))
      end
      is_failure("ENODEV", "nosuch0", receiver:join(group, "nosuch0"))
    end)
  end)

  it("needs a group of the socket's family", function()
    local socket <close> = assert(net.udp { host = "127.0.0.1" })
    is_failure("EINVAL", "127.0.0.1", socket:join("127.0.0.1"))
    is_failure("EINVAL", "ff01::4d", socket:join("ff01::4d"))
  end)
end)
