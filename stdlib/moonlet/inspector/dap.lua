-- A server of the Debug Adapter Protocol: a session on a stream, with an engine: the functions of
-- moonlet.inspect.debugger, of this runtime or of another one.
-- Each task is a thread of the protocol; its number is the task's.

local ipairs, pairs, next, pcall, tostring, type = ipairs, pairs, next, pcall, tostring, type
local setmetatable, math_type, string_find = setmetatable, math.type, string.find

local json = require "moonlet.json"
local queue = require "moonlet.queue"
local task = require "moonlet.task"
local wire = require "moonlet.inspector.dap.wire"

local dap = {}

-- So many threads are told to the client: an editor lists them all.
local MOST_THREADS <const> = 500

dap.capabilities = {
  supportsConfigurationDoneRequest = true, supportsFunctionBreakpoints = true,
  supportsConditionalBreakpoints = true, supportsHitConditionalBreakpoints = true,
  supportsLogPoints = true, supportsEvaluateForHovers = true, supportsSetVariable = true,
  supportsSetExpression = true, supportsCompletionsRequest = true,
  supportsExceptionInfoRequest = true, supportsLoadedSourcesRequest = true,
  supportsBreakpointLocationsRequest = true,
  supportsCancelRequest = true, supportsTerminateRequest = true, supportTerminateDebuggee = true,
  supportsDelayedStackTraceLoading = true,
  exceptionBreakpointFilters = json.array {
    { filter = "uncaught", label = "Errors that end a task", default = true },
    { filter = "raised", label = "Errors that are caught" },
  },
}

-- ---- texts of the protocol from those of the engine ----

local function source_of(source)
  if not source then return nil end
  return { name = source.name, path = source.path, sourceReference = source.reference or 0 }
end

local function variable_of(one)
  return { name = tostring(one.name), value = one.value, type = one.type,
           variablesReference = one.handle, indexedVariables = one.indexed,
           namedVariables = one.named,
           presentationHint = one.lazy and { lazy = true } or nil }
end

local function list_of(items, convert)
  local list = json.array {}
  for i, one in ipairs(items) do list[i] = convert(one) end
  return list
end

local function breakpoint_of(one)
  return { id = one.id, verified = one.verified, line = one.line, message = one.message }
end

local function frame_of(frame)
  return { id = frame.id, name = frame.name, line = frame.line or 0, column = frame.line and 1 or 0,
           source = source_of(frame.source), presentationHint = frame.is_c and "subtle" or nil }
end

local function result_of(one)
  return { result = one.value, value = one.value, type = one.type, variablesReference = one.handle,
           indexedVariables = one.indexed, namedVariables = one.named }
end

-- ---- requests ----

-- Each gets the session and the arguments, and returns the body; nil, message on failure.
local requests = {}

local function engine_source(source)
  if type(source) ~= "table" then return nil end
  if math_type(source.sourceReference) == "integer" and source.sourceReference > 0 then
    return { reference = source.sourceReference }
  end
  return type(source.path) == "string" and { path = source.path } or nil
end

function requests.initialize(session, args)
  session.first = args.linesStartAt1 == false and 0 or 1
  return dap.capabilities
end

local function begin(session, args)
  session.engine.freeze(args.freezeDeadlines == true)
  session.stop_on_entry = args.stopOnEntry == true
  session:event("initialized")
  return {}
end

requests.launch, requests.attach = begin, begin

function requests.configurationDone(session)
  if session.stop_on_entry and session.main then session:stop_at_entry() end
  if session.configured then session.configured() end
  return {}
end

local function text_or_nil(value)
  return type(value) == "string" and value ~= "" and value or nil
end

function requests.setBreakpoints(session, args)
  local source = engine_source(args.source)
  if not source then return nil, "no source" end
  local wanted = {}
  for i, one in ipairs(args.breakpoints or {}) do
    if math_type(one.line) ~= "integer" then return nil, "a breakpoint without line" end
    wanted[i] = { line = one.line, condition = text_or_nil(one.condition),
      hit_condition = text_or_nil(one.hitCondition), log = text_or_nil(one.logMessage) }
  end
  return { breakpoints = list_of(session.engine.set_breakpoints(source, wanted), breakpoint_of) }
end

function requests.setFunctionBreakpoints(session, args)
  local wanted = {}
  for i, one in ipairs(args.breakpoints or {}) do
    if type(one.name) ~= "string" then return nil, "a breakpoint without name" end
    wanted[i] = { name = one.name, condition = text_or_nil(one.condition),
      hit_condition = text_or_nil(one.hitCondition) }
  end
  return { breakpoints = list_of(session.engine.set_function_breakpoints(wanted), breakpoint_of) }
