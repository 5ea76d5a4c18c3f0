--- Queues of values between tasks: first in first out, last in first out, or smallest first.
-- @module moonlet.queue

local error, pcall, setmetatable = error, pcall, setmetatable
local table_remove = table.remove

local argument = require "moonlet.argument"
local sync = require "moonlet.sync"

local queue = {}

--- A queue. `#queue` is how many values are in it; `<close>` closes it.
-- @object Queue
local Queue = {}
Queue.__index = Queue
Queue.__name = "queue"

-- ---- orders: add(items, value), take(items), first(items) ----

local fifo = {}

function fifo.new() return { head = 1, tail = 0 } end

function fifo.add(items, value)
  items.tail = items.tail + 1
  items[items.tail] = value
end

function fifo.first(items) return items[items.head] end

function fifo.take(items)
  local value = items[items.head]
  items[items.head] = nil
  items.head = items.head + 1
  return value
end

local lifo = {}

function lifo.new() return {} end

function lifo.add(items, value) items[#items + 1] = value end

function lifo.first(items) return items[#items] end

function lifo.take(items) return table_remove(items) end

-- A binary heap; equal ones come out in the order in which they went in.
local priority = {}

function priority.new(less) return { less = less, count = 0 } end

local function precedes(items, a, b)
  if items.less(a.value, b.value) then return true end
  return a.number < b.number and not items.less(b.value, a.value)
end

-- All is compared before anything is moved: less() may fail.
function priority.add(items, value)
  local entry = { value = value, number = items.count + 1 }
  local last = #items + 1
  local place = last
  while place > 1 and precedes(items, entry, items[place // 2]) do place = place // 2 end
  while last > place do
    items[last] = items[last // 2]
    last = last // 2
  end
  items[place] = entry
  items.count = items.count + 1
end

function priority.first(items) return items[1].value end

function priority.take(items)
  local value, last = items[1].value, table_remove(items)
  local size, place = #items, 1
  if size == 0 then return value end
  while place * 2 <= size do
    local child = place * 2
    if child < size and precedes(items, items[child + 1], items[child]) then child = child + 1 end
    if not precedes(items, items[child], last) then break end
    items[place] = items[child]
    place = child
  end
  items[place] = last
  return value
end

local orders = { fifo = fifo, lifo = lifo, priority = priority }

local function less_than(a, b) return a < b end

--- Makes a queue.
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.capacity values that it holds before put() waits; without: no limit
-- @tparam[opt="fifo"] string opts.order "fifo", "lifo" or "priority"
-- @tparam[opt] function opts.less for "priority": less(a, b), whether a comes first; `<` without
-- @treturn Queue
function queue.new(opts)
  if opts ~= nil then argument.table(opts, 1, "new") end
  opts = opts or {}
  local order = orders[opts.order or "fifo"]
  argument.check(order, 1, "new", "option 'order' must be \"fifo\", \"lifo\" or \"priority\"")
  local capacity, less = opts.capacity, opts.less or less_than
  argument.count(capacity, 1, "new", "option 'capacity'")
  argument.check(argument.is_callable(less), 1, "new", "option 'less' must be a function")
  local finished = sync.event()
  finished:set()
  return setmetatable({
    order = order, items = order.new(less), count = 0, unfinished = 0,
    available = sync.semaphore(0), room = capacity and sync.semaphore(capacity),
    finished = finished,
  }, Queue)
end

-- Adds the value, for which there is room; an error of less() gives that back.
local function add(self, value)
  local ok, err = pcall(self.order.add, self.items, value)
  if ok then return end
  if self.room then self.room:release() end
  error(err, 0)
end

--- Adds a value; waits for room.
-- @param value anything but nil
-- @tparam[opt] number timeout seconds
-- @treturn boolean true; or nil, message, "ETIMEDOUT" or "CLOSED", and it was not added
function Queue:put(value, timeout)
  argument.check(value ~= nil, 1, "put", "a queue cannot hold nil")
  if timeout ~= nil then argument.number(timeout, 2, "put") end
  if self.room then
    local ok, message, code = self.room:acquire(timeout)
    if not ok then return nil, message, code end
  end
  if self.is_closed then return nil, "closed", "CLOSED" end
  add(self, value)
  self.count = self.count + 1
  self.unfinished = self.unfinished + 1
  if self.unfinished == 1 then self.finished:clear() end
  self.available:release()
  return true
end

--- Takes the next value; waits for one.
-- @tparam[opt] number timeout seconds
-- @return the value; or nil, message, "ETIMEDOUT", or "CLOSED" once it is closed and empty
function Queue:get(timeout)
  if timeout ~= nil then argument.number(timeout, 1, "get") end
  local ok, message, code = self.available:acquire(timeout)
  if not ok then return nil, message, code end
  self.count = self.count - 1
  if self.room then self.room:release() end
  return self.order.take(self.items)
end

--- The value that the next get() will take; waits for one.
-- @tparam[opt] number timeout seconds
-- @return as get()
function Queue:peek(timeout)
  if timeout ~= nil then argument.number(timeout, 1, "peek") end
  local ok, message, code = self.available:acquire(timeout)
  if not ok then return nil, message, code end
  local value = self.order.first(self.items)
  self.available:release()
  return value
end

--- Says that the work on one value that was got is done. Never waits.
function Queue:task_done()
  if self.unfinished == 0 then error("task_done() was called more often than put()", 2) end
  self.unfinished = self.unfinished - 1
  if self.unfinished == 0 then self.finished:set() end
end

--- Waits until task_done() was called for each value that was put.
-- @tparam[opt] number timeout seconds
-- @treturn boolean true; or nil, "timeout", "ETIMEDOUT"
function Queue:join(timeout)
  if timeout ~= nil then argument.number(timeout, 1, "join") end
  return self.finished:wait(timeout)
end

--- No more values: put() fails from now on, get() once the queue is empty. Never waits.
function Queue:close()
  self.is_closed = true
  self.available:close()
  if self.room then self.room:close() end
end

Queue.__close = Queue.close

function Queue:__len()
  return self.count
end

function Queue:__tostring()
  return ("queue (%d values%s)"):format(self.count, self.is_closed and ", closed" or "")
end

return queue
