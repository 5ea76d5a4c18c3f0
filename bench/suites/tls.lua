--- TLS 1.3: echo of 64 bytes beside a raw C server with OpenSSL in alternating rounds, and the
-- memory of connections that are silent.
local arena = require "arena"
local certificate = require "certificate"
local columns = require "columns"
local pingpong = require "pingpong"

local tls = {}

local CONNECTIONS = 64
local IDLE_SETTLE_SECONDS = 1

local function measure_echo(all, servers, quick)
  return pingpong.compare(all, servers, {
    title = "TLS echo of 64 bytes, " .. CONNECTIONS .. " connections", connections = CONNECTIONS,
    quick = quick, words = {"--tls"},
  }).servers
end

local function measure_idle(all, contestant, connections)
  local result, reason = arena.with_server(contestant, function(server)
    return arena.load(all, server, connections, IDLE_SETTLE_SECONDS, "--tls", "--idle")
  end)
  local record = result or {}
  record.name, record.failed = contestant.name, reason
  return record
end

local function compare_idle(all, servers, quick)
  local connections = quick and 500 or 2000
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
  columns.print(connections .. " idle TLS connections", {"", "KB each", "served"}, rows,
    columns.failures(records))
  return records
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `echo` and `idle`: a record for each server; or `failed`
function tls.run(all, quick)
  local credentials <close>, reason = certificate.make()
  if not credentials then
    columns.print("TLS echo", {""}, {}, {"not measured: " .. reason})
    return {failed = reason}
  end
  local servers = all:tls_servers(credentials)
  return {echo = measure_echo(all, servers, quick), idle = compare_idle(all, servers, quick)}
end

return tls
