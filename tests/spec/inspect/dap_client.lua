--- A client of the Debug Adapter Protocol, as the specs use it.
-- Loaded with dofile("tests/spec/inspect/dap_client.lua").

local schema = dofile "tests/spec/inspect/dap_schema.lua"
local json = require "moonlet.json"

local client = {}
client.__index = client

--- A client that writes to one stream and reads from another.
function client.new(writer, reader)
  return setmetatable({ writer = writer, reader = reader, last = 0, events = {}, answers = {}, output = {} }, client)
end

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
  if message.type == "response" then self.answers[message.request_seq] = message end
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
