-- The echo server with LuaSocket, unmodified, a task for each connection. Prints "listening PORT".
-- Usage: moonlet echo_luasocket.lua [PORT]
local socket = require "socket"
local task = require "moonlet.task"

local BACKLOG, SIZE = 4096, 64

local function echo(conn)
  while true do
    local data = conn:receive(SIZE)
    if not data or not conn:send(data) then return conn:close() end
  end
end

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 0, BACKLOG))
print("listening " .. select(2, server:getsockname()))
io.stdout:flush()
while true do
  local conn = assert(server:accept())
  conn:setoption("tcp-nodelay", true)
  task.spawn(echo, conn)
end
