-- Evaluates code in the scope of a task: it sees the variables of a call, and may set them.

local _G, debug, error, load, pairs, pcall = _G, debug, error, load, pairs, pcall
local setmetatable, table, tostring, type = setmetatable, table, tostring, type
local coroutine_wrap, math_min = coroutine.wrap, math.min

local core = require "moonlet.inspect.agent.core"
local show = require "moonlet.repl.show"
local task = require "moonlet.task"

local evaluate = {}

-- Instructions between two looks at the clock, and the most results that are shown, and the
-- width of a line of theirs.
local LOOK, RESULTS, COLUMNS = 10000, 20, 100

-- ---- the variables of a call ----

-- Names -> where the value is: {"local", index} or {"upvalue", index}; the innermost of a name wins.
local function variables_of(thread, level)
  local places, about = {}, debug.getinfo(thread, level, "f")
  for i = 1, 255 do
    local name = debug.getupvalue(about.func, i)
    if not name then break end
    if name ~= "" and name ~= "(no name)" then places[name] = { "upvalue", i } end
  end
  for i = 1, 255 do
    local name = debug.getlocal(thread, level, i)
    if not name then break end
    if name:sub(1, 1) ~= "(" then places[name] = { "local", i } end
  end
  return places, about.func
end

local function read(scope, place)
  if place[1] == "upvalue" then
    local _, value = debug.getupvalue(scope.fn, place[2])
    return value
  end
  local _, value = debug.getlocal(scope.thread, scope.level, place[2])
  return value
end

local function write(scope, place, value)
  if place[1] == "upvalue" then debug.setupvalue(scope.fn, place[2], value)
  else debug.setlocal(scope.thread, scope.level, place[2], value) end
end

-- Raises when the task has gone on: its calls are others, and may be none.
local function check_still(scope)
  if core.switches(scope.id) ~= scope.switches then
    error("the task has gone on meanwhile: its variables are out of reach", 0)
  end
end

local function globals_of(scope)
  local place = scope.places._ENV
  local globals = place and read(scope, place)
  return type(globals) == "table" and globals or _G
end

local function environment_of(scope)
  local globals = globals_of(scope)
  return setmetatable({}, {
    __index = function(_, name)
      local place = scope.places[name]
      if not place then return globals[name] end
      check_still(scope)
      return read(scope, place)
    end,
    __newindex = function(_, name, value)
      local place = scope.places[name]
      if not place then globals[name] = value return end
      check_still(scope)
      write(scope, place, value)
    end,
    __pairs = function() return pairs(globals) end,
  })
end

local function scope_of(id, level)
  local thread, thread_level = core.call(id, level)
  if thread == nil then return nil, "there is no task of that number" end
  if not thread then return nil, "the task has no such call" end
  local places, fn = variables_of(thread, thread_level)
  return { id = id, thread = thread, level = thread_level, switches = core.switches(id),
    places = places, fn = fn }
end

-- ---- running ----

-- Code that computes lets others run, and ends with its time limit.
local function watch(deadline)
  debug.sethook(function()
    if core.may_wait() then task.yield()
    elseif task.now() > deadline then error("the time limit is over", 0) end
  end, "", LOOK)
end

local function texts_of(is_good, ...)
  local texts, values = {}, table.pack(...)
  for i = 1, math_min(values.n, RESULTS) do texts[i] = show(COLUMNS, values[i]) end
  if values.n > RESULTS then texts[RESULTS + 1] = ("... (%d values)"):format(values.n) end
  return { ok = is_good, texts = texts }
end

local function failure(text) return { ok = false, texts = { text } } end

local function compile(code, environment)
  local fn = load("return " .. code, "=evaluate", "t", environment)
  if fn then return fn end
  return load(code, "=evaluate", "t", environment)
end

-- An error as people are told it.
local function text_of_error(err)
  local ok, text = pcall(tostring, err)
  return ok and text or "(error object cannot be shown)"
end

local function run(fn, seconds)
  watch(task.now() + seconds)
  local results = table.pack(pcall(fn))
  debug.sethook()
  if not results[1] then return failure(text_of_error(results[2])) end
  return texts_of(table.unpack(results, 1, results.n))
end

-- Its hook must not stay in force when the limit has cut it short.
local no_hook = setmetatable({}, { __close = function() debug.sethook() end })

local function run_within(fn, seconds)
  local _ <close> = no_hook
  if not core.may_wait() then return run(fn, seconds) end
  return task.timeout(seconds, run, fn, seconds) or failure "the time limit is over"
end

local function evaluate_here(id, level, code, seconds)
  local scope, problem = { places = {} }, nil
  if id then scope, problem = scope_of(id, level or 0) end
  if not scope then return failure(problem) end
  local fn, message = compile(code, environment_of(scope))
  if not fn then return failure(message) end
  return run_within(fn, seconds)
end

--- Evaluates an expression, or runs statements.
-- @tparam ?integer id of the task; false: in no task's scope
-- @tparam ?integer level of the call, 0 for the innermost
-- @tparam string code
-- @tparam number seconds the time limit
-- @treturn table {ok=, texts={...}}: the results as texts, or the error
function evaluate.run(id, level, code, seconds)
  if core.may_wait() then return evaluate_here(id, level, code, seconds) end
  return coroutine_wrap(evaluate_here)(id, level, code, seconds)
end

return evaluate
