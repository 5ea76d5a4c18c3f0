-- WebSockets over HTTP/2 (RFC 8441): the server against a client that is written frame by frame, and against real ones;
-- moonlet's client against the server, and against servers that misbehave.

local support = dofile("tests/spec/support.lua")
local browser = dofile("tests/spec/browser.lua")
local clients = dofile("tests/spec/http/clients.lua")
local credentials = dofile("tests/spec/tls_support.lua")
local h2 = dofile("tests/spec/http/http2_frames.lua")
local ws_frames = dofile("tests/spec/http/websocket_frames.lua")
local http = require "moonlet.http"
local net = require "moonlet.net"
local programs = dofile("tests/spec/programs.lua")
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
package.cpath = assert(os.getenv "MOONLET_TESTS") .. "/?.so;" .. package.cpath
local faults = require "memory_faults"
local it = support.limited(it)
local simulated = support.virtual(it)

local frame, masked, code = h2.frame, ws_frames.masked, ws_frames.code
local END_STREAM, END_HEADERS, ACK = h2.END_STREAM, h2.END_HEADERS, h2.ACK
local TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8a
local CANCEL = 8

local ENABLE_CONNECT_PROTOCOL = 8

--- What a client asks with.
local function ask(path, more)
  local fields = {
    { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" }, { ":authority", "a.example" },
    { ":path", path or "/" }, { "sec-websocket-version", "13" },
  }
  for _, field in ipairs(more or {}) do fields[#fields + 1] = field end
  return h2.block(fields)
end

-- A client's side of a connection, frame by frame: its settings are out, and the server's are in `settings`.
local Peer = {}
Peer.__index = Peer

local function read_settings(payload)
  local settings = {}
  for i = 1, #payload, 6 do
    local name, value = string.unpack(">I2I4", payload, i)
    settings[name] = value
  end
  return settings
end

--- The next frame of a stream, other than WINDOW_UPDATE: its type, flags, payload. nil: the connection's end.
function Peer:next(stream)
  while true do
    local kind, flags, id, payload = h2.read(self.conn)
    if not kind then return nil end
    if kind == "SETTINGS" and flags & ACK == 0 then
      self.settings = read_settings(payload)
      self.conn:write(frame("SETTINGS", ACK, 0))
    end
    if kind == "GOAWAY" then self.goaway = string.unpack(">I4", payload, 5) end
    if (kind == "DATA" or kind == "HEADERS") and flags & END_STREAM ~= 0 then self.ended[id] = true end
    if id == stream and kind ~= "WINDOW_UPDATE" then return kind, flags, payload end
  end
end

--- The bytes of the next WebSocket frame of the stream: its first byte, its payload; or the type of frame that came.
function Peer:read(stream)
  while true do
    local rest = self.rest[stream] or ""
    if #rest >= 2 and #rest >= 2 + rest:byte(2) then
      local size = rest:byte(2)
      self.rest[stream] = rest:sub(3 + size)
      return rest:byte(1), rest:sub(3, 2 + size)
    end
    local kind, flags, payload = self:next(stream)
    if kind ~= "DATA" or payload == "" then return kind, flags, payload end
    self.rest[stream] = rest .. payload
  end
end

--- Ends the stream, and reads up to the server's end of it.
function Peer:leave(stream)
  self.conn:write(frame("DATA", END_STREAM, stream))
  while not self.ended[stream] do assert.equal("DATA", (self:next(stream))) end
end

function Peer:send(stream, ...)
  self.conn:write(frame("DATA", 0, stream, table.concat { ... }))
end

--- Asks for a WebSocket: the first byte of the answer's head tells its status.
function Peer:ask(stream, path, more, flags)
  self.conn:write(frame("HEADERS", END_HEADERS | (flags or 0), stream, ask(path, more)))
end

--- Runs body(peer, server) with such a peer and a server of the handler.
local function with_peer(handler, body, opts)
  local server = http.server(opts or {}, handler)
  local near, far = net.memory_pair()
  local serving = task.spawn({ quiet = true }, function() return server:serve(far) end)
  local peer = setmetatable({ conn = near, rest = {}, ended = {} }, Peer)
  near:set_timeout(20)
  near:write(h2.PREFACE, frame("SETTINGS", 0, 0))
  body(peer, server)
  near:close()
  server:stop(0)
  serving:join()
end

local function echo(req, res)
  local ws <close>, message = websocket.upgrade(req, res)
  if not ws then return true, message end
  for data, kind in ws:messages() do ws:send(data, kind) end
  ws:finish()
end

--- The status of the head in a HEADERS frame; the blocks of nghttp2 begin with it.
local function status_of(payload)
  local indexed = { [0x88] = 200, [0x89] = 204, [0x8c] = 400, [0x8d] = 404, [0x8e] = 500 }
  return indexed[payload:byte(1)] or tonumber(payload:match "%d%d%d") or payload:byte(1)
end

describe("a WebSocket over HTTP/2", function()
  it("is announced, asked for with CONNECT, and echoes", function()
    with_peer(echo, function(peer)
      peer:ask(1)
      local kind, flags, head = peer:next(1)
      assert.same({ "HEADERS", 200, 0 }, { kind, status_of(head), flags & END_STREAM })
      assert.equal(1, peer.settings[ENABLE_CONNECT_PROTOCOL])
      peer:send(1, masked(TEXT, "hello"), masked(BINARY, "\0\1"))
      assert.same({ TEXT, "hello" }, { peer:read(1) })
      assert.same({ BINARY, "\0\1" }, { peer:read(1) })
      peer:send(1, masked(PING, "p"))
      assert.same({ PONG, "p" }, { peer:read(1) })
      peer:send(1, masked(CLOSE, code(1000)))
      assert.same({ CLOSE, code(1000) }, { peer:read(1) })
      peer:leave(1)
    end)
  end)

  it("shows its handler what it shows of HTTP/1.1", function()
    local seen
    local router = http.router()
    router:get("/chat/{room}", function(req, res)
      seen = {
        req.method, req.path, req.host, req.version, req.headers.upgrade, req.params.room,
        req.headers["sec-websocket-version"], req:body(),
      }
      local ws <close>, protocol = websocket.upgrade(req, res, { subprotocols = { "chat" } })
      seen[#seen + 1] = protocol
      ws:send "hi"
      ws:finish()
    end)
    with_peer(router, function(peer)
      peer:ask(1, "/chat/a?b", { { "sec-websocket-protocol", "x, chat" }, { "origin", "http://a.example" } })
      local _, _, head = peer:next(1)
      assert.is_truthy(head:find("chat", 1, true) or #head > 10)
      assert.same({ TEXT, "hi" }, { peer:read(1) })
      peer:send(1, masked(CLOSE, code(1000)))
      assert.same({ "GET", "/chat/a", "a.example", "2", "websocket", "a", "13", "", "chat" }, seen)
    end)
  end)

  it("is one of many streams: others are served at the same time", function()
    with_peer(function(req, res)
      if req.headers.upgrade then return echo(req, res) end
      return "plain"
    end, function(peer)
      peer:ask(1)
      peer:next(1)
      peer:ask(3)
      peer:next(3)
      peer.conn:write(frame("HEADERS", END_HEADERS | END_STREAM, 5, h2.request("GET", "/")))
      assert.equal("HEADERS", (peer:next(5)))
      peer:send(3, masked(TEXT, "three"))
      assert.same({ TEXT, "three" }, { peer:read(3) })
      peer:send(1, masked(TEXT, "one"))
      assert.same({ TEXT, "one" }, { peer:read(1) })
    end)
  end)

  it("is refused as over HTTP/1.1, and an answer that knows nothing of it is no success", function()
    local answers = {
      ["/403"] = function(req, res) return not websocket.upgrade(req, res, { origins = {} }) end,
      ["/200"] = function() return "hello" end,
      ["/204"] = function() return 204 end,
      ["/flush"] = function(_, res)
        res:write "x"
        res:flush()
        return true
      end,
      ["/404"] = function() return 404 end,
      ["/500"] = function() error "broken" end,
    }
    with_peer(function(req, res) return answers[req.path](req, res) end, function(peer)
      local id = 1
      for path, status in pairs { ["/403"] = 403, ["/200"] = 501, ["/204"] = 501, ["/flush"] = 501, ["/404"] = 404,
        ["/500"] = 500 } do
        peer:ask(id, path, { { "origin", "http://evil.example" } })
        local kind, _, head = peer:next(id)
        assert.equal("HEADERS", kind)
        local got = status_of(head)
        assert.is_true(got == status or got < 200, path .. got) -- Huffman's code hides some
        assert.is_true(head:byte(1) ~= 0x88 and head:byte(1) ~= 0x89, path)
        id = id + 2
      end
    end, { on_error = function() return 500 end })
  end)

  it("of another protocol, or without one, is answered 501, as CONNECT is", function()
    local called
    with_peer(function() called = true end, function(peer)
      peer.conn:write(frame("HEADERS", END_HEADERS, 1, h2.block {
        { ":method", "CONNECT" }, { ":protocol", "connect-udp" }, { ":scheme", "http" }, { ":authority", "a.example" },
        { ":path", "/" },
      }))
      local kind, _, head = peer:next(1)
      assert.same({ "HEADERS", false }, { kind, head:byte(1) == 0x88 })
      peer.conn:write(frame("HEADERS", END_HEADERS, 3, h2.block { { ":method", "CONNECT" }, { ":authority", "a:1" } }))
      assert.equal("HEADERS", (peer:next(3)))
      assert.is_nil(called)
    end)
  end)

  it("wants a CONNECT: with another method, or without a part of it, the stream is reset", function()
    local function verdict(fields)
      local kind
      with_peer(echo, function(peer)
        peer.conn:write(frame("HEADERS", END_HEADERS, 1, h2.block(fields)))
        kind = peer:next(1)
      end)
      return kind
    end
    local function without(name)
      local fields = {}
      for _, field in ipairs { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" },
        { ":authority", "a.example" }, { ":path", "/" } } do
        if field[1] ~= name then fields[#fields + 1] = field end
      end
      return fields
    end
    for _, name in ipairs { ":method", ":scheme", ":authority", ":path" } do
      assert.equal("RST_STREAM", verdict(without(name)), name)
    end
    assert.equal("RST_STREAM", verdict { { ":method", "GET" }, { ":protocol", "websocket" }, { ":scheme", "http" },
      { ":authority", "a.example" }, { ":path", "/" } })
  end)

  --- What the handler's receive gives after the peer did that.
  local function outcome(act)
    local got
    with_peer(function(req, res)
      if req.path ~= "/" then return echo(req, res) end
      local ws <close> = websocket.upgrade(req, res)
      ws:receive()
      got = table.pack(ws:receive())
      got.closed = ws:closed()
    end, function(peer)
      peer:ask(1)
      peer:next(1)
      peer:send(1, masked(TEXT, "first"))
      act(peer)
      support.eventually(function() return got end)
    end)
    return got
  end

  it("that ends without a Close is EEOF", function()
    local got = outcome(function(peer) peer.conn:write(frame("DATA", END_STREAM, 1)) end)
    assert.same({ "EEOF", 1006 }, { got[3], got.closed })
    got = outcome(function(peer) peer.conn:write(frame("DATA", END_STREAM, 1, masked(TEXT, "half"):sub(1, 7))) end)
    assert.same({ "EEOF", 1006 }, { got[3], got.closed })
  end)

  it("that is reset in the middle is ECONNRESET, and other streams go on", function()
    local got = outcome(function(peer)
      peer:send(1, masked(TEXT, "half"):sub(1, 7))
      peer.conn:write(frame("RST_STREAM", 0, 1, string.pack(">I4", CANCEL)))
      peer:ask(3, "/other")
      assert.equal("HEADERS", (peer:next(3)))
    end)
    assert.same({ "ECONNRESET", 1006 }, { got[3], got.closed })
    got = outcome(function(peer) peer.conn:close() end)
    assert.same({ 1006 }, { got.closed })
  end)

  it("that breaks the rules is told so, and ends", function()
    with_peer(echo, function(peer)
      peer:ask(1)
      peer:next(1)
      peer:send(1, "\x81\x01x") -- not masked
      assert.same({ CLOSE, code(1002) }, { peer:read(1) })
      peer:leave(1)
    end, { on_error = function() return 500 end })
  end)

  it("is understood byte by byte", function()
    with_peer(echo, function(peer)
      peer:ask(1)
      peer:next(1)
      local bytes = masked(TEXT, "hello") .. masked(CLOSE, code(1000))
      for i = 1, #bytes do peer:send(1, bytes:sub(i, i)) end
      assert.same({ TEXT, "hello" }, { peer:read(1) })
      assert.same({ CLOSE, code(1000) }, { peer:read(1) })
    end)
  end)

  it("sends no more than its window, and makes its senders wait", function()
    local sent, failure = 0, nil
    with_peer(function(req, res)
      local ws <close> = websocket.upgrade(req, res, { max_queue = 1000 })
      while sent < 400 do
        local ok, _, problem = ws:send(("x"):rep(1000), "binary", 20)
        if not ok then
          failure = problem
          break
        end
        sent = sent + 1
      end
      ws:finish()
    end, function(peer)
      peer:ask(1)
      peer:next(1)
      local before = -1
      while sent ~= before do
        before = sent
        for _ = 1, 100 do task.yield() end
      end
      assert.is_true(sent < 150, sent) -- a window and a buffer of 64 KiB each
      local size = 0
      local reader = task.spawn(function()
        while true do
          local kind, _, id, payload = h2.read(peer.conn)
          if not kind then return end
          if kind == "DATA" and id == 1 then
            size = size + #payload
            if #payload > 0 then
              peer.conn:write(frame("WINDOW_UPDATE", 0, 1, string.pack(">I4", #payload)),
                frame("WINDOW_UPDATE", 0, 0, string.pack(">I4", #payload)))
            end
            if size >= 400 * 1004 then return end
          end
        end
      end)
      assert(reader:join())
      assert.same({ 400 }, { sent, failure })
      peer:send(1, masked(CLOSE, code(1000)))
    end)
  end)

  it("receives no more than its window before the handler reads", function()
    local go = false
    with_peer(function(req, res)
      local ws <close> = websocket.upgrade(req, res, { ping_interval = false })
      support.eventually(function() return go end)
      for _ = 1, 3 do ws:receive() end
      ws:finish()
    end, function(peer)
      peer:ask(1)
      peer:next(1)
      for _ = 1, 4 do peer:send(1, ("\0"):rep(16384)) end
      peer:send(1, "x") -- one byte more than the window
      local kind, _, payload = peer:next(1)
      local is_told = kind == "RST_STREAM" and string.unpack(">I4", payload) == 3 or peer.goaway == 3
      assert.is_true(is_told)
      go = true
    end)
  end)

  it("ends with its handler: what was sent before still arrives", function()
    with_peer(function(req, res)
      local ws = websocket.upgrade(req, res)
      ws:send "last words"
      ws:close(1000, "bye")
    end, function(peer)
      peer:ask(1)
      peer:next(1)
      assert.same({ TEXT, "last words" }, { peer:read(1) })
      assert.same({ CLOSE, code(1000, "bye") }, { peer:read(1) })
      peer:leave(1)
      peer:ask(3)
      assert.equal("HEADERS", (peer:next(3)))
    end)
  end)

  it("is told 1001 when the server stops", function()
    with_peer(echo, function(peer, server)
      peer:ask(1)
      peer:next(1)
      local stopping = task.spawn(function() return server:stop(10) end)
      local first, payload = peer:read(1)
      assert.same({ CLOSE, 1001 }, { first, (string.unpack(">I2", payload)) })
      peer:send(1, masked(CLOSE, code(1001)))
      while h2.read(peer.conn) do end
      peer.conn:close()
      assert.same({ true, 0 }, { stopping:join() })
    end)
  end)

  it("does not outlive a handler that is cancelled or that fails", function()
    local running
    with_peer(function(req, res)
      local ws <close> = websocket.upgrade(req, res)
      running = task.current()
      if req.path == "/error" then error "broken" end
      ws:receive()
    end, function(peer)
      for id, path in pairs { [1] = "/", [3] = "/error" } do
        running = nil
        peer:ask(id, path)
        assert.equal("HEADERS", (peer:next(id)))
        support.eventually(function() return running end)
        running:cancel()
        local first, payload = peer:read(id)
        assert.same({ CLOSE, path == "/" and 1001 or 1011 }, { first, (string.unpack(">I2", payload)) })
      end
    end, { on_error = function() return 500 end })
  end)

  it("cannot be opened over and over only to be reset", function()
    with_peer(echo, function(peer)
      for i = 0, 2000 do
        local id = 2 * i + 1
        local bytes = frame("HEADERS", END_HEADERS, id, ask()) .. frame("RST_STREAM", 0, id, "\0\0\0\8")
        if not peer.conn:write(bytes) then break end
      end
      while peer:next(-1) do end
      assert.equal(11, peer.goaway)
    end)
  end)

  it("may not flood: pings of HTTP/2, and DATA without data", function()
    for _, bytes in ipairs { frame("PING", 0, 0, "12345678"), frame("DATA", 0, 1, "") } do
      with_peer(echo, function(peer)
        peer:ask(1)
        peer:next(1)
        for _ = 1, 2000 do
          if not peer.conn:write(bytes) then break end
        end
        while peer:next(-1) do end
        assert.equal(11, peer.goaway)
      end)
    end
  end)

  simulated("is pinged by WebSocket's own pings, and given up if nothing comes", function()
    local got
    with_peer(function(req, res)
      local ws <close> = websocket.upgrade(req, res, { ping_interval = 5 })
      got = table.pack(ws:receive())
    end, function(peer)
      peer.conn:set_timeout(nil)
      peer:ask(1)
      peer:next(1)
      assert.equal(PING, (peer:read(1)))
      task.sleep(11)
      assert.equal("ECONNABORTED", got[3])
    end)
  end)
end)

-- ---- moonlet's client ----

--- A client of HTTP/2 whose connections lead to that server, or to `answer(stream)`.
local function client_of(target, opts)
  opts = opts or {}
  opts.version = opts.version or "2"
  local serve = type(target) == "function" and target or function(s) target:serve(s) end
  return (clients.scripted(serve, opts))
end

local function fails(expected, value, message, got)
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(expected, got, message)
end

local function is_over(c)
  support.eventually(function() return c:stats().open == c:stats().idle end)
end

describe("websocket.connect over HTTP/2", function()
  it("takes a stream of the client's connection, and leaves it to others", function()
    local server = http.server(function(req, res)
      if not req.headers.upgrade then return req.version end
      local ws <close> = websocket.upgrade(req, res, { subprotocols = { "b", "a" }, compression = true })
      ws:send(req.version .. req.path .. "|" .. req.query.q .. "|" .. req.headers["x-own"] .. "|" .. req.host)
      for data, kind in ws:messages() do ws:send(data, kind) end
      ws:finish()
    end)
    local c <close> = client_of(server)
    assert.equal("2", assert(c:get "http://a.example/").body)
    for _ = 1, 3 do
      local ws <close>, protocol = assert(websocket.connect("ws://a.example/chat?q=1", {
        client = c, subprotocols = { "a", "b" }, headers = { ["x-own"] = "yes", host = "evil" }, compression = true,
      }))
      assert.equal("b", protocol)
      assert.equal("2/chat|1|yes|a.example", ws:receive())
      local long = ("long "):rep(100000)
      ws:send(long)
      assert.is_true(ws:receive() == long)
      assert.equal("2", assert(c:get "http://a.example/").body)
      ws:send "last"
      assert.equal("last", ws:receive())
      assert.is_true(ws:finish())
      assert.equal(1000, ws:closed())
    end
    assert.equal(1, c:stats().made)
    is_over(c)
    server:stop(0)
  end)

  it("is 64 at a time on one connection, each with its own end", function()
    local server = http.server(echo)
    local c <close> = client_of(server)
    local numbers = {}
    for i = 1, 64 do numbers[i] = i end
    task.map(numbers, function(i)
      local ws <close> = assert(websocket.connect("ws://a/", { client = c }))
      ws:send("message " .. i)
      assert.equal("message " .. i, ws:receive())
      if i % 2 == 0 then assert.is_true(ws:finish()) end
    end)
    assert.equal(1, c:stats().made)
    is_over(c)
    server:stop(0)
  end)

  it("fails as over HTTP/1.1 when the server refuses", function()
    local server = http.server(function(req, res)
      if req.path == "/none" then return 404, "nothing here" end
      if req.path == "/hello" then return "hello" end
      return not websocket.upgrade(req, res, { origins = {} })
    end)
    local c <close> = client_of(server)
    fails("ESTATUS", websocket.connect("ws://a/none", { client = c }))
    local _, message = websocket.connect("ws://a/", { client = c, origin = "http://evil" })
    assert.equal("the server answered 403", message)
    _, message = websocket.connect("ws://a/hello", { client = c })
    assert.equal("the server answered 501", message)
    is_over(c)
    assert.equal(1, c:stats().made)
    server:stop(0)
  end)

  it("fails, and resets the stream, when the server agrees to what nobody asked for", function()
    local verdict
    local function answer(s)
      s:read_exactly(#h2.PREFACE)
      s:write(frame("SETTINGS", 0, 0, string.pack(">I2I4", ENABLE_CONNECT_PROTOCOL, 1)))
      while true do
        local kind, _, id, payload = h2.read(s)
        if not kind then return end
        if kind == "HEADERS" then
          local block = h2.block { { ":status", "200" }, { "sec-websocket-protocol", "x" } }
          s:write(frame("HEADERS", END_HEADERS, id, block))
        elseif kind == "RST_STREAM" then
          verdict = string.unpack(">I4", payload)
        end
      end
    end
    local c <close> = client_of(answer)
    fails("EPROTO", websocket.connect("ws://a/", { client = c, subprotocols = { "y" } }))
    support.eventually(function() return verdict end)
    is_over(c)
  end)

  it("without the server's setting is one of HTTP/1.1, of a connection of its own", function()
    local n = 0
    local function answer(s)
      n = n + 1
      if n == 1 then
        s:read_exactly(#h2.PREFACE)
        s:write(frame("SETTINGS", 0, 0))
        s:read_all()
      else
        http.server(echo):serve(s)
      end
    end
    local c <close> = client_of(answer)
    local ws <close> = assert(websocket.connect("ws://a/", { client = c }))
    ws:send "by HTTP/1.1"
    assert.equal("by HTTP/1.1", ws:receive())
    assert.equal(2, n)
    ws:finish()
    is_over(c)
  end)

  it("is one of HTTP/1.1 of a client that speaks nothing else, also by its tls and connect", function()
    local server = http.server(echo)
    local c <close> = client_of(server, { version = "1.1" })
    local ws <close> = assert(websocket.connect("ws://a/", { client = c }))
    ws:send "x"
    assert.equal("x", ws:receive())
    ws:finish()
    assert.equal(0, c:stats().open)
    server:stop(0)
  end)

  -- Greets a client as a server does that takes WebSockets, and reads the head of its first request: the stream.
  local function read_request(s)
    s:read_exactly(#h2.PREFACE)
    s:write(frame("SETTINGS", 0, 0, string.pack(">I2I4", ENABLE_CONNECT_PROTOCOL, 1)))
    while true do
      local kind, _, stream = h2.read(s)
      if kind == "HEADERS" then return stream end
    end
  end

  it("tries HTTP/1.1 when the stream is refused or the connection says goodbye", function()
    for _, what in ipairs { "refuse", "http1", "goaway", "close" } do
      local n = 0
      local c <close> = client_of(function(s)
        n = n + 1
        if n > 1 then return http.server(echo):serve(s) end
        local id = read_request(s)
        if what == "refuse" then s:write(frame("RST_STREAM", 0, id, "\0\0\0\7")) end
        if what == "http1" then s:write(frame("RST_STREAM", 0, id, "\0\0\0\13")) end
        if what == "goaway" then s:write(frame("GOAWAY", 0, 0, "\0\0\0\0\0\0\0\0")) end
        if what ~= "close" then s:read_all() end
      end)
      local ws <close> = assert(websocket.connect("ws://a/", { client = c }))
      ws:send(what)
      assert.equal(what, ws:receive())
      ws:finish()
      is_over(c)
    end
  end)

  --- What a WebSocket gets whose server does that after the handshake.
  local function met(act, opts)
    local told
    local c <close> = client_of(function(s)
      local id = read_request(s)
      s:write(frame("HEADERS", END_HEADERS, id, h2.block { { ":status", "200" } }))
      act(s, id)
      while true do
        local kind = h2.read(s)
        if not kind then return end
        if kind == "RST_STREAM" then told = true end
      end
    end)
    opts = opts or {}
    opts.client = c
    local ws <close> = assert(websocket.connect("ws://a/", opts))
    local got = table.pack(ws:receive())
    ws:close()
    is_over(c)
    return got, told
  end

  it("has the failures of its stream", function()
    local got = met(function(s, id) s:write(frame("DATA", END_STREAM, id)) end)
    assert.equal("EEOF", got[3])
    got = met(function(s, id) s:write(frame("DATA", END_STREAM, id, "\x81\5hal")) end)
    assert.equal("EEOF", got[3])
    got = met(function(s, id) s:write(frame("RST_STREAM", 0, id, "\0\0\0\8")) end)
    assert.equal("ECONNRESET", got[3])
    got = met(function(s, id) s:write(frame("DATA", 0, id, "\x81\5hal"), frame("RST_STREAM", 0, id, "\0\0\0\2")) end)
    assert.equal("ECONNRESET", got[3])
    got = met(function(s) s:close() end)
    assert.is_truthy(got[3] == "EEOF" or got[3] == "ECONNRESET", got[3])
    got = met(function(s, id) s:write(frame("DATA", END_STREAM, id, "\x81\2hi\x88\2\3\xe8")) end)
    assert.same({ "hi", "text" }, { got[1], got[2] })
    got = met(function(s, id) s:write(frame("DATA", 0, id, "\x81\x82mask")) end)
    assert.equal("EPROTO", got[3])
    got = met(function(s, id) s:write(frame("DATA", 0, id, "\x81\x7e\xff\xff")) end, { max_message = 1000 })
    assert.equal("EMSGSIZE", got[3])
  end)

  it("gives its place back when it is forgotten, and when the client is closed", function()
    local server = http.server(function(req, res)
      local ws <close> = websocket.upgrade(req, res)
      ws:receive()
    end)
    local c <close> = client_of(server)
    websocket.connect("ws://a/", { client = c }):close()
    is_over(c)
    local ws <close> = websocket.connect("ws://a/", { client = c })
    c:close()
    fails("CLOSED", websocket.connect("ws://a/", { client = c }))
    ws:close()
    support.eventually(function() return c:stats().open == 0 end)
    server:stop(0)
  end)

  it("may be cancelled after each number of switches, and leaves the pool intact", function()
    local server = http.server(echo)
    for switches = 0, 60 do
      local c <close> = client_of(server, { pool = { per_host = 1 } })
      local t = task.spawn({ quiet = true }, function()
        local ws <close> = websocket.connect("ws://a/", { client = c })
        ws:send "a"
        ws:receive()
        ws:finish()
      end)
      for _ = 1, switches do task.yield() end
      t:cancel()
      t:join()
      local ws <close> = assert(websocket.connect("ws://a/", { client = c }))
      ws:send "b"
      assert.equal("b", ws:receive())
      assert.is_true(ws:finish())
      is_over(c)
    end
    server:stop(0)
  end)

  it("whichever allocation fails, has its pool intact", function()
    local n = 1
    local calls, ok
    repeat
      local server = http.server({ on_error = function() return 500 end }, echo)
      local c <close> = client_of(server, { pool = { per_host = 1 } })
      local opts = { client = c, timeout = 20 }
      local ws, message
      faults.lua(n)
      ok, ws, message = pcall(websocket.connect, "ws://a/", opts)
      calls = faults.lua(0)
      assert.is_true(ok or tostring(ws):find("not enough memory", 1, true) ~= nil, tostring(ws))
      assert.is_true(not ok or ws ~= nil or message ~= nil)
      if ok and ws then ws:close() end
      collectgarbage()
      local other <close> = assert(websocket.connect("ws://a/", { client = c, timeout = 20 }))
      other:send "ok"
      assert.equal("ok", other:receive())
      other:finish()
      is_over(c)
      server:stop(0)
      n = n + 5 + n // 10
    until ok and calls < n
    assert.is_true(n > 50, n)
  end)

  it("wants a client", function()
    for _, value in ipairs { true, {}, "x", http } do
      local ok, message = pcall(websocket.connect, "ws://a/", { client = value })
      assert.is_false(ok)
      assert.matches("option 'client' must be a client of moonlet.http", message)
    end
  end)
end)

-- ---- over TLS, and with programs of others ----

describe("a WebSocket over HTTP/2, over TLS", function()
  local directory

  setup(function()
    directory = programs.open_directory()
    credentials.make()
  end)
  after_each(programs.stop_all)
  teardown(function()
    credentials.remove()
    programs.remove_directory()
  end)

  local PAGE = [[<!doctype html><p>nothing yet</p><script>
    const ws = new WebSocket("wss://" + location.host + "/ws", ["b"])
    const got = []
    ws.onopen = () => { ws.send("hello"); ws.send("x".repeat(300000)); ws.send(new Uint8Array([1, 2, 3])) }
    ws.onmessage = m => {
      got.push(typeof m.data == "string" ? m.data.length : m.data.size)
      if (got.length == 4) ws.close(4001, "enough")
    }
    ws.onclose = e => { document.body.innerText = "closed " + got + " " + e.code + " " + ws.protocol }
    ws.onerror = () => { document.body.innerText = "failed" }
  </script>]]

  --- Serves the page and an echo; `asked`: how each WebSocket was asked for, and was closed.
  local function serve()
    local listener = assert(net.listen("127.0.0.1", 0, {
      tls = credentials.shows("good", { alpn = { "h2", "http/1.1" } }),
    }))
    local asked = {}
    local server = http.server(function(req, res)
      if not req.headers.upgrade then
        res.headers["content-type"] = "text/html"
        return PAGE
      end
      local ws <close> = websocket.upgrade(req, res, { subprotocols = { "b" }, compression = true, origins = { "*" } })
      ws:send("by HTTP/" .. req.version)
      for data, kind in ws:messages() do ws:send(data, kind) end
      ws:finish()
      asked[#asked + 1] = req.version .. " " .. table.concat({ ws:closed() }, " ")
    end)
    task.spawn({ daemon = true, quiet = true }, function() server:serve(listener) end)
    return listener:address().port, asked, server
  end

  it("is that of a client whose connections are TLS: it negotiates HTTP/2", function()
    local port, asked, server = serve()
    local c <close> = http.client { tls = credentials.trusts() }
    for _ = 1, 2 do
      local opts = { client = c, subprotocols = { "b" } }
      local ws <close>, protocol = assert(websocket.connect("wss://127.0.0.1:" .. port, opts))
      assert.same({ "by HTTP/2", "b" }, { ws:receive(), protocol })
      ws:send "x"
      assert.equal("x", ws:receive())
      ws:finish()
    end
    assert.equal("<!doctype", assert(c:get("https://127.0.0.1:" .. port)).body:sub(1, 9))
    assert.equal(1, c:stats().made)
    support.eventually(function() return #asked == 2 end)
    local plain <close> = assert(websocket.connect("wss://127.0.0.1:" .. port, { tls = credentials.trusts() }))
    assert.equal("by HTTP/1.1", (plain:receive()))
    plain:finish()
    server:stop(0)
  end)

  -- A proxy that leads to the port, whatever it is asked for; the requests that it gets are in the list.
  local function proxy_to(port)
    local listener, seen = assert(net.listen("127.0.0.1", 0)), {}
    task.spawn({ daemon = true, quiet = true }, function()
      listener:serve({ on_error = function() end }, function(conn)
        clients.relay(conn, port, function(line) seen[#seen + 1] = line end)
      end)
    end)
    return ("http://127.0.0.1:%d"):format(listener:address().port), seen, listener
  end

  it("is that of a client with a proxy: its tunnel carries requests and WebSockets", function()
    local port, asked, server = serve()
    local by, seen, proxy = proxy_to(port)
    for version, made in pairs { ["2"] = 1, ["1.1"] = 2 } do
      local c <close> = http.client { tls = credentials.trusts(), proxy = by, version = version }
      assert.equal(version, assert(c:get("https://127.0.0.1:" .. port)).version)
      local ws <close> = assert(websocket.connect("wss://127.0.0.1:" .. port,
        { client = c, timeout = support.patience }))
      assert.equal("by HTTP/" .. version, (ws:receive()))
      ws:send "x"
      assert.equal("x", ws:receive())
      ws:finish()
      assert.equal(made, #seen)
      assert.equal(("CONNECT 127.0.0.1:%d HTTP/1.1"):format(port), table.remove(seen))
      seen[1] = nil
    end
    support.eventually(function() return #asked == 2 end)
    proxy:close()
    server:stop(0)
  end)

  -- Each side sends before it receives, more than the buffers between them hold.
  it("runs in both directions at the same time over TLS", function()
    local port, asked, server = serve()
    local c <close> = http.client { tls = credentials.trusts() }
    local ws <close> = assert(websocket.connect("wss://127.0.0.1:" .. port, { client = c, timeout = support.patience }))
    assert.equal("by HTTP/2", (ws:receive()))
    local COUNT, block = 60, ("0123456789abcdef"):rep(2048)
    local sending = task.spawn(function()
      for i = 1, COUNT do assert(ws:send(i .. block)) end
    end)
    for i = 1, COUNT do assert.is_true(ws:receive() == i .. block) end
    support.finish(sending)
    ws:finish()
    support.eventually(function() return #asked == 1 end)
    server:stop(0)
  end)

  it("is that of the plain calls' connection, if there is one", function()
    local port, _, server = serve()
    local tls = credentials.trusts()
    local where = "wss://127.0.0.1:" .. port
    local function version()
      local ws <close> = assert(websocket.connect(where, { tls = tls }))
      local text = ws:receive()
      ws:finish()
      return text
    end
    assert.equal("by HTTP/1.1", version())
    assert(http.get("https://127.0.0.1:" .. port, { tls = tls }))
    assert.equal("by HTTP/2", version())
    server:stop(0)
    assert.is_nil(http.get("https://127.0.0.1:" .. port, { tls = tls }))
  end)

  it("is what Chromium asks for on a page that came by HTTP/2", function()
    local port, asked, server = serve()
    local page <close> = browser.open(programs, directory, ("https://127.0.0.1:%d/"):format(port))
    if not page then pending "Chromium is not installed" end
    assert.equal("9,5,300000,3 4001 b", page:shows "closed (.+)")
    support.eventually(function() return asked[1] end)
    assert.equal("2 4001 enough", asked[1])
    server:stop(0)
  end)
end)

describe("python3-h2", function()
  it("has a WebSocket over HTTP/2", function()
    if not os.execute "/usr/bin/python3 -c 'import h2' 2>/dev/null" then pending "python3-h2 is not installed" end
    local listener = assert(net.listen("127.0.0.1", 0))
    local server = http.server(echo)
    task.spawn({ daemon = true, quiet = true }, function() server:serve(listener) end)
    local pipe <close> = assert(io.popen("/usr/bin/python3 tests/support/h2_websocket.py " .. listener:address().port))
    assert.equal("1 200 810568656c6c6f880203e8\n", pipe:read "a")
    server:stop(0)
  end)
end)
