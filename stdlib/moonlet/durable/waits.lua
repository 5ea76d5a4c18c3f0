--- Waits that last beyond the process: sleeping, receiving, awaiting, and the results of children.
-- @submodule moonlet.durable

local error = error
local huge = math.huge
local max, min = math.max, math.min

local argument = require "moonlet.argument"
local context = require "moonlet.durable.context"
local encoding = require "moonlet.durable.encoding"
local failure = require "moonlet.durable.failure"
local ops = require "moonlet.durable.ops"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local Context = context.class

local waits = {}

-- Waits until wait.due (nil: for ever), or, with a signal, until that is set once. A run that has
-- the option `hold` leaves memory if all of its branches wait for long.
local function park(ctx, wait, signal)
  local run = ctx.run
  local _ <close> = run:park(ctx, wait)
  local seconds = wait.due and max(wait.due - run.d:now(), 0) or huge
  local patience = run.definition.hold
  if patience and run:hold_if_long(patience) then run:check(ctx) end
  if patience then seconds = min(seconds, patience) end
  if signal then
    signal:wait(seconds < huge and seconds or nil)
  else
    task.sleep(seconds)
  end
  run:check(ctx)
end

-- Waits until wait.due: kind, key, due.
function waits.until_due(ctx, wait)
  while ctx.run.d:now() < wait.due do park(ctx, wait) end
end

local function check_seconds(seconds, position, name)
  argument.number(seconds, position, name)
  argument.check(seconds >= 0, position, name, "must not be negative")
end

--- Sleeps, also for days: the time when it ends is remembered, and goes on while no process runs.
-- @tparam string name
-- @tparam number seconds
function Context:sleep(name, seconds)
  argument.self(self, Context, "sleep")
  argument.string(name, 1, "sleep")
  check_seconds(seconds, 2, "sleep")
  context.enter(self)
  local key = self.keys:next(name)
  local record = context.remembered(self, "sleep", key)
  if not record then
    local now = self.run.d:now()
    record = { state = "done", due = now + seconds, began = now }
    context.record(self, key, "sleep", record)
  end
  waits.until_due(self, { kind = "sleep", key = key, due = record.due })
end

-- The record of a wait that is to end at a time: that time is remembered.
local function begin(ctx, key, kind, name, timeout)
  local now = ctx.run.d:now()
  local record = { state = "waiting", name = name, began = now, due = timeout and now + timeout }
  if timeout then context.record(ctx, key, kind, record) end
  return record
end

-- Remembers that nothing came.
local function time_out(ctx, key, kind, record)
  local failed = failure.returned(nil, "timeout", "ETIMEDOUT")
  record.state, record.value, record.ended = "failed", failed.bytes, ctx.run.d:now()
  context.record(ctx, key, kind, record)
  return failure.give(record.value)
end

local function give(record)
  if record.state == "failed" then return failure.give(record.value) end
  return encoding.unpack(record.value)
end

-- Waits until look() returns something, or the record's time has come. Returns what look() did.
local function wait_for(ctx, key, kind, record, name, look)
  local signal <close> = ctx.run.d.signals:wait_for(name)
  local wait = { kind = kind, key = key, due = record.due, record = record }
  while true do
    ctx.run:check(ctx)
    local found = look()
    if found then return found end
    if record.due and ctx.run.d:now() >= record.due then return nil end
    park(ctx, wait, signal)
  end
end

local function is_there(d, id, topic)
  local row, message, code = d.db:row(d.engine.sql [[SELECT m.seq FROM moonlet_messages m
    WHERE m.run = ? AND m.topic = ? AND NOT EXISTS (SELECT 1 FROM moonlet_steps x
    WHERE x.run = m.run AND x.ref = m.seq) LIMIT 1]], id, topic)
  if code then error(message, 0) end
  return row ~= nil
end

