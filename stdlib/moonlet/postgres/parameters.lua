--- Parameters that are not plain values: those of moonlet.sql, as texts for the server.
-- @module moonlet.postgres.parameters

local error, getmetatable, tostring, type = error, getmetatable, tostring, type
local math_huge, math_type, table_concat = math.huge, math.type, table.concat

local null = require("moonlet.json").null

local parameters = {}

-- PostgreSQL's arrays have 6 dimensions at most.
local MOST_DIMENSIONS = 6

local function float_text(value)
  if value ~= value then return "NaN" end
  if value == math_huge then return "Infinity" end
  if value == -math_huge then return "-Infinity" end
  return (("%.17g"):format(value):gsub(",", "."))
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local function kind_of(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__sql or nil
end

local function hex(text)
  return '"\\\\x' .. text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end) .. '"'
end

-- The text of an item of an array, and the letter of its type
-- (runtime/bindings/postgres/parameters.h).
local function item_text(value, place)
  local kind, number = type(value), math_type(value)
  if value == null then return "NULL", nil end
  if number == "integer" then
    return tostring(value), value >= -2147483648 and value < 2147483648 and "I" or "L"
  end
  if number then return float_text(value), "D" end
  if kind == "boolean" then return value and "t" or "f", "B" end
  if kind == "string" then return quoted(value), "0" end
  kind = kind_of(value)
  if kind == "json" then return quoted(value[1]), "0" end
  if kind == "bytes" then return hex(value[1]), "0" end
  error(("%s of sql.array is a %s"):format(place, type(value)), 0)
end

-- The type of items that are of two: I and L, I and D, ... are numbers; others are texts.
local WIDER = { IL = "L", LI = "L", ID = "D", DI = "D", LD = "D", DL = "D" }

local function common(a, b)
  if a == nil or a == b then return b or a end
  if b == nil then return a end
  return WIDER[a .. b] or "0"
end

local function array_text(list, depth, place)
  if depth > MOST_DIMENSIONS then error(place .. " of sql.array is nested too deeply", 0) end
  local texts, letter = {}, nil
  for i = 1, list.n or #list do
    local value, here = list[i], ("%s[%d]"):format(place, i)
    local text, kind
    if value == nil then error(here .. " of sql.array is nil: use sql.null", 0) end
    if kind_of(value) == "array" then value = value[1] end
    if type(value) == "table" and kind_of(value) == nil then
      text, kind = array_text(value, depth + 1, here)
    else
      text, kind = item_text(value, here)
    end
    texts[i], letter = text, common(letter, kind)
  end
  return "{" .. table_concat(texts, ",") .. "}", letter
end

local function convert(value, index, signature)
  if value == nil or value == null then return nil, "0" end
  local letter = signature(nil, value)
  if letter then return value, letter end
  local kind = kind_of(value)
  if kind == "bytes" then return value[1], "y" end
  if kind == "json" then return value[1], "j" end
  if kind == "array" then
    local text, items = array_text(value[1], 1, "value")
    return text, items or "0"
  end
  local form = "parameter %d is a %s: use sql.json, sql.array or sql.bytes"
  error(form:format(index, type(value)), 0)
end

--- Makes plain values of the list's, in place.
-- @tparam table list with n
-- @tparam function signature of moonlet.postgres.core
-- @treturn string a letter for the type of each
function parameters.convert(list, signature)
  local letters = {}
  for i = 1, list.n do list[i], letters[i] = convert(list[i], i, signature) end
  return table_concat(letters)
end

return parameters
