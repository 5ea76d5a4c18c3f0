---@meta moonlet.task

---Tasks that end together. `#group` is how many have not ended. The maker of a group without a body
---closes it: that waits for all children and raises the first failure. If an error closes it, it
---cancels them first.
---@class moonlet.task.Group
local Group = {}

---Cancels every child, and the body. Never waits.
---@param reason? any
function Group:cancel(reason) end

---Returns the failures after the first.
---@return any[]
function Group:errors() end

---Returns whether a task belongs to the group.
---@param t moonlet.task.Task
---@return boolean # whether it is a child that has not ended
function Group:has(t) end

---Waits until all children have ended.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, the first failure, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
---@return string|nil # message
---@return string|nil # code
function Group:join(timeout) end

---Waits until there is a place for a child, and leaves it free: for a task that wants one before it
---accepts work. Returns at once without a limit; a cancellation point in either case.
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
---@field id integer unique in its program
---@field name string shown in reports: the one given to spawn(), or the line of its function
local Task = {}

---Asks the task to end: the call it waits in, and each later one, raises. Returns at once; harmless on
---a task that has ended. The function of a task that has not run yet is never called.
---@param reason? any shown by the cancellation
function Task:cancel(reason) end

---Waits for the end of the task.
---@param timeout? number seconds
---@return any ... # true and the results of its function; or nil, its error value, "EFAILED"; or nil, message, "ECANCELED" or "ETIMEDOUT"
function Task:join(timeout) end

---Registers fn(task) to be called when the task ends; calls it now if the task has ended. fn may not
---wait; its error is reported. It is not called for a task that is dropped because it did not end in
---time at the end of the program.
---@param fn fun(task: moonlet.task.Task)
function Task:on_exit(fn) end

---Returns the state of the task.
---@return string # "ready", "running", "waiting", "done", "failed" or "cancelled"
function Task:status() end

---Returns a traceback of the task.
---@return string # its present calls; once it has ended only its name or, if it failed, the calls in which it did
function Task:traceback() end

---Tasks, and functions that run several of them: groups, all, map, race, every, supervise.
---@class moonlet.task
local task = {}

---Calls all functions at once, in tasks of their own, and waits for all.
---@param list function[]
---@return table # the first result of each, with n
---@return table # the error of each that failed, with n
---@return table # the traceback of each that failed: its task, its calls, and where that was spawned; with n
function task.all(list) end

