-- Pings: of every connection that is idle, whether a task receives or not; dead peers are noticed.

local channel = require "moonlet.channel"
local core = require "moonlet.websocket.core"
local frames = require "tests.spec.http.websocket_frames"
local net = require "moonlet.net"
local support = require "tests.spec.support"
local task = require "moonlet.task"
local virtual = support.virtual(it)
local it = support.limited(it)

local frame, masked, raw, leave = frames.frame, frames.masked, frames.raw, frames.leave
local PING, PONG, CLOSE = 0x89, 0x8a, 0x88

-- Ways to have a WebSocket and not end: each is what a handler does meanwhile.
local WAYS = {
  ["receives"] = function(ws) ws:receive() end,
  ["receives with short timeouts"] = function(ws)
    repeat local data, _, code = ws:receive(0.3) until not data and code ~= "ETIMEDOUT"
  end,
  ["waits for something else"] = function() task.sleep(1000) end,
  ["looks now and then"] = function(ws)
    repeat
      task.sleep(0.7)
      local data, _, code = ws:receive(0)
    until not data and code ~= "ETIMEDOUT"
  end,
  ["selects"] = function(ws)
    local never = channel.new()
    channel.select { { ws, "receive" }, { never, "get" } }
  end,
  ["selects with short timeouts"] = function(ws)
    local never = channel.new()
    local index, message, code
    repeat index, message, code = channel.select { { ws, "receive" }, { never, "get" }, timeout = 0.3 }
    until index or code ~= "ETIMEDOUT"
    return message
  end,
  ["sends only"] = function(ws) repeat task.sleep(3) until not ws:send "news" end,
}

-- The next control frame that `peer` gets, and its payload.
local function control(peer)
  local first, payload
  repeat first, payload = frames.read(peer) until first >= CLOSE
  return first, payload
end

for way, idle in pairs(WAYS) do
  describe("while the program " .. way, function()
    virtual("a peer that answers is pinged at every interval", function()
      local ws, peer = raw(false, { ping_interval = 10 })
      local program = task.spawn(idle, ws)
      local start = task.now()
      for i = 1, 8 do
        assert.same({ PING, "" }, { control(peer) })
        local at = task.now()
        assert.is_true(math.abs(at - start - 10 * i) < 1, ("ping %d after %g"):format(i, at - start))
        task.sleep(1)
        peer:write(masked(PONG, ""))
      end
      program:cancel()
      program:join()
      leave(ws, peer)
    end)

    virtual("a peer that is silent is given up after two", function()
      local ws, peer = raw(false, { ping_interval = 10 })
      local program = task.spawn(idle, ws)
      local start = task.now()
      assert.equal(PING, (control(peer)))
      while peer:read_some() do end -- its end: the connection is closed
      assert.is_true(math.abs(task.now() - start - 20) < 1)
      assert.same({ 1006, "" }, { ws:closed() })
      assert.same({ "no sign of life after a ping", "ECONNABORTED" }, { select(2, ws:send "x") })
      assert.same({ "ECONNABORTED" }, { select(3, ws:receive()) })
      program:cancel()
      program:join()
      peer:close()
      ws:finish()
    end)

    virtual("a peer that sends anything else is not given up", function()
      local ws, peer = raw(false, { ping_interval = 10, max_queue = 1 << 20 })
      local program = task.spawn(idle, ws)
      for _ = 1, 6 do
        task.sleep(9)
        peer:write(masked(PONG, "unasked"))
      end
      assert.is_nil(ws:closed())
      program:cancel()
      program:join()
      leave(ws, peer)
    end)
  end)
end

