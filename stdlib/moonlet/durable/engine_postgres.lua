--- Where PostgreSQL differs from other databases, for durable runs.
-- @module moonlet.durable.engine_postgres

local pairs, require = pairs, require
local find, rep = string.find, string.rep
local concat = table.concat

local task = require "moonlet.task"

local engine = { name = "postgres", pairs = pairs }

engine.types = {
  BYTES = "BYTEA", REAL = "DOUBLE PRECISION", SERIAL = "BIGSERIAL PRIMARY KEY", WITHOUT = "",
}

local TYPES = { text = "text", integer = "bigint", real = "double precision", bytes = "bytea" }

--- Opens the database.
-- @treturn Database or nil, message, code
function engine.open(address, opts)
  return require("moonlet.postgres").open(address, opts)
end

-- Statements by their text with `?`.
local made, count = {}, 0

--- A statement with `?` for each parameter, as the engine wants it.
function engine.sql(text)
  local found = made[text]
  if found then return found end
  local number = 0
  found = text:gsub("%?", function()
    number = number + 1
    return "$" .. number
  end)
  if count == 500 then made, count = {}, 0 end
  made[text], count = found, count + 1
  return found
end

--- Binary strings as parameters.
engine.bytes = require("moonlet.sql").bytes

-- Of the lock under which tables are made: "moonlet" as a number.
local LOCK = "SELECT pg_advisory_xact_lock(7885837398)"

--- The table of control numbers, if it is missing.
function engine.create_meta(db)
  return db:transaction(function(tx)
    local ok, message, code = tx:execute(LOCK)
    if not ok then return nil, message, code end
    return tx:execute [[CREATE TABLE IF NOT EXISTS moonlet_meta
      (name TEXT PRIMARY KEY, value INTEGER NOT NULL)]]
  end)
end

--- 1 if there are tables of durable runs, else 0; or nil, message, code.
function engine.has_tables(db)
  return db:value "SELECT CASE WHEN to_regclass('moonlet_meta') IS NULL THEN 0 ELSE 1 END"
end

--- Keeps others from migrating.
function engine.lock_schema(tx) return tx:execute(LOCK) end

--- The clock of the database, in seconds since 1970.
engine.clock = "SELECT extract(epoch FROM clock_timestamp())::double precision AS now"

--- So many rows are written by one statement, and statements are made for these numbers only.
engine.sizes = { 1, 8, 64, 256 }

--- A table of parameters, as `v`, with columns column1, column2...
-- @tparam integer rows
-- @tparam {string} types of the columns: "text", "integer", "real", "bytes"
function engine.values(rows, types)
  local marks = {}
  for i = 1, #types do marks[i] = "?::" .. TYPES[types[i]] end
  local row = "(" .. concat(marks, ", ") .. ")"
  return "(VALUES " .. rep(row, rows, ", ") .. ") AS v"
end

-- Classes of SQLSTATE that may pass: connections, resources, conflicts, shutdowns, disks.
local TRANSIENT = {
  ["08"] = true, ["53"] = true, ["40"] = true, ["57"] = true, ["55"] = true, ["58"] = true,
}

-- Others: a server that only reads, and transactions that took too long for it.
local PASSING = { CLOSED = true, ["25006"] = true, ["25P03"] = true, ["25P04"] = true }

--- Whether a failed write may succeed later: also when another server has become the first.
function engine.is_transient(code)
  if PASSING[code] then return true end
  if find(code, "^E%u") then return code ~= "EVERSION" and code ~= "EFAILED" end
  return TRANSIENT[code:sub(1, 2)] or false
end

--- Locks a queue for a claim with limits.
function engine.lock_queue(tx, queue)
  local ok, message, code = tx:execute([[INSERT INTO moonlet_queues (name, claims) VALUES ($1, 0)
    ON CONFLICT DO NOTHING]], queue)
  if not ok then return nil, message, code end
  return tx:execute("UPDATE moonlet_queues SET claims = claims + 1 WHERE name = $1", queue)
end

local CHANNEL = "moonlet_durable"

-- Tells other processes shortly: many tellings become one.
local PAUSE = 0.005

local function tell(d)
  task.sleep(PAUSE)
  d.is_telling = false
  if not d.writer.is_closed then d.db:execute("SELECT pg_notify($1, $2)", CHANNEL, "") end
end

--- Tells other processes that there is something to look for.
function engine.notify(d, db)
  if db ~= d.db then return db:execute("SELECT pg_notify($1, $2)", CHANNEL, "") end
  if not d.is_telling then
    d.is_telling = true
    task.spawn({ daemon = true, name = "durable notify" }, tell, d)
  end
  return true
end

-- Until another attempt at listening, in seconds.
local AGAIN = 1

--- Calls fn() whenever another process tells, until the task is cancelled.
function engine.listen(d, fn)
  while true do
    local listener <close> = d.db:listen(CHANNEL)
    while listener and listener:next() do fn() end
    task.sleep(AGAIN)
  end
end

--- Messages may become visible in another order than that of their numbers: so many are looked at
-- again.
engine.overlap = 500

--- Appended to the choice of runs to claim, and of one that will be changed.
engine.skip_locked, engine.for_update = " FOR UPDATE SKIP LOCKED", " FOR UPDATE"

--- A condition on a list that a query finds, once.
engine.one_of = " = ANY(ARRAY(%s))"

return engine
