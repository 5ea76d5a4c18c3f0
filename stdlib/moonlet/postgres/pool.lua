--- The connections of a database: each leased to one task, or shared by several that read.
-- @module moonlet.postgres.pool

local ipairs, setmetatable, table_remove = ipairs, setmetatable, table.remove

local sync = require "moonlet.sync"
local task = require "moonlet.task"

local pool = {}

local Pool = {}
Pool.__index = Pool
Pool.__name = "libpq.pool"

--- Makes one.
-- @tparam table parts `connect` -> a connection, or nil, message, code; `max`; `idle`: seconds
-- after which an unused one is closed; `depth`: the most queries on a shared one, 0: none is shared
function pool.new(parts)
  parts.free, parts.shared, parts.total = {}, {}, 0
  parts.waiters, parts.first, parts.last = {}, 1, 0
  parts.holders = setmetatable({}, { __mode = "k" }) -- tasks: how many they keep for long
  return setmetatable(parts, Pool)
end

-- ---- tasks that wait for a connection ----

local Waiter = {}

-- The task goes: what it was given meanwhile is for another one.
function Waiter:__close()
  local given = self.given
  self.is_gone, self.given = true, nil
  if given then self.pool:put_back(given) elseif given == false then self.pool:let_another_try() end
end

-- Gives the first task that waits a connection, or false: it may try anew. False: none waits.
local function give(self, connection)
  while self.first <= self.last do
    local waiter = self.waiters[self.first]
    self.waiters[self.first] = nil
    self.first = self.first + 1
    if not waiter.is_gone then
      waiter.given = connection
      waiter.event:set()
      return true
    end
  end
  return false
end

function Pool:let_another_try()
  give(self, false)
end

-- A connection that another task gave back, or false.
local function wait(self)
  local waiter <close> = setmetatable({ pool = self, event = sync.event() }, Waiter)
  self.last = self.last + 1
  self.waiters[self.last] = waiter
  waiter.event:wait()
  local given = waiter.given
  waiter.given = nil
  return given
end

-- ---- opening, closing ----

local function drop(self, connection)
  connection:close()
  self.total = self.total - 1
  give(self, false)
end

-- The place of a connection that is being opened, or whose use is in doubt.
local Place = {}

function Place:__close()
  local owner, connection = self.pool, self.connection
  if not owner then return end
  if connection then connection:close() end
  owner.total = owner.total - 1
  give(owner, false)
end

local function open(self)
  local place <close> = setmetatable({ pool = self }, Place)
  self.total = self.total + 1
  local connection, message, code, details = self.connect()
  if not connection then return nil, message, code, details end
  place.connection = connection
  if self.is_closed then return nil, "closed", "CLOSED" end
  place.pool = nil
  return connection
end

-- Connections that have not been used for so long are asked whether they are alive, in seconds.
local STALE = 0.005

-- How long a connection may take to end what its last task has left, in seconds.
local PATIENCE = 3

-- Whether a connection can be used; one that cannot is closed.
local function make_ready(self, connection)
  local raw = connection.raw
  local place <close> = setmetatable({ pool = self, connection = connection }, Place)
  if raw:is_broken() then return false end
  if not raw:is_settled() then
    if not raw:settle(PATIENCE) or raw:state() ~= "idle" then return false end
  elseif task.now() - connection.since > STALE and not raw:is_alive() then
    return false
  end
  place.pool = nil
  return true
end

-- Those that nobody has used for long; the first has waited longest.
local function close_idle(self, now)
  local free = self.free
  while free[1] and now - free[1].since > self.idle do
    self.total = self.total - 1
    table_remove(free, 1):close()
  end
end

-- ---- leases ----

local HELD = "this task has all connections in use: it has rows open, or a transaction"

--- The running task keeps a connection for longer than one query, or no more. change: 1 or -1.
-- @return the task, for the second call
function Pool:count_holder(change, holder)
  holder = holder or task.current()
  local count = (self.holders[holder] or 0) + change
  self.holders[holder] = count > 0 and count or nil
  return holder
end

--- Leases a connection; waits for one.
-- @return it; or nil, message, code
function Pool:take()
  while not self.is_closed do
    local connection = table_remove(self.free)
    if not connection then
      if self.total < self.max then return open(self) end
      if (self.holders[task.current()] or 0) >= self.max then return nil, HELD, "EDEADLK" end
      connection = wait(self)
    end
    if connection and make_ready(self, connection) then
      if not self.is_closed then return connection end
      drop(self, connection)
    end
  end
  return nil, "closed", "CLOSED"
end

--- Gives it back.
function Pool:put_back(connection)
  if self.is_closed or not connection:tidy() then return drop(self, connection) end
  local now = task.now()
  connection.since = now
  if give(self, connection) then return end
  self.free[#self.free + 1] = connection
  close_idle(self, now)
end

-- ---- sharing ----

-- A connection whose oldest query has taken so long is not shared, in seconds: more would wait
-- behind it.
local SLOW = 0.005

local function pick(self)
  local best, now, load = nil, task.now(), self.depth
  for _, connection in ipairs(self.shared) do
    if connection.load < load and connection.can_share and now - connection.since < SLOW then
      best, load = connection, connection.load
    end
  end
  return best
end

local function forget_shared(self, connection)
  local shared = self.shared
  for i = 1, #shared do
    if shared[i] == connection then
      shared[i] = shared[#shared]
      shared[#shared] = nil
      return
    end
  end
end

--- Takes a connection for one query: a free one, a new one, or with `can_share` one on which others
-- read, too.
function Pool:enter(can_share)
  local is_full = not self.free[1] and self.total >= self.max
  local connection = is_full and can_share and self.first > self.last and pick(self)
  if connection then
    connection.load = connection.load + 1
    return connection
  end
  local message, code, details
  connection, message, code, details = self:take()
  if not connection then return nil, message, code, details end
  connection.load, connection.can_share, connection.since = 1, can_share, task.now()
  if can_share then self.shared[#self.shared + 1] = connection end
  return connection
end

--- Ends that. failure: the error or cancellation that has ended the query.
function Pool:leave(connection, failure)
  connection.load = connection.load - 1
  if failure ~= nil or connection.raw:is_broken() then connection.can_share = false end
  if connection.load == 0 then
    forget_shared(self, connection)
    self:put_back(connection)
  else
    connection.since = task.now()
  end
end

--- Closes the free ones; others when they come back.
function Pool:close()
  self.is_closed = true
  while give(self, false) do end
  local connection = table_remove(self.free)
  while connection do
    self.total = self.total - 1
    connection:close()
    connection = table_remove(self.free)
  end
end

return pool
