--- Durable runs on SQLite and on PostgreSQL, beside what the database does by itself. Both write
--- through to the disk.
local columns = require "columns"
local json = require "json"
local postgres_server = require "postgres_server"
local process = require "process"

local durable = {}

-- Runs the program on a database; appends to records.
local function measure(all, quick, engine, address, records, restart)
  local command = {all.settings.moonlet, all:script("durable.lua"), address,
    quick and "quick" or "whole", restart}
  local output, reason = process.capture(command, {limit = 600})
  local rows = {}
  for i, record in ipairs(json.decode_lines(output or "")) do
    rows[i] = {record.name, columns.cell(record.value), record.unit}
    record.engine = engine
    records[#records + 1] = record
  end
  columns.print("Durable runs on " .. engine, {"", "", ""}, rows,
    columns.failures {{name = "durable", failed = reason}})
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} engine, name, unit, value
function durable.run(all, quick)
  local records, path = {}, os.tmpname()
  measure(all, quick, "SQLite", path, records)
  os.remove(path)
  local server, reason = postgres_server.start(true)
  if server then
    local host = server.directory:gsub("/", "%%2F")
    measure(all, quick, "PostgreSQL", "postgres://bench@/postgres?host=" .. host, records,
      server.restart)
    postgres_server.stop(server)
  else
    print("Durable runs on PostgreSQL: " .. reason)
  end
  return records
end

return durable
