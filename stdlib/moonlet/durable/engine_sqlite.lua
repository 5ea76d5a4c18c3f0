--- Where SQLite differs from other databases, for durable runs.
-- @module moonlet.durable.engine_sqlite

local pairs, require = pairs, require
local find = string.find
local concat, rep = table.concat, string.rep

local task = require "moonlet.task"

local engine = { name = "sqlite", pairs = pairs }

engine.types = {
  BYTES = "BLOB", REAL = "REAL", SERIAL = "INTEGER PRIMARY KEY AUTOINCREMENT",
  WITHOUT = "WITHOUT ROWID",
}

-- How long another process may keep the file to itself, as it opens, closes or repairs it, in
-- seconds; and how often is looked.
local PATIENCE, PAUSE = 10, 0.02

-- For the connection that writes. The steps of many runs lie on as many pages: those are kept, and
-- written back to the file less often than by default. (cache_size in KiB, the log in pages.)
local WRITER = { cache_size = -32768, wal_autocheckpoint = 4000 }

-- Sets what the caller has not set. Without it the database is slower, so failures are passed over.
local function tune(db, pragmas)
  for name, value in pairs(WRITER) do
    if not (pragmas and pragmas[name]) then db:script(("PRAGMA %s = %d"):format(name, value)) end
  end
end

--- Opens the database.
-- @treturn Database or nil, message, code
function engine.open(path, opts)
  local sqlite = require "moonlet.sqlite"
  local deadline = task.now() + PATIENCE
  local db, message, code = sqlite.open(path, opts)
  while not db and find(code, "^SQLITE_BUSY") and task.now() < deadline do
    task.sleep(PAUSE)
    db, message, code = sqlite.open(path, opts)
  end
  if db then tune(db, opts and opts.pragmas) end
  return db, message, code
end

--- A statement with `?` for each parameter, as the engine wants it.
function engine.sql(text) return text end

--- Binary strings as parameters.
engine.bytes = require("moonlet.sql").bytes

--- The table of control numbers, if it is missing.
function engine.create_meta(db)
  return db:execute
    "CREATE TABLE IF NOT EXISTS moonlet_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
end

--- 1 if there are tables of durable runs, else 0; or nil, message, code.
function engine.has_tables(db)
  return db:value "SELECT count(*) FROM sqlite_master WHERE name = 'moonlet_meta'"
end

--- Keeps others from migrating; a transaction of SQLite does by itself.
function engine.lock_schema() return true end

--- The clock of the database, in seconds since 1970.
engine.clock = "SELECT (julianday('now') - 2440587.5) * 86400.0 AS now"

--- So many rows are written by one statement, and statements are made for these numbers only.
engine.sizes = { 1, 4, 16, 64, 128, 256, 512 }

--- A table of parameters, as `v`, with columns column1, column2...
-- @tparam integer rows
-- @tparam {string} types of the columns: "text", "integer", "real", "bytes"
function engine.values(rows, types)
  local row = "(" .. rep("?", #types, ",") .. ")"
  local list = {}
  for i = 1, rows do list[i] = row end
  return "(VALUES " .. concat(list, ",") .. ") AS v"
end

--- Whether a failed write may succeed later.
function engine.is_transient(code)
  return code == "CLOSED" or code and (find(code, "^SQLITE_BUSY") or find(code, "^SQLITE_LOCKED")
    or find(code, "^SQLITE_FULL") or find(code, "^SQLITE_IOERR") or find(code, "^SQLITE_CANTOPEN")
    or find(code, "^SQLITE_NOMEM")) and true or false
end

--- Locks a queue for a claim with limits; SQLite has one writer.
function engine.lock_queue() return true end

--- Tells other processes; those that use SQLite look for themselves.
function engine.notify() return true end

--- Appended to the choice of runs to claim, and of one that will be changed.
engine.skip_locked, engine.for_update = "", ""

--- A condition on a list that a query finds.
engine.one_of = " IN (%s)"

--- Messages become visible in the order of their numbers.
engine.overlap = 0

return engine
