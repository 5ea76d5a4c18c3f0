-- `moonlet --debug`: a debug adapter on stdin and stdout, as editors start it. The program that
-- `launch` names is a child, and what it writes becomes events; or the client's terminal runs it.
-- `attach` names one that runs already. Messages between the client and the program's inspector are
-- passed on.

local arg, io_stderr, io_stdin, io_stdout, os_exit = arg, io.stderr, io.stdin, io.stdout, os.exit
local assert, ipairs, next, pairs, tostring, type = assert, ipairs, next, pairs, tostring, type
local getmetatable, remove, setmetatable = getmetatable, table.remove, setmetatable

local attach = require "moonlet.inspector.attach"
local dap = require "moonlet.inspector.dap"
local fs = require "moonlet.fs"
local json = require "moonlet.json"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"
local terminal = require "moonlet.terminal"
local wire = require "moonlet.inspector.dap.wire"

local adapter = {}

-- The longest that the child may take to connect, and to end when it is asked to, in seconds.
local PATIENCE <const>, END <const> = 10, 5

-- Standard input as wire.read() wants it.
local input = {}

function input.read_until(_, _, most)
  local head = ""
  repeat
    local line = io_stdin:read "L"
    if not line then return nil end
    head = head .. line
    if #head > most then return nil, "too long", "EMSGSIZE" end
  until line == "\r\n" or line == "\n"
  return head:sub(1, -3) .. "\r\n"
end

function input.read_exactly(_, count)
  local body = count == 0 and "" or io_stdin:read(count)
  return body and #body == count and body or nil
end

local output = {}

function output.write(_, ...)
  io_stdout:write(...)
  return io_stdout:flush()
end

local last = 0 -- number of the last message to the client

local function send(message)
  last = last + 1
  message.seq = last
  wire.write(output, message)
end

local function event(name, body)
  send { type = "event", event = name, body = body }
end

local function respond(request, body, message)
  if message then
    body = { error = { id = 1, format = "{_text}", variables = { _text = message } } }
  end
  send { type = "response", request_seq = request.seq, command = request.command,
    success = not message, message = message, body = body and next(body) and body or nil }
end

local function read_request()
  while true do
    local request, what, goes_on = wire.read(input)
    if request then return request end
    if what then event("output", { category = "important", output = what .. "\n" }) end
    if not what or not goes_on then return nil end
  end
end

-- ---- the program ----

-- A program of which the adapter has the stream alone.
local Remote = {}
Remote.__index = Remote

local function is_remote(child) return getmetatable(child) == Remote end

function Remote:wait() self.messages:join() end

-- The client has gone. One that was started for it ends.
function Remote:close()
  if not self.ends then return self.stream:close() end
  wire.write(self.stream, { seq = last, type = "request", command = "disconnect",
    arguments = { terminateDebuggee = true } })
end

local function environment(args)
  local changes = {}
  for name, value in pairs(type(args.env) == "table" and args.env or {}) do
    changes[name] = tostring(value)
  end
  return changes
end

