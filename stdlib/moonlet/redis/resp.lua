-- Redis's protocol, RESP 2 and 3: requests into bytes, bytes into replies.

local pairs, setmetatable, tonumber, tostring, type = pairs, setmetatable, tonumber, tostring, type
local math_huge, math_maxinteger = math.huge, math.maxinteger
local math_tointeger, math_type = math.tointeger, math.type
local string_byte, string_find, string_format = string.byte, string.find, string.format
local string_match, string_sub = string.match, string.sub

local null = require("moonlet.json").null

local resp = {}

local DEEPEST = 32 -- lists within lists
local LARGEST = 512 << 20 -- bytes of one string: Redis has no larger ones
local LONGEST_LINE = 65536

-- A refusal of Redis's. In a list of replies it stands for the reply.
local Refusal = { __name = "redis.error", __tostring = function(self) return self.message end }

resp.Refusal = Refusal

-- ---- requests ----

-- The text of an argument; nil: it has none.
local function text_of(value)
  if type(value) == "string" then return value end
  if type(value) ~= "number" then return nil end
  return math_type(value) == "integer" and tostring(value) or string_format("%.17g", value)
end

resp.text_of = text_of

-- Appends a request, a list of texts, to a list of pieces.
function resp.encode(request, pieces)
  local n = #pieces + 1
  pieces[n] = string_format("*%d\r\n", #request)
  for i = 1, #request do
    local word = request[i]
    pieces[n + i] = string_format("$%d\r\n%s\r\n", #word, word)
  end
end

-- ---- replies ----

local read

-- Every reader gets the stream, the first line with its end, and the depth, and returns the reply;
-- or nil, and message and code if the stream has failed. The reply false is a value.
local readers = {}

local function integer_of(line)
  local text = string_match(line, "^.([+-]?%d+)\r\n$")
  if text then return math_tointeger(tonumber(text)) end
end

-- The length that a line gives; null for -1, which stands for no value.
local function length_of(line, most)
  local length = integer_of(line)
  if length == -1 then return null end
  if length and length >= 0 and length <= most then return length end
end

local function refusal(text)
  return setmetatable({ message = text, code = string_match(text, "^%S+") or "ERR" }, Refusal)
end

local function read_string(stream, line)
  local length = length_of(line, LARGEST)
  if length == nil or length == null then return length end
  local data, message, code = stream:read_exactly(length + 2)
  if not data then return nil, message, code end
  if string_find(data, "^\r\n", length + 1) then return string_sub(data, 1, length) end
end

local function read_list(stream, line, depth)
  local count = length_of(line, math_maxinteger)
  if count == nil or count == null then return count end
  if depth >= DEEPEST then return nil end
  local list = {}
  for i = 1, count do
    local item, message, code = read(stream, depth + 1)
    if item == nil then return nil, message, code end
    list[i] = item
  end
  return list
end

local function read_map(stream, line, depth)
  local count = length_of(line, math_maxinteger)
  if count == nil or count == null then return count end
  if depth >= DEEPEST then return nil end
  local map = {}
  for _ = 1, count do
    local key, message, code = read(stream, depth + 1)
    if key == nil then return nil, message, code end
    local value
    value, message, code = read(stream, depth + 1)
    if value == nil then return nil, message, code end
    if key ~= key then return nil end
    map[key] = value
  end
  return map
end

local function read_double(_, line)
  local text = string_sub(line, 2, -3)
  if text == "inf" or text == "+inf" then return math_huge end
  if text == "-inf" then return -math_huge end
  if text == "nan" or text == "-nan" then return 0 / 0 end
  local number = string_find(text, "^[+-]?[%d.][%d.eE+-]*$") and tonumber(text)
  if number then return number + 0.0 end
end

readers["+"] = function(_, line) return string_sub(line, 2, -3) end
readers["-"] = function(_, line) return refusal(string_sub(line, 2, -3)) end
readers[":"] = function(_, line) return integer_of(line) end
readers["$"] = read_string
readers["*"] = read_list
readers["~"] = read_list
readers["%"] = read_map
readers[","] = read_double
readers["_"] = function() return null end
readers["("] = function(_, line) return string_match(line, "^%(([+-]?%d+)\r\n$") end

readers["#"] = function(_, line)
  if line == "#t\r\n" then return true end
  if line == "#f\r\n" then return false end
end

readers["!"] = function(stream, line)
  local text, message, code = read_string(stream, line)
  if type(text) == "string" then return refusal(text) end
  return nil, message, code
end

-- A text with its format: "txt:Some string".
readers["="] = function(stream, line)
  local text, message, code = read_string(stream, line)
  if text == null or type(text) == "string" and #text < 4 then return nil end
  return text and string_sub(text, 5), message, code
end

-- Attributes of the reply that follows.
readers["|"] = function(stream, line, depth)
  local map, message, code = read_map(stream, line, depth)
  if map == nil then return nil, message, code end
  return read(stream, depth + 1)
end

local by_byte = {}
for kind, reader in pairs(readers) do by_byte[string_byte(kind)] = reader end

local PUSH = string_byte ">"

function read(stream, depth)
  local line, message, code = stream:read_until("\r\n", LONGEST_LINE)
  if not line then return nil, message or "the server has closed the connection", code or "EEOF" end
  local reader, reply = by_byte[string_byte(line, 1)], nil
  if string_byte(line, 1) == PUSH and depth == 0 then
    reply, message, code = read_list(stream, line, depth)
    if type(reply) == "table" then return reply, true end
  elseif reader and depth <= DEEPEST then
    reply, message, code = reader(stream, line, depth)
  end
  if reply == nil then return nil, message or "not a reply of Redis", code or "EPROTO" end
  return reply
end

-- Reads one reply. Waits. Returns it, and true if it is a push; or nil, message, code. No value is
-- json.null, a refusal an object with message and code.
function resp.read(stream) return read(stream, 0) end

return resp
