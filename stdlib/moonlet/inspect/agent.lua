-- The inspected runtime's side of its inspector: carries out what that asks for, and tells it of
-- events. Loaded at the first use of either. Each part of it is a module of its own,
-- moonlet.inspect.agent.PART, whose functions are called by requests named "PART.FUNCTION".
-- @module moonlet.inspect.agent

local error, pcall, require, type = error, pcall, require, type
local huge = math.huge

local core = require "moonlet.inspect.agent.core"
local channel = require("moonlet.thread").channel

local agent = {}

-- How long an inspector has to begin, in seconds, and between two looks whether it has ended.
local PATIENCE, LOOK = 10, 0.1

--- Carries out a request; for bindings/inspect/agent.c. Raises what its function raises.
function agent.answer(name, ...)
  local part, field = name:match "^([%w_]+)%.([%w_]+)$"
  local is_there, functions = false, nil
  if part then is_there, functions = pcall(require, "moonlet.inspect.agent." .. part) end
  local fn = is_there and functions[field]
  if type(fn) ~= "function" then error("the agent has no function '" .. name .. "'", 0) end
  return fn(...)
end

--- Tells the inspector of an event: plain values, that is those that a thread's call can copy.
-- Never waits.
-- @tparam string kind
-- @treturn boolean whether it is on its way; false: there is no inspector, or no room for it
function agent.tell(kind, ...) return core.tell(kind, ...) end

--- Where no task may wait: the thread serves requests, and does nothing else, until one calls
-- agent.go_on(). Only requests whose function does not wait are served.
-- @treturn boolean false: there is no inspector any more, or the program is to end
function agent.stand_still() return core.stand_still() end

--- For functions of requests: the thread that stands still goes on.
function agent.go_on() core.go_on() end

-- Asks the inspector, which is started first, for something; waits so long for its answer.
local function ask(seconds, kind, ...)
  require "moonlet.inspect.agent.program" -- so that the first answer takes no longer
  local is_there, message, code = core.start()
  if not is_there then return nil, message, code end
  local reply = channel(1)
  if not core.tell(kind, reply, ...) then return nil, "the inspector has ended", "CLOSED" end
  local answer
  for _ = 1, seconds / LOOK do
    answer, message, code = reply:get(LOOK)
    if answer or code ~= "ETIMEDOUT" then break end
    if not core.has_inspector() then return nil, "the inspector has ended", "CLOSED" end
  end
  if not answer then return nil, message, code end
  return answer[1], answer[2], answer[3]
end

--- Asks the inspector, which is started first, for something; waits for its answer.
-- @tparam string kind of the event
-- @return what it answers, or nil, message, code
function agent.ask(kind, ...) return ask(PATIENCE, kind, ...) end

--- The same for what people take part in: waits as long as there is an inspector.
function agent.ask_at_leisure(kind, ...) return ask(huge, kind, ...) end

return agent
