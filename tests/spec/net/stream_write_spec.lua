-- moonlet.net, streams: writing, turns of writers, half-close, close under those who wait.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it = support.limited(it)
local is_failure = support.is_failure

local MEGABYTE = 1024 * 1024

describe("stream:write", function()
  it("takes strings, numbers and lists of them", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    assert.same({ true, n = 1 }, table.pack(here:write("a", 1, 2.5, { "b", 3, { "no" } and "c" }, "")))
    assert.is_true(here:write())
    assert.is_true(here:write("", {}, ""))
    assert.is_true(here:write("zero\0byte"))
    here:close()
    assert.equal("a12.5b3czero\0byte", there:read_all())
  end)

  it("takes thousands of values in one call", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local values = {}
    for i = 1, 5000 do values[i] = i .. "," end
    assert.is_true(here:write(table.unpack(values)))
    here:close()
    assert.equal(table.concat(values), there:read_all())
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = support.pair()
    assert.matches("bad argument #1 to 'write'", support.message_of(function() here:write(nil) end))
    assert.matches("bad argument #2 to 'write'",
      support.message_of(function() here:write("x", true) end))
    assert.matches("bad argument #1 to 'write' %(element 2 of the list",
      support.message_of(function() here:write { "x", {} } end))
  end)

  it("waits for a slow reader, and every byte of many arrives", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local piece = {}
    for i = 1, 4096 do piece[i] = ("%08x"):format(i * 2654435761 % 2 ^ 32 // 1) end
    local data = table.concat(piece):rep(support.more_than_buffers() // 32768)
    local t = support.parked(task.spawn(function() return here:write(data) end))
    local got = {}
    local size = 0
    while size < #data do
      got[#got + 1] = there:read_exactly(math.min(333333, #data - size))
      size = size + #got[#got]
    end
    assert.is_true(support.finish(t))
    assert.is_true(table.concat(got) == data)
  end)

  it("of ten tasks is contiguous, first come first served", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local writers, sizes = {}, {}
    for i = 1, 10 do
      sizes[i] = i == 1 and support.more_than_buffers() or 100000
      local data = string.char(64 + i):rep(sizes[i])
      writers[i] = support.parked(task.spawn(function() return here:write(data) end))
    end
    for i = 1, 10 do
      local letter = string.char(64 + i)
      assert.is_nil(there:read_exactly(sizes[i]):find("[^" .. letter .. "]"), "block " .. letter)
    end
    for i = 1, 10 do assert.is_true(support.finish(writers[i])) end
  end)

  it("times out, tells how much was sent, and breaks the write side", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    here:set_timeout(0.02, "write")
    local start = task.now()
    local ok, message, code, sent = here:write(("x"):rep(64 * MEGABYTE))
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { ok, message, code })
    assert.is_true(task.now() - start >= 0.02)
    assert.is_true(math.type(sent) == "integer" and sent > 0 and sent < 64 * MEGABYTE)
    local again = table.pack(here:write("more"))
    assert.equal("EPIPE", again[3])
    assert.equal(0, again[4])
    assert.is_true(there:write("the other way still works"))
    assert.equal("the other", here:read_exactly(9))
  end)

  it("times out in the queue without a byte sent, and breaks nothing", function()
    support.ends_in_the_queue(function(here)
      here:set_timeout(0.02, "write")
      assert.same({ nil, "timeout", "ETIMEDOUT", 0 }, { here:write("never") })
      here:set_timeout(nil)
    end)
  end)

  it("after the peer is gone is EPIPE or ECONNRESET, never a signal", function()
    local here <close>, there = support.pair()
    there:close()
    local code
    support.eventually(function()
      local ok
      ok, _, code = here:write("x")  -- luacheck: ignore 111
      return not ok
    end)
    assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
    is_failure("EPIPE", nil, here:write("x"))
  end)

  it("never kills the process when the peer is gone", function()
    local output, status = support.run [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local here, there = net.connect(listener:address()), listener:accept()
      there:close()
      local code
      for i = 1, 1000 do
        local _, _, c = here:write("x", i)
        code = c or code
        task.yield()
      end
      print(code == "EPIPE")
    ]]
    assert.same({ "true\n", 0 }, { output, status })
  end)
end)

describe("stream:shutdown", function()
  it("ends the output only: the peer reads the end and can still write", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    here:write("question")
    assert.is_true(here:shutdown("write"))
    assert.equal("question", there:read_all())
    assert.is_nil(there:read_some())
    there:write("answer")
    there:close()
    assert.equal("answer", here:read_all())
    is_failure("EPIPE", nil, here:write("more"))
  end)

  it("waits for the writers before it", function()
    local here <close>, peer = support.pair()
    local there <close> = peer
    local size = support.more_than_buffers()
    local writer = support.parked(task.spawn(function() return here:write(("x"):rep(size)) end))
    local shutter = support.parked(task.spawn(function() return here:shutdown() end))
    assert.equal(size, #there:read_all())
    assert.is_true(support.finish(writer))
    assert.is_true(support.finish(shutter))
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = support.pair()
    assert.matches("bad argument #1 to 'shutdown'",
      support.message_of(function() here:shutdown("read") end))
  end)
end)

describe("stream:close", function()
  local function closed_result(t) is_failure("CLOSED", "closed", support.finish(t)) end

  it("wakes the reader, the writer and those who wait for their turn", function()
    local here, peer = support.pair()
    local there <close> = peer
    local reader = support.parked(task.spawn(function() return here:read_line() end))
    local big = ("x"):rep(64 * MEGABYTE)
    local writers = {}
    for i = 1, 3 do
      writers[i] = support.parked(task.spawn(function() return here:write(big) end))
    end
    assert.is_true(here:close())
    closed_result(reader)
    for _, writer in ipairs(writers) do closed_result(writer) end
  end)

  it("is idempotent, and all calls on a closed stream say so", function()
    local here, peer = support.pair()
    local there <close> = peer
    here:close()
    assert.is_true(here:close())
    for _, name in ipairs { "read", "read_some", "read_line", "read_all", "write", "shutdown",
      "peer", "address" } do
      is_failure("CLOSED", "closed", here[name](here))
    end
    assert.equal("net.stream (closed)", tostring(here))
    here:set_timeout(1)
  end)

  it("happens at the end of a <close> variable's block, also after an error", function()
    local kept, there = support.pair()
    pcall(function()
      local here <close> = kept
      error("left by an error")
    end)
    assert.equal("net.stream (closed)", tostring(kept))
    assert.is_nil(there:read_some())
    there:close()
  end)

  it("happens when an open stream is collected", function()
    local there
    do
      local here
      here, there = support.pair()
      here:write("bye")
    end
    collectgarbage()
    collectgarbage()
    there:set_timeout(support.patience)
    assert.equal("bye", there:read_all())
    there:close()
  end)

  it("in a finalizer does not harm a read that is under way", function()
    -- A collection in the middle of a read, when the bytes had become a Lua string and were about to
    -- be consumed, closed the stream: there was less to consume than the read had found.
    local output, status = support.run [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local here, there = net.connect(listener:address()), listener:accept()
      local block = ("x"):rep(1000000)
      local writer = task.spawn(function() while there:write(block) do end end)
      repeat task.yield() until writer:status() == "waiting"
      collectgarbage()
      setmetatable({}, { __gc = function() here:close() end })
      while here:read_exactly(1000) do end
      print(select(3, here:read_exactly(1)))
      os.exit(0)
    ]]
    assert.same({ "CLOSED\n", 0 }, { output, status })
  end)

  it("wakes nobody else by mistake when the descriptor's number is used again at once", function()
    for _ = 1, 50 do
      local here, there = support.pair()
      local reader = support.parked(task.spawn(function() return here:read_some() end))
      here:close()
      local again, other = support.pair() -- takes the number just given back
      local fresh = support.parked(task.spawn(function() return again:read_some() end))
      closed_result(reader)
      there:close()
      task.yield()
      assert.equal("waiting", fresh:status() == "ready" and "waiting" or fresh:status())
      other:write("y")
      assert.equal("y", support.finish(fresh))
      again:close()
      other:close()
    end
  end)
end)

describe("a reset by the peer", function()
  it("is ECONNRESET", function()
    local here <close>, there = support.pair()
    here:write("never read")
    support.until_unread(there)
    there:close() -- with unread data: TCP resets
    local values = table.pack(here:read_exactly(1))
    is_failure("ECONNRESET", nil, table.unpack(values, 1, values.n))
  end)

  it("reaches a reader that waits already", function()
    local here <close>, there = support.pair()
    local reader = support.parked(task.spawn(function() return here:read_exactly(1) end))
    here:write("never read")
    support.until_unread(there)
    there:close()
    is_failure("ECONNRESET", nil, support.finish(reader))
  end)
end)
