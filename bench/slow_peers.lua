-- Peers that are slow: each sends a byte every half second and takes what comes back. Prints
-- "ready 1" once all are connected. Usage: moonlet slow_peers.lua PORT COUNT
local net = require "moonlet.net"
local task = require "moonlet.task"

local PAUSE = 0.5
local port, count = assert(tonumber(arg[1])), assert(math.tointeger(arg[2]))

local function be_slow(conn, offset)
  task.sleep(offset)
  task.every(PAUSE, function()
    assert(conn:write "x")
    assert(conn:read_some(1))
  end)
end

for i = 1, count do
  local conn = assert(net.connect("127.0.0.1", port))
  task.spawn(be_slow, conn, PAUSE * i / count)
end
print("ready 1")
io.stdout:flush()
