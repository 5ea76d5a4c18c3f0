--- Traces: what happened when.
-- @submodule moonlet.inspect

local error, math_type, pcall, require = error, math.type, pcall, require
local setmetatable, type = setmetatable, type
local argument = require "moonlet.argument"
local core = require "moonlet.inspect.trace.core"
local perfetto = require "moonlet.inspect.perfetto"
local task = require "moonlet.task"

local trace = {}

-- Bytes of the ring: the last 65,536 records.
local SIZE, MOST_SIZE = 1 << 20, 1 << 24

-- Of traces that are saved by themselves: how much, how many, how often at most.
local SECONDS, LIMIT, EVERY = 1, 10, 10

local START_OPTIONS = {size = true, seconds = true, on_error = true, on_deadline = true,
  limit = true, every = true}
local TRACE_OPTIONS = {size = true}

local users = 0 -- calls of trace() under way, and one for trace_start()
local kept      -- the options of trace_start(); nil: it is not in force

local function check_size(size, position, name)
  if size ~= nil and (math_type(size) ~= "integer" or size < 1 or size > MOST_SIZE) then
    local message = "bad argument #%d to '%s' (size must be an integer from 1 to %d)"
    error(message:format(position, name, MOST_SIZE), 3)
  end
end

local function begin(size)
  if users == 0 then
    local ok, message, code = core.open(size or SIZE)
    if not ok then return nil, message, code end
  end
  users = users + 1
  return true
end

local function finish()
  users = users - 1
  if users == 0 then core.close() end
end

local recording = setmetatable({}, {__close = finish})

-- Lets other tasks run, where the caller may wait.
local function new_rest()
  local may_wait = true
  return function()
    if may_wait then may_wait = pcall(task.yield) end
  end
end

local function text_of(seconds)
  local copy = core.take(seconds)
  return perfetto.format(copy, new_rest())
end

--- Records for some seconds what happens to all tasks, and returns it. Waits.
-- @function trace
-- @tparam number seconds
-- @tparam[opt] table options
-- @tparam[opt=1048576] integer options.size bytes in which the last of it is kept, 16 for each
-- event; 16 MiB at most. While another trace is recorded it shares that one's.
-- @treturn string in Perfetto's format (JSON), for ui.perfetto.dev; or nil, message, code: "ENOMEM"
function trace.trace(seconds, options)
  argument.number(seconds, 1, "trace")
  if options ~= nil then
    argument.options(options, 2, "trace", TRACE_OPTIONS)
    check_size(options.size, 2, "trace")
  end
  local ok, message, code = begin(options and options.size)
  if not ok then return nil, message, code end
  local _ <close> = recording
  task.sleep(seconds)
  return text_of(seconds)
end

-- ---- traces that save themselves ----

-- "trace.json", 3 -> "trace-3.json".
local function numbered(path, number)
  local stem, extension = path:match "^(.*[^/])(%.[^./]*)$"
  return (stem or path) .. "-" .. number .. (extension or "")
end

local function give(options, receiver, reason)
  local text = text_of(options.seconds or SECONDS)
  if type(receiver) ~= "string" then return receiver(text, reason) end
  local fs = require "moonlet.fs"
  local ok, message = fs.write(numbered(receiver, options.saved), text, {atomic = true})
  if not ok then error("the trace cannot be saved: " .. message, 0) end
end

-- Saves the last of the trace, unless that was done only just.
local function save(options, receiver, reason)
  local now = core.now()
  if options.last and now - options.last < (options.every or EVERY) then return end
  options.last, options.saved = now, options.saved + 1
  local ok, err = pcall(give, options, receiver, reason)
  if not ok then task.report(err, "") end
end

-- The body of a task. What happens while a trace is saved, its own failures also, saves no other.
local function save_all(options, errors, deadlines)
  while options.saved < (options.limit or LIMIT) do
    local more_errors, more_deadlines = core.watch(errors, deadlines)
    if not more_errors or kept ~= options then return end
    if more_errors ~= errors and options.on_error then
      save(options, options.on_error, "error")
    elseif more_deadlines ~= deadlines and options.on_deadline then
      save(options, options.on_deadline, "deadline")
    end
    errors, deadlines = core.counts()
    if not errors then return end
  end
