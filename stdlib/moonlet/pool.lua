--- Pools of values that are expensive to open: connections, processes. Each is leased to one task
-- at a time.
-- @module moonlet.pool

local error, ipairs, pcall = error, ipairs, pcall
local setmetatable, type = setmetatable, type
local table_insert, table_remove = table.insert, table.remove

local argument = require "moonlet.argument"
local named = require("moonlet.named").pools
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local protected = task.pcall -- pcall that returns a cancellation, too

local pool = {}

--- Values that are leased. `<close>` closes it.
-- @object Pool
local Pool = {}
Pool.__index = Pool
Pool.__name = "pool"

--- A value that is leased: `local lease <close> = pool:lease()` gives it back at the end of the
-- block, or discards it if an error ends the block.
-- @object Lease
-- @tfield any value nil once it was given back or discarded
local Lease = {}
Lease.__index = Lease
Lease.__name = "pool.lease"

local OPTIONS = { open = true, close = true, max = true, check = true, name = true }

--- Makes a pool.
-- @tparam table opts
-- @tparam function opts.open returns a value, or nil, message, code; may wait
-- @tparam[opt] function opts.close called with the value; without it, the value's method close
-- @tparam[opt=10] integer opts.max leases at a time
-- @tparam[opt] function opts.check called with an idle value: returns whether it can still be used
-- @tparam[opt] string opts.name under which `inspect.metrics` shows it
-- @treturn Pool
function pool.new(opts)
  argument.options(opts, 1, "new", OPTIONS)
  argument.check(argument.is_callable(opts.open), 1, "new", "option 'open' must be a function")
  for _, name in ipairs { "close", "check" } do
    local is_good = opts[name] == nil or argument.is_callable(opts[name])
    argument.check(is_good, 1, "new", ("option '%s' must be a function"):format(name))
  end
  argument.count(opts.max, 1, "new", "option 'max'")
  local name = opts.name
  argument.check(name == nil or type(name) == "string", 1, "new", "option 'name' must be a string")
  local self = setmetatable({
    open = opts.open, close_value = opts.close, check = opts.check, idle = {},
    places = sync.semaphore(opts.max or 10), max = opts.max or 10,
  }, Pool)
  if name then named[name] = self end
  return self
end

-- How long the closing of a value may take, in seconds.
local PATIENCE = 5

-- The reason why a value cannot be closed; nil: it can.
local function complaint(self, value)
  if self.close_value then return nil end
  local has, close = pcall(function() return value.close end)
  if has and argument.is_callable(close) then return nil end
  local message = "cannot close a %s: it has no method 'close', and its pool no option 'close'"
  return message:format(type(value))
end

local function close_value(self, value)
  if self.close_value then self.close_value(value) else value:close() end
  return true
end

-- Closes a value, also in a task that is cancelled: a value whose closing was cut short would be
-- open for ever. (In a finalizer at the very end there is no task, and nothing that could cut it
-- short.) level: of the caller, for the error if the value cannot be closed.
local function dispose(self, value, level)
  local reason = complaint(self, value)
  if reason then error(reason, level and level + 1 or 0) end
  if not pcall(task.current) then return close_value(self, value) end
  local ok, message = task.shield(PATIENCE, close_value, self, value)
  if not ok then error("a value of the pool could not be closed: " .. message, 0) end
end

-- A value that is being checked: closed unless it passes, also when check() is cancelled.
local Doubt = {}

function Doubt:__close()
  if self.value then dispose(self.pool, self.value) end
end

-- Takes an idle value that can still be used; closes those that cannot.
local function take_idle(self)
  while #self.idle > 0 do
    local doubt <close> = setmetatable({ pool = self, value = false }, Doubt)
    local value = table_remove(self.idle)
    doubt.value = value
    if not self.check or self.check(value) then
      doubt.value = false
      return value
    end
  end
end

-- A place whose value is being opened: given back unless there is one, also when open() is
-- cancelled.
local Attempt = {}

function Attempt:__close()
  if self.permit then self.permit:release() end
end

--- Leases a value for the caller: an idle one, or a new one. Waits for a place,
-- and as open() and check() do.
-- @tparam[opt] number timeout seconds to wait for a place
-- @treturn Lease or nil, message, code
function Pool:lease(timeout)
  argument.self(self, Pool, "lease")
  if timeout ~= nil then argument.number(timeout, 1, "lease") end
  local lease = setmetatable({ pool = self, value = false, permit = false }, Lease)
  local attempt <close> = setmetatable({ permit = false }, Attempt)
  local permit, message, code = self.places:hold(timeout)
  if not permit then return nil, message, code end
  attempt.permit = permit
  if self.is_closed then return nil, "closed", "CLOSED" end
  local value, err, err_code = take_idle(self), nil, nil
  if not value then value, err, err_code = self.open() end
  if not value then return nil, err, err_code end
  lease.value, lease.permit, attempt.permit = value, permit, false
  return lease
end

--- Closes the idle values; those that are leased when they come back. Never waits, unless closing
-- one does: then up to 5 s for each, and a cancellation is held off meanwhile. All are closed even
-- if some fail; the first error is raised.
function Pool:close()
  argument.self(self, Pool, "close")
  self.is_closed = true
  self.places:close()
  local has_failed, failure, level = false, nil, 0
  while #self.idle > 0 do
    local value = table_remove(self.idle)
    local reason = complaint(self, value)
    local ok, err = not reason, reason
    if ok then ok, err = protected(dispose, self, value) end
    if not ok and not has_failed then has_failed, failure, level = true, err, reason and 2 or 0 end
  end
  if has_failed then error(failure, level) end
end

Pool.__close = Pool.close

-- A value for which the pool has no use, or no memory, is closed.
local function give_back(self, is_good)
  local value, owner = self.value, self.pool
  if value == nil then return end
  self.value = nil
  local _ <close> = self.permit
  local is_kept = is_good and not owner.is_closed and pcall(table_insert, owner.idle, value)
  if not is_kept then dispose(owner, value, 3) end
end

--- Gives the value back to the pool, or closes it if the pool is closed.
function Lease:close()
  argument.self(self, Lease, "close")
  give_back(self, true)
end

--- Closes the value instead of giving it back. Waits only if closing it does.
function Lease:discard()
  argument.self(self, Lease, "discard")
  give_back(self, false)
end

-- If an error ended the block, the value is discarded.
function Lease:__close(err)
  give_back(self, err == nil)
end

return pool
