--- From the start of a program that does nothing to its end.
local columns = require "columns"
local json = require "json"
local process = require "process"
local stats = require "stats"

local startup = {}

local LOT = 5 -- starts in a row; the programs take turns so that all see the same disturbances

local function measure(all, list, lots)
  local entries = {}
  for i, contestant in ipairs(list) do entries[i] = {name = contestant.name, runs = {}} end
  for _ = 1, lots do
    for i, contestant in ipairs(list) do
      local command = {all:c("launch"), tostring(LOT), table.unpack(contestant.command)}
      local output, reason = process.capture(command, {cpu = 0})
      local runs = json.decode_lines(output or "")
      table.move(runs, 1, #runs, #entries[i].runs + 1, entries[i].runs)
      entries[i].failed = reason
    end
  end
  return entries
end

local function summary(entry)
  local kb = stats.median_of(entry.runs, "peak_kb")
  return {
    name = entry.name,
    failed = entry.failed,
    ms = stats.median_of(entry.runs, "ms"),
    peak_mb = kb and kb / 1024,
  }
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each program
function startup.run(all, quick)
  local records, rows = {}, {}
  for i, entry in ipairs(measure(all, all:empty_programs(), quick and 1 or 4)) do
    local record = summary(entry)
    records[i] = record
    rows[i] = {record.name, columns.cell(record.ms), columns.cell(record.peak_mb, "%.1f")}
  end
  columns.print("Start-up and end of an empty program", {"", "ms", "peak MB"}, rows,
    columns.failures(records))
  return records
end

return startup
