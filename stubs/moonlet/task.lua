---@meta moonlet.task

---Tasks that end together. `#group` is how many have not ended. A group without a body is closed by
---its maker: that waits for all children and raises the first failure; when an error closes it, it
---cancels them first.
---@class moonlet.task.Group
local Group = {}

---Cancels every child, and the body. Never waits.
---@param reason? any
function Group:cancel(reason) end

---The failures after the first.
---@return any[]
function Group:errors() end

---Tells whether a task belongs to the group.
---@param t moonlet.task.Task
---@return boolean # whether it is a child that has not ended
function Group:has(t) end

---Waits until all children have ended.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, the first failure, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Group:join(timeout) end

---Waits until there is a place for a child, and leaves it free: for whoever wants one before he takes
---on work. At once without a limit; a cancellation point in either case.
function Group:room() end

---Starts a child: the group does not end before it. With a limit, waits for a place, and is a
---cancellation point.
---@param opts? table as for task.spawn
---@param fn function
---@param ... any its arguments
---@return moonlet.task.Task|nil # or nil, message, code as task.spawn
---@return string|nil # message
---@return string|nil # code
---@overload fun(self: moonlet.task.Group, fn: function, ...: any): moonlet.task.Task|nil, string|nil, string|nil
function Group:spawn(opts, fn, ...) end

---A task. It prints as its name and state.
---@class moonlet.task.Task
---@field id integer of this task alone, in its program
---@field name string for people: the one given to spawn(), or the place of its function
local Task = {}

---Asks the task to end: the call it waits in, and each later one, raises. Returns at once; harmless on
---one that has ended. Before its first run its function is never called.
---@param reason? any told by the cancellation
function Task:cancel(reason) end

---Waits for the end of the task.
---@param timeout? number seconds
---@return any ... # true and the results of its function; or nil, its error value, "EFAILED"; or nil, message, "ECANCELED" or "ETIMEDOUT"
function Task:join(timeout) end

---Has fn(task) called when the task ends, or now if it has ended. fn may not wait; its error is
---reported. It is not called for a task that is dropped because it did not end in time at the end of
---the program.
---@param fn fun(task: moonlet.task.Task)
function Task:on_exit(fn) end

---Tells what the task does.
---@return string # "ready", "running", "waiting", "done", "failed" or "cancelled"
function Task:status() end

---Tells where the task is.
---@return string # where the task is now; only its name once it has ended; where it failed, if it did
function Task:traceback() end

---Tasks, and what several of them do together: groups, all, map, race, every, supervise.
---@class moonlet.task
local task = {}

---Calls all functions at once, in tasks of their own, and waits for all.
---@param list function[]
---@return table # the first result of each, with n
---@return table # the error of each that failed, with n
---@return table # of each that failed, a text that tells where: its task, calls, and where that was spawned; with n
function task.all(list) end

---Runs a C function on a worker thread while the task waits, for what can only block: a driver that
---waits on a condition variable, a long computation in C. There are 32 workers at most for them;
---further calls queue. One whose task has given up does not count.
---
---The function runs in an empty Lua state of its own. So it may be one that needs nothing of the
---script's: no upvalues, nothing in the registry, no metatables (its module's objects are unknown
---there). Arguments and results are nil, booleans, numbers, strings and light userdata. It must be
---safe to call in any thread.
---
---A cancelled task goes on at once; the function runs to its end, and nobody gets its results. May
---wait.
---@param fn function
---@param ... any its arguments
---@return any ... # what it returns; raises what it raises
function task.blocking(fn, ...) end

---Tells who runs.
---@return moonlet.task.Task # the caller's own
function task.current() end

---Calls fn every s seconds in the calling task, until it raises an error or is cancelled. Calls
---never overlap; ticks missed meanwhile are skipped, and the rest does not drift. Waits.
---@param s number seconds
---@param fn function
function task.every(s, fn) end

---@class moonlet.task.group.options
---@field limit? integer children at a time; spawn waits for a place
---@field on_error? string|function "cancel", "report" or function(task, err, traceback, cleaning), where cleaning tells whether the task had been cancelled and failed as it cleaned up; if that returns "cancel", that is what happens

---Runs fn(g), whose children (g:spawn) end before it returns; the first failure, of the body or a
---child, cancels the rest and is raised unchanged. Without fn: makes a group that its maker closes
---(`local g <close> = task.group()`) or joins, and that never interrupts him. With fn, waits. A child
---cannot close or join its own group.
---@param opts? moonlet.task.group.options
---@param fn? fun(group: moonlet.task.Group)
---@return any ... # fn's results; or nil, reason, "ECANCELED" if g:cancel(reason) cut it
---@overload fun(fn?: fun(group: moonlet.task.Group)): ...
---@overload fun(opts?: moonlet.task.group.options): moonlet.task.Group
function task.group(opts, fn) end

