--- A worker: claims runs and has them run, keeps its lease, and looks for what other processes did.
-- @module moonlet.durable.worker

local ipairs, next, pairs, setmetatable, warn = ipairs, next, pairs, setmetatable, warn
local huge, max, min, random = math.huge, math.max, math.min, math.random
local concat, table_remove, unpack = table.concat, table.remove, table.unpack

local claims = require "moonlet.durable.claims"
local run = require "moonlet.durable.run"
local schedules = require "moonlet.durable.schedules"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local worker = {}

local Worker = {}
Worker.__index = Worker

-- So many runs are claimed at once.
local BATCH = 100

-- How often others' doings are looked for, in seconds; each pause differs by up to a third, so that
-- many workers do not ask at the same time.
local POLL = 0.2

-- How long a worker that ends may take to give its runs back, in seconds.
local PATIENCE = 10

-- How often suspended runs are looked for whose wake has been missed, in seconds.
local SWEEP = 30

local function jitter(seconds) return seconds * (5 / 6 + random() / 3) end

-- Not a time: the limits of the program's own claims.
local DEFAULT_MAX = 1000

local doubt, forget

function worker.new(d, options)
  local self = setmetatable({
    d = d, id = d.id, max = options.max or DEFAULT_MAX, queues = options.queues, runs = {},
    count = 0, per_queue = {}, changed = sync.event(), looked = sync.event(),
    messages = 0, deadlines = {}, sweep_at = task.now() + SWEEP,
    measure_at = 0,
  }, Worker)
  self.on_end = function(ended) forget(self, ended) end
  return self
end

--- Has the worker look for runs at once.
function Worker:wake()
  self.changed:set()
  if self.d.is_virtual then self.looked:set() end
end

-- Another process tells of something.
local function hear(self)
  self.changed:set()
  self.looked:set()
end

-- Calls something of the database's; a failure is told once until it succeeds again.
function Worker:attempt(fn, ...)
  local first, message, code = fn(self.d.db, self.d.engine, ...)
  if first == nil and code then
    if not self.is_troubled then warn(("durable: %s\n"):format(message)) end
    self.is_troubled = true
    return nil, message, code
  end
  self.is_troubled = false
  return first
end

--- Somebody in this process has cancelled a run.
function Worker:cancel(id, reason)
  for claimed in next, self.runs do
    if claimed.id == id then claimed:cancel(reason) end
  end
end

-- The same for something that writes.
function Worker:write(fn, ...)
  return self.d.writer:alone(self.attempt, self, fn, ...)
end

-- ---- the lease ----

-- A worker that others have taken for gone has lost its runs.
local function lose_all(self)
  for claimed in next, self.runs do claimed:lose() end
end

local function beat(self)
  local d = self.d
  d:read_clock()
  local is_known = self:write(claims.beat, self.id, d:now() + d.lease)
  if is_known then
    self.safe_until = task.now() + d.lease
  elseif is_known == false then
    lose_all(self)
    if self:write(claims.enter, self.id, d:now(), d:now() + d.lease) then
      self.safe_until = task.now() + d.lease
    end
  elseif task.now() > self.safe_until then
    lose_all(self)
  end
  if d:is_too_old() then self:stop(PATIENCE) end
end

local function keep_lease(self)
  while not self.is_gone do
    task.sleep(self.d.lease / 3)
    if not self.is_gone then beat(self) end
  end
end

-- ---- runs ----

function forget(self, claimed)
  self.runs[claimed] = nil
  self.deadlines[claimed] = nil
  self.count = self.count - 1
  local queue = claimed.queue
  self.per_queue[queue] = self.per_queue[queue] - 1
  if claimed.is_in_doubt then doubt(self, 1) end
  self:wake()
end

local function begin(self, row, history)
  local d = self.d
  local definition = d:definition_of(row.workflow, row.version)
  local claimed = run.new(d, row, definition, history)
  self.runs[claimed], self.count = true, self.count + 1
  self.per_queue[row.queue] = (self.per_queue[row.queue] or 0) + 1
  if row.deadline then self.deadlines[claimed] = row.deadline end
  d.counts.claims = d.counts.claims + 1
  d:observe_claim(max(row.claimed - max(row.due, row.created), 0))
  if row.epoch > 1 then d.counts.replays = d.counts.replays + 1 end
  claimed:begin(self.on_end)
end

