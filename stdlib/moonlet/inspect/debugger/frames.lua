-- Calls of the debugged tasks, and code that runs with their variables.

local core = require "moonlet.inspect.debugger.core"
local chunks = require "moonlet.inspect.debugger.chunks"
local handles = require "moonlet.inspect.debugger.handles"

local getinfo, getlocal, setlocal = debug.getinfo, debug.getlocal, debug.setlocal
local getupvalue, setupvalue = debug.getupvalue, debug.setupvalue
local load, pcall, setmetatable, next, type, select = load, pcall, setmetatable, next, type, select
local table_unpack, string_sub, string_match, globals = table.unpack, string.sub, string.match, _G
local table_sort = table.sort

local frames = {}

-- ---- variables of a call ----

--- Calls visit(name, value, index) for each local variable, the outermost first.
function frames.each_local(thread, level, visit)
  local i = 1
  local name, value = getlocal(thread, level, i)
  while name do
    if string_sub(name, 1, 1) ~= "(" then visit(name, value, i) end
    i = i + 1
    name, value = getlocal(thread, level, i)
  end
end

--- The values behind "...".
function frames.varargs(thread, level)
  local list, i = { n = 0 }, 1
  local name, value = getlocal(thread, level, -1)
  while name do
    list[i], list.n = value, i
    i = i + 1
    name, value = getlocal(thread, level, -i)
  end
  return list
end

-- The index of a local variable; the innermost of that name.
local function find_local(thread, level, wanted)
  local found
  frames.each_local(thread, level, function(name, _, i) if name == wanted then found = i end end)
  return found
end

local function find_upvalue(thread, level, wanted)
  local about = getinfo(thread, level, "f")
  local i = 1
  repeat
    local name = about and getupvalue(about.func, i)
    if name == wanted then return about.func, i end
    i = i + 1
  until not name
end

--- The value of a name in a call, and whether there is such a variable.
function frames.get(thread, level, name)
  local index = find_local(thread, level, name)
  if index then return select(2, getlocal(thread, level, index)), true end
  local func, upvalue = find_upvalue(thread, level, name)
  if func then return select(2, getupvalue(func, upvalue)), true end
  return nil, false
end

--- Sets a variable; false: there is none of that name.
function frames.set(thread, level, name, value)
  local index = find_local(thread, level, name)
  if index then
    setlocal(thread, level, index, value)
    return true
  end
  local func, upvalue = find_upvalue(thread, level, name)
  if func then setupvalue(func, upvalue, value) end
  return func ~= nil
end

--- The table of the call's global variables.
function frames.globals(thread, level)
  local value, has = nil, false
  if thread then value, has = frames.get(thread, level, "_ENV") end
  return has and value or globals
end

-- ---- code in a call ----

-- Variables are looked up in the call itself, at each use.
local function environment(thread, level)
  if not thread then return globals end
  local outer = frames.globals(thread, level)
  return setmetatable({}, {
    __index = function(_, name)
      local value, has = frames.get(thread, level, name)
      if has then return value end
      return outer[name]
    end,
    __newindex = function(_, name, value)
      if not frames.set(thread, level, name, value) then outer[name] = value end
    end,
  })
end

local function compile(text, env)
  local chunk, message = load("return " .. text, "=(evaluate)", "t", env)
  if not chunk then chunk, message = load(text, "=(evaluate)", "t", env) end
  return chunk, message
end

--- Whether a text is an expression, or statements; a message if not.
function frames.check(text)
  local chunk, message = compile(text, {})
  return chunk ~= nil, message
end

--- Runs a text with the variables of a call (nil: the global ones). true and the results, or false
-- and the error.
function frames.evaluate(thread, level, text)
  local chunk, message = compile(text, environment(thread, level))
  if not chunk then return false, message end
  local given = thread and frames.varargs(thread, level) or { n = 0 }
  return pcall(chunk, table_unpack(given, 1, given.n))
end

--- Assigns the value of a text to an expression, in the call of a handle.
function frames.assign(frame, target, text)
  local thread, level
  if frame then thread, level = frames.find(frame) end
  local good, value = frames.evaluate(thread, level, text)
  if not good then return false, value end
  local chunk, message = load(target .. " = ...", "=(evaluate)", "t", environment(thread, level))
  if not chunk then return false, message end
  local failed
  good, failed = pcall(chunk, value)
  return good, good and value or failed
end

-- ---- the calls of a task ----

--- {line, source} of a call.
function frames.place(thread, level)
  local about = getinfo(thread, level, "Sl")
  if not about then return {} end
  return { line = about.currentline, source = chunks.source(about.source, about.short_src) }
end

local function describe(id, thread, level)
  local about = getinfo(thread, level, "Slnt")
  local is_main = about.what == "main"
  local name = is_main and "main chunk" or about.name
    or about.what == "C" and "C function"
    or "function <" .. about.short_src .. ":" .. about.linedefined .. ">"
  return { id = handles.new(id, { thread = thread, level = level }), name = name,
           line = about.currentline > 0 and about.currentline or nil, is_c = about.what == "C",
           is_tail = about.istailcall or nil,
           source = about.what ~= "C" and chunks.source(about.source, about.short_src) or nil }
end

-- Thread -> how many of its innermost calls are the debugger's: a handler of messages.
frames.hidden = setmetatable({}, { __mode = "k" })

-- How many calls stand on a thread: by doubling, as each look takes time for the calls above it.
local function depth(thread)
  local low, high = -1, 1
  while getinfo(thread, high, "") do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = (low + high) // 2
    if getinfo(thread, middle, "") then low = middle else high = middle end
  end
  return getinfo(thread, 0, "") and low + 1 or 0
end

--- A page of the calls of a task, and their count.
function frames.stack(id, from, count)
  local list, total = {}, 0
  for _, thread in next, core.threads(id) do
    local hidden = frames.hidden[thread] or 0
    local calls = depth(thread) - hidden
    for level = 0, calls - 1 do
      local index = total + level
      if index >= from and index < from + count then
        list[#list + 1] = describe(id, thread, level + hidden)
      elseif index >= from + count then
        break
      end
    end
    total = total + calls
  end
  return list, total
end

--- The thread and the level of a handle; raises if it is good no more.
function frames.find(frame)
  local entry = handles.get(frame)
  return entry.thread, entry.level, entry.task
end

-- ---- names ----

local function add_names(list, seen, prefix, name)
  if type(name) == "string" and string_sub(name, 1, #prefix) == prefix and not seen[name]
    and string_match(name, "^[%a_][%w_]*$") then
    seen[name] = true
    list[#list + 1] = name
  end
end

--- Names that go on from the last word of the text; most: so many at most.
function frames.complete(frame, text)
  local most <const> = 200
  local base, prefix = string_match(text, "([%w_.]*)[.:]([%w_]*)$")
  if not base then prefix = string_match(text, "([%w_]*)$") end
  local thread, level
  if frame then thread, level = frames.find(frame) end
  local list, seen = {}, {}
  local from = frames.globals(thread, level)
  if base then
    local good, value = frames.evaluate(thread, level, base)
    from = good and value
  elseif thread then
    frames.each_local(thread, level, function(name) add_names(list, seen, prefix, name) end)
  end
  if type(from) == "table" then
    for name in next, from do
      if #list < most then add_names(list, seen, prefix, name) end
    end
  end
  table_sort(list)
  return list, prefix
end

return frames
