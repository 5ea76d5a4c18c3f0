--- A look at a million sleeping tasks: how late another one is meanwhile, and the memory that
-- takes.
local columns = require "columns"
local json = require "json"
local process = require "process"

local dump = {}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each look
function dump.run(all, quick)
  local count = quick and 100000 or 1000000
  local command = { all.settings.moonlet, all:script "dump.lua", tostring(count) }
  local output, reason = process.capture(command)
  local records, rows = json.decode_lines(output or ""), {}
  for i, record in ipairs(records) do
    rows[i] = { record.name, columns.cell(record.seconds, "%.2f"), columns.cell(record.late_ms),
      columns.cell(record.extra_kb, "%d") }
  end
  columns.print(("moonlet.inspect with %d tasks asleep"):format(count),
    { "", "s", "another task late, ms", "KB more" }, rows, { reason })
  return records
end

return dump
