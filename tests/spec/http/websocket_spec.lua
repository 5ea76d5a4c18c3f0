local channel = require "moonlet.channel"
local net = require "moonlet.net"
local support = require "tests.spec.support"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local core = require "moonlet.websocket.core"

local it = support.limited(it)

-- A WebSocket over one end of a pair in memory; the other end is raw.
local function raw(is_client, opts)
  local a, b = net.memory_pair()
  return core.open(a, opts or {}, is_client or false), b
end

-- A frame, masked as clients do if there is a key.
local function frame(first, payload, key)
  local mask = key and 0x80 or 0
  local size = #payload
  local head = size < 126 and string.pack("BB", first, mask | size)
    or size < 65536 and string.pack(">BBI2", first, mask | 126, size)
    or string.pack(">BBI8", first, mask | 127, size)
  if not key then return head .. payload end
  local out = {}
  for i = 1, size do out[i] = string.char(payload:byte(i) ~ key:byte((i - 1) % 4 + 1)) end
  return head .. key .. table.concat(out)
end

local KEY = "\x01\x82\x03\xf4"
local function masked(first, payload) return frame(first, payload, KEY) end

local function pair(opts)
  local a, b = net.memory_pair()
  return core.open(a, opts or {}, true), core.open(b, opts or {}, false)
end

