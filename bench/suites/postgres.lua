--- Queries of PostgreSQL beside the same ones in C, linked with libpq, against one server.
local beside = require "beside"
local postgres_server = require "postgres_server"

local postgres = {}

-- What moonlet measures, beside which figure of C's, and how it is called.
local LINES = {
  { "insert", "insert", "insert, in a transaction" },
  { "select", "select", "select of one row" },
  { "tasks_1", "select", "the same by 100 tasks, 1 connection" },
  { "tasks_4", "select", "4 connections" },
  { "tasks_100", "select", "100 connections" },
  { "rows", "rows", "each of many rows" },
}

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each, in nanoseconds
function postgres.run(all, quick)
  local server, reason = postgres_server.start()
  local arguments = { server and server.conninfo or "", quick and "2000" or "20000" }
  local records = beside.run("PostgreSQL, nanoseconds a query", LINES, all, "postgres", arguments,
    reason)
  if server then postgres_server.stop(server) end
  return records
end

return postgres
