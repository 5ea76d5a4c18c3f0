--- moonlet.http, HTTP/2 at the server: what bad frames get (RFC 9113, the sections in the titles),
-- what floods get, and real peers.

local support = dofile "tests/spec/support.lua"
local frames = dofile "tests/spec/http/http2_frames.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local it = support.limited(it)

local frame, request = frames.frame, frames.request
--- The body of another client's request, which leaves no connection behind.
local function fetch(address)
  local client <close> = http.client {}
  return client:get("http://" .. tostring(address) .. "/").body
end

local END_STREAM, END_HEADERS, ACK = frames.END_STREAM, frames.END_HEADERS, frames.ACK
local BOTH = END_STREAM | END_HEADERS

local PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, COMPRESSION, CALM = 1, 3, 5, 6, 9, 11

--- Runs body(conn, server) with a connection to a server that has received the preface.
local function with_server(handler, body)
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local server = http.server(handler)
  local serving = task.spawn(function() return server:serve(listener) end)
  local conn <close> = assert(net.connect(listener:address()))
  conn:set_timeout(20)
  body(conn, server, listener:address())
  conn:close()
  server:stop(0)
  serving:join()
end

local function echo(req) return req:body() end

local function hello() return "hello" end

--- Sends bytes after the preface and the client's settings; what the server then says of the stream.
local function verdict(bytes, stream, handler)
  local kind, code
  with_server(handler or hello, function(conn)
    conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
    conn:write(bytes)
    kind, code = frames.verdict(conn, stream)
  end)
  return kind, code
end

describe("HTTP/2: a server", function()
  it("answers 503 with Retry-After to more requests at a time than it may", function()
    local may_end = sync.event()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local server = http.server({ max_requests = 1 }, function() may_end:wait() return "ok" end)
    local serving = task.spawn(server.serve, server, listener)
    local client <close> = http.client { base = "http://" .. tostring(listener:address()), version = "2", retries = 0 }
    local first = task.spawn(function() return client:get("/").status end)
    support.eventually(function() return server:stats().in_flight == 1 end)
    for _ = 1, 3 do
      local answer = assert(client:get "/")
      assert.same({ 503, "1", "2" }, { answer.status, answer.headers["retry-after"], answer.version })
      assert.equal("too many requests at a time\n", answer.body)
    end
    may_end:set()
    assert.same({ true, 200 }, { first:join() })
    assert.equal(3, server:stats().refused)
    server:stop(0)
    serving:join()
  end)
end)

