--- Full TLS 1.3 handshakes, EC P-256: how many a server does in a second of its CPU, beside
-- OpenSSL's own test server in alternating rounds.
local arena = require "arena"
local certificate = require "certificate"
local columns = require "columns"
local process = require "process"
local rounds = require "rounds"

local handshakes = {}

local CONNECTIONS = 16 -- at a time
local SETTLE_SECONDS = 0.2

local medians = {
  per_second = "handshakes_per_second", per_cpu_second = "handshakes_per_cpu_second",
  refused = "failed",
}
local ratios = {cpu_ratio = "handshakes_per_cpu_second"}

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
  local entries, seconds = rounds.start(all:handshake_servers(credentials)), quick and 1 or 2
  rounds.alternate(entries, quick and 1 or 5, function(entry)
    local result, reason = arena.run_load(all, "handshake_load", entry.server.port,
      tostring(CONNECTIONS), tostring(seconds), tostring(entry.server.pid))
    process.sleep(SETTLE_SECONDS)
    return result, reason
  end)
  rounds.stop(entries)
  return rounds.summaries(entries, medians, ratios)
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
