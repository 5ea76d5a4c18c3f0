--- Tasks, and what several of them do together: groups, all, map, race, every, supervise.
-- @module moonlet.task

-- spawn, sleep, timeout, shield and the like are in runtime/bindings/task.c, group in group.c.

local error, ipairs, pcall, type = error, ipairs, pcall, type
local math_ceil, math_huge, math_max, math_min = math.ceil, math.huge, math.max, math.min
local table_pack, table_remove, table_unpack = table.pack, table.remove, table.unpack

local argument = require "moonlet.argument"
local core = require "moonlet.task.core"
-- Tracebacks name its functions after this module.
package.loaded["moonlet.task.core"] = nil

local task = {}
for name, value in pairs(core) do task[name] = value end
-- For C functions of the script's: only scripts that may load C libraries have it.
local open_blocking = package.preload["moonlet.blocking.core"]
task.blocking = open_blocking and open_blocking()

-- Runs call(i, item) for each item of a list in a group; collects results and errors in order.
local function collect(list, limit, call)
  local results, errors = { n = #list }, { n = #list }
  task.group({ limit = limit, on_error = function() end }, function(group)
    for i = 1, #list do
      group:spawn(function()
        local ok, value = pcall(call, list[i])
        if ok then results[i] = value else errors[i] = value end
      end)
    end
  end)
  return results, errors
end

--- Calls all functions at once, in tasks of their own, and waits for all.
-- @tparam {function,...} list
-- @treturn table the first result of each, with n
-- @treturn table the error of each that failed, with n
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
function task.map(list, fn, limit)
  argument.table(list, 1, "map")
  argument.callable(fn, 2, "map")
  argument.count(limit, 3, "map", "the limit")
  return collect(list, limit, fn)
end

--- Calls all functions at once and cancels the others when the first has ended; waits for all.
-- @tparam {function,...} list
-- @treturn integer which was the first; if it failed its error is raised
-- @return its results
function task.race(list)
  argument.functions(list, 1, "race")
  local first
  task.group(function(group)
    for i, fn in ipairs(list) do
      group:spawn(function()
        local results = table_pack(fn())
        if not first then
          first = { i, table_unpack(results, 1, results.n) }
          first.n = results.n + 1
          group:cancel()
        end
      end)
    end
  end)
  if not first then return nil, "no function given", "EINVAL" end
  return table_unpack(first, 1, first.n)
end

--- Calls fn every s seconds in the calling task, until it raises an error or is cancelled. Calls
-- never overlap; ticks missed meanwhile are skipped, and the rest does not drift. Waits.
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

-- The two numbers of an option.
local function read_pair(opts, name, first, second)
  local pair = opts[name]
  if pair == nil then return first, second end
  local is_good = type(pair) == "table" and type(pair[1]) == "number" and type(pair[2]) == "number"
  if not is_good then
    error(("bad argument #1 to 'supervise' (option '%s' must be two numbers)"):format(name), 3)
  end
  return pair[1], pair[2]
end

--- Calls fn until it ends well, again after each failure, with growing pauses, in which it
-- waits.
-- @tparam table opts
-- @tparam function opts.fn
-- @tparam[opt] {number,...} opts.backoff {shortest, longest} pause in seconds, the shortest again
-- after a longer run; {0.1, 10} without
-- @tparam[opt] {number,...} opts.intensity {n, s}: more than n failures within s seconds are too
-- many; no limit without
-- @return fn's results; raises the last error when there were too many
function task.supervise(opts)
  argument.table(opts, 1, "supervise")
  local fn = opts.fn
  argument.check(argument.is_callable(fn), 1, "supervise", "option 'fn' must be a function")
  local shortest, longest = read_pair(opts, "backoff", 0.1, 10)
  local most, span = read_pair(opts, "intensity", math_huge, 1)
  local pause, failures = shortest, {}
  while true do
    local started = task.now()
    local results = table_pack(pcall(fn))
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