describe("HTTP/2: a frame that breaks the rules ends the connection", function()
  local whole = frame("HEADERS", BOTH, 1, request("GET", "/"))
  local cases = {
    { "4.2: longer than allowed", frame("DATA", 0, 1, ("x"):rep(16385)), FRAME_SIZE, whole },
    { "4.3: a header block that cannot be decoded", frame("HEADERS", BOTH, 1, "\xff\xff\xff\xff\x0f"), COMPRESSION },
    { "4.3: a header block with an index that is not there", frame("HEADERS", BOTH, 1, "\xfe"), COMPRESSION },
    { "5.1: DATA on an idle stream", frame("DATA", END_STREAM, 1, "x"), PROTOCOL },
    { "5.1: RST_STREAM on an idle stream", frame("RST_STREAM", 0, 1, "\0\0\0\8"), PROTOCOL },
    { "5.1: WINDOW_UPDATE on an idle stream", frame("WINDOW_UPDATE", 0, 1, "\0\0\0\1"), PROTOCOL },
    { "5.1: DATA on a stream that has ended", frame("DATA", END_STREAM, 1, "x"), STREAM_CLOSED, whole },
    { "5.1: HEADERS on a stream that has ended", whole, STREAM_CLOSED, whole },
    { "5.1.1: a stream with a number below the last", frame("HEADERS", BOTH, 3, request("GET", "/")), PROTOCOL,
      frame("HEADERS", BOTH, 5, request("GET", "/")) },
    { "5.1.1: a stream with an even number", frame("HEADERS", BOTH, 2, request("GET", "/")), PROTOCOL },
    { "6.1: DATA on stream 0", frame("DATA", 0, 0, "x"), PROTOCOL },
    { "6.1: padding longer than the frame", frame("DATA", frames.PADDED, 1, "\x09abc"), PROTOCOL,
      frame("HEADERS", END_HEADERS, 1, request("POST", "/")) },
    { "6.2: HEADERS on stream 0", frame("HEADERS", BOTH, 0, request("GET", "/")), PROTOCOL },
    { "6.2: another frame inside a header block", frame("HEADERS", END_STREAM, 1, request("GET", "/"))
      .. frame("PING", 0, 0, "12345678"), PROTOCOL },
    { "6.3: PRIORITY on stream 0", frame("PRIORITY", 0, 0, "\0\0\0\0\1"), PROTOCOL },
    { "6.4: RST_STREAM on stream 0", frame("RST_STREAM", 0, 0, "\0\0\0\8"), PROTOCOL },
    { "6.4: RST_STREAM of three bytes", frame("RST_STREAM", 0, 1, "\0\0\8"), FRAME_SIZE, whole },
    { "6.5: SETTINGS on a stream", frame("SETTINGS", 0, 1), PROTOCOL },
    { "6.5: SETTINGS of five bytes", frame("SETTINGS", 0, 0, "12345"), FRAME_SIZE },
    { "6.5: an ACK with settings", frame("SETTINGS", ACK, 0, "123456"), FRAME_SIZE },
    { "6.5.2: ENABLE_PUSH of 2", frame("SETTINGS", 0, 0, string.pack(">I2 I4", 2, 2)), PROTOCOL },
    { "6.5.2: a window beyond 2^31 - 1", frame("SETTINGS", 0, 0, string.pack(">I2 I4", 4, 1 << 31)), FLOW_CONTROL },
    { "6.5.2: frames of less than 16 KiB", frame("SETTINGS", 0, 0, string.pack(">I2 I4", 5, 16383)), PROTOCOL },
    { "6.5.2: frames of more than 2^24 - 1", frame("SETTINGS", 0, 0, string.pack(">I2 I4", 5, 1 << 24)), PROTOCOL },
    { "6.6: PUSH_PROMISE of a client", frame("PUSH_PROMISE", END_HEADERS, 1, "\0\0\0\2" .. request("GET", "/")),
      PROTOCOL, whole },
    { "6.7: PING of seven bytes", frame("PING", 0, 0, "1234567"), FRAME_SIZE },
    { "6.7: PING on a stream", frame("PING", 0, 1, "12345678"), PROTOCOL },
    { "6.8: GOAWAY on a stream", frame("GOAWAY", 0, 1, "\0\0\0\0\0\0\0\0"), PROTOCOL },
    { "6.9: WINDOW_UPDATE of nothing", frame("WINDOW_UPDATE", 0, 0, "\0\0\0\0"), PROTOCOL },
    { "6.9: WINDOW_UPDATE of three bytes", frame("WINDOW_UPDATE", 0, 0, "\0\0\1"), FRAME_SIZE },
    { "6.9.1: a window beyond 2^31 - 1 by WINDOW_UPDATE", frame("WINDOW_UPDATE", 0, 0, "\x7f\xff\xff\xff"),
      FLOW_CONTROL },
    { "6.10: CONTINUATION without HEADERS", frame("CONTINUATION", END_HEADERS, 1, request("GET", "/")), PROTOCOL },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local kind, code = verdict((case[4] or "") .. case[2], 3)
      assert.same({ "GOAWAY", case[3] }, { kind, code })
    end)
  end

  it("3.4: a preface that is none ends it, and the server serves on", function()
    with_server(hello, function(conn, _, address)
      conn:write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", frame("SETTINGS", 0, 0))
      while conn:read_some() do end -- luacheck: ignore 542
      assert.equal("hello", fetch(address))
    end)
  end)
end)

