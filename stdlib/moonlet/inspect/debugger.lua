-- The debugger's engine: breakpoints with conditions, stops, stacks, values. Its functions take and
-- return plain values, so that they can be called from another thread; a value of the program is a
-- number, a handle, as long as its task stands where it does. Serves one client at a time, such as
-- moonlet.inspector.dap.

local core = require "moonlet.inspect.debugger.core"
local chunks = require "moonlet.inspect.debugger.chunks"
local frames = require "moonlet.inspect.debugger.frames"
local values = require "moonlet.inspect.debugger.values"

local ipairs, pairs, error, tonumber = ipairs, pairs, error, tonumber
local coroutine_status = coroutine.status
local string_match, table_concat, table_pack = string.match, table.concat, table.pack

local debugger = {}

local client -- function that gets the events; nil: nobody is attached
local by_id = {} -- id -> breakpoint
local by_source = {} -- key of a source, or "functions" -> list of breakpoints
local last_id = 0
local exceptions = {} -- task -> text of the error at which it is stopped

local function tell(event)
  if client then client(event) end
end

local function output(category, text, frame)
  tell { event = "output", category = category, text = text, line = frame and frame.line,
         source = frame and frame.source }
end

-- ---- breakpoints ----

local compare = {
  ["=="] = function(a, b) return a == b end,
  [">="] = function(a, b) return a >= b end,
  [">"] = function(a, b) return a > b end,
  ["<="] = function(a, b) return a <= b end,
  ["<"] = function(a, b) return a < b end,
  ["%"] = function(a, b) return b > 0 and a % b == 0 end,
}

-- "5", ">= 5", "% 5" -> function(hits); nil: it is no such text.
local function hit_test(text)
  local operator, number = string_match(text, "^%s*([<>=%%]*)%s*(%d+)%s*$")
  if not number then return nil end
  local test = compare[operator == "" and ">=" or operator == "=" and "==" or operator]
  number = tonumber(number)
  return test and function(hits) return test(hits, number) end
end

-- Checks the texts of a breakpoint; the message if one is wrong.
local function prepare(breakpoint)
  if breakpoint.condition then
    local good, message = frames.check(breakpoint.condition)
    if not good then return "condition: " .. message end
  end
  if breakpoint.hit_condition then
    breakpoint.counts = hit_test(breakpoint.hit_condition)
    if not breakpoint.counts then return "hit condition: a number, perhaps after == >= > <= < %" end
  end
end

