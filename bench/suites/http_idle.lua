--- What a connection of HTTP that waits for its next request keeps in the server's memory.
local arena = require "arena"
local columns = require "columns"
local process = require "process"

local http_idle = {}

local LOAD_CPU, CONNECT_LIMIT = 1, 60

local function resident_kb(pid)
  local file <close> = assert(io.open("/proc/" .. pid .. "/status"))
  return tonumber(file:read("a"):match "VmRSS:%s*(%d+)")
end

local function measure(all, contestant, connections)
  return arena.with_server(contestant, function(server)
    local before = resident_kb(server.pid)
    local clients, reason = process.start({
      all.settings.moonlet, all:script("http_idle.lua"), tostring(server.port),
      tostring(connections),
    }, {cpu = LOAD_CPU, ready = "ready (%d+)", limit = CONNECT_LIMIT})
    if not clients then return nil, reason end
    local after = resident_kb(server.pid)
    process.stop(clients)
    return {kb_per_connection = (after - before) / connections, rss_after_kb = after}
  end)
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server
function http_idle.run(all, quick)
  local connections = quick and 1000 or 5000
  local records, rows = {}, {}
  for i, contestant in ipairs(all:http_programs()) do
    local result, reason = measure(all, contestant, connections)
    local record = result or {failed = reason}
    record.name = contestant.name
    records[i] = record
    rows[i] = {
      record.name, columns.cell(record.kb_per_connection),
      columns.cell(record.rss_after_kb and record.rss_after_kb / 1024, "%.1f"),
    }
  end
  columns.print(connections .. " idle connections of HTTP", {"", "KB each", "server MB"}, rows,
    columns.failures(records))
  return records
end

return http_idle
