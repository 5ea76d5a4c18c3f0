--- The tables of durable runs, and how older ones become these. An old worker goes on beside newer
-- tables as long as they say that it may.
-- @module moonlet.durable.schema

local ipairs = ipairs

local schema = {}

-- Each list leads to the version of its index. `reads`: the oldest code that may use the tables
-- from then on. $BYTES, $REAL, $SERIAL: types of the engine.
local MIGRATIONS = {
  {
    reads = 1,
    [[CREATE TABLE moonlet_runs (
      seq $SERIAL, id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, version INTEGER,
      pinned INTEGER NOT NULL DEFAULT 0, queue TEXT NOT NULL, priority INTEGER NOT NULL DEFAULT 0,
      key TEXT, dedup TEXT, status TEXT NOT NULL, due $REAL NOT NULL,
      epoch INTEGER NOT NULL DEFAULT 0, worker TEXT, waits TEXT, input $BYTES, output $BYTES,
      message TEXT, code TEXT, parent TEXT, cancel TEXT, crashes INTEGER NOT NULL DEFAULT 0,
      created $REAL NOT NULL, claimed $REAL, deadline $REAL, ended $REAL)]],
    [[CREATE INDEX moonlet_runs_queued ON moonlet_runs (queue, priority, due, seq)
      WHERE status = 'queued']],
    "CREATE INDEX moonlet_runs_running ON moonlet_runs (worker) WHERE status = 'running'",
    "CREATE INDEX moonlet_runs_busy ON moonlet_runs (queue, key) WHERE status = 'running'",
    "CREATE INDEX moonlet_runs_claimed ON moonlet_runs (queue, claimed)",
    "CREATE INDEX moonlet_runs_parent ON moonlet_runs (parent) WHERE parent IS NOT NULL",
    [[CREATE UNIQUE INDEX moonlet_runs_dedup ON moonlet_runs (queue, dedup)
      WHERE dedup IS NOT NULL AND status IN ('queued', 'running')]],
    [[CREATE INDEX moonlet_runs_cancel ON moonlet_runs (worker)
      WHERE cancel IS NOT NULL AND status = 'running']],
    [[CREATE TABLE moonlet_steps (
      run TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
      state TEXT NOT NULL, value $BYTES, args $BYTES, attempt INTEGER, due $REAL, ref BIGINT,
      name TEXT, began $REAL, ended $REAL, PRIMARY KEY (run, key)) $WITHOUT]],
    "CREATE UNIQUE INDEX moonlet_steps_ref ON moonlet_steps (run, ref) WHERE ref IS NOT NULL",
    "CREATE INDEX moonlet_steps_waiting ON moonlet_steps (kind, name) WHERE state = 'waiting'",
    [[CREATE TABLE moonlet_messages (
      seq $SERIAL, run TEXT NOT NULL, topic TEXT NOT NULL, value $BYTES, sent $REAL NOT NULL)]],
    "CREATE INDEX moonlet_messages_run ON moonlet_messages (run, topic, seq)",
    [[CREATE TABLE moonlet_events (
      seq $SERIAL, name TEXT NOT NULL UNIQUE, value $BYTES, emitted $REAL NOT NULL)]],
    [[CREATE TABLE moonlet_workers (
      id TEXT PRIMARY KEY, started $REAL NOT NULL, expires $REAL NOT NULL)]],
    "CREATE TABLE moonlet_queues (name TEXT PRIMARY KEY, claims BIGINT NOT NULL)",
    [[CREATE TABLE moonlet_schedules (
      name TEXT PRIMARY KEY, cron TEXT NOT NULL, tz TEXT NOT NULL, workflow TEXT NOT NULL,
      last $REAL NOT NULL)]],
  },
}

--- The version that this code writes.
schema.VERSION = #MIGRATIONS

local function numbers(db)
  local rows, message, code = db:all "SELECT name, value FROM moonlet_meta"
  if not rows then return nil, message, code end
  local found = {}
  for _, row in ipairs(rows) do found[row.name] = row.value end
  return found
end

--- Whether this code may use the tables as they are.
-- @treturn boolean true; or nil, message, code
function schema.check(db)
  local found, message, code = numbers(db)
  if not found then return nil, message, code end
  if (found.reads or 0) <= schema.VERSION then return true end
  return nil, ("the tables are of version %d, for moonlets that know version %d; this one knows %d")
    :format(found.version, found.reads, schema.VERSION), "EVERSION"
end

local function fill_in(engine, statement)
  return (statement:gsub("%$(%u+)", engine.types))
end

local function migrate(tx, engine)
  engine.lock_schema(tx)
  local found, message, code = numbers(tx)
  if not found then return nil, message, code end
  for version = (found.version or 0) + 1, schema.VERSION do
    for _, statement in ipairs(MIGRATIONS[version]) do
      local ok
      ok, message, code = tx:execute(fill_in(engine, statement))
      if not ok then return nil, message, code end
    end
    for name, value in engine.pairs { version = version, reads = MIGRATIONS[version].reads } do
      tx:execute(engine.sql [[INSERT INTO moonlet_meta (name, value) VALUES (?, ?)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value]], name, value)
    end
  end
  return true
end

--- Makes the tables what this code needs, in one transaction; newer ones stay as they are.
-- @treturn boolean true; or nil, message, code: "EVERSION", they are too new
function schema.prepare(db, engine)
  local made, message, code = engine.create_meta(db)
  if not made then return nil, message, code end
  local found
  found, message, code = numbers(db)
  if not found then return nil, message, code end
  if (found.version or 0) < schema.VERSION then
    local ok
    ok, message, code = db:transaction(migrate, engine)
    if not ok then return nil, message, code end
  end
  return schema.check(db)
end

--- Takes the tables as they are.
-- @treturn boolean true; or nil, message, code: "ENOENT", there are none; "EVERSION", too new
function schema.find(db, engine)
  local count, message, code = engine.has_tables(db)
  if not count then return nil, message, code end
  if count == 0 then return nil, "the database has no durable runs", "ENOENT" end
  return schema.check(db)
end

return schema
