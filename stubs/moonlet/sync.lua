---@meta moonlet.sync

---A condition: tasks wait for it until another task notifies them.
---@class moonlet.sync.Condition
local Condition = {}

---Lets the tasks that have waited longest go on. Never waits.
---@param count? integer
function Condition:notify(count) end

---Lets all waiting tasks go on. Never waits.
function Condition:notify_all() end

---Waits to be notified. With a mutex, which the task must hold: unlocks it meanwhile.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Condition:wait(timeout) end

---An event: it has happened or not.
---@class moonlet.sync.Event
local Event = {}

---Clears it: it has not happened (any more). Never waits.
function Event:clear() end

---Returns whether it has happened.
---@return boolean
function Event:is_set() end

---Sets it: all waiting tasks go on, even if it is cleared before they run. Never waits.
function Event:set() end

---Waits until it is set.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Event:wait(timeout) end

---Values, or an error, that are given once and waited for by any number of tasks.
---@class moonlet.sync.Future
local Future = {}

---Gives an error instead. Never waits.
---@param err any any value
---@return boolean # as set()
function Future:fail(err) end

---Waits for the values.
---@param timeout? number seconds
---@return any ... # the values; or nil, the error, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
function Future:get(timeout) end

---Gives the values. Never waits.
---@param ... any any values
---@return boolean # false: it has its values or its error already, and keeps them
function Future:set(...) end

---A lock for one task at a time. If its owner ends, it is unlocked, with a warning that says where it
---was made.
---@class moonlet.sync.Mutex
local Mutex = {}

---Waits until the mutex is free and locks it. Waiting tasks get it in the order in which they came.
---@param timeout? number seconds
---@return moonlet.sync.Mutex|nil # itself, for `local guard <close> = mutex:lock()`: closing unlocks it if the task holds it; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Mutex:lock(timeout) end

---Locks the mutex if it is free. Never waits.
---@return boolean # whether it was free and is locked now
function Mutex:try_lock() end

---Unlocks the mutex; an error if the task does not hold it. Never waits.
function Mutex:unlock() end

---A permit that was taken with Semaphore:hold. Closing gives it back; so does the collector.
---@class moonlet.sync.Permit
local Permit = {}

---Gives the permit back, once. Never waits.
function Permit:close() end

---The same as close().
function Permit:release() end

---A number of permits, for as many tasks at a time. `#semaphore` is how many are left.
---@class moonlet.sync.Semaphore
local Semaphore = {}

---Waits for a permit and takes it. Waiting tasks get permits in the order in which they came.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
---@return string|nil # message
---@return string|nil # code
function Semaphore:acquire(timeout) end

---Closes: from now on waiting for a permit gives nil, "closed", "CLOSED"; permits that are left can be
---taken.
function Semaphore:close() end

---As acquire(), with an object that gives the permit back at the end of a block: `local permit <close>
---= semaphore:hold()`. Waits.
---@param timeout? number seconds
---@return moonlet.sync.Permit|nil # or nil, "timeout", "ETIMEDOUT"; or nil, "closed", "CLOSED"
---@return string|nil # message
---@return string|nil # code
function Semaphore:hold(timeout) end

---Gives a permit back, or adds some. Never waits. If the sum is no integer, that is an error, and none
---is added.
---@param count? integer
function Semaphore:release(count) end

---Synchronisation between tasks. Waiting tasks are served in the order in which they came; a wait
---that timed out or was cancelled has taken nothing.
---@class moonlet.sync
local sync = {}

---Makes a condition.
---@param mutex? moonlet.sync.Mutex unlocked while a task waits, locked again before it goes on
---@return moonlet.sync.Condition
function sync.condition(mutex) end

---Makes an event.
---@return moonlet.sync.Event # not set
function sync.event() end

---Makes a future: one task will give its values, or an error, once, and any number may wait for
---them.
---@return moonlet.sync.Future
function sync.future() end

---Makes a mutex.
---@return moonlet.sync.Mutex # free
function sync.mutex() end

---Makes a semaphore.
---@param permits? integer that can be taken at once
---@return moonlet.sync.Semaphore
function sync.semaphore(permits) end

return sync
