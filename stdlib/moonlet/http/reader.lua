--- Reads what comes in pieces as io's files are read: lines, numbers, counts of bytes. For
-- moonlet's own modules: bodies of requests, and the parts of multipart ones.
-- @module moonlet.http.reader

local error, ipairs, select, setmetatable = error, ipairs, select, setmetatable
local tonumber, type = tonumber, type
local tointeger = math.tointeger
local concat, pack, unpack = table.concat, table.pack, table.unpack
local raise = require("moonlet.http.server.core").raise

-- source(max) gives the next piece, nil at the end, or nil, message, code. What was read and not
-- used: `text` from `at` on, then the pieces of `tail`. A call that fails, or is cancelled, uses
-- nothing: what several formats have read is `held` until the last has.
local Reader = {}
Reader.__index = Reader

local function new(source)
  return setmetatable({ source = source, text = "", at = 1, tail = {}, is_over = false }, Reader)
end

-- Gets another piece: true; false at the end; nil, message, code.
local function get_more(self)
  if self.is_over then return false end
  local piece, message, code = self.source()
  if piece then
    self.tail[#self.tail + 1] = piece
    return true
  end
  if message then return nil, message, code end
  self.is_over = true
  return false
end

-- All that is there, in `text` from `at` on.
local function join(self)
  if self.tail[1] then
    local from = self.held or self.at
    self.text = self.text:sub(from) .. concat(self.tail)
    self.at, self.tail = self.at - from + 1, {}
    if self.held then self.held = 1 end
  end
end

-- Gives back the bytes that a call held which did not end well.
local function begin(self)
  if self.held then self.at, self.held = self.held, nil end
end

-- Uses the text up to the place `last`.
local function use(self, last)
  local piece = self.text:sub(self.at, last)
  self.at = last + 1
  return piece
end

-- Each of these gives a value, nil (not found: the end), or nil, message, code.

local function read_line(self, keeps_end)
  local stop = self.text:find("\n", self.at, true)
  local seen = 0
  while not stop do
    for i = seen + 1, #self.tail do
      seen = i
      if self.tail[i]:find("\n", 1, true) then
        join(self)
        stop = self.text:find("\n", self.at, true)
        break
      end
    end
    if stop then break end
    local more, message, code = get_more(self)
    if more == nil then return nil, message, code end
    if not more then
      join(self)
      return self.at <= #self.text and use(self, #self.text) or nil
    end
  end
  local line = use(self, stop)
  return keeps_end and line or line:sub(1, -2)
end

local function read_all(self)
  local more, message, code
  repeat more, message, code = get_more(self) until not more
  if more == nil then return nil, message, code end
  join(self)
  return use(self, #self.text)
end

local function read_count(self, count)
  local there = #self.text - self.at + 1
  for _, piece in ipairs(self.tail) do there = there + #piece end
  while there < count or there == 0 do
    local more, message, code = get_more(self)
    if more == nil then return nil, message, code end
    if not more then break end
    there = there + #self.tail[#self.tail]
  end
  join(self)
  if there == 0 then return nil end
  return use(self, self.at + (count < there and count or there) - 1)
end

-- Bytes that a number is looked for in, as in io's files.
local NUMBER_MAX = 200

local function read_number(self)
  local first, last
  while true do
    join(self)
    first = self.text:find("[^ \t\n\v\f\r]", self.at)
    last = first and self.text:find("[^%w.+-]", first)
    if last or (first and #self.text - first >= NUMBER_MAX) then break end
    local more, message, code = get_more(self)
    if more == nil then return nil, message, code end
    if not more then break end
  end
  if not first then return nil end
  local text = self.text:sub(first, first + NUMBER_MAX - 1)
  local numeral = text:match "^[+-]?0[xX]%x*%.?%x*[pP][+-]?%d*" or text:match "^[+-]?0[xX]%x*%.?%x*"
    or text:match "^[+-]?%d*%.?%d*[eE][+-]?%d*" or text:match "^[+-]?%d*%.?%d*"
  use(self, first + #numeral - 1)
  return tonumber(numeral)
end

local formats = {
  n = read_number, a = read_all,
  l = function(self) return read_line(self, false) end,
  L = function(self) return read_line(self, true) end,
}

local function format_of(format)
  if type(format) == "number" then
    local count = tointeger(format)
    return count and count >= 0 and read_count
  end
  local kind = type(format) == "string" and format:match "^%*?([nalL])"
  return kind and formats[kind]
end

-- Raises for what is no format, at the place of the method's caller.
local function check_formats(name, ...)
  for i = 1, select("#", ...) do
    if not format_of((select(i, ...))) then
      local message = ("bad argument #%d to '%s' (invalid format)"):format(i, name)
      error(message, name == "read" and 4 or 3)
    end
  end
end

-- As io's files: read(count), read "n", "a", "l", "L", any number of them. Names the function
-- `name` in what it raises of wrong arguments.
local function read(self, name, ...)
  check_formats(name, ...)
  local count = select("#", ...)
  begin(self)
  if count == 0 then return read_line(self) end
  local results = {}
  self.held = self.at
  for i = 1, count do
    local format = select(i, ...)
    local value, message, code = format_of(format)(self, format)
    if message then
      begin(self)
      return nil, message, code
    end
    results[i] = value
    if value == nil then
      count = i
      break
    end
  end
  self.held = nil
  return unpack(results, 1, count)
end

function Reader:read(...) return read(self, "read", ...) end

--- The next bytes, whatever is there.
function Reader:read_some(max)
  begin(self)
  join(self)
  if self.at > #self.text then
    if self.is_over then return nil end
    return self.source(max)
  end
  local size = #self.text - self.at + 1
  return use(self, self.at + (max and max < size and max or size) - 1)
end

-- An iterator over what step() gives, which raises failures.
local function iterator(step)
  return function()
    local value, message, code = step()
    if value == nil and message then raise(message, code) end
    return value
  end
end

--- Iterators over lines, or what other formats read, and over pieces.
function Reader:lines(...)
  check_formats("lines", ...)
  local formats_given = pack(...)
  return function()
    local results = pack(read(self, "lines", unpack(formats_given, 1, formats_given.n)))
    if results[1] == nil and results[2] then raise(results[2], results[3]) end
    return unpack(results, 1, results.n)
  end
end

function Reader:chunks(max)
  return iterator(function() return self:read_some(max) end)
end

return { new = new, iterator = iterator }