---Tells a cancellation from other errors.
---@param err any an error value
---@return boolean
function task.is_cancellation(err) end

---Tells which tasks there are.
---@return moonlet.task.Task[] # all that have not ended, in the order of their slots
function task.list() end

---Values of the calling task: a table that starts as a shallow copy of its spawner's.
---@return table # the same one each time
function task.locals() end

---Calls fn(item) for all items of a list at once, in tasks of their own, and waits for all.
---@param list table
---@param fn function
---@param limit? integer how many at a time
---@return table # results, as all()
---@return table # errors, as all()
---@return table # tracebacks, as all()
function task.map(list, fn, limit) end

---Calls fn(...), in which no other task may run: a call that would wait is an error.
---@param fn function
---@param ... any its arguments
---@return any ... # fn's results
function task.no_switch(fn, ...) end

---Tells the time, as sleep_until() takes it.
---@return number # seconds of the monotonic clock
function task.now() end

---From now on the error of a task that nobody joins is not printed: fn(task, err, traceback) is
---called. It may not wait; its own error is printed, and the task's too.
---@param fn function|nil nil: errors are printed
---@return any ... # the function before, or nil
function task.on_error(fn) end

---pcall that returns a cancellation, too; what was cancelled stays so. Waits if fn does.
---@param fn function
---@param ... any its arguments
---@return any ... # true and fn's results; or false and the error value
function task.pcall(fn, ...) end

---Calls all functions at once and cancels the others when the first has ended; waits for all. What
---the others come to does not count any more; but the error of one that was cancelled and failed as
---it cleaned up is reported.
---@param list function[]
---@return integer|nil # which was the first; if it failed its error is raised
---@return any|string|nil ... # its results; or nil, message, "ECANCELED" when each of them was cancelled
---@return string|nil # code
function task.race(list) end

---Tells how long the calling task has.
---@return number # seconds until the nearest deadline in force, math.huge without one
function task.remaining() end

---Reports an error as that of the calling task which nobody joins: to the function given to
---on_error(), or to people. For servers and the like that catch the errors of code they run. Never
---waits.
---@param err any any value
---@param traceback? string where it was raised; without it the caller's
function task.report(err, traceback) end

---As timeout(), and meanwhile cancellations and deadlines from outside are held off: they are in force
---again afterwards. For clean-up that has to wait.
---@param s number|nil nil: no limit
---@param fn function
---@param ... any its arguments
---@return any ... # as timeout()
function task.shield(s, fn, ...) end

---Waits.
---@param s number seconds
function task.sleep(s) end

---Waits until task.now() has reached t. A time that has passed is as sleep(0): others run, and a
---cancellation is raised.
---@param t number seconds
function task.sleep_until(t) end

---@class moonlet.task.spawn.options
---@field name? string
---@field daemon? boolean the program does not wait for it
---@field quiet? boolean its error is left to a later join
---@field stack? string "private": a C stack of its own

---Starts a task that calls fn(...): it is queued and runs when the caller waits. Never waits.
---@param opts? moonlet.task.spawn.options
---@param fn function anything that can be called
---@param ... any its arguments
---@return moonlet.task.Task|nil # or nil, message, code when there is no room for a stack of its own; other want of memory is an error
---@return string|nil # message
---@return string|nil # code
---@overload fun(fn: function, ...: any): moonlet.task.Task|nil, string|nil, string|nil
function task.spawn(opts, fn, ...) end

---@class moonlet.task.supervise.options
---@field fn function
---@field backoff? number[] {shortest, longest} pause in seconds, the shortest again after a longer run; {0.1, 10} without
---@field intensity? number[] {n, s}: more than n failures within s seconds are too many; no limit without

---Calls fn until it ends well, again after each failure, with growing pauses, in which it
---waits.
---@param opts moonlet.task.supervise.options
---@return any ... # fn's results; raises the last error when there were too many
function task.supervise(opts) end

---Calls fn(...) and cuts it short after s seconds, in whatever call it waits.
---@param s number|nil nil: no limit
---@param fn function
---@param ... any its arguments
---@return any ... # fn's results; or nil, "deadline passed", "EDEADLINE" when this limit cut it. Other errors, and cancellations from outside, are raised.
function task.timeout(s, fn, ...) end

---Lets every task that can run do so before the caller goes on. A cancellation point.
function task.yield() end

return task
