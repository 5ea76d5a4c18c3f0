--- The shared store: calls of one process, and of two workers at once on one key.
local columns = require "columns"
local json = require "json"
local process = require "process"

local store = {}

local LIMIT_SECONDS = 300

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each call
function store.run(all, quick)
  local script, option = all:script "store.lua", quick and "--quick" or nil
  local records, rows, reasons = {}, {}, {}
  for _, command in ipairs {{all.settings.moonlet, script, option},
      {all.settings.moonlet, "--workers", "2", script, option}} do
    local output, reason = process.capture(command, {limit = LIMIT_SECONDS})
    for _, record in ipairs(output and json.decode_lines(output) or {}) do
      records[#records + 1] = record
      rows[#rows + 1] = {record.name, columns.cell(record.per_second, "%.0f"),
        columns.cell(record.cpu_us, "%.3f")}
    end
    reasons[#reasons + 1] = reason
  end
  columns.print("The shared store", {"", "a second", "CPU of a call, us"}, rows, reasons)
  return records
end

return store
