--- moonlet.http's server over HTTP/1: interim answers, expectations, trailers, its limits in time and number, stopping.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local test = require "moonlet.test"
local it = support.limited(it)

-- One end of a connection in memory whose other end is served; the server; the task that serves.
local function connect(handler, opts)
  local server = http.server(opts or {}, handler)
  local here, there = net.memory_pair()
  here:set_timeout(support.patience, "read")
  return here, server, task.spawn(server.serve, server, there)
end

-- The next head that the server sends: its status, its text.
local function read_head(conn)
  local text = conn:read_until "\r\n\r\n"
  return text and tonumber(text:match "^HTTP/1.1 (%d%d%d)"), text
end

-- The next answer with a length: status, body, head.
local function read_answer(conn)
  local status, text = read_head(conn)
  if not status then return nil end
  return status, conn:read_exactly(tonumber(text:match "content%-length: (%d+)") or 0), text
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("a client of HTTP/1.1", function()
  it("is told 103 before the answer, one of HTTP/1.0 is not", function()
    local function handler(_, res)
      assert(res:inform(103, { link = "</style.css>; rel=preload" }))
      return "done"
    end
    local conn <close> = connect(handler)
    conn:write(GET)
    local status, head = read_head(conn)
    assert.same({ 103, true }, { status, head:find("link: </style.css>; rel=preload\r\n", 1, true) ~= nil })
    assert.equal("done", select(2, read_answer(conn)))
    local old <close> = connect(handler)
    old:write "GET / HTTP/1.0\r\n\r\n"
    assert.equal(200, (read_head(old)))
  end)

  local EXPECTING = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: %s\r\n\r\n"

  it("is asked to go on when the handler reads, not before", function()
    local may_read = sync.event()
    local conn <close> = connect(function(req)
      may_read:wait()
      return req:body()
    end)
    conn:write(EXPECTING:format "100-continue")
    test.wait_idle()
    conn:set_timeout(0, "read")
    assert.equal("ETIMEDOUT", (select(3, conn:read_some())))
    conn:set_timeout(support.patience, "read")
    may_read:set()
    assert.equal(100, (read_head(conn)))
    conn:write "ab"
    local status, body = read_answer(conn)
    assert.same({ 200, "ab" }, { status, body })
  end)

  it("is not asked to go on by a handler that does not read", function()
    local conn <close> = connect(function() return 403 end)
    conn:write(EXPECTING:format "100-Continue")
    assert.equal(403, (read_answer(conn)))
  end)

  it("gets 417 if it expects something else", function()
    local called = false
    local conn <close> = connect(function() called = true end)
    conn:write(EXPECTING:format "miracles")
    assert.equal(417, (read_answer(conn)))
    assert.is_false(called)
  end)

  it("sends trailers and gets some", function()
    local conn <close> = connect(function(req, res)
      res:write((req:body()))
      res:trailer("x-sum", req:trailers()["x-count"])
    end)
    conn:write "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Count: 7\r\n\r\n"
    read_head(conn)
    assert.equal("2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n", (conn:read_until "\r\n\r\n"))
  end)

  it("may have its connection taken, once only the head was read", function()
    local conn <close>, _, serving = connect(function(_, res)
      local stream = assert(res:hijack())
      stream:write("you said ", stream:read_line(), "\n")
    end)
    conn:write "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello\n"
    assert.equal("you said hello", conn:read_line())
    assert.is_nil((conn:read_some()))
    support.finish(serving)
  end)

  it("still tells all of its request after that, whatever the size of its head", function()
    for _, long in ipairs { ("x"):rep(10), ("y"):rep(20000) } do
      local told
      local conn <close>, _, serving = connect(function(req, res)
        local stream = assert(res:hijack())
        told = { req.method, req.target, req.path, req.query.a, req.host, req.headers["x-long"], req.headers.host,
          tostring(req) }
        stream:write "taken\n"
      end)
      conn:write("PUT /p?a=b HTTP/1.1\r\nHost: h\r\nX-Long: ", long, "\r\n\r\n")
      assert.equal("taken", conn:read_line())
      support.finish(serving)
      assert.same({ "PUT", "/p?a=b", "/p", "b", "h", long, "h", "http.request PUT /p?a=b" }, told)
    end
  end)
end)

describe("an error of http.error", function()
  local function ask(handler, opts)
    local conn <close> = connect(handler, opts)
    conn:write(GET)
    local status, body = read_answer(conn)
    return { status, body }
  end

  it("is the answer, raised or returned, also from within a router, and by on_error", function()
    local missing = http.error(404, "no such thing")
    assert.same({ 404, "no such thing\n" }, ask(function() error(missing) end))
    assert.same({ 404, "no such thing\n" }, ask(function() return missing end))
    local router = http.router():get("/", function() return missing end):use(function(_, _, go_on) go_on() end)
    assert.same({ 404, "no such thing\n" }, ask(router))
    assert.same({ 404, "no such thing\n" }, ask(function() error "x" end, { on_error = function() return missing end }))
  end)

  it("is no other table", function()
    assert.same({ 200, '{"status":404}' }, ask(function() return setmetatable({ status = 404 }, { __name = 7 }) end))
    assert.same({ 200, "{}" }, ask(function() return setmetatable({}, { __name = "http.errors" }) end))
  end)
end)

