--- Schedules of crontab(5), in zones with summer time.

local calendar = require "moonlet.durable.calendar"
local cron = require "moonlet.durable.cron"
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local zone = require "moonlet.durable.zone"

local function tzif(footer)
  local head = ("TZif2%s"):format(("\0"):rep(15)) .. string.pack(">I4I4I4I4I4I4", 0, 0, 0, 0, 1, 4)
  local block = head .. string.pack(">i4BB", 0, 0, 0) .. "UTC\0"
  return block .. block .. "\n" .. footer .. "\n"
end

local utc = zone.open "UTC"
local berlin = zone.parse("Berlin", tzif "CET-1CEST,M3.5.0,M10.5.0/3")

local function instant(text)
  local year, month, day, hour, minute = text:match "^(%d+)-(%d+)-(%d+) (%d+):(%d+)$"
  return calendar.day(tonumber(year), tonumber(month), tonumber(day)) * 86400 + hour * 3600 + minute * 60
end

-- The next times in UTC, as texts.
local function next_times(text, after, count, tz)
  local schedule, times, t = cron.parse(text), {}, instant(after)
  for i = 1, count do
    t = schedule:next(t, tz or utc)
    times[i] = os.date("!%Y-%m-%d %H:%M", math.tointeger(t))
  end
  return times
end

describe("a schedule", function()
  it("has minutes, hours, days, months and weekdays, with lists, ranges, steps and names", function()
    assert.same({ "2024-01-01 00:01", "2024-01-01 00:02" }, next_times("* * * * *", "2024-01-01 00:00", 2))
    assert.same({ "2024-01-01 00:15", "2024-01-01 00:30", "2024-01-01 00:45", "2024-01-01 01:00" },
      next_times("*/15 * * * *", "2024-01-01 00:00", 4))
    assert.same({ "2024-01-01 09:05", "2024-01-01 09:35", "2024-01-01 17:05" },
      next_times("5,35 9,17 * * *", "2024-01-01 00:00", 3))
    assert.same({ "2024-01-05 08:00", "2024-01-08 08:00" },
      next_times("0 8 * * Mon-FRI", "2024-01-04 08:00", 2))
    assert.same({ "2024-03-01 00:00", "2024-06-01 00:00" },
      next_times("0 0 1 mar-dec/3 *", "2024-01-04 08:00", 2))
    assert.same({ "2024-01-01 00:05", "2024-01-01 00:25", "2024-01-01 00:45", "2024-01-01 01:05" },
      next_times("5/20 * * * *", "2024-01-01 00:00", 4))
  end)

  it("takes one kind of days if both are limited, and both if one begins with a star", function()
    assert.same({ "2024-01-05 00:00", "2024-01-12 00:00", "2024-01-13 00:00" },
      next_times("0 0 13 * 5", "2024-01-01 00:00", 3))
    assert.same({ "2024-01-05 00:00", "2024-01-19 00:00" },
      next_times("0 0 */2 * 5", "2024-01-01 00:00", 2))
  end)

  it("has 0 and 7 for Sunday, and the last day of a month", function()
    assert.same(next_times("0 0 * * 0", "2024-01-01 00:00", 3), next_times("0 0 * * 7", "2024-01-01 00:00", 3))
    assert.same({ "2024-01-06 00:00", "2024-01-07 00:00", "2024-01-13 00:00" },
      next_times("0 0 * * 6-7", "2024-01-01 00:00", 3))
    assert.same({ "2024-01-31 00:00", "2024-02-29 00:00", "2024-03-31 00:00" },
      next_times("0 0 L * *", "2024-01-01 00:00", 3))
    assert.same({ "2024-01-26 00:00", "2024-02-23 00:00" }, next_times("0 0 * * 5L", "2024-01-01 00:00", 2))
  end)

  it("has nicknames", function()
    assert.same(next_times("0 0 1 1 *", "2024-01-01 00:00", 2), next_times("@yearly", "2024-01-01 00:00", 2))
    assert.same(next_times("0 * * * *", "2024-01-01 00:00", 2), next_times("@Hourly", "2024-01-01 00:00", 2))
  end)

  it("finds 29 February, after a century without one, too, and tells that there is no 30th", function()
    assert.same({ "2104-02-29 00:00" }, next_times("0 0 29 2 *", "2096-03-01 00:00", 1))
    assert.is_nil(cron.parse("0 0 30 2 *"):next(instant "2024-01-01 00:00", utc))
  end)

  it("comes after the time given, never at it", function()
    local schedule, noon = cron.parse "0 12 * * *", instant "2024-01-01 12:00"
    assert.equal(noon, schedule:next(noon - 0.001, utc))
    assert.equal(noon + 86400, schedule:next(noon, utc))
    assert.equal(noon + 86400, schedule:next(noon + 0.5, utc))
  end)

  it("is refused with the field that is wrong", function()
    local wrong = {
      ["60 * * * *"] = "minute '60'", ["* 24 * * *"] = "hour '24'", ["* * 0 * *"] = "day '0'",
      ["* * * 13 *"] = "month '13'", ["* * * foo *"] = "month 'foo'", ["* * * * 8"] = "weekday '8'",
      ["*/0 * * * *"] = "minute '*/0'", ["5-1 * * * *"] = "minute '5-1'", ["1,,2 * * * *"] = "minute '1,,2'",
      ["-1 * * * *"] = "minute '-1'", ["* * * *"] = "five fields", ["* * * * * *"] = "five fields",
      ["1.5 * * * *"] = "minute '1.5'", [""] = "five fields", ["@often"] = "@often", ["* 5L * * *"] = "hour '5L'",
      ["+1 * * * *"] = "minute '+1'", [", * * * *"] = "minute ','", ["1/ * * * *"] = "minute '1/'",
    }
    for text, part in pairs(wrong) do
      local ok, message = pcall(cron.parse, text)
      assert(not ok and message:find(part, 1, true), text .. ": " .. tostring(message))
    end
  end)
end)

