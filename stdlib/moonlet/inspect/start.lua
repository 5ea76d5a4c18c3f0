-- The program's option --inspect.

local io, require = io, require

local listen = require("moonlet.inspect.listen").listen
local task = require "moonlet.task"
local worker = require "moonlet.worker"

local start = {}

-- Seconds between two tries to listen at an address that another process has.
local PAUSE = 0.2

local function tell(place) io.stderr:write("inspector: ", place.url or place.address, "\n") end

local function fail(message)
  require "moonlet.inspector.mistake"("cannot be inspected: " .. message)
end

-- The address goes from one first worker to the next: the one that drains has it until it ends. An
-- inspector keeps no worker from serving.
local function take_over(address, opts)
  local place
  while not place do
    task.sleep(PAUSE)
    place = listen(address, opts)
  end
  tell(place)
end

-- Several workers cannot have one address: the first one has it. All listen where
-- `moonlet --attach PID` finds them.
local function run_in_worker(address, opts)
  local place, message = listen("", opts)
  if not place then fail(message) end
  tell(place)
  if worker.id > 1 or address == "" then return end
  local code
  place, message, code = listen(address, opts)
  if place then
    tell(place)
  elseif code == "EADDRINUSE" then
    io.stderr:write("inspector: waits for ", address, ": ", message, "\n")
    task.spawn({ name = "inspector's address", daemon = true }, take_over, address, opts)
  else
    fail(message)
  end
end

--- Begins to listen before the script begins, and tells people where. Raises.
function start.run(address, opts)
  if worker.id then return run_in_worker(address, opts) end
  local place, message = listen(address, opts)
  if not place then fail(message) end
  tell(place)
end

return start
