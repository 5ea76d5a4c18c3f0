---@meta moonlet.thread

---A channel between threads. `#channel` is how many values it holds; `<close>` closes it. Values keep
---their order. It is passed to other threads as a value: as an argument or a result of their calls, or
---through another channel. Once no other thread has it, waiting in it is as in a channel of
---moonlet.channel: a program that waits for nothing else is told of its deadlock.
---@class moonlet.thread.ThreadChannel
local ThreadChannel = {}

---Ends the channel, for all threads: values in it can still be got, then get() fails; put() fails at
---once, also in tasks that wait in it. Never waits; harmless on a closed channel.
---@param err? any the message of get() and put() from now on, instead of "closed"
function ThreadChannel:close(err) end

---Waits for a value.
---@param timeout? number seconds
---@return any ... # the value; or nil, "closed" (or the argument of close()), "CLOSED" once it is closed and empty; or nil, "timeout", "ETIMEDOUT"
function ThreadChannel:get(timeout) end

---Copies a value and hands it over: waits until there is room for it. Raises an error for a value that
---cannot be copied.
---@param value any anything but nil
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, "CLOSED" or "ETIMEDOUT", and no thread has or will get the value
---@return string|nil # message
---@return string|nil # code
function ThreadChannel:put(value, timeout) end

---Iterates over the values until the channel is closed. Waits as get() does.
---@return fun(): any # an iterator; raises the argument of close()
function ThreadChannel:values() end

---Threads that wait for calls, each with a runtime that lives as long as the pool. `<close>`
---closes it. It prints as its name and state.
---@class moonlet.thread.ThreadPool
local ThreadPool = {}

---Has a thread call fn(...), as thread.call() does; waits for a thread that has nothing to do. If
---the caller is cancelled, that runtime ends, and the pool opens another one when it needs it.
---@param fn function|string or "module.function"
---@param ... any its arguments
---@return any ... # its results; raises its error
function ThreadPool:call(fn, ...) end

---Ends the threads that have nothing to do, and the others when their call has ended. Never waits.
function ThreadPool:close() end

---Calls fn(item) for all items of a list, on all threads of the pool, and waits for all.
---@param list table
---@param fn function|string or "module.function"
---@return table # results, as task.map()
---@return table # errors, as task.map()
---@return table # tracebacks, as task.map()
function ThreadPool:map(list, fn) end

---Work that computes, on other cores: functions that run in runtimes of their own, each on a
---thread of its own, and channels between them. Values are copied.
---@class moonlet.thread
local thread = {}

---@class moonlet.thread.call.options
---@field memory? integer bytes that its Lua state may have at a time, 262144 at least
---@field name? string shown in reports

---Runs a function in a runtime of its own, on a thread of its own, and waits for its end. The
---function, its arguments and its results are copied. If the caller is cancelled, the function ends,
---also while it computes; the caller waits for that, but for a second at most, since C code may not
---end. An object that can be called stands for the function of its `__call` with the object as its
---first argument: a copy, without a metatable. The same holds for all functions of this module.
---@param opts? moonlet.thread.call.options
---@param fn function|string or "module.function"
---@param ... any its arguments
---@return any ... # its results; raises its error
---@overload fun(fn: function|string, ...: any): ...
function thread.call(opts, fn, ...) end

---Makes a channel between threads.
---@param capacity? integer values that it holds; 0: each put meets a get
---@return moonlet.thread.ThreadChannel
function thread.channel(capacity) end

---Calls fn(item) for all items of a list, on as many threads as there are processors, and waits
---for all. A thread carries out one call after the other in the same runtime.
---@param list table
---@param fn function|string or "module.function"
---@param limit? integer how many threads at most
---@return table # results, as task.map()
---@return table # errors, as task.map()
---@return table # tracebacks, as task.map()
function thread.map(list, fn, limit) end

---@class moonlet.thread.pool.options
---@field size? integer how many threads at most; as many as there are processors without
---@field setup? function called in each runtime before its first call; copied, as functions of calls are
---@field memory? integer bytes that the Lua state of each may have, 262144 at least
---@field name? string of the threads, shown in reports

---Makes a pool of threads. They are started when there are calls for them.
---@param opts? moonlet.thread.pool.options
---@return moonlet.thread.ThreadPool
function thread.pool(opts) end

---@class moonlet.thread.spawn.options
---@field daemon? boolean the program does not wait for it
---@field memory? integer bytes that its Lua state may have at a time, 262144 at least
---@field name? string shown in reports
---@field quiet? boolean its error is not reported: a later join gets it

---Starts a task that does as call(): the function and its arguments are copied at once. The program
---waits for it as for any task, unless it is a daemon.
---@param opts? moonlet.thread.spawn.options
---@param fn function|string or "module.function"
---@param ... any its arguments
---@return moonlet.task.Task
---@overload fun(fn: function|string, ...: any): moonlet.task.Task
function thread.spawn(opts, fn, ...) end

return thread
