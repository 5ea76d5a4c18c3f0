--- A client of the Debug Adapter Protocol, as the specs use it.
-- Loaded with dofile("tests/spec/inspect/dap_client.lua").

local schema = dofile "tests/spec/inspect/dap_schema.lua"
local json = require "moonlet.json"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"

local client = {}
client.__index = client

--- A client that writes to one stream and reads from another.
function client.new(writer, reader)
  return setmetatable({ writer = writer, reader = reader, last = 0, events = {}, answers = {}, output = {} }, client)
end

--- A file with that text. `local path <const>, file <close> = client.script(text)`
function client.script(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path, setmetatable({}, { __close = function() os.remove(path) end })
end

--- A client of a debug adapter. `local c <close> = client.start()`
-- @tparam[opt] table words its arguments; env
function client.start(words)
  local program = { os.getenv "MOONLET", "--debug", table.unpack(words or {}) }
  program.env = words and words.env
  program.stdin, program.stdout, program.stderr = "pipe", "pipe", "inherit"
  local child = assert(process.spawn(program))
  child.stdout:set_timeout(support.patience)
  local self = client.new(child.stdin, child.stdout)
  self.child = child
  return self
end

--- Ends the adapter, or the connection.
function client:close()
  if not self.child then return self.reader:close() end
  self.child:close()
  self.child:wait(support.patience)
end
client.__close = client.close

function client:raw(text) assert(self.writer:write(text)) end

function client:send(message)
  local body = assert(json.encode(message))
  self:raw("Content-Length: " .. #body .. "\r\n\r\n" .. body)
end

-- The next message of the server; each is checked.
function client:receive()
  local head = self.reader:read_until("\r\n\r\n")
  if not head then return nil end
  local message = assert(json.decode(self.reader:read_exactly(tonumber(head:match "Length: (%d+)"))))
  schema.check(message)
  if message.type == "event" and message.event == "output" then
    local category = message.body.category
    self.output[category] = (self.output[category] or "") .. message.body.output
  end
  return message
end

function client:request(command, arguments)
  self.last = self.last + 1
  self:send { seq = self.last, type = "request", command = command, arguments = arguments }
  return self.last
end

-- Keeps a message for whoever waits for it.
function client:keep(message)
  if message.type == "event" then self.events[#self.events + 1] = message end
  if message.type == "request" then self:carry_out(message) end
  if message.type == "response" then self.answers[message.request_seq] = message end
end

-- Requests of the server's: it has a command run in a terminal, which is a child without one here.
function client:carry_out(request)
  assert(request.command == "runInTerminal", request.command)
  local words = request.arguments.args
  words.stdin, words.stdout, words.stderr = "pipe", "pipe", "stdout"
  self.terminal = process.spawn(words)
  local success = self.terminal ~= nil
  self.last = self.last + 1
  self:send { seq = self.last, type = "response", request_seq = request.seq, command = request.command,
    success = success, message = not success and "no such command" or nil, body = success and {} or nil }
end

function client:answer(number)
  while not self.answers[number] do self:keep(assert(self:receive(), "the adapter has ended")) end
  return self.answers[number]
end

function client:ask(command, arguments) return self:answer(self:request(command, arguments)) end

function client:call(command, arguments)
  local answer = self:ask(command, arguments)
  assert(answer.success, answer.message)
  return answer.body
end

function client:await(event)
  while true do
    for i, one in ipairs(self.events) do
      if one.event == event then return table.remove(self.events, i).body or {} end
    end
    self:keep(assert(self:receive(), "the adapter has ended"))
  end
end

function client:stopped(reason, line)
  local body = self:await "stopped"
  local top = self:call("stackTrace", { threadId = body.threadId, levels = 1 }).stackFrames[1]
  if body.reason ~= reason or top.line ~= line then
    error(("stopped by %s at %d, not by %s at %d"):format(body.reason, top.line, reason, line), 2)
  end
  return body.threadId, top.id
end

return client
