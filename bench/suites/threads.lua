--- Threads with runtimes of their own: starting, messages between cores, copies, thread.map.
local columns = require "columns"
local json = require "json"
local process = require "process"

local threads = {}

local LIMIT_SECONDS = 300

local function row(record)
  return {record.name, columns.cell(record.us), columns.cell(record.cpu_us)}
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each measurement, in microseconds
function threads.run(all, quick)
  local command = {all.settings.moonlet, all:script "threads.lua", quick and "--quick" or nil}
  local output, reason = process.capture(command, {limit = LIMIT_SECONDS})
  local records, rows = output and json.decode_lines(output) or {}, {}
  for i, record in ipairs(records) do rows[i] = row(record) end
  columns.print("Threads, microseconds", {"", "by the clock", "processor time"}, rows, {reason})
  return records
end

return threads
