-- moonlet.net, streams: peers that reset, stall, drip, flood, or vanish; each test is one way to misbehave.

local support = dofile("tests/spec/support.lua")
local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"
local it = support.limited(it)
local is_failure = support.is_failure

--- From now on a close of `stream` resets the connection: it has input that it never reads.
local function arm_reset(stream, peer)
  assert(peer:write("!"))
  support.until_unread(stream)
end

--- The error code of a failure that may be any of those.
local function is_one_of(codes, ...)
  local code = select(3, ...)
  if select(1, ...) ~= nil or not codes[code] then
    error(("unexpected %s, %s, %s"):format(..., select(2, ...), tostring(code)), 2)
  end
end

local GONE = { EPIPE = true, ECONNRESET = true }

describe("a peer that resets", function()
  it("in the middle of a write ends the write, which tells how much was sent", function()
    local here <close>, there = support.pair()
    local size = 64 * 1024 * 1024
    local writer = support.parked(task.spawn(function() return table.pack(here:write(("x"):rep(size))) end))
    assert.equal(1000, #there:read_exactly(1000))
    support.until_unread(there)
    there:close()
    local results = support.finish(writer)
    is_one_of(GONE, table.unpack(results, 1, 3))
    assert.is_true(results[4] >= 1000 and results[4] < size)
    is_failure(results[3], nil, here:write("more"))
  end)

  it("in the middle of a file does the same", function()
    local here <close>, there = support.pair()
    local sender = support.parked(task.spawn(function() return table.pack(here:sendfile("/dev/zero")) end))
    assert.equal(1000, #there:read_exactly(1000))
    support.until_unread(there)
    there:close()
    local results = support.finish(sender)
    is_one_of(GONE, table.unpack(results, 1, 3))
    assert.is_true(results[4] >= 1000)
  end)

  it("wakes reader, writer and those behind it, all with an error", function()
    local here <close>, there = support.pair()
    local tasks = { task.spawn(function() return here:read_line() end) }
    for i = 2, 5 do
      tasks[i] = support.parked_writer(here, 64 * 1024 * 1024)
    end
    support.until_unread(there)
    there:close()
    for _, t in ipairs(tasks) do is_one_of(GONE, support.finish(t)) end
  end)

  it("right after data and end, all in one wake-up, has its data read first", function()
    for _, has_end in ipairs { true, false } do
      local here <close>, there = support.pair()
      arm_reset(there, here)
      local reader = support.parked(task.spawn(function() return here:read_exactly(4) end))
      assert(there:write("data", ("and more"):rep(1000)))
      if has_end then there:shutdown() end
      there:close() -- nobody else has run since the write
      assert.equal("data", support.finish(reader))
      assert.is_true(here:read_exactly(8000) == ("and more"):rep(1000))
      local bytes, _, code = here:read_some()
      assert.is_nil(bytes)
      assert.is_true(code == "ECONNRESET" or (has_end and code == nil), code)
      is_one_of(GONE, here:write("x"))
    end
  end)

  it("is not told to the next connection, on the same descriptor", function()
    for _ = 1, 20 do
      local here, there = support.pair()
      arm_reset(there, here)
      there:close()
      here:close()
      local again <close>, other = support.pair()
      local peer <close> = other
      assert.is_true(peer:write("fine\n"))
      assert.equal("fine", again:read_line())
    end
  end)
end)

describe("a peer that ends its output", function()
  it("still gets a long answer", function()
    local here <close>, there = support.pair()
    local client = task.spawn(function()
      local there <close> = there -- luacheck: ignore 431
      there:write("question\nend of it")
      there:shutdown()
      task.yield()
      return there:read_all()
    end)
    assert.equal("question", here:read_line())
    assert.equal("end of it", here:read_line())
    assert.is_nil(here:read_line())
    local answer = ("answer "):rep(100000)
    assert.is_true(here:write(answer))
    here:close()
    assert.is_true(support.finish(client) == answer)
  end)
end)

describe("a peer that reads nothing", function()
  it("ends a write when its time is over", function()
    local here <close>, other = support.pair()
    local there <close> = other
    here:set_timeout(0.05, "write")
    local start = task.now()
    is_failure("ETIMEDOUT", "timeout", here:write(("x"):rep(64 * 1024 * 1024)))
    local took = task.now() - start
    assert.is_true(took >= 0.05 and took < support.patience, took)
    assert.equal("x", there:read_exactly(1))
  end)

  it("holds up its writers alone", function()
    local here <close>, other = support.pair()
    local there <close> = other
    local writer = support.parked_writer(here, 64 * 1024 * 1024)
    local fine <close>, peer = support.pair()
    for i = 1, 100 do
      fine:write(i, "\n")
      assert.equal(tostring(i), peer:read_line())
    end
    peer:close()
    assert.equal("waiting", writer:status())
    there:close()
    is_one_of(GONE, support.finish(writer))
  end)
end)

describe("a peer that sends one byte at a time", function()
  it("is read like any other", function()
    local here <close>, there = support.pair()
    local head = "POST / HTTP/1.1\r\nlength: 5\r\n\r\n"
    task.spawn(function()
      for byte in (head .. "helloline\n42 "):gmatch(".") do
        assert(there:write(byte))
        task.sleep(0.0002)
      end
      there:close()
    end)
    assert.equal(head, here:read_until("\r\n\r\n"))
    assert.equal("hello", here:read_exactly(5))
    assert.same({ "line", 42 }, { here:read("l", "n") })
    assert.equal(" ", here:read("a"))
  end)
end)

describe("a peer whose line never ends", function()
  it("is refused at the limit, and what it sent stays", function()
    local here <close>, there = support.pair()
    local writer = task.spawn(function()
      local sent = 0
      while there:write(("x"):rep(1000)) do sent = sent + 1000 end
      return sent
    end)
    is_failure("EMSGSIZE", "line too long", here:read_line())
    is_failure("EMSGSIZE", "line too long", here:read_line(1000))
    local ok, err = pcall(function() for _ in here:lines() do error("a line") end end)
    assert.is_true(not ok and err.code == "EMSGSIZE")
    is_failure("EMSGSIZE", nil, here:read_until("\r\n"))
    is_failure("EMSGSIZE", nil, here:read_all(5000))
    assert.is_true(here:read_exactly(65536) == ("x"):rep(65536))
    here:close()
    support.finish(writer)
  end)
end)

describe("a descriptor closed by the script", function()
  local READS = {
    read = { "l" }, read_some = {}, read_exactly = { 10 }, read_line = {}, read_until = { "x" }, read_all = {},
    peek = { 5 } }

  it("ends every kind of read", function()
    for method, arguments in pairs(READS) do
      local here, other = support.pair()
      local there <close> = other
      local reader = support.parked(task.spawn(function() return here[method](here, table.unpack(arguments)) end))
      here:close()
      is_failure("CLOSED", "closed", support.finish(reader))
      is_failure("CLOSED", "closed", here[method](here, table.unpack(arguments)))
    end
  end)

  it("ends iterators", function()
    for method, arguments in pairs { lines = {}, chunks = { 10 } } do
      local here, other = support.pair()
      local there <close> = other
      local reader = support.parked(task.spawn(function()
        for _ in here[method](here, table.unpack(arguments)) do error("nothing was sent") end
        return "ended"
      end))
      here:close()
      assert.equal("ended", support.finish(reader))
    end
  end)

  it("ends the writer and whoever waits for a turn: to write, to send a file, to shut down, to finish", function()
    local here, other = support.pair()
    local there <close> = other
    local big = ("x"):rep(64 * 1024 * 1024)
    local tasks = {}
    for i, wait in ipairs {
      function() return here:write(big) end, function() return here:write("turn") end,
      function() return here:sendfile("/dev/zero") end, function() return here:shutdown() end,
      function() return here:finish() end } do
      tasks[i] = support.parked(task.spawn(wait))
    end
    here:close()
    for _, t in ipairs(tasks) do is_failure("CLOSED", "closed", support.finish(t)) end
  end)

  it("ends sendfile and finish when they are under way", function()
    for _, wait in ipairs { function(s) return s:sendfile("/dev/zero") end, function(s) return s:finish() end } do
      local here, other = support.pair()
      local there <close> = other
      local t = support.parked(task.spawn(wait, here))
      here:close()
      is_failure("CLOSED", "closed", support.finish(t))
    end
  end)

  it("ends accept, and the loop over accepted connections", function()
    local listener = assert(net.listen("127.0.0.1", 0))
    local acceptor = support.parked(task.spawn(function() return listener:accept() end))
    listener:close()
    is_failure("CLOSED", "closed", support.finish(acceptor))
    listener = assert(net.listen("127.0.0.1", 0))
    local loop = support.parked(task.spawn(function()
      for _ in listener:accepted() do error("nobody has connected") end
      return "ended"
    end))
    listener:close()
    assert.equal("ended", support.finish(loop))
  end)

  it("has its counterpart in connect, which only its task's end can cut: nothing is left behind", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { backlog = 1 }))
    local address = listener:address()
    local streams, waiting = {}, nil
    -- Until the queue of the listener is full: the next one waits.
    support.eventually(function()
      local left = test.leaks()
      local t = task.spawn({ quiet = true }, function() streams[#streams + 1] = assert(net.connect(address)) end)
      if not t:join(0.05) then waiting = { task = t, left = left } end
      return waiting
    end)
    waiting.task:cancel()
    waiting.task:join(support.patience)
    assert.same({}, waiting.left())
    for _, s in ipairs(streams) do s:close() end
  end)

  it("is nobody else's, even when its number is in use again at once", function()
    for method, arguments in pairs(READS) do
      local here, other = support.pair()
      local there <close> = other
      local reader = support.parked(task.spawn(function() return here[method](here, table.unpack(arguments)) end))
      here:close()
      local again <close>, peer = support.pair()
      local _ <close> = peer
      peer:write("for the new one only\n")
      is_failure("CLOSED", "closed", support.finish(reader))
      assert.equal("for the new one only", again:read_line())
    end
  end)
end)

describe("a thousand slow peers", function()
  --- As many connections as the process may open, at most a thousand.
  local function count()
    local limit = tonumber((support.shell("ulimit -n"))) or 4096
    return math.max(10, math.min(1000, (limit - 100) // 2))
  end

  it("beside a fast one do not hold it up: it has its turn as often as they", function()
    local served, slow = {}, {}
    local number = count()
    for i = 1, number do
      local peer, conn = support.pair()
      slow[i] = peer
      served[i] = 0
      task.spawn(function()
        local conn <close> = conn -- luacheck: ignore 431
        while conn:read_some(1) do served[i] = served[i] + 1 end
      end)
      task.spawn(function()
        while peer:write("x") do task.yield() end
      end)
    end
    local fast <close>, conn = support.pair()
    task.spawn(function()
      local conn <close> = conn -- luacheck: ignore 431
      for line in conn:lines() do conn:write(line, "\n") end
    end)
    local function most() return math.max(table.unpack(served)) end
    support.eventually(function() return math.min(table.unpack(served)) > 0 end)
    local before = most()
    local exchanges = 50
    for i = 1, exchanges do
      fast:write(i, "\n")
      assert.equal(tostring(i), fast:read_line())
    end
    local turns = (most() - before) / exchanges
    for _, peer in ipairs(slow) do peer:close() end
    assert.is_true(turns <= 20, ("%g turns of another peer per exchange"):format(turns))
  end)
end)

describe("a peer that is silent", function()
  local CALLS = {
    read = { "l" }, read_some = {}, read_exactly = { 1 }, read_line = {}, read_until = { "x" }, read_all = {},
    peek = {}, write = { ("x"):rep(300) }, sendfile = { "/dev/zero" }, finish = { 0.5 } }

  it("ends every call at its timeout, to the moment of a clock that nothing disturbs", function()
    local _ <close> = test.virtual_clock()
    for method, arguments in pairs(CALLS) do
      local here <close>, other = net.memory_pair { stall_after = 100, capacity = 10 }
      local there <close> = other
      here:set_timeout(0.5)
      local start = task.now()
      is_failure("ETIMEDOUT", "timeout", here[method](here, table.unpack(arguments)))
      assert.is_true(math.abs(task.now() - start - 0.5) < 1e-6, method)
    end
  end)

  it("ends every call at a time limit of the scope, too, whichever comes first", function()
    local _ <close> = test.virtual_clock()
    for method, arguments in pairs(CALLS) do
      local here <close>, other = net.memory_pair { stall_after = 100, capacity = 10 }
      local there <close> = other
      here:set_timeout(0.5)
      local start = task.now()
      local function call() return here[method](here, table.unpack(arguments)) end
      is_failure("EDEADLINE", "deadline", task.timeout(0.2, call))
      assert.is_true(math.abs(task.now() - start - 0.2) < 1e-6, method)
    end
    local here <close>, other = net.memory_pair()
    local there <close> = other
    here:set_timeout(0.2)
    is_failure("ETIMEDOUT", "timeout", task.timeout(0.5, function() return here:read_line() end))
  end)

  it("ends every call in good time over TCP", function()
    for method, arguments in pairs(CALLS) do
      local here <close>, other = support.pair()
      local there <close> = other
      here:set_timeout(0.03)
      local start = task.now()
      if method == "write" then arguments = { ("x"):rep(64 * 1024 * 1024) } end
      is_failure("ETIMEDOUT", "timeout", here[method](here, table.unpack(arguments)))
      local took = task.now() - start
      assert.is_true(took >= 0.03 and took < support.patience, method .. " took " .. took)
    end
  end)
end)