describe("a client that takes its time", function()
  it("gets 408 if it falls silent in its head, however many bytes come before", function()
    local clock <close> = test.virtual_clock()
    for _, size in ipairs { 1, 10, #GET - 1 } do
      local conn <close> = connect(function() return "" end, { head_timeout = 3 })
      local start = task.now()
      conn:write(GET:sub(1, size))
      assert.equal(408, (read_answer(conn)))
      assert.near(3, task.now() - start, 0.01)
      assert.is_nil((conn:read_some()))
    end
  end)

  it("gets 408 even if each byte of the head comes in time", function()
    local clock <close> = test.virtual_clock()
    local conn <close> = connect(function() return "" end, { head_timeout = 3 })
    task.spawn({ daemon = true, quiet = true }, function()
      for byte in GET:gmatch "." do
        if not conn:write(byte) then break end
        task.sleep(1)
      end
    end)
    local start = task.now()
    assert.equal(408, (read_answer(conn)))
    assert.near(3, task.now() - start, 0.01)
  end)

  it("is left without a word if it falls silent between requests", function()
    local clock <close> = test.virtual_clock()
    local conn <close>, _, serving = connect(function() return "ok" end, { keep_alive = 5 })
    conn:write(GET)
    assert.equal(200, (read_answer(conn)))
    local start = task.now()
    assert.is_nil((conn:read_some()))
    assert.near(5, task.now() - start, 0.01)
    support.finish(serving)
  end)

  it("gets 408 if the body does not come, where the handler returns that", function()
    local clock <close> = test.virtual_clock()
    local conn <close> = connect(function(req)
      local body, message, code = req:body()
      if not body then return nil, message, code end
      return body
    end, { read_timeout = 2 })
    conn:write "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"
    assert.equal(408, (read_answer(conn)))
  end)

  it("gets 503 from a handler that takes longer than it may", function()
    local clock <close> = test.virtual_clock()
    local conn <close> = connect(function() task.sleep(60) end, { timeout = 2 })
    conn:write(GET)
    local status, _, head = read_answer(conn)
    assert.equal(503, status)
    assert.matches("retry%-after: 1\r\n", head)
  end)
end)

describe("a body that nobody reads", function()
  local function ask(size)
    local conn <close> = connect(function(req) return req.path end)
    local text = ("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(size) .. ("x"):rep(size)
    local writing = task.spawn({ quiet = true }, conn.write, conn, text .. GET)
    local first, again = read_answer(conn), read_answer(conn)
    conn:close()
    writing:join()
    return first, again
  end

  it("is drained if it is short: the next request is served", function()
    assert.same({ 200, 200 }, { ask(100000) })
  end)

  it("ends the connection if it is long: nothing in it is taken for a request", function()
    assert.same({ 200 }, { ask(10 << 20) })
  end)
end)

describe("a server", function()
  it("answers 503 at once to more requests at a time than it may", function()
    local may_end = sync.event()
    local server = http.server({ max_requests = 1 }, function() may_end:wait() return "ok" end)
    local conns = {}
    for i = 1, 3 do
      local here, there = net.memory_pair()
      task.spawn(server.serve, server, there)
      here:write "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      conns[i] = here
      test.wait_idle()
    end
    for i = 2, 3 do
      local status, _, head = read_answer(conns[i])
      assert.equal(503, status)
      assert.matches("retry%-after: ", head)
    end
    may_end:set()
    assert.equal(200, (read_answer(conns[1])))
    assert.equal(2, server:stats().refused)
    for _, conn in ipairs(conns) do conn:close() end
  end)

  it("finishes what runs when it is stopped, says that it closes, and leaves the idle", function()
    local may_end = sync.event()
    local server = http.server(function(req)
      if req.path == "/" then may_end:wait() end
      return "ok"
    end)
    local busy, busy_end = net.memory_pair()
    local silent, silent_end = net.memory_pair()
    local serving = { task.spawn(server.serve, server, busy_end), task.spawn(server.serve, server, silent_end) }
    silent:write "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal(200, (read_answer(silent)))
    busy:write(GET)
    test.wait_idle()
    local stopping = task.spawn(server.stop, server, support.patience)
    assert.is_nil((silent:read_some()))
    may_end:set()
    local status, body, head = read_answer(busy)
    assert.same({ 200, "ok" }, { status, body })
    assert.matches("connection: close\r\n", head)
    assert.is_nil((busy:read_some()))
    assert.equal(0, support.finish(stopping))
    for _, t in ipairs(serving) do support.finish(t) end
    busy:close()
    silent:close()
  end)

  it("cuts what lasts longer than the grace, and tells how many that were", function()
    local clock <close> = test.virtual_clock()
    local conn <close>, server, serving = connect(function() task.sleep(3600) end)
    conn:write(GET)
    test.wait_idle()
    assert.equal(1, server:stop(2))
    assert.is_nil((read_head(conn)))
    serving:join()
  end)

  it("knows the client by trusted proxies alone", function()
    local function client(opts, fields)
      local conn <close> = connect(function(req)
        return { req.client and req.client.host or "-", req.scheme, req.host }
      end, opts)
      conn:write("GET / HTTP/1.1\r\nHost: a\r\n", fields, "\r\n")
      return select(2, read_answer(conn))
    end
    local fields = "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n"
    assert.equal('["-","http","a"]', client({}, fields))
    assert.equal('["-","http","a"]', client({ trusted = { "127.0.0.1" } }, fields))
    assert.equal('["2.2.2.2","https","b"]', client({ trusted = { "unix", "10.0.0.0/8" } }, fields))
    assert.equal('["1.1.1.1","https","b"]', client({ trusted = { "unix", "10.0.0.0/8", "2.2.2.2" } }, fields))
    fields = 'Forwarded: for=1.1.1.1, for="[2001:db8::1]:4711";proto=https;host=b\r\n'
    assert.equal('["2001:db8::1","https","b"]', client({ trusted = { "unix" } }, fields))
  end)
end)
