--- One claim of a run: the task that calls its workflow, what the run has remembered, and how it
-- ends here: finished, cancelled, or suspended for another claim.
-- @module moonlet.durable.run

local error, next, pairs, pcall = error, next, pairs, pcall
local setmetatable, tostring, type, warn = setmetatable, tostring, type, warn
local concat, sort = table.concat, table.sort

local context = require "moonlet.durable.context"
local encoding = require "moonlet.durable.encoding"
local failure = require "moonlet.durable.failure"
local keys = require "moonlet.durable.keys"
local ops = require "moonlet.durable.ops"
local task = require "moonlet.task"

local run = {}

local Run = {}
Run.__index = Run

-- What calls of a ctx raise once the run has left this worker. `pcall` returns it; the next call
-- raises it again.
local SUSPENDED = setmetatable({ message = "the run is suspended", code = "ESUSPENDED" },
  { __tostring = function(self) return self.message end })

-- Longer than any database lives, in seconds since 1970: when nothing but a message wakes a run.
local NEVER = 1e11

-- What a run has remembered that begins: shared, and never written to.
local NOTHING = {}

--- A run that was claimed. history: its records, in order; nil: none.
function run.new(d, row, definition, history)
  local self = setmetatable({
    d = d, id = row.id, epoch = row.epoch, input = row.input, queue = row.queue,
    parent = row.parent, definition = definition, state = "running", history = NOTHING, seq = 0,
    branches = 1, cancelled = row.cancel, replayed = d.replays and {},
  }, Run)
  if history then self:remember(history) end
  return self
end

-- Takes the records over.
function Run:remember(history)
  self.history, self.seq = {}, 0
  for i = 1, #history do
    local record = history[i]
    self.history[record.key] = record
    if record.seq > self.seq then self.seq = record.seq end
  end
end

--- The number of a record: the one that it has, or the next.
function Run:next_seq(record)
  if not record.seq then
    self.seq = self.seq + 1
    record.seq = self.seq
  end
  return record.seq
end

--- Raises unless the run goes on here.
function Run:check(ctx)
  if self.state == "running" or (self.state == "cancelling" and ctx.is_cleanup) then return end
  if self.state == "diverged" then error(self.divergence, 0) end
  error(SUSPENDED, 0)
end

--- Nothing is remembered under a key: the run does something for the first time. One that is to be
-- cancelled does not.
function Run:check_frontier(ctx, key)
  if self.cancelled and self.state == "running" and not ctx.is_cleanup then
    self.state = "cancelling"
    error(SUSPENDED, 0)
  end
  if self.is_verifying and not ctx.is_cleanup then
    local form = "'%s' was not called the first time: the workflow is not deterministic"
    self:diverge(form:format(key))
  end
end

--- Ends the run: its workflow is not the one that has remembered.
function Run:diverge(message)
  self.state = "diverged"
  self.divergence = { message = message, code = "EDIVERGED" }
  error(self.divergence, 0)
end

--- Whether the run has remembered more in a branch than its workflow has asked for until now.
function Run:has_history_below(path)
  for key in next, self.history do
    if keys.is_below(key, path) then return true end
  end
  return false
end

--- Drops what branches have remembered that do not run again.
function Run:forget_below(path)
  for key in pairs(self.history) do
    if keys.is_below(key, path) then self.history[key] = nil end
  end
end

--- The run is not this worker's any more.
function Run:lose()
  if self.state == "running" or self.state == "cancelling" then
    self.d.counts.lost = self.d.counts.lost + 1
    self:suspend "lost"
  end
end

-- Binary strings among the parameters of a step.
function Run:bind(item)
  local bytes = self.d.engine.bytes
  if item[7] then item[7] = bytes(item[7]) end
  if item[8] then item[8] = bytes(item[8]) end
end

--- Writes a row for this run. Raises if the worker has lost it, or the database refuses for good.
function Run:write(item)
  self:bind(item)
  if not self:try_write(ops.step, item) then
    self:lose()
    error(SUSPENDED, 0)
  end
end

--- Writes a row of any kind; whether its condition held.
function Run:try_write(op, item)
  local written, message, code = self.d.writer:put(op, item)
  if written == nil then error({ message = message, code = code }, 0) end
  return written
end

--- Reads a record again, after its writing may have failed; nil: there is none that is final.
function Run:reread(key)
  local d = self.d
  local row, message, code = d.db:row(d.engine.sql [[SELECT * FROM moonlet_steps
    WHERE run = ? AND key = ? AND state IN ('done', 'failed')]], self.id, key)
  if code then error({ message = message, code = code }, 0) end
  return row
end