local function push()
  local list = {}
  for _, breakpoints in pairs(by_source) do
    for _, one in ipairs(breakpoints) do
      if one.line and not one.message then list[#list + 1] = one end
    end
  end
  core.breakpoints(list)
end

local function add(list, breakpoint)
  last_id = last_id + 1
  breakpoint.id, breakpoint.hits = last_id, 0
  local message = breakpoint.message or prepare(breakpoint)
  breakpoint.message = message
  breakpoint.verified = not message and breakpoint.owners ~= nil
  by_id[last_id] = breakpoint
  list[#list + 1] = breakpoint
  return { id = last_id, verified = breakpoint.verified, line = breakpoint.line, message = message }
end

-- Begins the list of a source anew.
local function begin(key)
  for _, old in ipairs(by_source[key] or {}) do by_id[old.id] = nil end
  by_source[key] = {}
  return by_source[key]
end

--- Replaces the breakpoints of a source: {path} of a file, or {reference} of a loaded text.
-- wanted: a list of {line, condition, hit_condition, log}. Returns a list of {id, verified, line,
-- message}.
function debugger.set_breakpoints(source, wanted)
  local list, results = begin(chunks.key(source)), {}
  local file = chunks.open(source)
  for i, one in ipairs(wanted) do
    local line, owners, message = chunks.resolve(file, one.line)
    results[i] = add(list, { path = file.path, source = file.source, line = line, owners = owners,
      message = message, condition = one.condition, hit_condition = one.hit_condition,
      log = one.log })
    results[i].line = results[i].line or one.line
  end
  push()
  return results
end

--- Replaces the breakpoints at functions; wanted: a list of {name, condition, hit_condition}.
function debugger.set_function_breakpoints(wanted)
  local list, results = begin "functions", {}
  for i, one in ipairs(wanted) do
    local place = chunks.of_function(one.name)
    place.condition, place.hit_condition = one.condition, one.hit_condition
    results[i] = add(list, place)
  end
  push()
  return results
end

--- The lines that have code, from `first` to `last`.
function debugger.locations(source, first, last)
  return chunks.lines(chunks.open(source), first, last)
end

local function log(breakpoint, thread)
  local place = frames.place(thread, 0)
  local text = breakpoint.log:gsub("%b{}", function(part)
    local good, value = frames.evaluate(thread, 0, part:sub(2, -2))
    return good and values.plain(value) or "<" .. values.plain(value) .. ">"
  end)
  output("console", text .. "\n", place)
end

-- Called where a task is at a breakpoint. True: it is to stop.
local function hit(_, thread, id)
  local breakpoint = by_id[id]
  if not breakpoint then return false end
  if breakpoint.condition then
    local good, value = frames.evaluate(thread, 0, breakpoint.condition)
    if not good then
      local text = "condition '" .. breakpoint.condition .. "': " .. values.plain(value) .. "\n"
      output("stderr", text, frames.place(thread, 0))
    elseif not value then
      return false
    end
  end
  breakpoint.hits = breakpoint.hits + 1
  if breakpoint.counts and not breakpoint.counts(breakpoint.hits) then return false end
  if not breakpoint.log then return true end
  log(breakpoint, thread)
  return false
end

-- ---- stops ----

local function stopped(id, thread, stop, reason, hits, raised)
  local text = reason == "exception" and values.plain(raised) or nil
  exceptions[id] = text
  -- An error that is caught is shown in a handler; a thread that has failed has none.
  frames.hidden[thread] = text and coroutine_status(thread) ~= "dead" and 1 or nil
  local breakpoint = hits[1] and by_id[hits[1]]
  if breakpoint and breakpoint.is_function then reason = "function breakpoint" end
  tell { event = "stopped", task = id, reason = reason, hits = hits, text = text, stop = stop,
         line = frames.place(thread, frames.hidden[thread] or 0).line }
end

local function passed(_, thread, _, reason)
  local place = frames.place(thread, 0)
  output("console", ("%s: not stopped at line %d: no wait is allowed here\n")
    :format(reason, place.line), place)
end

--- Begins. tell: a function that gets the events; it may not wait. At most one client is attached.
function debugger.attach(tell_client)
  if client then error("a debugger is attached already", 2) end
  core.attach { hit = hit, stopped = stopped, passed = passed }
  client = tell_client
end

--- The program runs as without a debugger.
function debugger.detach()
  client = nil
  by_id, by_source, exceptions = {}, {}, {}
  values.forget_all()
  core.exceptions(false, false)
  core.detach()
end

--- The running task works for the debugger: it never stops.
debugger.own = core.own

--- Code that may not wait stops, too, or not: all tasks stand then, and the inspector's requests
-- are served.
debugger.stand = core.stand

--- Deadlines of stopped tasks stand still, or not.
debugger.freeze = core.freeze

--- At which errors tasks stop.
function debugger.set_exceptions(uncaught, raised)
  core.exceptions(uncaught, raised)
end

--- The error at which a task is stopped.
function debugger.exception(id)
  return exceptions[id]
end

--- The live tasks but the debugger's own, at most so many: {id, name, state, waits_for, stop}.
function debugger.tasks(most)
  local list = {}
  for _, one in ipairs(core.tasks(most)) do
    if not one.own then list[#list + 1] = one end
  end
  return list
end

function debugger.task(id)
  return core.task(id)
end

--- Lets a stopped task go on: "continue", "in", "over", "out". False: it is not stopped.
function debugger.resume(id, aim)
  values.forget(id)
  exceptions[id] = nil
  for _, thread in ipairs(core.threads(id)) do frames.hidden[thread] = nil end
  return core.resume(id, aim)
end

function debugger.resume_all()
  values.forget_all()
  exceptions = {}
  core.resume_all()
end

--- A task, or every task, stops at its next line.
debugger.pause = core.pause

-- ---- looking ----

--- The calls of a task, the innermost first, from the number `from` (0): {id, name, line, source,
-- is_c}. Returns also their count.
function debugger.stack(id, from, count)
  return frames.stack(id, from or 0, count or 20)
end

--- The scopes of a call: {name, handle, named, indexed, expensive}.
function debugger.scopes(frame)
  return values.scopes(frame)
end

--- What is in a handle: {name, value, type, handle, named, indexed, lazy}; filter: "indexed",
-- "named" or nil.
debugger.variables = values.children

-- What a client gets of a value that was computed in a call.
local function result(text, value, thread, level, id)
  local entry = values.describe(value, { task = id, thread = thread, level = level })
  entry.name = text
  return entry
end

--- Computes an expression, or runs statements, in a call; nil: with the global variables. May wait.
-- Returns {value, type, handle, ...}, or nil and the error.
function debugger.evaluate(frame, text)
  local thread, level, id
  if frame then thread, level, id = frames.find(frame) end
  local results = table_pack(frames.evaluate(thread, level, text))
  if not results[1] then return nil, values.plain(results[2]) end
  local entry = result(text, results[2], thread, level, id)
  if results.n ~= 2 then
    local texts = {}
    for i = 2, results.n do texts[i - 1] = values.text(results[i]) end
    entry.value = table_concat(texts, ", ")
    if results.n == 1 then entry.type = nil end
  end
  return entry
end

--- Sets what a handle has under a name to the value of an expression.
function debugger.set_variable(handle, name, text)
  local thread, level, id = values.frame_of(handle)
  local good, value = frames.evaluate(thread, level, text)
  if not good then return nil, values.plain(value) end
  local message = values.set(handle, name, value)
  if message then return nil, message end
  return result(name, value, thread, level, id)
end

--- Assigns to an expression such as t[1].x.
function debugger.set_expression(frame, target, text)
  local good, value = frames.assign(frame, target, text)
  if not good then return nil, values.plain(value) end
  local thread, level, id
  if frame then thread, level, id = frames.find(frame) end
  return result(target, value, thread, level, id)
end

--- Names that go on from the text.
debugger.complete = frames.complete

--- The text of a loaded chunk; nil and a message without.
debugger.source = chunks.text

--- The chunks seen so far: {path or reference, name}.
debugger.sources = chunks.list

return debugger