---Runs a C function on a worker thread while the task waits. For functions that can only block: a
---driver that waits on a condition variable, a long computation in C. They have 32 workers at most;
---further calls queue. A worker whose task has given up does not count.
---
---The function runs in an empty Lua state of its own. So it must need nothing of the script's: no
---upvalues, nothing in the registry, no metatables (its module's objects are unknown there). Arguments
---and results are nil, booleans, numbers, strings and light userdata. It must be safe to call in any
---thread.
---
---A cancelled task goes on at once; the function runs to its end, and its results are dropped. May
---wait.
---@param fn function
---@param ... any its arguments
---@return any ... # its results; raises its error
function task.blocking(fn, ...) end

---Returns the running task.
---@return moonlet.task.Task # the caller's own
function task.current() end

---Calls fn every s seconds in the calling task, until it raises an error or is cancelled. Calls
---never overlap; ticks missed meanwhile are skipped, and later ones keep to the schedule. Waits.
---@param s number seconds
---@param fn function
function task.every(s, fn) end

---@class moonlet.task.group.options
---@field limit? integer children at a time; spawn waits for a place
---@field on_error? string|function "cancel", "report" or function(task, err, traceback, cleaning), where cleaning is true if the task had been cancelled and failed as it cleaned up; it may return "cancel"

---Runs fn(g), whose children (g:spawn) end before it returns; the first failure, of the body or a
---child, cancels the rest and is raised unchanged. Without fn: makes a group that its maker closes
---(`local g <close> = task.group()`) or joins, and whose failures do not cancel the maker. With fn,
---waits. A child cannot close or join its own group.
---@param opts? moonlet.task.group.options
---@param fn? fun(group: moonlet.task.Group)
---@return any ... # fn's results; or nil, reason, "ECANCELED" if g:cancel(reason) cut it
---@overload fun(fn?: fun(group: moonlet.task.Group)): ...
---@overload fun(opts?: moonlet.task.group.options): moonlet.task.Group
function task.group(opts, fn) end

---Returns whether an error is a cancellation.
---@param err any an error value
---@return boolean
function task.is_cancellation(err) end

---Lists the tasks.
---@return moonlet.task.Task[] # all that have not ended, in the order of their slots
function task.list() end

---Returns a table for values of the calling task, which starts as a shallow copy of its spawner's.
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

---Returns the time, as sleep_until() takes it.
---@return number # seconds of the monotonic clock
function task.now() end

---Sets a function for the errors of tasks that no task joins: from now on fn(task, err, traceback) is
---called, and the error is not printed. fn may not wait; if it fails, its error and the task's are
---printed.
---@param fn function|nil nil: errors are printed
---@return any ... # the previous function, or nil
function task.on_error(fn) end

---As pcall, but returns a cancellation, too; the task, or scope, stays cancelled. Waits if fn does.
---@param fn function
---@param ... any its arguments
---@return any ... # true and fn's results; or false and the error value
function task.pcall(fn, ...) end

---Calls all functions at once and cancels the others when the first has ended; waits for all. The
---results of the others are dropped; but if one was cancelled and failed as it cleaned up, its
---error is reported.
---@param list function[]
---@return integer|nil # the number of the first; if it failed its error is raised
---@return any|string|nil ... # its results; or nil, message, "ECANCELED" when each of them was cancelled
---@return string|nil # code
function task.race(list) end

---Returns how long the calling task has.
---@return number # seconds until the nearest deadline in force, math.huge without one
function task.remaining() end

---Reports an error as if the calling task had failed with it and no task joined: to the function given
---to on_error(), or on stderr. For servers and the like that catch the errors of code they run. Never
---waits.
---@param err any any value
---@param traceback? string where it was raised; without it the caller's
function task.report(err, traceback) end

---As timeout(); meanwhile cancellations and deadlines from outside are not in force, afterwards they
---are again. For clean-up that has to wait.
---@param s number|nil nil: no limit
---@param fn function
---@param ... any its arguments
---@return any ... # as timeout()
function task.shield(s, fn, ...) end

---Waits.
---@param s number seconds
function task.sleep(s) end

---Waits until task.now() has reached t. For a time that has passed it does as sleep(0): others run,
---and a cancellation is raised.
---@param t number seconds
function task.sleep_until(t) end

---@class moonlet.task.spawn.options
---@field name? string
---@field daemon? boolean the program does not wait for it
---@field quiet? boolean its error is not reported: a later join gets it
---@field stack? string "private": a C stack of its own
---@field preempt? boolean|number it lets others run when it has computed for so many milliseconds (true: as many as `--preempt` says, or 10); false: only where it waits. Not inherited

---Starts a task that calls fn(...). It is queued, and runs when the caller waits. Never waits.
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
---@field intensity? number[] {n, s}: more than n failures within s seconds are too many; without: no limit

---Calls fn until it succeeds: again after each failure, with growing pauses, in which it waits.
---@param opts moonlet.task.supervise.options
---@return any ... # fn's results; raises the last error when there were too many
function task.supervise(opts) end

---Calls fn(...) and cancels it after s seconds, in any call that it waits in.
---@param s number|nil nil: no limit
---@param fn function
---@param ... any its arguments
---@return any ... # fn's results; or nil, "deadline passed", "EDEADLINE" if this limit ended it. Other errors, and cancellations from outside, are raised.
function task.timeout(s, fn, ...) end

---Lets every task that can run do so before the caller goes on. A cancellation point.
function task.yield() end

return task
