--- Durable tasks: workflows that survive crashes, and go on on another machine.
--
-- A workflow is a function whose named steps are remembered in a database. After a crash it is
-- called again, and what it has done comes back without running.
-- @module moonlet.durable

local error, ipairs, pairs, require = error, ipairs, pairs, require
local setmetatable, type, warn = setmetatable, type, warn
local huge = math.huge
local math_type = math.type
local find = string.find

local argument = require "moonlet.argument"
local cron = require "moonlet.durable.cron"
local encoding = require "moonlet.durable.encoding"
local handles = require "moonlet.durable.handles"
local identity = require "moonlet.durable.identity"
local metrics = require "moonlet.durable.metrics"
local ops = require "moonlet.durable.ops"
local policy = require "moonlet.durable.policy"
local claims = require "moonlet.durable.claims"
local schema = require "moonlet.durable.schema"
local signals = require "moonlet.durable.signals"
local task = require "moonlet.task"
local worker = require "moonlet.durable.worker"
local writer = require "moonlet.durable.writer"
local zone = require "moonlet.durable.zone"
require "moonlet.durable.step"
require "moonlet.durable.values"
require "moonlet.durable.branches"

local durable = {}

--- A database of durable runs. `<close>` closes it.
-- @object Durable
-- @tfield Database db the database: `moonlet.sqlite` or `moonlet.postgres`
local admin = require "moonlet.durable.admin"
local Durable, internal = admin.class, admin.internal

local OPTIONS = { lease = true, recoveries = true, name = true, db = true, create = true }

-- A worker that is not heard of for so long has ended, in seconds.
local LEASE = 10

-- So often may the workers of a run end before it is given up.
local RECOVERIES = 20

local function engine_for(address)
  if find(address, "^postgres") then return require "moonlet.durable.engine_postgres" end
  return require "moonlet.durable.engine_sqlite"
end

local function new(db, engine, opts)
  local self = setmetatable({
    db = db, engine = engine, lease = opts.lease or LEASE, workflows = {}, queues = {},
    schedules = {}, recoveries = opts.recoveries or RECOVERIES, signals = signals.new(),
    offset = 0,
  }, Durable)
  for name, fn in pairs(internal) do self[name] = fn end
  self.counts = metrics.counts(self)
  self.writer = writer.new(db, engine, function(message)
    warn(("durable: the database refuses to write: %s\n"):format(message))
  end)
  return self
end

--- Opens a database of durable runs, and makes its tables if they are missing. Waits.
-- @tparam string address a file for SQLite, or `postgres://...`
-- @tparam[opt] table opts
-- @tparam[opt=10] number opts.lease seconds after which a worker that is not heard of has lost its
-- runs
-- @tparam[opt=20] integer opts.recoveries so often may workers end under a run before it fails with
-- "ECRASHED"
-- @tparam[opt] table opts.db options for `sqlite.open` or `postgres.open`
-- @tparam[opt=true] boolean opts.create false: tables are neither made nor changed, to look at runs
-- of other programs
-- @treturn Durable or nil, message, code: "EVERSION", the tables are for a newer moonlet;
-- "ENOENT", there are none (with `create = false`)
function durable.open(address, opts)
  argument.string(address, 1, "open")
  if opts ~= nil then argument.options(opts, 2, "open", OPTIONS) end
  opts = opts or {}
  if opts.lease ~= nil then
    argument.number(opts.lease, 2, "open")
    argument.check(opts.lease > 0, 2, "open", "option 'lease' must be positive")
  end
  argument.count(opts.recoveries, 2, "open", "option 'recoveries'")
  local engine = engine_for(address)
  local db, message, code = engine.open(address, opts.db)
  if not db then return nil, message, code end
  local ok
  local prepare = opts.create == false and schema.find or schema.prepare
  ok, message, code = prepare(db, engine)
  local self = ok and new(db, engine, opts)
  if ok then ok, message, code = self:read_clock() end
  if not ok then
    db:close()
    return nil, message, code
  end
  self.id = identity.new(self:now())
  return self
