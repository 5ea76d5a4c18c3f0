-- A server that stops: whom it closes at once, whom it tells, whom it waits for.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it, virtual = support.limited(it), support.virtual(it)

--- A server of that handler, a function that connects to it in memory, and the tasks that serve.
local function serve(handler, opts)
  local server, tasks = http.server(opts or {}, handler), {}
  return server, function()
    local near, far = net.memory_pair()
    tasks[#tasks + 1] = task.spawn(function() server:serve(far) end)
    task.yield()
    return near
  end, tasks
end

describe("a server that stops", function()
  virtual("closes a connection that has not said which version it speaks", function()
    local server, connect = serve(function() return "hello" end)
    local conn = connect()
    local begun = task.now()
    assert.equal(1, server:stats().open)
    assert.equal(0, server:stop(5))
    assert.equal(begun, task.now())
    assert.is_nil((conn:read_some()))
    assert.equal(0, server:stats().open)
  end)

  virtual("counts a connection once, whichever version it speaks", function()
    local server, connect = serve(function() return "hello" end)
    for _, version in ipairs { "1.1", "2" } do
      local client <close> = http.client { version = version, connect = connect }
      assert.equal("hello", assert(client:get "http://a/").body)
    end
    task.sleep(2)
    assert.equal(2, server:stats().connections)
    assert.equal(0, server:stop(5))
    assert.equal(0, server:stats().open)
  end)

  virtual("tells its WebSockets, and waits until they have said so, too", function()
    local server, connect = serve(function(req, res)
      local ws = assert(websocket.upgrade(req, res))
      for message in ws:messages() do ws:send(message) end
    end)
    local ws = assert(websocket.connect("ws://a/", { connect = connect }))
    ws:send "one"
    assert.equal("one", ws:receive())
    local begun = task.now()
    local stopping = task.spawn(function() return server:stop(5) end)
    assert.is_nil((ws:receive()))
    local code, reason = ws:closed()
    assert.equal(1001, code)
    assert.equal("the server stops", reason)
    local _, cut = stopping:join()
    assert.equal(0, cut)
    assert.is_true(task.now() - begun < 1)
  end)

  for _, version in ipairs { "1.1", "2" } do
    virtual("tells WebSockets whose handlers do not read, whatever waits for them, HTTP/" .. version, function()
      for _, waiting in ipairs { 0, 1, 20 } do
        local server, connect = serve(function(req, res)
          local ws <close> = assert(websocket.upgrade(req, res, { ping_interval = false }))
          task.sleep(60)
        end)
        local client <close> = http.client { version = version, connect = connect }
        local ws <close> = assert(websocket.connect("ws://a/", { client = client }))
        for i = 1, waiting do ws:send("message " .. i) end
        task.sleep(1)
        local begun = task.now()
        local stopping = task.spawn(function() return server:stop(5) end)
        assert.is_nil((ws:receive()))
        assert.same({ 1001, "the server stops" }, { ws:closed() })
        assert.is_true(task.now() - begun < 1)
        assert.same({ true, 1 }, { stopping:join() })
        assert.is_true(task.now() - begun < 7)
      end
    end)
  end

  virtual("forgets WebSockets that have gone", function()
    local server, connect = serve(function(req, res)
      local ws <close> = assert(websocket.upgrade(req, res))
      ws:receive()
    end)
    for _ = 1, 3 do
      local ws = assert(websocket.connect("ws://a/", { connect = connect }))
      ws:finish()
    end
    task.sleep(5)
    collectgarbage()
    collectgarbage()
    assert.equal(0, server:stats().open)
    assert.equal(0, server:stop(1))
  end)
end)

describe("a client behind a trusted proxy", function()
  virtual("is an address as others are", function()
    local seen
    local server, connect = serve(function(req) seen = req.client return "ok" end, { trusted = { "unix" } })
    local conn = connect()
    conn:write "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 10.0.0.7\r\nconnection: close\r\n\r\n"
    assert.matches("^HTTP/1.1 200", conn:read_all())
    assert.equal("10.0.0.7", seen.host)
    assert.equal("inet", seen.family)
    assert.matches("^10%.0%.0%.7", tostring(seen))
    server:stop(0)
  end)
end)
