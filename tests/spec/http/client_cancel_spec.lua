-- moonlet.http's client, cancelled after each number of switches: whatever it was at, the pool is intact.

local support = dofile("tests/spec/support.lua")
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local ANSWER = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
  .. "3\r\nabc\r\n0\r\n\r\n"

local function connect()
  task.yield()
  local near, far = net.memory_pair { chunk = 7 }
  task.spawn({ daemon = true }, function()
    local _ <close> = far
    while far:read_line() do
      repeat local line = far:read_line() until line == "" or not line
      for i = 1, #ANSWER, 11 do
        if not far:write(ANSWER:sub(i, i + 10)) then return end
        task.yield()
      end
    end
  end)
  return near
end

describe("a client whose requests are cancelled", function()
  it("has no more connections than it may, and serves the next request", function()
    for switches = 0, 60 do
      local c <close> = http.client { connect = connect, pool = { per_host = 1 } }
      local tasks = {}
      for i = 1, 3 do tasks[i] = task.spawn({ quiet = true }, function() return c:get "http://a/" end) end
      for _ = 1, switches do task.yield() end
      tasks[1]:cancel()
      tasks[2]:cancel()
      for _, t in ipairs(tasks) do t:join() end
      assert.equal("abc", assert(c:get "http://a/").body)
      local stats = c:stats()
      assert.equal(1, stats.open)
      assert.equal(1, stats.idle)
    end
  end)

  it("closes a stream that is left by a cancellation", function()
    for switches = 0, 60 do
      local c <close> = http.client { connect = connect }
      local t = task.spawn({ quiet = true }, function()
        local r <close> = assert(c:stream "http://a/")
        for _ in r:chunks() do task.yield() end
      end)
      for _ = 1, switches do task.yield() end
      t:cancel()
      t:join()
      local stats = c:stats()
      assert.equal(stats.idle, stats.open)
    end
  end)
end)
