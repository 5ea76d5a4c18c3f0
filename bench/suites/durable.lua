--- Durable runs on SQLite, beside what the database does by itself.
local columns = require "columns"
local json = require "json"
local process = require "process"

local durable = {}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} name, unit, value
function durable.run(all, quick)
  local path = os.tmpname()
  local command = {all.settings.moonlet, all:script("durable.lua"), path}
  if quick then command[4] = "quick" end
  local output, reason = process.capture(command)
  os.remove(path)
  local records, rows = json.decode_lines(output or ""), {}
  for i, record in ipairs(records) do
    rows[i] = {record.name, columns.cell(record.value), record.unit}
  end
  columns.print("Durable runs on SQLite", {"", "", ""}, rows,
    columns.failures {{name = "durable", failed = reason}})
  return records
end

return durable
