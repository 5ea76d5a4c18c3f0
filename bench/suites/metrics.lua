--- What metrics cost: counting and showing; and servers of HTTP and echo with metrics on, beside
-- the same with metrics off, in alternating rounds.
local columns = require "columns"
local json = require "json"
local pingpong = require "pingpong"
local process = require "process"
local rounds = require "rounds"
local wrk = require "wrk"

local metrics = {}

local LIMIT_SECONDS = 300
local TURN_ON = 'require "moonlet.inspect".metrics()'

local function show_figures(all, quick)
  local output, reason = process.capture(
    { all.settings.moonlet, all:script "metrics.lua", quick and "--quick" or nil },
    { cpu = 0, limit = LIMIT_SECONDS })
  if not output then return { failed = reason } end
  local rows, record = {}, {}
  for i, line in ipairs(json.decode_lines(output)) do
    local value, unit = line.ns or line.bytes or line.ms, line.ns and "ns" or line.bytes and "bytes"
    record[line.name] = value
    rows[i] = { line.name, columns.cell(value, "%.1f"), unit or "ms" }
  end
  columns.print("Metrics: counting, and showing", { "", "", "" }, rows)
  return record
end

-- The same server, metrics off and on.
local function servers(all, script)
  local program = { all.settings.moonlet, all:script(script) }
  return {
    { name = "metrics off", command = program },
    { name = "metrics on", command = { program[1], "-e", TURN_ON, program[2] } },
  }
end

local function show_http(all, path, quick)
  local entries = rounds.start(servers(all, "http.lua"))
  local load = { path = path, connections = 64, seconds = quick and 1 or 3 }
  rounds.alternate(entries, quick and 2 or 9, function(entry) return wrk.load(entry.server, load) end)
  local records = rounds.summaries(entries, { cpu_us = "server_cpu_us_per_request" },
    { ratio = "server_cpu_us_per_request" })
  rounds.stop(entries)
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = { record.name, columns.cell(record.cpu_us), columns.cell(record.ratio, "%.3f") }
  end
  columns.print("HTTP, " .. path .. ", 64 connections", { "", "CPU us/request", "to off" }, rows,
    columns.failures(records))
  return records
end

local function show_echo(all, quick)
  local records = pingpong.measure(all, servers(all, "echo.lua"), {
    connections = 64, rounds = quick and 2 or 9, seconds = quick and 0.5 or 2,
    words = { "--warmup", "0.3" },
  })
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = { record.name, columns.cell(record.cpu_us_per_request),
      columns.cell(record.cpu_ratio, "%.3f") }
  end
  columns.print("Echo, 64 connections", { "", "CPU us/request", "to off" }, rows,
    columns.failures(records))
  return records
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `figures`: name -> value; `echo`, `http`: a record for each server
function metrics.run(all, quick)
  local result = { figures = show_figures(all, quick), echo = show_echo(all, quick) }
  if process.installed "wrk" then
    result.http = show_http(all, "/", quick)
    result.route = show_http(all, "/things/1000/parts/7", quick)
  else
    print "\nHTTP: wrk is not installed"
  end
  return result
end

return metrics
