-- The TLS echo server as a user of moonlet would write it. Prints "listening PORT".
-- Usage: moonlet tls_echo.lua CERT_FILE KEY_FILE [PORT]
local net = require "moonlet.net"
local task = require "moonlet.task"

local BACKLOG = 4096 -- as the servers it is compared with

local function echo(stream)
  local conn <close> = stream
  while true do
    local data = conn:read_some()
    if not data or not conn:write(data) then return end
  end
end

local tls = assert(net.tls {cert_file = arg[1], key_file = arg[2], min_version = "1.3"})
local options = {tls = tls, backlog = BACKLOG}
local server <close> = assert(net.listen("127.0.0.1", tonumber(arg[3]) or 0, options))
print("listening " .. server:address().port)
io.stdout:flush()

for conn in server:accepted() do
  task.spawn(echo, conn)
end
