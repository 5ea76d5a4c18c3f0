--- Pools of things that are dear to open: connections, processes. Each is leased to one task at a
-- time.
-- @module moonlet.pool

local ipairs, setmetatable = ipairs, setmetatable
local table_insert, table_remove = table.insert, table.remove

local argument = require "moonlet.argument"
local sync = require "moonlet.sync"

local pool = {}

--- Values that are leased. `<close>` closes it.
-- @object Pool
local Pool = {}
Pool.__index = Pool
Pool.__name = "pool"

--- A value that is leased: `local lease <close> = pool:lease()` gives it back at the end of the
-- block, or discards it if an error ends that.
-- @object Lease
-- @tfield any value nil once it was given back or discarded
local Lease = {}
Lease.__index = Lease
Lease.__name = "pool.lease"

--- Makes a pool.
-- @tparam table opts
-- @tparam function opts.open returns a value, or nil, message, code; may wait
-- @tparam[opt] function opts.close called with the value; without it, its close method is
-- @tparam[opt=10] integer opts.max leases at a time
-- @tparam[opt] function opts.check called with an idle value: whether it still serves
-- @treturn Pool
function pool.new(opts)
  argument.table(opts, 1, "new")
  argument.check(argument.is_callable(opts.open), 1, "new", "option 'open' must be a function")
  for _, name in ipairs { "close", "check" } do
    local is_good = opts[name] == nil or argument.is_callable(opts[name])
    argument.check(is_good, 1, "new", ("option '%s' must be a function"):format(name))
  end
  argument.count(opts.max, 1, "new", "option 'max'")
  return setmetatable({
    open = opts.open, close_value = opts.close, check = opts.check, idle = {},
    places = sync.semaphore(opts.max or 10),
  }, Pool)
end

local function dispose(self, value)
  if self.close_value then self.close_value(value) else value:close() end
end

-- A value that is being checked: closed unless it passes, also when check() is cancelled.
local Doubt = {}

function Doubt:__close()
  if self.value ~= nil then dispose(self.pool, self.value) end
end

local function serves(self, value)
  if not self.check then return true end
  local doubt <close> = setmetatable({ pool = self, value = value }, Doubt)
  if not self.check(value) then return false end
  doubt.value = nil
  return true
end

-- An idle value that still serves; those that do not are closed.
local function take_idle(self)
  while #self.idle > 0 do
    local value = table_remove(self.idle)
    if serves(self, value) then return value end
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
  if timeout ~= nil then argument.number(timeout, 1, "lease") end
  if self.is_closed then return nil, "closed", "CLOSED" end
  local permit, message, code = self.places:hold(timeout)
  if not permit then return nil, message, code end
  local attempt <close> = setmetatable({ permit = permit }, Attempt)
  local value, err, err_code = take_idle(self), nil, nil
  if value == nil then value, err, err_code = self.open() end
  if value == nil then return nil, err, err_code end
  attempt.permit = nil
  return setmetatable({ pool = self, value = value, permit = permit }, Lease)
end

--- Closes the idle values; those that are leased when they come back. Never waits, unless closing
-- one does.
function Pool:close()
  self.is_closed = true
  self.places:close()
  while #self.idle > 0 do dispose(self, table_remove(self.idle)) end
end

Pool.__close = Pool.close

local function give_back(self, is_good)
  local value = self.value
  if value == nil then return end
  self.value = nil
  local _ <close> = self.permit
  if is_good and not self.pool.is_closed then
    table_insert(self.pool.idle, value)
  else
    dispose(self.pool, value)
  end
end

--- Gives the value back to the pool, or closes it if the pool is closed.
function Lease:close()
  give_back(self, true)
end

--- Closes the value instead of giving it back. Waits only if closing it does.
function Lease:discard()
  give_back(self, false)
end

-- One that is left by an error is discarded.
function Lease:__close(err)
  give_back(self, err == nil)
end

return pool
