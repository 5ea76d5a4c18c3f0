--- What a workflow gets: the calls that are remembered. A context belongs to one branch of its run,
-- and to the task that runs it.
-- @submodule moonlet.durable

local error, setmetatable = error, setmetatable
local current = require("moonlet.task").current

local keys = require "moonlet.durable.keys"

local context = {}

--- A run, as its workflow sees it. Each call with a name is remembered under the path of its
-- branch, that name, and how many of that name.
-- @object Context
-- @tfield string id of the run
-- @tfield ?string key within a step: the same in every attempt and after every crash, to pass on to
-- services that drop what they have seen
-- @tfield ?integer attempt within a step: 1 the first time
local Context = {}
Context.__index = Context
Context.__name = "durable.context"

context.class = Context

-- A context for a branch, for the running task.
function context.new(run, path)
  return setmetatable({ run = run, id = run.id, keys = keys.new(path), owner = current() }, Context)
end

-- Raises unless the caller may use the context now.
function context.enter(ctx)
  if ctx.owner ~= current() then
    error("this ctx belongs to another task: ctx:map, ctx:all and ctx:race make branches", 3)
  end
  if ctx.key then error("a step or transaction is running: use ctx after it", 3) end
  ctx.run:check(ctx)
end

-- What is remembered under a key; nil: nothing. A record of another kind ends the run.
function context.remembered(ctx, kind, key)
  local run = ctx.run
  local record = run.history[key]
  if not record then
    run:check_frontier(ctx, key)
    return nil
  end
  run.history[key] = nil -- of its own table: it had a record
  if record.kind ~= kind then
    run:diverge(("'%s' was a %s when it was remembered, and is a %s now")
      :format(key, record.kind, kind))
  end
  return record
end

-- Remembers: a row as ops.step has it, without the run, its epoch and the number.
-- r: state, value, args, attempt, due, name, began, ended.
function context.record(ctx, key, kind, r)
  local run = ctx.run
  run:check(ctx)
  run:write { run.id, run.epoch, key, run:next_seq(r), kind, r.state, r.value, r.args, r.attempt,
    r.due, r.name, r.began, r.ended }
end

-- The same for what is done at the first attempt. The writer's fields have their room at once.
function context.record_done(ctx, key, kind, bytes, began)
  local run = ctx.run
  run:check(ctx)
  run.seq = run.seq + 1
  run:write { run.id, run.epoch, key, run.seq, kind, "done", bytes, nil, 1, nil, nil, began,
    run.d:now(), op = nil, event = nil, written = nil, message = nil }
end

function Context:__tostring() return "durable.context " .. self.id end

return context
