-- The program's option --inspect.

local io, require = io, require

local listen = require("moonlet.inspect.listen").listen

local start = {}

-- Several workers cannot have one address: each listens where `moonlet --attach PID` finds it.
local function own_address(address)
  return require("moonlet.worker").id and "" or address
end

--- Begins to listen before the script begins, and tells people where. Raises.
function start.run(address, opts)
  address = own_address(address)
  local place, message = listen(address, opts)
  if not place then require "moonlet.inspector.mistake"("cannot be inspected: " .. message) end
  io.stderr:write("inspector: ", place.url or place.address, "\n")
end

return start
