-- moonlet.net, servers: serve, stop, listeners that were inherited.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local test = require "moonlet.test"
local sync = require "moonlet.sync"
local it = support.limited(it)
local is_failure, finish = support.is_failure, support.finish

local function listen(opts)
  return assert(net.listen("127.0.0.1", 0, opts))
end

local function connect(address)
  local conn = assert(net.connect(address))
  conn:set_timeout(support.patience)
  return conn
end

local function echo(conn)
  for line in conn:lines() do conn:write("you said ", line, "\n") end
end

-- Sends a line and expects its echo: the handler has begun.
local function talk(conn, text)
  conn:write(text, "\n")
  assert.equal("you said " .. text, conn:read_line())
end

-- Serves in a task of its own.
-- @treturn Task, @treturn Address
local function serve(listener, ...)
  return task.spawn({ quiet = true }, listener.serve, listener, ...), listener:address()
end

-- Waits until the server has closed the connection, on which it sent nothing.
local function wait_closed(conn)
  local all, _, code = conn:read_all()
  assert.is_true(all == "" or code == "ECONNRESET")
  conn:close()
end

describe("listener:serve", function()
  it("serves each connection in a task of its own, and returns true when stopped", function()
    local listener <close> = listen()
    local t, address = serve(listener, echo)
    local clients = {}
    for i = 1, 20 do clients[i] = connect(address) end
    for i = 20, 1, -1 do talk(clients[i], "hello " .. i) end
    for i = 1, 20 do clients[i]:close() end
    assert.equal(0, listener:stop())
    assert.same({ true }, { finish(t) })
  end)

  it("closes the connection after its handler, whatever that returned, closed or handed on", function()
    local listener <close> = listen()
    local kept = sync.future()
    local t, address = serve(listener, function(conn)
      local line = conn:read_line()
      if line == "close" then conn:close() end
      if line == "keep" then kept:set(conn) end
      return nil, "ignored", "EINVAL"
    end)
    for _, word in ipairs { "close", "keep", "return" } do
      local client <close> = connect(address)
      client:write(word, "\n")
      assert.equal("", client:read_all())
    end
    is_failure("CLOSED", nil, kept:get():read_line())
    listener:stop()
    assert.is_true(finish(t))
  end)

  it("takes anything that can be called", function()
    local listener <close> = listen()
    local t, address = serve(listener, { max = 5 }, setmetatable({}, { __call = function(_, conn) echo(conn) end }))
    local client <close> = connect(address)
    talk(client, "hello")
    client:close()
    listener:stop()
    finish(t)
    local again <close> = listen()
    local other, where = serve(again, setmetatable({}, { __call = function(_, conn) echo(conn) end }))
    local second <close> = connect(where)
    talk(second, "hello")
    second:close()
    again:stop()
    finish(other)
  end)

  it("names the argument that is wrong", function()
    local listener <close> = listen()
    local function wrong(pattern, ...)
      assert.matches("bad argument " .. pattern, support.message_of(listener.serve, listener, ...))
    end
    wrong("#1 to 'serve' %(function expected, got no value")
    wrong("#1 to 'serve' %(function expected, got number", 5)
    wrong("#1 to 'serve' %(table expected", 5, print)
    wrong("#2 to 'serve' %(function expected", {})
    wrong("#2 to 'serve' %(function expected", {}, 5)
    wrong("#1 to 'serve' %(option 'max'", { max = 0 }, print)
    wrong("#1 to 'serve' %(option 'max'", { max = 1.5 }, print)
    wrong("#1 to 'serve' %(option 'on_error'", { on_error = "report" }, print)
    assert.matches("bad argument #1 to 'stop'", support.message_of(listener.stop, listener, "soon"))
    assert.matches("bad argument #1 to 'stop'", support.message_of(listener.stop, listener, 0 / 0))
    assert.matches("net.listener", support.message_of(listener.serve, "listener", print))
    assert.matches("net.listener", support.message_of(listener.stop, "listener"))
    assert.matches("net.listener", tostring(listener)) -- and it is still open
    assert.is_truthy(listener:address())
  end)

  it("fails on a closed listener, and where another task serves or accepts", function()
    local listener = listen()
    local t = support.parked(serve(listener, echo))
    is_failure("EBUSY", "another task serves", listener:serve(echo))
    is_failure("EBUSY", "another task is accepting", listener:accept())
    listener:close()
    assert.is_true(finish(t))
    is_failure("CLOSED", "closed", listener:serve(echo))

    local other <close> = listen()
    local accepting = support.parked(task.spawn({ quiet = true }, other.accept, other))
    is_failure("EBUSY", "another task is accepting", other:serve(echo))
    accepting:cancel()
    accepting:join()
    t = serve(other, echo) -- nothing of the failed call is left
    local client <close> = connect(other:address())
    talk(client, "hello")
    client:close()
    other:stop()
    assert.is_true(finish(t))
  end)

  it("returns true once its handlers have ended when somebody closes the listener", function()
    local listener = listen()
    local t, address = serve(listener, echo)
    local client <close> = connect(address)
    talk(client, "one")
    listener:close()
    talk(client, "two")
    is_failure("ECONNREFUSED", nil, net.connect(address))
    assert.equal("waiting", t:status())
    client:close()
    assert.is_true(finish(t))
  end)

  it("lets other tasks run under a flood of connections", function()
    local listener <close> = listen { backlog = 300 }
    local clients, ticks, served = {}, 0, 0
    for i = 1, 200 do clients[i] = connect(listener:address()) end
    local ticker = task.spawn(function()
      while served < 200 do
        ticks = ticks + 1
        task.yield()
      end
    end)
    for conn in listener:accepted() do
      conn:close()
      served = served + 1
      if served == 200 then break end
    end
    finish(ticker)
    assert.is_true(ticks >= 10)
    for i = 1, 200 do clients[i]:close() end
  end)
end)

