--- Branches: parts of a run that go on at the same time, each with a context of its own.
-- @submodule moonlet.durable

local argument = require "moonlet.argument"
local context = require "moonlet.durable.context"
local encoding = require "moonlet.durable.encoding"
local keys = require "moonlet.durable.keys"
local task = require "moonlet.task"

local setmetatable = setmetatable

local Context = context.class

-- A branch that runs counts among those that may all wait.
local Running = {}

function Running:__close() self.run:leave_branch() end

-- Its place among the branches was taken before: none begins while the first ones already wait.
local function run_branch(ctx, making, index, fn, ...)
  making.waiting = making.waiting - 1
  local _ <close> = setmetatable({ run = ctx.run }, Running)
  local branch = context.new(ctx.run, keys.branch(making.key, index))
  branch.is_cleanup = ctx.is_cleanup
  return fn(branch, ...)
end

-- While its branches run the one that made them does not count. Some may never begin.
local Making = {}

function Making:__close()
  self.run.branches = self.run.branches - self.waiting + 1
end

local function make(ctx, key, count)
  ctx.run.branches = ctx.run.branches + count - 1
  return setmetatable({ run = ctx.run, key = key, waiting = count }, Making)
end

-- Calls each(i) for 1 to count in branches of the run.
local function together(ctx, key, count, limit, each)
  local results = { n = count }
  if count == 0 then return results end
  local making <close> = make(ctx, key, count)
  task.group({ limit = limit }, function(group)
    for i = 1, count do
      group:spawn(function()
        results[i] = run_branch(ctx, making, i, each, i)
      end)
    end
  end)
  return results
end

--- Calls fn(ctx, item) for all items of a list at the same time, each in a branch with a ctx of its
-- own. The first failure cancels the others and is raised.
-- @tparam string name
-- @tparam table list
-- @tparam function fn
-- @tparam[opt] integer limit how many at a time
-- @treturn table first results, in the order of the list; `n`
function Context:map(name, list, fn, limit)
  argument.self(self, Context, "map")
  argument.string(name, 1, "map")
  argument.table(list, 2, "map")
  argument.callable(fn, 3, "map")
  argument.count(limit, 4, "map", "limit")
  context.enter(self)
  local key = self.keys:next(name)
  return together(self, key, list.n or #list, limit, function(ctx, i) return fn(ctx, list[i]) end)
end

--- Calls functions at the same time, as `map` does: each gets a ctx of its own.
-- @tparam[opt="all"] string name
-- @tparam {function} functions
-- @treturn table first results, in the order of the functions; `n`
function Context:all(name, functions)
  argument.self(self, Context, "all")
  if functions == nil then name, functions = "all", name end
  argument.string(name, 1, "all")
  argument.functions(functions, 2, "all")
  context.enter(self)
  local key = self.keys:next(name)
  return together(self, key, #functions, nil, function(ctx, i) return functions[i](ctx) end)
end

local function race(ctx, key, functions)
  local branches = {}
  local making <close> = make(ctx, key, #functions)
  for i = 1, #functions do
    branches[i] = function() return run_branch(ctx, making, i, functions[i]) end
  end
  return task.race(branches)
end

--- Calls functions at the same time; the first that returns is the winner, which is remembered, and
-- the others are cancelled.
-- @tparam[opt="race"] string name
-- @tparam {function} functions each gets a ctx of its own
-- @treturn integer its place in the list
-- @return its results
function Context:race(name, functions)
  argument.self(self, Context, "race")
  if functions == nil then name, functions = "race", name end
  argument.string(name, 1, "race")
  argument.functions(functions, 2, "race")
  context.enter(self)
  local key = self.keys:next(name)
  local record = context.remembered(self, "race", key)
  if record then
    self.run:forget_below(key .. "[")
    return encoding.unpack(record.value)
  end
  local began = self.run.d:now()
  local value = encoding.pack(race(self, key, functions))
  record = { state = "done", value = value, began = began, ended = self.run.d:now() }
  context.record(self, key, "race", record)
  return encoding.unpack(value)
end