-- Takes the first message of a topic; nil: there is none. One branch of a run at a time.
local function take(ctx, key, topic, record)
  local run = ctx.run
  if not is_there(run.d, run.id, topic) then return nil end
  run.receiving = run.receiving or sync.mutex()
  local _ <close> = run.receiving:lock()
  local written = run:try_write(ops.receive, { run.id, run.epoch, key, run:next_seq(record), topic,
    run.d:now() })
  if not written then
    if not run:is_held() then run:lose() end
    run:check(ctx)
    return nil
  end
  return run:reread(key)
end

--- Receives the next message that was sent to this run with `d:send`.
-- @tparam string topic
-- @tparam[opt] number timeout seconds; remembered: they go on while no process runs
-- @return the message; or nil, "timeout", "ETIMEDOUT"
function Context:receive(topic, timeout)
  argument.self(self, Context, "receive")
  argument.string(topic, 1, "receive")
  if timeout ~= nil then check_seconds(timeout, 2, "receive") end
  context.enter(self)
  local key = self.keys:next("receive:" .. topic)
  local record = context.remembered(self, "receive", key)
  if record and record.state ~= "waiting" then return give(record) end
  record = record or begin(self, key, "receive", topic, timeout)
  local found = wait_for(self, key, "receive", record, "m:" .. self.id .. ":" .. topic, function()
    return take(self, key, topic, record)
  end)
  if not found then return time_out(self, key, "receive", record) end
  return give(found)
end

--- Waits for an event that `d:emit` makes known to all; one that is known already is enough.
-- @tparam string event
-- @tparam[opt] number timeout seconds; remembered
-- @return its value; or nil, "timeout", "ETIMEDOUT"
function Context:await(event, timeout)
  argument.self(self, Context, "await")
  argument.string(event, 1, "await")
  if timeout ~= nil then check_seconds(timeout, 2, "await") end
  context.enter(self)
  local key = self.keys:next("await:" .. event)
  local record = context.remembered(self, "await", key)
  if record and record.state ~= "waiting" then return give(record) end
  record = record or begin(self, key, "await", event, timeout)
  local d = self.run.d
  local found = wait_for(self, key, "await", record, "e:" .. event, function()
    local row, message, code = d.db:row(d.engine.sql
      "SELECT value FROM moonlet_events WHERE name = ?", event)
    if code then error(message, 0) end
    return row
  end)
  if not found then return time_out(self, key, "await", record) end
  record.state, record.value, record.ended = "done", found.value, d:now()
  context.record(self, key, "await", record)
  return give(record)
end

-- The end of a child: a record; nil: it has not ended.
local function child_end(d, id)
  local row, message, code = d.db:row(d.engine.sql
    "SELECT status, output FROM moonlet_runs WHERE id = ?", id)
  if code then error(message, 0) end
  if not row or row.status == "queued" or row.status == "running" then return nil end
  return { state = row.status == "done" and "done" or "failed", value = row.output }
end

--- Starts another run and waits for its result. It is part of this one: cancelled with it, and
-- started once.
-- @tparam string name of the workflow
-- @param input
-- @tparam[opt] table opts queue, priority, key, delay
-- @return its results; a failure is given as that of a step
function Context:child(name, input, opts)
  argument.self(self, Context, "child")
  argument.string(name, 1, "child")
  context.enter(self)
  local key = self.keys:next("child:" .. name)
  local record = context.remembered(self, "child", key)
  if record and record.state ~= "waiting" then return give(record) end
  local d, id = self.run.d, self.id .. "/" .. key
  if not record then
    record = { state = "waiting", name = id, began = d:now() }
    context.record(self, key, "child", record)
  end
  d:start_child(self.run, id, name, input, opts or {})
  local found = wait_for(self, key, "child", record, "r:" .. id, function()
    return child_end(d, id)
  end)
  record.state, record.value, record.ended = found.state, found.value, d:now()
  context.record(self, key, "child", record)
  return give(record)
end

return waits
