--- How values are written down: inputs, results, messages. Versioned; strings of any bytes,
-- integers and nil come back exactly. It knows no database.
-- @module moonlet.durable.encoding

local error, getmetatable, ipairs, next, pcall = error, getmetatable, ipairs, next, pcall
local select, tostring, type = select, tostring, type
local math_type = math.type
local concat, sort, table_unpack = table.concat, table.sort, table.unpack
local byte, pack, sub, unpack = string.byte, string.pack, string.sub, string.unpack

local json = require "moonlet.json"

local encoding = {}

--- The most that a value may take, in bytes.
encoding.LIMIT = 1024 * 1024

-- The first byte of all that is written; another one is from a newer moonlet.
local VERSION = "\1"

-- Tables may be nested so deep.
local DEPTH = 500

local ARRAY = getmetatable(json.array({}))

-- How a place in a value is named: value.users[3].
local function step_into(path, key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return path .. "." .. key end
  return ("%s[%s]"):format(path, type(key) == "string" and ("%q"):format(key) or tostring(key))
end

-- Numbers before strings before booleans; each in its order: for texts that are compared.
local function comes_before(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other then return kind < other end
  if kind == "boolean" then return not a and b end
  return a < b
end

local function keys_in_order(value)
  local keys = {}
  for key in next, value do keys[#keys + 1] = key end
  sort(keys, comes_before)
  return keys
end

local add

local function add_number(out, value)
  if math_type(value) == "float" then
    out[#out + 1] = pack("<c1d", "d", value)
  elseif value >= -128 and value < 128 then
    out[#out + 1] = pack("<c1b", "b", value)
  else
    out[#out + 1] = pack("<c1i8", "i", value)
  end
end

-- How many items of a table stand at 1, 2, 3...
local function border(value)
  local count = 0
  while value[count + 1] ~= nil do count = count + 1 end
  return count
end

local function add_pairs(out, value, items, path, depth)
  local keys = out.is_ordered and keys_in_order(value)
  local count, place = 0, #out + 1
  out[place] = ""
  local function add_pair(key, item)
    if math_type(key) == "integer" and key >= 1 and key <= items then return end
    count = count + 1
    add(out, key, path .. "'s key", depth + 1)
    add(out, item, path and step_into(path, key), depth + 1)
  end
  if keys then
    for _, key in ipairs(keys) do add_pair(key, value[key]) end
  else
    for key, item in next, value do add_pair(key, item) end
  end
  out[place] = pack("<I4", count)
end

local function add_table(out, value, path, depth)
  if depth > DEPTH then error(("%s is nested too deeply"):format(path), 0) end
  if out[value] then error(("%s contains itself"):format(path), 0) end
  local meta = getmetatable(value)
  if meta ~= nil and meta ~= ARRAY then error(("%s has a metatable"):format(path), 0) end
  out[value] = true
  local items = border(value)
  out[#out + 1] = pack("<c1I4", meta and "A" or "T", items)
  for i = 1, items do add(out, value[i], ("%s[%d]"):format(path, i), depth + 1) end
  add_pairs(out, value, items, path, depth)
  out[value] = nil
end

function add(out, value, path, depth)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = pack("<c1s4", "s", value)
  elseif kind == "number" then
    add_number(out, value)
  elseif kind == "nil" then
    out[#out + 1] = "n"
  elseif kind == "boolean" then
    out[#out + 1] = value and "t" or "f"
  elseif kind == "table" then
    add_table(out, value, path, depth)
  elseif value == json.null then
    out[#out + 1] = "N"
  else
    error(("%s is a %s"):format(path, kind), 0)
  end
end

local function encode(is_ordered, ...)
  local count = select("#", ...)
  local out = { VERSION, pack("<I4", count), is_ordered = is_ordered }
  for i = 1, count do
    add(out, (select(i, ...)), count == 1 and "value" or ("value %d"):format(i), 1)
  end
  out.is_ordered = nil
  local bytes = concat(out)
  if #bytes > encoding.LIMIT then
    error(("%d bytes are more than the %d that can be kept"):format(#bytes, encoding.LIMIT), 0)
  end
  return bytes
end

--- Writes values down. Raises, with the place of it, if there is a function, userdata, thread or a
-- metatable in one of them, a table that contains itself, or more than 1 MiB. Tables that occur
-- twice are copied twice; `json.null` and arrays of `moonlet.json` stay what they are.
-- @treturn string
function encoding.pack(...) return encode(false, ...) end

--- As pack(), and equal values give equal bytes, in any process.
-- @treturn string
function encoding.canonical(...) return encode(true, ...) end

-- No value at all; before one value.
local NONE, ONE = VERSION .. pack("<I4", 0), VERSION .. pack("<I4", 1)

encoding.NONE = NONE

-- A string that is far from the limit.
local BRIEF = 4096

--- As pack(), for no value, or one that is short and no table; nil: for anything else.
-- @treturn ?string
function encoding.pack_brief(...)
  local count, value = select("#", ...), (...)
  if count == 0 then return NONE end
  if count > 1 then return nil end
  local kind = type(value)
  if kind == "number" then
    if math_type(value) == "float" then return pack("<c5c1d", ONE, "d", value) end
    if value >= -128 and value < 128 then return pack("<c5c1b", ONE, "b", value) end
    return pack("<c5c1i8", ONE, "i", value)
  end
  if kind == "string" then return #value <= BRIEF and pack("<c5c1s4", ONE, "s", value) or nil end
  if kind == "nil" then return ONE .. "n" end
  if kind == "boolean" then return ONE .. (value and "t" or "f") end
  return nil
end

local read

-- A pair of a table takes at least two bytes, an item one.
local function check_count(bytes, count, at, size)
  if count * size > #bytes - at + 1 then error("cut short", 0) end
end

local function read_table(bytes, at, is_array, depth)
  if depth > DEPTH then error("nested too deeply", 0) end
  local value, items, pairs_count = {}
  items, at = unpack("<I4", bytes, at)
  check_count(bytes, items, at, 1)
  for i = 1, items do value[i], at = read(bytes, at, depth + 1) end
  pairs_count, at = unpack("<I4", bytes, at)
  check_count(bytes, pairs_count, at, 2)
  for _ = 1, pairs_count do
    local key
    key, at = read(bytes, at, depth + 1)
    if key == nil or key ~= key then error("a key is missing", 0) end
    value[key], at = read(bytes, at, depth + 1)
  end
  return is_array and json.array(value) or value, at
end

local readers = {
  s = function(bytes, at) return unpack("<s4", bytes, at) end,
  b = function(bytes, at) return unpack("<b", bytes, at) end,
  i = function(bytes, at) return unpack("<i8", bytes, at) end,
  d = function(bytes, at) return unpack("<d", bytes, at) end,
  n = function(_, at) return nil, at end,
  t = function(_, at) return true, at end,
  f = function(_, at) return false, at end,
  N = function(_, at) return json.null, at end,
  T = function(bytes, at, depth) return read_table(bytes, at, false, depth) end,
  A = function(bytes, at, depth) return read_table(bytes, at, true, depth) end,
}

function read(bytes, at, depth)
  local reader = readers[sub(bytes, at, at)]
  if not reader then error(("unknown kind at byte %d"):format(at), 0) end
  return reader(bytes, at + 1, depth)
end

local function read_all(bytes)
  local count, at = unpack("<I4", bytes, 2)
  check_count(bytes, count, at, 1)
  local values = { n = count }
  for i = 1, count do values[i], at = read(bytes, at, 1) end
  if at ~= #bytes + 1 then error("bytes are left over", 0) end
  return values
end

--- Reads values that pack() wrote: a table with `n`. Raises if the bytes are damaged, or from a
-- newer version.
-- @tparam string bytes
-- @treturn table
function encoding.read(bytes)
  if sub(bytes, 1, 1) ~= VERSION then
    error(("a value is of version %s, which this moonlet does not know")
      :format(byte(bytes) or "nothing"), 0)
  end
  local ok, values = pcall(read_all, bytes)
  if not ok then error("a value is damaged: " .. values, 0) end
  return values
end

--- As read(), and returns the values.
function encoding.unpack(bytes)
  local values = encoding.read(bytes)
  return table_unpack(values, 1, values.n)
end

return encoding
