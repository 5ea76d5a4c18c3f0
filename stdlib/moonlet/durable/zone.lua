--- Time zones, read from the system's data (TZif, versions 1 to 4) with the rule for the years
-- after it. UTC needs no data.
-- @module moonlet.durable.zone

local error, pcall, setmetatable = error, pcall, setmetatable
local huge = math.huge
local sub, unpack = string.sub, string.unpack
local getenv = os and os.getenv

local fs = require "moonlet.fs"
local rule = require "moonlet.durable.zone_rule"

local zone = {}

-- A zone: a list of segments, in each of which the offset from UTC is one.
local Zone = {}
Zone.__index = Zone

local UTC = setmetatable({ name = "UTC", times = {}, offsets = {}, first = 0 }, Zone)

-- A data block starts at `at`; size is that of its times, in bytes.
local function read_block(data, at, size)
  local isut, isstd, leap, times, types, chars = unpack(">I4I4I4I4I4I4", data, at + 20)
  local block = { times = {}, offsets = {}, first = 0 }
  local when, index = at + 44, at + 44 + times * size
  local kinds = index + times
  local function offset_of(kind)
    if kind >= types then error("it is damaged", 0) end
    return (unpack(">i4", data, kinds + kind * 6))
  end
  if types > 0 then block.first = offset_of(0) end
  for i = 1, times do
    block.times[i] = unpack(">i" .. size, data, when + (i - 1) * size)
    block.offsets[i] = offset_of(data:byte(index + i - 1))
  end
  local stop = kinds + types * 6 + chars + leap * (size + 4) + isstd + isut
  if stop > #data + 1 then error("it is cut short", 0) end
  return block, stop
end

local function parse(data)
  if sub(data, 1, 4) ~= "TZif" then error("it holds no time zone", 0) end
  local block, stop = read_block(data, 1, 4)
  if sub(data, 5, 5) == "\0" then return block end
  block, stop = read_block(data, stop, 8)
  local footer = data:match("^\n([^\n]*)\n", stop)
  if not footer then error("it is cut short", 0) end
  if footer ~= "" then block.rule = rule.parse(footer) end
  return block
end

--- Reads a zone from the bytes of a file. Raises if they are none.
-- @tparam string name
-- @tparam string data
-- @treturn Zone
function zone.parse(name, data)
  local ok, block = pcall(parse, data)
  if not ok then
    error(("the data of time zone '%s' cannot be read: %s"):format(name, block), 0)
  end
  block.name = name
  return setmetatable(block, Zone)
end

local function is_sound(name)
  return name:find "^[%w+-][%w+_/.-]*$" and not name:find("..", 1, true)
end

local known = { UTC = UTC }

--- Opens a zone by its name. Raises if there is no data for it. Waits for the file.
-- @tparam string name as `"Europe/Berlin"`
-- @treturn Zone
function zone.open(name)
  if known[name] then return known[name] end
  if not is_sound(name) then error(("'%s' is no name of a time zone"):format(name), 0) end
  local folder = getenv and getenv "TZDIR" or "/usr/share/zoneinfo"
  local data, message = fs.read(folder .. "/" .. name, 1024 * 1024)
  if not data then
    error(("there is no data for time zone '%s' (%s)"):format(name, message), 0)
  end
  known[name] = zone.parse(name, data)
  return known[name]
end

-- How many changes there are at or before a time.
local function changes_until(times, t)
  local low, high = 0, #times
  while low < high do
    local middle = (low + high + 1) // 2
    if times[middle] <= t then low = middle else high = middle - 1 end
  end
  return low
end

-- After the last change of the data the rule holds.
local function by_rule(self, t, start, before)
  local segment = self.rule:segment(t)
  if segment.start <= start then
    segment.start, segment.before = start, before
  end
  return segment
end

--- The segment in which a time lies: start, stop (seconds since 1970), offset (seconds east of
-- UTC), and before, the offset until its start.
-- @tparam number t
-- @treturn table
function Zone:segment(t)
  local times, offsets = self.times, self.offsets
  local i = changes_until(times, t)
  local before = offsets[i - 1] or i >= 1 and self.first or nil
  local start = times[i] or -huge
  if i == #times and self.rule then return by_rule(self, t, start, before) end
  local stop = times[i + 1] or huge
  return { start = start, stop = stop, offset = offsets[i] or self.first, before = before }
end

function Zone:__tostring() return "durable.zone " .. self.name end

return zone
