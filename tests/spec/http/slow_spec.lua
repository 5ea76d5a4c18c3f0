--- moonlet.http: a thousand peers each that send their heads slowly, send their bodies slowly and read slowly cost a
-- good client no time; they are answered or cut when their time is over; and nothing of them is left.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local PEERS = 1000
local HEAD, READ, WRITE = 6, 8, 5 -- seconds

local BODY = ("x"):rep(100000) -- more than is under way

local function serve_on(server)
  return function()
    local near, far = net.memory_pair()
    task.spawn({ quiet = true }, server.serve, server, far)
    return near
  end
end

local function new_server()
  return http.server({ head_timeout = HEAD, read_timeout = READ, write_timeout = WRITE,
    on_error = function() end }, function(req)
    if req.path == "/large" then return 200, BODY end
    local body, message, code = req:body()
    if not body then return nil, message, code end
    return 200, "good"
  end)
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

-- One request of a good client: how long it took.
local function ask(connect)
  local start = task.now()
  local s <close> = connect()
  s:write(GET)
  local answer = assert(s:read_until "good")
  assert.matches("^HTTP/1.1 200 OK\r\n", answer)
  return task.now() - start
end

-- What each kind of slow peer does with a connection; the status of its answer, or nil.
local KINDS = {
  -- A byte of the head a second.
  function(s)
    s:write "GET / HTTP/1.1\r\nHost: a\r\nX: "
    repeat task.sleep(1) until not s:write "x"
    return (s:read_line() or ""):match "^HTTP/1.1 (%d+)"
  end,
  -- Half of the body, and no more.
  function(s)
    s:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
    return (s:read_line() or ""):match "^HTTP/1.1 (%d+)"
  end,
  -- Takes nothing of an answer that fits nowhere.
  function(s)
    s:write "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
    task.sleep(3 * WRITE)
    return #(s:read_all() or "") < #BODY and "cut" or "whole"
  end,
}

describe("a server of slow peers", function()
  local virtual, limited = support.virtual(it), support.limited(it)

  -- All of them beside a good client; what became of them.
  local function play(server, connect)
    local ended, slow = {}, {}
    for i = 1, 3 * PEERS do
      slow[i] = task.spawn(function()
        local s <close> = connect()
        local what = KINDS[i % 3 + 1](s) or "none"
        ended[what] = (ended[what] or 0) + 1
      end)
    end
    for _ = 1, 20 do
      assert.equal(0, ask(connect))
      task.sleep(1)
    end
    for _, t in ipairs(slow) do support.finish(t) end
    support.eventually(function() return server:stats().open == 0 end)
    return ended
  end

  virtual("answers a good client at once, ends the slow ones in their time, and keeps nothing", function()
    local server = new_server()
    local connect, memory = serve_on(server), {}
    for round = 1, 3 do
      assert.same({ ["408"] = 2 * PEERS, cut = PEERS }, play(server, connect))
      assert.equal(0, server:stats().in_flight)
      collectgarbage()
      collectgarbage()
      memory[round] = collectgarbage "count"
    end
    -- Threads that are kept for other tasks have grown in the first round, some of them later.
    local grown = memory[3] - memory[2]
    assert.is_true(grown < 100, ("%.0f KB are left"):format(grown))
  end)

  -- One connection once had all requests of a read answered in one go, 2,000 of them.
  limited("answers a good client between the requests that others pipeline", function()
    local served = 0
    local server = http.server(function(req)
      if req.path == "/" then return "good" end
      served = served + 1
    end)
    local connect, stop, others = serve_on(server), false, {}
    for i = 1, 10 do
      local s = connect()
      others[2 * i - 1] = task.spawn({ quiet = true }, function()
        while not stop and s:write(("GET /other HTTP/1.1\r\nHost: a\r\n\r\n"):rep(1000)) do end -- luacheck: ignore 542
        s:shutdown "write"
      end)
      others[2 * i] = task.spawn({ quiet = true }, function()
        while s:read_some() do end -- luacheck: ignore 542
        s:close()
      end)
    end
    for _ = 1, 10 do
      local from = served
      ask(connect)
      assert.is_true(served - from <= 4 * 10 * 17, ("%d requests of others"):format(served - from))
    end
    stop = true
    for _, t in ipairs(others) do support.finish(t) end
    support.eventually(function() return server:stats().open == 0 end)
  end)

  limited("lets each of many busy peers do little while a good client is answered", function()
    local server = new_server()
    local connect = serve_on(server)
    local steps, stop = 0, false
    local busy = {}
    for i = 1, 300 do
      busy[i] = task.spawn({ quiet = true }, function()
        local s <close> = connect()
        s:write "GET / HTTP/1.1\r\nHost: a\r\n"
        while not stop and s:write "X: y\r\n" do
          steps = steps + 1
          task.yield()
        end
      end)
    end
    for _ = 1, 20 do
      local from = steps
      ask(connect)
      assert.is_true(steps - from <= 20 * #busy, ("%d steps of others"):format(steps - from))
    end
    stop = true
    for _, t in ipairs(busy) do support.finish(t) end
    support.eventually(function() return server:stats().open == 0 end)
  end)
end)
