--- What a profile costs: the same work without and with one in alternating rounds.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local profile = {}

local works = {
  {"a loop", "loop", "cpu"}, {"calls", "calls", "cpu"}, {"JSON", "json", "cpu"},
  {"5,000 calls deep", "deep", "cpu"}, {"switches", "switches", "cpu"},
  {"a loop, wall", "loop", "wall"}, {"10,000 tasks wait, wall", "waiting", "wall"},
  {"switches, wall", "switches", "wall"},
}

local function measure(all, work, mode, rounds)
  local command = {all.settings.moonlet, all:script("profile.lua"), work, tostring(rounds), mode}
  local output, reason = process.capture(command)
  local found, ratios = json.decode_lines(output or ""), {}
  for i, round in ipairs(found) do ratios[i] = round.on / round.off end
  return {
    failed = reason,
    ratio = #ratios > 0 and stats.median(ratios) or nil,
    least = #ratios > 0 and stats.min(ratios) or nil,
    seconds = stats.median_of(found, "off"),
    samples = stats.median_of(found, "samples"),
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each kind of work
function profile.run(all, quick)
  local records, rows = {}, {}
  for i, work in ipairs(works) do
    local record = measure(all, work[2], work[3], quick and 3 or 15)
    record.name = work[1]
    records[i] = record
    rows[i] = {
      record.name, columns.cell(record.seconds), columns.cell(record.samples, "%.0f"),
      columns.cell(record.ratio, "%.3f"), columns.cell(record.least, "%.3f"),
    }
  end
  columns.print("CPU time under a profile of 100 Hz",
    {"", "seconds", "samples", "ratio, median", "least"}, rows, columns.failures(records))
  return records
end

return profile
