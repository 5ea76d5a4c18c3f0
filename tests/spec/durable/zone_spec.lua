--- Time zones: the system's data, the rule after it, and their absence.

local calendar = require "moonlet.durable.calendar"
local rule = require "moonlet.durable.zone_rule"
local zone = require "moonlet.durable.zone"

local function block(version, size, times, footer)
  local data = { ("TZif%s%s"):format(version, ("\0"):rep(15)), string.pack(">I4I4I4I4I4I4", 0, 0, 0, #times, 3, 4) }
  for _, t in ipairs(times) do data[#data + 1] = string.pack(">i" .. size, t[1]) end
  for _, t in ipairs(times) do data[#data + 1] = string.char(t[2]) end
  for _, offset in ipairs { 1000, 3600, 7200 } do data[#data + 1] = string.pack(">i4BB", offset, 0, 0) end
  data[#data + 1] = "ABC\0"
  return table.concat(data) .. (footer or "")
end

local function day(year, month, date) return calendar.day(year, month, date) * 86400 end

describe("the calendar", function()
  it("numbers the days back and forth", function()
    assert.equal(0, calendar.day(1970, 1, 1))
    assert.equal(11016, calendar.day(2000, 2, 29))
    assert.equal(4, calendar.weekday(0))
    for number = -400000, 400000, 37 do
      assert.equal(number, calendar.day(calendar.date(number)))
    end
  end)
end)

describe("a zone", function()
  it("has segments with one offset each", function()
    local z = zone.parse("x", block("\0", 4, { { 1000, 1 }, { 5000, 2 } }))
    assert.same({ start = -math.huge, stop = 1000, offset = 1000 }, z:segment(0))
    assert.same({ start = 1000, stop = 5000, offset = 3600, before = 1000 }, z:segment(1000))
    assert.same({ start = 1000, stop = 5000, offset = 3600, before = 1000 }, z:segment(4999))
    assert.same({ start = 5000, stop = math.huge, offset = 7200, before = 3600 }, z:segment(5000))
  end)

  it("is read in 64 bits, and by the rule after the last change", function()
    local late = day(2050, 1, 1)
    local data = block("2", 4, {}) .. block("2", 8, { { late, 1 } }, "\nCET-1CEST,M3.5.0,M10.5.0/3\n")
    local z = zone.parse("x", data)
    assert.equal(late, z:segment(late - 1).stop)
    local winter = z:segment(late)
    assert.same({ late, 3600, 1000 }, { winter.start, winter.offset, winter.before })
    assert.equal(day(2050, 3, 27) + 3600, winter.stop)
    assert.equal(7200, z:segment(winter.stop).offset)
  end)

  it("is UTC without any data", function()
    assert.same({ start = -math.huge, stop = math.huge, offset = 0 }, zone.open("UTC"):segment(0))
  end)

  it("is refused where there is no data, or where it is damaged at any byte", function()
    for _, name in ipairs { "No/Such", "../etc/passwd", "/etc/passwd", "", "a/../../b", "x\0y" } do
      local ok, message = pcall(zone.open, name)
      assert.is_false(ok)
      assert.matches("time zone", message)
    end
    local data = block("2", 4, {}) .. block("2", 8, { { 0, 1 } }, "\nCET-1CEST,M3.5.0,M10.5.0/3\n")
    for length = 0, #data - 1 do
      local ok, message = pcall(zone.parse, "x", data:sub(1, length))
      assert.is_false(ok)
      assert.matches("cannot be read", message)
    end
  end)

  it("of the system agrees with date(1)", function()
    local found, berlin = pcall(zone.open, "Europe/Berlin")
    if not found then return pending "needs tzdata" end
    for year = 1950, 2100, 7 do
      local t = day(year, 7, 1)
      local pipe = io.popen(("TZ=Europe/Berlin date -d @%d +%%z"):format(t))
      local sign, hours, minutes = pipe:read("l"):match "([+-])(%d%d)(%d%d)"
      pipe:close()
      local offset = tonumber(sign .. hours * 3600 + minutes * 60)
      assert.equal(offset, berlin:segment(t).offset)
    end
  end)
end)

describe("a rule", function()
  it("may be for the south, where summer is at the turn of the year", function()
    local sydney = rule.parse "AEST-10AEDT,M10.1.0,M4.1.0/3"
    assert.equal(39600, sydney:segment(day(2024, 1, 15)).offset)
    assert.equal(36000, sydney:segment(day(2024, 7, 15)).offset)
    local summer = sydney:segment(day(2024, 1, 15))
    assert.equal(day(2023, 9, 30) + 16 * 3600, summer.start)
    assert.equal(day(2024, 4, 6) + 16 * 3600, summer.stop)
  end)

  it("has names in brackets, days of the year, and hours beyond a day", function()
    assert.equal(-10800, rule.parse("<-03>3"):segment(0).offset)
    assert.equal(20700, rule.parse("<+0545>-5:45"):segment(0).offset)
    local julian = rule.parse "AAA0BBB,J60/0,J61/0"
    assert.equal(day(2024, 3, 1), julian:segment(day(2024, 3, 1)).start)
    assert.equal(day(2023, 3, 1), julian:segment(day(2023, 3, 1)).start)
    local number = rule.parse "AAA0BBB,59/0,60/0"
    assert.equal(day(2024, 2, 29), number:segment(day(2024, 2, 29)).start)
    local godthab = rule.parse "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"
    assert.equal(day(2024, 3, 31) + 3600, godthab:segment(day(2024, 4, 1)).start)
    assert.equal(3600, rule.parse("IST-1GMT0,M10.5.0,M3.5.0/1"):segment(day(2024, 7, 1)).offset)
  end)

  it("is refused if it is none", function()
    for _, text in ipairs { "", "C", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5,M10.5.0", "<CET-1" } do
      assert.is_false(pcall(rule.parse, text))
    end
  end)
end)
