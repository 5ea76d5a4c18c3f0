-- One connection that sends lines without a pause, to a task that has a little to do with each, and
-- beside it a task that sleeps 10 ms again and again: how late it wakes. Prints a line of JSON.
-- Usage: moonlet flood.lua net|luasocket SECONDS FEEDER...    (a command, to be given the port)
local task = require "moonlet.task"

local PAUSE = 0.01
local kind, seconds = arg[1], assert(tonumber(arg[2]))
local feeder = table.concat(arg, " ", 3)

local function work(line) return (line:gsub("%d%d", "")) end

local function feed(port)
  assert(os.execute(("%s %d </dev/null >/dev/null 2>&1 &"):format(feeder, port)))
end

local readers = {}

function readers.net()
  local listener <close> = assert(require "moonlet.net".listen("127.0.0.1", 0))
  feed(listener:address().port)
  local conn <close> = assert(listener:accept())
  for line in conn:lines() do work(line) end
end

function readers.luasocket()
  local listener = assert(require "socket".bind("127.0.0.1", 0))
  feed(select(2, listener:getsockname()))
  local conn = assert(listener:accept())
  for line in function() return conn:receive "*l" end do work(line) end
end

local reader = task.spawn(readers[kind])
local late, count, latest = 0, 0, 0
local begin = task.now()
repeat
  local due = task.now() + PAUSE
  task.sleep(PAUSE)
  local now = task.now()
  late, count, latest = late + (now - due), count + 1, math.max(latest, now - due)
until now - begin >= seconds
reader:cancel()
print(('{"mean_ms":%.3f,"latest_ms":%.3f}'):format(late / count * 1e3, latest * 1e3))
os.exit(0)
