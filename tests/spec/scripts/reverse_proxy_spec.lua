-- scripts/reverse_proxy.lua, before servers of ours, nginx and node, with curl and others as clients.

local channel = require "moonlet.channel"
local http = require "moonlet.http"
local net = require "moonlet.net"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local limited = support.limited(it)

local BIG = ("0123456789abcdef"):rep(50000)

local NODE = [[env NODE_PATH=/usr/share/nodejs node -e '
const ws = require("ws"), s = new ws.Server({ port: %d, host: "127.0.0.1" });
s.on("connection", (w, q) => {
  w.send(q.headers["x-forwarded-for"]);
  w.on("message", (m, binary) => w.send(m, { binary }));
});
s.on("listening", () => console.log("ready"))']]

describe("scripts/reverse_proxy.lua", function()
  local client

  setup(function() programs.open_directory() end)
  before_each(function() client = http.client() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  -- Idle connections would be taken for left behind.
  local function it(title, body)
    limited(title, function()
      body()
      client:close()
    end)
  end

  -- An upstream that lives as long as the test: its address.
  local function serve(handler)
    local listener = assert(net.listen("127.0.0.1", 0))
    task.spawn({ daemon = true }, http.serve,
      { listener = listener, max_body = 1 << 30, on_error = function() end }, handler)
    return tostring(listener:address())
  end

  -- The URL of a proxy before these, and the program.
  local function start(...)
    local port, proxy = programs.start_server("reverse_proxy.lua", "-p", 0, ...)
    return "http://127.0.0.1:" .. port, proxy
  end

  local function get(url) return assert(client:get(url)) end

  local function post(url, body) return assert(client:post(url, { body = body })) end

  it("balances, the one with the fewest requests first", function()
    local arrived, release = channel.new(1), channel.new(1)
    local function upstream(name)
      return serve(function(req)
        if req.path == "/wait" then
          arrived:put(name)
          release:get()
        end
        return name
      end)
    end
    local url = start(upstream "a", upstream "b")
    local seen = {}
    for i = 1, 4 do seen[i] = get(url).body end
    assert.equal("abab", table.concat(seen))
    local waiting = task.spawn(get, url .. "/wait")
    assert.equal("a", arrived:get(support.patience))
    for i = 1, 4 do seen[i] = get(url).body end
    assert.equal("bbbb", table.concat(seen))
    release:put(true)
    assert.equal("a", select(2, waiting:join()).body)
  end)

  it("passes method, target, fields and bodies on, but for those of the connection", function()
    local got
    local url = start(serve(function(req, res)
      got = { req.method, req.target, {}, req:body() }
      for name, value in pairs(req.headers) do got[3][name] = value end
      res.headers.link = { "<a>", "<b>" }
      res.headers["x-private"], res.headers.connection = "1", "x-private"
      return 201, "made"
    end))
    local port = tonumber(url:match "%d+$")
    local conn <close> = assert(net.connect("127.0.0.1", port))
    conn:write("PUT /a/../b%2F//c?x=%20&x HTTP/1.1\r\nHost: example.test\r\nX-Forwarded-For: 10.0.0.1\r\n",
      "Forwarded: for=evil\r\nX-Forwarded-Proto: https\r\nProxy-Authorization: x\r\nTE: trailers\r\n",
      "Connection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nX-Kept: 2\r\nContent-Length: 4\r\n\r\nbody")
    local answer = conn:read_all()
    assert.equal("PUT", got[1])
    assert.equal("/a/../b%2F//c?x=%20&x", got[2])
    assert.equal("body", got[4])
    local fields = got[3]
    assert.same({ "example.test", "10.0.0.1, 127.0.0.1", "http", "example.test", "2" }, { fields.host,
      fields["x-forwarded-for"], fields["x-forwarded-proto"], fields["x-forwarded-host"], fields["x-kept"] })
    for _, name in ipairs { "forwarded", "proxy-authorization", "te", "x-secret", "keep-alive", "connection" } do
      assert.is_nil(fields[name], name)
    end
    assert.matches("^HTTP/1.1 201 ", answer)
    assert.matches("\r\nlink: <a>\r\nlink: <b>\r\n", answer)
    assert.matches("\r\n\r\nmade$", answer)
  end)

  it("tries a safe request on another upstream, and another one only if nothing was sent", function()
    local asked = 0
    local rude = assert(net.listen("127.0.0.1", 0))
    task.spawn({ daemon = true }, rude.serve, rude, function(conn)
      conn:read_line()
      asked = asked + 1
    end)
    local good = serve(function(req) return req.method .. " " .. (req:body() or "") end)
    local url, proxy = start(tostring(rude:address()), good)
    assert.equal("GET ", get(url).body)
    assert.equal(1, asked)
    local refusing = "127.0.0.1:" .. support.free_port()
    assert.equal("POST x", post((start(refusing, good)), "x").body)
    local large = BIG:sub(1, 100000) -- which is not kept for another try
    assert.equal("POST " .. large, post((start(refusing, good)), large).body)
    local other = start(tostring(rude:address()), good)
    assert.equal(502, post(other, "x").status)
    assert.equal(2, asked)
    assert.equal("POST x", post(other, "x").body) -- it comes last for a while
    assert.equal(2, asked)
    assert.equal("", proxy:errors())
  end)

  it("tries another upstream when one answers 503, and tells the client if none is well", function()
    local busy = serve(function() return 503, "busy" end)
    local url, proxy = start(busy, serve(function() return "well" end))
    assert.equal("well", get(url).body)
    assert.equal("", proxy:errors())
    local r = get((start(busy)))
    assert.same({ 503, "busy" }, { r.status, r.body })
    local refusing = "127.0.0.1:" .. support.free_port()
    url, proxy = start(refusing)
    r = get(url)
    assert.same({ 502, "no upstream answers\n" }, { r.status, r.body })
    assert.equal(("reverse_proxy: http://%s: %s: Connection refused\n"):format(refusing, refusing), proxy:errors())
  end)

  it("sends pieces of a body on as they come", function()
    local seen = channel.new(10)
    local url = start(serve(function(req)
      for piece in req:chunks() do seen:put(piece) end
      return "all"
    end))
    local conn <close> = assert(net.connect("127.0.0.1", tonumber(url:match "%d+$")))
    conn:set_timeout(support.patience)
    conn:write "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _, piece in ipairs { "one", "two" } do
      conn:write("3\r\n", piece, "\r\n")
      local got = ""
      while #got < #piece do got = got .. assert(seen:get(support.patience)) end
      assert.equal(piece, got)
    end
    conn:write "0\r\n\r\n"
    repeat until conn:read_line() == ""
    assert.equal("all", conn:read(3))
  end)

  it("sends pieces of an answer on as they come, and tells the upstream when the client leaves", function()
    local left = channel.new(1)
    local url = start(serve(function(_, res)
      local watch <close> = setmetatable({}, { __close = function() left:put(true, 0) end })
      local events = res:events()
      for i = 1, math.huge do
        if not events:send { data = i } then return end
        task.sleep(0.01)
      end
    end))
    local r = assert(client:stream(url))
    local event = r:events()()
    assert.equal("1", event.data)
    r:close()
    assert.is_true(left:get(support.patience))
  end)

  it("cuts an answer that was cut, so that none looks complete", function()
    local url = start(serve(function(_, res)
      res:write "half"
      res:flush()
      error "cut"
    end))
    local r, _, code = client:get(url)
    assert.is_nil(r)
    assert(code == "EEOF" or code == "ECONNRESET", code)
  end)

  it("stands between curl and nginx", function()
    for _, program in ipairs { "curl", "nginx" } do
      if not programs.installed(program) then pending(program .. " is not installed") end
    end
    local port = programs.start_nginx({ big = BIG }, "location /up { client_max_body_size 100m; return 204; }")
    local url = start("127.0.0.1:" .. port)
    local function curl(words) return (programs.run("curl -sS --noproxy '*' " .. words:gsub("URL", url))) end
    assert.is_true(curl "URL/big" == BIG)
    assert.equal("6789", curl "-r 6-9 URL/big")
    local head = curl "-I URL/big"
    assert.matches("ontent%-[Ll]ength: " .. #BIG, head)
    local etag = head:match '[Ee][Tt]ag: ("[^"]*")'
    assert.equal("304", curl("-o /dev/null -w '%{http_code}' -H 'If-None-Match: " .. etag .. "' URL/big"))
    assert.equal("404", curl "-o /dev/null -w '%{http_code}' URL/none")
    assert.equal("200", curl "-o /dev/null -w '%{http_code}' --http2-prior-knowledge URL/big")
  end)

  it("passes WebSockets", function()
    local refusing = "127.0.0.1:" .. support.free_port()
    local url = start(refusing, serve(function(req, res)
      if req.path ~= "/chat" then return 403 end
      local ws <close> = websocket.upgrade(req, res, { subprotocols = { "echo" } })
      if not ws then return true end
      for message, kind in ws:messages() do ws:send(message, kind) end
    end))
    url = url:gsub("^http", "ws")
    for _ = 1, 2 do
      local ws <close> = assert(websocket.connect(url .. "/chat", { subprotocols = { "echo" } }))
      for _, text in ipairs { "hello", BIG:sub(1, 100000) } do
        assert(ws:send(text, "binary"))
        assert.is_true(ws:receive(support.patience) == text)
      end
      ws:close(1000, "enough")
      assert.is_true(ws:finish(support.patience))
      assert.equal(1000, (ws:closed()))
    end
    local ws, message = websocket.connect(url .. "/none")
    assert.is_nil(ws)
    assert.matches("403", message)
  end)

  -- Else the peer would speak to the upstream directly: with fields that the proxy sets, and paths that it refuses.
  it("makes no tunnel of a connection whose WebSocket was refused", function()
    local forwarded
    local url = start(serve(function(req)
      forwarded = req.headers["x-forwarded-for"]
      return req.path == "/ws" and 403 or 200, "text"
    end))
    local conn <close> = assert(net.connect("127.0.0.1", tonumber(url:match "%d+$")))
    conn:write("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\nConnection: close\r\n\r\n")
    local answers = conn:read_all()
    assert.matches("^HTTP/1.1 403 .*HTTP/1.1 200 .*text$", answers)
    assert.equal("10.0.0.1, 127.0.0.1", forwarded)
  end)

  it("leaves an upstream that has not answered yet when the client has left", function()
    local arrived, gone = channel.new(1), channel.new(1)
    local url = start(serve(function(req)
      arrived:put(true)
      support.eventually(function() return req:gone() end)
      gone:put(true)
    end))
    local conn = assert(net.connect("127.0.0.1", tonumber(url:match "%d+$")))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.is_true(arrived:get(support.patience))
    conn:close()
    assert.is_true(gone:get(support.patience))
  end)

  it("passes the WebSockets of node", function()
    if not os.execute "NODE_PATH=/usr/share/nodejs node -e 'require(\"ws\")' 2>/dev/null" then
      pending "node has no library for WebSockets here"
    end
    local port = support.free_port()
    local node = programs.start(NODE:format(port))
    node:printed "ready"
    local url = start("127.0.0.1:" .. port):gsub("^http", "ws")
    local ws <close> = assert(websocket.connect(url .. "/"))
    assert.equal("127.0.0.1", ws:receive(support.patience))
    assert(ws:send "hello")
    assert.equal("hello", ws:receive(support.patience))
    assert.is_true(ws:finish(support.patience))
  end)

  it("says what is wrong with its arguments, and ends at Ctrl-C", function()
    programs.refuse_words("reverse_proxy.lua", { {}, { "-x" }, { "-p", "x", "127.0.0.1:1" }, { "-l" } })
    assert.same({ "", "reverse_proxy: not an upstream: ftp://a\n", 1 },
      { programs.run_script("reverse_proxy.lua", "ftp://a") })
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local address = listener:address()
    assert.same({ "", ("reverse_proxy: cannot listen on %s: Address already in use\n"):format(address), 1 },
      { programs.run_script("reverse_proxy.lua", "-p", address.port, "127.0.0.1:1") })
    local _, proxy = start "127.0.0.1:1"
    proxy:kill "INT"
    assert.equal(130, proxy:wait())
    assert.equal("", proxy:errors())
  end)
end)
