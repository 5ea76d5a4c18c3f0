-- moonlet.websocket with programs that others wrote, over loopback, in both directions.

local support = dofile("tests/spec/support.lua")
local credentials = dofile("tests/spec/tls_support.lua")
local headers = require "moonlet.http.headers"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

-- The programs that are here: name -> whether its library is installed.
local IS_HERE = {
  python3 = os.execute "/usr/bin/python3 -c 'import websockets' 2>/dev/null" or false,
  node = os.execute "NODE_PATH=/usr/share/nodejs node -e 'require(\"ws\")' 2>/dev/null" or false,
}

-- A test with one of them; without it, pending, with the reason.
local function with(name, title, body)
  if IS_HERE[name] then return it(title, body) end
  pending(("%s: %s has no library for WebSockets here"):format(title, name))
end

--- Starts a program that prints its process id and, of a server, its port; ends it after fn.
local function with_program(command, fn)
  local pipe = assert(io.popen("exec " .. command, "r"))
  local pid, port = pipe:read("l"):match "^(%d+) (%d+)$"
  local ok, message = pcall(fn, tonumber(port), pipe)
  os.execute("kill " .. pid .. " 2>/dev/null")
  pipe:close()
  if not ok then error(message, 0) end
end

local PYTHON_SERVER = [[/usr/bin/python3 -u -c '
import asyncio, os, websockets as s
async def echo(ws):
    try:
        async for m in ws:
            if m == "close": await ws.close(4001, "as asked")
            elif m == "extensions": await ws.send(" ".join(e.name for e in ws.extensions))
            else: await ws.send(m)
    except s.exceptions.ConnectionClosed: pass
async def main():
    server = await s.serve(echo, "127.0.0.1", 0, subprotocols=["b"], compression=%s)
    print(os.getpid(), server.sockets[0].getsockname()[1])
    await asyncio.Future()
asyncio.run(main())']]

local NODE_SERVER = [[env NODE_PATH=/usr/share/nodejs node -e '
const s = new (require("ws").WebSocketServer)({ port: 0, host: "127.0.0.1", perMessageDeflate: %s,
  handleProtocols: p => p.has("b") ? "b" : false });
s.on("connection", w => w.on("message", (m, binary) => {
  if (m == "close") w.close(4001, "as asked");
  else if (m == "extensions") w.send(Object.keys(w._extensions).join(" "));
  else w.send(m, { binary }) }));
s.on("listening", () => console.log(process.pid + " " + s.address().port))']]

local TEXTS = { "", "h\u{e4}\u{1F600}", ("x"):rep(125), ("y"):rep(126), ("z"):rep(70000) }
for i = 1, 5 do TEXTS[#TEXTS + 1] = ("text number %d, which is not a short one; "):format(i):rep(10 * i * i) end

-- Ways to compress: of the peer, as its library has them, and ours.
local SETTINGS = {
  { "nothing compressed", python3 = "None", node = "false", opts = false },
  { "all compressed", python3 = '"deflate"', node = "{ threshold: 0 }", opts = { min_size = 0 } },
  { "the widest windows", python3 = '"deflate"', node = "{ threshold: 0 }",
    opts = { window_bits = 15, level = 9 } },
  { "the smallest windows", python3 = '"deflate"', node = "{ threshold: 0 }",
    opts = { window_bits = 9, min_size = 1 } },
  { "no takeover", python3 = '"deflate"',
    node = "{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }",
    opts = { context_takeover = false, min_size = 0 } },
  { "a peer that does not compress", python3 = "None", node = "false", opts = true },
  { "a peer that is alone in it", python3 = '"deflate"', node = "{ threshold: 0 }", opts = false },
}

-- What both ends agree on.
local function agreed(setting)
  return setting.opts and setting.node ~= "false" and "permessage-deflate" or ""
end

for name, command in pairs { python3 = PYTHON_SERVER, node = NODE_SERVER } do
  for _, setting in ipairs(SETTINGS) do describe("a WebSocket to a server of " .. name, function()
    with(name, ("carries messages, and is closed by either end, with %s"):format(setting[1]), function()
      with_program(command:format(setting[name]), function(port)
        local opts = { subprotocols = { "a", "b" }, compression = setting.opts }
        local ws, protocol = assert(websocket.connect(("ws://127.0.0.1:%d/x"):format(port), opts))
        assert.equal("b", protocol)
        for _, text in ipairs(TEXTS) do
          assert(ws:send(text))
          assert.same({ text, "text" }, { ws:receive(10) })
          assert(ws:send(text, "binary"))
          assert.same({ text, "binary" }, { ws:receive(10) })
        end
        assert(ws:send "extensions")
        assert.equal(agreed(setting), (ws:receive(10)))
        assert(ws:ping "p")
        assert(ws:send "close")
        assert.is_nil((ws:receive(10)))
        assert.same({ 4001, "as asked" }, { ws:closed() })
        assert.is_true(ws:finish())
        ws = assert(websocket.connect(("ws://127.0.0.1:%d/"):format(port)))
        assert.is_true(ws:finish())
      end)
    end)
  end) end
end

-- A request and a response as an HTTP server gives them, read from a stream.
local function read_request(stream)
  local head = assert(stream:read_until "\r\n\r\n")
  local method, target = head:match "^(%S+) (%S+) HTTP/1.1\r\n"
  local req = { method = method, target = target, version = "1.1", headers = headers.new() }
  for key, value in head:gmatch "\n([^:\r\n]+): *([^\r\n]*)" do req.headers:add(key, value) end
  req.host = req.headers.host
  local res = { headers = headers.new(), hijack = function() return stream end }
  function res:send(text) self.text = text end
  return req, res
end

local function serve(listener, compression)
  local conn <close> = assert(listener:accept(support.patience))
  local req, res = read_request(conn)
  local ws, protocol = assert(websocket.upgrade(req, res, { subprotocols = { "b" }, compression = compression }))
  for data, kind in ws:messages() do ws:send(data, kind) end
  local code, reason = ws:closed()
  ws:finish()
  return protocol, code, reason
end

local PYTHON_CLIENT = [[/usr/bin/python3 -u -c '
import asyncio, os, sys, websockets as c
print(os.getpid(), 0)
async def main():
    async with c.connect("ws://127.0.0.1:%d/", subprotocols=["a", "b"], compression=%s) as ws:
        more = ["a longer text, " * 50 * i for i in range(1, 6)]
        for m in ["", "h\u00e4", "x" * 126, "z" * 70000, bytes(300)] + more:
            await ws.send(m)
            if await ws.recv() != m: print("differs"); return
        await (await ws.ping())
        await ws.close(4002, "bye")
        print("done", *[e.name for e in ws.extensions])
asyncio.run(main())']]

local NODE_CLIENT = [[env NODE_PATH=/usr/share/nodejs node -e '
console.log(process.pid + " 0");
const w = new (require("ws"))("ws://127.0.0.1:%d/", ["a", "b"], { perMessageDeflate: %s });
const all = ["", "h\u00e4", "x".repeat(126), "z".repeat(70000)]; let i = 0;
for (let k = 1; k < 6; k++) all.push("a longer text, ".repeat(50 * k));
w.on("open", () => w.send(all[0]));
w.on("message", m => { if (m.toString() != all[i]) { console.log("differs"); process.exit() }
  if (++i < all.length) w.send(all[i]); else w.ping() });
w.on("pong", () => w.close(4002, "bye"));
w.on("close", c => {
  console.log(c == 4002 ? ("done " + Object.keys(w._extensions)).trim() : "closed with " + c) })']]

for name, command in pairs { python3 = PYTHON_CLIENT, node = NODE_CLIENT } do
  for _, setting in ipairs(SETTINGS) do describe("a WebSocket from a client of " .. name, function()
    with(name, ("carries messages, and is closed by the client, with %s"):format(setting[1]), function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local serving = task.spawn(serve, listener, setting.opts)
      with_program(command:format(listener:address().port, setting[name]), function(_, pipe)
        assert.same({ true, "b", 4002, "bye" }, { serving:join() })
        assert.equal(agreed(setting) == "" and "done" or "done " .. agreed(setting), pipe:read "l")
      end)
    end)
  end) end
end

describe("websocket.upgrade", function()
  local function upgrade(change, opts)
    local a, b = net.memory_pair()
    local req = { method = "GET", version = "1.1", host = "example", headers = headers.new {
      origin = "http://example", ["sec-websocket-version"] = "13",
      ["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    } }
    req.headers:add("upgrade", "websocket")
    req.headers:add("connection", "keep-alive, Upgrade")
    change(req, req.headers)
    local res = { headers = headers.new(), hijack = function() return b end }
    function res:send(text) self.text = text end
    local ws, _, code = websocket.upgrade(req, res, opts)
    return ws, code, res, a
  end

  it("answers as RFC 6455 says in its example", function()
    local ws, _, _, peer = upgrade(function() end)
    local head = peer:read_until "\r\n\r\n"
    assert.truthy(head:find("^HTTP/1.1 101 "))
    assert.truthy(head:find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 1, true))
    peer:close()
    ws:receive()
    ws:finish()
  end)

  it("refuses what is no handshake", function()
    local function refused(status, code, change, opts)
      local ws, got, res = upgrade(change, opts)
      assert.is_nil(ws)
      assert.same({ status, code }, { res.status, got })
      return res
    end
    refused(400, "EPROTO", function(req) req.method = "POST" end)
    refused(400, "EPROTO", function(req) req.version = "1.0" end)
    refused(400, "EPROTO", function(_, h) h["sec-websocket-key"] = nil end)
    refused(400, "EPROTO", function(_, h) h["sec-websocket-key"] = "c2hvcnQ=" end)
    refused(400, "EPROTO", function(_, h) h:add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==") end)
    refused(426, "EPROTO", function(_, h) h.upgrade = nil end)
    refused(426, "EPROTO", function(_, h) h.connection = "close" end)
    local res = refused(426, "EPROTO", function(_, h) h["sec-websocket-version"] = "8" end)
    assert.equal("13", res.headers["sec-websocket-version"])
    refused(403, "EACCES", function(_, h) h.origin = "http://other" end)
    refused(403, "EACCES", function(_, h) h.origin = "null" end)
    refused(403, "EACCES", function() end, { origins = { "http://other" } })
  end)
end)

describe("a WebSocket over TLS, of our own server", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  it("carries compressed messages, and stays while nobody receives", function()
    local listener = assert(net.listen("127.0.0.1", 0, { tls = credentials.shows "good" }))
    local server = http.server(function(req, res)
      local ws <close> = websocket.upgrade(req, res, { compression = true, ping_interval = 0.4 })
      if not ws then return true end
      for i = 1, 3 do
        assert(ws:send(("news %d, "):format(i):rep(1000)))
        task.sleep(0.5)
      end
      for data, kind in ws:messages() do ws:send(data, kind) end
      ws:finish()
    end)
    local serving = task.spawn(function() return server:serve(listener) end)
    local url = ("wss://127.0.0.1:%d/"):format(listener:address().port)
    local ws = assert(websocket.connect(url, {
      tls = credentials.trusts(), compression = { min_size = 0 }, ping_interval = 0.4,
    }))
    task.sleep(1.5)
    for i = 1, 3 do assert.equal(("news %d, "):format(i):rep(1000), (ws:receive(support.patience))) end
    for i = 1, 30 do
      local text = ("echo %d, "):format(i):rep(i * i)
      assert(ws:send(text))
      assert.equal(text, (ws:receive(support.patience)))
    end
    assert.is_nil(ws:closed())
    assert.is_true(ws:finish())
    server:stop(0)
    serving:join()
  end)
end)
