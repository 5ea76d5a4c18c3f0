--- Steps and transactions: functions whose results are remembered.
-- @submodule moonlet.durable

local error, pcall, select, setmetatable = error, pcall, select, setmetatable
local unpack = table.unpack

local argument = require "moonlet.argument"
local context = require "moonlet.durable.context"
local encoding = require "moonlet.durable.encoding"
local failure = require "moonlet.durable.failure"
local ops = require "moonlet.durable.ops"
local policy = require "moonlet.durable.policy"
local task = require "moonlet.task"
local trace = require "moonlet.inspect.trace.core"
local waits = require "moonlet.durable.waits"

local Context = context.class

local STEP_OPTIONS = { retry = true, timeout = true, at_most_once = true, check = true }

-- Leaves a step, however it ends.
local Within = {}

function Within:__close()
  self.ctx.key, self.ctx.attempt = nil, nil
end

local function within(ctx, key, attempt)
  ctx.key, ctx.attempt = ctx.id .. ":" .. key, attempt
  return setmetatable({ ctx = ctx }, Within)
end

-- The outcome of a call that was made with task.pcall: bytes of its results, or a failure. Then,
-- for one value that comes back from its bytes as it is, true and the value.
local function outcome(ok, ...)
  if not ok then
    local err = ...
    if task.is_cancellation(err) then error(err, 0) end
    return nil, failure.raised(err)
  end
  local brief = encoding.pack_brief(...)
  if brief then return brief, nil, brief ~= encoding.NONE, (...) end
  if failure.is_one(...) then return nil, failure.returned(...) end
  local written, bytes = pcall(encoding.pack, ...)
  if written then return bytes end
  local refused = failure.raised("the results of a step cannot be remembered: " .. bytes)
  refused.is_final = true
  return nil, refused
end

-- A span in the trace that is being recorded, of the name of the step; nil: there is no trace.
local function span(key)
  return trace.is_open() and trace.enter((key:match("[^/]*$"):gsub("#%d+$", ""))) or nil
end

-- Leaves a step whose function has been called.
local function leave(ctx, ...)
  ctx.key, ctx.attempt = nil, nil
  return outcome(...)
end

local function call(ctx, key, attempt, options, fn, ...)
  if not options.timeout and not trace.is_open() then
    ctx.key, ctx.attempt = ctx.id .. ":" .. key, attempt
    return leave(ctx, task.pcall(fn, ...))
  end
  local _ <close> = within(ctx, key, attempt)
  local _ <close> = span(key)
  if options.timeout then return outcome(task.pcall(task.timeout, options.timeout, fn, ...)) end
  return outcome(task.pcall(fn, ...))
end

-- Gives what is remembered to the workflow.
local function give(record)
  if record.state == "failed" then return failure.give(record.value) end
  return encoding.unpack(record.value)
end

-- Remembers a failed attempt: the last, or one after which there will be another, and waits for
-- that. Returns the failure if it was the last.
local function fail(ctx, key, kind, rules, r, failed)
  local now = ctx.run.d:now()
  local pause = not failed.is_final and policy.pause(rules, r.attempt, failed)
  r.value, r.ended, r.state = failed.bytes, now, pause and "retrying" or "failed"
  r.due = pause and now + pause or nil
  context.record(ctx, key, kind, r)
  if not pause then return r end
  waits.until_due(ctx, { kind = "retry", key = key, due = r.due })
end

-- Tries until an attempt succeeds or was the last; returns the record.
local function try(ctx, key, kind, rules, r, attempt_once)
  while true do
    r.began = ctx.run.d:now()
    local bytes, failed = attempt_once(r)
    if bytes then
      r.state, r.value, r.due = "done", bytes, nil
      return r
    end
    local last = fail(ctx, key, kind, rules, r, failed)
    if last then return last end
    r.attempt = r.attempt + 1
  end
end

-- Where a step goes on that was not finished when its worker ended.
local function resume(ctx, key, record)
  if record.state == "retrying" then
    waits.until_due(ctx, { kind = "retry", key = key, due = record.due })
    return record.attempt + 1
  end
  return record.attempt or 1
end

-- Returns how the step is retried.
local function check_options(options, name, default)
  argument.options(options, 2, "step", STEP_OPTIONS)
  if options.timeout ~= nil then argument.number(options.timeout, 2, "step") end
  if options.at_most_once and options.retry then
    error(("step '%s': one that runs at most once cannot be retried"):format(name), 3)
  end
  local ok, rules = pcall(policy.read, options.retry, default)
  argument.check(ok, 2, "step", rules)
  return options.at_most_once and policy.once or rules
end

-- What the arguments of a step are compared by.
local function check_arguments(ctx, key, record, args)
  if args and record.args and record.args ~= args then
    ctx.run:diverge(("step '%s' has other arguments than when it was remembered"):format(key))
  end
end

local INTERRUPTED = "the step may have run: its worker ended meanwhile"

-- A step that may have run already, and must not run twice.
local function give_up(ctx, key, r)
  local failed = failure.returned(nil, INTERRUPTED, "EINTERRUPTED")
  r.state, r.value, r.began, r.ended = "failed", failed.bytes, ctx.run.d:now(), ctx.run.d:now()
  context.record(ctx, key, "step", r)
  return give(r)
end

-- Calls the function until it succeeds or fails for good.
local function finish(ctx, key, options, rules, r, fn, ...)
  local count, list = select("#", ...), { ... }
  local done = try(ctx, key, "step", rules, r, function()
    return call(ctx, key, r.attempt, options, fn, unpack(list, 1, count))
  end)
  if done.state == "done" then
    done.ended = ctx.run.d:now()
    context.record(ctx, key, "step", done)
  end
  return give(done)
