-- The copy loop as a user of moonlet would write it: of two connections accepted one after the
-- other, what comes from the first goes to the second.
-- Prints "listening PORT". Usage: moonlet relay.lua [PORT]
local net = require "moonlet.net"

local function copy(source, sink)
  for chunk in source:chunks() do
    if not sink:write(chunk) then return end
  end
end

local server <close> = assert(net.listen("127.0.0.1", tonumber(arg[1]) or 0))
print("listening " .. server:address().port)
io.stdout:flush()

while true do
  local source <close> = assert(server:accept())
  local sink <close> = assert(server:accept())
  copy(source, sink)
end
