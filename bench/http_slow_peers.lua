-- Slow peers of a web server, COUNT of each kind: heads that come a byte every half second, bodies
-- likewise, and answers of which nothing is read. One whose connection ends makes another. Prints
-- "ready 1" once all are connected and the server has nothing else to do.
-- Usage: moonlet http_slow_peers.lua PORT COUNT
local net = require "moonlet.net"
local task = require "moonlet.task"

local PAUSE = 0.5
local PIPELINED = 200 -- answers of 1 KB
local SETTLE = 5 -- seconds until the server has worked off what all ask at the start

local port, count = assert(tonumber(arg[1])), assert(math.tointeger(arg[2]))

local function trickle(conn, start)
  conn:write(start)
  repeat task.sleep(PAUSE) until not conn:write "x"
end

local kinds = {
  function(conn) trickle(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ") end,
  function(conn)
    trickle(conn, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
  end,
  function(conn)
    conn:write(("GET /json HTTP/1.1\r\nHost: a\r\n\r\n"):rep(PIPELINED))
    task.sleep(3600)
  end,
}

local connected = 0

local function be_slow(kind, offset)
  task.sleep(offset)
  while true do
    local conn <close> = net.connect("127.0.0.1", port)
    if conn then
      connected = connected + 1
      kind(conn)
    end
  end
end

for i = 1, 3 * count do task.spawn(be_slow, kinds[i % 3 + 1], PAUSE * i / count) end
while connected < 3 * count do task.sleep(0.01) end
task.sleep(SETTLE)
print("ready 1")
io.stdout:flush()
task.sleep(3600)
