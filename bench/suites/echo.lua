--- Ping-pong of 64 bytes: requests per second and what the server pays for each, beside raw C in
-- alternating rounds.
local pingpong = require "pingpong"

local echo = {}

local function measure(all, connections, quick)
  local plan = {connections = connections, rounds = quick and 1 or 5, seconds = quick and 1 or 3}
  local records = pingpong.measure(all, all:echo_servers(), plan)
  pingpong.show("Echo of 64 bytes, " .. connections .. " connections", records)
  return {connections = connections, servers = records}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of connections
function echo.run(all, quick)
  local results = {}
  for i, connections in ipairs {64, 1000} do results[i] = measure(all, connections, quick) end
  return results
end

return echo