describe("HTTP/2: requests that come together", function()
  -- Sends the requests of these paths at once, each on a stream of its own. Path -> body, once `count` are whole.
  local function ask(conn, paths, count)
    local sent, bodies = { frames.PREFACE, frame("SETTINGS", 0, 0) }, {}
    for i, path in ipairs(paths) do
      sent[#sent + 1] = frame("HEADERS", BOTH, 2 * i - 1, request("GET", path))
    end
    conn:write(sent)
    while count > 0 do
      local kind, flags, stream, payload = frames.read(conn)
      assert(kind, "the connection has ended")
      if kind == "DATA" then
        local path = paths[stream // 2 + 1]
        bodies[path] = (bodies[path] or "") .. payload
        if flags & END_STREAM ~= 0 then count = count - 1 end
      end
    end
    return bodies
  end

  it("do not wait for a handler among them that waits", function()
    local go, seen = sync.event(), 0
    local function handler(req)
      seen = seen + 1
      if seen == 6 then go:set() end
      if req.path:find "slow" then go:wait() end
      return req.path
    end
    with_server(handler, function(conn)
      local paths = { "/slow1", "/a", "/slow2", "/b", "/c", "/slow3" }
      local bodies = ask(conn, paths, 6)
      for _, path in ipairs(paths) do assert.equal(path, bodies[path]) end
    end)
  end)

  it("see nothing of each other's tasks: locals, functions for their end, handles", function()
    local ended, told = {}, {}
    local function handler(req)
      local path, locals = req.path, task.locals()
      local last = told[#told]
      told[#told + 1] = { path = path, seen = locals.path, task = task.current() }
      locals.path = path
      task.current():on_exit(function() ended[#ended + 1] = path end)
      if last then last.task:join() end
      return #ended .. path
    end
    with_server(handler, function(conn)
      local bodies = ask(conn, { "/a", "/b", "/c" }, 3)
      assert.same({ ["/a"] = "0/a", ["/b"] = "1/b", ["/c"] = "2/c" }, bodies)
    end)
    for _, one in ipairs(told) do assert.is_nil(one.seen) end
  end)

  it("go on behind one whose task is cancelled", function()
    local function handler(req)
      if req.path == "/cancelled" then
        task.current():cancel()
        task.sleep(support.patience)
      end
      return req.path
    end
    with_server(handler, function(conn)
      local bodies = ask(conn, { "/cancelled", "/b", "/c" }, 2)
      assert.same({ ["/b"] = "/b", ["/c"] = "/c" }, bodies)
    end)
  end)

  local function known_tasks()
    local known = {}
    for _, t in ipairs(task.list()) do known[t] = true end
    return known
  end

  -- Cancels the tasks that are not known, the running one apart; how many.
  local function cancel_others(known)
    local count = 0
    for _, t in ipairs(task.list()) do
      if not known[t] and t ~= task.current() then
        t:cancel()
        count = count + 1
      end
    end
    return count
  end

  -- The next stream that is reset, and the code.
  local function read_reset(conn)
    while true do
      local kind, _, stream, payload = frames.read(conn)
      assert(kind, "the connection has ended")
      if kind == "RST_STREAM" then return { stream, (string.unpack(">I4", payload)) } end
    end
  end

  -- It was the heir for ever, and no other took the requests behind it.
  it("go on behind a task that is cancelled before it starts, with the request that was its first", function()
    local known, cancelled = {}, 0
    local function handler(req)
      if req.path == "/a" then cancelled = cancel_others(known) end
      return req.path
    end
    with_server(handler, function(conn)
      assert.same({ ["/warm"] = "/warm" }, ask(conn, { "/warm" }, 1))
      known = known_tasks()
      for i, path in ipairs { "/a", "/b", "/c" } do
        conn:write(frame("HEADERS", BOTH, 2 * i + 1, request("GET", path)))
      end
      local seen = {}
      while not (seen[3] and seen[5] and seen[7]) do
        local kind, _, stream, payload = frames.read(conn)
        assert(kind, "the connection has ended")
        if kind == "RST_STREAM" then seen[stream] = string.unpack(">I4", payload) end
        if kind == "DATA" then seen[stream] = payload end
      end
      -- Where frames arrive byte by byte, nobody is behind the first one yet.
      assert.same({ "/a", cancelled == 1 and 7 or "/b", "/c" }, { seen[3], seen[5], seen[7] })
    end)
  end)

  -- Cancels the task that comes to be as number `which` from now on, before it runs.
  local function cancel_next(known, which)
    return task.spawn(function()
      local t
      repeat
        task.yield()
        local new = {}
        for _, other in ipairs(task.list()) do
          if not known[other] and other ~= task.current() then new[#new + 1] = other end
        end
        t = new[which]
      until t
      t:cancel()
    end)
  end

  it("are reset if their task is cancelled before it starts, and the connection serves on", function()
    local ran = {}
    with_server(function(req) ran[req.path] = true return req.path end, function(conn, server)
      assert.same({ ["/warm"] = "/warm" }, ask(conn, { "/warm" }, 1))
      local cancelling = cancel_next(known_tasks(), 1)
      conn:write(frame("HEADERS", BOTH, 3, request("GET", "/a")))
      assert.same({ 3, 7 }, read_reset(conn))
      cancelling:join()
      assert.equal(0, server:stats().in_flight)
      conn:write(frame("HEADERS", BOTH, 5, request("GET", "/b")))
      repeat local kind, _, _, payload = frames.read(conn) until kind == "DATA" and payload == "/b"
      assert.same({ ["/warm"] = true, ["/b"] = true }, ran)
    end)
  end)

  it("come to nothing if the task that sends is cancelled before it starts, and the server serves on", function()
    with_server(hello, function(first, _, address)
      ask(first, { "/warm" }, 1)
      local cancelling = cancel_next(known_tasks(), 2)
      local conn <close> = assert(net.connect(address))
      conn:set_timeout(support.patience)
      conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
      local _, _, code = conn:read_all()
      assert.not_equal("ETIMEDOUT", code)
      cancelling:join()
      assert.equal("hello", fetch(address))
    end)
  end)

  it("let other tasks run, however many they are", function()
    local turns = 0
    with_server(function(req)
      if req.path == "/1" then
        task.spawn(function() turns = turns + 1 end)
      end
      return tostring(turns)
    end, function(conn)
      local paths = {}
      for i = 1, 90 do paths[i] = "/" .. i end
      local bodies = ask(conn, paths, 90)
      assert.equal("0", bodies["/1"])
      assert.equal("1", bodies["/90"])
    end)
  end)
end)

describe("HTTP/2: a request that breaks the rules is reset, and the connection goes on", function()
  local function refused(block, data)
    local kind, code
    with_server(echo, function(conn)
      conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
      conn:write(frame("HEADERS", data and END_HEADERS or BOTH, 1, block))
      if data then conn:write(frame("DATA", END_STREAM, 1, data)) end
      kind, code = frames.verdict(conn, 1)
      conn:write(frame("HEADERS", BOTH, 3, request("GET", "/")))
      conn:write(frame("PING", 0, 0, "are here"))
      local name, flags, payload
      repeat
        local _
        name, flags, _, payload = frames.read(conn)
      until name == nil or name == "GOAWAY" or (name == "PING" and flags == ACK)
      assert.same({ "PING", "are here" }, { name, payload })
    end)
    return kind, code
  end

  local function fields(...) return frames.block { ... } end
  local method, scheme = { ":method", "GET" }, { ":scheme", "http" }
  local path, authority = { ":path", "/" }, { ":authority", "a.example" }
  local cases = {
    { "8.2.1: a field name in upper case", request("GET", "/", { { "X-Big", "1" } }) },
    { "8.2.1: a field name with a space", request("GET", "/", { { "x y", "1" } }) },
    { "8.2.1: a value with a line feed", request("GET", "/", { { "x", "1\n2" } }) },
    { "8.2.1: a value with NUL", request("GET", "/", { { "x", "1\0" } }) },
    { "8.2.2: a field of the connection", request("GET", "/", { { "connection", "close" } }) },
    { "8.2.2: transfer-encoding", request("GET", "/", { { "transfer-encoding", "chunked" } }) },
    { "8.2.2: te other than trailers", request("GET", "/", { { "te", "gzip" } }) },
    { "8.3: a pseudo field that does not exist", request("GET", "/", { { ":x", "1" } }) },
    { "8.3: a pseudo field of responses", fields(method, scheme, authority, path, { ":status", "200" }) },
    { "8.3: a pseudo field behind a field", fields(method, scheme, authority, { "x", "1" }, path) },
    { "8.3.1: no method", fields(scheme, authority, path) },
    { "8.3.1: no scheme", fields(method, authority, path) },
    { "8.3.1: no path", fields(method, scheme, authority) },
    { "8.3.1: an empty path", fields(method, scheme, authority, { ":path", "" }) },
    { "8.3.1: two methods", fields(method, method, scheme, authority, path) },
  }
  for _, case in ipairs(cases) do
    it(case[1], function() assert.same({ "RST_STREAM", PROTOCOL }, { refused(case[2]) }) end)
  end

  it("8.1.1: a body longer than its content-length", function()
    assert.same({ "RST_STREAM", PROTOCOL }, { refused(request("POST", "/", { { "content-length", "2" } }), "abc") })
  end)

  it("8.1.1: a body shorter than its content-length", function()
    assert.same({ "RST_STREAM", PROTOCOL }, { refused(request("POST", "/", { { "content-length", "9" } }), "abc") })
  end)

  it("what HTTP/1.1 calls invalid is 400 here, too: it never reaches the handler", function()
    local called = false
    for _, block in ipairs {
      request("GET", "/", { { "host", "b.example" } }), -- another one than :authority
      frames.block { method, scheme, { ":authority", "a b" }, path },
      frames.block { method, scheme, authority, { ":path", "*" } },
    } do
      with_server(function() called = true end, function(conn)
        conn:write(frames.PREFACE, frame("SETTINGS", 0, 0), frame("HEADERS", BOTH, 1, block))
        local kind = frames.verdict(conn, 1)
        assert.is_true(kind == "DATA" or kind == "RST_STREAM", kind)
      end)
    end
    assert.is_false(called)
  end)
end)

describe("HTTP/2: frames that only make work", function()
  local function sent(make, handler)
    local kind, code, served
    with_server(handler or hello, function(conn, _, address)
      conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
      local sender = task.spawn({ quiet = true }, function()
        for i = 1, 25 do
          local list = {}
          for k = 1, 200 do list[k] = make((i - 1) * 200 + k) end
          if not conn:write(list) then return end
        end
      end)
      kind, code = frames.verdict(conn, 0)
      served = fetch(address)
      conn:close()
      sender:join()
    end)
    assert.equal("hello", served)
    return kind, code
  end

  local function told_to_calm_down(make)
    local kind, code = sent(make)
    if kind == "GOAWAY" then assert.equal(CALM, code) else assert.equal("end", kind) end
  end

  it("requests that are reset at once", function()
    local block = request("GET", "/")
    told_to_calm_down(function(i)
      return frame("HEADERS", BOTH, 2 * i - 1, block) .. frame("RST_STREAM", 0, 2 * i - 1, "\0\0\0\8")
    end)
  end)

  it("pings", function() told_to_calm_down(function() return frame("PING", 0, 0, "12345678") end) end)

  it("settings", function() told_to_calm_down(function() return frame("SETTINGS", 0, 0) end) end)

  it("priorities", function() told_to_calm_down(function() return frame("PRIORITY", 0, 1, "\0\0\0\0\1") end) end)

  it("data without data", function()
    local block = request("POST", "/")
    told_to_calm_down(function(i)
      return i == 1 and frame("HEADERS", END_HEADERS, 1, block) or frame("DATA", 0, 1, "")
    end)
  end)

  it("header blocks without an end", function()
    told_to_calm_down(function(i)
      return i == 1 and frame("HEADERS", END_STREAM, 1, request("GET", "/")) or frame("CONTINUATION", 0, 1, "")
    end)
  end)

  it("requests that the server is made to reset", function()
    local block = request("POST", "/", { { "content-length", "1" } })
    told_to_calm_down(function(i)
      return frame("HEADERS", END_HEADERS, 2 * i - 1, block) .. frame("DATA", END_STREAM, 2 * i - 1, "too long")
    end)
  end)

  it("no more handlers run at a time than streams are allowed, those of reset ones included", function()
    local running, most = 0, 0
    local gate = require "moonlet.sync".event()
    with_server(function()
      running = running + 1
      most = math.max(most, running)
      gate:wait()
      running = running - 1
      return "done"
    end, function(conn)
      local block = request("GET", "/")
      conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
      for i = 1, 150 do
        conn:write(frame("HEADERS", BOTH, 2 * i - 1, block))
        task.yield()
        conn:write(frame("RST_STREAM", 0, 2 * i - 1, "\0\0\0\8"))
      end
      conn:write(frame("PING", 0, 0, "12345678"))
      local kind
      repeat kind = frames.read(conn) until kind == nil or kind == "PING" or kind == "GOAWAY"
      assert.is_true(most <= 100, most)
      gate:set()
    end)
  end)

  it("a field section that is too large is 431, and one field too many as well", function()
    local big = {}
    for i = 1, 150 do big[i] = { "x-" .. i, ("v"):rep(100) } end
    for _, block in ipairs { request("GET", "/", big) } do
      local called = false
      with_server(function() called = true end, function(conn)
        conn:write(frames.PREFACE, frame("SETTINGS", 0, 0))
        conn:write(frame("HEADERS", END_STREAM, 1, block:sub(1, 16000)))
        conn:write(frame("CONTINUATION", END_HEADERS, 1, block:sub(16001)))
        local kind = frames.verdict(conn, 1)
        assert.equal("DATA", kind)
      end)
      assert.is_false(called)
    end
  end)
end)

describe("HTTP/2: a peer that leaves", function()
  it("while the last bytes of an answer are still to be sent is no trouble", function()
    -- The stream was freed with its handler gone and nghttp2 still about to ask for its bytes.
    for _ = 1, 20 do
      with_server(function() return ("x"):rep(10000) end, function(conn, _, address)
        conn:write(frames.PREFACE, frame("SETTINGS", 0, 0, string.pack(">I2I4", 4, 0)))
        conn:write(frame("HEADERS", BOTH, 1, request("GET", "/")))
        repeat local kind = frames.read(conn) until kind == "HEADERS"
        conn:write(frame("WINDOW_UPDATE", 0, 1, "\0\0\39\16"))
        conn:shutdown()
        assert.equal("DATA", frames.verdict(conn, 1))
        assert.equal(10000, #fetch(address))
      end)
    end
  end)

  it("while its handler writes is no trouble", function()
    for turns = 0, 20 do
      with_server(function(_, res)
        for _ = 1, 100 do
          res:write(("x"):rep(1000))
          task.yield()
        end
      end, function(conn)
        conn:write(frames.PREFACE, frame("SETTINGS", 0, 0), frame("HEADERS", BOTH, 1, request("GET", "/")))
        repeat local kind = frames.read(conn) until kind == "HEADERS"
        for _ = 1, turns do task.yield() end
        if turns % 2 == 0 then conn:shutdown() else conn:close() end
      end)
    end
  end)
end)

describe("HTTP/2: real peers", function()
  local function output(command)
    local pipe <close> = assert(io.popen(command))
    return pipe:read "a"
  end

  it("curl gets, posts, and sees trailers, with prior knowledge", function()
    with_server(function(req, res)
      if req.path == "/echo" then return 200, { ["x-version"] = req.version }, req:body() end
      res:write "one "
      res:write "two"
      res:trailer("x-sum", "7")
    end, function(_, _, address)
      local curl = "curl -s --max-time 20 --http2-prior-knowledge http://" .. tostring(address)
      local big = ("0123456789"):rep(30000)
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(big)
      file:close()
      assert.equal(big, output(curl .. "/echo --data-binary @" .. path))
      os.remove(path)
      assert.equal("one two", output(curl .. "/stream"))
      assert.matches("x%-sum: 7", output(curl .. "/stream -D -"))
    end)
  end)

  it("nghttp takes twenty answers over one connection, h2load ten thousand", function()
    with_server(hello, function(_, _, address)
      local url = "http://" .. tostring(address) .. "/"
      if output "command -v h2load" == "" then return pending "h2load is not installed" end
      assert.matches("10000 succeeded", output("h2load -n 10000 -c 4 -m 32 " .. url .. " 2>&1"))
    end)
  end)
end)
