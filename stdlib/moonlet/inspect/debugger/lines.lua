-- Which lines of a chunk have code, and in which functions: read from the binary form that
-- string.dump() makes of it, as no function of Lua's names functions that do not exist yet.

local string_byte, string_dump, string_unpack = string.byte, string.dump, string.unpack
local pcall, ipairs, load, next = pcall, ipairs, load, next

local lines = {}

-- A place in the binary form.
local function reader(text)
  local at = 1
  local read = {}

  function read.byte()
    at = at + 1
    return string_byte(text, at - 1)
  end

  function read.skip(count) at = at + count end

  -- Seven bits a byte, the highest first; the last has the eighth.
  function read.number()
    local number = 0
    repeat
      local byte = read.byte()
      number = number << 7 | byte & 0x7f
    until byte & 0x80 ~= 0
    return number
  end

  function read.skip_string()
    local size = read.number()
    if size > 0 then at = at + size - 1 end
  end

  function read.delta()
    local value = string_unpack("b", text, at)
    at = at + 1
    return value
  end

  return read
end

local NIL, FALSE, TRUE, INTEGER, FLOAT = 0x00, 0x01, 0x11, 0x03, 0x13

local function skip_constants(read)
  for _ = 1, read.number() do
    local kind = read.byte()
    if kind == INTEGER or kind == FLOAT then
      read.skip(8)
    elseif kind ~= NIL and kind ~= FALSE and kind ~= TRUE then
      read.skip_string()
    end
  end
end

local NOT_RELATIVE = -128

-- The line of each instruction, by its number from 1.
local function read_lines(read, first)
  local deltas, absolute = {}, {}
  for i = 1, read.number() do deltas[i] = read.delta() end
  for _ = 1, read.number() do
    local instruction = read.number()
    absolute[instruction + 1] = read.number()
  end
  local line = first
  for i, delta in ipairs(deltas) do
    line = delta == NOT_RELATIVE and absolute[i] or line + delta
    deltas[i] = line
  end
  return deltas
end

local function skip_names(read)
  for _ = 1, read.number() do
    read.skip_string()
    read.number()
    read.number()
  end
  for _ = 1, read.number() do read.skip_string() end
end

-- Appends the function that begins here, and those in it.
local function read_function(read, functions)
  read.skip_string()
  local found = { first = read.number(), last = read.number(), lines = {} }
  functions[#functions + 1] = found
  read.skip(1)
  local is_vararg = read.byte() ~= 0
  found.size = read.byte()
  read.skip(4 * read.number())
  skip_constants(read)
  read.skip(3 * read.number())
  for _ = 1, read.number() do read_function(read, functions) end
  -- The first instruction of a vararg function is passed before the hook for its call.
  local first <const> = is_vararg and 2 or 1
  for i, line in ipairs(read_lines(read, found.first)) do
    if i == first then found.entry = line end
    if i >= first then found.lines[line] = true end
  end
  skip_names(read)
end

local HEADER = 4 + 1 + 1 + 6 + 3 + 8 + 8 -- bytes
local VERSION = 0x54

--- The functions of a chunk.
-- @tparam function chunk
-- @treturn table a list of {first, last, entry, size, lines}: its first and last line, the line of
-- its first instruction, the number of its registers, and a set of lines; nil if its binary form is
-- another than Lua 5.4's
function lines.functions(chunk)
  local text = string_dump(chunk)
  if string_byte(text, 5) ~= VERSION then return nil end
  local functions = {}
  local read = reader(text)
  read.skip(HEADER + 1)
  local is_good = pcall(read_function, read, functions)
  return is_good and functions or nil
end

--- The same for a text.
-- @treturn table nil if it is no Lua
function lines.of_text(text)
  local chunk = load((text:gsub("^#[^\n]*", "")), "=lines", "t")
  return chunk and lines.functions(chunk)
end

--- The first line from `line` on that has code.
-- @treturn integer nil if there is none
-- @treturn table a list of {first, last, entry, size} of the functions that have code in it
function lines.resolve(functions, line)
  local best
  for _, one in ipairs(functions) do
    for candidate in next, one.lines do
      if candidate >= line and (not best or candidate < best) then best = candidate end
    end
  end
  if not best then return nil end
  local owners = {}
  for _, one in ipairs(functions) do
    if one.lines[best] then
      owners[#owners + 1] = one
    end
  end
  return best, owners
end

return lines