describe("a schedule in a zone with summer time", function()
  -- 2024: 31 March, 01:00 UTC, from 2:00 to 3:00; 27 October, 01:00 UTC, from 3:00 to 2:00.
  it("follows the clocks of the zone", function()
    assert.same({ "2024-03-30 08:00", "2024-03-31 07:00", "2024-04-01 07:00" },
      next_times("0 9 * * *", "2024-03-29 12:00", 3, berlin))
  end)

  it("comes once, right after the gap, for times in it", function()
    assert.same({ "2024-03-30 01:30", "2024-03-31 01:00", "2024-04-01 00:30" },
      next_times("30 2 * * *", "2024-03-29 12:00", 3, berlin))
    assert.same({ "2024-03-31 01:00", "2024-04-01 00:00" },
      next_times("0,10,20 2 * * *", "2024-03-30 02:00", 2, berlin))
    assert.same({ "2024-03-31 01:00", "2024-04-01 00:59" },
      next_times("59 2 * * *", "2024-03-31 00:59", 2, berlin))
  end)

  it("comes once for times of the repeated hour", function()
    assert.same({ "2024-10-26 00:30", "2024-10-27 00:30", "2024-10-28 01:30" },
      next_times("30 2 * * *", "2024-10-25 12:00", 3, berlin))
    assert.same({ "2024-10-27 00:00", "2024-10-27 02:00" },
      next_times("0 2,3 * * *", "2024-10-26 12:00", 2, berlin))
  end)

  it("goes by the hours that pass if it is for every hour", function()
    assert.same({ "2024-10-26 23:30", "2024-10-27 00:30", "2024-10-27 01:30", "2024-10-27 02:30" },
      next_times("30 * * * *", "2024-10-26 23:00", 4, berlin))
    assert.same({ "2024-03-31 00:30", "2024-03-31 01:30" },
      next_times("30 * * * *", "2024-03-31 00:00", 2, berlin))
  end)

  it("never stands still nor goes back, at any minute around both changes", function()
    for _, text in ipairs { "30 2 * * *", "*/7 * * * *", "0 0-4 * * *", "15 3 * * sun", "59 1 * * *" } do
      local schedule = cron.parse(text)
      for _, start in ipairs { "2024-03-30 22:00", "2024-10-26 22:00" } do
        local from = instant(start)
        local expected
        for t = from, from + 6 * 3600, 60 do
          local found = schedule:next(t, berlin)
          assert.is_true(found > t)
          if expected and expected > t then assert.equal(expected, found) end
          expected = found
        end
      end
    end
  end)
end)

