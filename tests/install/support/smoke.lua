-- What a host, or the installed program, is asked to run: modules that are in the library, C modules that need
-- Lua's functions, sockets, and whether others run while a C library waits.

local task, net = require "moonlet.task", require "moonlet.net"
for _, name in ipairs { "", ".sync", ".channel", ".queue", ".pool", ".greenlet", ".patch", ".test" } do
  require("moonlet" .. name)
end

local here, there = net.pair()
task.spawn(function() for line in there:lines() do there:write(line:upper(), "\n") end end)
here:write "hello\n"
assert(here:read_line() == "HELLO")
here:close()

local listener = assert(net.listen("127.0.0.1", 0))
task.spawn(function() listener:accept():write "hello\n" end)
assert(net.connect("127.0.0.1", listener:address().port):read_line() == "hello")

local directory = os.getenv "MOONLET_TESTS"
if directory then
  package.cpath = directory .. "/?.so"
  local libc = require "libc"
  local ticks = 0
  task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
  repeat task.yield() until ticks > 0
  ticks = 0
  -- The call under test. When it makes its task wait, the ticker's time comes first, however late the machine is; when
  -- it makes the thread wait, nobody ticks.
  libc.nanosleep(0.05)
  print(ticks > 0 and "others ran" or "all waited")
else
  print "well"
end
