---@meta moonlet.queue

---A queue. `#queue` is how many values are in it; `<close>` closes it.
---@class moonlet.queue.Queue
local Queue = {}

---Closes the queue: put() fails from now on, get() once the queue is empty. Never waits.
function Queue:close() end

---Takes the next value; waits for one.
---@param timeout? number seconds
---@return any ... # the value; or nil, message, "ETIMEDOUT", or "CLOSED" once it is closed and empty. If less() raises an error, that is raised, and no value was taken.
function Queue:get(timeout) end

---Waits until task_done() was called for each value that was put.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Queue:join(timeout) end

---The value that the next get() will take; waits for one.
---@param timeout? number seconds
---@return any ... # as get()
function Queue:peek(timeout) end

---Adds a value; waits for room, and is a cancellation point also without a capacity.
---@param value any anything but nil
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, "ETIMEDOUT" or "CLOSED", and it was not added. If less() raises an error, that is raised, and it was not added either.
---@return string|nil # message
---@return string|nil # code
function Queue:put(value, timeout) end

---Marks the work on one value as done. Never waits.
function Queue:task_done() end

---Iterates over the values, taking each, until the queue is closed and empty. Waits as get() does.
---@return fun(): any # an iterator
function Queue:values() end

---Queues of values between tasks: first in first out, last in first out, or smallest first.
---@class moonlet.queue
local queue = {}

---@class moonlet.queue.new.options
---@field capacity? integer values that it holds before put() waits; without: no limit
---@field order? string "fifo", "lifo" or "priority"
---@field less? function for "priority": less(a, b), whether a comes first; `<` without. It may wait; values that others put and get meanwhile are taken into account.
---@field name? string under which `inspect.metrics` shows it

---Makes a queue.
---@param opts? moonlet.queue.new.options
---@return moonlet.queue.Queue
function queue.new(opts) end

return queue
