--- Statements of SQLite's beside the same ones in C, linked with the library.
local columns = require "columns"
local json = require "json"
local process = require "process"

local sqlite = {}

local LIMIT_SECONDS = 120

-- What moonlet measures, beside which figure of C's, and how it is called.
local LINES = {
  { "insert", "insert", "insert, in a transaction" },
  { "insert_list", "insert", "insert a list, one statement" },
  { "select", "select", "select of one row" },
  { "select_tasks", "select", "select of one row, by 64 tasks" },
  { "rows", "rows", "each of many rows" },
  { "commit", "commit", "insert that commits" },
}

local function by_name(output)
  local list = {}
  for _, line in ipairs(output and json.decode_lines(output) or {}) do list[line.what] = line.ns end
  return list
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each, in nanoseconds
function sqlite.run(all, quick)
  local path, count = os.tmpname(), quick and "2000" or "20000"
  local function run(...)
    local command = { ... }
    table.move({ path, count }, 1, 2, #command + 1, command)
    return process.capture(command, { limit = LIMIT_SECONDS })
  end
  local ours, reason = run(all.settings.moonlet, all:script "sqlite.lua")
  local c, missing = run(all:c "sqlite")
  for _, ending in ipairs { "", "-wal", "-shm" } do os.remove(path .. ending) end
  ours, c = by_name(ours), by_name(c)
  local records, rows = {}, {}
  for i, line in ipairs(LINES) do
    local here, there = ours[line[1]], c[line[2]]
    records[i] = { what = line[1], moonlet = here, c = there }
    rows[i] = { line[3], columns.cell(here, "%.0f"), columns.cell(there, "%.0f"),
      columns.cell(here and there and here / there) }
  end
  columns.print("SQLite, nanoseconds a statement", { "", "moonlet", "C", "ratio" }, rows,
    { reason, missing })
  return records
end

return sqlite
