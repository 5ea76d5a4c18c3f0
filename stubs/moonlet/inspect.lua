---@meta moonlet.inspect

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

---Puts a mark of that name in the trace, where the running task is now. Never waits.
---@param name string
function inspect.mark(name) end

---Calls fn(...), as a span of that name in the trace. While none is recorded, it only calls.
---@param name string
---@param fn function
---@param ... any its arguments
---@return any ... # its results
function inspect.span(name, fn, ...) end

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

return inspect
