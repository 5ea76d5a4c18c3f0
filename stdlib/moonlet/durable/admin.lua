--- Looking at runs, and what can be done to them from outside.
-- @submodule moonlet.durable

local ipairs, tostring = ipairs, tostring
local concat, unpack = table.concat, table.unpack

local argument = require "moonlet.argument"
local encoding = require "moonlet.durable.encoding"
local failure = require "moonlet.durable.failure"
local handles = require "moonlet.durable.handles"
local identity = require "moonlet.durable.identity"
local keys = require "moonlet.durable.keys"

local Durable = {}
Durable.__index = Durable
Durable.__name = "durable.durable"

-- What moonlet's own modules call; each database has these functions as fields.
local internal = {}

-- A run was claimed so many seconds after it could have been.
function internal:observe_claim(seconds)
  self.counts.waited = self.counts.waited + seconds
end

-- So often is tried what the database has ended, as it and another transaction waited for each
-- other.
local TRIES = 5

local CONFLICTS = { ["40001"] = true, ["40P01"] = true }

-- Does something that writes, with the engine's statement.
local function write(self, fn)
  local first, second, third
  for _ = 1, TRIES do
    first, second, third = self.writer:alone(self.db.transaction, self.db, fn)
    if not CONFLICTS[third] then break end
  end
  return first, second, third
end

--- Sends a message to a run, which gets it with `ctx:receive`.
-- @tparam string id of the run
-- @tparam string topic
-- @param value
-- @treturn boolean true; or nil, message, code: "ENOENT", "CLOSED" if the run has ended
function Durable:send(id, topic, value)
  argument.self(self, Durable, "send")
  argument.string(id, 1, "send")
  argument.string(topic, 2, "send")
  local engine, now, bytes = self.engine, self:now(), encoding.pack(value)
  local ok, message, code = write(self, function(tx)
    local row, text, failed = tx:row(engine.sql(
      "SELECT status FROM moonlet_runs WHERE id = ?" .. engine.for_update), id)
    if failed then return nil, text, failed end
    if not row then return nil, "there is no such run", "ENOENT" end
    if row.status ~= "queued" and row.status ~= "running" then
      return nil, "the run has ended", "CLOSED"
    end
    local count
    count, text, failed = tx:execute(engine.sql [[INSERT INTO moonlet_messages
      (run, topic, value, sent) VALUES (?, ?, ?, ?)]], id, topic, engine.bytes(bytes), now)
    if not count then return nil, text, failed end
    count, text, failed = tx:execute(engine.sql [[UPDATE moonlet_runs SET due = ? WHERE id = ?
      AND status = 'queued' AND waits IS NOT NULL AND due > ?]], now, id, now)
    if not count then return nil, text, failed end
    return true
  end)
  if not ok then return nil, message, code end
  self.signals:set("m:" .. id .. ":" .. topic)
  if self.worker then self.worker:wake() end
  self.engine.notify(self, self.db, "m")
  return true
end

--- Makes an event known to all that wait for it with `ctx:await`, now or later. The first value
-- stays.
-- @tparam string event
-- @param value
-- @treturn boolean true; or nil, message, code: "EEXIST", it is known already
function Durable:emit(event, value)
  argument.self(self, Durable, "emit")
  argument.string(event, 1, "emit")
  local engine, now, bytes = self.engine, self:now(), encoding.pack(value)
  local ok, message, code = write(self, function(tx)
    local count, text, failed = tx:execute(engine.sql [[INSERT INTO moonlet_events
      (name, value, emitted) VALUES (?, ?, ?) ON CONFLICT DO NOTHING]],
      event, engine.bytes(bytes), now)
    if not count then return nil, text, failed end
    if count == 0 then return nil, "the event is known already", "EEXIST" end
    count, text, failed = tx:execute(engine.sql [[UPDATE moonlet_runs SET due = ?
      WHERE status = 'queued' AND waits IS NOT NULL AND due > ? AND id IN (SELECT run
      FROM moonlet_steps WHERE kind = 'await' AND state = 'waiting' AND name = ?)]],
      now, now, event)
    if not count then return nil, text, failed end
    return true
  end)
  if not ok then return nil, message, code end
  self.signals:set("e:" .. event)
  if self.worker then self.worker:wake() end
  self.engine.notify(self, self.db, "m")
  return true
