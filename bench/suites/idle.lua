--- What a silent connection keeps in the server's memory.
local arena = require "arena"
local columns = require "columns"

local idle = {}

local SETTLE_SECONDS = 1

local function measure(all, contestant, connections)
  local result, reason = arena.with_server(contestant, function(server)
    return arena.load(all, server, connections, SETTLE_SECONDS, "--idle")
  end)
  local record = result or {}
  record.name, record.failed = contestant.name, reason
  return record
end

local function row(record)
  local kb = record.rss_after_kb
  return {
    record.name,
    columns.cell(record.kb_per_connection),
    columns.cell(kb and kb / 1024, "%.1f"),
    columns.cell(record.connections_served, "%d"),
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server
function idle.run(all, quick)
  local connections = quick and 2000 or 19000
  local records, rows = {}, {}
  for i, contestant in ipairs(all:echo_servers()) do
    local record = measure(all, contestant, connections)
    records[i], rows[i] = record, row(record)
  end
  columns.print(connections .. " idle connections", {"", "KB each", "server MB", "served"}, rows,
    columns.failures(records))
  return records
end

return idle
