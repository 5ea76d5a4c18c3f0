--- WebSockets: echo of 64 bytes beside the same over TCP in alternating rounds, and the memory of
-- connections that are silent.
local arena = require "arena"
local columns = require "columns"
local pingpong = require "pingpong"

local websocket = {}

local CONNECTIONS = 64
local SETTLE_SECONDS = 1

local function measure_idle(all, contestant, connections)
  local result, reason = arena.with_server(contestant, function(server)
    return arena.load(all, server, connections, SETTLE_SECONDS, "--idle")
  end)
  local record = result or {}
  record.name, record.failed = contestant.name, reason
  return record
end

local function compare_idle(all, servers, quick)
  local connections = quick and 1000 or 10000
  local records, rows = {}, {}
  for i, contestant in ipairs(servers) do
    local record = measure_idle(all, contestant, connections)
    records[i] = record
    rows[i] = {
      record.name,
      columns.cell(record.kb_per_connection),
      columns.cell(record.connections_served, "%d"),
    }
  end
  columns.print(connections .. " idle WebSockets, and as many TCP connections",
    {"", "KB each", "served"}, rows, columns.failures(records))
  return records
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `echo` and `idle`: a record for each server
function websocket.run(all, quick)
  local servers = all:websocket_servers()
  return {
    echo = pingpong.compare(all, servers, {
      title = "WebSocket echo of 64 bytes, " .. CONNECTIONS .. " connections",
      connections = CONNECTIONS, quick = quick,
    }).servers,
    idle = compare_idle(all, servers, quick),
  }
end

return websocket
