-- Values of the debugged program as texts, and what is inside of them, in pages. Runs none of the
-- program's code but what a client asks for (a value's __tostring).

local core = require "moonlet.inspect.debugger.core"
local frames = require "moonlet.inspect.debugger.frames"
local handles = require "moonlet.inspect.debugger.handles"

local getmetatable, getinfo = debug.getmetatable, debug.getinfo
local getupvalue, setupvalue, setlocal = debug.getupvalue, debug.setupvalue, debug.setlocal
local getuservalue, setuservalue = debug.getuservalue, debug.setuservalue
local string_format, string_sub, string_match = string.format, string.sub, string.match
local string_byte, utf8_len, coroutine_status = string.byte, utf8.len, coroutine.status
local math_type, math_max, math_min = math.type, math.max, math.min
local next, rawget, rawset, rawlen, type = next, rawget, rawset, rawlen, type
local tostring, tonumber, pcall = tostring, tonumber, pcall

local values = {}

-- Longest text shown of a string, in bytes; most keys of a table that are counted.
local LONGEST <const>, MOST_COUNTED <const> = 1000, 10000

values.forget, values.forget_all = handles.forget, handles.forget_all

-- ---- texts ----

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function hex(byte)
  return string_format("\\x%02x", string_byte(byte))
end

local function quote(text)
  local cut = #text > LONGEST
  text = cut and string_sub(text, 1, LONGEST) or text
  local shown = '"' .. text:gsub('[%c\\"\128-\255]', function(byte)
    return escapes[byte] or string_byte(byte) < 128 and hex(byte) or byte
  end) .. '"'
  if not utf8_len(shown) then shown = shown:gsub("[\128-\255]", hex) end
  return cut and shown .. "..." or shown
end

local function number_text(value)
  if math_type(value) == "integer" then return string_format("%d", value) end
  local short = string_format("%.14g", value)
  local text = tonumber(short) == value and short or string_format("%.17g", value)
  return string_match(text, "^-?%d+$") and text .. ".0" or text
end

local function type_name(value)
  local meta = getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or type(value)
end

local function function_text(value)
  local about = getinfo(value, "S")
  if about.what == "C" then return core.identity(value) .. " (C)" end
  return core.identity(value) .. " (" .. about.short_src .. ":" .. about.linedefined .. ")"
end

--- Text of a value; none of the program's code runs.
function values.text(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" then return number_text(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  if kind == "function" then return function_text(value) end
  local text = core.identity(value)
  local name = type_name(value)
  if name ~= kind then text = name .. " (" .. text .. ")" end
  return kind == "table" and text .. " #" .. rawlen(value) or text
end

--- A value in a message: a string as it is.
function values.plain(value)
  return type(value) == "string" and value or values.text(value)
end

-- ---- descriptions ----

local function count_named(value, indexed)
  local count = 0
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= indexed) then count = count + 1 end
    if count >= MOST_COUNTED then break end
  end
  return count + (getmetatable(value) and 1 or 0)
end

local structured = { ["table"] = true, ["function"] = true, ["userdata"] = true, ["thread"] = true }

--- {value, type, handle, named, indexed} for a value, in a call of a task (nil: of none).
function values.describe(value, entry)
  local kind = type(value)
  local result = { value = values.text(value), type = type_name(value), handle = 0 }
  if not structured[kind] then return result end
  result.handle = handles.new(entry and entry.task, { kind = kind, value = value,
    thread = entry and entry.thread, level = entry and entry.level })
  if kind == "table" then
    result.indexed = rawlen(value)
    result.named = count_named(value, result.indexed)
  end
  return result
end

local function key_text(key)
  if type(key) == "string" and string_match(key, "^[%a_][%w_]*$") then return key end
  return "[" .. values.text(key) .. "]"
end

-- ---- scopes ----

--- The scopes of the call of a handle.
function values.scopes(frame)
  local entry = handles.get(frame)
  local function scope(name, kind, expensive)
    local inner = { kind = kind, thread = entry.thread, level = entry.level }
    local number = handles.new(entry.task, inner)
    return { name = name, handle = number, expensive = expensive or false,
             hint = kind == "locals" and "locals" or nil }
  end
  local list = { scope("Locals", "locals"), scope("Upvalues", "upvalues") }
  list[3] = scope("Globals", "globals", true)
  return list
end

-- ---- what is inside ----

-- Each calls add(name, value) for what an entry has; set(name, value) returns a message on failure.
local inside, setters = {}, {}

function inside.locals(entry, add)
  frames.each_local(entry.thread, entry.level, function(name, value) add(name, value) end)
  local given = frames.varargs(entry.thread, entry.level)
  for i = 1, given.n do add("..." .. i, given[i]) end
end

function setters.locals(entry, name, value)
  local index = string_match(name, "^%.%.%.(%d+)$")
  if index then
    local found = setlocal(entry.thread, entry.level, -tonumber(index), value)
    return not found and "no such argument" or nil
  end
  return not frames.set(entry.thread, entry.level, name, value) and "no such variable" or nil
end

