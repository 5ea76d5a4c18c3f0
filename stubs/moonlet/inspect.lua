---@meta moonlet.inspect

---A number that only grows: requests, bytes, failures. `inspect.counter` makes it.
---@class moonlet.inspect.Counter
local Counter = {}

---Counts. A number that is negative, infinite or not-a-number is an error. Never waits.
---@param n? number 0 or more
function Counter:add(n) end

---The same as add().
---@param n? number 0 or more
function Counter:inc(n) end

---Removes it from what `metrics` shows: for labels that do not come again, such as a peer that
---has left. The object still counts, unseen; asking for the name and labels again makes a new one.
function Counter:remove() end

---The count so far.
---@return number # an integer while only integers were added and the sum is one
function Counter:value() end

---A number that goes up and down: a length, a temperature, requests under way. `inspect.gauge` makes
---it.
---@class moonlet.inspect.Gauge
local Gauge = {}

---Adds to the value. Never waits.
---@param n? number may be negative
function Gauge:add(n) end

---Subtracts from the value. Never waits.
---@param n? number
function Gauge:dec(n) end

---The same as add().
---@param n? number
function Gauge:inc(n) end

---Removes it: see `Counter:remove`.
function Gauge:remove() end

---Sets the value, which may also be infinite or not-a-number. Never waits.
---@param value number
function Gauge:set(value) end

---From now on the value is what a function returns, called each time that the value is asked for:
---`inspect.gauge("jobs_waiting"):set_function(function() return #jobs end)`. The function may not
---wait. With nil the value is set by hand again.
---@param fn? function returns a number
function Gauge:set_function(fn) end

---The value; of a gauge with a function what that returns.
---@return number
function Gauge:value() end

---How often a measured value lay in which range: durations, sizes. `inspect.histogram` makes it.
---@class moonlet.inspect.Histogram
local Histogram = {}

---Counts a value. One that is infinite or not-a-number is an error. Never waits.
---@param value number
function Histogram:observe(value) end

---The value below which this share of the observed ones lies, as near as the buckets tell: it is
---interpolated inside one bucket, as Prometheus does. A value above the last bound counts as that
---bound.
---@param q number from 0 to 1; 0.99: the value that 99 % do not exceed
---@return number|nil # nil: nothing was observed
function Histogram:quantile(q) end

---Removes it: see `Counter:remove`.
function Histogram:remove() end

---Calls a function and observes how long it took, in seconds, also if it fails or is cancelled.
---@param fn function
---@param ... any its arguments
---@return any ... # what it returned
function Histogram:time(fn, ...) end

---How many values were observed, and their sum.
---@return integer # count
---@return number # sum
function Histogram:value() end

---A place where the inspector listens. It prints as its address.
---@class moonlet.inspect.InspectListener
---@field address string "unix:/run/user/1000/moonlet/4711.sock" or "127.0.0.1:9229"
---@field url string|nil where a browser opens the page, with a token that is good for one visit; nil for a Unix socket
local InspectListener = {}

---Listens there no more; who visits the inspector stays. Harmless on a closed one.
function InspectListener:close() end

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

---@class moonlet.inspect.counter.options
---@field help? string what is counted, for people
---@field unit? string what a 1 is, such as "bytes"; the name must have it at its end
---@field limit? integer combinations of labels; beyond it all are counted together, as "other", and a warning says so once

---A counter of the program's: the same name with the same labels gives the same object. Keep it,
---rather than ask for it each time. Another kind of metric of that name, or other names of labels
---than at the first call, are an error.
---@param name string letters, digits, "_" and ":"; by custom it ends with the unit and "_total"
---@param labels? {[string]=string} names and values; values may be numbers and booleans, too
---@param options? moonlet.inspect.counter.options
---@return moonlet.inspect.Counter
function inspect.counter(name, labels, options) end

---A gauge of the program's; see `counter`.
---@param name string
---@param labels? {[string]=string}
---@param options? table `help`, `unit`, `limit`: see `counter`
---@return moonlet.inspect.Gauge
function inspect.gauge(name, labels, options) end

---@class moonlet.inspect.histogram.options
---@field buckets? number[] the upper bounds of the ranges, ascending; without it those for durations in seconds, from 0.005 to 10

---A histogram of the program's; see `counter`.
---@param name string
---@param labels? {[string]=string}
---@param options? moonlet.inspect.histogram.options `help`, `unit`, `limit`: see `counter`
---@return moonlet.inspect.Histogram
function inspect.histogram(name, labels, options) end

---@class moonlet.inspect.listen.options
---@field write? boolean also visitors over TCP may evaluate code, cancel tasks and use the debugger
---@field remote? boolean an address that other machines reach is allowed

---Starts the inspector, on a thread of its own, and has it listen. It may listen in several
---places.
---@param address? string "HOST:PORT", ":PORT" for this machine alone, or "unix:PATH"; without: a Unix socket that `moonlet --attach PID` finds
---@param opts? moonlet.inspect.listen.options
---@return moonlet.inspect.InspectListener|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function inspect.listen(address, opts) end

---Puts a mark of that name in the trace, where the running task is now. Never waits.
---@param name string
function inspect.mark(name) end

---All metrics, those of the program and those of the runtime, at this moment. Never waits.
---@param format? string `"prometheus"`: the text format, version 0.0.4; `"openmetrics"`: that of OpenMetrics 1.0; `"json"`: the table as a text, numbers that JSON cannot say as strings
---@return table|string # without a format a table: name -> `type`, `help`, `unit`, `series`, a list of tables with `labels` and `value`. A histogram has `bounds`, and in its series `count`, `sum` and `buckets`, for each bound how many values do not exceed it, and behind them all
function inspect.metrics(format) end

