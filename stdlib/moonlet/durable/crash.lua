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

--- A write begins.
function crash.before()
  count = count + 1
  if count == before then exit(STATUS) end
end

--- A write has ended.
function crash.after()
  if count == after then exit(STATUS) end
end

return crash
