--- Ping-pong of datagrams of 64 bytes with one socket of the server, beside raw C in alternating
-- rounds.
local rounds = require "rounds"

local udp = {}

local plans = {
  full = {clients = {1, 64}, rounds = 5, seconds = 3},
  quick = {clients = {1, 64}, rounds = 1, seconds = 1},
}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of clients
function udp.run(all, quick)
  local plan = quick and plans.quick or plans.full
  local results = {}
  for i, clients in ipairs(plan.clients) do
    results[i] = rounds.measure(all, all:udp_servers(clients), clients, plan,
      "UDP echo of 64 bytes, clients: " .. clients)
  end
  return results
end

return udp
