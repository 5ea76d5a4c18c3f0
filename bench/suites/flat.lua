--- The cost of an event among many silent connections: always the same few are active, and what a
-- request costs must not depend on how many others there are.
local columns = require "columns"
local pingpong = require "pingpong"

local flat = {}

local ACTIVE = 10

local plans = {
  full = {connections = {10, 100, 1000, 10000, 19000}, rounds = 2, seconds = 1},
  quick = {connections = {10, 1000}, rounds = 1, seconds = 0.5},
}

-- What the server pays, relative to what it pays without silent connections.
local function growth(records, results, i)
  local first = results[1].servers[i]
  return records[i].cpu_us_per_request and first.cpu_us_per_request
    and records[i].cpu_us_per_request / first.cpu_us_per_request
end

local function row(result, results)
  local cells = {tostring(result.connections)}
  for i, record in ipairs(result.servers) do
    record.growth = growth(result.servers, results, i)
    cells[#cells + 1] = columns.cell(record.cpu_us_per_request)
    cells[#cells + 1] = columns.cell(record.growth)
    if i > 1 then cells[#cells + 1] = columns.cell(record.cpu_ratio) end
  end
  return cells
end

local function show(results)
  local header, rows, notes = {"connections"}, {}, {}
  for i, record in ipairs(results[1].servers) do
    header[#header + 1] = record.name .. ", us"
    header[#header + 1] = "to the first"
    if i > 1 then header[#header + 1] = "to raw C" end
  end
  for i, result in ipairs(results) do
    local failures = columns.failures(result.servers)
    rows[i] = row(result, results)
    table.move(failures, 1, #failures, #notes + 1, notes)
  end
  columns.print("CPU per request, " .. ACTIVE .. " connections active, the others silent", header,
    rows, notes)
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each number of connections
function flat.run(all, quick)
  local plan, results = quick and plans.quick or plans.full, {}
  for i, connections in ipairs(plan.connections) do
    results[i] = {
      connections = connections,
      servers = pingpong.measure(all, all:echo_servers(), {
        connections = connections, rounds = plan.rounds, seconds = plan.seconds,
        words = {"--active", tostring(ACTIVE), "--warmup", "0.3"},
      }),
    }
  end
  show(results)
  return results
end

return flat
