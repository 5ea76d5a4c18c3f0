--- Schedules as crontab(5) writes them: five fields, or `@daily` and its like.
-- @module moonlet.durable.cron

local error, setmetatable, tonumber = error, setmetatable, tonumber
local huge = math.huge
local max, tointeger = math.max, math.tointeger

local calendar = require "moonlet.durable.calendar"

local cron = {}

local Schedule = {}
Schedule.__index = Schedule

local NICKNAMES = {
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *",
  ["@weekly"] = "0 0 * * 0", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *",
  ["@hourly"] = "0 * * * *",
}

local MONTHS = {
  jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10,
  nov = 11, dec = 12,
}
local DAYS = { sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6 }

local FIELDS = {
  { name = "minute", low = 0, high = 59 },
  { name = "hour", low = 0, high = 23 },
  { name = "day", low = 1, high = 31, has_last = true },
  { name = "month", low = 1, high = 12, names = MONTHS },
  { name = "weekday", low = 0, high = 7, names = DAYS, has_last = true },
}

local function refuse(field, text) error(("bad %s '%s'"):format(field.name, text), 0) end

local function number_of(field, text, whole)
  local number = field.names and field.names[text:lower()]
  if not number and text:find "^%d%d?$" then number = tonumber(text) end
  if not number or number < field.low or number > field.high then refuse(field, whole) end
  return number
end

local function range_of(field, text, whole)
  if text == "*" then return field.low, field.high end
  local first, last = text:match "^(%w+)%-(%w+)$"
  if first then return number_of(field, first, whole), number_of(field, last, whole) end
  local number = number_of(field, text, whole)
  return number, number
end

-- 7 is Sunday, too: `6-7`, `7`.
local function put(field, set, number)
  if field.names == DAYS and number == 7 then number = 0 end
  set[number] = true
end

local function add_last(field, set, part)
  local day = part:match "^(%w*)[lL]$"
  if not (field.has_last and day) then return false end
  if field.names ~= DAYS then
    if day ~= "" then refuse(field, part) end
    set.last = true
    return true
  end
  local number = day ~= "" and number_of(field, day, part) or 6
  set.last = set.last or {}
  set.last[number % 7] = true
  return true
end

local function add_part(field, set, part)
  if add_last(field, set, part) then return end
  local range, step = part:match "^([^/]+)/(%d+)$"
  if not range then range, step = part, "1" end
  local first, last = range_of(field, range, part)
  if range ~= part and not range:find "[*-]" then last = field.high end -- 5/15
  step = tonumber(step)
  if step < 1 or first > last then refuse(field, part) end
  for number = first, last, step do put(field, set, number) end
end

local function parse_field(field, text)
  local set = { is_any = text:sub(1, 1) == "*" }
  if text == "" or text:find "^," or text:find ",,"  or text:find ",$" then refuse(field, text) end
  for part in text:gmatch "[^,]+" do add_part(field, set, part) end
  return set
end

--- Reads a schedule. Raises if it is none, with the field that is wrong.
-- @tparam string text `"30 2 * * mon-fri"`
-- @treturn Schedule
function cron.parse(text)
  local fields, count = {}, 0
  local meant = NICKNAMES[text:lower():match "^%s*(.-)%s*$"] or text
  for word in meant:gmatch "%S+" do
    count = count + 1
    if count > #FIELDS then break end
    fields[FIELDS[count].name] = parse_field(FIELDS[count], word)
  end
  if count ~= #FIELDS then error(("five fields expected in '%s'"):format(text), 0) end
  fields.text = text
  return setmetatable(fields, Schedule)
end

local function has_weekday(self, number, day, length)
  local weekday = calendar.weekday(number)
  if self.weekday[weekday] then return true end
  return self.weekday.last and self.weekday.last[weekday] and day > length - 7
end

-- If both kinds of days are limited, one of them is enough.
local function has_day(self, number)
  local year, month, day = calendar.date(number)
  if not self.month[month] then return false end
  local length = calendar.length(year, month)
  local in_month = self.day[day] or (self.day.last and day == length) or false
  local in_week = has_weekday(self, number, day, length) or false
  if self.day.is_any or self.weekday.is_any then return in_month and in_week end
  return in_month or in_week
end

-- The first minute of a day that matches, from a minute on.
local function minute_of_day(self, from)
  for hour = from // 60, 23 do
    if self.hour[hour] then
      for minute = hour == from // 60 and from % 60 or 0, 59 do
        if self.minute[minute] then return hour * 60 + minute end
      end
    end
  end
end

-- The first matching minute in [from, to), both minutes of local time since 1970.
local function first_between(self, from, to)
  local day, minute = from // 1440, from % 1440
  while day * 1440 < to do
    local found = has_day(self, day) and minute_of_day(self, minute)
    if found then
      local at = day * 1440 + found
      return at < to and at or nil
    end
    day, minute = day + 1, 0
  end
end

local function minutes_up(seconds) return -(-seconds // 60) end

-- So far ahead is looked: 29 February falls on a given weekday once in 28 or 40 years.
local FAR = 41 * 366 * 86400

-- The first match within a segment of the zone, from `cur` on; a fixed time that has been there
-- already, before the clock was put back, is left out.
local function in_segment(self, segment, cur, limit)
  local from = cur + segment.offset
  local repeated = (segment.before or segment.offset) - segment.offset
  if not self.hour.is_any and repeated > 0 then
    from = max(from, segment.start + segment.before)
  end
  local to = segment.stop < limit and segment.stop or limit
  local found = first_between(self, minutes_up(from), minutes_up(to + segment.offset))
  return found and found * 60 - segment.offset
end

-- Whether a fixed time falls into the gap between two segments.
local function is_in_gap(self, segment, after)
  if self.hour.is_any or after.offset <= segment.offset then return false end
  return first_between(self, minutes_up(segment.stop + segment.offset),
    minutes_up(segment.stop + after.offset)) ~= nil
end

--- The next time after a time. A time of day that summer time leaves out comes once, right after
-- the gap; one that comes twice, once. Schedules for every hour (`*`) go by the hours that pass.
-- @tparam number after seconds since 1970
-- @tparam Zone zone
-- @treturn number or nil, if there is none within 40 years
function Schedule:next(after, zone)
  after = tointeger(after // 1)
  local cur, limit = (after // 60 + 1) * 60, after + FAR
  local segment = zone:segment(cur)
  if after < segment.start and segment.start > -huge then -- the gap ends within this minute
    local former = zone:segment(after)
    if former.stop > after and is_in_gap(self, former, segment) then return former.stop end
  end
  while cur < limit do
    local found = in_segment(self, segment, cur, limit)
    if found then return found end
    if segment.stop >= limit then return nil end
    local following = zone:segment(segment.stop)
    if is_in_gap(self, segment, following) then return segment.stop end
    cur, segment = segment.stop, following
  end
end

function Schedule:__tostring() return "durable.cron " .. self.text end

return cron