describe("a schedule in zones of other kinds", function()
  -- Their rules, as TZif files end with them.
  local function times(footer, text, after)
    return table.concat(next_times(text, after, 3, zone.parse("zone", tzif(footer))), ", ")
  end

  it("follows summer time of the southern half of the earth", function()
    local sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3"
    assert.equal("2024-10-04 16:30, 2024-10-05 16:00, 2024-10-06 15:30",
      times(sydney, "30 2 * * *", "2024-10-04 12:00"))
    assert.equal("2024-04-05 15:30, 2024-04-06 15:30, 2024-04-07 16:30",
      times(sydney, "30 2 * * *", "2024-04-05 12:00"))
  end)

  it("follows offsets of half and quarter hours", function()
    assert.equal("2024-10-05 03:30, 2024-10-06 03:30, 2024-10-07 03:30",
      times("IST-5:30", "0 9 * * *", "2024-10-04 12:00"))
    assert.equal("2024-10-05 03:15, 2024-10-06 03:15, 2024-10-07 03:15",
      times("<+0545>-5:45", "0 9 * * *", "2024-10-04 12:00"))
  end)

  it("follows changes at midnight, where a day has no 0:00, or 23:30 twice", function()
    local santiago = "<-04>4<-03>,M9.1.6/24,M4.1.6/24"
    assert.equal("2024-09-07 04:30, 2024-09-08 04:00, 2024-09-09 03:30",
      times(santiago, "30 0 * * *", "2024-09-06 12:00"))
    assert.equal("2024-04-06 02:30, 2024-04-07 02:30, 2024-04-08 03:30",
      times(santiago, "30 23 * * *", "2024-04-05 12:00"))
    assert.equal("2024-03-29 22:00, 2024-03-30 22:00, 2024-03-31 21:00",
      times("EET-2EEST,M3.5.0/0,M10.5.0/0", "0 0 * * *", "2024-03-29 12:00"))
  end)

  it("follows changes of half an hour; every hour comes when the clock shows it", function()
    local lord_howe = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
    assert.equal("2024-10-04 15:45, 2024-10-05 15:30, 2024-10-06 15:15",
      times(lord_howe, "15 2 * * *", "2024-10-04 12:00"))
    assert.equal("2024-04-05 14:45, 2024-04-06 14:45, 2024-04-07 15:15",
      times(lord_howe, "45 1 * * *", "2024-04-05 12:00"))
    assert.equal("2024-10-05 14:30, 2024-10-05 16:00, 2024-10-05 17:00",
      times(lord_howe, "0 * * * *", "2024-10-05 14:00"))
  end)
end)

describe("a schedule under the virtual clock", function()
  -- The times at which a nightly workflow began from one instant on, for three days.
  local function nights(from)
    local d <close> = durable.test()
    d.offset = instant(from) - task.now()
    local times = {}
    d:workflow("nightly", function(ctx)
      ctx:step("begin", function() times[#times + 1] = os.date("!%Y-%m-%d %H:%M", d:now() // 1) end)
    end)
    d:schedule("night", "30 2 * * *", "nightly")
    d.schedules.night.zone = berlin
    task.sleep(3 * 86400)
    return times
  end

  it("starts its run once a day over both ends of summer time", function()
    assert.same({ "2024-03-30 01:30", "2024-03-31 01:00", "2024-04-01 00:30" }, nights "2024-03-29 12:00")
    assert.same({ "2024-10-26 00:30", "2024-10-27 00:30", "2024-10-28 01:30" }, nights "2024-10-25 12:00")
  end)

  -- The times for which runs begin when the workers have stood still from a quarter past noon on, for two days.
  local function after_a_pause(from, catch_up)
    local d <close> = durable.test()
    d.offset = instant(from) - task.now()
    local times = {}
    d:workflow("nightly", function(ctx, input)
      ctx:step("begin", function() times[#times + 1] = os.date("!%Y-%m-%d %H:%M", input.time // 1) end)
    end)
    d:schedule("night", "30 2 * * *", "nightly", { catch_up = catch_up })
    d.schedules.night.zone = berlin
    task.sleep(900)
    d.offset = d.offset + 2 * 86400
    task.sleep(14 * 3600)
    table.sort(times)
    return table.concat(times, ", ")
  end

  it("catches up with the nights of a pause over both ends of summer time, as it is told", function()
    local spring, autumn = "2024-03-29 12:00", "2024-10-25 12:00"
    assert.equal("2024-03-30 01:30, 2024-03-31 01:00, 2024-04-01 00:30", after_a_pause(spring, "all"))
    assert.equal("2024-10-26 00:30, 2024-10-27 00:30, 2024-10-28 01:30", after_a_pause(autumn, "all"))
    assert.equal("2024-04-01 00:30", after_a_pause(spring, "last"))
    assert.equal("2024-10-27 00:30, 2024-10-28 01:30", after_a_pause(autumn, "last")) -- the second one is not missed
    assert.equal("", after_a_pause(spring, "none"))
    assert.equal("2024-10-28 01:30", after_a_pause(autumn, "none"))
  end)
end)
