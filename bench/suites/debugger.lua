--- What a debugger costs beside its breakpoints: the same work without and with one, in turns.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local debugger = {}

local works = {
  {"a loop", "loop"}, {"documents of JSON", "json"}, {"HTTP requests", "http"},
  {"switches", "switches"}, {"a C function", "byte"}, {"a callback of gsub", "gsub"},
  {"table.sort", "sort"}, {"a generator", "generators"}, {"fib", "fib"},
}

-- Where the breakpoint is, with the headline.
local places = {
  {"elsewhere", "elsewhere"}, {"small", "in a small function"}, {"below", "in a caller"},
}

local function measure(all, work, place, rounds)
  local command = {all.settings.moonlet, all:script("debugger.lua"), work, tostring(rounds), place}
  local output, reason = process.capture(command)
  local found, ratios = json.decode_lines(output or ""), {}
  for i, round in ipairs(found) do ratios[i] = round.on / round.off end
  return {
    failed = reason,
    ratio = #ratios > 0 and stats.median(ratios) or nil,
    seconds = stats.median_of(found, "off"),
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each kind of work
function debugger.run(all, quick)
  local records, rows, failures = {}, {}, {}
  for i, work in ipairs(works) do
    local record, row = {name = work[1]}, {work[1]}
    for _, place in ipairs(places) do
      local found = measure(all, work[2], place[1], quick and 3 or 11)
      found.name = work[1] .. ", " .. place[2]
      failures[#failures + 1] = found
      record.seconds = record.seconds or found.seconds
      record[place[1]] = found.ratio
      row[2] = row[2] or columns.cell(found.seconds)
      row[#row + 1] = columns.cell(found.ratio)
    end
    records[i], rows[i] = record, row
  end
  columns.print("CPU time with a breakpoint that is never met, as a ratio",
    {"", "seconds", places[1][2], places[2][2], places[3][2]}, rows, columns.failures(failures))
  return records
end

return debugger