describe("a WebSocket of which no task receives", function()
  virtual("answers pings and a Close within seconds, and a quarter of its interval", function()
    local ws, peer = raw(false, { ping_interval = 10 })
    local start = task.now()
    peer:write(masked(PING, "are you there"))
    assert.same({ PONG, "are you there" }, { control(peer) })
    assert.is_true(task.now() - start <= 2.5)
    leave(ws, peer)
    ws, peer = raw(false)
    start = task.now()
    for i = 1, 8 do
      peer:write(masked(PING, "still there"))
      repeat local first = control(peer) until first == PONG
      assert.is_true(task.now() - start <= 5.5 * i)
    end
    peer:write(masked(CLOSE, frames.code(4000, "bye")))
    assert.same({ CLOSE, frames.code(4000) }, { control(peer) })
    assert.same({ 4000, "bye" }, { ws:closed() })
    assert.is_nil((ws:receive()))
    peer:close()
    ws:finish()
  end)

  virtual("lives beside another like it", function()
    for _, interval in ipairs { 1, 9, 30 } do
      local a, b = frames.pair { ping_interval = interval }
      task.sleep(35)
      assert.is_nil(a:closed())
      assert.is_nil(b:closed())
      a:close()
      b:receive()
      a:finish()
      b:finish()
    end
  end)

  virtual("keeps what has come for the task that receives later", function()
    local ws, peer = raw(false, { ping_interval = 10 })
    peer:write(masked(0x81, "one"), masked(0x81, "two"))
    for _ = 1, 5 do assert.equal(PING, (control(peer))) end -- a message waits: its sender is not dead
    assert.same({ "one", "text" }, { ws:receive() })
    assert.same({ "two", "text" }, { ws:receive() })
    leave(ws, peer)
  end)

  virtual("wakes senders that wait for room when its peer is dead", function()
    local a, peer = net.memory_pair()
    local ws = core.open(a, { ping_interval = 10, max_queue = 1 }, false)
    local failed
    local sending = task.spawn(function()
      repeat local ok, _, code = ws:send(("x"):rep(1 << 20), "binary") until not ok and code
      failed = select(3, ws:send "x")
    end)
    task.sleep(30)
    assert.equal("ECONNABORTED", failed)
    sending:join()
    peer:close()
    ws:finish()
  end)

  virtual("takes a peer that reads slowly for alive: its answer waits behind what it has to read", function()
    local a, peer = net.memory_pair { a_to_b = { capacity = 1 << 16 } }
    local ws = core.open(a, { ping_interval = 4 }, false)
    assert(ws:send(("x"):rep(1 << 20), "binary", 0))
    local left = 10 + (1 << 20)
    while left > 100000 do
      task.sleep(3)
      left = left - #assert(peer:read_exactly(1 << 16))
      assert.is_nil(ws:closed())
    end
    task.sleep(20) -- now it reads no more
    assert.equal(1006, (ws:closed()))
    peer:close()
    ws:finish()
  end)

  virtual("is not pinged if its option says so", function()
    local ws, peer = raw(false, { ping_interval = false })
    assert.same({ "EDEADLINE" }, { select(3, task.timeout(100, peer.read_some, peer)) })
    leave(ws, peer)
  end)

  virtual("is pinged at its own interval among many", function()
    local all, start = {}, task.now()
    for i = 1, 200 do
      local ws, peer = raw(false, { ping_interval = 5 + i % 17 / 4 })
      all[i] = { ws, peer, 5 + i % 17 / 4 }
    end
    local late = 0
    local readers = {}
    for i, one in ipairs(all) do
      readers[i] = task.spawn(function()
        for n = 1, 5 do
          assert(control(one[2]) == PING)
          late = math.max(late, math.abs(task.now() - start - n * one[3]))
          one[2]:write(masked(PONG, ""))
        end
      end)
    end
    for i = 1, 200 do assert(readers[i]:join()) end
    assert.is_true(late < 0.5)
    for _, one in ipairs(all) do leave(one[1], one[2]) end
  end)

  it("leaves no task behind when the last has ended", function()
    local ws, peer = raw()
    local function pingers()
      local count = 0
      for _, t in ipairs(task.list()) do
        if tostring(t):find("pings of WebSockets", 1, true) then count = count + 1 end
      end
      return count
    end
    assert.equal(1, pingers())
    leave(ws, peer)
    task.yield()
    assert.equal(0, pingers())
    ws, peer = raw()
    assert.equal(1, pingers())
    leave(ws, peer)
  end)

  virtual("is pinged also after all other tasks were cancelled", function()
    local kept, peer = raw(false, { ping_interval = 10 })
    for _, t in ipairs(task.list()) do
      if t ~= task.current() then
        t:cancel()
        t:join()
      end
    end
    assert(kept:send "another one pings from now on")
    assert.equal(PING, (control(peer)))
    leave(kept, peer)
  end)
end)

describe("a peer whose answer lies in the socket", function()
  -- The thread computes over the time of a ping: the clock and the descriptor are ready at once.
  it("is alive, whatever is looked at first", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    for way, idle in pairs(WAYS) do
      local peer = assert(net.connect("127.0.0.1", listener:address().port))
      local ws = core.open(assert(listener:accept()), { ping_interval = 0.05 }, false)
      local program = task.spawn(idle, ws)
      assert.equal(PING, (control(peer)))
      peer:write(masked(PONG, ""))
      local stop = os.clock() + 0.15
      while os.clock() < stop do end
      task.yield()
      task.yield()
      assert.is_nil(ws:closed(), way)
      program:cancel()
      program:join()
      leave(ws, peer)
    end
  end)
end)

describe("a WebSocket with compression", function()
  virtual("gives the compressor back after a time without messages", function()
    local ws, peer = raw(false, { compression = { min_size = 0 }, ping_interval = 10 }, "permessage-deflate")
    local text = ("the same words, "):rep(20)
    local function size_of_sent()
      assert(ws:send(text))
      local first, payload
      repeat
        first, payload = frames.read(peer)
        if first == PING then peer:write(masked(PONG, "")) end
      until first == 0xc1
      return #payload
    end
    local first = size_of_sent()
    assert.is_true(size_of_sent() < first / 2)
    for _ = 1, 2 do
      assert.equal(PING, (control(peer)))
      peer:write(masked(PONG, ""))
    end
    task.sleep(1)
    assert.equal(first, size_of_sent())
    leave(ws, peer)
  end)
end)

describe("a client", function()
  virtual("pings a silent server, too, with masked frames", function()
    local ws, peer = raw(true, { ping_interval = 10 })
    for _ = 1, 3 do
      assert.same({ PING, "" }, { control(peer) })
      peer:write(frame(PONG, ""))
    end
    leave(ws, peer)
  end)
end)