end

local COLUMNS = [[id, workflow, version, queue, priority, key, status, due, epoch, worker, waits,
  message, code, parent, cancel, crashes, created, claimed, ended]]

-- "waiting" is a run that has left memory until something happens.
local function dress(row)
  if row.status == "queued" and row.waits then row.status = "waiting" end
  return row
end

-- What `list` takes: those of runs that are queued are told apart.
local STATUSES = {
  queued = true, waiting = true, running = true, done = true, failed = true, cancelled = true,
}

local LIST_OPTIONS = { workflow = true, status = true, queue = true, limit = true, before = true }

--- Lists runs, the newest first.
-- @tparam[opt] table opts
-- @tparam[opt] string opts.workflow
-- @tparam[opt] string opts.status "queued", "waiting", "running", "done", "failed" or "cancelled"
-- @tparam[opt] string opts.queue
-- @tparam[opt=100] integer opts.limit
-- @tparam[opt] integer opts.before the `seq` of the last run of the page before
-- @treturn {table} `id seq workflow version queue status due created claimed ended message code`
-- and more; or nil, message, code
function Durable:list(opts)
  argument.self(self, Durable, "list")
  opts = opts or {}
  argument.options(opts, 1, "list", LIST_OPTIONS)
  argument.count(opts.limit, 1, "list", "option 'limit'")
  argument.check(opts.status == nil or STATUSES[opts.status], 1, "list",
    "there is no status '" .. tostring(opts.status) .. "'")
  local where, list = { "1 = 1" }, {}
  for _, name in ipairs { "workflow", "queue" } do
    if opts[name] then
      where[#where + 1], list[#list + 1] = name .. " = ?", opts[name]
    end
  end
  if opts.status then
    local is_waiting = opts.status == "waiting"
    where[#where + 1], list[#list + 1] = "status = ?", is_waiting and "queued" or opts.status
    if opts.status == "queued" then where[#where + 1] = "waits IS NULL" end
    if is_waiting then where[#where + 1] = "waits IS NOT NULL" end
  end
  if opts.before then where[#where + 1], list[#list + 1] = "seq < ?", opts.before end
  list[#list + 1] = opts.limit or 100
  local rows, message, code = self.db:all(self.engine.sql("SELECT seq, " .. COLUMNS
    .. " FROM moonlet_runs WHERE " .. concat(where, " AND ") .. " ORDER BY seq DESC LIMIT ?"),
    unpack(list))
  if not rows then return nil, message, code end
  for _, row in ipairs(rows) do dress(row) end
  return rows
end

local function read_values(record)
  if record.state == "failed" and record.value then
    local _, message, code = failure.read(record.value)
    record.message, record.code = message, code
  elseif record.state == "done" and record.value then
    record.result = encoding.read(record.value)
  end
  record.value, record.args, record.run = nil, nil, nil
  return record
end

--- All about one run: as in `list`, with `input`, `result` (a list) and `steps`: `key kind state
-- attempt began ended result message code`, in their order.
-- @tparam string id
-- @treturn table or nil, message, code
function Durable:get(id)
  argument.self(self, Durable, "get")
  argument.string(id, 1, "get")
  local row, message, code = self.db:row(self.engine.sql("SELECT seq, input, output, " .. COLUMNS
    .. " FROM moonlet_runs WHERE id = ?"), id)
  if code then return nil, message, code end
  if not row then return nil, "there is no such run", "ENOENT" end
  local steps
  steps, message, code = self.db:all(self.engine.sql
    "SELECT * FROM moonlet_steps WHERE run = ? ORDER BY seq", id)
  if not steps then return nil, message, code end
  for _, record in ipairs(steps) do read_values(record) end
  row.steps, row.input = steps, encoding.unpack(row.input)
  if row.status == "done" then row.result = encoding.read(row.output) end
  row.output = nil
  return dress(row)
end

-- Runs below a run, and itself.
local BELOW = [[WITH RECURSIVE below (id) AS (SELECT CAST(? AS TEXT) UNION SELECT r.id
  FROM moonlet_runs r JOIN below b ON r.parent = b.id) ]]

-- Marks a run and its children as cancelled.
function internal:cancel_with(id, reason)
  local engine, now = self.engine, self:now()
  return write(self, function(tx)
    local count, message, code = tx:execute(engine.sql(BELOW .. [[UPDATE moonlet_runs
      SET status = 'cancelled', cancel = ?, message = ?, code = 'ECANCELED', ended = ?
      WHERE status = 'queued' AND epoch = 0 AND id IN (SELECT id FROM below)]]),
      id, reason, reason, now)
    if not count then return nil, message, code end
    local more
    more, message, code = tx:execute(engine.sql(BELOW .. [[UPDATE moonlet_runs
      SET cancel = coalesce(cancel, ?), due = CASE WHEN due > ? THEN ? ELSE due END
      WHERE status IN ('queued', 'running') AND id IN (SELECT id FROM below)]]),
      id, reason, now, now)
    if not more then return nil, message, code end
    return count + more
  end)
end

--- Cancels a run and its children: its task is cancelled, `<close>` runs, then what it gave to
-- `ctx:cleanup`. Returns at once.
-- @tparam string id
-- @tparam[opt="cancelled"] string reason
-- @treturn boolean true; or nil, message, code: "ENOENT", "CLOSED" if the run has ended
function Durable:cancel(id, reason)
  argument.self(self, Durable, "cancel")
  argument.string(id, 1, "cancel")
  if reason ~= nil then argument.string(reason, 2, "cancel") end
  local count, message, code = self:cancel_with(id, reason or "cancelled")
  if not count then return nil, message, code end
  if count == 0 then
    local row
    row, message, code = self.db:row(self.engine.sql
      "SELECT id FROM moonlet_runs WHERE id = ?", id)
    if code then return nil, message, code end
    if not row then return nil, "there is no such run", "ENOENT" end
    return nil, "the run has ended", "CLOSED"
  end
  self.signals:set("r:" .. id)
  if self.worker then
    self.worker:cancel(id, reason or "cancelled")
    self.worker:wake()
  end
  self.engine.notify(self, self.db, "m")
  return true
end

-- Of each branch the last record, if it is a failure: these steps run again.
local function failures_of(steps)
  local last, list = {}, {}
  for _, record in ipairs(steps) do last[keys.path_of(record.key)] = record end
  for _, record in ipairs(steps) do
    if last[keys.path_of(record.key)] == record and record.state == "failed" then
      list[#list + 1] = record.key
    end
  end
  return list
end

local function retry(tx, self, id)
  local engine = self.engine
  local steps, message, code = tx:all(engine.sql
    "SELECT key, state FROM moonlet_steps WHERE run = ? ORDER BY seq", id)
  if not steps then return nil, message, code end
  for _, key in ipairs(failures_of(steps)) do
    local ok
    ok, message, code = tx:execute(engine.sql
      "DELETE FROM moonlet_steps WHERE run = ? AND key = ?", id, key)
    if not ok then return nil, message, code end
  end
  local count
  count, message, code = tx:execute(engine.sql [[UPDATE moonlet_runs SET status = 'queued',
    due = ?, output = NULL, message = NULL, code = NULL, ended = NULL, cancel = NULL, crashes = 0,
    deadline = NULL, waits = NULL WHERE id = ? AND status IN ('failed', 'cancelled')]],
    self:now(), id)
  if not count then return nil, message, code end
  if count == 0 then return nil, "no such run has failed", "ENOENT" end
  return true
end

--- Has a run that failed or was cancelled go on: the last step of each branch runs again if it
-- failed.
-- @tparam string id
-- @treturn boolean true; or nil, message, code
function Durable:retry(id)
  argument.self(self, Durable, "retry")
  argument.string(id, 1, "retry")
  local ok, message, code = write(self, function(tx) return retry(tx, self, id) end)
  if not ok then return nil, message, code end
  if self.worker then self.worker:wake() end
  self.engine.notify(self, self.db, "q")
  return true
end

local function fork(tx, self, id, step, new_id)
  local engine, now = self.engine, self:now()
  local from, message, code = tx:row(engine.sql
    "SELECT seq FROM moonlet_steps WHERE run = ? AND key = ?", id, step)
  if code then return nil, message, code end
  if not from then return nil, ("the run has no step '%s'"):format(step), "ENOENT" end
  local count
  count, message, code = tx:execute(engine.sql [[INSERT INTO moonlet_runs (id, workflow, version,
    pinned, queue, priority, key, status, due, epoch, input, created)
    SELECT ?, workflow, version, pinned, queue, priority, key, 'queued', ?, 1, input, ?
    FROM moonlet_runs WHERE id = ?]], new_id, now, now, id)
  if not count then return nil, message, code end
  count, message, code = tx:execute(engine.sql [[INSERT INTO moonlet_steps (run, key, seq, kind,
    state, value, args, attempt, due, name, began, ended) SELECT ?, key, seq, kind, state, value,
    args, attempt, due, name, began, ended FROM moonlet_steps
    WHERE run = ? AND seq < ? AND state IN ('done', 'failed')]], new_id, id, from.seq)
  if not count then return nil, message, code end
  return true
end

--- Starts a run anew from one of its steps: what was remembered before it is copied.
-- @tparam string id
-- @tparam string step its key, as `get` shows it
-- @treturn DurableRun or nil, message, code
function Durable:fork(id, step)
  argument.self(self, Durable, "fork")
  argument.string(id, 1, "fork")
  argument.string(step, 2, "fork")
  local new_id = identity.new(self:now())
  local ok, message, code = write(self, function(tx) return fork(tx, self, id, step, new_id) end)
  if not ok then return nil, message, code end
  if self.worker then self.worker:wake() end
  self.engine.notify(self, self.db, "q")
  return handles.new(self, new_id)
end

local PRUNE_OPTIONS = { status = true, workflow = true, queue = true }

-- So many runs are removed by one transaction: others write between two.
local PRUNED = 200

-- Ended runs, but for children whose parent may still ask for their results.
local OLD = [[SELECT id FROM moonlet_runs WHERE ended < ? AND status IN (%s)%s AND (parent IS NULL
  OR NOT EXISTS (SELECT 1 FROM moonlet_runs p WHERE p.id = moonlet_runs.parent
  AND p.status IN ('queued', 'running'))) ORDER BY seq LIMIT ]] .. PRUNED

local ENDED = { done = "'done'", failed = "'failed'", cancelled = "'cancelled'" }

local function remove_runs(tx, engine, statement, parameters)
  local rows, message, code = tx:all(engine.sql(statement), unpack(parameters))
  if not rows then return nil, message, code end
  for _, row in ipairs(rows) do
    for _, from in ipairs { "moonlet_steps WHERE run = ?", "moonlet_messages WHERE run = ?",
      "moonlet_runs WHERE id = ?" } do
      local ok
      ok, message, code = tx:execute(engine.sql("DELETE FROM " .. from), row.id)
      if not ok then return nil, message, code end
    end
  end
  return #rows
end

--- Removes runs that have ended, with their steps and messages; those that failed stay unless
-- `status` says so, and children stay as long as their parents. An `id` may then be used again.
-- @tparam number seconds how long ago they ended, at least
-- @tparam[opt] table opts
-- @tparam[opt] string opts.status "done", "failed" or "cancelled"; without it "done" and
-- "cancelled"
-- @tparam[opt] string opts.workflow
-- @tparam[opt] string opts.queue
-- @treturn integer how many; or nil, message, code
function Durable:prune(seconds, opts)
  argument.self(self, Durable, "prune")
  argument.number(seconds, 1, "prune")
  argument.check(seconds >= 0, 1, "prune", "must not be negative")
  opts = opts or {}
  argument.options(opts, 2, "prune", PRUNE_OPTIONS)
  argument.check(opts.status == nil or ENDED[opts.status], 2, "prune",
    "option 'status' must be \"done\", \"failed\" or \"cancelled\"")
  local where, parameters = "", { self:now() - seconds }
  for _, name in ipairs { "workflow", "queue" } do
    if opts[name] then
      where, parameters[#parameters + 1] = where .. " AND " .. name .. " = ?", opts[name]
    end
  end
  local statement = OLD:format(ENDED[opts.status] or "'done', 'cancelled'", where)
  local total = 0
  repeat
    local count, message, code = write(self, function(tx)
      return remove_runs(tx, self.engine, statement, parameters)
    end)
    if not count then return nil, message, code end
    total = total + count
  until count < PRUNED
  return total
end

return { class = Durable, internal = internal, statuses = STATUSES }
