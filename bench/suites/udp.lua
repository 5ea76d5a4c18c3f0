--- Ping-pong of datagrams of 64 bytes with one socket of the server, beside raw C in alternating
-- rounds.
local pingpong = require "pingpong"

local udp = {}

local function measure(all, clients, quick)
  local plan = {connections = clients, rounds = quick and 1 or 5, seconds = quick and 1 or 3}
  local records = pingpong.measure(all, all:udp_servers(clients), plan)
  pingpong.show("UDP echo of 64 bytes, clients: " .. clients, records)
  return {connections = clients, servers = records}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of clients
function udp.run(all, quick)
  local results = {}
  for i, clients in ipairs {1, 64} do results[i] = measure(all, clients, quick) end
  return results
end

return udp
