--- Schedules: each worker that knows one starts its runs when it is time. The id of a run is the
-- schedule and its time, so that several workers start it once.
-- @module moonlet.durable.schedules

local ipairs, pairs, warn = ipairs, pairs, warn
local tointeger = math.tointeger
local date = os.date

local schedules = {}

-- Later than that a time has been missed, in seconds.
local LATE = 60

-- At most so many missed times are made up for at once.
local MOST = 1000

-- The last time of a schedule that was looked at; at first it is now.
local function last_of(d, name, schedule)
  local row, message, code = d.db:row(d.engine.sql
    "SELECT cron, tz, workflow, last FROM moonlet_schedules WHERE name = ?", name)
  if code then return nil, message, code end
  if row and row.cron == schedule.cron.text and row.tz == schedule.zone.name
    and row.workflow == schedule.workflow then
    return row.last
  end
  local now = d:now()
  local ok
  ok, message, code = d.db:execute(d.engine.sql [[INSERT INTO moonlet_schedules
    (name, cron, tz, workflow, last) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE
    SET cron = excluded.cron, tz = excluded.tz, workflow = excluded.workflow,
    last = excluded.last]],
    name, schedule.cron.text, schedule.zone.name, schedule.workflow, now)
  if not ok then return nil, message, code end
  return now
end

--- The times of a schedule in (last, now] that are to be run.
-- @treturn {number} times
-- @treturn number the last that was looked at
function schedules.due(schedule, last, now)
  local times = {}
  local t = schedule.cron:next(last, schedule.zone)
  while t and t <= now and #times < MOST do
    local is_missed = now - t > LATE
    if not is_missed or schedule.catch_up ~= "none" then
      if schedule.catch_up ~= "all" then times = {} end
      times[#times + 1] = t
    end
    last = t
    t = schedule.cron:next(t, schedule.zone)
  end
  return times, last
end

local function start(d, name, schedule, t)
  local id = name .. "@" .. date("!%Y-%m-%dT%H:%MZ", tointeger(t // 1))
  return d:start(schedule.workflow, { schedule = name, time = t },
    { id = id, queue = schedule.queue })
end

-- Another worker may have started what is due, and the runs may have been removed since.
local function catch_up_with_others(d, name, schedule)
  local row, message, code = d.db:row(d.engine.sql [[SELECT last FROM moonlet_schedules
    WHERE name = ? AND cron = ? AND tz = ? AND workflow = ?]],
    name, schedule.cron.text, schedule.zone.name, schedule.workflow)
  if code then return nil, message, code end
  if row and row.last > schedule.last then schedule.last = row.last end
  return true
end

local function tend(d, name, schedule)
  local message, code, ok
  if not schedule.last then
    schedule.last, message, code = last_of(d, name, schedule)
    if not schedule.last then return nil, message, code end
  end
  local now = d:now()
  if schedule.following and now < schedule.following then return true end
  ok, message, code = catch_up_with_others(d, name, schedule)
  if not ok then return nil, message, code end
  local times, last = schedules.due(schedule, schedule.last, now)
  for _, t in ipairs(times) do
    ok, message, code = start(d, name, schedule, t)
    if not ok then return nil, message, code end
  end
  if last > schedule.last then
    ok, message, code = d.db:execute(d.engine.sql
      "UPDATE moonlet_schedules SET last = ? WHERE name = ? AND last < ?", last, name, last)
    if not ok then return nil, message, code end
    schedule.last = last
  end
  schedule.following = schedule.cron:next(schedule.last, schedule.zone)
  return true
end

--- Starts what is due.
function schedules.tend(d)
  for name, schedule in pairs(d.schedules) do
    local ok, message = tend(d, name, schedule)
    if not ok and not schedule.is_troubled then
      warn(("durable schedule %s: %s\n"):format(name, message))
    end
    schedule.is_troubled = not ok
  end
end

return schedules
