--- JSON, as much of it as benchmark results need: a table with a first element is an array, any
-- other an object.
local json = {}

local encode

local function encode_string(text)
  local function escape(char)
    return string.format("\\u%04x", char:byte())
  end
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function encode_number(number)
  local finite = number == number and math.abs(number) ~= math.huge
  if not finite then return "null" end
  return string.format(math.type(number) == "integer" and "%d" or "%.6g", number)
end

local function encode_array(list)
  local items = {}
  for i, value in ipairs(list) do items[i] = encode(value) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function encode_object(object)
  local names, members = {}, {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    members[i] = encode_string(name) .. ":" .. encode(object[name])
  end
  return "{" .. table.concat(members, ",") .. "}"
end

local encoders = {
  string = encode_string,
  number = encode_number,
  boolean = tostring,
  ["nil"] = function() return "null" end,
  table = function(value) return (value[1] ~= nil and encode_array or encode_object)(value) end,
}

function encode(value)
  return encoders[type(value)](value)
end

--- @param value nil, boolean, number, string, or a table of them
-- @treturn string
json.encode = encode

local literals = {["true"] = true, ["false"] = false}

--- Reads a flat object, one line as the programs measured here print: strings without escapes,
-- numbers, booleans.
-- @tparam string line
-- @treturn ?table nil if the line is no object
function json.decode_flat(line)
  local body = line:match("^%s*{(.*)}%s*$")
  if not body then return nil end
  local object = {}
  for name, rest in body:gmatch('"([^"]*)"%s*:%s*("?[^",]*"?)') do
    local text = rest:match('^"(.*)"$')
    local word = rest:match("^%s*(.-)%s*$")
    if text then object[name] = text
    elseif literals[word] ~= nil then object[name] = literals[word]
    else object[name] = tonumber(word) end
  end
  return object
end

--- All objects in a text of one per line; other lines are left out.
-- @tparam string text
-- @treturn {table,...}
function json.decode_lines(text)
  local objects = {}
  for line in text:gmatch("[^\n]+") do objects[#objects + 1] = json.decode_flat(line) end
  return objects
end

return json