end

-- ---- clocks ----

-- The time of the database, in seconds since 1970: its clock is read now and then, and this
-- process' own says how long ago that was.
function internal:now() return task.now() + self.offset end

-- Reads the database's clock; nil, message, code.
function internal:read_clock()
  if self.is_virtual then return true end
  local before = task.now()
  local row, message, code = self.db:row(self.engine.clock)
  if not row then return nil, message, code end
  self.offset = row.now - (before + task.now()) / 2
  return true
end

-- Whether the tables have become too new for this code.
function internal:is_too_old()
  local _, _, code = schema.check(self.db)
  return code == "EVERSION"
end

-- ---- what a program can do ----

local WORKFLOW_OPTIONS = {
  version = true, pinned = true, retry = true, timeout = true, hold = true,
}

local function check_name(name, position, called)
  argument.string(name, position, called)
  argument.check(name ~= "" and not find(name, "%c"), position, called,
    "must not be empty nor have control characters")
end

local function check_positive(options, name, position, called)
  local value = options[name]
  if value ~= nil then
    argument.check(type(value) == "number" and value > 0, position, called,
      ("option '%s' must be a positive number"):format(name))
  end
end

--- Makes a workflow known. Several versions may be known: a run goes on with the one that began
-- it; if that is gone, with the newest, unless it is pinned.
-- @tparam string name
-- @tparam[opt] table opts
-- @tparam[opt=1] integer opts.version
-- @tparam[opt] boolean opts.pinned runs wait for code of the version that began them
-- @param[opt] opts.retry how its steps are retried; see `Context:step`
-- @tparam[opt] number opts.timeout seconds from the first claim, then it is cancelled and fails
-- with "EDEADLINE"
-- @tparam[opt] number opts.hold a run that waits longer than so many seconds leaves memory
-- meanwhile
-- @tparam function fn called with a Context and the input; its results are those of the run
function Durable:workflow(name, opts, fn)
  argument.self(self, Durable, "workflow")
  check_name(name, 1, "workflow")
  if argument.is_callable(opts) and fn == nil then opts, fn = {}, opts end
  opts = opts or {}
  argument.options(opts, 2, "workflow", WORKFLOW_OPTIONS)
  argument.callable(fn, 3, "workflow")
  argument.count(opts.version, 2, "workflow", "option 'version'")
  check_positive(opts, "timeout", 2, "workflow")
  check_positive(opts, "hold", 2, "workflow")
  local known = self.workflows[name] or { all = {}, newest = 0 }
  local version = opts.version or 1
  known.all[version] = {
    fn = fn, version = version, pinned = opts.pinned, timeout = opts.timeout, hold = opts.hold,
    retry = opts.retry ~= nil and policy.read(opts.retry) or nil,
  }
  if version > known.newest then known.newest = version end
  self.workflows[name], self.claim_conditions = known, nil
  if self.worker then self.worker:wake() end
end

-- The code for a run; version: the one that began it.
function internal:definition_of(name, version)
  local known = self.workflows[name]
  return known.all[version] or known.all[known.newest]
end

-- What the known workflows mean for claims.
function internal:conditions()
  if not self.claim_conditions then self.claim_conditions = claims.conditions(self.workflows) end
  return self.claim_conditions
end

local QUEUE_OPTIONS = { concurrency = true, per_worker = true, per_key = true, rate = true }

