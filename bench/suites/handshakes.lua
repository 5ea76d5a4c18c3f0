--- Full TLS 1.3 handshakes, EC P-256: how many a server does in a second of its CPU, beside
-- OpenSSL's own test server in alternating rounds.
local arena = require "arena"
local certificate = require "certificate"
local columns = require "columns"
local process = require "process"
local stats = require "stats"

local handshakes = {}

local CONNECTIONS = 16 -- at a time
local SETTLE_SECONDS = 0.2

local function start_all(list)
  local entries = {}
  for i, contestant in ipairs(list) do
    local server, reason = arena.start(contestant)
    entries[i] = {name = contestant.name, server = server, failed = reason, rounds = {}}
  end
  return entries
end

local function run_round(all, entry, seconds)
  if entry.failed then return end
  local result, reason = arena.run_load(all, "handshake_load", entry.server.port,
    tostring(CONNECTIONS), tostring(seconds), tostring(entry.server.pid))
  entry.failed = reason
  table.insert(entry.rounds, result)
  process.sleep(SETTLE_SECONDS)
end

local function summary(entry, base)
  return {
    name = entry.name,
    failed = entry.failed,
    rounds = entry.rounds,
    per_second = stats.median_of(entry.rounds, "handshakes_per_second"),
    per_cpu_second = stats.median_of(entry.rounds, "handshakes_per_cpu_second"),
    cpu_ratio = stats.median_ratio(entry.rounds, base.rounds, "handshakes_per_cpu_second"),
    refused = stats.median_of(entry.rounds, "failed"),
  }
end

local function show(records)
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = {
      record.name,
      columns.cell(record.per_cpu_second, "%.0f"),
      columns.cell(record.cpu_ratio),
      columns.cell(record.per_second, "%.0f"),
      columns.cell(record.refused, "%.0f"),
    }
  end
  columns.print("TLS handshakes, P-256, without resumption",
    {"", "per second of server CPU", "to s_server", "per second, with the client", "failed"}, rows,
    columns.failures(records))
end

local function measure(all, credentials, quick)
  local entries, records = start_all(all:handshake_servers(credentials)), {}
  for _ = 1, quick and 1 or 5 do
    for _, entry in ipairs(entries) do run_round(all, entry, quick and 1 or 2) end
  end
  for i, entry in ipairs(entries) do
    if entry.server then process.stop(entry.server) end
    records[i] = summary(entry, entries[1])
  end
  return records
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each server; or a table with `failed`
function handshakes.run(all, quick)
  local credentials <close>, reason = certificate.make()
  if not credentials then
    columns.print("TLS handshakes", {""}, {}, {"not measured: " .. reason})
    return {failed = reason}
  end
  local records = measure(all, credentials, quick)
  show(records)
  return records
end

return handshakes
