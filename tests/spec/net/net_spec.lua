-- moonlet.net: connecting, listening, accepting, addresses, host names.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)
local is_failure = support.is_failure

local function ipv6_works()
  local listener = net.listen("::1", 0)
  if listener then listener:close() end
  return listener ~= nil
end

describe("an address", function()
  it("is a table of host, port and family that prints as text", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    assert.equal("table", type(address))
    assert.equal("127.0.0.1", address.host)
    assert.equal("inet", address.family)
    assert.equal("integer", math.type(address.port))
    assert.equal("127.0.0.1:" .. address.port, tostring(address))
    assert.is_nil(address.path)
    local fields = {}
    for key, value in pairs(address) do fields[key] = value end
    assert.same({ host = "127.0.0.1", port = address.port, family = "inet" }, fields)
  end)

  it("cannot be changed", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    assert.matches("cannot be changed", support.message_of(function() address.port = 1 end))
    assert.matches("cannot be changed", support.message_of(function() address.new = 1 end))
    assert.is_false(getmetatable(address))
    assert.is_false(pcall(setmetatable, address, nil))
    for key in pairs(address) do assert.is_not_nil(address[key]) end
  end)

  it("is compared by value", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local other <close> = net.listen("127.0.0.1", 0)
    assert.is_true(listener:address() == listener:address())
    assert.is_false(rawequal(listener:address(), listener:address()))
    assert.is_false(listener:address() == other:address())
    assert.is_false(listener:address() == 5)
  end)

  it("is the same seen from both ends of a connection", function()
    local here <close>, peer, address = support.pair()
    local there <close> = peer
    assert.equal(address, here:peer())
    assert.equal(address, there:address())
    assert.is_true(here:address() == there:peer())
    assert.equal(("net.stream %s <- %s (open)"):format(here:address(), here:peer()), tostring(here))
  end)

  it("is taken in place of host and port, with options behind it", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    assert(net.connect(address)):close()
    assert(net.connect(address, { timeout = 10 })):close()
    listener:close()
    local again <close> = assert(net.listen(address, { backlog = 5 }))
    assert.is_true(again:address() == address)
  end)
end)

