-- A profile as pprof reads it: the protocol buffer "Profile" of profile.proto, gzipped. Internal.

local error = error
local char = string.char
local concat = table.concat
local floor = math.floor
local time = os.time

local core = require "moonlet.inspect.profile.core"
package.loaded["moonlet.inspect.profile.core"] = nil
local labels = require "moonlet.inspect.profile.labels"

local pprof = {}

-- ---- protocol buffers ----

local function varint(number)
  local bytes = {}
  while number > 127 or number < 0 do
    bytes[#bytes + 1] = char(number & 127 | 128)
    number = number >> 7
  end
  bytes[#bytes + 1] = char(number)
  return concat(bytes)
end

-- A field that is a number; 0 is the default and takes no room.
local function number(field, value)
  return value == 0 and "" or varint(field << 3) .. varint(value)
end

-- A field that is a message, a text or a list of numbers.
local function bytes(field, value)
  return varint(field << 3 | 2) .. varint(#value) .. value
end

local function numbers(field, values)
  local parts = {}
  for i = 1, #values do parts[i] = varint(values[i]) end
  return bytes(field, concat(parts))
end

-- ---- the messages ----

-- A table of strings, in which each is there once; the first is "".
local function new_strings()
  local index, list = { [""] = 0 }, { "" }
  return list, function(text)
    if not index[text] then
      index[text] = #list
      list[#list + 1] = text
    end
    return index[text]
  end
end

local function value_type(string_of, kind, unit)
  return number(1, string_of(kind)) .. number(2, string_of(unit))
end

-- Appends the function and the location of each frame; both have the frame's index as id.
local function add_frames(parts, measured, string_of)
  for id = 1, #measured.frames do
    local frame = measured.frames[id]
    local is_lua = frame.kind == "lua"
    local line = is_lua and frame.line or 0
    local file = is_lua and labels.printable(frame.source) or ""
    local name = string_of(labels.label(frame))
    local names = number(2, name) .. number(3, name) .. number(4, string_of(file))
    parts[#parts + 1] = bytes(5, number(1, id) .. names .. number(5, line))
    parts[#parts + 1] = bytes(4, number(1, id) .. bytes(4, number(1, id) .. number(2, line)))
  end
end

-- The innermost frame comes first there.
local function sample_of(stack)
  local locations = {}
  for depth = #stack, 1, -1 do locations[#locations + 1] = stack[depth] end
  if #stack == 0 then locations[1] = 1 end
  local values = { stack.samples, floor(stack.seconds * 1e9) }
  return bytes(2, numbers(1, locations) .. numbers(2, values))
end

function pprof.encode(measured)
  local strings, string_of = new_strings()
  local parts = {
    bytes(1, value_type(string_of, "samples", "count")),
    bytes(1, value_type(string_of, measured.mode, "nanoseconds")),
  }
  for i = 1, #measured.stacks do parts[#parts + 1] = sample_of(measured.stacks[i]) end
  add_frames(parts, measured, string_of)
  parts[#parts + 1] = number(9, (time() - floor(measured.seconds)) * 1000000000)
  parts[#parts + 1] = number(10, floor(measured.seconds * 1e9))
  parts[#parts + 1] = bytes(11, value_type(string_of, measured.mode, "nanoseconds"))
  parts[#parts + 1] = number(12, 1000000000 // measured.hz)
  for i = 1, #strings do parts[#parts + 1] = bytes(6, strings[i]) end
  return concat(parts)
end

function pprof.render(measured)
  local text, message = core.gzip(pprof.encode(measured))
  if not text then error("the format pprof needs zlib: " .. message, 0) end
  return text
end

return pprof
