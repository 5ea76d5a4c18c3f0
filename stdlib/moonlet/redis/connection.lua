-- One connection to Redis, for any number of tasks: what they ask goes out together, in their
-- order, and each gets its own replies. Knows no address twice: a broken one stays broken.

local getmetatable, setmetatable = getmetatable, setmetatable
local table_unpack, type = table.unpack, type

local net = require "moonlet.net"
local resp = require "moonlet.redis.resp"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local Connection = {}
Connection.__index = Connection

-- Requests that go out together. Their replies come to `replies`, in the future `done`.
-- @field is_sent the writer has taken them: Redis may have carried them out
local Exchange = {}
Exchange.__index = Exchange

local function next_exchange(self)
  local exchange = self.expected[self.first]
  if not exchange then return nil end
  self.expected[self.first] = nil
  self.first = self.first + 1
  return exchange
end

-- All that wait are told why.
function Connection:break_off(message, code)
  if self.broken then return end
  self.broken = { message, code }
  self.stream:close()
  self.has_output:set()
  for exchange in next_exchange, self do exchange.done:set(nil, message, code) end
  if self.on_push then self.on_push(nil, message, code) end
end

-- A push of RESP 3, or a message of a subscription of RESP 2.
local function take_push(self, reply)
  if not self.on_push then return true end -- such as "invalidate", which nobody asked for
  return self.on_push(reply)
end

local function take_reply(self, reply)
  local exchange = self.expected[self.first]
  if not exchange then
    self:break_off("a reply to nothing", "EPROTO")
    return false
  end
  local got = exchange.got + 1
  exchange.got = got
  exchange.replies[got] = reply
  if got == exchange.count then
    next_exchange(self)
    exchange.done:set(true)
  end
  return true
end

-- A connection of which one task has ended, however that came, serves nobody any more.
local Duty = { __close = function(duty) duty.connection:break_off("closed", "CLOSED") end }

local function read_all(self)
  local _ <close> = setmetatable({ connection = self }, Duty)
  local stream, read = self.stream, resp.read
  while true do
    local reply, is_push, code = read(stream)
    if reply == nil then return self:break_off(is_push, code) end
    self.heard = task.now()
    if is_push == true or self.is_subscribed and type(reply) == "table" then
      if not take_push(self, reply) then return end
    elseif not take_reply(self, reply) then
      return
    end
  end
end

local function write_all(self)
  local _ <close> = setmetatable({ connection = self }, Duty)
  while true do
    self.has_output:wait()
    self.has_output:clear()
    if self.broken then return end
    local pieces = self.output
    self.output = {}
    for i = 1, #self.unsent do self.unsent[i].is_sent = true end
    self.unsent = {}
    local ok, message, code = self.stream:write(pieces)
    if not ok then return self:break_off(message, code) end
  end
end

-- Puts requests, lists of texts, at the end of what goes out. count: of replies, that of the
-- requests without it. Never waits.
function Connection:send(requests, count)
  local exchange = setmetatable({
    count = count or #requests, got = 0, replies = {}, done = sync.future(), connection = self,
  }, Exchange)
  if self.broken then
    exchange.done:set(nil, table_unpack(self.broken))
    return exchange
  end
  for i = 1, #requests do resp.encode(requests[i], self.output) end
  self.last = self.last + 1
  self.expected[self.last] = exchange
  self.unsent[#self.unsent + 1] = exchange
  exchange.sent = task.now()
  self.has_output:set()
  return exchange
end

-- Waits for the replies: a list; or nil, message, code. If Redis has said nothing at all since the
-- requests went out, the connection is given up: it may lead to nobody any more.
function Exchange:get(timeout)
  local ok, message, code = self.done:get(timeout)
  if ok then return self.replies end
  local connection = self.connection
  if code == "ETIMEDOUT" and not connection.broken and connection.heard < self.sent then
    connection:break_off("no answer from the server", "ETIMEDOUT")
  end
  return nil, message, code
end

-- Whether all that was asked was answered: the connection can serve others.
function Connection:is_idle() return not self.broken and self.first > self.last end

function Connection:close() self:break_off("closed", "CLOSED") end

-- One request, to the end. Returns the reply; or nil, message, code.
local function ask(self, timeout, ...)
  local replies, message, code = self:send({ { ... } }):get(timeout)
  if not replies then return nil, message, code end
  if getmetatable(replies[1]) == resp.Refusal then
    return nil, replies[1].message, replies[1].code
  end
  return replies[1]
end

local function authenticate(self, options)
  if not options.password then return true end
  if options.user then return ask(self, options.timeout, "AUTH", options.user, options.password) end
  return ask(self, options.timeout, "AUTH", options.password)
end

-- Older servers know no HELLO; some refuse RESP 3.
local TOO_OLD = { NOPROTO = true, ERR = true }

local function agree(self, options)
  if options.protocol == 2 then return authenticate(self, options) end
  local words = { "HELLO", "3" }
  if options.password then
    words = { "HELLO", "3", "AUTH", options.user or "default", options.password }
  end
  local ok, message, code = ask(self, options.timeout, table_unpack(words))
  if ok ~= nil then
    self.protocol = 3
    return true
  end
  if not TOO_OLD[code] then return nil, message, code end
  return authenticate(self, options)
end

local function greet(self, options)
  local ok, message, code = agree(self, options)
  if ok == nil then return nil, message, code end
  if options.db and options.db ~= 0 then
    ok, message, code = ask(self, options.timeout, "SELECT", ("%d"):format(options.db))
    if ok == nil then return nil, message, code end
  end
  if options.name then ask(self, options.timeout, "CLIENT", "SETNAME", options.name) end
  if options.is_replica then ask(self, options.timeout, "READONLY") end
  return true
end

-- A connection that is being opened: closed unless it is complete, also by a cancellation.
local Opening = { __close = function(self) if self.connection then self.connection:close() end end }

local function dial(address, options)
  local opts = { timeout = options.timeout, tls = options.tls, nodelay = true, keepalive = true }
  if address.path then
    return net.connect("unix:" .. address.path, { timeout = options.timeout, tls = options.tls })
  end
  return net.connect(address.host, address.port, opts)
end

-- Opens a connection. Waits. Returns it; or nil, message, code.
function Connection.open(address, options)
  local stream, message, code = dial(address, options)
  if not stream then return nil, message, code end
  local self = setmetatable({
    stream = stream, expected = {}, first = 1, last = 0, output = {}, unsent = {},
    has_output = sync.event(), heard = task.now(), protocol = 2,
  }, Connection)
  local opening <close> = setmetatable({ connection = self }, Opening)
  task.spawn({ daemon = true, name = "redis reader" }, read_all, self)
  task.spawn({ daemon = true, name = "redis writer" }, write_all, self)
  local ok
  ok, message, code = greet(self, options)
  if not ok then return nil, message, code end
  opening.connection = nil
  return self
end

return Connection
