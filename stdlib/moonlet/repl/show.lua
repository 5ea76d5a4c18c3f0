--- Values as the interactive mode prints them: on one line if they fit there, bounded in size.
-- Reads tables raw: of the values' own code only `__tostring` runs. Internal.
-- @module moonlet.repl.show

local debug, ipairs, math, next, pcall, rawget = debug, ipairs, math, next, pcall, rawget
local rawlen, select, table, tostring, type, utf8 = rawlen, select, table, tostring, type, utf8

local DEPTH = 4 -- tables inside tables
local FIELDS = 50 -- of one table
local IN_ALL = 500 -- fields of all tables together
local KEYS = 10000 -- of one table that are sorted
local STRING = 2000 -- bytes

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch("%a+") do KEYWORDS[word] = true end

local ESCAPES = {
  ["\a"] = "\\a", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
  ["\v"] = "\\v", ["\\"] = "\\\\", ['"'] = '\\"',
}

local function escape(text)
  text = text:gsub('[%c\127\\"]', function(c)
    return ESCAPES[c] or ("\\x%02X"):format(c:byte())
  end)
  if utf8.len(text) then return (text:gsub("\u{80}", "\\u{80}")) end
  return (text:gsub("[\128-\255]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

local function show_string(text)
  if #text <= STRING then return '"' .. escape(text) .. '"' end
  local last = STRING
  while last > STRING - 4 and text:byte(last + 1) & 0xC0 == 0x80 do last = last - 1 end
  return ('"%s"... (%d bytes)'):format(escape(text:sub(1, last)), #text)
end

-- The text of an object from its __tostring; nil: it has none.
local function own_text(value)
  local meta = debug.getmetatable(value)
  if type(meta) ~= "table" or rawget(meta, "__tostring") == nil then return nil end
  local ok, text = pcall(tostring, value)
  if ok then return text end
  return ("(__tostring fails%s)"):format(type(text) == "string" and ": " .. text or "")
end

-- "name: 0x..." without a call of the value's own code.
local function plain_text(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return ("%s: %p"):format(type(name) == "string" and name or type(value), value)
end

local function show_function(fn)
  local about = debug.getinfo(fn, "S")
  if about.what == "C" then return plain_text(fn) end
  return ("%s (%s:%d)"):format(plain_text(fn), about.short_src, about.linedefined)
end

local function show_scalar(value)
  if type(value) == "string" then return show_string(value) end
  if type(value) == "function" then return own_text(value) or show_function(value) end
  if type(value) == "userdata" or type(value) == "thread" then
    return own_text(value) or plain_text(value)
  end
  return tostring(value)
end

-- ---- tables ----

local RANKS = { number = 1, string = 2, boolean = 3 }

local function is_before(a, b)
  local rank_a, rank_b = RANKS[type(a)] or 4, RANKS[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  if rank_a == 3 then return not a and b end
  return ("%s%p"):format(type(a), a) < ("%s%p"):format(type(b), b)
end

-- The keys behind the sequence 1..length, sorted, and how many there are.
local function other_keys(object, length)
  local keys, count = {}, 0
  for key in next, object do
    local is_listed = math.type(key) == "integer" and key >= 1 and key <= length
    if not is_listed then
      count = count + 1
      if count <= KEYS then keys[count] = key end
    end
  end
  table.sort(keys, is_before)
  return keys, count
end

-- Elements from 1 on without a hole, as many as may be shown and one more.
local function sequence_length(object)
  local length = 0
  while length <= FIELDS and rawget(object, length + 1) ~= nil do length = length + 1 end
  return length <= FIELDS and length or rawlen(object)
end

local show_value

local function show_key(key, state)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") and not KEYWORDS[key] then return key end
  if type(key) == "table" then return "[" .. (own_text(key) or plain_text(key)) .. "]" end
  return "[" .. show_value(key, "", state) .. "]"
end

-- The pieces between the braces.
local function show_fields(object, indent, state)
  local pieces, length = {}, sequence_length(object)
  local keys, count = other_keys(object, length)
  local function is_full(shown)
    state.fields = state.fields + 1
    return shown >= FIELDS or state.fields > IN_ALL
  end
  local listed = 0
  while listed < length and not is_full(listed) do
    listed = listed + 1
    pieces[#pieces + 1] = show_value(rawget(object, listed), indent, state)
  end
  local named = 0
  while named < #keys and not is_full(named) do
    named = named + 1
    local key = keys[named]
    pieces[#pieces + 1] = show_key(key, state) .. " = "
      .. show_value(rawget(object, key), indent, state)
  end
  local left = length - listed + count - named
  if left > 0 then pieces[#pieces + 1] = ("... %d more"):format(left) end
  return pieces
end

local function is_one_line(pieces, indent, state)
  local width = #indent + 4
  for _, piece in ipairs(pieces) do
    if piece:find("\n", 1, true) then return false end
    width = width + (utf8.len(piece) or #piece) + 2
  end
  return width <= state.columns
end

local function show_table(object, indent, state)
  local text = own_text(object)
  if text then return text end
  local meta = debug.getmetatable(object)
  local name = type(meta) == "table" and rawget(meta, "__name")
  local head = type(name) == "string" and name .. " " or ""
  if next(object) == nil then return head .. "{}" end
  if state.inside[object] then return head .. "{cycle}" end
  if state.depth == DEPTH then return head .. "{...}" end
  state.inside[object], state.depth = true, state.depth + 1
  local inner = indent .. "  "
  local pieces = show_fields(object, inner, state)
  state.inside[object], state.depth = nil, state.depth - 1
  if is_one_line(pieces, indent, state) then
    return head .. "{ " .. table.concat(pieces, ", ") .. " }"
  end
  return head .. "{\n" .. inner .. table.concat(pieces, ",\n" .. inner) .. "\n" .. indent .. "}"
end

function show_value(value, indent, state)
  if type(value) == "table" then return show_table(value, indent, state) end
  return show_scalar(value)
end

--- The text of some values.
-- @tparam integer columns the width to fit into
-- @param ... values
-- @treturn string without a newline at its end
return function(columns, ...)
  local texts, is_long = {}, false
  for i = 1, select("#", ...) do
    local state = { columns = columns, depth = 0, fields = 0, inside = {} }
    texts[i] = show_value((select(i, ...)), "", state)
    is_long = is_long or texts[i]:find("\n", 1, true) ~= nil
  end
  return table.concat(texts, is_long and "\n" or "\t")
end
