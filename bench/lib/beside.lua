--- Runs bench/NAME.lua and the program NAME in C, which print a line of JSON for each thing that
-- they measure, and shows both. Plain Lua.
local columns = require "columns"
local json = require "json"
local process = require "process"

local beside = {}

local LIMIT_SECONDS = 120

local function by_name(output)
  local list = {}
  for _, line in ipairs(output and json.decode_lines(output) or {}) do list[line.what] = line.ns end
  return list
end

local function capture(command, arguments)
  for _, word in ipairs(arguments) do command[#command + 1] = word end
  return process.capture(command, { limit = LIMIT_SECONDS })
end

--- @tparam string title of the table
-- @tparam {table,...} lines { what moonlet measures, beside which figure of C's, its name }
-- @tparam contestants all
-- @tparam string name
-- @tparam {string,...} arguments of both
-- @tparam ?string obstacle the reason why neither can run
-- @treturn {table,...} a record for each, in nanoseconds
function beside.run(title, lines, all, name, arguments, obstacle)
  local ours, c, missing, reason
  if not obstacle then
    c, missing = capture({ all:c(name) }, arguments)
    ours, reason = capture({ all.settings.moonlet, all:script(name .. ".lua") }, arguments)
  end
  ours, c = by_name(ours), by_name(c)
  local records, rows = {}, {}
  for i, line in ipairs(lines) do
    local here, there = ours[line[1]], c[line[2]]
    records[i] = { what = line[1], moonlet = here, c = there }
    rows[i] = { line[3], columns.cell(here, "%.0f"), columns.cell(there, "%.0f"),
      columns.cell(here and there and here / there) }
  end
  columns.print(title, { "", "moonlet", "C", "ratio" }, rows, { obstacle or reason, missing })
  return records
end

return beside