--- Whether this worker still has the run.
function Run:is_held()
  local d = self.d
  local row, message, code = d.db:row(d.engine.sql
    "SELECT 1 AS one FROM moonlet_runs WHERE id = ? AND epoch = ? AND status = 'running'",
    self.id, self.epoch)
  if code then error({ message = message, code = code }, 0) end
  return row ~= nil
end

-- ---- branches, and runs that wait long ----

--- One branch less may wait.
function Run:leave_branch() self.branches = self.branches - 1 end

-- A branch that waits.
local Parked = {}

function Parked:__close()
  self.run.parks[self.ctx] = nil
end

--- A branch begins to wait: kind, key, due, record. Returns what is to be closed when it ends.
function Run:park(ctx, wait)
  if self.cancelled then self:check_frontier(ctx, wait.key) end
  if not (self.definition.hold or self.d.replays) then return nil end
  self.parks = self.parks or {}
  self.parks[ctx] = wait
  wait.from = wait.from or self.d:now()
  if self.d.replays then self:replay_if_idle() end
  return setmetatable({ run = self, ctx = ctx }, Parked)
end

local function parked(self)
  local count, texts, due = 0, {}, NEVER
  for _, wait in next, self.parks do
    count = count + 1
    texts[count] = wait.kind .. " " .. wait.key
    if wait.due and wait.due < due then due = wait.due end
  end
  sort(texts)
  return count, concat(texts, ", "), due
end

-- For tests: a run all of whose branches wait is called again from its beginning, once per wait.
function Run:replay_if_idle()
  local count, texts = parked(self)
  if count < self.branches or self.state ~= "running" or self.replayed[texts] then return end
  self.replayed[texts], self.state = true, "replaying"
  error(SUSPENDED, 0)
end

local function is_long(self, wait, patience)
  local now = self.d:now()
  if wait.due then return wait.due - now > patience end
  return now - wait.from >= patience
end

-- Waits of which nothing is remembered yet, for those who wake the run.
local function record_waits(self)
  for _, wait in next, self.parks do
    local record = wait.record
    if record and record.name and not record.seq then
      self:write { self.id, self.epoch, wait.key, self:next_seq(record), wait.kind, "waiting", nil,
        nil, nil, record.due, record.name, record.began, nil }
    end
  end
end

--- Suspends the run if all of its branches wait for longer than `patience`. Whether it did.
function Run:hold_if_long(patience)
  local count, texts, due = parked(self)
  if count < self.branches or self.state ~= "running" then return false end
  for _, wait in next, self.parks do
    if not is_long(self, wait, patience) then return false end
  end
  record_waits(self)
  if self.state ~= "running" then return false end
  self:suspend "held"
  self.leaves = { due = due, waits = texts }
  return true
end

-- Cancels the run's task, unless it has not begun: one that is cancelled before never begins, and
-- nobody would tell the worker of its end. It looks at the state when it begins.
local function cancel_task(self, reason)
  if self.has_begun then self.task:cancel(reason) end
end

--- The run leaves this worker: its task is cancelled, and ctx raises from now on.
-- @tparam string why "lost", "stopped", "held"
function Run:suspend(why)
  if self.state ~= "running" and self.state ~= "cancelling" then return end
  self.state, self.why = "suspended", why
  cancel_task(self, "the run is suspended: " .. why)
end

--- Somebody has cancelled the run. One that has not begun goes up to where it would do something
-- new, as if it had been cancelled before its claim.
function Run:cancel(reason)
  if self.cancelled and self.state ~= "running" then return end
  self.cancelled = reason
  if self.state ~= "running" or not self.has_begun then return end
  self.state = "cancelling"
  cancel_task(self, reason)
end

-- ---- from the call of the workflow to its end ----

local function outcome(ok, ...)
  if not ok then
    local err = ...
    if task.is_cancellation(err) then return "cancelled" end
    return "failed", failure.raised(err)
  end
  if failure.is_one(...) then return "failed", failure.returned(...) end
  local written, bytes = pcall(encoding.pack, ...)
  if written then return "done", { bytes = bytes } end
  return "failed", failure.raised("the results of the run cannot be remembered: " .. bytes)
end

-- Calls the workflow, whose input is a copy each time.
local function call(self)
  local ctx = context.new(self, "")
  self.cleanups = nil
  return outcome(task.pcall(self.definition.fn, ctx, encoding.unpack(self.input)))
end

local function end_as(self, status, result)
  local d = self.d
  local item = { self.id, self.epoch, status, d.engine.bytes(result.bytes),
    result.message and failure.shown(result.message), result.code and failure.shown(result.code),
    d:now() }
  if self.parent then d.writer:add(ops.wake, { self.parent, d:now() }) end
  if not self:try_write(ops.finish, item) then return self:lose() end
  self.state = "ended"
  d.signals:set("r:" .. self.id)
end

