-- moonlet.net, pairs: net.pair through the kernel, net.memory_pair through a bad network in memory.

local support = dofile("tests/spec/support.lua")
local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"
local it = support.limited(it)
local is_failure = support.is_failure

--- Seconds of the clock in force that fn(...) took.
local function time_of(fn, ...)
  local start = task.now()
  fn(...)
  return task.now() - start
end

local function is_about(expected, seconds)
  if math.abs(seconds - expected) > 1e-6 then
    error(("expected %g s, got %g s"):format(expected, seconds), 2)
  end
end

-- What holds for both kinds, in the same words as for sockets over TCP.
for name, pair in pairs { pair = net.pair, memory_pair = net.memory_pair } do
  describe("net." .. name, function()
    it("gives two streams, each of which reads what the other writes", function()
      local a <close>, other = pair()
      local b <close> = other
      assert.is_true(a:write("to b\n"))
      assert.is_true(b:write("to a\n"))
      assert.equal("to b", b:read_line())
      assert.equal("to a", a:read_line())
      assert.matches("^net%.stream .*%(open%)$", tostring(a))
    end)

    it("carries megabytes both ways at once", function()
      local a <close>, other = pair()
      local b <close> = other
      local data = ("0123456789abcdef"):rep(64 * 1024)
      local writers = {}
      for i, s in ipairs { a, b } do
        writers[i] = task.spawn(function() return s:write(data, i) end)
      end
      local reader = task.spawn(function() return b:read_exactly(#data + 1) end)
      assert.is_true(a:read_exactly(#data + 1) == data .. 2)
      assert.is_true(support.finish(reader) == data .. 1)
      for _, t in ipairs(writers) do assert.is_true(support.finish(t)) end
    end)

    it("knows half-close", function()
      local a <close>, other = pair()
      local b <close> = other
      a:write("question")
      assert.is_true(a:shutdown())
      assert.equal("question", b:read_all())
      assert.is_nil(b:read_some())
      b:write("answer")
      b:close()
      assert.equal("answer", a:read_all())
      is_failure("EPIPE", nil, a:write("more"))
    end)

    it("tells the end after close, and EPIPE to who writes", function()
      local a, b = pair()
      local reader = support.parked(task.spawn(function() return b:read_some() end))
      a:close()
      assert.is_nil(support.finish(reader))
      is_failure("EPIPE", nil, b:write("x"))
      b:close()
    end)

    it("is reset by a close with input unread", function()
      local a, other = pair()
      local b <close> = other
      b:write("never read")
      a:close()
      is_failure("ECONNRESET", nil, b:read_exactly(1))
    end)

    it("wakes who reads and who writes when the stream is closed here", function()
      local a, other = pair()
      local b <close> = other
      local reader = support.parked(task.spawn(function() return a:read_some() end))
      local writers = {}
      for i = 1, 2 do
        writers[i] = support.parked(task.spawn(function() return a:write(("x"):rep(2 ^ 21)) end))
      end
      a:close()
      is_failure("CLOSED", "closed", support.finish(reader))
      for _, t in ipairs(writers) do is_failure("CLOSED", "closed", support.finish(t)) end
      assert.equal("net.stream (closed)", tostring(a))
      is_failure("CLOSED", "closed", a:read_some())
    end)

    it("wakes a writer when the other end is closed", function()
      local a <close>, b = pair()
      local writer = support.parked(task.spawn(function() return a:write(("x"):rep(2 ^ 21)) end))
      b:close()
      local _, _, code = support.finish(writer)
      assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
    end)

    it("refuses a second reader", function()
      local a <close>, other = pair()
      local b <close> = other
      local reader = support.parked(task.spawn(function() return a:read_line() end))
      is_failure("EBUSY", "another task is reading", a:peek())
      is_failure("EBUSY", "another task is reading", a:finish(1))
      b:write("line\n")
      assert.equal("line", support.finish(reader))
    end)

    it("keeps the bytes of a read that was cancelled", function()
      local a <close>, other = pair()
      local b <close> = other
      b:write("ab")
      local reader = support.parked(task.spawn({ quiet = true }, function() return a:read_exactly(4) end))
      reader:cancel()
      assert.equal("ECANCELED", select(3, reader:join(support.patience)))
      b:write("cd")
      assert.equal("abcd", a:read_exactly(4))
    end)

    it("times out as told, of reads and of writes", function()
      local a <close>, other = pair()
      local b <close> = other
      a:set_timeout(0.01)
      is_failure("ETIMEDOUT", "timeout", a:read_some())
      local _, message, code, sent = a:write(("x"):rep(2 ^ 21))
      assert.same({ "timeout", "ETIMEDOUT" }, { message, code })
      assert.is_true(sent > 0 and sent < 2 ^ 21)
      is_failure("EPIPE", nil, a:write("after a write that was cut"))
      a:set_timeout(0)
      is_failure("ETIMEDOUT", "timeout", a:read_some())
      assert.equal(sent, #b:read_exactly(sent))
    end)

    it("ends when an open stream is collected", function()
      local function half()
        local a, b = pair()
        a:write("bye")
        return b
      end
      local b <close> = half()
      collectgarbage()
      collectgarbage()
      assert.equal("bye", b:read_all())
    end)
  end)
end

describe("net.pair", function()
  it("leaves no descriptor behind", function()
    local left = test.leaks()
    local a, b = net.pair()
    assert.equal(2, #left())
    a:close()
    b:close()
    assert.same({}, left())
  end)
end)

describe("net.memory_pair", function()
  it("takes no descriptor, and says so when asked for what only sockets have", function()
    local left = test.leaks()
    local a <close>, other = net.memory_pair()
    local b <close> = other
    assert.same({}, left())
    assert.equal("net.stream in memory (open)", tostring(b))
    is_failure("ENOTCONN", nil, a:peer())
    is_failure("ENOTCONN", nil, a:address())
    is_failure("EOPNOTSUPP", nil, a:set_nodelay())
    is_failure("EOPNOTSUPP", nil, a:set_keepalive(60, 10, 3))
  end)

  it("with chunk hands over no more bytes at a time", function()
    for _, chunk in ipairs { 1, 3, 1000 } do
      local a <close>, other = net.memory_pair { chunk = chunk }
      local b <close> = other
      assert.is_true(a:write("abc", "defgh", ("x"):rep(5000)))
      a:shutdown()
      local got = {}
      for bytes in b:chunks() do
        assert.is_true(#bytes <= chunk)
        got[#got + 1] = bytes
      end
      assert.equal("abcdefgh" .. ("x"):rep(5000), table.concat(got))
    end
  end)

  it("with latency hands bytes and end over that many seconds later", function()
    local _ <close> = test.virtual_clock()
    local a <close>, other = net.memory_pair { latency = 0.25 }
    local b <close> = other
    a:write("one")
    is_about(0.25, time_of(function() assert.equal("one", b:read_exactly(3)) end))
    a:write("two")
    task.sleep(0.1)
    a:write("three")
    a:shutdown()
    is_about(0.15, time_of(function() assert.equal("two", b:read_exactly(3)) end))
    is_about(0.1, time_of(function() assert.equal("three", b:read_exactly(5)) end))
    is_about(0, time_of(function() assert.is_nil(b:read_some()) end))
    b:close()
    a:set_timeout(0)
    is_failure("ETIMEDOUT", "timeout", a:read_some())
  end)

  it("with latency lets a timeout of the reader pass first, to the moment", function()
    local _ <close> = test.virtual_clock()
    local a <close>, other = net.memory_pair { latency = 1 }
    local b <close> = other
    a:write("late")
    b:set_timeout(0.4)
    is_about(0.4, time_of(function() is_failure("ETIMEDOUT", "timeout", b:read(4)) end))
    is_about(0.4, time_of(function() is_failure("ETIMEDOUT", "timeout", b:read(4)) end))
    is_about(0.2, time_of(function() assert.equal("late", b:read(4)) end))
    a:write("later")
    b:set_timeout(nil)
    is_about(0.5, time_of(function()
      assert.equal("EDEADLINE", select(3, task.timeout(0.5, function() b:read(5) end)))
    end))
  end)

  it("with latency tells a writer of the other end's close as late", function()
    local _ <close> = test.virtual_clock()
    local a <close>, b = net.memory_pair { latency = 1, capacity = 10 }
    b:close()
    is_about(1, time_of(function()
      local _, _, code, sent = a:write(("x"):rep(100))
      assert.same({ "EPIPE", 10 }, { code, sent })
    end))
  end)

  it("with reset_after resets both ends, for good, after so many bytes", function()
    local a <close>, other = net.memory_pair { reset_after = 100 }
    local b <close> = other
    local reader = support.parked(task.spawn(function() return a:read_some() end))
    local _, _, code, sent = a:write(("x"):rep(150))
    assert.same({ "ECONNRESET", 100 }, { code, sent })
    is_failure("ECONNRESET", nil, support.finish(reader))
    is_failure("ECONNRESET", nil, b:read_exactly(101))
    assert.equal(100, #b:read_exactly(100))
    for _ = 1, 2 do
      is_failure("ECONNRESET", nil, b:read_some())
      is_failure("ECONNRESET", nil, b:write("x"))
      is_failure("ECONNRESET", nil, a:read_some())
    end
    local c <close>, last = net.memory_pair { reset_after = 0 }
    local d <close> = last
    is_failure("ECONNRESET", nil, c:write("x"))
    is_failure("ECONNRESET", nil, d:read())
  end)

  it("with stall_after takes and hands over so many bytes and nothing more", function()
    local _ <close> = test.virtual_clock()
    local a <close>, other = net.memory_pair { stall_after = 200 }
    local b <close> = other
    a:set_timeout(3)
    b:set_timeout(5)
    is_about(3, time_of(function()
      local _, _, code, sent = a:write(("x"):rep(300))
      assert.same({ "ETIMEDOUT", 200 }, { code, sent })
    end))
    assert.equal(200, #b:read_exactly(200))
    a:close()
    is_about(5, time_of(function() is_failure("ETIMEDOUT", "timeout", b:read_some()) end))
  end)

  it("with capacity lets a writer wait, and go on as the reader reads", function()
    local a <close>, other = net.memory_pair { capacity = 10 }
    local b <close> = other
    local writer = task.spawn(function() return a:write("0123456789", "abcde") end)
    test.wait_idle()
    assert.equal("waiting", writer:status())
    assert.equal("01234", b:read_exactly(5))
    assert.is_true(support.finish(writer))
    assert.equal("56789abcde", b:read_exactly(10))
    local large <close>, reader = net.memory_pair()
    local _ <close> = reader -- an end that is collected is closed
    assert.is_true(large:write(("x"):rep(64 * 1024)))
  end)

  it("takes options for one direction", function()
    local a <close>, other = net.memory_pair {
      reset_after = 7, a_to_b = { reset_after = 3 }, b_to_a = { chunk = 2 } }
    local b <close> = other
    assert.is_true(b:write("123456"))
    assert.equal(2, #a:peek(2))
    local first = a:read_some()
    assert.is_true(#first <= 2)
    assert.is_true(a:write("12"))
    is_failure("ECONNRESET", nil, a:write("34"))
  end)

  it("is seen through when nothing can ever come: a deadlock", function()
    local output, status = support.run [[
      local net = require "moonlet.net"
      local a, b = net.memory_pair { stall_after = 1 }
      a:write("xy")
    ]]
    assert.equal(70, status)
    assert.matches("waits for room at the other end, in memory", output, 1, true)
  end)

  it("names the option that is wrong", function()
    for option, value in pairs { chunk = 0, capacity = 0, reset_after = -1, stall_after = "x",
      latency = -1, a_to_b = 5 } do
      assert.matches("bad argument #1 to 'memory_pair' (option '" .. option .. "'",
        support.message_of(net.memory_pair, { [option] = value }), 1, true)
    end
    assert.matches("bad argument #1 to 'memory_pair'", support.message_of(function() net.memory_pair(5) end))
  end)
end)
