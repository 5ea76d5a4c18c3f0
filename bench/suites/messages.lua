--- Messages between two workers: one way by what is sent, and there and back.
local columns = require "columns"
local json = require "json"
local process = require "process"

local messages = {}

local LIMIT_SECONDS = 300

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each kind of message
function messages.run(all, quick)
  local command = {all.settings.moonlet, "--workers", "2", all:script "messages.lua",
    quick and "--quick" or nil}
  local output, reason = process.capture(command, {limit = LIMIT_SECONDS})
  local records, rows = output and json.decode_lines(output) or {}, {}
  for i, record in ipairs(records) do
    rows[i] = {record.name, columns.cell(record.per_second, "%.0f"),
      columns.cell(record.receiver_us), columns.cell(record.sender_us)}
  end
  columns.print("Messages between two workers", {"", "a second", "receiver's CPU, us",
    "sender's CPU, us"}, rows, {reason})
  return records
end

return messages
