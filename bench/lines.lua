-- A server of a line protocol as a user of moonlet would write it: each line is answered by "+" and
-- the same line. Prints "listening PORT".
-- Usage: moonlet lines.lua [PORT]
local net = require "moonlet.net"
local task = require "moonlet.task"

local BACKLOG = 4096 -- as the server it is compared with

local function answer(stream)
  local conn <close> = stream
  while true do
    local line = conn:read_line()
    if not line or not conn:write("+", line, "\n") then return end
  end
end

local server <close> = assert(net.listen("127.0.0.1", tonumber(arg[1]) or 0, {backlog = BACKLOG}))
print("listening " .. server:address().port)
io.stdout:flush()

for conn in server:accepted() do
  task.spawn(answer, conn)
end