describe("a handler that fails", function()
  it("is told to on_error with its connection, still open, and a traceback; the others go on", function()
    local listener <close> = listen()
    local told = {}
    local t, address = serve(listener, {
      on_error = function(err, conn, traceback)
        told[#told + 1] = { err, traceback }
        task.sleep(0.001) -- may wait
        conn:write("sorry, ", tostring(conn:peer() ~= nil), "\n")
      end,
    }, function(conn)
      for line in conn:lines() do
        if line == "die" then error { code = 7 } end
        if line == "fail" then error "oops" end
        conn:write("you said ", line, "\n")
      end
    end)
    local other <close> = connect(address)
    talk(other, "before")
    for _, word in ipairs { "die", "fail" } do
      local client <close> = connect(address)
      client:write(word, "\n")
      assert.equal("sorry, true", client:read_line())
      assert.is_nil(client:read_line())
    end
    talk(other, "after")
    other:close()
    listener:stop()
    finish(t)
    assert.same({ code = 7 }, told[1][1])
    assert.matches("serve_spec.lua:%d+: oops", told[2][1])
    for i = 1, 2 do
      assert.matches("^stack traceback:\n", told[i][2])
      assert.matches("serve_spec.lua:%d+: in ", told[i][2])
    end
    assert.equal(2, #told)
  end)

  it("is reported like any task that nobody joins, and the server goes on", function()
    local output, status = support.run [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local server = task.spawn(listener.serve, listener, function(conn) error("oops " .. conn:read_line()) end)
      for i = 1, 2 do
        local client <close> = net.connect(listener:address())
        client:write(i, "\n")
        client:read_line()
      end
      print(listener:stop(), server:join())
    ]]
    assert.matches("task #%d+ failed: script:3: oops 1\nstack traceback:\n", output)
    assert.matches("task #%d+ failed: script:3: oops 2\nstack traceback:\n", output)
    assert.matches("0\ttrue\ttrue\n", output)
    assert.equal(1, status)
  end)

  it("is told to task.on_error", function()
    local told = {}
    local before = task.on_error(function(t, err, traceback) told[#told + 1] = { tostring(t), err, traceback } end)
    local listener <close> = listen()
    local t, address = serve(listener, function() error("oops", 0) end)
    wait_closed(connect(address))
    listener:stop()
    task.on_error(before)
    finish(t)
    assert.equal(1, #told)
    assert.matches("^task #%d+", told[1][1])
    assert.equal("oops", told[1][2])
    assert.matches("^stack traceback:", told[1][3])
  end)

  it("by a reset is not reported, but told to an on_error", function()
    local reported, told = {}, {}
    local before = task.on_error(function(_, err) reported[#reported + 1] = err end)
    local begun, ended
    local function handler(conn)
      conn:write("read this\n")
      begun:set()
      local _ <close> = setmetatable({}, { __close = function() ended:set() end })
      for _ in conn:lines() do end
    end
    for round = 1, 2 do
      local listener <close> = listen()
      begun, ended = sync.event(), sync.event()
      local opts = round == 2 and { on_error = function(err) told[#told + 1] = err.code end } or {}
      local t, address = serve(listener, opts, handler)
      local client = connect(address)
      begun:wait(support.patience)
      client:close() -- with input that it has not read: a reset
      assert.is_true(ended:wait(support.patience))
      listener:stop()
      finish(t)
    end
    local listener <close> = listen()
    local t, address = serve(listener, function() error { code = "EPIPE" } end)
    wait_closed(connect(address))
    listener:stop()
    finish(t)
    task.on_error(before)
    assert.same({}, reported)
    assert.same({ "ECONNRESET" }, told)
  end)

  it("is reported, and so is on_error, when that fails too", function()
    local reported = {}
    local before = task.on_error(function(_, err) reported[#reported + 1] = err end)
    local listener <close> = listen()
    local t, address = serve(listener, { on_error = function() error("second", 0) end },
      function() error("first", 0) end)
    wait_closed(connect(address))
    listener:stop()
    task.on_error(before)
    finish(t)
    table.sort(reported)
    assert.same({ "first", "second" }, reported)
  end)

  it("is not told when it was cancelled", function()
    local told = 0
    local listener <close> = listen()
    local t, address = serve(listener, { on_error = function() told = told + 1 end }, echo)
    local client <close> = connect(address)
    talk(client, "hello")
    assert.equal(1, listener:stop(0))
    finish(t)
    assert.is_nil(client:read_line())
    assert.equal(0, told)
  end)

  it("has its connection closed even when on_error is cancelled", function()
    local listener <close> = listen()
    local telling = sync.event()
    local t, address = serve(listener, { on_error = function()
      telling:set()
      task.sleep(3600)
    end }, function() error "oops" end)
    local client <close> = connect(address)
    telling:wait(support.patience)
    assert.equal(1, listener:stop(0.01))
    finish(t)
    wait_closed(client)
  end)
end)

describe("a serve that is cancelled", function()
  local function check_cancelled(cancel)
    local listener <close> = listen()
    local left = test.leaks()
    local closed = 0
    local function handler(conn)
      local _ <close> = setmetatable({}, { __close = function()
        task.shield(nil, task.sleep, 0.001)
        closed = closed + 1
      end })
      echo(conn)
    end
    local run = cancel(listener, handler)
    local t = task.spawn({ quiet = true }, run)
    local clients = {}
    for i = 1, 5 do
      clients[i] = connect(listener:address())
      talk(clients[i], "hello")
    end
    run "now"
    t:join(support.patience)
    assert.equal(5, closed)
    for i = 1, 5 do
      assert.is_nil(clients[i]:read_line())
      clients[i]:close()
    end
    assert.same({}, left())
    local again = serve(listener, echo) -- the listener is as before
    local client <close> = connect(listener:address())
    talk(client, "hello")
    client:close()
    listener:stop()
    assert.is_true(finish(again))
    return t
  end

  it("cancels and joins its handlers, closes their connections, and leaves the listener open", function()
    local t = check_cancelled(function(listener, handler)
      local self
      return function(now)
        if now then return self:cancel() end
        self = task.current()
        listener:serve(handler)
      end
    end)
    assert.equal("cancelled", t:status())
  end)

  it("by a time limit does the same", function()
    local results
    check_cancelled(function(listener, handler)
      local expired = sync.event()
      return function(now)
        if now then return expired:wait(support.patience) end
        repeat -- until five have come, which takes less
          results = table.pack(task.timeout(1, listener.serve, listener, handler))
        until results[3] == "EDEADLINE"
        expired:set()
      end
    end)
    is_failure("EDEADLINE", "deadline passed", table.unpack(results, 1, 3))
  end)

  it("by Ctrl-C unwinds everything", function()
    local output, status = support.run [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener <close> = net.listen("127.0.0.1", 0)
      local address = listener:address()
      local pid = io.open("/proc/self/stat"):read("n")
      task.spawn({daemon = true}, function()
        local client = net.connect(address)
        client:write("x\n")
        client:read_line()
        io.popen("kill -INT " .. pid):close() -- os.execute ignores the signal meanwhile
      end)
      local _ <close> = setmetatable({}, {__close = function() print "serve has ended" end})
      listener:serve(function(conn)
        local _ <close> = setmetatable({}, {__close = function() print "handler has ended" end})
        for line in conn:lines() do conn:write(line, "\n") end
      end)
    ]]
    assert.equal("handler has ended\nserve has ended\n", output)
    assert.equal(130, status)
  end)
end)

describe("opts.max", function()
  it("stops accepting at so many connections, and goes on when one ends", function()
    local listener <close> = listen()
    local now, most, total = 0, 0, 0
    local t, address = serve(listener, { max = 2 }, function(conn)
      now, total = now + 1, total + 1
      most = math.max(most, now)
      echo(conn)
      now = now - 1
    end)
    local clients = {}
    for i = 1, 6 do
      clients[i] = connect(address)
      clients[i]:write("line\n")
    end
    for i = 1, 6 do
      assert.equal("you said line", clients[i]:read_line())
      test.wait_idle()
      assert.equal(math.min(i + 1, 6), total)
      clients[i]:close()
    end
    listener:stop()
    finish(t)
    assert.equal(2, most)
  end)

  it("leaves further connections in the backlog", function()
    local listener <close> = listen()
    local left = test.leaks()
    local t, address = serve(listener, { max = 1 }, echo)
    local clients = {}
    for i = 1, 3 do clients[i] = connect(address) end
    talk(clients[1], "hello")
    test.wait_idle()
    local open = 0
    for _, what in ipairs(left()) do open = open + (what:find "descriptor" and 1 or 0) end
    assert.equal(3 + 1, open)
    for i = 1, 3 do clients[i]:close() end
    listener:stop()
    finish(t)
  end)

  it("counts a handler that was cancelled before it began no longer", function()
    local listener <close> = listen()
    local begun = 0
    local t, address = serve(listener, { max = 1 }, function(conn) begun = begun + 1 echo(conn) end)
    support.parked(t)
    local known = {}
    for _, other in ipairs(task.list()) do known[other] = true end
    local first <close> = connect(address)
    local victim = support.eventually(function()
      for _, other in ipairs(task.list()) do
        if not known[other] then return other end
      end
    end)
    victim:cancel()
    first:close()
    local second <close> = connect(address)
    talk(second, "hello")
    second:close()
    listener:stop()
    assert.is_true(finish(t))
    assert.is_true(begun >= 1)
  end)

  it("holds while the server stops", function()
    local listener <close> = listen()
    local t, address = serve(listener, { max = 1 }, echo)
    local client <close> = connect(address)
    talk(client, "hello")
    local waiting <close> = connect(address) -- in the backlog
    local stopped = task.spawn(listener.stop, listener)
    support.parked(stopped)
    talk(client, "still here")
    client:close()
    assert.equal(0, finish(stopped))
    assert.is_true(finish(t))
    wait_closed(waiting)
  end)
end)

describe("listener:stop", function()
  it("closes a listener that nobody serves, once and again", function()
    local listener = listen()
    local address = listener:address()
    assert.equal(0, listener:stop())
    assert.equal(0, listener:stop(1))
    is_failure("ECONNREFUSED", nil, net.connect(address))
    is_failure("CLOSED", "closed", listener:serve(echo))
  end)

  it("waits for the handlers as long as it takes, and refuses new connections meanwhile", function()
    local listener <close> = listen()
    local t, address = serve(listener, echo)
    local client <close> = connect(address)
    talk(client, "one")
    local stopped = support.parked(task.spawn(listener.stop, listener))
    is_failure("ECONNREFUSED", nil, net.connect(address))
    talk(client, "two")
    assert.equal("waiting", t:status())
    client:close()
    assert.equal(0, finish(stopped))
    assert.is_true(finish(t))
  end)

  it("cancels those that have not ended after the grace, and says how many", function()
    local listener <close> = listen()
    local t, address = serve(listener, function(conn)
      local _ <close> = setmetatable({}, { __close = function() task.shield(nil, task.sleep, 0.002) end })
      echo(conn)
    end)
    local clients = {}
    for i = 1, 3 do
      clients[i] = connect(address)
      talk(clients[i], "hello")
    end
    local start = task.now()
    local stopped = support.parked(task.spawn(listener.stop, listener, 0.05))
    clients[1]:close()
    assert.equal(2, finish(stopped))
    assert.is_true(task.now() - start >= 0.05)
    assert.is_true(finish(t))
    for i = 2, 3 do
      assert.is_nil(clients[i]:read_line())
      clients[i]:close()
    end
    assert.equal(0, listener:stop())
  end)

  it("closes connections whose handler has not begun", function()
    local listener = listen()
    local begun, clients = 0, {}
    for i = 1, 5 do clients[i] = connect(listener:address()) end
    local left = test.leaks()
    local t = serve(listener, function() begun = begun + 1 end)
    local stopped = task.spawn(listener.stop, listener, 0) -- once all are accepted, before the first handler
    assert.equal(5, finish(stopped))
    assert.is_true(finish(t))
    assert.equal(0, begun)
    assert.same({}, left())
    for i = 1, 5 do wait_closed(clients[i]) end
  end)

  it("may be called by several tasks: the first grace to end cancels", function()
    local listener <close> = listen()
    local t, address = serve(listener, echo)
    local client <close> = connect(address)
    talk(client, "hello")
    local patient = support.parked(task.spawn(listener.stop, listener))
    local strict = support.parked(task.spawn(listener.stop, listener, 3600))
    assert.equal(1, listener:stop(0))
    assert.equal(1, finish(patient))
    assert.equal(1, finish(strict))
    assert.is_true(finish(t))
  end)

  it("does not wait when a handler calls it", function()
    local listener <close> = listen()
    local results = {}
    local t, address = serve(listener, function(conn)
      conn:read_line()
      results[#results + 1] = listener:stop()
      conn:write("stopped\n")
      conn:read_line()
    end)
    local clients = {}
    for i = 1, 2 do clients[i] = connect(address) end
    test.wait_idle() -- both are served
    for i = 1, 2 do
      clients[i]:write("stop\n")
      assert.equal("stopped", clients[i]:read_line())
    end
    assert.equal("waiting", t:status())
    for i = 1, 2 do clients[i]:close() end
    assert.is_true(finish(t))
    assert.same({ 0, 0 }, results)
  end)

  it("with a grace, called by a handler, cancels that one, too", function()
    local listener <close> = listen()
    local left = test.leaks()
    local t, address = serve(listener, function(conn)
      conn:write(listener:stop(0.02), "\n")
      conn:read_line()
      conn:write "never\n"
    end)
    local client <close> = connect(address)
    assert.equal("0", client:read_line())
    assert.is_nil(client:read_line())
    assert.is_true(finish(t))
    client:close()
    support.eventually(function() return #left() == 0 end)
  end)

  it("does not wait when on_error calls it", function()
    local listener <close> = listen()
    local t, address = serve(listener, { on_error = function() listener:stop() end }, function() error "oops" end)
    wait_closed(connect(address))
    assert.is_true(finish(t))
  end)

  it("leaves the handlers alone when it is cut short itself", function()
    local listener <close> = listen()
    local t, address = serve(listener, echo)
    local client <close> = connect(address)
    talk(client, "hello")
    is_failure("EDEADLINE", nil, task.timeout(0.01, listener.stop, listener))
    talk(client, "still here")
    client:close()
    assert.is_true(finish(t))
  end)
end)

describe("a server at the file limit", function()
  it("pauses without spinning, and goes on when there are descriptors again", function()
    local command, path = support.command [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local served, clients = 0, {}
      while true do -- until no descriptor is left; two for each that is served
        local client, _, code = net.connect(listener:address())
        if not client then print(code) break end
        clients[#clients + 1] = client
      end
      local server = task.spawn(listener.serve, listener, function(conn)
        served = served + 1
        conn:read_all()
      end)
      local before = os.clock()
      task.sleep(0.3)
      print("waits", served, os.clock() - before < 0.15)
      for i = 1, #clients do clients[i]:close() end
      local deadline = task.now() + 20
      while served < #clients and task.now() < deadline do task.sleep(0.01) end
      print("served", served == #clients, listener:stop(), server:join())
    ]]
    local output, status = support.shell("ulimit -n 20; " .. command)
    os.remove(path)
    assert.equal("EMFILE\nwaits\t0\ttrue\nserved\ttrue\t0\ttrue\ttrue\n", output)
    assert.equal(0, status)
  end)
end)

describe("reuseport", function()
  it("lets several listeners share an address", function()
    local first <close> = listen { reuseport = true }
    local address = first:address()
    local second <close> = assert(net.listen(address, { reuseport = true }))
    is_failure("EADDRINUSE", nil, net.listen(address))
    local one, two = (serve(first, echo)), (serve(second, echo))
    for i = 1, 20 do
      local client <close> = connect(address)
      talk(client, "hello " .. i)
    end
    first:stop()
    second:stop()
    finish(one)
    finish(two)
  end)
end)

describe("net.inherited", function()
  local function activated(kinds, names, source, environment)
    local command, path = support.command(source)
    local output, status = support.shell(("%s perl tests/spec/net/activate.pl %s '%s' %s"):format(
      environment or "", kinds, names, command))
    os.remove(path)
    return output, status
  end

  it("gives the sockets the process was started with, and their names, once", function()
    local output, status = activated("ttt", "web:admin", [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listeners, names = net.inherited {keepalive = true}
      print(#listeners, table.concat(names, " "))
      print(#net.inherited(), os.getenv "LISTEN_FDS", os.getenv "LISTEN_PID", os.getenv "LISTEN_FDNAMES")
      for i, listener in ipairs(listeners) do
        local server = task.spawn(listener.serve, listener, function(conn) conn:write(names[i], "\n") end)
        local client <close> = net.connect(listener:address())
        print(client:read_line(), listener:stop(), server:join())
      end
    ]])
    assert.equal("3\tweb admin unknown\n0\tnil\tnil\tnil\n"
      .. "web\t0\ttrue\ttrue\nadmin\t0\ttrue\ttrue\nunknown\t0\ttrue\ttrue\n", output)
    assert.equal(0, status)
  end)

  it("leaves alone what is no listening stream socket", function()
    local output = activated("utu", "dns:web:time", [[
      local listeners, names = require("moonlet.net").inherited()
      print(#listeners, names[1], #names)
    ]])
    assert.equal("1\tweb\t1\n", output)
  end)

  it("gives nothing when there is nothing, or it is another process's", function()
    local source = [[
      local listeners, names = require("moonlet.net").inherited()
      print(#listeners, #names, os.getenv "LISTEN_PID")
    ]]
    assert.equal("0\t0\t1\n", (activated("t", "", source, "LISTEN_PID=1")))
    assert.equal("0\t0\tx\n", (activated("t", "", source, "LISTEN_PID=x")))
    assert.matches("^0\t0\t%d+\n$", (activated("t", "", source, "LISTEN_FDS=many")))
    assert.matches("^0\t0\t%d+\n$", (activated("t", "", source, "LISTEN_FDS=-1")))
    assert.equal("0\t0\tnil\n", (support.run(source)))
  end)

  it("stops at the first descriptor that is not open", function()
    local output = activated("t", "", [[
      local listeners, names = require("moonlet.net").inherited()
      print(#listeners, #names)
    ]], "LISTEN_FDS=2000000000")
    assert.equal("1\t1\n", output)
  end)

  it("closes them in the programs that are started", function()
    local output = activated("t", "", [[
      local listeners = require("moonlet.net").inherited()
      os.execute "[ -e /proc/self/fd/3 ] && readlink /proc/self/fd/3 | grep -c socket || true"
      listeners[1]:close()
    ]])
    assert.is_nil(output:find "1")
  end)
end)
