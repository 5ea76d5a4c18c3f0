--- Clients for specs whose servers are functions, and proxies.
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local clients = {}

--- A client whose nth connection leads to answer(stream, n); and a function: how many there were.
function clients.scripted(answer, opts)
  local settings, made = {}, 0
  for name, value in pairs(opts or {}) do settings[name] = value end
  local network = settings.network
  settings.network = nil
  function settings.connect()
    made = made + 1
    local n = made
    local near, far = net.memory_pair(network)
    task.spawn({ daemon = true, quiet = true }, function()
      local _ <close> = far
      answer(far, n)
    end)
    return near
  end
  return http.client(settings), function() return made end
end

--- What a proxy does: reads a request on the connection and carries bytes between it and the port, whatever it is
--- asked for. note: the first line of the request, if it is given.
function clients.relay(conn, port, note)
  local line = conn:read_line()
  if note then note(line) end
  repeat until conn:read_line() == ""
  local other <close> = assert(net.connect("127.0.0.1", port))
  conn:write "HTTP/1.1 200 Connected\r\n\r\n"
  task.race {
    function() for piece in conn:chunks() do other:write(piece) end end,
    function() for piece in other:chunks() do conn:write(piece) end end,
  }
end

return clients
