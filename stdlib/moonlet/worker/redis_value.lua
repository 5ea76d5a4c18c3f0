-- Lua values as texts that lie in Redis, and back. Integers are written as Redis counts them; a
-- letter in front says what any other value is. They depend neither on the machine nor on the
-- version.

local pcall, tonumber, tostring, type = pcall, tonumber, tostring, type
local math_tointeger, math_type = math.tointeger, math.type
local string_find, string_format, string_sub = string.find, string.format, string.sub

local encoding = require "moonlet.durable.encoding"

local redis_value = {}

local NUMBERS = { inf = 1 / 0, ["-inf"] = -1 / 0, nan = 0 / 0, ["-nan"] = 0 / 0 }

function redis_value.text_of_number(value)
  if math_type(value) == "integer" then return tostring(value) end
  return string_format("f%.17g", value)
end

-- The text of a value; or nil and why there is none.
function redis_value.text_of(value)
  local kind = type(value)
  if kind == "string" then return "s" .. value end
  if kind == "number" then return redis_value.text_of_number(value) end
  if kind == "boolean" then return value and "T" or "F" end
  local ok, text = pcall(encoding.pack, value)
  if not ok then return nil, text end
  return "p" .. text
end

local readers = {
  s = function(text) return string_sub(text, 2) end,
  f = function(text)
    text = string_sub(text, 2)
    return NUMBERS[text] or tonumber(text) + 0.0
  end,
  T = function() return true end,
  F = function() return false end,
  p = function(text) return (encoding.unpack(string_sub(text, 2))) end,
}

-- The value of a text; or nil and "EPROTO".
function redis_value.value_of(text)
  local whole = string_find(text, "^%-?%d+$") and math_tointeger(tonumber(text))
  if whole then return whole end
  local reader, ok, value = readers[string_sub(text, 1, 1)], nil, nil
  if reader then ok, value = pcall(reader, text) end
  if ok then return value end
  return nil, "EPROTO"
end

return redis_value
