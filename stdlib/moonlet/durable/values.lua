--- Values that would differ whenever a workflow is called again; remembered here.
-- @submodule moonlet.durable

local error, next, type = error, next, type
local random = math.random
local sort = table.sort

local argument = require "moonlet.argument"
local context = require "moonlet.durable.context"
local encoding = require "moonlet.durable.encoding"
local identity = require "moonlet.durable.identity"

local Context = context.class

-- The values of make(...), made once.
local function once(ctx, kind, name, make, ...)
  context.enter(ctx)
  local key = ctx.keys:next(name)
  local record = context.remembered(ctx, kind, key)
  if not record then
    local now = ctx.run.d:now()
    record = { state = "done", value = encoding.pack(make(...)), began = now, ended = now }
    context.record(ctx, key, kind, record)
  end
  return encoding.unpack(record.value)
end

--- The time, in seconds since 1970, by the clock of the database; remembered.
-- @treturn number
function Context:now()
  argument.self(self, Context, "now")
  local d = self.run.d
  return once(self, "now", "now", d.now, d)
end

--- As `math.random`; remembered.
-- @tparam[opt] integer m
-- @tparam[opt] integer n
-- @treturn number
function Context:random(m, n)
  argument.self(self, Context, "random")
  if n ~= nil then return once(self, "random", "random", random, m, n) end
  if m ~= nil then return once(self, "random", "random", random, m) end
  return once(self, "random", "random", random)
end

--- A new UUID; remembered.
-- @treturn string
function Context:uuid()
  argument.self(self, Context, "uuid")
  return once(self, "uuid", "uuid", identity.new, self.run.d:now())
end

local ORDER = { number = 1, string = 2, boolean = 3 }

local function comes_before(a, b)
  local kind, other = ORDER[type(a)], ORDER[type(b)]
  if kind ~= other then return kind < other end
  if kind == 3 then return not a and b end
  return a < b
end

--- As `pairs`, in the same order in every process: numbers, then strings, then false and true.
-- @tparam table t with keys of these kinds
-- @treturn function
function Context:pairs(t)
  argument.self(self, Context, "pairs")
  argument.table(t, 1, "pairs")
  local keys, at = {}, 0
  for key in next, t do
    if not ORDER[type(key)] then
      error(("a key is a %s: it has no order that lasts"):format(type(key)), 2)
    end
    keys[#keys + 1] = key
  end
  sort(keys, comes_before)
  return function()
    at = at + 1
    local key = keys[at]
    if key ~= nil then return key, t[key] end
  end
end

--- Whether this run takes the changed way: true for runs that come here for the first time, false
-- for those that have gone on from here before the change. Remembered.
-- @tparam string name of the change
-- @treturn boolean
function Context:patched(name)
  argument.self(self, Context, "patched")
  argument.string(name, 1, "patched")
  context.enter(self)
  local key = self.keys:next("patched:" .. name)
  if context.remembered(self, "patched", key) then return true end
  if self.run:has_history_below(self.keys.path) then return false end
  local now = self.run.d:now()
  context.record(self, key, "patched", { state = "done", began = now, ended = now })
  return true
end



--- Has fn(ctx) called if the run is cancelled, after its `<close>` variables: it may have steps. Of
-- several the last is called first.
-- @tparam function fn
function Context:cleanup(fn)
  argument.self(self, Context, "cleanup")
  argument.callable(fn, 1, "cleanup")
  context.enter(self)
  local list = self.run.cleanups or {}
  self.run.cleanups = list
  list[#list + 1] = fn
end
