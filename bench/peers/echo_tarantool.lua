-- TCP echo, a fiber per connection. Waits before it reads: in a ping-pong the first try would
-- always find nothing.
local socket = require "socket"

local function echo(conn)
  conn:setsockopt("tcp", "TCP_NODELAY", 1)
  while conn:readable() do
    local data = conn:sysread(4096)
    if not data or data == "" or not conn:write(data) then return end
  end
end

local port = tonumber(arg[1]) or 0
local server = assert(socket.tcp_server("127.0.0.1", port, {handler = echo, name = "echo"}))
print("listening " .. server:name().port)
io.stdout:flush()
