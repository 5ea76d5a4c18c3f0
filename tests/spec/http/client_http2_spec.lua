-- moonlet.http's client over HTTP/2: against moonlet's own server, against scripts that take every
-- liberty a bad server takes, and against servers that others wrote.

package.cpath = assert(os.getenv "MOONLET_TESTS") .. "/?.so;" .. package.cpath

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local clients = dofile "tests/spec/http/clients.lua"
local frames = dofile "tests/spec/http/http2_frames.lua"
local faults = require "memory_faults"
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local it, virtual = support.limited(it), support.virtual(it)

local frame, block = frames.frame, frames.block
local END_STREAM, END_HEADERS, ACK = frames.END_STREAM, frames.END_HEADERS, frames.ACK
local BOTH = END_STREAM | END_HEADERS
local NO_ERROR, PROTOCOL, INTERNAL, REFUSED, CANCEL, CALM, HTTP1 = 0, 1, 2, 7, 8, 11, 13

local function fails(code, pattern, value, message, got)
  assert.is_nil(value)
  assert.equal(code, got, message)
  assert.matches(pattern, message)
end

-- ---- moonlet's own server ----

--- A client whose connections lead to a server of ours with that handler.
local function client_of(handler, opts)
  opts = opts or {}
  local server, network = http.server(handler), opts.network
  opts.network = nil
  opts.connect = function()
    local near, far = net.memory_pair(network)
    task.spawn({ daemon = true, quiet = true }, function() server:serve(far) end)
    return near
  end
  opts.version = opts.version or "2"
  return http.client(opts), server
end

local function echo(req)
  local body = req:body()
  return 200, { ["x-what"] = ("%s %s %s %s"):format(req.method, req.target, req.host, req.version) }, body
end

-- ---- servers that are scripts ----

