--- Days and dates of the Gregorian calendar, without zones. A day is its number since 1970-01-01.
-- @module moonlet.durable.calendar

local calendar = {}

--- The number of a day.
-- @tparam integer year
-- @tparam integer month 1 to 12
-- @tparam integer day
-- @treturn integer
function calendar.day(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local of_era = year - era * 400
  local shifted = (month + 9) % 12
  local of_year = (153 * shifted + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- The date of a day.
-- @treturn integer year
-- @treturn integer month
-- @treturn integer day of the month
function calendar.date(number)
  number = number + 719468
  local era = number // 146097
  local of_era = number - era * 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local shifted = (5 * of_year + 2) // 153
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, of_year - (153 * shifted + 2) // 5 + 1
end

--- 0 is Sunday.
function calendar.weekday(number) return (number + 4) % 7 end

function calendar.is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

local LENGTHS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

--- The length of a month in days.
function calendar.length(year, month)
  if month == 2 and calendar.is_leap(year) then return 29 end
  return LENGTHS[month]
end

return calendar
