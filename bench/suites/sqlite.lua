--- Statements of SQLite's beside the same ones in C, linked with the library.
local beside = require "beside"

local sqlite = {}

-- What moonlet measures, beside which figure of C's, and how it is called.
local LINES = {
  { "insert", "insert", "insert, in a transaction" },
  { "insert_list", "insert", "insert a list, one statement" },
  { "select", "select", "select of one row" },
  { "select_tasks", "select", "select of one row, by 64 tasks" },
  { "rows", "rows", "each of many rows" },
  { "commit", "commit", "insert that commits" },
}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each, in nanoseconds
function sqlite.run(all, quick)
  local path = os.tmpname()
  local records = beside.run("SQLite, nanoseconds a statement", LINES, all, "sqlite",
    { path, quick and "2000" or "20000" })
  for _, ending in ipairs { "", "-wal", "-shm" } do os.remove(path .. ending) end
  return records
end

return sqlite