-- Calls what ctx:cleanup() was given, the last first.
local function clean_up(self)
  local cleanups = self.cleanups or NOTHING
  for i = #cleanups, 1, -1 do
    local ctx = context.new(self, keys.branch("cleanup", i))
    ctx.is_cleanup = true
    local ok, err = task.pcall(cleanups[i], ctx)
    if self.state ~= "cancelling" then return false end
    if not ok then
      if task.is_cancellation(err) then return false end
      warn(("durable run %s: a cleanup failed: %s\n"):format(self.id, tostring(err)))
    end
  end
  return true
end

local function finish_cancelled(self)
  if self.state ~= "cancelling" or not clean_up(self) then return self:leave() end
  local is_late = self.cancelled == run.DEADLINE
  local code = is_late and "EDEADLINE" or "ECANCELED"
  end_as(self, is_late and "failed" or "cancelled", failure.returned(nil, self.cancelled, code))
end

run.DEADLINE = "deadline passed"

--- Gives the run back for another claim, unless it was lost.
function Run:leave()
  if self.state == "ended" or self.why == "lost" then return end
  local d, leaves = self.d, self.leaves or {}
  self.state = "suspended"
  local now = d:now()
  self:try_write(ops.suspend, { self.id, self.epoch, leaves.due or now, leaves.waits, now })
end

-- Reads the records again for another call of the workflow in this claim.
local function begin_again(self)
  local d = self.d
  local rows, message, code = d.db:all(d.engine.sql
    "SELECT * FROM moonlet_steps WHERE run = ? ORDER BY seq", self.id)
  if not rows then error({ message = message, code = code }, 0) end
  self:remember(rows)
  self.state, self.branches, self.parks = "running", 1, nil
  d.counts.replays = d.counts.replays + 1
end

-- A record for which the workflow did not ask, of the run itself: branches may have been cancelled.
local function left_over(self)
  for key in next, self.history do
    if keys.path_of(key) == "" then return key end
  end
end

-- For tests: a finished run is called once more, and must do the same.
local function verify(self, status, result)
  begin_again(self)
  self.is_verifying = true
  local again, other = call(self)
  if self.state == "diverged" then return "failed", failure.raised(self.divergence) end
  local left = left_over(self)
  if again ~= status or (other and other.bytes) ~= result.bytes or left then
    local what = left and ("'%s' was not called"):format(left) or "the result was another"
    return "failed", failure.raised { code = "EDIVERGED", message = what
      .. " when the workflow was called again: it is not deterministic" }
  end
  self.state = "running"
  return status, result
end

local function conclude(self, status, result)
  if self.state == "diverged" then
    return end_as(self, "failed", failure.raised(self.divergence))
  end
  if self.state == "running" and status ~= "cancelled" then
    if self.d.replays then status, result = verify(self, status, result) end
    return end_as(self, status, result)
  end
  if self.state == "cancelling" then
    -- The task that was cancelled cannot wait any more.
    return self:spawn(finish_cancelled)
  end
  self:leave()
end

local function execute(self)
  if self.state == "suspended" then return self:leave() end
  local status, result
  repeat
    if self.state == "replaying" then begin_again(self) end
    status, result = call(self)
  until self.state ~= "replaying"
  if status == "cancelled" or self.state == "suspended" then
    -- What is left to write is written by a task that may wait.
    return self:spawn(conclude, status, result)
  end
  conclude(self, status, result)
end

-- The database has refused for good what was to be written of the run: it fails, so that it is not
-- claimed for ever. After another error, such as one for want of memory, the worker gives it back.
local function give_up(self, err)
  local text = type(err) == "table" and tostring(err.message) or tostring(err)
  warn(("durable run %s stopped: %s\n"):format(self.id, text))
  if self.state == "ended" or self.why == "lost" then return end
  self.is_in_doubt = true
  if type(err) ~= "table" then return end
  local ok = task.pcall(end_as, self, "failed", failure.raised { code = "EREFUSED",
    message = "the database refuses what was to be remembered: " .. text })
  self.is_in_doubt = not ok
end

-- Calls a part of the run's life; the worker is told when the last has ended.
local function guarded(self, fn, ...)
  local me = self.task
  self.has_begun = true
  local ok, err = task.pcall(fn, self, ...)
  if not ok and not task.is_cancellation(err) then give_up(self, err) end
  if self.task == me then self.on_end(self) end
end

-- Goes on in a task of its own.
function Run:spawn(fn, ...)
  self.has_begun = false
  self.task = task.spawn({ daemon = true, name = "durable " .. self.id }, guarded, self, fn, ...)
end

--- Begins: calls the workflow in a task of its own. on_end(run): called when the claim has ended.
function Run:begin(on_end)
  self.on_end = on_end
  self:spawn(execute)
end

run.SUSPENDED = SUSPENDED

return run
