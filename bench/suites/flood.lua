--- One connection that sends without a pause: how late a task beside its reader wakes.
local columns = require "columns"
local json = require "json"
local process = require "process"

local flood = {}

local SERVER_CPU, FEEDER_CPU = 0, 1

local function measure(all, contestant, seconds)
  local command = table.move(contestant.command, 1, #contestant.command, 1, {})
  for _, word in ipairs {
    tostring(seconds), "taskset", "-c", tostring(FEEDER_CPU),
    all.settings.moonlet, all:script("feed.lua"), tostring(seconds),
  } do command[#command + 1] = word end
  local output, reason = process.capture(command, {cpu = SERVER_CPU, limit = 10 * seconds})
  if not output then return nil, reason end
  return json.decode_lines(output)[1], "failed: printed no result"
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each program
function flood.run(all, quick)
  local records, rows = {}, {}
  for i, contestant in ipairs(all:readers()) do
    local record, reason = measure(all, contestant, quick and 1 or 5)
    record = record or {failed = reason}
    record.name = contestant.name
    records[i] = record
    rows[i] = {record.name, columns.cell(record.mean_ms), columns.cell(record.latest_ms)}
  end
  columns.print("Beside a connection that sends without a pause: how late a sleeper wakes, ms",
    {"", "mean", "latest"}, rows, columns.failures(records))
  return records
end

return flood
