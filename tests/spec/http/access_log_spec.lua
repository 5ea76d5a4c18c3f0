--- moonlet.http: the access log.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local frames = dofile "tests/spec/http/http2_frames.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

-- client, request line, status and bytes of a line.
local function read_line(line)
  local client, request, status, bytes = line:match '^(%S+) %[%d+%-%d+%-%d+T[%d:]+Z%] "(.*)" (%d+) (%d+) %d+%.%d+\n$'
  return { client, request, tonumber(status), tonumber(bytes) }
end

-- Lines of a server over TCP with that handler: body(listener, server) plays the peers.
local function lines_of(handler, body, opts)
  local lines = {}
  opts = opts or {}
  opts.log, opts.on_error = function(line) lines[#lines + 1] = read_line(line) end, function() end
  local server = http.server(opts, handler)
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local serving = task.spawn(server.serve, server, listener)
  body(listener, server)
  server:stop()
  serving:join()
  return lines
end

local function connect(listener)
  local address = listener:address()
  return assert(net.connect(address.host, address.port))
end

describe("the access log", function()
  carriers.each(it, "has status and size of each answer", function(ask, name)
    local lines = {}
    local opts = { log = function(line) lines[#lines + 1] = read_line(line) end, on_error = function() end }
    for _, handler in ipairs {
      function() return "hello" end, function() return 404 end, function() error "x" end,
      function(_, res) res:write "abc" res:write "de" end,
      function(_, res) res:inform(103) return 201, "abc" end,
    } do ask(handler, { path = "/a?b", opts = opts }) end
    local version = name == "memory" and "HTTP/1.1" or name
    local request = "GET /a?b " .. version
    local client = name == "HTTP/2" and "127.0.0.1" or name == "memory" and "-" or "unix:"
    assert.same({
      { client, request, 200, 5 }, { client, request, 404, 0 }, { client, request, 500, 22 },
      { client, request, 200, 5 }, { client, request, 201, 3 },
    }, lines)
  end)

  -- They had no line.
  for title, case in pairs {
    ["that is none: 400"] = { "GET /\n\n", "-", 400 },
    ["whose head comes too slowly: 408"] = { "GET / HT", "-", 408 },
    ["whose target is too long: 414"] = { "GET /" .. ("x"):rep(20000) .. " HTTP/1.1\r\n\r\n", "-", 414 },
    ["whose head is too large: 431"] = { "GET / HTTP/1.1\r\nA: " .. ("x"):rep(70000) .. "\r\n\r\n", "-", 431 },
    ["of another version: 505"] = { "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "-", 505 },
    ["with an expectation: 417"] = { "GET /x HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", "GET /x HTTP/1.1", 417 },
  } do
    it("has a line for a request " .. title, function()
      local reply
      local lines = lines_of(function() error "it is not for the handler" end, function(listener)
        local conn <close> = connect(listener)
        conn:write(case[1])
        reply = carriers.parse(conn:read_all())
      end, { head_timeout = case[3] == 408 and 0.05 or nil })
      assert.same({ { "127.0.0.1", case[2], case[3], #reply.body } }, lines)
      assert.equal(case[3], reply.status)
    end)
  end

  it("has a line for a request that is one too many: 503", function()
    local begun, go = sync.event(), sync.event()
    local lines = lines_of(function() begun:set() go:wait() return "x" end, function(listener)
      local first <close> = connect(listener)
      local second <close> = connect(listener)
      first:write "GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      begun:wait()
      for i = 2, 3 do second:write("GET /", i, " HTTP/1.1\r\nHost: x\r\n\r\n") end
      for _ = 2, 3 do repeat local line = second:read_line() until line:find "too many" end
      go:set()
      first:read_all()
    end, { max_requests = 1 })
    local function line(path, status, size) return { "127.0.0.1", "GET " .. path .. " HTTP/1.1", status, size } end
    assert.same({ line("/2", 503, 28), line("/3", 503, 28), line("/1", 200, 1) }, lines)
  end)

  it("has a line for each request of HTTP/2 that is refused, also where its function waits", function()
    local requests = {
      { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/a" }, { ":authority", "x" }, { "expect", "tea" } },
      { { ":method", "CONNECT" }, { ":authority", "a.example:443" } },
      { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "x" }, { "host", "y" } },
    }
    local statuses, answered = {}, 0
    local server = http.server({ log = function(line)
      task.yield()
      local status = read_line(line)[3]
      statuses[status] = (statuses[status] or 0) + 1
    end }, function() error "it is not for the handler" end)
    local here <close>, there = net.memory_pair()
    here:set_timeout(support.patience)
    local serving = task.spawn(server.serve, server, there)
    here:write(frames.PREFACE, frames.frame("SETTINGS", 0, 0))
    for i, fields in ipairs(requests) do
      here:write(frames.frame("HEADERS", frames.END_STREAM | frames.END_HEADERS, 2 * i - 1, frames.block(fields)))
    end
    while answered < #requests do
      local kind, flags = frames.read(here)
      assert(kind, "the connection has ended")
      if kind == "DATA" and flags & frames.END_STREAM ~= 0 then answered = answered + 1 end
    end
    here:close()
    serving:join()
    assert.same({ [417] = 1, [501] = 1, [400] = 1 }, statuses)
    assert.equal(0, server:stats().in_flight)
  end)

  it("has 101 for a connection that became a WebSocket", function()
    local lines = lines_of(function(req, res)
      local ws = assert(websocket.upgrade(req, res))
      ws:receive()
      ws:finish()
    end, function(listener)
      local ws = assert(websocket.connect("ws://" .. tostring(listener:address()) .. "/chat"))
      ws:finish()
    end)
    assert.same({ { "127.0.0.1", "GET /chat HTTP/1.1", 101, 0 } }, lines)
  end)

  it("has 101 for a connection that a handler took, 200 for a tunnel", function()
    local lines = lines_of(function(req, res)
      local stream = res:hijack()
      stream:write(req.method == "CONNECT" and "HTTP/1.1 200 OK\r\n\r\n" or "HTTP/1.1 101 Other\r\n\r\n")
      stream:close()
    end, function(listener)
      for _, request in ipairs { "GET /x", "CONNECT a.example:443" } do
        local conn <close> = connect(listener)
        conn:write(request, " HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        conn:read_all()
      end
    end)
    assert.same({
      { "127.0.0.1", "GET /x HTTP/1.1", 101, 0 },
      { "127.0.0.1", "CONNECT a.example:443 HTTP/1.1", 200, 0 },
    }, lines)
  end)

  -- The kernel forgets the address of a peer that resets its connection.
  it("names a peer that has reset its connection meanwhile, as req.peer does", function()
    local informed, reset, peer = sync.event(), sync.event(), nil
    local lines = lines_of(function(req, res)
      res:inform(103)
      informed:set()
      reset:wait()
      support.eventually(function() return req:gone() end)
      peer = req.peer
      return "x"
    end, function(listener)
      local conn <close> = connect(listener)
      conn:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      informed:wait()
      conn:close() -- with the interim answer unread: a reset
      reset:set()
    end)
    assert.equal("127.0.0.1", peer.host)
    assert.same({ "127.0.0.1", "GET / HTTP/1.1", 200 }, { table.unpack(lines[1], 1, 3) })
  end)

  for _, name in ipairs { "HTTP/1.1", "HTTP/2" } do
    it("has 499 for a peer that left before its answer (" .. name .. ")", function()
      local begun = sync.event()
      local handler = http.router():get("/", { on_gone = "cancel" }, function()
        begun:set()
        task.sleep(30)
      end)
      local lines = lines_of(handler, function(listener)
        local conn <close> = connect(listener)
        if name == "HTTP/1.1" then
          conn:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        else
          conn:write(frames.PREFACE, frames.frame("SETTINGS", 0, 0), frames.frame("HEADERS",
            frames.END_STREAM | frames.END_HEADERS, 1, frames.request("GET", "/")))
        end
        begun:wait()
      end)
      assert.same({ { "127.0.0.1", "GET / " .. name, 499, 0 } }, lines)
    end)
  end

  it("has a line for a request that a stop has cut", function()
    local begun = sync.event()
    local lines = lines_of(function()
      begun:set()
      task.sleep(30)
    end, function(listener, server)
      local conn <close> = connect(listener)
      conn:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      begun:wait()
      server:stop(0)
    end)
    assert.same({ { "127.0.0.1", "GET / HTTP/1.1", 499, 0 } }, lines)
  end)

  it("that fails is reported, changes no answer, and leaves no request behind", function()
    local output = support.run [[
      local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
      local here, there = net.memory_pair()
      local kept = {}
      local server = http.server({ log = function(_, req) kept[#kept + 1] = req error("full", 0) end },
        function(req) return req.path end)
      local serving = task.spawn(server.serve, server, there)
      here:write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      local answer = here:read_all()
      serving:join()
      print(answer:match "\r\n\r\n/1HTTP" and answer:match "\r\n\r\n/2$" and "whole")
      for i = 1, 2 do print(pcall(function() return kept[i].path end), (select(3, kept[i]:body()))) end
    ]]
    assert.matches("whole\n", output)
    assert.equal(2, select(2, output:gsub("full", "")), output)
    assert.equal(2, select(2, output:gsub("false\tCLOSED", "")), output)
  end)
end)