-- Begins what was claimed. Runs that have been claimed before have remembered something.
local function begin_all(self, rows)
  local ids = {}
  for _, row in ipairs(rows) do
    if row.epoch > 1 then ids[#ids + 1] = row.id end
  end
  local histories = {}
  if #ids > 0 then
    repeat
      histories = self:attempt(claims.histories, ids)
      if not histories then task.sleep(jitter(POLL)) end
    until histories or self.is_gone
  end
  for _, row in ipairs(histories and rows or {}) do begin(self, row, histories[row.id]) end
end

local function room_for(self, queue)
  local limits = self.d.queues[queue]
  local room = min(self.max - self.count, BATCH)
  if limits and limits.per_worker then
    room = min(room, limits.per_worker - (self.per_queue[queue] or 0))
  end
  return room
end

-- After a claim that failed: when is looked for what it may have taken all the same, in seconds. A
-- database whose answer was lost may also carry it out later.
local LOOKS = { 0, 5, 60 }

function doubt(self, looks) self.doubts = { since = task.now(), looks = looks or 0 } end

-- Queues again what this worker has by the database and not in memory. No claim is on its way.
local function give_back_unknown(self)
  local doubts = self.doubts
  if not doubts or task.now() < doubts.since + LOOKS[doubts.looks + 1] then return end
  local known = {}
  for claimed in next, self.runs do
    known[claimed.id] = max(known[claimed.id] or 0, claimed.epoch)
  end
  local ok = self:write(claims.give_back, self.id, self.d:now(), function(id, epoch)
    return known[id] == epoch
  end)
  if ok then doubts.looks = doubts.looks + 1 end
  if doubts.looks == #LOOKS then self.doubts = nil end
end

-- Claims from one queue; returns how many.
local function claim_from(self, queue)
  local room, d = room_for(self, queue), self.d
  local conditions = d:conditions()
  if room < 1 or not conditions then return 0 end
  if not self:attempt(claims.is_there, conditions, queue, d:now()) then return 0 end
  local asked = { worker = self.id, queue = queue, now = d:now(), count = room }
  local rows = d.writer:alone(function()
    return self:attempt(claims.take, conditions, asked, d.queues[queue])
  end)
  if not rows then doubt(self) end
  if not rows or #rows == 0 then return 0 end
  begin_all(self, rows)
  return #rows
end

local function queue_names(self)
  if self.queues then return self.queues end
  local names = { "default" }
  for name in pairs(self.d.queues) do
    if name ~= "default" then names[#names + 1] = name end
  end
  return names
end

-- Claims from all queues, each time beginning with another one.
local function claim(self)
  local names, claimed = queue_names(self), 0
  self.turn = (self.turn or 0) % #names + 1
  for i = 0, #names - 1 do
    if self.is_stopping then break end
    claimed = claimed + claim_from(self, names[(self.turn + i - 1) % #names + 1])
  end
  return claimed
end

-- Under the virtual clock nothing happens in other processes: until when there is nothing to claim.
-- Limits of queues are looked at once a second.
local function next_due(self)
  local due = self:attempt(function(db)
    return db:value "SELECT min(due) FROM moonlet_runs WHERE status = 'queued'"
  end)
  return due and max(due - self.d:now(), 1)
end

local function claim_on(self)
  while not self.is_stopping do
    self.changed:clear()
    give_back_unknown(self)
    if claim(self) == 0 and not self.is_stopping then
      local pause = jitter(POLL)
      if self.d.is_virtual then pause = next_due(self) end
      self.changed:wait(pause)
    end
  end
end

-- ---- what others did ----

local function look_for_cancels(self)
  local rows = self:attempt(function(db, engine, id)
    return db:all(engine.sql [[SELECT id, cancel FROM moonlet_runs
      WHERE worker = ? AND status = 'running' AND cancel IS NOT NULL]], id)
  end, self.id)
  if not rows or #rows == 0 then return end
  local reasons = {}
  for _, row in ipairs(rows) do reasons[row.id] = row.cancel end
  for claimed in next, self.runs do
    if reasons[claimed.id] then claimed:cancel(reasons[claimed.id]) end
  end
end

local function look_for_messages(self)
  local d = self.d
  local rows = self:attempt(function(db, engine, last)
    return db:all(engine.sql [[SELECT seq, run, topic FROM moonlet_messages
      WHERE seq > ? ORDER BY seq LIMIT 1000]], last)
  end, self.messages - d.engine.overlap)
  for _, row in ipairs(rows or {}) do
    self.messages = max(self.messages, row.seq)
    d.signals:set("m:" .. row.run .. ":" .. row.topic)
  end
end

-- Messages that became visible too late for that: their sender was held up between its write and
-- its commit.
local function look_for_late_messages(self)
  local rows = self:attempt(function(db, engine, id)
    return db:all(engine.sql [[SELECT m.run, m.topic FROM moonlet_messages m JOIN moonlet_runs r
      ON r.id = m.run WHERE r.worker = ? AND r.status = 'running' AND NOT EXISTS (SELECT 1
      FROM moonlet_steps x WHERE x.run = m.run AND x.ref = m.seq) GROUP BY m.run, m.topic]], id)
  end, self.id)
  for _, row in ipairs(rows or {}) do self.d.signals:set("m:" .. row.run .. ":" .. row.topic) end
end

-- Sets signals of a kind for which a statement finds the names.
local function look_for(self, prefix, statement)
  local names = self.d.signals:names(prefix)
  while #names > 0 do
    local some, marks = {}, {}
    for i = 1, min(#names, 100) do some[i], marks[i] = table_remove(names), "?" end
    local rows = self:attempt(function(db, engine)
      return db:all(engine.sql(statement:format(concat(marks, ", "))), unpack(some))
    end)
    for _, row in ipairs(rows or {}) do self.d.signals:set(prefix .. row.name) end
  end
end

local ENDED = "SELECT id AS name FROM moonlet_runs WHERE id IN (%s)"
  .. " AND status NOT IN ('queued', 'running')"
local EMITTED = "SELECT name FROM moonlet_events WHERE name IN (%s)"

local function end_the_late(self)
  local d = self.d
  local now = d:now()
  for claimed, deadline in pairs(self.deadlines) do
    if deadline <= now and not claimed.cancelled then
      d:cancel_with(claimed.id, run.DEADLINE)
      claimed:cancel(run.DEADLINE)
    end
  end
end

local function look(self)
  look_for_cancels(self)
  look_for_messages(self)
  look_for(self, "r:", ENDED)
  look_for(self, "e:", EMITTED)
  end_the_late(self)
  local freed = self:attempt(claims.reap, self.d:now(), self.d.recoveries)
  if freed and freed > 0 then self:wake() end
  schedules.tend(self.d)
  if task.now() >= self.sweep_at and not self.d.is_virtual then
    self.sweep_at = task.now() + jitter(SWEEP)
    self:write(claims.sweep, self.d:now())
    look_for_late_messages(self)
  end
end

-- As next_due(), for what look() looks for.
local function next_look(self)
  local soonest = huge
  for _, deadline in pairs(self.deadlines) do soonest = min(soonest, deadline) end
  for _, schedule in pairs(self.d.schedules) do
    soonest = min(soonest, schedule.following or soonest)
  end
  return soonest < huge and max(soonest - self.d:now(), 0) or nil
end

-- How often the queue is measured, in seconds.
local MEASURE = 5

local function measure(self)
  if task.now() < self.measure_at then return end
  self.measure_at = task.now() + jitter(MEASURE)
  local row = self:attempt(function(db, engine, now)
    return db:row(engine.sql [[SELECT count(*) AS queued, min(due) AS oldest FROM moonlet_runs
      WHERE status = 'queued' AND due <= ?]], now)
  end, self.d:now())
  if row then self.d.counts.queued, self.d.counts.oldest = row.queued, row.oldest end
end

local function look_on(self)
  while not self.is_gone do
    self.looked:clear()
    look(self)
    measure(self)
    local pause = jitter(POLL)
    if self.d.is_virtual then pause = next_look(self) end
    self.looked:wait(pause)
  end
end

-- ---- from the beginning to the end ----

-- Waits until no run is left, or the time is over. Whether none is left.
local function wait_for_runs(self, seconds)
  local deadline = task.now() + seconds
  while self.count > 0 and task.now() < deadline do
    self.changed:clear()
    self.changed:wait(max(deadline - task.now(), 0))
  end
  return self.count == 0
end

local function leave(self)
  self.is_stopping = true
  for claimed in pairs(self.runs) do claimed:suspend "stopped" end
  local is_empty = wait_for_runs(self, PATIENCE)
  self.is_gone = true
  if is_empty and not self.is_refused then self:write(claims.leave, self.id, self.d:now()) end
  for _, t in ipairs(self.tasks) do
    t:cancel()
    t:join(PATIENCE)
  end
  self.d.worker = nil
  self.left:set()
end

-- Gives everything back, also if the worker's task is cancelled.
local Serving = {}

function Serving:__close()
  task.shield(PATIENCE + 1, leave, self.worker)
end

-- Makes the worker known; waits for a database that is away for the moment.
local function enter(self)
  local d = self.d
  while true do
    local ok, message, code = self:write(claims.enter, self.id, d:now(), d:now() + d.lease)
    if ok then return true end
    if self.is_stopping or d.writer.is_closed or not (code and d.engine.is_transient(code)) then
      return nil, message, code
    end
    task.sleep(jitter(POLL))
  end
end

--- Works until it is stopped.
function Worker:serve()
  local d = self.d
  self.left, self.tasks = sync.event(), {}
  local _ <close> = setmetatable({ worker = self }, Serving) -- also if it is cancelled as it enters
  local ok, message, code = enter(self)
  if not ok then
    self.is_refused = true
    return nil, message, code
  end
  self.safe_until = task.now() + d.lease
  self.messages = self:attempt(function(db)
    return db:value "SELECT coalesce(max(seq), 0) FROM moonlet_messages"
  end) or 0
  for i, fn in ipairs(d.is_virtual and { look_on } or { look_on, keep_lease }) do
    self.tasks[i] = task.spawn({ daemon = true, name = "durable worker" }, fn, self)
  end
  if d.engine.listen then
    self.tasks[#self.tasks + 1] = task.spawn({ daemon = true, name = "durable listener" },
      d.engine.listen, d, function() hear(self) end)
  end
  claim_on(self)
  wait_for_runs(self, max(self.grace_until - task.now(), 0))
  return true
end

--- Claims nothing any more; runs get so many seconds to end, and are then given back.
function Worker:stop(grace)
  local until_then = task.now() + (grace or 0)
  self.grace_until = min(self.grace_until or until_then, until_then)
  self.is_stopping = true
  self:wake()
end

return worker
