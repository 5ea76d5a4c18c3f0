--- Tasks, and functions that run several of them: groups, all, map, race, every, supervise.
-- @module moonlet.task

-- spawn, sleep, timeout, shield and the like are in runtime/bindings/task/task.c, group in group.c.

local error, ipairs, next, type, xpcall = error, ipairs, next, type, xpcall
local math_ceil, math_huge, math_max, math_min = math.ceil, math.huge, math.max, math.min
local table_pack, table_remove, table_unpack = table.pack, table.remove, table.unpack

local argument = require "moonlet.argument"
local core = require "moonlet.task.core"
-- Tracebacks name its functions after this module.
package.loaded["moonlet.task.core"] = nil

local task = {}
for name, value in pairs(core) do task[name] = value end
task.noting, task.story = nil, nil
-- Calls C functions of the script's: only scripts that may load C libraries have it.
local open_blocking = package.preload["moonlet.blocking.core"]
task.blocking = open_blocking and open_blocking()

-- Fails although its error is caught: a closing variable, while the task is cancelled.
local function report(_, err, traceback) task.report(err, traceback) end

-- Stands in a list for an error that is nil, which a list cannot hold; as lua5.4 shows it.
local NIL_ERROR = "(error object is a nil value)"

-- Runs call(item) for each item of a list in a group; collects results, errors and the tracebacks
-- of these, in order. The caller also gets the traceback when it raises the error again. Each task
-- is in one of the first two lists: a cancelled one has an error from the start.
local function collect(list, limit, call)
  local count = #list
  local results, errors, tracebacks = { n = count }, { n = count }, { n = count }
  local caller = task.current()
  local note = core.noting(caller)
  task.group({ limit = limit, on_error = report }, function(group)
    for i = 1, count do
      errors[i] = "cancelled"
      local child, message = group:spawn(function()
        local is_left, ok, value = task.pcall(xpcall, call, note, list[i])
        if not is_left then ok, value = false, ok end -- cancelled, or cut with an error
        if ok then
          results[i], errors[i] = value, nil
        else
          errors[i] = value == nil and NIL_ERROR or value
          tracebacks[i] = core.story(caller, value)
          if not is_left and not core.is_cancellation(value) then error(value, 0) end -- is told
        end
      end)
      if not child then errors[i] = message end
    end
  end)
  return results, errors, tracebacks
end

--- Calls all functions at once, in tasks of their own, and waits for all.
-- @tparam {function,...} list
-- @treturn table the first result of each, with n
-- @treturn table the error of each that failed, with n
-- @treturn table the traceback of each that failed: its task, its calls, and where that was
-- spawned; with n
function task.all(list)
  argument.functions(list, 1, "all")
  return collect(list, nil, function(fn) return fn() end)
end

--- Calls fn(item) for all items of a list at once, in tasks of their own, and waits for all.
-- @tparam table list
-- @tparam function fn
-- @tparam[opt] integer limit how many at a time
-- @treturn table results, as all()
-- @treturn table errors, as all()
-- @treturn table tracebacks, as all()
function task.map(list, fn, limit)
  argument.table(list, 1, "map")
  argument.callable(fn, 2, "map")
  argument.count(limit, 3, "map", "the limit")
  return collect(list, limit, fn)
end

--- Calls all functions at once and cancels the others when the first has ended; waits for all. The
-- results of the others are dropped; but if one was cancelled and failed as it cleaned up, its
-- error is reported.
-- @tparam {function,...} list
-- @treturn integer the number of the first; if it failed its error is raised
-- @return its results; or nil, message, "ECANCELED" when each of them was cancelled
function task.race(list)
  argument.functions(list, 1, "race")
  local first
  local function on_error(_, err, traceback, cleaning)
    if not first then return "cancel" end
    if cleaning then task.report(err, traceback) end
  end
  task.group({ on_error = on_error }, function(group)
    for i, fn in ipairs(list) do
      local child, message = group:spawn(function()
        local results = table_pack(fn())
        if first then return end
        first = { i, table_unpack(results, 1, results.n) }
        first.n = results.n + 1
        group:cancel()
      end)
      if not child then error(message, 0) end
    end
  end)
  if first then return table_unpack(first, 1, first.n) end
  if #list == 0 then return nil, "no function given", "EINVAL" end
  return nil, "cancelled", "ECANCELED"
end

--- Calls fn every s seconds in the calling task, until it raises an error or is cancelled. Calls
-- never overlap; ticks missed meanwhile are skipped, and later ones keep to the schedule. Waits.
-- @tparam number s seconds
-- @tparam function fn
function task.every(s, fn)
  argument.check(type(s) == "number" and s > 0, 1, "every", "positive number expected")
  argument.callable(fn, 2, "every")
  local start, tick = task.now(), 0
  while true do
    tick = math_max(tick + 1, math_ceil((task.now() - start) / s))
    task.sleep_until(start + tick * s)
    fn()
  end
end

local function is_number(value) return type(value) == "number" and value == value end

-- The two numbers of an option.
local function read_pair(opts, name, first, second)
  local pair = opts[name]
  if pair == nil then return first, second end
  local is_good = type(pair) == "table" and is_number(pair[1]) and is_number(pair[2])
  for key in next, is_good and pair or {} do is_good = is_good and (key == 1 or key == 2) end
  if not is_good then
    error(("bad argument #1 to 'supervise' (option '%s' must be two numbers)"):format(name), 3)
  end
  return pair[1], pair[2]
end

local SUPERVISION = { fn = true, backoff = true, intensity = true }

--- Calls fn until it succeeds: again after each failure, with growing pauses, in which it waits.
-- @tparam table opts
-- @tparam function opts.fn
-- @tparam[opt] {number,...} opts.backoff {shortest, longest} pause in seconds, the shortest again
-- after a longer run; {0.1, 10} without
-- @tparam[opt] {number,...} opts.intensity {n, s}: more than n failures within s seconds are too
-- many; without: no limit
-- @return fn's results; raises the last error when there were too many
function task.supervise(opts)
  argument.options(opts, 1, "supervise", SUPERVISION)
  local fn = opts.fn
  argument.check(argument.is_callable(fn), 1, "supervise", "option 'fn' must be a function")
  local shortest, longest = read_pair(opts, "backoff", 0.1, 10)
  local most, span = read_pair(opts, "intensity", math_huge, 1)
  local pause, failures = shortest, {}
  local note = core.noting(task.current())
  while true do
    local started = task.now()
    local results = table_pack(xpcall(fn, note))
    if results[1] then return table_unpack(results, 2, results.n) end
    local now = task.now()
    failures[#failures + 1] = now
    while failures[1] < now - span do table_remove(failures, 1) end
    if #failures > most then error(results[2], 0) end
    if now - started > longest then pause = shortest end
    task.sleep(pause)
    pause = math_min(pause * 2, longest)
  end
end

return task
