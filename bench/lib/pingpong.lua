--- Requests per second of servers, and what they pay for each, in alternating rounds: the first
-- server is the yardstick of the others.
local arena = require "arena"
local columns = require "columns"
local process = require "process"
local stats = require "stats"

local pingpong = {}

local SETTLE_SECONDS = 0.3 -- for the server to close the connections of the round before

local function start_all(list)
  local entries = {}
  for i, contestant in ipairs(list) do
    local server, reason = arena.start(contestant)
    entries[i] = {name = contestant.name, server = server, failed = reason, rounds = {}}
  end
  return entries
end

local function stop_all(entries)
  for _, entry in ipairs(entries) do
    if entry.server then process.stop(entry.server) end
  end
end

local function run_round(all, entry, plan)
  if entry.failed then return end
  local result, reason = arena.load(all, entry.server, plan.connections, plan.seconds,
    table.unpack(plan.words or {}))
  entry.failed = reason
  table.insert(entry.rounds, result)
  process.sleep(SETTLE_SECONDS)
end

local function summary(entry, base)
  return {
    name = entry.name,
    failed = entry.failed,
    rounds = entry.rounds,
    requests_per_second = stats.median_of(entry.rounds, "requests_per_second"),
    cpu_us_per_request = stats.median_of(entry.rounds, "server_cpu_us_per_request"),
    p50_us = stats.median_of(entry.rounds, "p50_us"),
    p99_us = stats.median_of(entry.rounds, "p99_us"),
    served = stats.median_of(entry.rounds, "connections_served"),
    ramp_ms = stats.median_of(entry.rounds, "ramp_ms"),
    requests_ratio = stats.median_ratio(entry.rounds, base.rounds, "requests_per_second"),
    cpu_ratio = stats.median_ratio(entry.rounds, base.rounds, "server_cpu_us_per_request"),
  }
end

--- Lets servers take turns.
-- @tparam contestants all
-- @tparam {table,...} list of contestants
-- @tparam table plan `connections`, `rounds`, `seconds` of each, `words`: more for echo_load
-- @treturn {table,...} a record for each: medians, and the median ratios to the first
function pingpong.measure(all, list, plan)
  local entries, records = start_all(list), {}
  for _ = 1, plan.rounds do
    for _, entry in ipairs(entries) do run_round(all, entry, plan) end
  end
  stop_all(entries)
  for i, entry in ipairs(entries) do records[i] = summary(entry, entries[1]) end
  return records
end

local header = {
  "", "requests/s", "to raw C", "CPU us/request", "to raw C", "p50 us", "p99 us", "served",
  "all connected ms",
}

local function row(record)
  return {
    record.name,
    columns.cell(record.requests_per_second, "%.0f"),
    columns.cell(record.requests_ratio),
    columns.cell(record.cpu_us_per_request),
    columns.cell(record.cpu_ratio),
    columns.cell(record.p50_us, "%.0f"),
    columns.cell(record.p99_us, "%.0f"),
    columns.cell(record.served, "%.0f"),
    columns.cell(record.ramp_ms, "%.0f"),
  }
end

--- Prints the records as a table.
-- @tparam string title
-- @tparam {table,...} records
function pingpong.show(title, records)
  local rows = {}
  for i, record in ipairs(records) do rows[i] = row(record) end
  columns.print(title, header, rows, columns.failures(records))
end

return pingpong
