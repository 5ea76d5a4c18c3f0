--- Queues of values between tasks: first in first out, last in first out, or smallest first.
-- @module moonlet.queue

local error, setmetatable, type = error, setmetatable, type
local math_maxinteger = math.maxinteger
local table_remove = table.remove

local argument = require "moonlet.argument"
local named = require("moonlet.named").queues
local sync = require "moonlet.sync"
local protected = require("moonlet.task").pcall -- pcall that returns a cancellation, too

local queue = {}

--- A queue. `#queue` is how many values are in it; `<close>` closes it.
-- @object Queue
local Queue = {}
Queue.__index = Queue
Queue.__name = "queue"

-- ---- orders: add(items, value), take(items), first(items) ----
--  Each either succeeds or fails with nothing changed. add() is false for a queue that was closed
-- meanwhile.

local fifo = {}

function fifo.new() return { head = 1, tail = 0 } end

function fifo.add(items, value)
  items[items.tail + 1] = value
  items.tail = items.tail + 1
  return true
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

function lifo.add(items, value)
  items[#items + 1] = value
  return true
end

function lifo.first(items) return items[#items] end

function lifo.take(items) return table_remove(items) end

-- A binary heap; equal ones come out in the order in which they went in. All comparisons come
-- before any move, since less() may fail. It may also wait, and a change of the heap meanwhile
-- makes all comparisons void.
local priority = {}

function priority.new(less) return { less = less, count = 0, changes = 0 } end

local function precedes(items, a, b)
  if items.less(a.value, b.value) then return true end
  return a.number < b.number and not items.less(b.value, a.value)
end

-- Calls find(items, ...) until nothing has changed during a call; returns its result.
local function compare(items, find, ...)
  local changes, place
  repeat
    changes = items.changes
    place = find(items, ...)
  until changes == items.changes
  return place
end

-- Where the entry belongs, which comes after its equals.
local function find_place(items, entry)
  local place = #items + 1
  entry.number = items.count + 1
  while place > 1 and precedes(items, entry, items[place // 2]) do place = place // 2 end
  return place
end

function priority.add(items, value)
  local entry = { value = value }
  local place = compare(items, find_place, entry)
  if items.is_closed then return false end
  local last = #items + 1
  items[last] = entry
  while last > place do
    items[last] = items[last // 2]
    last = last // 2
  end
  items[place] = entry
  items.count, items.changes = entry.number, items.changes + 1
  return true
end

function priority.first(items) return items[1].value end

-- Where the last entry goes when the first is gone.
local function find_hole(items)
  local last, size, place = items[#items], #items - 1, 1
  while place * 2 <= size do
    local child = place * 2
    if child < size and precedes(items, items[child + 1], items[child]) then child = child + 1 end
    if not precedes(items, items[child], last) then break end
    place = child
  end
  return place
end

function priority.take(items)
  local place = compare(items, find_hole)
  local moved = table_remove(items)
  if #items == 0 then place = 0 end
  while place > 0 do -- those between the first and that place move one up
    items[place], moved = moved, items[place]
    place = place // 2
  end
  items.changes = items.changes + 1
  return moved.value
end

local orders = { fifo = fifo, lifo = lifo, priority = priority }

local function less_than(a, b) return a < b end

local OPTIONS = { capacity = true, order = true, less = true, name = true }

--- Makes a queue.
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.capacity values that it holds before put() waits; without: no limit
-- @tparam[opt="fifo"] string opts.order "fifo", "lifo" or "priority"
-- @tparam[opt] function opts.less for "priority": less(a, b), whether a comes first; `<` without.
-- It may wait; values that others put and get meanwhile are taken into account.
-- @tparam[opt] string opts.name under which `inspect.metrics` shows it
-- @treturn Queue
function queue.new(opts)
  if opts ~= nil then argument.options(opts, 1, "new", OPTIONS) end
  opts = opts or {}
  local order = orders[opts.order or "fifo"]
  argument.check(order, 1, "new", "option 'order' must be \"fifo\", \"lifo\" or \"priority\"")
  local capacity, less = opts.capacity, opts.less or less_than
  argument.count(capacity, 1, "new", "option 'capacity'")
  argument.check(argument.is_callable(less), 1, "new", "option 'less' must be a function")
  local finished = sync.event()
  finished:set()
  local name = opts.name
  argument.check(name == nil or type(name) == "string", 1, "new", "option 'name' must be a string")
  local self = setmetatable({
    order = order, items = order.new(less), count = 0, unfinished = 0,
    available = sync.semaphore(0), room = sync.semaphore(capacity or math_maxinteger),
    finished = finished,
  }, Queue)
  if name then named[name] = self end
  return self
end

-- Adds the value, for which there is room; an error of less() gives the room back. An error of `<`
-- in this file is an error about put()'s argument. False: the queue was closed meanwhile.
local function add(self, value)
  local ok, is_added = protected(self.order.add, self.items, value)
  if ok then return is_added end
  self.room:release()
  local reason = type(is_added) == "string" and is_added:match "^%[moonlet%.queue%]:%d+: (.*)"
  if not reason then error(is_added, 0) end
  error(("bad argument #1 to 'put' (%s; the option 'less' tells how)"):format(reason), 3)
end

--- Adds a value; waits for room, and is a cancellation point also without a capacity.
-- @param value anything but nil
-- @tparam[opt] number timeout seconds
-- @treturn boolean true; or nil, message, "ETIMEDOUT" or "CLOSED", and it was not added. If less()
-- raises an error, that is raised, and it was not added either.
function Queue:put(value, timeout)
  argument.self(self, Queue, "put")
  argument.check(value ~= nil, 1, "put", "a queue cannot hold nil")
  if timeout ~= nil then argument.number(timeout, 2, "put") end
  local ok, message, code = self.room:acquire(timeout)
  if not ok then return nil, message, code end
  if self.is_closed then return nil, "closed", "CLOSED" end
  if not add(self, value) then return nil, "closed", "CLOSED" end
  self.count = self.count + 1
  self.unfinished = self.unfinished + 1
  if self.unfinished == 1 then self.finished:clear() end
  self.available:release()
  return true
end

-- The next value of a queue by priority; if less() fails, another task may take it.
local function take_compared(self)
  local ok, value = protected(priority.take, self.items)
  if ok then return value end
  self.available:release()
  error(value, 0)
end

-- Takes the next value for a caller to whom one is due.
local function take(self)
  local order = self.order
  local value = order == priority and take_compared(self)
  if order ~= priority then value = order.take(self.items) end
  self.count = self.count - 1
  self.room:release()
  return value
end

--- Takes the next value; waits for one.
-- @tparam[opt] number timeout seconds
-- @return the value; or nil, message, "ETIMEDOUT", or "CLOSED" once it is closed and empty. If
-- less() raises an error, that is raised, and no value was taken.
function Queue:get(timeout)
  argument.self(self, Queue, "get")
  if timeout ~= nil then argument.number(timeout, 1, "get") end
  local ok, message, code = self.available:acquire(timeout)
  if not ok then return nil, message, code end
  return take(self)
end

local function next_value(self)
  local value = self:get()
  return value
end

--- Iterates over the values, taking each, until the queue is closed and empty. Waits as get() does.
-- @treturn function():any an iterator
function Queue:values()
  return next_value, self
end

--- The value that the next get() will take; waits for one.
-- @tparam[opt] number timeout seconds
-- @return as get()
function Queue:peek(timeout)
  argument.self(self, Queue, "peek")
  if timeout ~= nil then argument.number(timeout, 1, "peek") end
  local ok, message, code = self.available:acquire(timeout)
  if not ok then return nil, message, code end
  local value = self.order.first(self.items)
  self.available:release()
  return value
end

--- Marks the work on one value as done. Never waits.
function Queue:task_done()
  argument.self(self, Queue, "task_done")
  if self.unfinished == 0 then error("task_done() was called more often than put()", 2) end
  self.unfinished = self.unfinished - 1
  if self.unfinished == 0 then self.finished:set() end
end

--- Waits until task_done() was called for each value that was put.
-- @tparam[opt] number timeout seconds
-- @treturn boolean true; or nil, "timeout", "ETIMEDOUT"
function Queue:join(timeout)
  argument.self(self, Queue, "join")
  if timeout ~= nil then argument.number(timeout, 1, "join") end
  return self.finished:wait(timeout)
end

--- Closes the queue: put() fails from now on, get() once the queue is empty. Never waits.
function Queue:close()
  argument.self(self, Queue, "close")
  self.is_closed, self.items.is_closed = true, true
  self.available:close()
  self.room:close()
end

Queue.__close = Queue.close

-- The object that channel.select waits for instead of a queue, and the function that then returns
-- the value.
Queue.__select = { get = { "available", "acquire", take } }

function Queue:__len()
  return self.count
end

function Queue:__tostring()
  return ("queue (%d values%s)"):format(self.count, self.is_closed and ", closed" or "")
end

return queue