--- Makes a queue known, with its limits; workers of one queue must agree on them. Without limits a
-- queue needs no call.
-- @tparam string name
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.concurrency runs at a time, on all workers
-- @tparam[opt] integer opts.per_worker runs at a time on each worker
-- @tparam[opt] integer opts.per_key runs at a time with the same `key`
-- @tparam[opt] {number} opts.rate `{n, s}`: at most n runs begin within s seconds
function Durable:queue(name, opts)
  argument.self(self, Durable, "queue")
  check_name(name, 1, "queue")
  opts = opts or {}
  argument.options(opts, 2, "queue", QUEUE_OPTIONS)
  for _, option in ipairs { "concurrency", "per_worker", "per_key" } do
    argument.count(opts[option], 2, "queue", ("option '%s'"):format(option))
  end
  local rate = opts.rate
  if rate ~= nil then
    argument.check(type(rate) == "table" and math_type(rate[1]) == "integer" and rate[1] > 0
      and type(rate[2]) == "number" and rate[2] > 0, 2, "queue",
      "option 'rate' must be {n, seconds}")
  end
  local limits = {}
  for key, value in pairs(opts) do limits[key] = value end
  self.queues[name] = limits
  if self.worker then self.worker:wake() end
end

local SCHEDULE_OPTIONS = { tz = true, catch_up = true, queue = true }
local CATCH_UP = { none = true, last = true, all = true }

--- Starts a workflow whenever a schedule says so, as long as any worker that knows it works. Its
-- input is `{schedule=, time=}`.
-- @tparam string name of the schedule
-- @tparam string text as crontab(5) writes it: `"30 2 * * mon-fri"`, `"@daily"`
-- @tparam string workflow
-- @tparam[opt] table opts
-- @tparam[opt="UTC"] string opts.tz time zone, `"Europe/Berlin"`; an error if there is no data for
-- it
-- @tparam[opt="none"] string opts.catch_up what happens to times that have been missed, as no
-- worker was there: "none", "last": one run, "all"
-- @tparam[opt] string opts.queue
function Durable:schedule(name, text, workflow, opts)
  argument.self(self, Durable, "schedule")
  check_name(name, 1, "schedule")
  argument.string(text, 2, "schedule")
  check_name(workflow, 3, "schedule")
  opts = opts or {}
  argument.options(opts, 4, "schedule", SCHEDULE_OPTIONS)
  argument.check(opts.catch_up == nil or CATCH_UP[opts.catch_up], 4, "schedule",
    "option 'catch_up' must be \"none\", \"last\" or \"all\"")
  local schedule = { cron = cron.parse(text), zone = zone.open(opts.tz or "UTC"),
    workflow = workflow, catch_up = opts.catch_up or "none", queue = opts.queue }
  self.schedules[name] = schedule
end

-- ---- starting runs ----

local START_OPTIONS = {
  id = true, queue = true, delay = true, priority = true, key = true, dedup = true, tx = true,
}

local function check_start(opts)
  argument.options(opts, 3, "start", START_OPTIONS)
  for _, name in ipairs { "id", "queue", "key", "dedup" } do
    argument.check(opts[name] == nil or type(opts[name]) == "string", 3, "start",
      ("option '%s' must be a string"):format(name))
  end
  argument.check(opts.priority == nil or math_type(opts.priority) == "integer", 3, "start",
    "option 'priority' must be an integer")
  argument.check(opts.delay == nil or (type(opts.delay) == "number" and opts.delay >= 0
    and opts.delay < huge), 3, "start", "option 'delay' must be seconds")
end

-- A row as ops.start has it.
local function row_of(self, name, input, opts, id, parent)
  local now, known = self:now(), self.workflows[name]
  local version = known and known.newest
  return { id, name, version, known and known.all[version].pinned and 1 or 0,
    opts.queue or "default", opts.priority or 0, opts.key, opts.dedup, now + (opts.delay or 0),
    self.engine.bytes(encoding.pack(input)), parent, now, 0 }
end

-- The run that is there already, if starting one has written nothing.
local function existing(self, db, row)
  local found, message, code = db:row(self.engine.sql [[SELECT id, workflow FROM moonlet_runs
    WHERE id = ? OR (queue = ? AND dedup = ? AND status IN ('queued', 'running'))]],
    row[1], row[5], row[8])
  if code then return nil, message, code end
  if not found then return nil, "the run with this key has just ended", "EAGAIN" end
  if found.workflow ~= row[2] then
    return nil, ("run '%s' is of workflow '%s'"):format(found.id, found.workflow), "EEXIST"
  end
  return handles.new(self, found.id)
