-- Sends lines without a pause to whoever listens. Usage: moonlet feed.lua SECONDS PORT
local net = require "moonlet.net"
local task = require "moonlet.task"

local lines = (("0123456789"):rep(6) .. "abc\n"):rep(1024)
local seconds, port = assert(tonumber(arg[1])), assert(tonumber(arg[2]))
local conn <close> = assert(net.connect("127.0.0.1", port))
local stop = task.now() + seconds
repeat until not conn:write(lines) or task.now() > stop
