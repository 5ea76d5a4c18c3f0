-- The inspector's program: runs on a thread of its own.

local pairs = pairs

local access = require "moonlet.inspector.access"
local debugger = require "moonlet.inspector.debugger"
local endpoints = require "moonlet.inspector.endpoints"
local program = require "moonlet.inspector.program"
local task = require "moonlet.task"


local server = {}

local handler = endpoints.open()
local places = {} -- address -> the place where it listens

local function listen(reply, address, rights)
  local place, message, code = access.listen(address, rights, handler)
  if place then
    places[place.address] = place
    task.spawn({ name = "listener", daemon = true }, place.serve, place)
  end
  reply:put({ place and { address = place.address, url = place.url }, message, code }, 0)
end

--- Serves until the inspected program ends.
function server.run()
  program.on("listen", function(...) task.spawn({ daemon = true }, listen, ...) end)
  program.on("close", function(address)
    local place = places[address]
    if place then place:close() places[address] = nil end
  end)
  program.on("debug", function(...)
    task.spawn({ name = "debugger", daemon = true }, debugger.connect, ...)
  end)
  program.listen()
  debugger.stop()
  for _, place in pairs(places) do place:stop() end
end

return server