---Finds out where the program spends its time: waits for so many seconds while other tasks run,
---and returns their profile. The calling task can be cancelled meanwhile. One profile can be taken
---at a time.
---
---Options:
---
---- `mode`: "cpu" (the default) counts the time in which this thread computes. "wall" also counts
---what all tasks wait for: each task gets every second that passes;
---- `format`: "table" (the default); "svg", a flame graph that a browser shows; "folded", lines
---for flamegraph.pl; "speedscope", for speedscope.app; "pprof", for `go tool pprof`, which needs
---zlib;
---- `by_task`: the outermost frame of each stack is the name of its task, or the line that spawned
---it;
---- `lines`: each line of a function is a frame of its own;
---- `hz`: samples for each second of CPU time, 1 to 1000 (100);
---- `title`: of the flame graph.
---
---As a table: `samples`, `seconds` and `hz` of the whole, and the list `stacks`, the heaviest
---first, of tables with `seconds`, `samples` and `stack`, a list of names from the outermost call
---to the innermost.
---@param seconds number
---@param options? table
---@return table|string
function inspect.profile(seconds, options) end

---Calls fn(...), as a span of that name in the trace. While none is recorded, it only calls.
---@param name string
---@param fn function
---@param ... any its arguments
---@return any ... # its results
function inspect.span(name, fn, ...) end

---@class moonlet.inspect.tasks.options
---@field filter? string a pattern that the name has a match for
---@field state? string only those in this state
---@field id? integer only this task
---@field group? boolean groups of tasks with equal stacks instead: {count=, state=, waits_for=, spawned=, stack=, tasks= the first 20 of them}
---@field stack? boolean with the calls
---@field limit? integer the most tasks, or groups, that are described
---@field account? boolean true: from now on each task's account is kept, a switch takes 15 ns longer, and entries have cpu, allocated, stack_high, parent, paused; false: not any more

---Describes the tasks. A call that may wait lets others run meanwhile, so a task is shown as it was
---when its turn came: each entry has the number of its switches. Works where no wait is allowed, too,
---and raises no cancellation.
---@param opts? moonlet.inspect.tasks.options
---@return table[] # in the order of their slots. Fields: id, name (nil without), state ("new", "ready", "running", "waiting"), age (seconds, since the hub looked at the clock before the spawn), switches, spawned ("file.lua:12"), waits_for (text), on (what it waits for: {task=, name=} that has to act, {descriptor=, peer=}, {process=}), deadline (seconds left), cancelled, daemon, c_stack (bytes of its C frames), cpu (seconds that its code ran since accounts are kept), allocated (bytes, in all), stack_high (most bytes of C frames of its running coroutine at a switch), parent (id of its spawner), paused (seconds since it ran), locals (plain values of task.locals()), stack: a list of {name=, source=, line=, defined= the first line of the function, what="Lua", "main" or "C", strand=}, the innermost call first; strand counts the coroutines from there. Of a deep stack it has 30 calls, {omitted=count} and 5.
---@return integer # how many tasks there are of this kind, with those beyond the limit
function inspect.tasks(opts) end

---@class moonlet.inspect.trace.options
---@field size? integer bytes in which the last of it is kept, 16 for each event; 16 MiB at most. While another trace is recorded it shares that one's.

---Records for some seconds what happens to all tasks, and returns it. Waits.
---@param seconds number
---@param options? moonlet.inspect.trace.options
---@return string|nil # in Perfetto's format (JSON), for ui.perfetto.dev; or nil, message, code: "ENOMEM"
---@return string|nil # message
---@return string|nil # code
function inspect.trace(seconds, options) end

---What was recorded last. Lets other tasks run meanwhile, where the caller may wait.
---@param seconds? number nil: all that is there
---@return string|nil # as trace(); or nil, message, code: "EINVAL": nothing is recorded
---@return string|nil # message
---@return string|nil # code
function inspect.trace_last(seconds) end

---@class moonlet.inspect.trace_start.options
---@field size? integer bytes in which the last of it is kept, as of trace()
---@field on_error? any a path or a function: an error of a task that is reported saves the last second. A path gets a number: "trace.json" is "trace-1.json" and so on. A function is called with the text and "error", in a task of its own
---@field on_deadline? any the same for a deadline of task.timeout() or task.with_deadline() that was missed; the function gets "deadline"
---@field seconds? number how much is saved
---@field limit? integer how many are saved at most
---@field every? number seconds from one to the next, at least

---Records from now on, until trace_stop(). trace_last() returns the last of it, after the fact.
---Never waits.
---@param options? moonlet.inspect.trace_start.options
---@return boolean|nil # true; or nil, message, code: "EBUSY": it has been started; "ENOMEM"
---@return string|nil # message
---@return string|nil # code
function inspect.trace_start(options) end

---Ends what trace_start() has begun. Never waits.
---@return boolean # whether it was in force
function inspect.trace_stop() end

---@class moonlet.inspect.waits.options
---@field limit? integer the most edges

---Tells which task waits for which: to lock a mutex for its holder, to join a task for that one, for
---the end of a group for its members, for a module for the task that loads it, and for a lock of a C
---library. Waits for channels and the like are nobody's to end. Lets others run meanwhile, as tasks().
---@param opts? moonlet.inspect.waits.options
---@return table # {edges=, count=, deadlocks=, deadlock_count=}: a list of {from=, from_name=, to=, to_name=, waits_for=, deadline=}, how many there are, and a list of cycles, {tasks=, deadline=}: entries as of tasks(), of which each waits for the next and the last for the first; deadline: seconds until a time limit ends one of the waits, nil if none does. A cycle is listed only if no member has moved at a second look. Those listed have 10,000 members at most; deadlock_count counts the others, too.
function inspect.waits(opts) end

return inspect
