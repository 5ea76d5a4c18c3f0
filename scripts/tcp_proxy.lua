-- Passes TCP connections on to another server, both directions at once.
--
--     moonlet scripts/tcp_proxy.lua LISTEN_PORT HOST PORT [IDLE_SECONDS]        (60)
--
-- Listens on 127.0.0.1. When one side ends its output the other side is told so and may still
-- answer. A connection on which nothing has moved for IDLE_SECONDS (at most twice that) is closed.
local net = require "moonlet.net"
local task = require "moonlet.task"

local CONNECT_SECONDS = 10

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local listen_port, host, port = port_number(arg[1]), arg[2], port_number(arg[3])
local idle = tonumber(arg[4] or 60)
if #arg > 4 or not (listen_port and host and port and idle) then
  io.stderr:write("usage: moonlet tcp_proxy.lua LISTEN_PORT HOST PORT [IDLE_SECONDS]\n")
  os.exit(1)
end

-- Closing both sides ends the pump in the other direction, too.
local function break_link(link, reason)
  link.reason = link.reason or reason
  link.client:close()
  link.server:close()
end

-- One direction: passes on what arrives, and at last the end itself.
local function pump(link, from, to)
  while true do
    local data, message, code = from:read_some()
    if data then
      link.moved = task.now()
      local written, reason = to:write(data)
      if not written then return break_link(link, reason) end
    elseif not code then
      to:shutdown()
      return
    elseif code ~= "ETIMEDOUT" or task.now() - link.moved >= idle then
      return break_link(link, message)
    end
  end
end

local function serve(client)
  local peer = client:peer()
  local server <close>, message = net.connect(host, port, {timeout = CONNECT_SECONDS})
  if not server then return print(peer, "cannot connect to " .. message) end

  client:set_timeout(idle)
  server:set_timeout(idle)
  local link = {client = client, server = server, moved = task.now()}
  local back = task.spawn(pump, link, server, client)
  pump(link, client, server)
  back:join()
  print(peer, link.reason or "end")
end

local listener <close>, message = net.listen("127.0.0.1", listen_port)
if not listener then
  io.stderr:write("tcp_proxy: cannot listen on ", message, "\n")
  os.exit(1)
end
io.stdout:setvbuf "line"
print(string.format("listening on %s for %s:%d", listener:address(), host, port))
listener:serve(serve)
