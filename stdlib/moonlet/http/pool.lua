--- The pool of an HTTP client: idle connections by what they may serve. For moonlet's own modules.
-- @module moonlet.http.pool

local ipairs, next, pairs, pcall, setmetatable = ipairs, next, pairs, pcall, setmetatable
local tostring, type = tostring, type
local math_huge, math_max, math_min = math.huge, math.max, math.min
local math_type, table_remove = math.type, table.remove

local argument = require "moonlet.argument"
local origins = require "moonlet.http.client.origin"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local now = task.now

local pools = {}

-- Connections: idle ones in all and of an origin; seconds that one may be idle.
local IDLE_IN_ALL, IDLE_PER_HOST, IDLE_TIME = 100, 10, 30

local Pool = {}
Pool.__index = Pool

-- All pools, as keys, for metrics.
pools.all = setmetatable({}, { __mode = "k" })

-- The least value of each option.
local LEAST = { max = 0, per_host = 1, idle_per_host = 0, idle = 0 }

local function is_count(value) return math_type(value) == "integer" or value == math_huge end

--- Raises unless the value is a table of options of a pool, or nil.
function pools.check(opts, position, name)
  if opts == nil then return end
  argument.check(type(opts) == "table", position, name, "option 'pool' must be a table")
  for option, value in pairs(opts) do
    local least = LEAST[option]
    argument.check(least, position, name, ("unknown option 'pool.%s'"):format(tostring(option)))
    local ok = type(value) == "number" and value >= least and (option == "idle" or is_count(value))
    argument.check(ok, position, name, ("option 'pool.%s' must be %s from %d on"):format(option,
      option == "idle" and "a number" or "an integer", least))
  end
end

--- A pool. max: idle connections in all; idle_per_host: of an origin; per_host: those in use of an
-- origin; idle: seconds that one may be idle.
function pools.new(opts)
  opts = opts or {}
  local kept = opts.idle_per_host or opts.per_host or IDLE_PER_HOST
  local pool = setmetatable({
    max = opts.max or math_max(IDLE_IN_ALL, kept), kept = kept, limit = opts.per_host,
    time = opts.idle or IDLE_TIME, idle = {}, origins = {}, count = 0, open = 0, made = 0,
    reused = 0, is_watched = false, is_closed = false, next = 0, sooner = sync.event(),
  }, Pool)
  pools.all[pool] = true
  return pool
end

-- A connection of HTTP/1: one request at a time.
local Connection = {}
pools.Connection = Connection
Connection.__index = Connection

-- Gives it back: it serves the next request if it may, or is closed. Never waits. Once.
function Connection:release(is_good)
  local pool, origin = self.pool, self.origin
  if not pool then return end
  self.pool, self.origin = false, false
  if self.upload then self.upload:cancel() end
  if not is_good or not pool:keeps(self) then
    pool.open = pool.open - 1
    self.stream:close()
  end
  if origin then origin:leave() end
end

-- Its stream, which is the caller's from now on.
function Connection:take_stream()
  local pool, origin = self.pool, self.origin
  self.pool, self.origin = false, false
  pool.open = pool.open - 1
  if origin then origin:leave() end
  return self.stream
end

Connection.__close = function(self) self:release(false) end
Connection.__gc = Connection.__close -- of a response that was neither read nor closed

--- One over a stream that is connected. x: the exchange. All fields are there from the start, so
-- that setting one of them takes no memory.
function pools.connection(stream, x, key)
  return setmetatable({
    stream = stream, x = x, key = key, pool = false, origin = false, reused = false, since = 0,
    till = 0, lasts = math_huge, upload = false,
  }, Connection)
end

-- Whether it still may carry a request.
function Connection:is_idle() return self.x:is_idle() end

--- What requests to the same origin have in common, and with them the same proxy and options.
function Pool:origin(key)
  local one = self.origins[key]
  if not one then
    one = origins.new(self.limit, function() self:tidy(key) end)
    self.origins[key] = one
  end
  return one
end

-- The pool forgets an origin with its last connection.
function Pool:tidy(key)
  local one = self.origins[key]
  if one and one.used == 0 and one.users == 0 and not self.idle[key] then
    self.origins[key] = nil
  end
end

--- Keeps a connection that is idle now. False: there are enough. May raise for want of memory, and
-- has kept nothing then.
function Pool:keep(conn)
  local list = self.idle[conn.key]
  local count = list and #list or 0
  local time = math_min(self.time, conn.lasts or math_huge)
  if self.is_closed or self.max <= 0 or count >= self.kept or time <= 0 then return false end
  local since = now()
  self:watch(since + time)
  conn.since, conn.till = since, since + time
  if list then list[#list + 1] = conn else self.idle[conn.key] = { conn } end
  self.count = self.count + 1
  if self.count > self.max then self:drop_oldest() end
  return true
end

--- The same; false, too, if there is no memory.
function Pool:keeps(conn)
  local ok, is_kept = pcall(self.keep, self, conn)
  return ok and is_kept
end

function Pool:remove(key, i)
  local list = self.idle[key]
  local conn = table_remove(list, i)
  self.count = self.count - 1
  if #list == 0 then
    self.idle[key] = nil
    self:tidy(key)
  end
  return conn
end

--- A connection is idle no longer, if it was.
function Pool:unlist(conn)
  local list = self.idle[conn.key] or {}
  for i = #list, 1, -1 do
    if list[i] == conn then return self:remove(conn.key, i) end
  end
end

-- Closes one that is not in the lists any more.
function Pool:shut(conn)
  if conn.shut then return conn:shut() end
  self.open = self.open - 1
  conn.stream:close()
end

function Pool:drop(key, i) self:shut(self:remove(key, i)) end

function Pool:drop_oldest()
  local oldest
  for key, list in pairs(self.idle) do
    if not oldest or list[1].since < self.idle[oldest][1].since then oldest = key end
  end
  if oldest then self:drop(oldest, 1) end
end

-- Closes those that have been idle for too long. When the next is to be closed; nil: there is none.
function Pool:sweep()
  local keys, first, limit = {}, nil, now()
  for key in pairs(self.idle) do keys[#keys + 1] = key end
  for _, key in ipairs(keys) do
    local list = self.idle[key]
    for i = #list, 1, -1 do
      if list[i].till <= limit then
        self:drop(key, i)
      else
        first = math_min(first or math_huge, list[i].till)
      end
    end
  end
  return first
end

-- One daemon sweeps while anything is idle. till: when what becomes idle now is to be closed.
function Pool:watch(till)
  if self.is_watched then
    if till < self.next then self.sooner:set() end
    return
  end
  task.spawn({ daemon = true, quiet = true, name = "http pool" }, function()
    local at = self:sweep()
    while at do
      self.next = at
      self.sooner:clear()
      self.sooner:wait(math_max(at - now(), 0))
      at = self:sweep()
    end
  end):on_exit(function() self.is_watched = false end)
  self.is_watched, self.next = true, till
end

-- An idle connection to the origin that is still good, the last used first.
function Pool:take(key)
  local limit = now()
  while self.idle[key] do
    local conn = self:remove(key, #self.idle[key])
    if conn.till > limit and conn:is_idle() then
      conn.pool, conn.upload = self, false
      return conn
    end
    self:shut(conn)
  end
end

function Pool:close()
  self.is_closed = true
  for key in next, self.idle do
    while self.idle[key] do self:drop(key, 1) end
  end
end

return pools
