--- What a trace costs: loops with it and without, in turn, in one process.
local columns = require "columns"
local json = require "json"
local process = require "process"

local trace = {}

local LIMIT_SECONDS = 300

local function rows_of(records)
  local rows = {}
  for _, record in ipairs(records) do
    if record.on then
      rows[#rows + 1] = {record.name, columns.cell(record.off), columns.cell(record.on),
        columns.cell(record.on - record.off)}
    end
  end
  return rows
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each loop, and one for the making of a text
function trace.run(all, quick)
  local command = {all.settings.moonlet, all:script "trace.lua", quick and "2" or "7"}
  local output, reason = process.capture(command, {cpu = 0, limit = LIMIT_SECONDS})
  local records = output and json.decode_lines(output) or {{name = "trace", failed = reason}}
  columns.print("A trace: ns of CPU time a turn of each loop", {"", "without", "with", "more"},
    rows_of(records), columns.failures(records))
  for _, record in ipairs(records) do
    if record.bytes then
      print(("A text of 65,536 events: %.0f ms, %.1f MB"):format(record.seconds * 1e3,
        record.bytes / 1e6))
    end
  end
  return records
end

return trace
