-- Values of the program as JSON says them: what JSON has no words for becomes a string.

local json = require "moonlet.json"

local huge, math_type, pairs, pcall, tostring = math.huge, math.type, pairs, pcall, tostring
local setmetatable, getmetatable, type, utf8_len = setmetatable, getmetatable, type, utf8.len
local encode, is_array = json.encode, getmetatable(json.array {})

local plain = {}

local function escape(text)
  if utf8_len(text) then return text end
  return (text:gsub("[\128-\255]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

local function is_list(value)
  local count = 0
  for key in pairs(value) do
    if math_type(key) ~= "integer" or key < 1 then return false end
    count = count + 1
  end
  return count == #value
end

local function simplify(value)
  if type(value) == "string" then return escape(value) end
  if type(value) == "number" then
    local is_said = value == value and value ~= huge and value ~= -huge
    return is_said and value or tostring(value)
  end
  if type(value) ~= "table" then return value end
  local copy, lists = {}, is_list(value)
  for key, item in pairs(value) do
    copy[lists and key or escape(tostring(key))] = simplify(item)
  end
  return getmetatable(value) == is_array and setmetatable(copy, is_array) or copy
end

--- The JSON text of a value.
function plain.encode(value)
  local ok, text = pcall(encode, value)
  if ok then return text end
  return encode(simplify(value))
end

return plain
