--- Bulk transfer: 1 GiB through a copy loop from one connection to another, beside the same loop in
-- C in alternating rounds, and the memory that takes.
local arena = require "arena"
local columns = require "columns"
local rounds = require "rounds"

local bulk = {}

local GIB = 1 << 30

local medians = {
  mb_per_second = "mb_per_second", cpu_seconds = "server_cpu_seconds",
  peak_extra_kb = "peak_extra_kb",
}
local ratios = {rate_ratio = "mb_per_second", cpu_ratio = "server_cpu_seconds"}

-- Each round is one process: the memory is that of the first transfer after its start, not of what
-- earlier ones left.
local function measure(all, bytes, quick)
  local entries = rounds.entries(all:relays())
  rounds.alternate(entries, quick and 1 or 5, function(entry)
    return arena.with_server(entry.contestant, function(server)
      return arena.run_load(all, "bulk_load", server.port, tostring(bytes), tostring(server.pid))
    end)
  end)
  return rounds.summaries(entries, medians, ratios)
end

local function row(record)
  return {
    record.name,
    columns.cell(record.mb_per_second, "%.0f"),
    columns.cell(record.rate_ratio),
    columns.cell(record.cpu_seconds),
    columns.cell(record.cpu_ratio),
    columns.cell(record.peak_extra_kb, "%.0f"),
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each copy loop
function bulk.run(all, quick)
  local bytes = quick and GIB // 4 or GIB
  local records, rows = measure(all, bytes, quick), {}
  for i, record in ipairs(records) do rows[i] = row(record) end
  columns.print(string.format("%d MiB from one connection to another", bytes >> 20),
    {"", "MB/s", "to raw C", "server CPU s", "to raw C", "peak KB above idle"}, rows,
    columns.failures(records))
  return records
end

return bulk