end

--- Starts a run: writes it down, and returns. One with the same `id`, or one with the same `dedup`
-- that has not ended, is returned instead.
-- @tparam string name of the workflow
-- @param input a value that can be written down
-- @tparam[opt] table opts
-- @tparam[opt] string opts.id of the run
-- @tparam[opt="default"] string opts.queue
-- @tparam[opt=0] number opts.delay seconds
-- @tparam[opt=0] integer opts.priority the lowest is first
-- @tparam[opt] string opts.key for the queue's limit `per_key`
-- @tparam[opt] string opts.dedup
-- @tparam[opt] Transaction opts.tx starts it if, and only if, this transaction of `d.db` commits
-- @treturn DurableRun or nil, message, code
function Durable:start(name, input, opts)
  argument.self(self, Durable, "start")
  check_name(name, 1, "start")
  opts = opts or {}
  check_start(opts)
  local row = row_of(self, name, input, opts, opts.id or identity.new(self:now()))
  local written, message, code
  if opts.tx then
    written, message, code = self.writer:within(opts.tx, ops.start, row)
  else
    written, message, code = self.writer:put(ops.start, row)
  end
  if written == nil then return nil, message, code end
  if not written then return existing(self, opts.tx or self.db, row) end
  if self.worker and not opts.delay then self.worker:wake() end
  self.engine.notify(self, opts.tx or self.db, "q")
  return handles.new(self, row[1])
end

-- Starts a child of a run, unless it is there. Raises if it cannot.
function internal:start_child(parent, id, name, input, opts)
  check_start(opts)
  local row = row_of(self, name, input, opts, id, parent.id)
  local written, message, code = self.writer:put(ops.start, row)
  if written == nil then error({ message = message, code = code }, 0) end
  if self.worker then self.worker:wake() end
end

-- ---- working ----

--- Works: claims runs and has them run, until it is stopped or its task is cancelled.
-- @tparam[opt] table opts
-- @tparam[opt] {string} opts.queues names; without it `"default"` and those made known by `queue`
-- @tparam[opt=1000] integer opts.max runs at a time
-- @treturn boolean true; or nil, message, code
function Durable:serve(opts)
  argument.self(self, Durable, "serve")
  opts = opts or {}
  argument.options(opts, 1, "serve", { queues = true, max = true })
  argument.count(opts.max, 1, "serve", "option 'max'")
  if opts.queues ~= nil then argument.table(opts.queues, 1, "serve") end
  if self.worker then error("it serves already", 2) end
  self.worker = worker.new(self, opts)
  return self.worker:serve()
end

--- Stops working: claims nothing any more, lets runs end for so many seconds, then gives them back.
-- Waits for that.
-- @tparam[opt=0] number grace seconds
function Durable:stop(grace)
  argument.self(self, Durable, "stop")
  if grace ~= nil then argument.number(grace, 1, "stop") end
  local serving = self.worker
  if not serving then return end
  serving:stop(grace)
  if serving.left then serving.left:wait() end
end

--- Closes the database. A worker is to be stopped before. Idempotent, never waits.
function Durable:close()
  argument.self(self, Durable, "close")
  if self.clock then require("moonlet.durable.testing").close(self) end
  self.writer.is_closed = true
  metrics.forget(self)
  self.db:close()
end

Durable.__close = Durable.close

function Durable:__tostring() return ("durable %s"):format(self.db) end

local function virtual(d)
  d.is_virtual, d.replays, d.lease = true, true, 1e10
  return d
end

--- A database in memory for specs, with a worker that begins at once. The clock is virtual
-- (`moonlet.test`), so that sleeping takes no time; and each run is called again from its beginning
-- at each wait and at its end: a workflow that is not deterministic fails with "EDIVERGED".
-- `<close>` ends it, and brings the real clock back.
-- @tparam[opt] table opts as of `open`
-- @treturn Durable
function durable.test(opts)
  return require("moonlet.durable.testing").open(durable.open, virtual, opts)
end

return durable
