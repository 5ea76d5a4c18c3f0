-- The debugger of the inspected program for sessions on the inspector's thread. They begin at /dap,
-- or with an adapter that has started the program.

local error, pairs, rawset, setmetatable, tostring = error, pairs, rawset, setmetatable, tostring

local core = require "moonlet.inspector.core"
local dap = require "moonlet.inspector.dap"
local net = require "moonlet.net"
local program = require "moonlet.inspector.program"
local reply = require "moonlet.inspector.reply"
local task = require "moonlet.task"

local debugger = {}

-- The time that the program has to answer; for requests that run its code; and for the end.
local PATIENCE, RUN_TIME, END_TIME = 10, 3600, 60

-- The functions that run the program's code.
local RUNS = {
  evaluate = true, set_variable = true, set_expression = true, variables = true, complete = true,
}

local sessions = {} -- number of a session -> the options of dap.serve()
local receivers = {} -- number of a session -> function that gets its events
local last_session, last_key = 0, 0

program.on("debugger", function(number, event)
  if receivers[number] then receivers[number](event) end
end)

-- The results of a request, or its error.
local function results(is_good, ...)
  if is_good then return ... end
  local message, code = ...
  if is_good == nil and code == "ETIMEDOUT" then message = "the program does not answer" end
  error(tostring(message), 0)
end

local Cancel = {}
Cancel.__index = Cancel

function Cancel:__close()
  if self.is_done then return end
  task.spawn({ daemon = true }, program.ask_patiently, END_TIME, "debugger.cancel", self.key)
end

local function call(name)
  return function(...)
    return results(program.ask_patiently(PATIENCE, "debugger.call", name, ...))
  end
end

local function finish(guard, ...)
  guard.is_done = true
  return results(...)
end

-- Cancelled here, it is cancelled there.
local function run(name)
  return function(...)
    last_key = last_key + 1
    local key <const> = last_key
    local guard <close> = setmetatable({ key = key }, Cancel)
    return finish(guard,
      program.ask_at_leisure(PATIENCE, RUN_TIME, "debugger.run", key, name, ...))
  end
end

local Engine = {}

-- Asks for each.
function Engine.__index(engine, name)
  local fn = RUNS[name] and run(name) or call(name)
  rawset(engine, name, fn)
  return fn
end

-- Ends the session, also if the visitor has left meanwhile. Once it is attached nothing else does.
function Engine:__close()
  receivers[self.number] = nil
  task.spawn({ daemon = true }, program.ask_patiently, END_TIME, "debugger.detach", self.number)
end

-- The functions of moonlet.inspect.debugger, of the inspected program.
local function new_engine()
  last_session = last_session + 1
  local number = last_session
  local engine = setmetatable({ number = number, own = function() end }, Engine)
  function engine.attach(tell) receivers[number] = tell end
  function engine.detach() receivers[number] = nil end
  return engine
end

local GREETING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dap\r\n\r\n"

local function terminate(ends)
  if ends then core.interrupt() end
end

local function attach(engine)
  return program.ask_patiently(PATIENCE, "debugger.attach", engine.number)
end

local function serve(stream, engine, opts)
  opts.engine, opts.finish = engine, terminate
  sessions[engine.number] = opts
  dap.serve(stream, opts)
  sessions[engine.number] = nil
end

--- Serves a session with an adapter.
-- @tparam ThreadChannel answer gets {true} when the client has set its breakpoints, or has gone;
-- {nil, message} when there is no session
-- @tparam string path of the adapter's Unix socket
-- @tparam integer main the number of the program's main task
function debugger.connect(answer, path, main)
  local is_told = false
  local function tell(...)
    if not is_told then answer:put({ ... }, 0) end
    is_told = true
  end
  local stream <close>, message = net.connect("unix:" .. path)
  if not stream then return tell(nil, message) end
  local engine <close> = new_engine()
  local answers, is_attached, why = attach(engine)
  if not answers then return tell(nil, tostring(is_attached)) end
  if not is_attached then return tell(nil, why) end
  serve(stream, engine, { main = main, configured = function() tell(true) end })
  tell(true)
end

--- The program has ended: tells it to all clients.
function debugger.stop()
  for _, opts in pairs(sessions) do
    if opts.session then
      opts.session:event("terminated")
      opts.session.close()
    end
  end
end

--- GET /dap with `Upgrade: dap`: from then on the connection is a session of the Debug Adapter
-- Protocol.
function debugger.handle(req, res)
  if (req.headers.upgrade or ""):lower() ~= "dap" then
    res.headers.upgrade = "dap"
    return reply.problem(426, "ask with Upgrade: dap, and speak the Debug Adapter Protocol then")
  end
  local engine <close> = new_engine()
  return reply.respond(function(is_attached, message)
    if not is_attached then return reply.problem(409, message) end
    local stream = res:hijack()
    if not stream or not stream:write(GREETING) then return end
    stream:set_timeout(nil)
    serve(stream, engine, {})
  end, attach(engine))
end

return debugger