local function each_upvalue(func, add)
  local i = 1
  local name, value = getupvalue(func, i)
  while name do
    if name ~= "_ENV" then add(name == "" and "upvalue " .. i or name, value, i) end
    i = i + 1
    name, value = getupvalue(func, i)
  end
end

local function function_of(entry)
  if entry.kind == "function" then return entry.value end
  return getinfo(entry.thread, entry.level, "f").func
end

function inside.upvalues(entry, add)
  each_upvalue(function_of(entry), add)
end

function setters.upvalues(entry, name, value)
  local func, index = function_of(entry), nil
  each_upvalue(func, function(found, _, i) if found == name then index = i end end)
  if not index then return "no such upvalue" end
  setupvalue(func, index, value)
end

inside["function"], setters["function"] = inside.upvalues, setters.upvalues

local function add_metatable(value, add)
  local meta = getmetatable(value)
  if meta ~= nil then add("(metatable)", meta) end
end

function inside.userdata(entry, add)
  local i = 1
  local value, has = getuservalue(entry.value, i)
  while has do
    add("user value " .. i, value)
    i = i + 1
    value, has = getuservalue(entry.value, i)
  end
  add_metatable(entry.value, add)
end

function setters.userdata(entry, name, value)
  local index = string_match(name, "^user value (%d+)$")
  if not index then return "cannot be set" end
  setuservalue(entry.value, value, tonumber(index))
end

function inside.thread(entry, add)
  add("status", coroutine_status(entry.value))
end

local function table_of(entry)
  return entry.kind == "globals" and frames.globals(entry.thread, entry.level) or entry.value
end

local function set_field(entry, name, value)
  local wanted = table_of(entry)
  if name == "(metatable)" then return "cannot be set" end
  local index = string_match(name, "^%[(-?%d+)%]$")
  if index then
    rawset(wanted, tonumber(index), value)
    return nil
  end
  for key in next, wanted do
    if key_text(key) == name then
      rawset(wanted, key, value)
      return nil
    end
  end
  if not string_match(name, "^[%a_][%w_]*$") then return "no such field" end
  rawset(wanted, name, value)
end

setters.table, setters.globals = set_field, set_field

-- ---- pages ----

local function describe_child(entry, name, value)
  local child = values.describe(value, entry)
  child.name = name
  return child
end

local function add_indexed(entry, list, wanted, start, count)
  for i = start + 1, start + count do
    list[#list + 1] = describe_child(entry, "[" .. i .. "]", rawget(wanted, i))
  end
end

local function add_named(entry, list, wanted, start, count)
  local indexed, seen = rawlen(wanted), 0
  local function add(name, value)
    if seen >= start and seen < start + count then
      list[#list + 1] = describe_child(entry, name, value)
    end
    seen = seen + 1
  end
  add_metatable(wanted, add)
  for key, value in next, wanted do
    if seen >= start + count then break end
    if not (math_type(key) == "integer" and key >= 1 and key <= indexed) then
      add(key_text(key), value)
    end
  end
end

local function table_children(entry, filter, start, count)
  local wanted, list = table_of(entry), {}
  local indexed = rawlen(wanted)
  if filter ~= "named" then
    local first = filter == "indexed" and start or 0
    local most = filter == "indexed" and count or indexed
    add_indexed(entry, list, wanted, first, math_max(0, math_min(most, indexed - first, 10000)))
  end
  if filter ~= "indexed" then
    local first = filter == "named" and start or 0
    add_named(entry, list, wanted, first, filter == "named" and count or 10000)
  end
  return list
end

-- Runs the program's code: asked for.
local function ask_for_text(entry)
  local _, text = pcall(tostring, entry.value)
  return { describe_child(entry, "tostring", text) }
end

local function has_text(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

--- What is in a handle: a list of {name, value, type, handle, named, indexed, lazy}.
function values.children(handle, filter, start, count)
  local entry = handles.get(handle)
  start, count = start or 0, count and count > 0 and count or 10000
  if entry.kind == "text" then return ask_for_text(entry) end
  local list
  if entry.kind == "table" or entry.kind == "globals" then
    list = table_children(entry, filter, start, count)
  else
    list = {}
    local seen = 0
    inside[entry.kind](entry, function(name, value)
      if seen >= start and seen < start + count and filter ~= "indexed" then
        list[#list + 1] = describe_child(entry, name, value)
      end
      seen = seen + 1
    end)
  end
  if start == 0 and filter ~= "indexed" and entry.value ~= nil and has_text(entry.value) then
    list[#list + 1] = { name = "(tostring)", value = "", type = "string", lazy = true,
      handle = handles.new(entry.task, { kind = "text", value = entry.value }) }
  end
  return list
end

--- Sets what a handle has under a name. A message on failure.
function values.set(handle, name, value)
  local entry = handles.get(handle)
  local setter = setters[entry.kind]
  if not setter then return "cannot be set" end
  return setter(entry, name, value)
end

--- The thread, the level and the task of the call that a handle belongs to; nil: of none.
function values.frame_of(handle)
  local entry = handles.get(handle)
  return entry.thread, entry.level, entry.task
end

return values
