--- Where the program spends its time.
-- @submodule moonlet.inspect

local error, next, setmetatable = error, next, setmetatable
local tonumber, tostring = tonumber, tostring
local math_type = math.type

local argument = require "moonlet.argument"
local core = require "moonlet.inspect.profile.core"
-- Errors and tracebacks name its functions after this module.
package.loaded["moonlet.inspect.profile.core"] = nil
local formats = require "moonlet.inspect.profile.formats"
local task = require "moonlet.task"

local profile = {}

local HZ, MOST_HZ = 100, 1000
local known = { by_task = true, format = true, hz = true, lines = true, mode = true, title = true }

local function is_hz(hz)
  return math_type(hz) == "integer" and hz >= 1 and hz <= MOST_HZ
end

local function check(ok, position, name, message)
  if not ok then error(("bad argument #%d to '%s' (%s)"):format(position, name, message), 4) end
end

-- The options at `position` of the function of that name, {} for nil.
local function check_options(options, position, name)
  if options == nil then return {} end
  argument.table(options, position, name)
  for key in next, options do
    check(known[key], position, name, ("unknown option '%s'"):format(tostring(key)))
  end
  local mode, format = options.mode, options.format
  check(mode == nil or mode == "cpu" or mode == "wall", position, name, "mode is 'cpu' or 'wall'")
  check(format == nil or formats.has(format), position, name,
    "format is 'table', 'folded', 'speedscope', 'pprof' or 'svg'")
  check(options.hz == nil or is_hz(options.hz), position, name, "hz is an integer from 1 to 1000")
  return options
end

-- Counts starts and stops, so that a profile is ended by the call that has begun it alone.
local turn = 0

-- Begins a profile. nil: it has begun; or why it has not.
local function start(options)
  local ok, _, code = core.start(options.mode or "cpu", options.hz or HZ, options.by_task == true,
    options.lines == true)
  if ok then
    turn = turn + 1
    return nil
  end
  if code == "EALREADY" then return "a profile of this runtime is being taken already", code end
  if code == "EBUSY" then return "SIGPROF is used by other code of this process", code end
  return "profiles cannot be taken here: " .. code, code
end

-- For the inspector: profile.start(options) begins a profile and never waits. true, or nil,
-- message, code.
function profile.start(options)
  local message, code = start(check_options(options, 1, "start"))
  if message then return nil, message, code end
  return true
end

-- For the inspector: profile.stop() ends it and returns what was measured, for profile.render();
-- nil: none is being taken. Never waits.
function profile.stop()
  turn = turn + 1
  return core.stop()
end

-- For the inspector, and the end of the program: what profile.stop() returned as a text, or as a
-- table with "table". title: of the picture. Raises where pprof finds no zlib.
profile.render = formats.render

profile.is_on = core.is_on
profile.discard = core.discard
profile.knows_collector = core.knows_collector

local Guard = {}

-- Ends the profile that its owner has begun, unless other code has.
function Guard:__close()
  if self.turn == turn then core.discard() end
end

--- Finds out where the program spends its time: waits for so many seconds while other tasks run,
-- and returns their profile. The calling task can be cancelled meanwhile. One profile can be taken
-- at a time.
--
-- Options:
--
-- - `mode`: "cpu" (the default) counts the time in which this thread computes. "wall" also counts
--   what all tasks wait for: each task gets every second that passes;
-- - `format`: "table" (the default); "svg", a flame graph that a browser shows; "folded", lines
--   for flamegraph.pl; "speedscope", for speedscope.app; "pprof", for `go tool pprof`, which needs
--   zlib;
-- - `by_task`: the outermost frame of each stack is the name of its task, or the line that spawned
--   it;
-- - `lines`: each line of a function is a frame of its own;
-- - `hz`: samples for each second of CPU time, 1 to 1000 (100);
-- - `title`: of the flame graph.
--
-- As a table: `samples`, `seconds` and `hz` of the whole, and the list `stacks`, the heaviest
-- first, of tables with `seconds`, `samples` and `stack`, a list of names from the outermost call
-- to the innermost.
-- @function profile
-- @tparam number seconds
-- @tparam[opt] table options
-- @treturn table|string
-- @raise when a profile is being taken already, or SIGPROF belongs to other code
function profile.profile(seconds, options)
  argument.number(seconds, 1, "profile")
  argument.check(tonumber(seconds) >= 0, 1, "profile", "a number from 0 on expected")
  options = check_options(options, 2, "profile")
  local message = start(options)
  if message then error(message, 2) end
  local guard <close> = setmetatable({ turn = turn }, Guard)
  task.sleep(seconds)
  if guard.turn ~= turn then error("the profile was ended by other code", 2) end
  return profile.render(profile.stop(), options.format or "table", options.title)
end

return profile