end

local NOTHING = {}

-- The shortest way: a step without options that runs for the first time, and succeeds.
local function run_new(ctx, key, rules, fn, ...)
  local began = ctx.run.d:now()
  local bytes, failed, is_as_it_was, value = call(ctx, key, 1, NOTHING, fn, ...)
  if bytes then
    context.record_done(ctx, key, "step", bytes, began)
    if is_as_it_was then return value end
    return encoding.unpack(bytes)
  end
  local r = { attempt = 1, began = began }
  local last = fail(ctx, key, "step", rules, r, failed)
  if last then return give(last) end
  r.attempt = 2
  return finish(ctx, key, NOTHING, rules, r, fn, ...)
end

local function run_step(ctx, key, options, rules, record, fn, ...)
  if not record and options == NOTHING then return run_new(ctx, key, rules, fn, ...) end
  local args = options.check and encoding.canonical(...) or nil
  local r = { args = args, attempt = 1, seq = record and record.seq }
  if record then
    check_arguments(ctx, key, record, args)
    if record.state == "done" or record.state == "failed" then return give(record) end
    if record.state == "started" then return give_up(ctx, key, r) end
    r.attempt = resume(ctx, key, record)
  end
  if options.at_most_once then
    r.state, r.began = "started", ctx.run.d:now()
    context.record(ctx, key, "step", r)
  end
  return finish(ctx, key, options, rules, r, fn, ...)
end

local function begin(ctx, name, options, rules, fn, ...)
  context.enter(ctx)
  local key = ctx.keys:next(name)
  local record = context.remembered(ctx, "step", key)
  return run_step(ctx, key, options, rules, record, fn, ...)
end

--- Calls fn(...) once and remembers its results: after a crash they come back, and it does not run
-- again. It runs at least once: pass `ctx.key` on to services that can drop what they have seen.
-- An error, or `nil, message, code` as results, is a failure: it is retried, and the last one is
-- remembered and given to the caller as it was.
-- @tparam string name
-- @tparam[opt] table opts
-- @param[opt] opts.retry attempts in all, or `{attempts=, backoff={first, most}, factor=, jitter=,
-- on=function(err, code, attempt) end}`; false: one attempt. Without it that of the workflow, or
-- three attempts
-- @tparam[opt] number opts.timeout seconds for each attempt: then it fails with "EDEADLINE"
-- @tparam[opt] boolean opts.at_most_once if the process ends while it runs it does not run again,
-- but returns nil, message, "EINTERRUPTED"
-- @tparam[opt] boolean opts.check other arguments than those remembered end the run with
-- "EDIVERGED"
-- @tparam function fn
-- @param ... its arguments
-- @return its results, as they were written down
function Context:step(name, opts, fn, ...)
  argument.self(self, Context, "step")
  argument.string(name, 1, "step")
  local default = self.run.definition.retry
  if argument.is_callable(opts) then
    return begin(self, name, NOTHING, policy.read(nil, default), opts, fn, ...)
  end
  local rules = check_options(opts or NOTHING, name, default)
  argument.callable(fn, 3, "step")
  return begin(self, name, opts or NOTHING, rules, fn, ...)
end

-- One attempt of a transaction. The record is its last statement: it is there if, and only if, the
-- rest is. A run that this worker has lost rolls back.
local function transact(ctx, key, r, fn)
  local run = ctx.run
  local is_lost = false
  local function body(tx)
    local _ <close> = within(ctx, key, r.attempt)
    local _ <close> = span(key)
    local bytes, failed = outcome(task.pcall(fn, tx))
    if not bytes then return nil, failed, "FAILED" end
    r.ended = run.d:now()
    local item = { run.id, run.epoch, key, run:next_seq(r), "transaction", "done", bytes, nil,
      r.attempt, nil, nil, r.began, r.ended }
    run:bind(item)
    local written, message, code = run.d.writer:within(tx, ops.step, item)
    if written == nil then return nil, failure.returned(nil, message, code), "FAILED" end
    is_lost = not written
    if is_lost then return nil, failure.returned(nil, "the lease is lost", "ELOST"), "FAILED" end
    return bytes
  end
  local bytes, failed, code = run.d.writer:alone(run.d.db.transaction, run.d.db, body)
  if bytes then return bytes end
  if code == "FAILED" and not is_lost then return nil, failed end
  local record = run:reread(key)
  if record then return record.value end
  if is_lost then run:lose() end
  return nil, failure.returned(nil, failed, code)
end

--- Calls fn(tx) in a transaction of the database in which the run itself is kept, `d.db`. What it
-- writes there and the record of the step are committed together: exactly once. In SQLite it can
-- wait for nothing but `tx`. A failure rolls back, and is retried as that of a step.
-- @tparam string name
-- @tparam[opt] table opts retry
-- @tparam function fn
-- @return its results, as they were written down
function Context:transaction(name, opts, fn)
  argument.self(self, Context, "transaction")
  argument.string(name, 1, "transaction")
  if fn == nil then opts, fn = NOTHING, opts end
  argument.options(opts, 2, "transaction", { retry = true })
  argument.callable(fn, 2, "transaction")
  local ok, rules = pcall(policy.read, opts.retry, self.run.definition.retry)
  argument.check(ok, 2, "transaction", rules)
  context.enter(self)
  local key = self.keys:next(name)
  local record = context.remembered(self, "transaction", key)
  if record and (record.state == "done" or record.state == "failed") then return give(record) end
  local r = { attempt = record and resume(self, key, record) or 1, seq = record and record.seq }
  local done = try(self, key, "transaction", rules, r, function()
    return transact(self, key, r, fn)
  end)
  return give(done)
end
