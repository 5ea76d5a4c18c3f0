--- Requests per second of servers, and what they pay for each, in alternating rounds: the first
-- server is the yardstick of the others.
local arena = require "arena"
local columns = require "columns"
local process = require "process"
local rounds = require "rounds"

local pingpong = {}

local SETTLE_SECONDS = 0.3 -- for the server to close the connections of the round before

local medians = {
  requests_per_second = "requests_per_second", cpu_us_per_request = "server_cpu_us_per_request",
  p50_us = "p50_us", p99_us = "p99_us", served = "connections_served", ramp_ms = "ramp_ms",
}
local ratios = {
  requests_ratio = "requests_per_second", cpu_ratio = "server_cpu_us_per_request",
}

--- Lets servers take turns.
-- @tparam contestants all
-- @tparam {table,...} list of contestants
-- @tparam table plan `connections`, `rounds`, `seconds` of each, `words`: more for echo_load
-- @treturn {table,...} a record for each: medians, and the median ratios to the first
function pingpong.measure(all, list, plan)
  local entries = rounds.start(list)
  rounds.alternate(entries, plan.rounds, function(entry)
    local result, reason = arena.load(all, entry.server, plan.connections, plan.seconds,
      table.unpack(plan.words or {}))
    process.sleep(SETTLE_SECONDS)
    return result, reason
  end)
  rounds.stop(entries)
  return rounds.summaries(entries, medians, ratios)
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

--- Measures in five rounds of three seconds, or in one of one second, and prints the records.
-- @tparam contestants all
-- @tparam {table,...} list of contestants
-- @tparam table plan `title`, `connections`, `quick`, `words`: more for echo_load
-- @treturn table `connections`; `servers`: the records
function pingpong.compare(all, list, plan)
  local records = pingpong.measure(all, list, {
    connections = plan.connections, words = plan.words,
    rounds = plan.quick and 1 or 5, seconds = plan.quick and 1 or 3,
  })
  pingpong.show(plan.title, records)
  return {connections = plan.connections, servers = records}
end

return pingpong
