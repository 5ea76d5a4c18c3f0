-- tests/faults/sweep.lua with a PostgreSQL server of its own:
--
--     moonlet tests/faults/postgres_sweep.lua PROGRAM CALL ERRNO [STEP [BYTES]]

local postgres = require "moonlet.postgres"
local server = dofile("tests/spec/postgres_server.lua").new()

server:start(function()
  local db <close> = assert(postgres.open { host = server.directory, port = server.port, user = "tester",
    dbname = "postgres" })
  return db:script "CREATE TABLE t (a int, b text)"
end)

arg[6] = -- luacheck: ignore 122
  ("tests/faults/postgres_scenario.lua %s %d"):format(server.directory, server.port)

local exit = os.exit
function os.exit(...) -- luacheck: ignore 122
  server:remove()
  exit(...)
end

dofile "tests/faults/sweep.lua"
