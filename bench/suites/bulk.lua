--- Bulk transfer: 1 GiB through a copy loop from one connection to another, beside the same loop in
-- C in alternating rounds, and the memory that takes.
local arena = require "arena"
local columns = require "columns"
local stats = require "stats"

local bulk = {}

local GIB = 1 << 30

-- Each round is one process: the memory is that of the first transfer after its start, not of what
-- earlier ones left.
local function run_round(all, contestant, entry, bytes)
  if entry.failed then return end
  local result, reason = arena.with_server(contestant, function(server)
    return arena.run_load(all, "bulk_load", server.port, tostring(bytes), tostring(server.pid))
  end)
  entry.failed = reason
  table.insert(entry.rounds, result)
end

local function summary(entry, base)
  return {
    name = entry.name,
    failed = entry.failed,
    rounds = entry.rounds,
    mb_per_second = stats.median_of(entry.rounds, "mb_per_second"),
    rate_ratio = stats.median_ratio(entry.rounds, base.rounds, "mb_per_second"),
    cpu_seconds = stats.median_of(entry.rounds, "server_cpu_seconds"),
    cpu_ratio = stats.median_ratio(entry.rounds, base.rounds, "server_cpu_seconds"),
    peak_extra_kb = stats.median_of(entry.rounds, "peak_extra_kb"),
  }
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
  local list, entries, records, rows = all:relays(), {}, {}, {}
  for i, contestant in ipairs(list) do entries[i] = {name = contestant.name, rounds = {}} end
  for _ = 1, quick and 1 or 5 do
    for i, contestant in ipairs(list) do run_round(all, contestant, entries[i], bytes) end
  end
  for i, entry in ipairs(entries) do
    records[i] = summary(entry, entries[1])
    rows[i] = row(records[i])
  end
  columns.print(string.format("%d MiB from one connection to another", bytes >> 20),
    {"", "MB/s", "to raw C", "server CPU s", "to raw C", "peak KB above idle"}, rows,
    columns.failures(records))
  return records
end

return bulk
