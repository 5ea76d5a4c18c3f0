--- Ping-pong of datagrams of 64 bytes with one socket of the server, beside raw C in alternating
-- rounds.
local pingpong = require "pingpong"

local udp = {}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of clients
function udp.run(all, quick)
  local results = {}
  for i, clients in ipairs {1, 64} do
    results[i] = pingpong.compare(all, all:udp_servers(clients), {
      title = "UDP echo of 64 bytes, clients: " .. clients, connections = clients, quick = quick,
    })
  end
  return results
end

return udp