end

local function check_receiver(receiver, name)
  if receiver ~= nil and type(receiver) ~= "string" and not argument.is_callable(receiver) then
    local message = "bad argument #1 to 'trace_start' (%s must be a path or a function)"
    error(message:format(name), 3)
  end
end

local function check_number(value, name)
  if value ~= nil and not (type(value) == "number" and value >= 0) then
    local message = "bad argument #1 to 'trace_start' (%s must be a number, 0 or more)"
    error(message:format(name), 3)
  end
end

local function check_start(options)
  argument.options(options, 1, "trace_start", START_OPTIONS)
  check_size(options.size, 1, "trace_start")
  argument.count(options.limit, 1, "trace_start", "limit")
end

--- Records from now on, until trace_stop(). trace_last() returns the last of it, after the fact.
-- Never waits.
-- @function trace_start
-- @tparam[opt] table options
-- @tparam[opt=1048576] integer options.size bytes in which the last of it is kept, as of trace()
-- @param[opt] options.on_error a path or a function: an error of a task that is reported saves the
-- last second. A path gets a number: "trace.json" is "trace-1.json" and so on. A function is called
-- with the text and "error", in a task of its own
-- @param[opt] options.on_deadline the same for a deadline of task.timeout() or task.with_deadline()
-- that was missed; the function gets "deadline"
-- @tparam[opt=1] number options.seconds how much is saved
-- @tparam[opt=10] integer options.limit how many are saved at most
-- @tparam[opt=10] number options.every seconds from one to the next, at least
-- @treturn boolean true; or nil, message, code: "EBUSY": it has been started; "ENOMEM"
function trace.trace_start(options)
  options = options or {}
  check_start(options)
  check_receiver(options.on_error, "on_error")
  check_receiver(options.on_deadline, "on_deadline")
  check_number(options.seconds, "seconds")
  check_number(options.every, "every")
  if kept then return nil, "a trace is being recorded", "EBUSY" end
  local ok, message, code = begin(options.size)
  if not ok then return nil, message, code end
  kept = {saved = 0, seconds = options.seconds, limit = options.limit, every = options.every,
    on_error = options.on_error, on_deadline = options.on_deadline}
  if options.on_error or options.on_deadline then
    kept.saver = task.spawn({name = "inspect.trace", daemon = true}, save_all, kept, core.counts())
  end
  return true
end

--- Ends what trace_start() has begun. Never waits.
-- @function trace_stop
-- @treturn boolean whether it was in force
function trace.trace_stop()
  local options = kept
  if not options then return false end
  kept = nil
  finish()
  if options.saver then options.saver:cancel() end
  return true
end

--- What was recorded last. Lets other tasks run meanwhile, where the caller may wait.
-- @function trace_last
-- @tparam[opt] number seconds nil: all that is there
-- @treturn string as trace(); or nil, message, code: "EINVAL": nothing is recorded
function trace.trace_last(seconds)
  if seconds ~= nil then argument.number(seconds, 1, "trace_last") end
  if not core.is_open() then return nil, "no trace is being recorded", "EINVAL" end
  return text_of(seconds)
end

-- For the inspector: the same as plain values, for perfetto.format() in whatever runtime; nil:
-- nothing is recorded. None waits.
trace.begin, trace.copy, trace.finish = begin, core.take, finish

--- Calls fn(...), as a span of that name in the trace. While none is recorded, it only calls.
-- @function span
-- @tparam string name
-- @tparam function fn
-- @param ... its arguments
-- @return its results
function trace.span(name, fn, ...)
  if type(name) ~= "string" then argument.check(false, 1, "span", "a name is a string") end
  if type(fn) ~= "function" then argument.callable(fn, 2, "span") end
  local _ <close> = core.enter(name)
  return fn(...)
end

--- Puts a mark of that name in the trace, where the running task is now. Never waits.
-- @function mark
-- @tparam string name
function trace.mark(name)
  if type(name) ~= "string" then argument.check(false, 1, "mark", "a name is a string") end
  core.mark(name)
end

return trace