local function command(args, path)
  local list = { adapter.program, "--debug=" .. path }
  for _, option in ipairs(args.runtimeArgs or {}) do list[#list + 1] = option end
  list[#list + 1] = args.program or adapter.script
  for _, one in ipairs(args.args or adapter.arguments) do list[#list + 1] = tostring(one) end
  return list
end

-- Starts it as a child and waits until it has connected. The child and the stream; nil, message.
local function start_child(args, words, listener)
  words.stdin, words.stdout, words.stderr = "null", "pipe", "pipe"
  words.cwd, words.env, words.kill_after = args.cwd, process.env(environment(args)), END
  local child, message = process.spawn(words)
  if not child then return nil, message end
  local stream
  stream, message = listener:accept(PATIENCE)
  if not stream then
    child:close()
    return nil, message
  end
  return child, stream
end

local early = {} -- requests that came while an answer of the client's was awaited

local function await_answer(number)
  local message
  repeat
    message = wire.read(input)
    local is_answer = message and message.type == "response" and message.request_seq == number
    if message and message.type == "request" then early[#early + 1] = message end
  until not message or is_answer
  return message or { message = "the client has gone" }
end

-- The same in a terminal of the client's.
local function start_in_terminal(args, words, listener)
  send { type = "request", command = "runInTerminal", arguments = {
    kind = args.console == "externalTerminal" and "external" or "integrated", title = "moonlet",
    cwd = args.cwd or "", args = json.array(words), env = environment(args),
  } }
  local answer = await_answer(last)
  if not answer.success then return nil, answer.message or "the client has no terminal" end
  local stream, message = listener:accept(PATIENCE)
  if not stream then return nil, message end
  return setmetatable({ stream = stream, ends = true }, Remote), stream
end

local function start(args, directory, client)
  local path = directory .. "/socket"
  local listener <close> = assert(net.listen("unix:" .. path))
  if not (args.program or adapter.script) then return nil, "launch: no program" end
  local words = command(args, path)
  local is_asked = args.console == "integratedTerminal" or args.console == "externalTerminal"
  local is_possible = is_asked and client.supportsRunInTerminalRequest
  return (is_possible and start_in_terminal or start_child)(args, words, listener)
end

-- One that runs already, at its inspector.
local function join(args)
  local target = adapter.target or args.address or args.processId or args.pid
  if not target then return nil, "attach: no processId, and no address" end
  local stream, message = attach.debug(tostring(target))
  if not stream then return nil, message end
  return setmetatable({ stream = stream }, Remote), stream
end

local function pass_output(category, stream)
  return task.spawn({ name = category }, function()
    for text in function() return stream:read_some() end do
      event("output", { category = category, output = text })
    end
  end)
end

local pending = {} -- requests that were passed on, by number

local function pass_messages(stream)
  return task.spawn({ name = "messages" }, function()
    for message in function() return (wire.read(stream)) end do
      local is_answer, number = message.type == "response", message.request_seq
      local is_awaited = not is_answer or pending[number] ~= nil
      if is_answer and is_awaited then pending[number] = nil end
      if is_awaited and message.event ~= "terminated" then send(message) end
    end
  end)
end

local lets_go_on = { continue = true, next = true, stepIn = true, stepOut = true, terminate = true }

-- The program has ended, perhaps before it could answer.
local function answer_pending()
  for _, request in pairs(pending) do
    if lets_go_on[request.command] then
      respond(request, { allThreadsContinued = false })
    else
      respond(request, nil, "the program has ended")
    end
  end
end

-- ---- the session ----

-- Answers initialize; returns that request and the next but that which launches or attaches.
local function await_launch()
  local first
  for request in read_request do
    if request.command == "initialize" then
      first = request
      respond(request, dap.capabilities)
    elseif request.command == "launch" or request.command == "attach" then
      return first or { seq = 0, type = "request", command = "initialize" }, request
    elseif request.command == "disconnect" then
      respond(request, {})
      return nil
    else
      respond(request, nil, "not before launch or attach")
    end
  end
end

local function leave(child, stream, request)
  local args = type(request.arguments) == "table" and request.arguments or {}
  local ends = args.terminateDebuggee
  if ends == nil then ends = not is_remote(child) or child.ends end
  respond(request, {})
  request.arguments = { terminateDebuggee = ends }
  if ends and not is_remote(child) then child:close() else wire.write(stream, request) end
end

local function next_request() return remove(early, 1) or read_request() end

-- Passes requests on until the client has gone, or wants the end.
local function pass_requests(child, stream)
  for request in next_request do
    if request.command == "disconnect" then
      return leave(child, stream, request)
    elseif adapter.has_ended then
      respond(request, nil, "the program has ended")
    else
      pending[request.seq or 0] = request
      wire.write(stream, request)
    end
  end
  child:close()
end

local function run(directory)
  local first, launch = await_launch()
  if not launch then return end
  local args = type(launch.arguments) == "table" and launch.arguments or {}
  local is_attach = launch.command == "attach" or adapter.target
  local child, stream = (is_attach and join or start)(args, directory, first.arguments or {})
  if not child then
    respond(launch, nil, stream)
    return event("terminated")
  end
  wire.write(stream, first)
  wire.read(stream) -- its answer to that
  pending[launch.seq or 0] = launch
  wire.write(stream, launch)
  local outputs = {}
  if not is_remote(child) then
    outputs = { pass_output("stdout", child.stdout), pass_output("stderr", child.stderr) }
  end
  local messages = pass_messages(stream)
  if is_remote(child) then child.messages = messages end
  local requests = task.spawn({ name = "requests" }, pass_requests, child, stream)
  local ended = child:wait()
  adapter.has_ended = true
  for _, one in ipairs(outputs) do one:join(1) end
  messages:join(1)
  answer_pending()
  if ended then event("exited", { exitCode = ended.status or 128 }) end
  event("terminated")
  requests:join(END)
end

--- Serves one session.
-- @tparam boolean has_script the command line has a script: the program, unless `launch` names one
-- @tparam ?string target the program to attach to, whatever the client says
function adapter.run(has_script, target)
  adapter.target = target
  if terminal.is(io_stdin) then
    io_stderr:write("--debug speaks the Debug Adapter Protocol with an editor that starts it; ",
      "docs/guide-debug.md has configurations of editors\n")
  end
  adapter.program = assert(fs.readlink("/proc/self/exe"))
  adapter.script = has_script and arg[0] or nil
  adapter.arguments = has_script and arg or {}
  local directory <close> = assert(fs.temp_dir())
  run(directory.path)
  os_exit(0, true)
end

return adapter
