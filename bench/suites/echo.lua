--- Ping-pong of 64 bytes: requests per second and what the server pays for each, beside raw C in
-- alternating rounds.
local rounds = require "rounds"

local echo = {}

local plans = {
  full = {connections = {64, 1000}, rounds = 5, seconds = 3},
  quick = {connections = {64, 1000}, rounds = 1, seconds = 1},
}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of connections
function echo.run(all, quick)
  local plan = quick and plans.quick or plans.full
  local results = {}
  for i, connections in ipairs(plan.connections) do
    results[i] = rounds.measure(all, all:echo_servers(), connections, plan,
      "Echo of 64 bytes, " .. connections .. " connections")
  end
  return results
end

return echo
