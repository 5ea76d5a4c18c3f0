--- Ping-pong of 64 bytes: requests per second and what the server pays for each, beside raw C in
-- alternating rounds.
local arena = require "arena"
local columns = require "columns"
local process = require "process"
local stats = require "stats"

local echo = {}

local SETTLE_SECONDS = 0.3 -- for the server to close the connections of the round before

local plans = {
  full = {connections = {64, 1000}, rounds = 5, seconds = 3},
  quick = {connections = {64, 1000}, rounds = 1, seconds = 1},
}

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

local function run_round(all, entry, connections, seconds)
  if entry.failed then return end
  local result, reason = arena.load(all, entry.server, connections, seconds)
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

local function measure(all, connections, plan)
  local entries = start_all(all:echo_servers())
  for _ = 1, plan.rounds do
    for _, entry in ipairs(entries) do run_round(all, entry, connections, plan.seconds) end
  end
  stop_all(entries)
  local records, rows = {}, {}
  for i, entry in ipairs(entries) do
    records[i] = summary(entry, entries[1])
    rows[i] = row(records[i])
  end
  columns.print("Echo of 64 bytes, " .. connections .. " connections", header, rows,
    columns.failures(records))
  return {connections = connections, servers = records}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of connections
function echo.run(all, quick)
  local plan = quick and plans.quick or plans.full
  local results = {}
  for i, connections in ipairs(plan.connections) do results[i] = measure(all, connections, plan) end
  return results
end

return echo
