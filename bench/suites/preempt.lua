--- Tasks that compute: how late a sleeper beside ten of them wakes, and what preemption costs them.
local columns = require "columns"
local json = require "json"
local process = require "process"

local preempt = {}

local CPU = 0
local SLICES = {5, 10, 20}

local function run(all, option, kind, amount)
  local output, reason = process.capture({
    all.settings.moonlet, "--slow", "0", "--preempt", tostring(option),
    all:script("preempt.lua"), kind, tostring(amount),
  }, {cpu = CPU, limit = 120})
  local record = output and json.decode_lines(output)[1]
  return record or {failed = reason or "printed no result"}
end

-- The least of several runs, in turn with and without.
local function cost(all, slice, rounds, count)
  local least = {}
  for _ = 1, count do
    for _, option in ipairs {0, slice} do
      local seconds = run(all, option, "cost", rounds).cpu_s or math.huge
      least[option] = math.min(least[option] or math.huge, seconds)
    end
  end
  return (least[slice] / least[0] - 1) * 100
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each slice
function preempt.run(all, quick)
  local records, rows = {}, {}
  for i, slice in ipairs(SLICES) do
    local record = run(all, slice, "late", quick and 2 or 10)
    record.name = slice .. " ms"
    record.cost_percent = cost(all, slice, quick and 2e7 or 1e8, quick and 3 or 7)
    records[i] = record
    rows[i] = {record.name, columns.cell(record.median_ms), columns.cell(record.p99_ms),
      columns.cell(record.latest_ms), columns.cell(record.cost_percent)}
  end
  columns.print("A sleeper beside ten tasks that compute, with --preempt: how late it wakes, ms",
    {"", "median", "p99", "latest", "cost, %"}, rows, columns.failures(records))
  return records
end

return preempt
