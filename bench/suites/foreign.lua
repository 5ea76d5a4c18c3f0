--- What a C library's call that does not block costs when moonlet answers it, above libc's own.
local columns = require "columns"
local json = require "json"
local process = require "process"

local foreign = {}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each call
function foreign.run(all, quick)
  local command = {
    "env", "LUA_CPATH=" .. all:c("?.so"), all.settings.moonlet, all:script("foreign_calls.lua"),
    quick and "20000" or "200000",
  }
  local output, reason = process.capture(command, {cpu = 0})
  local records, rows = json.decode_lines(output or ""), {}
  for i, record in ipairs(records) do
    rows[i] = {
      record.name, columns.cell(record.left, "%.1f"), columns.cell(record.answered, "%.1f"),
      columns.cell(record.answered - record.left, "%+.1f"),
    }
  end
  columns.print("Calls of C libraries that do not block, ns", {"", "libc", "in a task", "more"}, rows,
    reason and {"moonlet: " .. reason} or {})
  return records
end

return foreign
