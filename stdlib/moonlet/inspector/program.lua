-- The inspected program, as its inspector sees it: asks it, and hears its events.

local ipairs, table = ipairs, table
local pack, unpack = table.pack, table.unpack

local core = require "moonlet.inspector.core"
local channel = require("moonlet.thread").channel
local now = require("moonlet.task").now

local program = {}

-- The longest that an answer may take whose function does not wait, in seconds; how long the
-- program has to come to a switch; the time between two tries to find code that computes.
local PATIENCE, SWITCH, POKE = 0.1, 0.02, 0.005

-- Waits for the answer of a function that does not wait. A program that does not come to a switch
-- answers at its next Lua instruction.
local function await(reply, seconds)
  local deadline, step = now() + seconds, SWITCH
  local results
  repeat
    results = pack(core.receive(reply, step))
    if results[1] ~= nil or results[3] ~= "ETIMEDOUT" then break end
    core.poke()
    step = POKE
  until now() >= deadline
  return unpack(results, 1, results.n)
end

local function ask(may_wait, seconds, name, ...)
  local reply = channel(1)
  local is_sent, message, code = core.send(reply, may_wait, seconds, name, ...)
  if not is_sent then return nil, message, code end
  if may_wait then return core.receive(reply, seconds) end
  return await(reply, seconds)
end

--- Has the program call a function of the agent that does not wait.
-- @tparam string name "part.function"
-- @param ... plain values
-- @return true and its results; false, its error and the traceback; or nil, message, code:
-- "ETIMEDOUT" when the program does not answer, "CLOSED" when it ends
function program.ask(name, ...) return ask(false, PATIENCE, name, ...) end

--- The same for a function that may wait, for `seconds` at most: it has a task of its own. A
-- program that does not answer at all is found at once.
function program.ask_for(seconds, name, ...)
  local answers, message, code = program.ask "program.ping"
  if not answers then return answers, message, code end
  return ask(true, seconds + PATIENCE, name, ...)
end

--- The same, but the program has `seconds` to answer: for what must not be lost.
function program.ask_patiently(seconds, name, ...) return ask(false, seconds, name, ...) end

--- The same for a function that may wait, but need not: code that computes calls it, too.
function program.ask_somehow(seconds, name, ...)
  local answers, message, code = program.ask "program.ping"
  if not answers then return answers, message, code end
  return ask(message == "inspector", seconds + PATIENCE, name, ...)
end

--- The same, but the program has `patience` seconds to answer at all.
function program.ask_at_leisure(patience, seconds, name, ...)
  local answers, message, code = program.ask_patiently(patience, "program.ping")
  if not answers then return answers, message, code end
  return ask(message == "inspector", seconds, name, ...)
end

--- How many events were dropped.
function program.lost() return core.lost() end

-- How long a look at a program that does not answer serves all who ask, in seconds.
local LOOK = 0.5
local last_look

--- What the program's thread does while it does not answer.
-- @treturn table `computes`; `call`, the function in which it waits in the kernel; `frames`, its
-- machine code's, the innermost first: "nanosleep (libc.so.6)"; `at`, when that was so. nil: it has
-- ended
function program.look()
  if last_look and now() - last_look.at < LOOK then return last_look end
  last_look = core.look()
  if last_look then last_look.at = now() end
  return last_look
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
