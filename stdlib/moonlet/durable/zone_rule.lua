--- The rule of a time zone for all years, as POSIX writes it in TZ: `CET-1CEST,M3.5.0,M10.5.0/3`.
-- @module moonlet.durable.zone_rule

local error, setmetatable, tonumber = error, setmetatable, tonumber
local huge = math.huge

local calendar = require "moonlet.durable.calendar"

local zone_rule = {}

local Rule = {}
Rule.__index = Rule

local function refuse(text) error(("bad rule '%s'"):format(text), 0) end

-- "[+-]hh[:mm[:ss]]" in seconds, and the rest of the text.
local function time_of(text, whole)
  local sign, hours, rest = text:match "^([+-]?)(%d%d?%d?)(.*)$"
  if not hours then refuse(whole) end
  local seconds = tonumber(hours) * 3600
  for unit = 60, 1, -59 do
    local number, after = rest:match "^:(%d%d?)(.*)$"
    if not number then break end
    seconds, rest = seconds + tonumber(number) * unit, after
  end
  return sign == "-" and -seconds or seconds, rest
end

local function skip_name(text, whole)
  local rest = text:match "^<[%w+-]+>(.*)$" or text:match "^%a%a%a+(.*)$"
  if not rest then refuse(whole) end
  return rest
end

local function date_of(text, whole)
  local month, week, day = text:match "^M(%d+)%.(%d)%.(%d)$"
  if month then
    return { month = tonumber(month), week = tonumber(week), weekday = tonumber(day) }
  end
  local julian = text:match "^J(%d+)$"
  if julian then return { julian = tonumber(julian) } end
  local number = text:match "^%d+$"
  if not number then refuse(whole) end
  return { number = tonumber(number) }
end

local function change_of(text, whole)
  local date, time = text:match "^([^/]+)/(.+)$"
  local change = date_of(date or text, whole)
  change.time = 7200
  if time then
    local rest
    change.time, rest = time_of(time, whole)
    if rest ~= "" then refuse(whole) end
  end
  return change
end

local function read_summer(self, rest, text)
  rest = skip_name(rest, text)
  local offset = -self.standard - 3600
  if rest ~= "" and rest:sub(1, 1) ~= "," then offset, rest = time_of(rest, text) end
  self.summer = -offset
  local first, last = rest:match "^,([^,]+),([^,]+)$"
  if not first then refuse(text) end
  self.first, self.last = change_of(first, text), change_of(last, text)
end

--- Reads a rule. Raises if it is none.
-- @tparam string text
-- @treturn Rule
function zone_rule.parse(text)
  local self = setmetatable({}, Rule)
  local west, rest = time_of(skip_name(text, text), text)
  self.standard = -west
  if rest ~= "" then read_summer(self, rest, text) end
  return self
end

local function day_of(change, year)
  if change.number then return calendar.day(year, 1, 1) + change.number end
  if change.julian then
    local leap = calendar.is_leap(year) and change.julian >= 60 and 1 or 0
    return calendar.day(year, 1, 1) + change.julian - 1 + leap
  end
  local first = calendar.day(year, change.month, 1)
  local day = 1 + (change.weekday - calendar.weekday(first)) % 7 + (change.week - 1) * 7
  if day > calendar.length(year, change.month) then day = day - 7 end
  return first + day - 1
end

-- When the clock changes in a year; offset: the one until then.
local function instant(change, year, offset)
  return day_of(change, year) * 86400 + change.time - offset
end

--- The segment in which a time lies; see zone.
function Rule:segment(t)
  if not self.summer then
    return { start = -huge, stop = huge, offset = self.standard, before = nil }
  end
  local year = calendar.date((t + self.standard) // 86400)
  local found = { start = -huge, stop = huge }
  local function look(at, offset, before)
    if at <= t and at >= found.start then
      found.start, found.offset, found.before = at, offset, before
    elseif at > t and at < found.stop then
      found.stop = at
    end
  end
  for y = year - 1, year + 1 do
    look(instant(self.first, y, self.standard), self.summer, self.standard)
    look(instant(self.last, y, self.summer), self.standard, self.summer)
  end
  return found
end

return zone_rule
