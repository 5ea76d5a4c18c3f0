-- LuaSocket as Debian builds it, in tasks.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local socket = libraries.need("socket", "lua-socket")
socket.unix = libraries.need("socket.unix", "lua-socket")
local http = libraries.need("socket.http", "lua-socket")
local smtp = libraries.need("socket.smtp", "lua-socket")
local ltn12 = libraries.need("ltn12", "lua-socket")

local PATIENCE, SPAN = support.patience, libraries.SPAN
http.TIMEOUT, smtp.TIMEOUT = PATIENCE, PATIENCE

-- LuaSocket's objects have a close, but no __close.
local function closing(object)
  return setmetatable({}, { __close = function() object:close() end })
end

local function connect(port)
  local conn = assert(socket.connect("127.0.0.1", port))
  conn:settimeout(PATIENCE)
  return conn, closing(conn)
end

describe("LuaSocket", function()
  it("receives in twenty tasks at once", function()
    local server <close> = libraries.slow_server()
    libraries.overlap(function(i)
      local conn, closes <close> = connect(server.port)
      assert(conn:send(("hello %d\n"):format(i)))
      assert.equal("you said hello " .. i, conn:receive("*l"))
    end)
  end)

  it("sends more than fits, while the other side takes its time", function()
    local SIZE = support.more_than_buffers()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local closes <close> = closing(listener)
    local _, port = listener:getsockname()
    local ticker <close> = libraries.ticker()
    local reading = task.spawn(function()
      local conn = listener:accept()
      libraries.until_ticked(ticker, 3)
      local text = conn:receive("*a")
      conn:close()
      return #text
    end)
    local conn, closes_too <close> = connect(port)
    assert.equal(SIZE, conn:send(("x"):rep(SIZE)))
    conn:close()
    assert.equal(SIZE, support.finish(reading))
  end)

  it("waits together for connections that nobody takes", function()
    local full <close> = assert(net.listen("127.0.0.1", 0, { backlog = 1 }))
    local port, held = full:address().port, {}
    repeat -- what the kernel takes on its own
      local conn = socket.tcp()
      conn:settimeout(0.05)
      local ok = conn:connect("127.0.0.1", port)
      held[#held + 1] = conn
    until not ok or #held > 100
    libraries.overlap(function()
      local conn = socket.tcp()
      local closes <close> = closing(conn)
      conn:settimeout(SPAN)
      assert.same({ nil, "timeout" }, { conn:connect("127.0.0.1", port) })
    end)
    for _, conn in ipairs(held) do conn:close() end
  end)

  it("accepts while its clients are tasks of the same program", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local closes <close> = closing(listener)
    listener:settimeout(PATIENCE)
    local _, port = listener:getsockname()
    local order = {}
    local accepting = task.spawn(function()
      for _ = 1, 10 do
        local conn = assert(listener:accept())
        order[#order + 1] = "accepted"
        conn:settimeout(PATIENCE)
        task.spawn(function()
          conn:send(conn:receive("*l") .. "\n")
          conn:close()
        end)
      end
    end)
    support.parked(accepting)
    assert.same({}, order)
    task.group(function(g)
      for i = 1, 10 do
        g:spawn(function()
          local conn, closes <close> = connect(port) -- luacheck: ignore closes
          conn:send(i .. "\n")
          assert.equal(tostring(i), conn:receive("*l"))
        end)
      end
    end)
    support.finish(accepting)
    assert.equal(10, #order)
  end)

  it("receives datagrams in twenty tasks at once", function()
    libraries.overlap(function(i)
      local here, there = assert(socket.udp()), assert(socket.udp())
      local closes <close> = closing(here)
      local closes_too <close> = closing(there)
      assert(here:setsockname("127.0.0.1", 0))
      here:settimeout(PATIENCE)
      local _, port = here:getsockname()
      local sender = task.spawn(function()
        task.sleep(SPAN)
        assert(there:sendto("datagram " .. i, "127.0.0.1", port))
      end)
      local text, from = here:receivefrom()
      assert.equal("datagram " .. i, text)
      assert.equal("127.0.0.1", from)
      support.finish(sender)
    end)
  end)

  it("talks over Unix sockets in twenty tasks at once", function()
    local path = os.tmpname()
    os.remove(path)
    local listener <close> = assert(net.listen("unix:" .. path))
    task.spawn({ daemon = true }, listener.serve, listener, function(conn)
      for line in conn:lines() do
        task.sleep(SPAN)
        conn:write(line:upper(), "\n")
      end
    end)
    libraries.overlap(function(i)
      local conn = assert(socket.unix.stream())
      local closes <close> = closing(conn)
      conn:settimeout(PATIENCE)
      assert(conn:connect(path))
      conn:send("abc " .. i .. "\n")
      assert.equal("ABC " .. i, conn:receive("*l"))
    end)
    listener:close()
    os.remove(path)
  end)

  it("asks for names on threads, while others run", function()
    local asked, ran = libraries.waited "getaddrinfo" + libraries.waited "gethostbyname", false
    local other = task.spawn(function() ran = true end)
    assert.equal("127.0.0.1", (socket.dns.toip("localhost")))
    assert.is_true(ran)
    support.finish(other)
    task.group(function(g)
      for _ = 1, 20 do
        g:spawn(function()
          local found = false
          for _, address in ipairs(assert(socket.dns.getaddrinfo("localhost"))) do
            found = found or address.addr == "127.0.0.1" or address.addr == "::1"
          end
          assert.is_true(found)
          assert.equal("string", type(socket.dns.tohostname("127.0.0.1")))
        end)
      end
    end)
    assert.is_true(libraries.waited "getaddrinfo" + libraries.waited "gethostbyname" >= asked + 21)
  end)

  it("selects in twenty tasks at once", function()
    local server <close> = libraries.slow_server()
    libraries.overlap(function()
      local one, closes <close> = connect(server.port)
      local other, closes_too <close> = connect(server.port)
      other:send("hello\n")
      local readable, writable, failure = socket.select({ one, other }, nil, PATIENCE)
      assert.is_nil(failure)
      assert.same({}, writable[1] and writable or {})
      assert.equal(1, #readable)
      assert.equal(other, readable[1])
      assert.is_truthy(readable[other])
    end)
  end)

  it("ends a select, and a receive, at their timeouts", function()
    local server <close> = libraries.silent_server()
    libraries.overlap(function(i)
      local conn, closes <close> = connect(server.port)
      if i % 2 == 0 then
        assert.equal("timeout", select(3, socket.select({ conn }, nil, SPAN)))
      else
        conn:settimeout(SPAN)
        assert.same({ nil, "timeout", "" }, { conn:receive("*l") })
      end
    end)
  end)

  it("sleeps in twenty tasks at once", function()
    libraries.overlap(function() socket.sleep(SPAN) end)
  end)

  it("fetches twenty pages at once, and a sink may wait for its task", function()
    local server <close> = libraries.slow_pages()
    libraries.overlap(function(i)
      local url = ("http://127.0.0.1:%d/page/%d"):format(server.port, i)
      local pieces = {}
      local sink = ltn12.sink.table(pieces)
      local ok, status = http.request { url = url, sink = function(piece, message)
        task.sleep(0.01)
        return sink(piece, message)
      end }
      assert.equal(1, ok)
      assert.equal(200, status)
      assert.equal("/page/" .. i, table.concat(pieces))
    end)
  end)

  it("sends mail from twenty tasks at once", function()
    local mails = {}
    local server <close> = libraries.server(function(conn)
      local lines
      conn:write("220 ready\r\n")
      for line in conn:lines() do
        if lines then
          if line == "." then
            mails[#mails + 1] = table.concat(lines, "\n")
            lines = nil
            task.sleep(SPAN)
            conn:write("250 taken\r\n")
          else
            lines[#lines + 1] = line
          end
        elseif line == "DATA" then
          lines = {}
          conn:write("354 go on\r\n")
        elseif line == "QUIT" then
          conn:write("221 bye\r\n")
          return conn:finish(1)
        else
          conn:write("250 well\r\n")
        end
      end
    end)
    libraries.overlap(function(i)
      assert(smtp.send { from = "<me@localhost>", rcpt = "<you@localhost>", server = "127.0.0.1",
        port = server.port, source = smtp.message { headers = { subject = "number " .. i }, body = "hello" } })
    end)
    local seen = {}
    for _, mail in ipairs(mails) do seen[mail:match "Subject: (number %d+)"] = true end
    for i = 1, libraries.TASKS do assert.is_true(seen["number " .. i]) end
  end)

  it("is cancelled in receive, accept, receivefrom, select and sleep; its objects close afterwards", function()
    local server <close> = libraries.silent_server()
    local conn = connect(server.port)
    conn:settimeout(nil)
    local listener, udp = assert(socket.bind("127.0.0.1", 0)), assert(socket.udp())
    assert(udp:setsockname("127.0.0.1", 0))
    local function nothing() end
    libraries.cancels(function() conn:receive("*l") end, nothing)
    libraries.cancels(function() socket.select({ conn }, nil, nil) end, nothing)
    libraries.cancels(function() listener:accept() end, nothing)
    libraries.cancels(function() udp:receivefrom() end, nothing)
    libraries.cancels(function() socket.sleep(PATIENCE) end, nothing)
    for _, object in ipairs { conn, listener, udp } do
      assert.equal(1, object:close())
      assert.has_no.errors(function() object:close() end)
    end
  end)

  it("can go on with a connection whose receive was cancelled", function()
    local server <close> = libraries.slow_server()
    local conn, closes <close> = connect(server.port)
    conn:send("hello\n")
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, conn.receive, conn, "*l"))
    assert.equal("you said hello", conn:receive("*l"))
  end)

  it("is cancelled in the middle of an HTTP request", function()
    local server <close> = libraries.silent_server()
    libraries.cancels(function()
      http.request(("http://127.0.0.1:%d/"):format(server.port))
    end, collectgarbage)
  end)

  it("tells the waiting task when another closes its socket", function()
    local server <close> = libraries.silent_server()
    local conn = connect(server.port)
    local waiting = support.parked(task.spawn(function() return conn:receive("*l") end))
    conn:close()
    local text, message = support.finish(waiting)
    assert.is_nil(text)
    assert.equal("string", type(message))
    assert.is_not_equal("timeout", message)
  end)

  it("blocks every task, and does the same, with --no-interpose", function()
    local server <close> = libraries.slow_server()
    libraries.blocks_without('local socket = require "socket"', [[
      local conn = assert(socket.connect("127.0.0.1", port))
      conn:send("hello " .. i .. "\n")
      assert(conn:receive "*l" == "you said hello " .. i)
      conn:close()
    ]], server.port)
  end)
end)
