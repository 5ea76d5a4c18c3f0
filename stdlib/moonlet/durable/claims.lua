--- Which worker has which run: leases, claims, and those of workers that are gone. All times are
-- the database's.
-- @module moonlet.durable.claims

local ipairs, pairs = ipairs, pairs
local floor, max, min = math.floor, math.max, math.min
local concat, sort, unpack = table.concat, table.sort, table.unpack

local ops = require "moonlet.durable.ops"

local claims = {}

local function quote(text) return "'" .. text:gsub("'", "''") .. "'" end

local function keys_in_order(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  sort(keys)
  return keys
end

-- Runs of a workflow that code of these versions may take: new ones, those of its versions, and of
-- older ones unless they are pinned.
local function filter_of(name, versions)
  local numbers = {}
  for number in pairs(versions.all) do numbers[#numbers + 1] = number end
  sort(numbers)
  local form = "(workflow = %s AND (version IS NULL OR version IN (%s)"
    .. " OR (pinned = 0 AND version <= %d)))"
  return form:format(quote(name), concat(numbers, ", "), versions.newest)
end

--- What the workflows of this program mean for its claims.
-- @tparam table workflows name -> {all = {version -> definition}, newest =}
-- @treturn table filter, version, pinned: parts of statements
function claims.conditions(workflows)
  local filters, versions, pins, limits = {}, {}, {}, {}
  for _, name in ipairs(keys_in_order(workflows)) do
    local known = workflows[name]
    filters[#filters + 1] = filter_of(name, known)
    versions[#versions + 1] = ("WHEN %s THEN %d"):format(quote(name), known.newest)
    pins[#pins + 1] = ("WHEN %s THEN %d"):format(quote(name),
      known.all[known.newest].pinned and 1 or 0)
    local limit = known.all[known.newest].timeout
    if limit then limits[#limits + 1] = ("WHEN %s THEN %.3f"):format(quote(name), limit) end
  end
  if #filters == 0 then return nil end
  return {
    filter = "(" .. concat(filters, " OR ") .. ")",
    version = "coalesce(version, CASE workflow " .. concat(versions, " ") .. " END)",
    pinned = "CASE WHEN version IS NULL THEN CASE workflow " .. concat(pins, " ")
      .. " END ELSE pinned END",
    deadline = #limits > 0 and "coalesce(deadline, ? + CASE workflow " .. concat(limits, " ")
      .. " END)" or "coalesce(deadline, NULL + ?)",
  }
end

local READY = " FROM moonlet_runs WHERE status = 'queued' AND queue = ? AND due <= ? AND "

--- Whether a queue has a run that could be claimed.
-- @treturn boolean or nil, message, code
function claims.is_there(db, engine, conditions, queue, now)
  local row, message, code = db:row(engine.sql("SELECT 1 AS one" .. READY .. conditions.filter
    .. " LIMIT 1"), queue, now)
  if code then return nil, message, code end
  return row ~= nil
end

local RETURNS = [[ RETURNING seq, id, workflow, version, queue, priority, key, epoch, input, parent,
  cancel, crashes, created, claimed, deadline, due]]

-- A worker that others think gone takes nothing: nobody would free it.
local function update(conditions, where)
  return "UPDATE moonlet_runs SET status = 'running', epoch = epoch + 1, waits = NULL, worker = ?,"
    .. " claimed = ?, version = " .. conditions.version .. ", pinned = " .. conditions.pinned
    .. ", deadline = " .. conditions.deadline
    .. " WHERE " .. where
    .. " AND EXISTS (SELECT 1 FROM moonlet_workers w WHERE w.id = ? AND w.expires > ?)" .. RETURNS
end

local function take_first(db, engine, conditions, asked)
  local where = "seq" .. engine.one_of:gsub("%%s", function()
    return "SELECT seq" .. READY .. conditions.filter .. " ORDER BY priority, due, seq LIMIT ?"
      .. engine.skip_locked
  end)
  return db:all(engine.sql(update(conditions, where)), asked.worker, asked.now, asked.now,
    asked.queue, asked.now, asked.count, asked.worker, asked.now)
end

local function count_of(tx, engine, text, ...)
  return tx:value(engine.sql("SELECT count(*) FROM moonlet_runs WHERE " .. text), ...)
end

-- How many more runs the limits of a queue let begin; nil, message, code.
local function room(tx, engine, asked, limits)
  local most = asked.count
  if limits.concurrency then
    local busy, message, code =
      count_of(tx, engine, "status = 'running' AND queue = ?", asked.queue)
    if code then return nil, message, code end
    most = min(most, limits.concurrency - busy)
  end
  if limits.rate then
    local begun, message, code = count_of(tx, engine, "queue = ? AND claimed > ?", asked.queue,
      asked.now - limits.rate[2])
    if code then return nil, message, code end
    most = min(most, limits.rate[1] - begun)
  end
  return max(most, 0)
end

-- Candidates whose key still has room: so many are looked at for each that is taken.
local LOOK = 8

-- Keys that have runs in work, and how many. Those that have no room are left out at once, so that
-- their queued runs, however many, cost little and stand before no other key's.
local BUSY = "WITH busy AS (SELECT key, count(*) AS runs FROM moonlet_runs"
  .. " WHERE status = 'running' AND queue = ? AND key IS NOT NULL GROUP BY key) "

local function by_key(tx, engine, conditions, asked, limit)
  local rows, message, code = tx:all(engine.sql(BUSY .. "SELECT seq, key,"
    .. " coalesce((SELECT b.runs FROM busy b WHERE b.key = moonlet_runs.key), 0) AS busy" .. READY
    .. conditions.filter .. " AND (key IS NULL OR key NOT IN (SELECT b.key FROM busy b"
    .. " WHERE b.runs >= ?)) ORDER BY priority, due, seq LIMIT ?"),
    asked.queue, asked.queue, asked.now, limit, asked.count * LOOK)
  if not rows then return nil, message, code end
  local counts, chosen = {}, {}
  for _, row in ipairs(rows) do
    local busy = row.key and (counts[row.key] or row.busy) or 0
    if #chosen < asked.count and (not row.key or busy < limit) then
      chosen[#chosen + 1] = floor(row.seq)
      if row.key then counts[row.key] = busy + 1 end
    end
  end
  return chosen
end

local function take_chosen(tx, engine, conditions, asked, chosen)
  if #chosen == 0 then return {} end
  return tx:all(engine.sql(update(conditions, "seq IN (" .. concat(chosen, ", ")
    .. ") AND status = 'queued'")), asked.worker, asked.now, asked.now, asked.worker, asked.now)
end

local function take_limited(tx, engine, conditions, asked, limits)
  local ok, message, code = engine.lock_queue(tx, asked.queue)
  if not ok then return nil, message, code end
  local count
  count, message, code = room(tx, engine, asked, limits)
  if not count then return nil, message, code end
  if count == 0 then return {} end
  asked.count = count
  if not limits.per_key then return take_first(tx, engine, conditions, asked) end
  local chosen
  chosen, message, code = by_key(tx, engine, conditions, asked, limits.per_key)
  if not chosen then return nil, message, code end
  return take_chosen(tx, engine, conditions, asked, chosen)
end

--- Claims runs of a queue for a worker, the first by priority and time.
-- @tparam table asked worker, queue, now, count
-- @tparam ?table limits concurrency, rate, per_key
-- @treturn {table} rows; or nil, message, code
function claims.take(db, engine, conditions, asked, limits)
  local has_limits = limits and (limits.concurrency or limits.rate or limits.per_key)
  local rows, message, code
  if has_limits then
    rows, message, code = db:transaction(take_limited, engine, conditions, asked, limits)
  else
    rows, message, code = take_first(db, engine, conditions, asked)
  end
  if not rows then return nil, message, code end
  sort(rows, function(a, b)
    if a.priority ~= b.priority then return a.priority < b.priority end
    if a.due ~= b.due then return a.due < b.due end
    return a.seq < b.seq
  end)
  return rows
end

--- Says that a worker is there until a time.
-- @treturn boolean whether it was still known; or nil, message, code
function claims.beat(db, engine, worker, expires)
  local count, message, code = db:execute(engine.sql
    "UPDATE moonlet_workers SET expires = ? WHERE id = ?", expires, worker)
  if not count then return nil, message, code end
  return count == 1
end

--- Makes a worker known.
function claims.enter(db, engine, worker, now, expires)
  return db:execute(engine.sql [[INSERT INTO moonlet_workers (id, started, expires)
    VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires]],
    worker, now, expires)
end

local function leave(tx, engine, worker, now)
  local count, message, code = tx:execute(engine.sql [[UPDATE moonlet_runs SET status = 'queued',
    worker = NULL, due = ? WHERE status = 'running' AND worker = ?]], now, worker)
  if not count then return nil, message, code end
  return tx:execute(engine.sql "DELETE FROM moonlet_workers WHERE id = ?", worker)
end

--- A worker leaves, which has no runs in memory any more: also those go back that it has claimed
-- and not begun, as it was cancelled in between.
function claims.leave(db, engine, worker, now)
  return db:transaction(leave, engine, worker, now)
end

--- Queues again what a worker has claimed by the database, and does not know of: the answer to the
-- claim was lost.
-- @tparam function is_known is_known(id, epoch): whether the worker has that claim
-- @treturn boolean true; or nil, message, code
function claims.give_back(db, engine, worker, now, is_known)
  local rows, message, code = db:all(engine.sql
    "SELECT id, epoch FROM moonlet_runs WHERE status = 'running' AND worker = ?", worker)
  if not rows then return nil, message, code end
  for _, row in ipairs(rows) do
    if not is_known(row.id, row.epoch) then
      local count
      count, message, code = db:execute(engine.sql [[UPDATE moonlet_runs SET status = 'queued',
        worker = NULL, due = ? WHERE id = ? AND epoch = ? AND status = 'running']],
        now, row.id, row.epoch)
      if not count then return nil, message, code end
    end
  end
  return true
end

local GONE = "SELECT id FROM moonlet_workers WHERE expires < ?"

local function free(tx, engine, now, most)
  local rows, message, code = tx:all(engine.sql(GONE .. engine.skip_locked), now)
  if not rows then return nil, message, code end
  local freed = 0
  for _, row in ipairs(rows) do
    local count
    count, message, code = tx:execute(engine.sql [[UPDATE moonlet_runs SET status = 'queued',
      worker = NULL, due = ?, crashes = crashes + 1 WHERE status = 'running' AND worker = ?]],
      now, row.id)
    if not count then return nil, message, code end
    freed = freed + count
    tx:execute(engine.sql "DELETE FROM moonlet_workers WHERE id = ?", row.id)
  end
  local count
  count, message, code = tx:execute(engine.sql [[UPDATE moonlet_runs SET status = 'failed',
    code = 'ECRASHED', message = 'its workers ended again and again', ended = ?
    WHERE status = 'queued' AND crashes > ?]], now, most)
  if not count then return nil, message, code end
  return freed
end

--- Wakes suspended runs for which something came at the very moment when they were suspended.
-- @treturn integer runs; or nil, message, code
function claims.sweep(db, engine, now)
  return db:execute(engine.sql("UPDATE moonlet_runs SET due = ? WHERE status = 'queued'"
    .. " AND waits IS NOT NULL AND due > ? AND (" .. ops.is_woken("moonlet_runs.id") .. ")"),
    now, now)
end

--- Queues again what workers had that are gone.
-- @tparam integer most of how many such ends a run survives
-- @treturn integer runs; or nil, message, code
function claims.reap(db, engine, now, most)
  local row, message, code = db:row(engine.sql(GONE .. " LIMIT 1"), now)
  if code then return nil, message, code end
  if not row then return 0 end
  return db:transaction(free, engine, now, most)
end

--- Steps that runs have remembered: run -> key -> record.
-- @tparam {string} ids
-- @treturn table or nil, message, code
function claims.histories(db, engine, ids)
  local histories = {}
  for first = 1, #ids, 100 do
    local last = min(#ids, first + 99)
    local marks = ("?, "):rep(last - first) .. "?"
    local rows, message, code = db:all(engine.sql("SELECT * FROM moonlet_steps WHERE run IN ("
      .. marks .. ") ORDER BY run, seq"), unpack(ids, first, last))
    if not rows then return nil, message, code end
    for _, row in ipairs(rows) do
      local history = histories[row.run] or {}
      histories[row.run] = history
      history[#history + 1] = row
      row.run = nil
    end
  end
  return histories
end

return claims
