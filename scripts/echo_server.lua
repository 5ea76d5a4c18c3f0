-- Sends back whatever it is sent.
--
--     moonlet scripts/echo_server.lua [HOST] [PORT]        (127.0.0.1 7000)
--
-- Try it with `nc 127.0.0.1 7000`; end it with Ctrl-C.
local net = require "moonlet.net"

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local host, port = arg[1] or "127.0.0.1", port_number(arg[2] or 7000)
if #arg > 2 or host:find "^%-" or not port then
  io.stderr:write("usage: moonlet echo_server.lua [HOST] [PORT]\n")
  os.exit(1)
end

local function echo(conn)
  local peer, bytes = conn:peer(), 0
  while true do
    local data, message = conn:read_some()
    if not data then return print(peer, bytes .. " bytes", message or "end") end
    local written, reason = conn:write(data)
    if not written then return print(peer, bytes .. " bytes", reason) end
    bytes = bytes + #data
  end
end

local server <close>, message = net.listen(host, port)
if not server then
  io.stderr:write("echo_server: cannot listen on ", message, "\n")
  os.exit(1)
end
io.stdout:setvbuf "line"
print("listening on " .. tostring(server:address()))
server:serve(echo)