describe("a WebSocket", function()
  it("carries texts and bytes both ways", function()
    local a, b = pair()
    assert.is_true(a:send "hi")
    assert.same({ "hi", "text" }, { b:receive() })
    assert.is_true(b:send("\xff\0", "binary"))
    assert.same({ "\xff\0", "binary" }, { a:receive() })
    a:close()
    assert.is_nil((b:receive()))
    assert.is_true(a:finish())
    assert.is_true(b:finish())
    assert.same({ 1000, "" }, { b:closed() })
  end)

  it("carries messages of sizes about the limits of a head", function()
    local a, b = pair()
    for _, size in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024 } do
      local data = ("x"):rep(size)
      local sending = task.spawn(function() assert(a:send(data, "binary")) end)
      local got, kind = b:receive()
      assert.is_true(got == data)
      assert.equal("binary", kind)
      sending:join()
    end
    a:close()
    b:receive()
    a:finish()
    b:finish()
  end)

  it("reads the same messages from the same bytes, however they are cut", function()
    local text = masked(0x01, "h\xc3") .. masked(0x89, "ping") .. masked(0x80, "\xa4") .. masked(0x82, "\xff")
    for step = 1, #text do
      local ws, peer = raw()
      task.spawn(function()
        for i = 1, #text, step do
          peer:write(text:sub(i, i + step - 1))
          task.yield()
        end
      end)
      assert.same({ "h\xc3\xa4", "text" }, { ws:receive() })
      assert.same({ "\xff", "binary" }, { ws:receive() })
      assert.equal(frame(0x8a, "ping"), peer:read_exactly(6))
      peer:write(masked(0x88, "\x03\xe8bye"))
      assert.is_nil((ws:receive()))
      assert.same({ 1000, "bye" }, { ws:closed() })
      assert.equal(frame(0x88, "\x03\xe8"), peer:read_exactly(4))
      peer:close()
      ws:finish()
    end
  end)

  -- first bytes -> the code that the peer is told, and ours
  local WRONG = {
    { "an unmasked frame", frame(0x81, "x"), 1002, "EPROTO" },
    { "RSV1", masked(0xc1, "x"), 1002, "EPROTO" },
    { "RSV2", masked(0xa1, "x"), 1002, "EPROTO" },
    { "RSV3", masked(0x91, "x"), 1002, "EPROTO" },
    { "a continuation of nothing", masked(0x80, "x"), 1002, "EPROTO" },
    { "a text within a text", masked(0x01, "x") .. masked(0x81, "y"), 1002, "EPROTO" },
    { "a fragmented ping", masked(0x09, "x"), 1002, "EPROTO" },
    { "a fragmented Close", masked(0x08, ""), 1002, "EPROTO" },
    { "a ping of 126 bytes", masked(0x89, ("x"):rep(126)), 1002, "EPROTO" },
    { "a length of 125 in two bytes", "\x82\xfe\0\x7d", 1002, "EPROTO" },
    { "a length of 65535 in eight bytes", "\x82\xff\0\0\0\0\0\0\xff\xff", 1002, "EPROTO" },
    { "a length with the highest bit", "\x82\xff\x80\0\0\0\0\0\0\0", 1002, "EPROTO" },
    { "a Close of one byte", masked(0x88, "x"), 1002, "EPROTO" },
    { "text that is not UTF-8", masked(0x81, "\xff"), 1007, "EILSEQ" },
    { "text that ends in a character", masked(0x81, "\xc3"), 1007, "EILSEQ" },
    { "a surrogate", masked(0x01, "\xed") .. masked(0x80, "\xa0\x80"), 1007, "EILSEQ" },
    { "a reason that is not UTF-8", masked(0x88, "\x03\xe8\xff"), 1007, "EILSEQ" },
    { "8 EiB", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" .. KEY, 1009, "EMSGSIZE" },
    { "fragments over max_message", masked(0x02, ("x"):rep(60)) .. masked(0x80, ("x"):rep(60)), 1009, "EMSGSIZE" },
  }
  for opcode = 3, 15 do
    if opcode < 8 or opcode > 10 then
      WRONG[#WRONG + 1] = { "opcode " .. opcode, masked(0x80 | opcode, ""), 1002, "EPROTO" }
    end
  end
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
    WRONG[#WRONG + 1] = { "a Close with " .. code, masked(0x88, string.pack(">I2", code)), 1002, "EPROTO" }
  end
  for _, case in ipairs(WRONG) do
    it("is closed by " .. case[1], function()
      local ws, peer = raw(false, { max_message = 100 })
      peer:write(case[2])
      local data, _, code = ws:receive()
      assert.same({ nil, case[4] }, { data, code })
      assert.equal(frame(0x88, string.pack(">I2", case[3])), peer:read_exactly(4))
      assert.equal(case[3], (ws:closed()))
      peer:close()
      ws:finish()
    end)
  end

  it("refuses a masked frame of a server", function()
    local ws, peer = raw(true)
    peer:write(masked(0x81, "x"))
    assert.same({ "EPROTO" }, { select(3, ws:receive()) })
    peer:close()
    ws:finish()
  end)

  it("takes every code that may be sent", function()
    for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999 } do
      local ws, peer = raw()
      peer:write(masked(0x88, string.pack(">I2", code)))
      assert.is_nil((ws:receive()))
      assert.equal(code, (ws:closed()))
      peer:close()
      ws:finish()
    end
  end)

  it("lets one task receive", function()
    local ws, peer = raw()
    local first = task.spawn(function() return ws:receive() end)
    task.yield()
    assert.same({ "EBUSY" }, { select(3, ws:receive()) })
    peer:write(masked(0x81, "x"))
    assert.same({ true, "x", "text" }, { first:join() })
    peer:close()
    assert.same({ "EEOF" }, { select(3, ws:receive()) })
    assert.equal(1006, (ws:closed()))
    ws:finish()
  end)

  it("loses nothing when receiving times out or is cancelled", function()
    local ws, peer = raw()
    local whole = masked(0x81, "whole")
    peer:write(whole:sub(1, 8))
    assert.same({ "ETIMEDOUT" }, { select(3, ws:receive(0)) })
    assert.same({ "EDEADLINE" }, { select(3, task.timeout(0.01, ws.receive, ws)) })
    peer:write(whole:sub(9))
    assert.equal("whole", (ws:receive(5)))
    peer:close()
    ws:finish()
  end)

  it("is closed with 1011 by an error and 1001 by a cancellation", function()
    local ws, peer = raw()
    pcall(function()
      local _ <close> = ws
      error "x"
    end)
    assert.equal(frame(0x88, "\x03\xf3"), peer:read_exactly(4))
    peer:close()
    ws:finish()
    ws, peer = raw()
    local t = task.spawn({ quiet = true }, function()
      local own <close> = ws
      own:receive()
    end)
    task.yield()
    t:cancel()
    t:join()
    assert.equal(frame(0x88, "\x03\xe9"), peer:read_exactly(4))
    peer:close()
    ws:finish()
  end)

  -- A task that took no notice of the failures kept the thread for itself.
  it("that has ended lets others run, though a task goes on sending", function()
    local a, b = pair()
    a:close()
    b:finish()
    local ran = false
    local other = task.spawn(function() ran = true end)
    for _ = 1, 100000 do
      a:send "x"
      if ran then break end
    end
    assert.is_true(ran)
    other:join()
    a:finish()
  end)

  it("is received from in select", function()
    local ws, peer = raw()
    local other = channel.new()
    assert.same({ "ETIMEDOUT" }, { select(3, channel.select { { ws, "receive" }, { other, "get" }, timeout = 0.01 }) })
    task.spawn(function() peer:write(masked(0x81, "x")) end)
    assert.same({ 1, "x", "text" }, { channel.select { { ws, "receive" }, { other, "get" } } })
    task.spawn(function() other:put(7) end)
    assert.same({ 2, 7 }, { channel.select { { ws, "receive" }, { other, "get" } } })
    peer:write(masked(0x88, ""))
    assert.same({ 1 }, { channel.select { { ws, "receive" } } })
    peer:close()
    ws:finish()
  end)

  it("refuses wrong arguments", function()
    local ws, peer = raw()
    assert.has_error(function() ws:send "\xff" end)
    assert.has_error(function() ws:send("x", "blob") end)
    assert.has_error(function() ws:ping(("x"):rep(126)) end)
    assert.has_error(function() ws:close(1005) end)
    assert.has_error(function() ws:close(1000, ("x"):rep(124)) end)
    assert.has_error(function() websocket.connect("ws://x", { max_message = 0 }) end)
    assert.has_error(function() websocket.connect("ws://x", { maxmessage = 1 }) end)
    for _, wrong in ipairs {
      1, "on", { level = 0 }, { level = 10 }, { level = 1.5 }, { window_bits = 8 }, { window_bits = 16 },
      { min_size = -1 }, { context_takeover = 1 }, { threshold = 1 }, { true },
    } do
      local ok, message = pcall(websocket.connect, "ws://x", { compression = wrong })
      assert.is_false(ok)
      assert.matches("option 'compression'", message)
    end
    assert.same({ "EURL" }, { select(3, websocket.connect "http://x/") })
    peer:close()
    ws:receive()
    ws:finish()
  end)
end)

describe("websocket.connect", function()
  -- Connects to a server that answers with a text made by `answer` of the key.
  local function connect(answer, opts)
    local a, b = net.memory_pair()
    local head
    local serving = task.spawn(function()
      head = b:read_until "\r\n\r\n"
      local key = head:match "Sec%-WebSocket%-Key: (%S+)"
      b:write(answer(key))
    end)
    opts = opts or {}
    opts.connect = function() return a end
    local ws, message, code = websocket.connect("ws://example:81/a?b", opts)
    serving:join()
    return ws, message, code, head, b
  end

  local function accept(key)
    local crypto = require "moonlet.crypto"
    return crypto.base64(crypto.digest("sha1", key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
  end

  local GOOD = "HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Accept: "

  it("shakes hands, and keeps what follows the head", function()
    local ws, protocol, _, head, peer = connect(function(key)
      return GOOD .. accept(key) .. "\r\nSec-WebSocket-Protocol: b\r\n\r\n" .. frame(0x81, "first")
    end, { subprotocols = { "a", "b" }, origin = "http://o", headers = { cookie = "c=1" } })
    assert.truthy(head:find("^GET /a%?b HTTP/1.1\r\nHost: example:81\r\n"))
    assert.truthy(head:find("Sec-WebSocket-Protocol: a, b\r\n", 1, true))
    assert.truthy(head:lower():find("origin: http://o\r\n", 1, true))
    assert.truthy(head:find("cookie: c=1\r\n", 1, true))
    assert.equal("b", protocol)
    assert.equal("first", (ws:receive()))
    peer:close()
    ws:receive()
    ws:finish()
  end)

  it("refuses answers that are none", function()
    local function code_of(answer)
      return (select(3, connect(answer)))
    end
    assert.equal("EPROTO", code_of(function() return GOOD .. "AAAA\r\n\r\n" end))
    assert.equal("EPROTO", code_of(function(key)
      return GOOD .. accept(key) .. "\r\nSec-WebSocket-Protocol: x\r\n\r\n"
    end))
    assert.equal("EPROTO", code_of(function(key)
      return GOOD .. accept(key) .. "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    end))
    assert.equal("EPROTO", code_of(function() return "HTTP/1.1 101 X\nUpgrade: websocket\n\n" end))
    assert.equal("ESTATUS", code_of(function() return "HTTP/1.1 403 No\r\n\r\n" end))
  end)
end)

-- A program that had logged in by its client was a stranger to the WebSocket beside it: 401.
describe("a WebSocket of a client", function()
  for _, version in ipairs { "1.1", "2" } do
    it("says what the client says in its requests, HTTP/" .. version, function()
      local http = require "moonlet.http"
      local app, seen = http.router(), {}
      app:post("/login", function(_, res)
        res:cookie("session", "s1", { path = "/room" })
        return 204
      end)
      app:get("/room", function(req, res)
        local h = req.headers
        seen[#seen + 1] = { req:cookies().session or "none", h.authorization, h["x-app"], h:get "x-own" or "-" }
        local ws <close> = websocket.upgrade(req, res)
        ws:finish(5)
      end)
      local server = http.server(app)
      local client <close> = http.client {
        base = "http://a/", version = version, cookies = true, headers = { ["X-App"] = "chat" },
        auth = { token = "t" }, connect = function()
          local near, far = net.memory_pair()
          task.spawn({ daemon = true }, server.serve, server, far)
          return near
        end,
      }
      local function connect(opts)
        opts = opts or {}
        opts.client = client
        local ws <close> = assert(websocket.connect("ws://a/room?x=1", opts))
        ws:finish(5)
      end
      connect()
      assert(client:post("login", { check = true }))
      connect()
      connect { headers = { cookie = "session=own", authorization = "mine", ["x-app"] = "other", ["x-own"] = "1" } }
      assert.same({
        { "none", "Bearer t", "chat", "-" }, { "s1", "Bearer t", "chat", "-" }, { "own", "mine", "other", "1" },
      }, seen)
    end)
  end

  it("keeps the cookies of the answer for that client", function()
    local http, crypto = require "moonlet.http", require "moonlet.crypto"
    local seen = {}
    local client <close> = http.client { cookies = true, connect = function()
      local near, far = net.memory_pair()
      task.spawn({ daemon = true }, function()
        local head = far:read_until "\r\n\r\n"
        seen[#seen + 1] = head:match "[Cc]ookie: ([^\r]*)" or "none"
        local key = head:match "[Kk]ey: ([^\r]*)"
        far:write("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSet-Cookie: seat=7\r\n",
          "Sec-WebSocket-Accept: ",
          crypto.base64(crypto.digest("sha1", key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")), "\r\n\r\n")
        far:close()
      end)
      return near
    end }
    for _ = 1, 2 do assert(websocket.connect("ws://a/", { client = client })):close() end
    assert.same({ "none", "seat=7" }, seen)
  end)
end)
