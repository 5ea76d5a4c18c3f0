-- The echo server as a user of moonlet would write it. Prints "listening PORT".
-- Usage: moonlet echo.lua [PORT]
local net = require "moonlet.net"

local BACKLOG = 4096 -- as the servers it is compared with

local function echo(conn)
  while true do
    local data = conn:read_some()
    if not data or not conn:write(data) then return end
  end
end

local server <close> = assert(net.listen("127.0.0.1", tonumber(arg[1]) or 0, {backlog = BACKLOG}))
print("listening " .. server:address().port)
io.stdout:flush()
server:serve(echo)
