--- moonlet.http at the end of a program: connections that are open are closed, and their memory is freed, also if
-- their tasks do not heed the end and are dropped where they stand. The asan build tells of memory that is left.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local PEERS = [[
  local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
  local websocket = require "moonlet.websocket"
  local frames = dofile "tests/spec/http/http2_frames.lua"
  local POST = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
  local UPGRADE = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade" ..
    "\r\nSec-WebSocket-Version: 13" ..
    "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
  local HTTP2 = frames.PREFACE .. frames.frame("SETTINGS", 0, 0)
  local function headers(id, flags)
    return frames.frame("HEADERS", frames.END_HEADERS | (flags or 0), id, frames.request("GET", "/"))
  end

  peers, running = {}, 0
  function play(handler, text, opts)
    local here, there = net.pair()
    local server = http.server(opts or {}, function(...)
      running = running + 1
      return handler(...)
    end)
    task.spawn({ daemon = true }, server.serve, server, there)
    here:write(text)
    peers[#peers + 1] = here
    return server
  end
  function await(count) while running < count do task.sleep(0.001) end end
]]

-- What handlers do at the end: each waits somewhere else.
local WAITS = [[
  local function write(_, res)
    for _ = 1, 1000 do res:write(("x"):rep(100000)) end
  end
  local function large_head(_, res)
    for i = 1, 50 do res.headers["x-" .. i] = ("y"):rep(60000) end
    return "z"
  end
  local function read(req) return req:body() end
  local function leave_a_reader(req)
    task.spawn({ daemon = true, quiet = true }, hold, req.body, req)
    task.sleep(1000)
  end
  local function sleep() task.sleep(1000) end
  local function chat(req, res)
    local ws = assert(websocket.upgrade(req, res, { compression = true }))
    for _ = 1, 1000 do ws:send(("x"):rep(100000), "binary") end
  end
  local function held(handler) return function(...) return hold(handler, ...) end end
  for _, handler in ipairs { write, large_head, read, leave_a_reader, sleep } do
    play(held(handler), POST)
    play(held(handler), HTTP2 .. headers(1))
    play(held(handler), HTTP2 .. headers(1, frames.END_STREAM) .. headers(3) .. headers(5))
  end
  play(held(chat), UPGRADE)
  play(function() return "x" end, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET")
  play(function() return "x" end, HTTP2, { grace = 100 })
  await(5 * 5 + 1 + 1)

  -- clients whose server does not answer
  local silent = http.server({}, function(req, res) res:write "x" running = running + 1 task.sleep(1000) end)
  local function connect()
    local here, there = net.pair()
    task.spawn({ daemon = true }, silent.serve, silent, there)
    return here
  end
  for _, version in ipairs { "1.1", "2" } do
    local client = http.client { base = "http://x", version = version, timeout = 1000, connect = connect }
    peers[#peers + 1] = client
    for _, opts in ipairs { {}, { method = "POST", body = function() task.yield() return ("x"):rep(100000) end } } do
      task.spawn({ daemon = true, quiet = true }, hold, function()
        opts.url = "/"
        local stream = assert(client:stream(opts))
        return stream:read_all()
      end)
    end
  end
  await(5 * 5 + 1 + 1 + 4)
  print "end"
]]

describe("a program that ends with open connections", function()
  it("frees them all when its tasks end", function()
    local output, status = support.run(PEERS .. [[
      function hold(fn, ...) return fn(...) end
    ]] .. WAITS)
    assert.equal("end\n", output)
    assert.equal(0, status)
  end)

  it("frees them all when its tasks must be dropped", function()
    local output, status = support.run(PEERS .. [[
      function hold(fn, ...) return task.shield(1000, fn, ...) end
    ]] .. WAITS)
    assert.matches("^end\n", output)
    assert.matches("did not end within 5 s", output)
    assert.is_nil(output:find("Sanitizer", 1, true), output)
    assert.equal(1, status) -- since tasks did not end
  end)

  it("does not wait for the handlers of HTTP/2 in a task that it does not wait for", function()
    local output = support.run(PEERS .. [[
      local function sleep() task.sleep(1000) end
      play(sleep, POST)
      play(sleep, HTTP2 .. headers(1))
      await(2)
      print "end"
    ]])
    assert.equal("end\n", output)
  end)
end)
