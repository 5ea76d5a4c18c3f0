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
local function lines_of(handler, body)
  local lines = {}
  local server = http.server({ log = function(line) lines[#lines + 1] = read_line(line) end,
    on_error = function() end }, handler)
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