end

function requests.setExceptionBreakpoints(session, args)
  local wanted = {}
  for _, filter in ipairs(args.filters or {}) do wanted[filter] = true end
  session.engine.set_exceptions(wanted.uncaught or false, wanted.raised or false)
  return {}
end

function requests.breakpointLocations(session, args)
  local source = engine_source(args.source)
  if not source or math_type(args.line) ~= "integer" then return nil, "no source or line" end
  local lines = session.engine.locations(source, args.line, args.endLine or args.line)
  return { breakpoints = list_of(lines, function(line) return { line = line } end) }
end

function requests.threads(session)
  return { threads = list_of(session.engine.tasks(MOST_THREADS), function(one)
    local name = "task #" .. one.id .. (one.name and " " .. one.name or "")
    local is_waiting = one.waits_for and one.state == "waiting"
    local state = is_waiting and "waits for " .. one.waits_for or one.state
    return { id = one.id, name = name .. " (" .. state .. ")" }
  end) }
end

function requests.stackTrace(session, args)
  local count = args.levels and args.levels > 0 and args.levels or 200
  local frames, total = session.engine.stack(args.threadId, args.startFrame or 0, count)
  return { stackFrames = list_of(frames, frame_of), totalFrames = total }
end

function requests.scopes(session, args)
  return { scopes = list_of(session.engine.scopes(args.frameId), function(one)
    return { name = one.name, variablesReference = one.handle, expensive = one.expensive,
             presentationHint = one.hint }
  end) }
end

function requests.variables(session, args)
  local list = session.engine.variables(args.variablesReference, args.filter, args.start,
    args.count)
  return { variables = list_of(list, variable_of) }
end

function requests.setVariable(session, args)
  local one, message = session.engine.set_variable(args.variablesReference, args.name, args.value)
  return one and result_of(one), message
end

function requests.setExpression(session, args)
  local one, message = session.engine.set_expression(args.frameId, args.expression, args.value)
  return one and result_of(one), message
end

function requests.evaluate(session, args)
  local text = args.expression
  if args.context == "hover" and string_find(text, "[(={]") then
    return nil, "not looked at: it may change something"
  end
  local one, message = session.engine.evaluate(args.frameId, text)
  return one and result_of(one), message
end

