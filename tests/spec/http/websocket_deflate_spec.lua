-- permessage-deflate (RFC 7692): what is compressed, what is understood, what is refused.

local core = require "moonlet.websocket.core"
local crypto = require "moonlet.crypto"
local frames = require "tests.spec.http.websocket_frames"
local headers = require "moonlet.http.headers"
local net = require "moonlet.net"
local support = require "tests.spec.support"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

local frame, masked, raw, pair, leave = frames.frame, frames.masked, frames.raw, frames.pair, frames.leave
local PD = "permessage-deflate"
local ON = { compression = { min_size = 0 } }

-- Raw DEFLATE by hand: bits from the lowest up, codes of fixed Huffman from their highest bit down.
local function bit_writer()
  local bytes, byte, count = {}, 0, 0
  local w = {}
  function w.bits(value, size)
    for i = 0, size - 1 do
      byte = byte | (value >> i & 1) << count
      count = count + 1
      if count == 8 then bytes[#bytes + 1], byte, count = string.char(byte), 0, 0 end
    end
  end
  function w.code(value, size)
    for i = size - 1, 0, -1 do w.bits(value >> i & 1, 1) end
  end
  function w.literal(c) if c < 144 then w.code(0x30 + c, 8) else w.code(0x190 + c - 144, 9) end end
  function w.align() if count > 0 then w.bits(0, 8 - count) end end
  function w.text() return table.concat(bytes) end
  return w
end

-- A message of one byte and `matches` times 258 more of the same.
local function bomb(matches)
  local w = bit_writer()
  w.bits(0, 1)
  w.bits(1, 2)
  w.literal(0x30)
  for _ = 1, matches do
    w.code(0xC5, 8)
    w.code(0, 5)
  end
  w.code(0, 7)
  w.bits(0, 3) -- the head of the empty block that ends it, without its last four bytes
  w.align()
  return w.text()
end

-- A message of one match of three bytes, `distance` back: from 1 to 4.
local function match(distance)
  local w = bit_writer()
  w.bits(0, 1)
  w.bits(1, 2)
  w.code(1, 7)
  w.code(distance - 1, 5)
  w.code(0, 7)
  w.bits(0, 3)
  w.align()
  return w.text()
end

-- The examples of RFC 7692, 7.2.3.
local HELLO = "\xf2\x48\xcd\xc9\xc9\x07\x00"
local HELLO_AGAIN = "\xf2\x00\x11\x00\x00"
local EXAMPLES = {
  ["one block"] = HELLO,
  ["two blocks"] = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
  ["no compression"] = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
  ["a last block"] = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
}

describe("a compressed message", function()
  for name, payload in pairs(EXAMPLES) do
    it("of " .. name .. " is understood, however it is cut", function()
      for cut = 0, #payload do
        local ws, peer = raw(false, ON, PD)
        peer:write(masked(0x41, payload:sub(1, cut)), masked(0x89, "p"), masked(0x80, payload:sub(cut + 1)))
        assert.same({ "Hello", "text" }, { ws:receive() })
        assert.same({ 0x8a, "p" }, { frames.read(peer) })
        leave(ws, peer)
      end
    end)
  end

  it("is the same in frames of one byte, in pieces of any size", function()
    local bytes = masked(0x41, HELLO:sub(1, 1))
    for i = 2, #HELLO do bytes = bytes .. masked(i == #HELLO and 0x80 or 0, HELLO:sub(i, i)) end
    bytes = bytes .. masked(0xc2, HELLO_AGAIN)
    for step = 1, #bytes do
      local ws, peer = raw(false, ON, PD)
      task.spawn(function()
        for i = 1, #bytes, step do
          peer:write(bytes:sub(i, i + step - 1))
          task.yield()
        end
      end)
      assert.same({ "Hello", "text" }, { ws:receive() })
      assert.same({ "Hello", "binary" }, { ws:receive() })
      leave(ws, peer)
    end
  end)

  it("refers to those before, over others that are not compressed", function()
    local ws, peer = raw(true, ON, PD)
    peer:write(frame(0xc1, HELLO), frame(0x81, "plain"), frame(0xc1, HELLO_AGAIN), frame(0xc1, HELLO_AGAIN))
    for _, text in ipairs { "Hello", "plain", "Hello", "Hello" } do assert.equal(text, (ws:receive())) end
    leave(ws, peer)
  end)

  it("may be empty, in each of the ways to say so", function()
    for _, payload in ipairs { "\x00", "", "\x02\x00", "\x03\x00\x00" } do
      local ws, peer = raw(true, ON, PD)
      peer:write(frame(0xc1, payload), frame(0xc1, HELLO), frame(0x41, payload), frame(0x80, ""))
      assert.same({ "", "text" }, { ws:receive() })
      assert.equal("Hello", (ws:receive()))
      assert.equal("", (ws:receive()))
      leave(ws, peer)
    end
  end)

  it("is kept when receiving times out in its middle", function()
    local ws, peer = raw(true, ON, PD)
    local bytes = frame(0x41, HELLO:sub(1, 3)) .. frame(0x80, HELLO:sub(4))
    for i = 1, #bytes - 1 do
      peer:write(bytes:sub(i, i))
      assert.same({ "ETIMEDOUT" }, { select(3, ws:receive(0)) })
    end
    peer:write(bytes:sub(-1))
    assert.equal("Hello", (ws:receive()))
    leave(ws, peer)
  end)

  it("is as long as max_message at most, and not a byte more", function()
    for matches = 1, 40, 13 do
      local size = 1 + 258 * matches
      for limit = size - 1, size + 1 do
        local ws, peer = raw(true, { compression = true, max_message = limit }, PD)
        peer:write(frame(0xc2, bomb(matches)))
        if limit >= size then
          assert.equal(("0"):rep(size), (ws:receive()))
        else
          assert.same({ "EMSGSIZE" }, { select(3, ws:receive()) })
          assert.same({ 0x88, frames.code(1009) }, { frames.read(peer) })
        end
        leave(ws, peer)
      end
    end
  end)

  it("that would become huge costs no memory", function()
    local function resident()
      local file <close> = assert(io.open "/proc/self/statm")
      return file:read("n", "n") and tonumber((select(2, file:seek "set", file:read "a")):match "^%d+ (%d+)") * 4096
    end
    local data = bomb(200000) -- 51 MB
    local ws, peer = raw(true, { compression = true }, PD)
    local writing = task.spawn(function() peer:write(frame(0xc2, data)) end)
    local before = resident()
    assert.same({ "EMSGSIZE" }, { select(3, ws:receive()) })
    assert.is_true(resident() - before < 16 * 1024 * 1024)
    assert.same({ 0x88, frames.code(1009) }, { frames.read(peer) })
    leave(ws, peer)
    writing:join()
  end)

  it("that is huge lets others run while it is decompressed", function()
    local matches = 100000 -- 26 MB
    local ws, peer = raw(true, { compression = true, max_message = 1 << 26 }, PD)
    local writing = task.spawn(function() peer:write(frame(0xc2, bomb(matches))) end)
    local turns = support.turns_beside(function() assert.equal(1 + 258 * matches, #ws:receive()) end)
    assert.is_true(turns > 20)
    writing:join()
    leave(ws, peer)
  end)

  -- name -> frames of a server, code that it is told, ours
  local STORED = "\x00\x00\x00\xff\xff" -- an empty block
  local WRONG = {
    { "RSV1 on a continuation", frame(0x41, HELLO:sub(1, 3)) .. frame(0xc0, HELLO:sub(4)), 1002, "EPROTO" },
    { "RSV1 on a continuation of plain text", frame(0x01, "x") .. frame(0xc0, "y"), 1002, "EPROTO" },
    { "RSV1 on a ping", frame(0xc9, ""), 1002, "EPROTO" },
    { "RSV1 on a Close", frame(0xc8, ""), 1002, "EPROTO" },
    { "RSV2", frame(0xe1, HELLO), 1002, "EPROTO" },
    { "RSV3", frame(0xd1, HELLO), 1002, "EPROTO" },
    { "a block of a kind that is none", frame(0xc1, "\x06"), 1007, "EPROTO" },
    { "plain text as if it were compressed", frame(0xc1, "Hello"), 1007, "EPROTO" },
    { "a block that is cut", frame(0xc1, HELLO:sub(1, 5)), 1007, "EPROTO" },
    { "a stored block that is cut", frame(0xc2, "\x00\x09\x00\xf6\xffabc"), 1007, "EPROTO" },
    { "a stored block whose length is wrong", frame(0xc1, "\x00\x09\x00\xf6\xfeabc"), 1007, "EPROTO" },
    { "a last block without the byte behind it", frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00"), 1007, "EPROTO" },
    { "a match of nothing", frame(0xc1, match(1)), 1007, "EPROTO" },
    { "a match too far back", frame(0xc2, "\x00\x02\x00\xfd\xffab\x00") .. frame(0xc2, match(3)), 1007, "EPROTO" },
    { "text that is not UTF-8", frame(0xc1, "\x00\x01\x00\xfe\xff\xff\x00"), 1007, "EILSEQ" },
    { "text that ends in a character", frame(0xc1, "\x00\x01\x00\xfe\xff\xc3\x00"), 1007, "EILSEQ" },
    { "a long tail of nothing", frame(0x42, STORED:rep(2000)), 1009, "EMSGSIZE" },
    { "8 EiB", "\xc2\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009, "EMSGSIZE" },
  }
  for _, case in ipairs(WRONG) do
    it("is refused with " .. case[1], function()
      local ws, peer = raw(true, { compression = true, max_message = 4096 }, PD)
      peer:write(case[2])
      local data, _, code
      repeat data, _, code = ws:receive() until not data
      assert.equal(case[4], code)
      assert.same({ 0x88, frames.code(case[3]) }, { frames.read(peer) })
      leave(ws, peer)
    end)
  end

  it("refers to none before where no takeover was agreed on", function()
    for side, is_client in pairs { server = true, client = false } do
      local ws, peer = raw(is_client, ON, PD .. "; " .. side .. "_no_context_takeover")
      local made = is_client and frame or masked
      peer:write(made(0xc1, HELLO), made(0xc1, HELLO), made(0xc1, HELLO_AGAIN))
      assert.equal("Hello", (ws:receive()))
      assert.equal("Hello", (ws:receive()))
      assert.same({ "EPROTO" }, { select(3, ws:receive()) })
      leave(ws, peer)
    end
  end)

  it("may have a character in two frames, and in two blocks", function()
    local ws, peer = raw(true, ON, PD)
    local first, second = "\x00\x01\x00\xfe\xff\xc3", "\x00\x01\x00\xfe\xff\xa4\x00"
    peer:write(frame(0x41, first), frame(0x80, second))
    assert.same({ "\u{e4}", "text" }, { ws:receive() })
    leave(ws, peer)
  end)
end)

describe("a WebSocket with compression", function()
  local TEXT = ("the same words, "):rep(20)

  -- The first byte and the size of what `ws` sends for a message.
  local function sent(ws, peer, text)
    assert(ws:send(text))
    local first, payload = frames.read(peer)
    return first, #payload
  end

  it("compresses what is long enough", function()
    local ws, peer = raw(false, { compression = true }, PD)
    assert.same({ 0x81, 127 }, { sent(ws, peer, ("x"):rep(127)) })
    local first, size = sent(ws, peer, ("x"):rep(128))
    assert.equal(0xc1, first)
    assert.is_true(size < 20)
    leave(ws, peer)
  end)

  it("sends nothing but data compressed", function()
    local ws, peer = raw(false, ON, PD)
    ws:ping(("x"):rep(125))
    assert.same({ 0x89, ("x"):rep(125) }, { frames.read(peer) })
    peer:write(masked(0x89, ("y"):rep(125)))
    ws:receive(0)
    assert.same({ 0x8a, ("y"):rep(125) }, { frames.read(peer) })
    ws:close(1000, ("z"):rep(123))
    assert.same({ 0x88, frames.code(1000, ("z"):rep(123)) }, { frames.read(peer) })
    leave(ws, peer)
  end)

  it("sends what gets no smaller as it is, and goes on", function()
    local noise = {}
    for i = 1, 500 do noise[i] = string.char(math.random(0, 255)) end
    noise = table.concat(noise)
    for _, terms in ipairs { PD, PD .. "; server_no_context_takeover; client_no_context_takeover" } do
      local a, b = pair(ON, terms)
      for _ = 1, 3 do
        for _, data in ipairs { noise, TEXT, "", "x", noise .. TEXT, TEXT .. noise .. TEXT } do
          assert(a:send(data, "binary"))
          assert.equal(data, (b:receive()))
          assert(b:send(data, "binary"))
          assert.equal(data, (a:receive()))
        end
      end
      a:close()
      b:receive()
      a:finish()
      b:finish()
    end
    local ws, peer = raw(false, ON, PD)
    ws:send(noise, "binary")
    assert.same({ 0x82, noise }, { frames.read(peer) })
    leave(ws, peer)
  end)

  it("refers to earlier messages, unless no takeover was agreed on", function()
    local ws, peer = raw(false, ON, PD .. "; client_no_context_takeover")
    local _, first = sent(ws, peer, TEXT)
    local _, second = sent(ws, peer, TEXT)
    assert.is_true(second < first / 2)
    leave(ws, peer)
    ws, peer = raw(false, ON, PD .. "; server_no_context_takeover")
    _, first = sent(ws, peer, TEXT)
    _, second = sent(ws, peer, TEXT)
    assert.equal(first, second)
    leave(ws, peer)
  end)

  it("refers no further back than the window", function()
    local noise = {}
    for i = 1, 300 do noise[i] = string.char(math.random(0, 255)) end
    local block = table.concat(noise)
    for bits = 9, 15 do
      local a, b = pair({ compression = { window_bits = 15, min_size = 0 } },
        ("%s; server_max_window_bits=%d; client_max_window_bits=%d"):format(PD, bits, bits))
      for _, gap in ipairs { 0, 200, 500, 1000, 5000, 30000 } do
        local data = block .. ("."):rep(gap) .. block
        for _ = 1, 2 do
          assert(a:send(data, "binary"))
          assert.is_true(data == b:receive())
          assert(b:send(data, "binary"))
          assert.is_true(data == a:receive())
        end
      end
      a:close()
      b:receive()
      a:finish()
      b:finish()
    end
  end)

  it("sends nothing compressed through a window of 256 bytes, but understands it", function()
    local ws, peer = raw(false, ON, PD .. "; server_max_window_bits=8; client_max_window_bits=8")
    assert.same({ 0x81, #TEXT }, { sent(ws, peer, TEXT) })
    peer:write(masked(0xc1, HELLO), masked(0xc1, HELLO_AGAIN))
    assert.equal("Hello", (ws:receive()))
    assert.equal("Hello", (ws:receive()))
    leave(ws, peer)
  end)

  it("carries many messages of any number of senders", function()
    local a, b = pair({ compression = { min_size = 32 } }, PD)
    local group = {}
    for i = 1, 5 do
      group[i] = task.spawn(function()
        for k = 1, 50 do assert(a:send(("sender %d, message %d; "):format(i, k):rep(k), "text")) end
      end)
    end
    local last = { 0, 0, 0, 0, 0 }
    for _ = 1, 250 do
      local text = assert(b:receive())
      local i, k = text:match "^sender (%d), message (%d+); "
      i, k = tonumber(i), tonumber(k)
      assert.equal(last[i] + 1, k)
      assert.equal(("sender %d, message %d; "):format(i, k):rep(k), text)
      last[i] = k
    end
    for i = 1, 5 do group[i]:join() end
    a:close()
    b:receive()
    a:finish()
    b:finish()
  end)

  it("drops what comes compressed after it has closed", function()
    local ws, peer = raw(false, ON, PD)
    peer:write(masked(0x41, HELLO:sub(1, 3)))
    ws:receive(0)
    ws:close()
    peer:write(masked(0x80, HELLO:sub(4)), masked(0xc1, "garbage"), masked(0x88, frames.code(1000)))
    assert.is_true(ws:finish())
    assert.same({ 1000, "" }, { ws:closed() })
    peer:close()
  end)

  it("refuses RSV1 where nothing was agreed on", function()
    local ws, peer = raw(true, ON)
    peer:write(frame(0xc1, HELLO))
    assert.same({ "EPROTO" }, { select(3, ws:receive()) })
    leave(ws, peer)
  end)
end)

describe("the handshake about compression", function()
  it("is an offer and its answer", function()
    local default = PD .. "; server_max_window_bits=12; client_max_window_bits=12"
    assert.equal(default, core.offer { compression = true })
    assert.equal(default, core.accept({ compression = true }, default))
    assert.is_true(core.agrees({ compression = true }, default))
    assert.is_nil(core.offer {})
    assert.is_nil(core.offer { compression = false })
    assert.is_nil(core.accept({}, default))
    assert.is_nil(core.accept({ compression = true }, "x-other"))
    assert.is_false(core.accept({}, "a b"))
    assert.is_false(core.accept({ compression = true }, PD .. "; ="))
    assert.is_false(core.agrees({ compression = true }, PD))
  end)

  -- What a client makes of an answer: code, and the fields of its request.
  local function answered(extensions, opts)
    local a, b = net.memory_pair()
    local head
    local serving = task.spawn(function()
      head = b:read_until "\r\n\r\n"
      local key = head:match "Sec%-WebSocket%-Key: (%S+)"
      b:write("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: ",
        crypto.base64(crypto.digest("sha1", key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")), "\r\n")
      for _, value in ipairs(extensions) do b:write("Sec-WebSocket-Extensions: ", value, "\r\n") end
      b:write("\r\n", frame(#extensions > 0 and 0xc1 or 0x81, #extensions > 0 and HELLO or "Hello"))
    end)
    opts.connect = function() return a end
    local ws, _, code = websocket.connect("ws://example/", opts)
    serving:join()
    if ws then
      assert.equal("Hello", (ws:receive()))
      leave(ws, b)
    end
    return ws and "open" or code, head:match "\r\nSec%-WebSocket%-Extensions: ([^\r]*)"
  end

  it("lets a client take the answer that fits its offer, and no other", function()
    local wide = { compression = { window_bits = 15 } }
    local offer = PD .. "; client_max_window_bits"
    assert.same({ "open", offer }, { answered({ PD }, wide) })
    assert.same({ "open", offer }, { answered({}, wide) })
    assert.equal("open", (answered({ PD .. ";client_max_window_bits=9;server_max_window_bits=10" }, wide)))
    assert.equal("open", (answered({ PD .. "; server_max_window_bits=12" }, { compression = true })))
    for _, wrong in ipairs {
      { PD .. "; client_max_window_bits" }, { PD .. "; server_max_window_bits=16" }, { PD .. "; x" }, { PD, PD },
      { PD .. "; server_no_context_takeover; server_no_context_takeover" }, { "x-" .. PD }, { PD .. ", x" }, { "" },
    } do
      assert.equal("EPROTO", (answered(wrong, wide)))
    end
    assert.equal("EPROTO", (answered({ PD }, { compression = true })))
    assert.equal("EPROTO", (answered({ PD }, {})))
  end)

  -- What a server answers to fields of a request: status, extensions.
  local function upgraded(offers, opts)
    local a, b = net.memory_pair()
    local req = { method = "GET", version = "1.1", host = "example", headers = headers.new {
      ["sec-websocket-version"] = "13", ["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    } }
    req.headers:add("upgrade", "websocket")
    req.headers:add("connection", "upgrade")
    for _, value in ipairs(offers) do req.headers:add("sec-websocket-extensions", value) end
    local res = { headers = headers.new(), hijack = function() return b end, send = function() end }
    local ws = websocket.upgrade(req, res, opts)
    if not ws then return res.status end
    local head = a:read_until "\r\n\r\n"
    leave(ws, a)
    return tonumber(head:match "^HTTP/1.1 (%d+)"), head:match "\r\nSec%-WebSocket%-Extensions: ([^\r]*)"
  end

  it("lets a server answer what both can", function()
    local wide = { compression = { window_bits = 15 } }
    assert.same({ 101 }, { upgraded({}, wide) })
    assert.same({ 101 }, { upgraded({ PD }, {}) })
    assert.same({ 101, PD }, { upgraded({ PD .. "; client_max_window_bits" }, wide) })
    assert.same({ 101, PD }, { upgraded({ "x; y=1", PD }, wide) })
    assert.same({ 101, PD }, { upgraded({ PD .. "; x, " .. PD }, wide) })
    assert.same({ 101, PD .. "; server_max_window_bits=12; client_max_window_bits=12" },
      { upgraded({ PD .. "; client_max_window_bits" }, { compression = true }) })
    assert.same({ 101 }, { upgraded({ PD .. "; server_max_window_bits=7" }, wide) })
    assert.same({ 400 }, { upgraded({ PD .. "; =" }, wide) })
    assert.same({ 400 }, { upgraded({ "a b" }, {}) })
  end)
end)
