-- The UDP echo server as a user of moonlet would write it. Prints "listening PORT".
-- Usage: moonlet udp.lua [PORT]
local net = require "moonlet.net"

local server <close> = assert(net.udp {host = "127.0.0.1", port = tonumber(arg[1]) or 0})
print("listening " .. server:address().port)
io.stdout:flush()

while true do
  local data, peer = server:receive_from()
  if data then server:send_to(data, peer) end
end
