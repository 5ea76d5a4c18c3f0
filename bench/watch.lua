-- Reads the events of a directory while another program makes them, as bench/watch_inotify.c does.
--
--     moonlet bench/watch.lua DIRECTORY COUNT STORM
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local task = require "moonlet.task"

local directory, most, storm = arg[1], tonumber(arg[2]), arg[3]
local w <close> = assert(fs.watch(directory))
local begun, used = task.now(), os.clock()
local _ <close> = assert(process.spawn { storm, directory, arg[2] })
local events, lost = 0, false
while events < most and not lost do
  local event = w:next(10)
  lost = not event or event.kind == "overflow"
  if not lost and event.kind ~= "changed" then events = events + 1 end
end
print(('{"events":%d,"lost":%d,"s":%.4f,"cpu":%.4f}'):format(events, most - events,
  task.now() - begun, os.clock() - used))