function requests.completions(session, args)
  local column = args.column - session.first
  local names, prefix = session.engine.complete(args.frameId, args.text:sub(1, column))
  return { targets = list_of(names, function(name)
    return { label = name, start = column - #prefix, length = #prefix }
  end) }
end

function requests.exceptionInfo(session, args)
  local text = session.engine.exception(args.threadId)
  if not text then return nil, "no error there" end
  return { exceptionId = "error", description = text, breakMode = "always" }
end

requests["continue"] = function(session, args)
  if session.paused_all then
    session.paused_all = false
    session.engine.resume_all()
    return { allThreadsContinued = true }
  end
  session.engine.resume(args.threadId, "continue")
  return { allThreadsContinued = false }
end

local function step(aim)
  return function(session, args)
    if not session.engine.resume(args.threadId, aim) then return nil, "the task is not stopped" end
    return {}
  end
end

requests.next, requests.stepIn, requests.stepOut = step "over", step "in", step "out"

function requests.pause(session, args)
  if args.threadId == 0 or args.threadId == nil then
    session.paused_all = true
    session.engine.pause()
    return {}
  end
  local about = session.engine.task(args.threadId)
  if not about then return nil, "no such task" end
  session.engine.pause(args.threadId)
  -- One that waits stands still already; it stops for good when its wait is over.
  if about.state == "waiting" then
    session:event("stopped",
      { reason = "pause", threadId = args.threadId, allThreadsStopped = false })
  end
  return {}
end

function requests.source(session, args)
  local reference = args.source and args.source.sourceReference or args.sourceReference
  local text, message = session.engine.source(reference)
  return text and { content = text }, message
end

function requests.loadedSources(session)
  return { sources = list_of(session.engine.sources(), source_of) }
end

function requests.cancel(session, args)
  local running = args.requestId and session.running[args.requestId]
  if running then running:cancel("by the debugger") end
  return {}
end

function requests.terminate(session)
  session.is_over = true
  return {}, nil, function() session.finish(true) end
end

function requests.disconnect(session, args)
  session.is_over = true
  return {}, nil, function() session.finish(args.terminateDebuggee == true) end
end

-- ---- events of the engine ----

-- None comes between a request and its answer: a task that goes on may stop before the client
-- knows that it went on.
local function told(session, event)
  if session.holds then
    session.held[#session.held + 1] = event
    return
  end
  if event.event == "output" then
    session:event("output", { category = event.category, output = event.text,
      source = source_of(event.source), line = event.line })
  elseif event.event == "stopped" then
    local hits = #event.hits > 0 and json.array(event.hits) or nil
    session:event("stopped", { reason = session:entry_reason(event), threadId = event.task,
      text = event.text, hitBreakpointIds = hits, allThreadsStopped = false,
      description = event.reason == "exception" and "Error" or nil })
  end
end

-- ---- the session ----

local methods = {}
methods.__index = methods

-- Messages are put into a queue, since an event may come where no wait is allowed.
function methods:send(message)
  self.last = self.last + 1
  message.seq = self.last
  self.outgoing:put(message, 0)
end

function methods:event(name, body)
  self:send { type = "event", event = name, body = body }
end

function methods:respond(request, body, message)
  local good = body ~= nil
  message = not good and (message or "failed") or nil
  if not good then
    body = { error = { id = 1, format = "{_text}", variables = { _text = message } } }
  end
  self:send { type = "response", request_seq = request.seq, command = request.command,
    success = good, message = message, body = next(body) ~= nil and body or nil }
end

function methods:stop_at_entry()
  self.is_entry = true
  self.engine.pause(self.main)
end

function methods:entry_reason(event)
  local is_entry = self.is_entry and event.task == self.main and event.reason == "pause"
  if is_entry then self.is_entry = false end
  return is_entry and "entry" or event.reason
end

local function carry_out(self, request)
  local handler = requests[request.command]
  local args = type(request.arguments) == "table" and request.arguments or {}
  if not handler then
    return self:respond(request, nil, "unknown command '" .. request.command .. "'")
  end
  local good, body, message, after = pcall(handler, self, args)
  if good then
    self:respond(request, body or nil, message)
    if after then after() end
  else
    self:respond(request, nil, tostring(body))
  end
end

local function carry_out_alone(self, request)
  self.holds = true
  carry_out(self, request)
  self.holds = false
  local held = self.held
  self.held = {}
  for _, event in ipairs(held) do told(self, event) end
end

-- Requests that run the program's code have a task of their own: they may wait.
local waiting = {
  evaluate = true, setVariable = true, setExpression = true, variables = true, completions = true,
}

local function dispatch(self, request)
  if request.type ~= "request" or type(request.command) ~= "string"
    or math_type(request.seq) ~= "integer" then
    self:event("output", { category = "important", output = "not a request of the protocol\n" })
  elseif not waiting[request.command] then
    carry_out_alone(self, request)
  else
    local function respond(_, ...)
      if self.running[request.seq] then
        self.running[request.seq] = nil
        self:respond(...)
      end
    end
    local running = task.spawn({ name = "debugger", daemon = true }, function()
      self.engine.own()
      carry_out({ respond = respond, first = self.first, engine = self.engine }, request)
    end)
    self.running[request.seq] = running
    -- Also if it was cancelled before its first step.
    running:on_exit(function() respond(self, request, nil, "cancelled") end)
  end
end

local function write_all(self, stream)
  self.engine.own()
  for message in self.outgoing:values() do
    if not wire.write(stream, message) then return end
  end
end

-- Detaches the engine, once.
local Guard = {}
Guard.__index = Guard
function Guard:__close()
  if self.is_done then return end
  self.is_done = true
  self.engine.detach()
end

--- Serves a session on a stream, until its end; then the program goes on without hooks.
-- @param stream of moonlet.net
-- @tparam table opts engine; main: the number of the task that stops at entry; configured(): called
-- when the client has set its breakpoints; finish(terminate): the session ends
-- @treturn boolean; nil and a message: another one is attached
function dap.serve(stream, opts)
  local self = setmetatable({ last = 0, outgoing = queue.new(), running = {}, main = opts.main,
    configured = opts.configured, finish = opts.finish, first = 1, engine = opts.engine,
    held = {} }, methods)
  local good, message = pcall(self.engine.attach, function(event) told(self, event) end)
  if not good then return nil, message end
  local guard <close> = setmetatable({ engine = self.engine }, Guard)
  self.engine.own()
  local writer = task.spawn({ name = "debugger", daemon = true }, write_all, self, stream)
  self.close = function()
    guard:__close()
    self.outgoing:close()
    writer:join(1)
    for _, running in pairs(self.running) do running:cancel("the session has ended") end
  end
  opts.session = self
  while not self.is_over do
    local request, what, goes_on = wire.read(stream)
    if request then
      dispatch(self, request)
    elseif what then
      self:event("output", { category = "important", output = what .. "\n" })
      if not goes_on then break end
    else
      break
    end
  end
  self.close()
  return true
end

return dap
