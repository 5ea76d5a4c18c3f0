-- The debugger for a session on the inspector's thread: the functions of its engine as requests,
-- and its events.

local pcall = pcall

local agent = require "moonlet.inspect.agent"
local core = require "moonlet.inspect.agent.core"
local engine = require "moonlet.inspect.debugger"
local task = require "moonlet.task"

local debugger = {}

local session -- number of the one that is attached
local running = {} -- key -> task that carries out the request of that key

--- Begins a session. Code that may not wait stops, too: all tasks stand still then.
-- @tparam integer number of the session; its events have it
-- @treturn boolean true; or nil, message: another one is attached
function debugger.attach(number)
  local is_good, message = pcall(engine.attach, function(event)
    agent.tell("debugger", number, event)
  end)
  if not is_good then return nil, message end
  engine.stand(true)
  session = number
  return true
end

--- Ends it: the program goes on without hooks.
function debugger.detach(number)
  if session ~= number then return end
  session = nil
  engine.detach()
end

-- The task of a request is not the program's.
local function own()
  if core.may_wait() then engine.own() end
end

--- Calls a function of the engine. Never waits.
function debugger.call(name, ...)
  own()
  return engine[name](...)
end

local function finish(key, ...)
  running[key] = nil
  return ...
end

--- Calls a function of the engine that runs the program's code, which may wait unless the thread
-- stands still.
-- @tparam integer key for cancel()
function debugger.run(key, name, ...)
  own()
  if core.may_wait() then running[key] = task.current() end
  return finish(key, engine[name](...))
end

function debugger.cancel(key)
  if running[key] then running[key]:cancel "by the debugger" end
  running[key] = nil
end

return debugger
