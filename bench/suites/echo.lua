--- Ping-pong of 64 bytes: requests per second and what the server pays for each, beside raw C in
-- alternating rounds.
local pingpong = require "pingpong"

local echo = {}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of connections
function echo.run(all, quick)
  local results = {}
  for i, connections in ipairs {64, 1000} do
    results[i] = pingpong.compare(all, all:echo_servers(), {
      title = "Echo of 64 bytes, " .. connections .. " connections", connections = connections,
      quick = quick,
    })
  end
  return results
end

return echo
