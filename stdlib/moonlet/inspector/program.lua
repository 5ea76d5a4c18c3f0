-- The inspected program, as its inspector sees it: asks it, and hears its events.

local ipairs, table = ipairs, table

local core = require "moonlet.inspector.core"
local channel = require("moonlet.thread").channel

local program = {}

-- The longest that an answer may take whose function does not wait, in seconds.
local PATIENCE = 0.1

local function ask(may_wait, seconds, name, ...)
  local reply = channel(1)
  local is_sent, message, code = core.send(reply, may_wait, seconds, name, ...)
  if not is_sent then return nil, message, code end
  return core.receive(reply, seconds)
end

--- Has the program call a function of the agent that does not wait.
-- @tparam string name "part.function"
-- @param ... plain values
-- @return true and its results; false, its error and the traceback; or nil, message, code:
-- "ETIMEDOUT" when the program does not answer, "CLOSED" when it ends
function program.ask(name, ...) return ask(false, PATIENCE, name, ...) end

--- The same for a function that may wait, for `seconds` at most: it has a task of its own. A program
-- that does not answer at all is found at once.
function program.ask_for(seconds, name, ...)
  local answers, message, code = program.ask "program.ping"
  if not answers then return answers, message, code end
  return ask(true, seconds + PATIENCE, name, ...)
end

local listeners = {}

--- Calls fn(...) at each event of that kind, in a task that calls the functions of all events: it
-- must not wait.
function program.on(kind, fn)
  listeners[kind] = listeners[kind] or {}
  table.insert(listeners[kind], fn)
end

local function hand_out(kind, ...)
  for _, fn in ipairs(listeners[kind] or {}) do fn(...) end
  return kind
end

--- Hands out the events until the program ends.
function program.listen()
  local events = core.events()
  while hand_out(core.next_event(events)) do end
end

return program
