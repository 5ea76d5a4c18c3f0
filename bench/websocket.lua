-- A WebSocket echo server as a user of moonlet would write it. Prints "listening PORT".
-- Usage: moonlet websocket.lua
local http = require "moonlet.http"
local net = require "moonlet.net"
local websocket = require "moonlet.websocket"

local BACKLOG = 4096 -- as the servers it is compared with

local function handler(req, res)
  local ws <close> = websocket.upgrade(req, res)
  if not ws then return true end
  for data, kind in ws:messages() do ws:send(data, kind) end
end

local listener <close> = assert(net.listen("127.0.0.1", 0, { backlog = BACKLOG }))
print("listening " .. listener:address().port)
io.stdout:flush()
assert(http.server(handler):serve(listener))