describe("net.connect", function()
  it("returns nil, a message that names the target, and ECONNREFUSED when nobody listens", function()
    local port = support.free_port()
    is_failure("ECONNREFUSED", "127.0.0.1:" .. port .. ": ", net.connect("127.0.0.1", port))
  end)

  it("returns ENOTFOUND for a host that does not exist", function()
    is_failure("ENOTFOUND", "name.invalid:80: host not found", net.connect("name.invalid", 80))
    is_failure("ENOTFOUND", nil, net.connect("", 80))
    is_failure("ENOTFOUND", nil, net.connect("127.0.0.1", 80, { family = "inet6" }))
  end)

  it("finds localhost by its name", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    local client <close> = assert(net.connect("localhost", address.port, { family = "inet" }))
    assert.is_true(client:peer() == address)
    local both <close> = assert(net.connect("localhost", address.port))
  end)

  it("finds it for many tasks at once", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local port = listener:address().port
    task.spawn(function() for conn in listener:accepted() do conn:close() end end)
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = task.spawn(function()
        local client <close> = assert(net.connect("localhost", port))
        return client:read_all()
      end)
    end
    for _, t in ipairs(tasks) do assert.equal("", support.finish(t)) end
  end)

  it("gives up after its timeout, which the stream does not inherit", function()
    local listener <close> = net.listen("127.0.0.1", 0, { backlog = 1 })
    local address = listener:address()
    local streams, start = {}, nil
    local values
    support.eventually(function() -- until the backlog is full
      start = task.now()
      values = table.pack(net.connect(address, { timeout = 0.1 }))
      streams[#streams + 1] = values[1]
      return values[1] == nil
    end)
    is_failure("ETIMEDOUT", "timeout", table.unpack(values, 1, values.n))
    assert.is_true(task.now() - start >= 0.1)
    local t = support.parked(task.spawn(function() return streams[1]:read_line() end))
    task.sleep(0.12)
    assert.equal("waiting", t:status())
    for _, s in ipairs(streams) do s:close() end
  end)

  it("binds to a local address", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    local client <close> = assert(net.connect(address, { bind = "127.0.0.2" }))
    assert.equal("127.0.0.2", client:address().host)
    is_failure("EADDRNOTAVAIL", nil, net.connect(address, { bind = "192.0.2.1" }))
  end)

  it("takes its options", function()
    local listener <close> = net.listen("127.0.0.1", 0, { reuseport = true, nodelay = false })
    local client <close> = assert(net.connect(listener:address(),
      { nodelay = false, keepalive = true, family = "inet" }))
  end)

  it("names the argument and the function when one is wrong", function()
    local function wrong(number, ...)
      assert.matches("bad argument #" .. number .. " to '[%w.]*connect'",
        support.message_of(net.connect, ...))
    end
    wrong(1)
    wrong(1, {}, 80)
    wrong(1, "127.0.0.1\0.example", 80)
    wrong(3, "127.0.0.1", 80, { timout = 5 })
    wrong(2, "unix:/tmp/x", 80)
    wrong(2, "127.0.0.1")
    wrong(2, "127.0.0.1", "http")
    wrong(2, "127.0.0.1", 65536)
    wrong(2, "127.0.0.1", -1)
    wrong(3, "127.0.0.1", 80, 5)
    wrong(3, "127.0.0.1", 80, { timeout = "soon" })
    wrong(3, "127.0.0.1", 80, { timeout = 0 / 0 })
    wrong(3, "127.0.0.1", 80, { family = "inet5" })
    wrong(3, "127.0.0.1", 80, { family = {} })
    wrong(3, "127.0.0.1", 80, { bind = "somewhere" })
  end)
end)

describe("IPv6", function()
  it("works as IPv4 does, hosts in brackets", function()
    if not ipv6_works() then return end
    local listener <close> = assert(net.listen("::1", 0))
    local address = listener:address()
    assert.equal("inet6", address.family)
    assert.equal("[::1]:" .. address.port, tostring(address))
    local client <close> = assert(net.connect("::1", address.port))
    local server <close> = assert(listener:accept())
    client:write("six\n")
    assert.equal("six", server:read_line())
    assert.is_true(client:address() == server:peer())
    listener:close()
    is_failure("ECONNREFUSED", "[::1]:" .. address.port, net.connect("::1", address.port))
  end)
end)

describe("net.listen", function()
  it("takes * for every address, and a name", function()
    for _, host in ipairs { "*", "0.0.0.0", "localhost" } do
      local listener <close> = assert(net.listen(host, 0, { family = "inet" }))
      local client <close> = assert(net.connect("127.0.0.1", listener:address().port))
    end
  end)

  -- A listener of IPv6 on a port that nobody has in IPv4: the kernel looks at one of the two.
  local function listen_six()
    for _ = 1, 20 do
      local six = net.listen("::", 0)
      local other = six and net.connect("127.0.0.1", six:address().port)
      if not other then return six end
      other:close()
      six:close()
    end
    error "each port of a listener of IPv6 takes connections of IPv4, too"
  end

  it("takes * for all of IPv4 and :: for all of IPv6, side by side on one port", function()
    local six = listen_six()
    if not six then return end -- no IPv6 here
    local port = six:address().port
    is_failure("ECONNREFUSED", nil, net.connect("127.0.0.1", port))
    local four <close> = assert(net.listen("*", port))
    for listener, host in pairs { [four] = "127.0.0.1", [six] = "::1" } do
      local client <close> = assert(net.connect(host, port))
      local accepted <close> = assert(listener:accept(support.patience))
      assert.is_true(accepted:peer() == client:address())
    end
    six:close()
    local again <close> = assert(net.listen("::", port))
  end)

  it("returns what the system says", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local address = listener:address()
    is_failure("EADDRINUSE", tostring(address), net.listen(address))
    is_failure("EADDRNOTAVAIL", nil, net.listen("192.0.2.1", 0))
    is_failure("ENOTFOUND", nil, net.listen("name.invalid", 0))
  end)

  it("names the argument and the function when one is wrong", function()
    assert.matches("bad argument #1 to '[%w.]*listen'", support.message_of(net.listen))
    assert.matches("bad argument #2 to '[%w.]*listen'", support.message_of(net.listen, "*", {}))
    assert.matches("bad argument #3 to '[%w.]*listen'",
      support.message_of(net.listen, "*", 0, { backlog = "long" }))
  end)
end)

describe("listener:accept", function()
  it("gives up after its timeout", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local start = task.now()
    is_failure("ETIMEDOUT", "timeout", listener:accept(0.02))
    assert.is_true(task.now() - start >= 0.02)
    is_failure("ETIMEDOUT", "timeout", listener:accept(0))
    local client <close> = net.connect(listener:address())
    local server <close> = assert(listener:accept(0))
  end)

  it("refuses a second task, and the first is unharmed", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local t = support.parked(task.spawn(function() return listener:accept() end))
    is_failure("EBUSY", "another task is accepting", listener:accept())
    local client <close> = net.connect(listener:address())
    local server <close> = support.finish(t)
    server:write("hello\n")
    assert.equal("hello", client:read_line())
  end)

  it("is woken by close", function()
    local listener = net.listen("127.0.0.1", 0)
    local t = support.parked(task.spawn(function() return listener:accept() end))
    assert.is_true(listener:close())
    is_failure("CLOSED", "closed", support.finish(t))
    is_failure("CLOSED", "closed", listener:accept())
    is_failure("CLOSED", "closed", listener:address())
    assert.is_true(listener:close())
    assert.equal("net.listener (closed)", tostring(listener))
  end)

  it("takes connections in the order in which they were made", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    local clients = {}
    for i = 1, 10 do
      clients[i] = assert(net.connect(listener:address()))
      clients[i]:write(i, "\n")
    end
    for i = 1, 10 do
      local server <close> = assert(listener:accept())
      assert.equal(tostring(i), server:read_line())
      clients[i]:close()
    end
  end)

  it("names the argument and the function when one is wrong", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    assert.matches("bad argument #1 to 'accept'",
      support.message_of(function() listener:accept("x") end))
    assert.matches("accept", support.message_of(function() listener.accept({}) end))
  end)

  it("waits at the file limit, without spinning, and recovers", function()
    local command, path = support.command [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local clients = {}
      while true do -- until no descriptor is left; two for each that is accepted
        local client, _, code = net.connect(listener:address())
        if not client then print(code) break end
        clients[#clients + 1] = client
      end
      local count = 0
      local server = task.spawn(function()
        local held = {}
        while count < #clients do
          held[#held + 1] = assert(listener:accept())
          count = count + 1
          held[#held]:write("accepted\n")
        end
      end)
      local before = os.clock()
      task.sleep(0.3)
      print("waits", count, server:status() ~= "done", os.clock() - before < 0.15)
      for i = 1, #clients do -- each one closed makes room for an accept
        clients[i]:close()
      end
      print("accepted", select(2, server:join(20)) == nil, count == #clients, server:status())
      listener:close()
    ]]
    local output, status = support.shell("ulimit -n 20; " .. command)
    os.remove(path)
    assert.equal("EMFILE\nwaits\t0\ttrue\ttrue\naccepted\ttrue\ttrue\tdone\n", output)
    assert.equal(0, status)
  end)
end)

describe("listener:accepted", function()
  it("iterates until the listener is closed", function()
    local listener = net.listen("127.0.0.1", 0)
    local t = task.spawn(function()
      local count = 0
      for conn in listener:accepted() do
        count = count + 1
        conn:close()
      end
      return count
    end)
    for _ = 1, 7 do
      local client <close> = net.connect(listener:address())
      assert.equal("", client:read_all())
    end
    listener:close()
    assert.equal(7, support.finish(t))
  end)

  it("raises any other failure as a table that prints as its message", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    support.parked(task.spawn(function() listener:accept() end))
    local ok, err = pcall(function() for _ in listener:accepted() do end end)
    assert.is_false(ok)
    assert.equal("EBUSY", err.code)
    assert.equal("another task is accepting on this listener", tostring(err))
  end)
end)

describe("a listener", function()
  it("prints as what it is", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    assert.equal("net.listener " .. tostring(listener:address()) .. " (open)", tostring(listener))
  end)

  it("is closed when it is collected", function()
    local address = (function() return net.listen("127.0.0.1", 0):address() end)()
    collectgarbage()
    collectgarbage()
    is_failure("ECONNREFUSED", nil, net.connect(address))
  end)

  it("serves five hundred clients at once", function()
    local listener <close> = net.listen("127.0.0.1", 0)
    task.spawn(function()
      for conn in listener:accepted() do
        task.spawn(function()
          local own <close> = conn
          for line in own:lines() do own:write("you said ", line, "\n") end
        end)
      end
    end)
    local clients = {}
    for i = 1, 500 do
      clients[i] = task.spawn(function()
        local client <close> = assert(net.connect(listener:address()))
        for k = 1, 3 do
          client:write(i, "/", k, "\n")
          assert(client:read_line() == ("you said %d/%d"):format(i, k))
        end
      end)
    end
    for _, t in ipairs(clients) do support.finish(t) end
  end)
end)