--- Reads the preface and says which settings hold; `settings` is a payload, false: none are sent.
local function greet(s, settings)
  if s:read_exactly(#frames.PREFACE) ~= frames.PREFACE then return false end
  if settings ~= false then s:write(frame("SETTINGS", 0, 0, settings)) end
  return true
end

--- The next frame of one of the kinds: kind, flags, stream, payload; nil at the end.
local function next_of(s, ...)
  local wanted = {}
  for _, kind in ipairs { ... } do wanted[kind] = true end
  while true do
    local kind, flags, stream, payload = frames.read(s)
    if not kind or wanted[kind] then return kind, flags, stream, payload end
  end
end

--- The stream of the next request that has come to its end.
local function next_request(s)
  while true do
    local kind, flags, stream = next_of(s, "HEADERS", "DATA")
    if not kind or flags & END_STREAM ~= 0 then return stream end
  end
end

local OK = block { { ":status", "200" } }

local function respond(s, stream, body, fields)
  return s:write(frame("HEADERS", END_HEADERS, stream, fields and block(fields) or OK),
    frame("DATA", END_STREAM, stream, body or "ok"))
end

local function goaway(last, code, text)
  return frame("GOAWAY", 0, 0, string.pack(">I4I4", last, code) .. (text or ""))
end

local function reset(stream, code) return frame("RST_STREAM", 0, stream, string.pack(">I4", code)) end

local function setting(id, value) return string.pack(">I2I4", id, value) end

local MAX_STREAMS, WINDOW = 3, 4

--- A client of HTTP/2 whose nth connection leads to answer(stream, n); and how many there were.
local function script_of(answer, opts)
  opts = opts or {}
  opts.version = opts.version or "2"
  return clients.scripted(answer, opts)
end

--- Serves requests one by one until the client leaves.
local function serve_on(s)
  for stream in next_request, s do respond(s, stream) end
end

local function serve(s)
  greet(s)
  serve_on(s)
end

describe("a client of HTTP/2", function()
  it("sends a request and gives its response, however the bytes are cut", function()
    for _, network in ipairs { {}, { chunk = 1 }, { chunk = 10 } } do
      local c <close> = client_of(echo, { network = network })
      for i = 1, 3 do
        local r = assert(c:post("http://A.Example:81/p?q", { body = ("x"):rep(i), headers = { ["X-Y"] = "1" } }))
        assert.equal(200, r.status)
        assert.equal("2", r.version)
        assert.equal("", r.reason)
        assert.equal("POST /p?q a.example:81 2", r.headers["x-what"])
        assert.equal(("x"):rep(i), r.body)
        assert.equal(i > 1, r.reused)
      end
      assert.same({ open = 1, idle = 1, made = 1, reused = 2 }, c:stats())
    end
  end)

  it("knows methods and statuses without a body", function()
    local c <close> = client_of(function(req)
      if req.path == "/204" then return 204 end
      if req.path == "/304" then return 304 end
      return 200, { ["x-method"] = req.method }, "body"
    end)
    local r = assert(c:head "http://a/")
    assert.same({ "", "4", "HEAD" }, { r.body, r.headers["content-length"], r.headers["x-method"] })
    assert.same({ 204, "" }, { assert(c:get "http://a/204").status, assert(c:get "http://a/204").body })
    assert.equal(304, assert(c:get "http://a/304").status)
    assert.equal("body", assert(c:request { url = "http://a/", method = "FROB" }).body)
    fails("EOPNOTSUPP", "", c:request { url = "http://a/", method = "CONNECT" })
    assert.equal("body", assert(c:delete "http://a/").body)
    assert.equal(1, c:stats().made)
  end)

  it("shares one connection among all tasks, from the first moment", function()
    local running, most, gate = 0, 0, sync.event()
    local c <close> = client_of(function(req)
      running = running + 1
      most = math.max(most, running)
      if running == 60 then gate:set() end
      gate:wait(20)
      running = running - 1
      return req.path
    end)
    local numbers = {}
    for i = 1, 60 do numbers[i] = i end
    local bodies = task.map(numbers, function(i) return assert(c:get("http://a/" .. i)).body end)
    for i = 1, 60 do assert.equal("/" .. i, bodies[i]) end
    assert.equal(60, most)
    assert.same({ open = 1, idle = 1, made = 1, reused = 59 }, c:stats())
  end)

  it("sends bodies of each kind", function()
    local c <close> = client_of(function(req)
      return ("%s|%s|%s"):format(req:body(), req.headers["content-length"] or "-", req.headers["content-type"] or "-")
    end)
    local function post(opts) return assert(c:post("http://a/", opts)).body end
    assert.equal("text|4|-", post { body = "text" })
    assert.equal("a1|2|-", post { body = { "a", 1 } })
    assert.equal('{"a":1}|7|application/json', post { json = { a = 1 } })
    assert.equal("a=b|3|application/x-www-form-urlencoded", post { form = { a = "b" } })
    assert.equal("|0|-", post {})
    local parts, i = { "ab", "", "cde" }, 0
    assert.equal("abcde|-|-", post { body = function()
      i = i + 1
      return parts[i]
    end })
    local large = ("0123456789"):rep(100000)
    assert.is_true(post { body = large } == large .. "|1000000|-")
  end)

  it("gives trailers, lines, events and decoded content", function()
    local c <close> = client_of(function(req, res)
      if req.path == "/events" then
        local e = res:events()
        e:send { data = "one", id = "1" }
        e:send { data = "two", event = "x" }
        return true
      end
      res:write "a\nb\n"
      res:write "c"
      res:trailer("x-sum", "7")
    end)
    local r <close> = assert(c:stream "http://a/")
    local lines = {}
    for line in r:lines() do lines[#lines + 1] = line end
    assert.same({ "a", "b", "c" }, lines)
    assert.equal("7", r:trailers()["x-sum"])
    local whole = assert(c:get "http://a/")
    assert.same({ "a\nb\nc", "7" }, { whole.body, whole:trailers()["x-sum"] })
  end)

  it("stops the server while nobody reads, and the caller while the server does not", function()
    local sent, given, go_on = 0, 0, sync.event()
    local c <close> = client_of(function(req, res)
      if req.method == "POST" then
        go_on:wait()
        return tostring(#req:body(100 * 1024 * 1024))
      end
      for _ = 1, 400 do
        res:write(("x"):rep(16384))
        sent = sent + 1
      end
    end, { network = { latency = 0 } })
    local r <close> = assert(c:stream "http://a/")
    assert.equal("small", (assert(c:stream "http://a/")):close() or "small") -- another one does not disturb it
    local before = -1
    while sent ~= before do
      before = sent
      for _ = 1, 200 do task.yield() end
    end
    assert.is_true(sent * 16384 < 2 * 1024 * 1024, sent)
    assert.equal(400 * 16384, #assert(r:read_all()))
    local post = task.spawn(function()
      return assert(c:post("http://a/", { body = function()
        given = given + 1
        return given <= 400 and ("y"):rep(16384) or nil
      end })).body
    end)
    before = -1
    while given ~= before do
      before = given
      for _ = 1, 200 do task.yield() end
    end
    assert.is_true(given * 16384 < 1024 * 1024, given)
    go_on:set()
    local _, size = post:join()
    assert.equal(tostring(400 * 16384), size)
  end)

  it("reads a large response of a server that does not read the request, which waits for it", function()
    -- Both sides waited for the other to read, until the deadline.
    local c <close> = client_of(function(_, res)
      for _ = 1, 100 do res:write(("x"):rep(16384)) end
    end)
    local function pieces()
      local n = 0
      return function()
        n = n + 1
        return n <= 100 and ("y"):rep(16384) or nil
      end
    end
    for _ = 1, 3 do
      assert.equal(1638400, #assert(c:post("http://a/", { body = ("y"):rep(1638400) })).body)
      assert.equal(1638400, #assert(c:post("http://a/", { body = pieces() })).body)
    end
    assert.same({ 1, 1 }, { c:stats().made, c:stats().idle })
  end)

  it("goes on sending though the response has begun, while the server reads", function()
    local c <close> = client_of(function(req, res)
      res:flush()
      local size = 0
      for piece in req:chunks() do size = size + #piece end
      res:write(tostring(size))
    end)
    local n = 0
    local r = assert(c:post("http://a/", { body = function()
      n = n + 1
      task.sleep(0.0005)
      return n <= 30 and ("y"):rep(1000) or nil
    end }))
    assert.equal("30000", r.body)
  end)

  -- The stream was reset with the end of the response: the server got what its window had let through (RFC 9113, 8.1).
  for _, how in ipairs { "post", "stream" } do
    it("sends a body to its end though the whole response has come first (" .. how .. ")", function()
      local got = sync.event()
      local received
      local body = ("y"):rep(60000)
      local c <close> = script_of(function(s)
        greet(s)
        respond(s, next_request(s), "first") -- the connection's window is nearly used up
        local _, _, stream = next_of(s, "HEADERS")
        local size = 0
        while size < 5535 do size = size + #select(4, next_of(s, "DATA")) end
        respond(s, stream, "early")
        for _ = 1, 5 do -- until the caller has it
          s:write(frame("PING", 0, 0, "12345678"))
          assert.equal("PING", (next_of(s, "PING", "RST_STREAM")))
        end
        for _ = 1, 20 do
          s:write(frame("WINDOW_UPDATE", 0, 0, "\0\0\x4e\x20"), frame("WINDOW_UPDATE", 0, stream, "\0\0\x4e\x20"))
        end
        repeat
          local kind, flags, _, payload = next_of(s, "DATA", "RST_STREAM")
          size = size + (kind == "DATA" and #payload or 0)
        until kind ~= "DATA" or flags & END_STREAM ~= 0
        received = size
        got:set()
        while frames.read(s) do end -- luacheck: ignore 542
      end)
      assert.equal("first", c:post("http://a/", { body = body }).body)
      if how == "post" then
        assert.equal("early", assert(c:post("http://a/", { body = body })).body)
      else
        local r <close> = assert(c:stream("http://a/", { method = "POST", body = body }))
        assert.equal("early", r:read_all())
      end
      assert.is_true(got:wait(support.patience))
      assert.equal(#body, received)
      support.eventually(function() return c:stats().idle == 1 end)
    end)
  end

  for status, patience in pairs { ["413"] = 0.9, ["200"] = 5 } do
    it("gives a body up that the server does not read, after its response: " .. status, function()
      local c <close> = script_of(function(s)
        greet(s)
        respond(s, next_request(s), "first") -- the connection's window is nearly used up
        local _, _, stream = next_of(s, "HEADERS")
        respond(s, stream, "early", { { ":status", status } })
        assert.equal("RST_STREAM", (next_of(s, "RST_STREAM")))
        while frames.read(s) do end -- luacheck: ignore 542
      end)
      local body = ("y"):rep(60000)
      assert.equal("first", c:post("http://a/", { body = body }).body)
      local start = task.now()
      assert.equal("early", assert(c:post("http://a/", { body = body })).body)
      assert.is_true(task.now() - start < patience)
    end)
  end

  it("gets back the place of a response that nobody has read or closed", function()
    for _, version in ipairs { "2", "1.1" } do
      local c <close> = client_of(function(_, res)
        for _ = 1, 1000 do res:write(("x"):rep(16384)) end
      end, { version = version, pool = { per_host = 1 } })
      for _ = 1, 3 do
        assert(c:stream "http://a/")
        support.eventually(function()
          collectgarbage()
          return c:stats().idle == c:stats().open
        end)
      end
    end
  end)

  it("resets the stream of a task that is cancelled, or that reads no further, and no other", function()
    local gone, begun = 0, 0
    local c <close> = client_of(function(req, res)
      if req.path == "/quick" then return "quick" end
      local _ <close> = setmetatable({}, { __close = function() gone = gone + 1 end })
      begun = begun + 1
      res:write "begin"
      sync.event():wait() -- until the client has left
    end)
    local slow = task.spawn({ quiet = true }, function()
      local r <close> = assert(c:stream "http://a/slow")
      return r:read_all()
    end)
    support.eventually(function() return begun == 1 end)
    assert.equal("quick", assert(c:get "http://a/quick").body)
    slow:cancel()
    slow:join()
    support.eventually(function() return gone == 1 end)
    do
      local r <close> = assert(c:stream "http://a/slow")
      assert.equal("beg", r:read(3))
    end
    support.eventually(function() return gone == 2 end)
    fails("EDEADLINE", "", c:get("http://a/slow", { timeout = 0.05 }))
    support.eventually(function() return gone == 3 end)
    local other <close> = assert(c:stream "http://a/slow")
    local reader = task.spawn({ quiet = true }, function()
      other:read(5)
      return other:read(5)
    end)
    support.eventually(function() return begun == 4 end)
    support.parked(reader)
    other:close() -- by another task than the one that reads
    assert.is_true(reader:join())
    support.eventually(function() return gone == 4 end)
    assert.equal("quick", assert(c:get "http://a/quick").body)
    assert.same({ 1, 1, 1 }, { c:stats().made, c:stats().open, c:stats().idle })
  end)

  it("asks before it sends a body that it was told to ask for", function()
    local c <close> = client_of(function(req)
      if req.path == "/no" then return 417 end
      return req:body()
    end)
    local opts = { body = "large", headers = { expect = "100-continue" } }
    assert.equal("large", assert(c:post("http://a/", opts)).body)
    assert.equal(417, assert(c:post("http://a/no", opts)).status)
  end)

  it("follows redirects and keeps cookies, over the same connection", function()
    local c <close> = client_of(function(req, res)
      if req.path == "/" then
        res.status = 302
        res.headers.location, res.headers["set-cookie"] = "/b", "k=v; Path=/"
        return true
      end
      return req.headers.cookie or "none"
    end, { cookies = true })
    local r = assert(c:get "http://a.example/")
    assert.same({ "http://a.example/b", "k=v" }, { r.url, r.body })
    assert.equal(1, c:stats().made)
  end)

  -- Cancels the task of that name as soon as it is there, before it runs.
  local function cancel_unbegun(name)
    return task.spawn(function()
      while true do
        for _, t in ipairs(task.list()) do
          if t.name == name and t:status() == "ready" then return t:cancel() end
        end
        task.yield()
      end
    end)
  end

  -- Requests waited for them for ever, and the pool counted them among its connections.
  for _, name in ipairs { "http/2 sender", "http/2 receiver" } do
    it("makes another connection if its " .. name .. " is cancelled before it starts", function()
      local client <close> = client_of(echo)
      local cancelling = cancel_unbegun(name)
      local response, _, code = client:get "http://a/"
      cancelling:join()
      if not response then assert.not_equal("ETIMEDOUT", code) end
      assert.equal(200, client:get("http://a/").status)
      support.eventually(function() return client:stats().open == 1 end)
    end)
  end

  it("limits the body", function()
    local c <close> = client_of(function(req)
      if req.path == "/large" then return ("x"):rep(100000) end
      return "ok"
    end)
    fails("EMSGSIZE", "larger than max_body", c:get("http://a/large", { max_body = 1000 }))
    assert.equal("ok", assert(c:get("http://a/", { max_body = 2 })).body)
    assert.equal(1, c:stats().made)
  end)

  it("closes a connection that was idle for long, and all when it is closed", function()
    local ended = 0
    local c <close> = script_of(function(s)
      serve(s)
      ended = ended + 1
    end, { pool = { idle = 0.02 } })
    assert(c:get "http://a/")
    support.eventually(function() return ended == 1 end)
    assert.same({ open = 0, idle = 0, made = 1, reused = 0 }, c:stats())
    assert.is_false(assert(c:get "http://a/").reused)
    local r <close> = assert(c:stream "http://a/")
    c:close()
    assert.equal(1, c:stats().open) -- its response is still being read
    assert.equal("ok", r:read_all())
    support.eventually(function() return ended == 2 end)
    assert.equal(0, c:stats().open)
    fails("CLOSED", "closed", c:get "http://a/")
  end)

  it("notices that an idle connection has ended", function()
    local c <close>, made = script_of(function(s)
      greet(s)
      respond(s, next_request(s))
    end)
    for i = 1, 3 do
      assert.equal("ok", assert(c:get "http://a/").body)
      support.eventually(function() return c:stats().open == 0 end)
      assert.equal(i, made())
    end
    assert.equal("ok", assert(c:post("http://a/", { body = "x" })).body)
  end)

  it("wants a version that exists", function()
    assert.error_matches(function() http.client { version = "3" } end, "option 'version' must be")
    assert.error_matches(function() http.client { version = 2 } end, "option 'version' must be")
  end)
end)

describe("the streams that a server allows", function()
  --- Serves as many at a time as are allowed, each after the others have had their turn.
  local function serve_some(limit, seen)
    return function(s)
      if not greet(s, setting(MAX_STREAMS, limit)) then return end
      local running = 0
      for stream in next_request, s do
        running = running + 1
        seen.most = math.max(seen.most or 0, running) -- of one connection
        task.spawn({ daemon = true, quiet = true }, function()
          task.sleep(0.002)
          running = running - 1
          respond(s, stream, tostring(stream))
        end)
      end
    end
  end

  it("are kept to: with per_host= further requests wait in their order", function()
    local seen = {}
    local c <close>, made = script_of(serve_some(2, seen), { pool = { per_host = 1 } })
    assert(c:get "http://a/") -- the server's settings have come
    local order, tasks = {}, {}
    for i = 1, 12 do
      tasks[i] = task.spawn(function()
        assert(c:get("http://a/" .. i))
        order[#order + 1] = i
      end)
    end
    for _, t in ipairs(tasks) do assert(t:join()) end
    assert.equal(2, seen.most)
    assert.equal(1, made())
    for i = 1, 12 do assert.is_true(math.abs(order[i] - i) <= 1, table.concat(order, " ")) end
  end)

  it("are kept to: without it other connections are made", function()
    local seen = {}
    local c <close>, made = script_of(serve_some(2, seen))
    assert(c:get "http://a/")
    local tasks = {}
    for i = 1, 6 do tasks[i] = task.spawn(function() assert(c:get "http://a/") end) end
    for _, t in ipairs(tasks) do assert(t:join()) end
    assert.is_true(made() >= 2 and made() <= 6, made())
  end)

  it("may be none: the request ends at its deadline", function()
    local c <close> = script_of(function(s)
      greet(s, setting(MAX_STREAMS, 0))
      s:read_all()
    end, { pool = { per_host = 1 } })
    fails("EDEADLINE", "", c:get("http://a/", { timeout = 0.05 }))
    fails("EDEADLINE", "", c:get("http://a/", { timeout = 0.05 }))
  end)

  it("a request that waits for one may be cancelled, and the next one takes its turn", function()
    local c <close> = script_of(serve, { pool = { per_host = 1 } })
    local gate = sync.event()
    local d <close> = script_of(function(s)
      greet(s, setting(MAX_STREAMS, 1))
      for stream in next_request, s do
        gate:wait()
        respond(s, stream)
      end
    end, { pool = { per_host = 1 } })
    assert(c:get "http://a/")
    local first = task.spawn(function() return d:get "http://a/" end)
    for _ = 1, 50 do task.yield() end
    local waiting = {}
    for i = 1, 5 do waiting[i] = task.spawn({ quiet = true }, function() return d:get "http://a/" end) end
    for _, t in ipairs(waiting) do support.parked(t) end
    waiting[1]:cancel()
    waiting[3]:cancel()
    gate:set()
    assert(first:join())
    for i, t in ipairs(waiting) do
      local ok, r = t:join()
      if i ~= 1 and i ~= 3 then assert.equal("ok", ok and r.body) end
    end
    assert.same({ 1, 1 }, { d:stats().open, d:stats().idle })
  end)
end)

describe("a server that says goodbye", function()
  it("is asked no more; what it has not looked at is sent elsewhere, whatever the method", function()
    local c <close>, made = script_of(function(s, n)
      greet(s)
      if n > 1 then return serve_on(s) end
      local first = next_request(s)
      next_request(s)
      s:write(goaway(first, NO_ERROR))
      respond(s, first, "first")
      s:read_all()
    end)
    local bodies = task.map({ 1, 2 }, function() return assert(c:post("http://a/", { body = "x" })).body end)
    table.sort(bodies)
    assert.same({ "first", "ok" }, { bodies[1], bodies[2] })
    assert.equal(2, made())
    support.eventually(function() return c:stats().open == 1 end)
    assert.is_true(assert(c:get "http://a/").reused)
  end)

  it("may say first that it will, and serves what has come until then", function()
    local c <close>, made = script_of(function(s, n)
      greet(s)
      if n > 1 then return serve_on(s) end
      local first = next_request(s)
      s:write(goaway(0x7fffffff, NO_ERROR))
      task.sleep(0.005)
      s:write(goaway(first, NO_ERROR))
      respond(s, first, "old")
    end)
    local old = task.spawn(function() return assert(c:get "http://a/").body end)
    for _ = 1, 50 do task.yield() end
    assert.equal("ok", assert(c:get "http://a/").body)
    local _, body = old:join()
    assert.equal("old", body)
    assert.equal(2, made())
  end)

  it("is named where it was in anger, and what may have been done is not repeated", function()
    local c <close>, made = script_of(function(s)
      greet(s)
      local first = next_request(s)
      s:write(goaway(first, CALM, "too much"))
    end)
    fails("EEOF", "ended the connection: ENHANCE_YOUR_CALM", c:post("http://a/", { body = "x" }))
    assert.equal(1, made())
  end)

  virtual("again and again is given up in the end", function()
    local c <close>, made = script_of(function(s)
      greet(s)
      next_request(s)
      s:write(goaway(0, NO_ERROR))
      s:read_all()
    end)
    fails("ECONNRESET", "the server refused the request", c:post("http://a/", { body = "x" }))
    assert.is_true(made() > 1 and made() < 10, made())
  end)
end)

describe("a stream that the server resets", function()
  virtual("as refused is tried again, whatever the method, but not for ever", function()
    local tries = 0
    local c <close> = script_of(function(s)
      greet(s)
      for stream in next_request, s do
        tries = tries + 1
        if tries < 3 then s:write(reset(stream, REFUSED)) else respond(s, stream) end
      end
    end)
    assert.equal("ok", assert(c:post("http://a/", { body = "x" })).body)
    assert.equal(3, tries)
    tries = -100
    fails("ECONNRESET", "refused the request", c:post("http://a/", { body = "x" }))
    assert.is_true(tries > -100 and tries < -90)
    assert.equal(1, c:stats().made)
    tries = 0
    fails("ECONNRESET", "refused the request", c:post("http://a/", { body = function() return nil end }))
    assert.equal(1, tries)
  end)

  it("is a failure that names the reason, and is retried only if that was asked for", function()
    local tries = 0
    local c <close> = script_of(function(s)
      greet(s)
      for stream in next_request, s do
        tries = tries + 1
        if tries % 3 > 0 then s:write(reset(stream, INTERNAL)) else respond(s, stream) end
      end
    end)
    fails("ECONNRESET", "the server reset the stream: INTERNAL_ERROR", c:get "http://a/")
    fails("ECONNRESET", "INTERNAL_ERROR", c:get "http://a/")
    assert.equal("ok", assert(c:get "http://a/").body)
    assert.equal("ok", assert(c:get("http://a/", { retries = 2 })).body)
    fails("ECONNRESET", "INTERNAL_ERROR", c:post("http://a/", { retries = 2, body = "" }))
    assert.equal(7, tries)
    assert.equal(1, c:stats().made)
  end)

  it("in the middle of a body is a body that ends short", function()
    for _, code in ipairs { NO_ERROR, CANCEL, INTERNAL, 99 } do
      local c <close> = script_of(function(s)
        greet(s)
        for stream in next_request, s do
          s:write(frame("HEADERS", END_HEADERS, stream, OK), frame("DATA", 0, stream, "abc"), reset(stream, code))
        end
      end)
      fails("EEOF", "reset the stream", c:get "http://a/")
      local r <close> = assert(c:stream "http://a/")
      assert.equal("abc", r:read(3))
      fails("EEOF", "reset the stream", r:read_all())
      assert.equal(1, c:stats().made)
    end
  end)

  it("after a whole response is no failure, though the request was not sent to its end", function()
    local c <close> = script_of(function(s)
      greet(s)
      while true do
        local kind, _, stream = next_of(s, "HEADERS")
        if not kind then return end
        respond(s, stream, "enough")
        s:write(reset(stream, NO_ERROR))
      end
    end)
    for _ = 1, 3 do
      local r = assert(c:post("http://a/", { body = function()
        task.yield()
        return ("x"):rep(1000)
      end }))
      assert.equal("enough", r.body)
    end
    assert.equal(1, c:stats().made)
  end)

  it("since it wants HTTP/1.1 is a failure where the client wants HTTP/2", function()
    local function answer(s)
      greet(s)
      s:write(reset(next_request(s), HTTP1))
      s:read_all()
    end
    local c <close> = script_of(answer) -- version="2"
    fails("ECONNRESET", "HTTP_1_1_REQUIRED", c:get "http://a/")
  end)
end)

describe("a server that gives no window", function()
  it("holds up the body that waits for it, and nothing else", function()
    local opened = sync.event()
    local c <close> = script_of(function(s)
      greet(s, setting(WINDOW, 0))
      while true do
        local kind, flags, stream = next_of(s, "HEADERS")
        if not kind then return end
        if flags & END_STREAM ~= 0 then
          respond(s, stream)
        else
          task.spawn({ daemon = true, quiet = true }, function()
            opened:wait()
            for _ = 1, 10 do s:write(frame("WINDOW_UPDATE", 0, stream, "\0\0\0\1")) end
          end)
          local got = ""
          while #got < 10 do
            local what, _, id, payload = next_of(s, "DATA", "HEADERS", "RST_STREAM")
            if what == "HEADERS" then
              respond(s, id)
            elseif what == "DATA" then
              got = got .. payload
            else
              break
            end
          end
          if #got == 10 then respond(s, stream, got) end
        end
      end
    end)
    assert(c:get "http://a/") -- its settings have come
    fails("EDEADLINE", "", c:post("http://a/", { body = "0123456789", timeout = 0.05 }))
    local post = task.spawn(function() return assert(c:post("http://a/", { body = "0123456789" })).body end)
    assert.equal("ok", assert(c:get "http://a/").body)
    opened:set()
    local _, body = post:join()
    assert.equal("0123456789", body)
    assert.equal(1, c:stats().made)
  end)
end)

describe("a response that breaks the rules", function()
  local function answering(bytes)
    return script_of(function(s)
      greet(s)
      local n = 0
      for stream in next_request, s do
        n = n + 1
        if n == 1 then
          if s:write(bytes(stream)) then next_of(s, "RST_STREAM", "GOAWAY") end
        else
          respond(s, stream)
        end
      end
    end)
  end

  -- Each: only its stream is of no use any more.
  local streams = {
    { "8.2.1: a field name in upper case", { { ":status", "200" }, { "X-A", "1" } } },
    { "8.2.1: a value with a line feed", { { ":status", "200" }, { "x", "a\nb" } } },
    { "8.2.2: a field of the connection", { { ":status", "200" }, { "connection", "close" } } },
    { "8.2.2: transfer-encoding", { { ":status", "200" }, { "transfer-encoding", "chunked" } } },
    { "8.3: a pseudo field of requests", { { ":status", "200" }, { ":path", "/" } } },
    { "8.3: a pseudo field behind a field", { { "x", "1" }, { ":status", "200" } } },
    { "8.3.2: no status", { { "x", "1" } } },
    { "8.3.2: a status that is none", { { ":status", "20" } } },
    { "8.3.2: two statuses", { { ":status", "200" }, { ":status", "200" } } },
    { "8.6: status 101", { { ":status", "101" } } },
    { "8.1.1: two lengths", { { ":status", "200" }, { "content-length", "2" }, { "content-length", "2" } } },
    { "8.1.1: a length that is none", { { ":status", "200" }, { "content-length", "-2" } } },
    { "8.1.1: a body longer than its length", { { ":status", "200" }, { "content-length", "1" } } },
    { "8.1.1: a body shorter than its length", { { ":status", "200" }, { "content-length", "3" } } },
  }
  for _, case in ipairs(streams) do
    it(case[1] .. ": is EPROTO, and the connection goes on", function()
      local c <close> = answering(function(stream)
        return frame("HEADERS", END_HEADERS, stream, block(case[2])) .. frame("DATA", END_STREAM, stream, "ok")
      end)
      fails("EPROTO", "bad response: ", c:get "http://a/")
      assert.equal("ok", assert(c:get "http://a/").body)
      assert.equal(1, c:stats().made)
    end)
  end

  -- Each: the connection is of no use any more.
  local connections = {
    { "3.4: no settings first", "SETTINGS", false },
    { "4.2: a frame longer than allowed", frame("DATA", 0, 1, ("x"):rep(16385)) },
    { "4.3: a header block that cannot be decoded", frame("HEADERS", BOTH, 1, "\xff\xff\xff\xff\x0f") },
    { "5.1: DATA on an idle stream", frame("DATA", END_STREAM, 7, "x") },
    { "5.1: HEADERS on a stream of the server's", frame("HEADERS", BOTH, 2, OK) },
    { "6.1: DATA before the head", frame("DATA", END_STREAM, 1, "x"), nil, true },
    { "6.1: DATA on stream 0", frame("DATA", 0, 0, "x") },
    { "6.1: padding longer than the frame", frame("DATA", frames.PADDED, 1, "\9abc") },
    { "6.2: another frame inside a header block",
      frame("HEADERS", END_STREAM, 1, OK) .. frame("PING", 0, 0, "12345678") },
    { "6.5.2: a window beyond 2^31 - 1", frame("SETTINGS", 0, 0, setting(4, 1 << 31)) },
    { "6.6: PUSH_PROMISE", frame("PUSH_PROMISE", END_HEADERS, 1, "\0\0\0\2" .. frames.request("GET", "/")) },
    { "6.7: PING of seven bytes", frame("PING", 0, 0, "1234567") },
    { "6.8: GOAWAY on a stream", frame("GOAWAY", 0, 1, ("\0"):rep(8)) },
    { "6.9: WINDOW_UPDATE of nothing", frame("WINDOW_UPDATE", 0, 0, "\0\0\0\0") },
    { "6.9.1: a window beyond 2^31 - 1", frame("WINDOW_UPDATE", 0, 0, "\x7f\xff\xff\xff") },
    { "6.10: CONTINUATION without HEADERS", frame("CONTINUATION", END_HEADERS, 1, OK) },
    { "HTTP/1.1", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false },
  }
  for _, case in ipairs(connections) do
    it(case[1] .. ": is EPROTO, and the connection ends", function()
      local c <close>, made = script_of(function(s, n)
        if n > 1 then return serve(s) end
        greet(s, case[3])
        next_request(s)
        s:write(case[2] == "SETTINGS" and frame("HEADERS", BOTH, 1, OK) or case[2])
        s:read_all()
      end)
      fails("EPROTO", "bad response: ", c:get "http://a/")
      assert.equal("ok", assert(c:get "http://a/").body)
      assert.equal(case[4] and made() or 2, made())
    end)
  end

  it("of more bytes than its window is EPROTO", function()
    local written = sync.event()
    local c <close> = script_of(function(s)
      greet(s)
      local stream = next_request(s)
      s:write(frame("HEADERS", END_HEADERS, stream, OK))
      local piece = frame("DATA", 0, stream, ("x"):rep(16384))
      for _ = 1, 40 do s:write(piece) end
      written:set()
      s:read_all()
    end)
    local r <close> = assert(c:stream "http://a/")
    written:wait()
    fails("EPROTO", "bad response: it breaks the rules of HTTP/2", r:read_all())
  end)

  it("of a head that is too large is EMSGSIZE, and the connection goes on", function()
    for _, kind in ipairs { "one", "many", "trailers" } do
      local c <close> = script_of(function(s)
        greet(s)
        for stream in next_request, s do
          local fields = { { ":status", "200" } }
          if kind == "trailers" then
            s:write(frame("HEADERS", END_HEADERS, stream, OK))
            fields = {}
          end
          if kind == "many" then
            for i = 1, 150 do fields[#fields + 1] = { "x-" .. i, "1" } end
          else
            for i = 1, 500 do fields[#fields + 1] = { "x-" .. i, ("v"):rep(200) } end
          end
          local bytes = block(fields)
          s:write(frame("HEADERS", END_STREAM, stream, bytes:sub(1, 16000)))
          local at = 16001
          while at <= #bytes do
            s:write(frame("CONTINUATION", 0, stream, bytes:sub(at, at + 15999)))
            at = at + 16000
          end
          s:write(frame("CONTINUATION", END_HEADERS, stream, ""))
        end
      end)
      fails("EMSGSIZE", "bad response: the head ", c:get "http://a/")
      fails("EMSGSIZE", "bad response", c:get "http://a/")
      assert.equal(1, c:stats().made)
    end
  end)

  it("after too many interim ones is EPROTO", function()
    local c <close> = script_of(function(s)
      greet(s)
      for stream in next_request, s do
        for _ = 1, 40 do s:write(frame("HEADERS", END_HEADERS, stream, block { { ":status", "103" } })) end
      end
    end)
    fails("EPROTO", "too many interim responses", c:get "http://a/")
  end)

  it("that is cut anywhere is never taken for whole; cut in two it is the same", function()
    local text = frame("SETTINGS", 0, 0) .. frame("HEADERS", END_HEADERS, 1, OK)
      .. frame("DATA", 0, 1, "hel") .. frame("DATA", END_STREAM | frames.PADDED, 1, "\2lo\0\0")
    for cut = 0, #text do
      local c <close> = script_of(function(s)
        s:read_exactly(#frames.PREFACE)
        next_request(s)
        s:write(text:sub(1, cut))
      end)
      if cut < #text then fails("EEOF", "ended before", c:get "http://a/")
      else assert.equal("hello", assert(c:get "http://a/").body) end
      local d <close> = script_of(function(s)
        s:read_exactly(#frames.PREFACE)
        next_request(s)
        s:write(text:sub(1, cut))
        task.yield()
        s:write(text:sub(cut + 1))
        s:read_all()
      end)
      assert.equal("hello", assert(d:get "http://a/").body)
    end
  end)
end)

describe("a server that only makes work", function()
  local function flooded(bytes)
    local c <close> = script_of(function(s)
      greet(s)
      next_request(s)
      s:write(frame("HEADERS", END_HEADERS, 1, OK))
      local piece = bytes:rep(100)
      task.spawn({ daemon = true, quiet = true }, function() s:read_all() end)
      while s:write(piece) do end -- luacheck: ignore 542
    end)
    local r, message, code = c:get "http://a/"
    assert.is_nil(r)
    assert.is_true(code == "EPROTO" or code == "EEOF", code)
    return message
  end

  it("is left: pings", function() flooded(frame("PING", 0, 0, "12345678")) end)
  it("is left: settings", function() flooded(frame("SETTINGS", 0, 0)) end)
  it("is left: data without data", function()
    assert.matches("ENHANCE_YOUR_CALM", flooded(frame("DATA", 0, 1, "")))
  end)
  it("is left: priorities", function() flooded(frame("PRIORITY", 0, 1, "\0\0\0\0\1")) end)

  it("or none at all is waited for until the deadline", function()
    local c <close> = script_of(function(s) s:read_all() end)
    fails("EDEADLINE", "", c:get("http://a/", { timeout = 0.05 }))
    fails("ETIMEDOUT", "", c:get("http://a/", { timeout = { head = 0.05 } }))
  end)

  it("by not reading is no reason to wait at the end", function()
    local c = script_of(function(s)
      greet(s)
      local stream = next_request(s)
      respond(s, stream)
      sync.event():wait()
    end)
    assert(c:get "http://a/")
    local post = task.spawn({ quiet = true }, function()
      return c:post("http://a/", { body = ("x"):rep(1000000) })
    end)
    for _ = 1, 50 do task.yield() end
    post:cancel()
    post:join()
    c:close()
    assert.equal(0, c:stats().open)
  end)
end)

describe("a connection that cannot be made", function()
  it("fails for all that wait for it, with its own reason", function()
    local calls = 0
    local c <close> = http.client { version = "2", connect = function()
      calls = calls + 1
      task.sleep(0.01)
      return nil, "no way", "ENETUNREACH"
    end }
    local results = task.map({ 1, 2, 3, 4 }, function()
      local _, message, code = c:get "http://a/"
      return message .. " " .. code
    end)
    for i = 1, 4 do assert.equal("no way ENETUNREACH", results[i]) end
    assert.equal(1, calls)
    assert.equal(0, c:stats().open)
  end)

  it("since its task was cancelled, or had little time, is made by the next", function()
    local calls = 0
    local c <close> = script_of(serve)
    local d <close> = http.client { version = "2", connect = function(...)
      calls = calls + 1
      if calls <= 2 then task.sleep(3600) end
      local near, far = net.memory_pair()
      task.spawn({ daemon = true, quiet = true }, function() serve(far) end)
      return near, ...
    end }
    assert(c:get "http://a/")
    local first = task.spawn({ quiet = true }, function() return d:get "http://a/" end)
    support.parked(first)
    local second = task.spawn({ quiet = true }, function() return d:get("http://a/", { timeout = 0.05 }) end)
    support.parked(second)
    local third = task.spawn(function() return assert(d:get "http://a/").body end)
    support.parked(third)
    first:cancel()
    first:join()
    local _, r, _, code = second:join()
    assert.same({ nil, "EDEADLINE" }, { r, code })
    local _, body = third:join()
    assert.equal("ok", body)
    assert.equal(1, d:stats().open)
  end)
end)

describe("a client of HTTP/2 whose requests are cancelled", function()
  for _, limit in ipairs { false, 1 } do
    it("after each number of switches has its pool intact" .. (limit and ", limited" or ""), function()
      for switches = 0, 60 do
        local c <close> = client_of(function(req, res)
          req:body()
          res:write "abc"
          task.yield()
          res:write "def"
        end, { network = { chunk = 50 }, pool = limit and { per_host = limit } or nil })
        local tasks = {}
        for i = 1, 3 do
          tasks[i] = task.spawn({ quiet = true }, function()
            return c:post("http://a/", { body = ("x"):rep(100) })
          end)
        end
        for _ = 1, switches do task.yield() end
        tasks[1]:cancel()
        tasks[2]:cancel()
        for _, t in ipairs(tasks) do t:join() end
        assert.equal("abcdef", assert(c:post("http://a/", { body = "x" })).body)
        local stats = c:stats()
        assert.equal(1, stats.open)
        assert.equal(1, stats.idle)
      end
    end)
  end
end)

describe("HTTP/2 over TLS", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  -- A server of ours on the loopback, with these protocols.
  local function listen(alpn)
    local listener = assert(net.listen("127.0.0.1", 0, { tls = credentials.shows("good", { alpn = alpn }) }))
    local server = http.server(function(req) return req.version end)
    task.spawn({ daemon = true, quiet = true }, function() server:serve(listener) end)
    return listener, ("https://127.0.0.1:%d/"):format(listener:address().port), listener:address().port
  end

  it("is offered, and spoken with a server that knows it", function()
    local listener <close>, where = listen { "h2", "http/1.1" }
    local c <close> = http.client { tls = credentials.trusts() }
    local versions = task.map({ 1, 2, 3, 4, 5 }, function() return assert(c:get(where)).version end)
    assert.equal("2 2 2 2 2", table.concat(versions, " "))
    assert.equal("2", assert(c:get(where)).body)
    assert.equal(1, c:stats().made)
    local d <close> = http.client { tls = credentials.trusts(), version = "1.1" }
    assert.equal("1.1", assert(d:get(where)).body)
    local e <close> = http.client { tls = credentials.trusts(), version = "2" }
    assert.equal("2", assert(e:get(where)).body)
    local own <close> = http.client { tls = credentials.trusts { alpn = { "http/1.1" } } }
    assert.equal("1.1", assert(own:get(where)).body)
    assert(listener)
  end)

  it("is not spoken with a server that does not", function()
    for _, alpn in ipairs { { "http/1.1" }, false } do
      local listener <close>, where = listen(alpn or nil)
      local c <close> = http.client { tls = credentials.trusts() }
      for i = 1, 2 do
        local r = assert(c:get(where))
        assert.same({ "1.1", i > 1 }, { r.version, r.reused })
      end
      local tasks = task.map({ 1, 2, 3 }, function() return assert(c:get(where)).body end)
      assert.equal("1.1 1.1 1.1", table.concat(tasks, " "))
      local d <close> = http.client { tls = credentials.trusts(), version = "2" }
      local r, _, code = d:get(where)
      assert.is_nil(r)
      assert.is_true(code == "EPROTO" or code == "ETLS", code)
      assert.equal(0, d:stats().open)
      assert(listener)
    end
  end)

  it("goes through a proxy's tunnel, too", function()
    local listener <close>, where, port = listen { "h2" }
    local proxy <close> = assert(net.listen("127.0.0.1", 0))
    task.spawn({ daemon = true, quiet = true }, function()
      proxy:serve({ on_error = function() end }, function(conn) clients.relay(conn, port) end)
    end)
    local by = ("http://127.0.0.1:%d"):format(proxy:address().port)
    local c <close> = http.client { tls = credentials.trusts(), proxy = by }
    assert.same({ "2", "2" }, { assert(c:get(where)).version, assert(c:get(where)).body })
    assert.equal(1, c:stats().made)
    assert(listener)
  end)

  it("gives way to HTTP/1.1 where the server wants that for a request", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0,
      { tls = credentials.shows("good", { alpn = { "h2", "http/1.1" } }) }))
    task.spawn({ daemon = true, quiet = true }, function()
      listener:serve({ on_error = function() end }, function(s)
        s:handshake()
        if s:tls_info().alpn == "h2" then
          greet(s)
          for stream in next_request, s do s:write(reset(stream, HTTP1)) end
        else
          while s:read_line() do
            repeat until s:read_line() == ""
            s:write "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold"
          end
        end
      end)
    end)
    local where = ("https://127.0.0.1:%d/"):format(listener:address().port)
    local c <close> = http.client { tls = credentials.trusts() }
    local r = assert(c:post(where, { body = "" }))
    assert.same({ "old", "1.1" }, { r.body, r.version })
  end)

  it("ends without close_notify: what was not whole is a failure", function()
    local c <close> = http.client { tls = credentials.trusts() }
    local tls = credentials.shows("good", { alpn = { "h2" } })
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = tls }))
    task.spawn({ daemon = true, quiet = true }, function()
      listener:serve({ on_error = function() end }, function(s)
        greet(s)
        local stream = next_request(s)
        s:write(frame("HEADERS", END_HEADERS, stream, OK), frame("DATA", 0, stream, "abc"))
        s:close()
      end)
    end)
    local r, _, code = c:get(("https://127.0.0.1:%d/"):format(listener:address().port))
    assert.is_nil(r)
    assert.is_true(code == "EEOF" or code == "ETLS" or code == "ECONNRESET", code)
  end)
end)

-- ---- servers that others wrote ----

local function output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local NODE = [[node -e '
const h2 = require("http2"), fs = require("fs");
const s = process.argv[1] ? h2.createSecureServer({ cert: fs.readFileSync(process.argv[1]),
  key: fs.readFileSync(process.argv[2]), allowHTTP1: true }) : h2.createServer();
s.on("request", (q, r) => {
  const b = []; q.on("data", d => b.push(d)); q.on("end", () => {
    if (q.url == "/103") r.writeEarlyHints({ link: "</a>; rel=preload" });
    r.setHeader("x-version", q.httpVersion);
    r.write(q.method + " " + q.url + " "); r.write(Buffer.concat(b));
    if (q.method != "HEAD") r.addTrailers({ "x-t": "end" });
    r.end() }) });
s.listen(0, "127.0.0.1", () => console.log(process.pid + " " + s.address().port))' -- ]]

--- Starts a program that prints its process and port, calls fn(port), ends the program.
local function with_node(arguments, fn)
  if output "command -v node" == "" then return pending "node is not installed" end
  local pipe = assert(io.popen("exec " .. NODE .. arguments, "r"))
  local pid, port = pipe:read("l"):match "^(%d+) (%d+)$"
  local ok, message = pcall(fn, tonumber(port))
  os.execute("kill " .. pid)
  pipe:close()
  if not ok then error(message, 0) end
end

describe("the client of HTTP/2 and others' servers", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  local function talk(c, where)
    for i = 1, 5 do
      local r = assert(c:get(where .. "a?b"))
      assert.same({ "GET /a?b ", "2", "2.0", i > 1 }, { r.body, r.version, r.headers["x-version"], r.reused })
      assert.equal("end", r:trailers()["x-t"])
    end
    local large = ("0123456789"):rep(100000)
    assert.is_true(assert(c:post(where .. "b", { body = large })).body == "POST /b " .. large)
    assert.equal("", assert(c:head(where .. "c")).body)
    assert.equal("GET /103 ", assert(c:get(where .. "103")).body)
    local r <close> = assert(c:stream(where .. "d", { method = "PUT", body = "x" }))
    assert.equal("PUT /d x", r:read_all())
    local numbers = {}
    for i = 1, 200 do numbers[i] = i end
    local bodies = task.map(numbers, function(i) return assert(c:get(where .. i)).body end, 50)
    for i = 1, 200 do assert.equal("GET /" .. i .. " ", bodies[i]) end
    assert.equal(1, c:stats().made)
  end

  it("node, without TLS and with it", function()
    with_node("", function(port)
      local c <close> = http.client { version = "2" }
      talk(c, ("http://127.0.0.1:%d/"):format(port))
    end)
    with_node(credentials.file "good.pem" .. " " .. credentials.file "good.key", function(port)
      local c <close> = http.client { tls = credentials.trusts() }
      talk(c, ("https://127.0.0.1:%d/"):format(port))
      local old <close> = http.client { tls = credentials.trusts(), version = "1.1" }
      assert.equal("1.1", assert(old:get(("https://127.0.0.1:%d/"):format(port))).version)
    end)
  end)

  it("nghttpd, which echoes bodies and serves files", function()
    if output "command -v nghttpd" == "" then return pending "nghttpd is not installed" end
    local listener = assert(net.listen("127.0.0.1", 0))
    local port = listener:address().port
    listener:close()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    local large = ("0123456789abcdef"):rep(20000)
    do
      local file <close> = assert(io.open(directory .. "/large", "wb"))
      file:write(large)
    end
    local server <close> = support.start(("exec nghttpd --no-tls --echo-upload -m 10 -a 127.0.0.1 -d %s %d")
      :format(directory, port))
    local c <close> = http.client { version = "2", base = ("http://127.0.0.1:%d/"):format(port) }
    support.eventually(function() return (c:get "large") end)
    assert.is_true(assert(c:get "large").body == large)
    assert.equal(404, assert(c:get "nothing").status)
    assert.is_true(assert(c:post("echo", { body = large })).body == large)
    local sizes = task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() return #assert(c:get "large").body end)
    for i = 1, 8 do assert.equal(#large, sizes[i]) end
    assert.equal(1, c:stats().made)
    os.execute("rm -r " .. directory)
    assert(server)
  end)
end)

describe("a client of HTTP/2 for whose request memory ends", function()
  it("whichever allocation fails, has its pool intact", function()
    local function connect()
      local near, far = net.memory_pair()
      task.spawn({ daemon = true, quiet = true }, function()
        local _ <close> = far
        serve(far)
      end)
      return near
    end
    local n = 1
    local calls, ok
    repeat
      local c <close> = http.client { version = "2", connect = connect, pool = { per_host = 1 } }
      faults.lua(n)
      local r, message
      ok, r, message = pcall(c.get, c, "http://a/")
      calls = faults.lua(0)
      assert.is_true(ok or tostring(r):find("not enough memory") ~= nil, r)
      assert.is_true(not ok or r ~= nil or message ~= nil)
      collectgarbage()
      assert.equal("ok", assert(c:get("http://a/", { timeout = 20 })).body)
      support.eventually(function() return c:stats().open <= 1 and c:stats().idle == c:stats().open end)
      n = n + 2
    until ok and calls < n
    assert.is_true(n > 50, n)
  end)
end)
