-- Connections of HTTP that have made a request and stay. Prints "ready COUNT" once the server keeps
-- all of them.
-- Usage: moonlet http_idle.lua PORT COUNT
local net = require "moonlet.net"
local task = require "moonlet.task"

local port, count = assert(tonumber(arg[1])), assert(math.tointeger(arg[2]))
local connections = {}

for i = 1, count do
  local conn = assert(net.connect("127.0.0.1", port))
  assert(conn:write "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
  assert(conn:read_until("hello", 4096))
  connections[i] = conn
end
print("ready " .. #connections)
io.stdout:flush()
task.sleep(3600)
