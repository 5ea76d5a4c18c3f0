--- The pool of an HTTP client: idle connections by what they may serve. For moonlet's own modules.
-- @module moonlet.http.pool

local ipairs, next, pairs, setmetatable = ipairs, next, pairs, setmetatable
local math_huge, math_min, table_remove = math.huge, math.min, table.remove

local sync = require "moonlet.sync"
local task = require "moonlet.task"

local now = task.now

local pools = {}

-- Connections: idle ones in all and of an origin; seconds that one may be idle.
local IDLE_IN_ALL, IDLE_PER_HOST, IDLE_TIME = 100, 10, 30

local Pool = {}
Pool.__index = Pool

function pools.new(opts)
  opts = opts or {}
  return setmetatable({
    max = opts.max or IDLE_IN_ALL, per_host = opts.per_host or IDLE_PER_HOST,
    limit = opts.per_host, time = opts.idle or IDLE_TIME, idle = {}, places = {}, count = 0,
    open = 0, made = 0, reused = 0,
  }, Pool)
end

local Connection = {}
pools.Connection = Connection
Connection.__index = Connection

-- Gives it back: it serves the next request if it may, or is closed. Never waits. Once.
function Connection:release(is_good)
  local pool = self.pool
  if not pool then return end
  self.pool = nil
  local permit = self.permit
  self.permit = nil
  local list = pool.idle[self.key]
  local is_kept = is_good and not pool.is_closed and pool.max > 0
    and (not list or #list < pool.per_host)
  if is_kept then
    self.since = now()
    if not list then
      list = {}
      pool.idle[self.key] = list
    end
    list[#list + 1] = self
    pool.count = pool.count + 1
    if pool.count > pool.max then pool:drop_oldest() end
    pool:watch()
  else
    pool.open = pool.open - 1
    self.stream:close()
  end
  if permit then permit:release() end
end

Connection.__close = function(self) self:release(false) end

function Pool:remove(key, i)
  local list = self.idle[key]
  local conn = table_remove(list, i)
  self.count = self.count - 1
  if #list == 0 then self.idle[key] = nil end
  return conn
end

function Pool:drop(key, i)
  self.open = self.open - 1
  self:remove(key, i).stream:close()
end

function Pool:drop_oldest()
  local oldest
  for key, list in pairs(self.idle) do
    if not oldest or list[1].since < self.idle[oldest][1].since then oldest = key end
  end
  if oldest then self:drop(oldest, 1) end
end

-- Closes those that have been idle for too long. When the next is to be closed; nil: there is none.
function Pool:sweep()
  local keys, first, limit = {}, nil, now() - self.time
  for key in pairs(self.idle) do keys[#keys + 1] = key end
  for _, key in ipairs(keys) do
    while self.idle[key] and self.idle[key][1].since <= limit do self:drop(key, 1) end
    local list = self.idle[key]
    if list then first = math_min(first or math_huge, list[1].since + self.time) end
  end
  return first
end

-- One daemon sweeps while anything is idle.
function Pool:watch()
  if self.is_watched then return end
  self.is_watched = true
  task.spawn({ daemon = true, quiet = true, name = "http pool" }, function()
    local at = self:sweep()
    while at do
      task.sleep_until(at)
      at = self:sweep()
    end
    self.is_watched = false
  end)
end

-- An idle connection to the origin that is still good, the last used first.
function Pool:take(key)
  local limit = now() - self.time
  while self.idle[key] do
    local conn = self:remove(key, #self.idle[key])
    if conn.since > limit and conn.x:is_idle() then
      conn.pool = self
      return conn
    end
    self.open = self.open - 1
    conn.stream:close()
  end
end

-- Waits for a place at the origin, first come, first served.
function Pool:place(key, seconds)
  if not self.limit then return true end
  local places = self.places[key]
  if not places then
    places = sync.semaphore(self.limit)
    self.places[key] = places
  end
  local permit, message, code = places:hold(seconds)
  return permit, message, code
end

function Pool:close()
  self.is_closed = true
  for key in next, self.idle do
    while self.idle[key] do self:drop(key, 1) end
  end
end

return pools
