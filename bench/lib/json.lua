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

local decode

local function skip_space(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function fail(at)
  error("no JSON at byte " .. at, 0)
end

local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function unescape(text)
  return (text:gsub("\\(.)(%x?%x?%x?%x?)", function(char, digits)
    if char == "u" and #digits == 4 then return utf8.char(tonumber(digits, 16)) end
    return (escapes[char] or char) .. digits
  end))
end

local function decode_string(text, at)
  local stop = at
  repeat
    stop = text:find('["\\]', stop + 1) or fail(at)
    local is_escape = text:sub(stop, stop) == "\\"
    if is_escape then stop = stop + 1 end
  until not is_escape
  return unescape(text:sub(at + 1, stop - 1)), stop + 1
end

-- The members of an array or an object, each read by `member(text, at, into)`, up to the bracket.
local function decode_members(text, at, close, member)
  local into = {}
  at = skip_space(text, at + 1)
  if text:sub(at, at) == close then return into, at + 1 end
  while true do
    at = skip_space(text, member(text, at, into))
    local mark = text:sub(at, at)
    if mark == close then return into, at + 1 end
    if mark ~= "," then fail(at) end
    at = skip_space(text, at + 1)
  end
end

local function decode_item(text, at, into)
  local value
  value, at = decode(text, at)
  into[#into + 1] = value
  return at
end

local function decode_member(text, at, into)
  if text:sub(at, at) ~= '"' then fail(at) end
  local name
  name, at = decode_string(text, at)
  at = skip_space(text, at)
  if text:sub(at, at) ~= ":" then fail(at) end
  into[name], at = decode(text, skip_space(text, at + 1))
  return at
end

local function decode_word(text, at)
  local word = text:match("^[%w+.-]+", at) or fail(at)
  local value = tonumber(word)
  if value == nil then value = literals[word] end
  if value == nil and word ~= "null" then fail(at) end
  return value, at + #word
end

function decode(text, at)
  local mark = text:sub(at, at)
  if mark == "{" then return decode_members(text, at, "}", decode_member) end
  if mark == "[" then return decode_members(text, at, "]", decode_item) end
  if mark == '"' then return decode_string(text, at) end
  return decode_word(text, at)
end

--- Reads what `encode` wrote. A member that is null is left out.
-- @tparam string text
-- @return the value; or nil and a message
function json.decode(text)
  local ok, value, at = pcall(decode, text, skip_space(text, 1))
  if not ok then return nil, value end
  if skip_space(text, at) <= #text then return nil, "no JSON at byte " .. at end
  return value
end

return json
