--- Ends the process at a write, for tests: `MOONLET_CRASH_AT=k` before the k-th write of durable
-- runs in this process, `MOONLET_CRASH_AFTER=k` right behind it.
-- @module moonlet.durable.crash

local getenv, exit = os.getenv, os.exit
local tonumber = tonumber

local crash = {}

local before = tonumber(getenv "MOONLET_CRASH_AT" or "")
local after = tonumber(getenv "MOONLET_CRASH_AFTER" or "")
local count = 0

-- The status of a process that SIGKILL has ended, in a shell.
local STATUS = 137

--- A write begins; returns its number.
function crash.before()
  count = count + 1
  if count == before then exit(STATUS) end
  return count
end

--- The write of that number has ended.
function crash.after(number)
  if number == after then exit(STATUS) end
end

return crash
