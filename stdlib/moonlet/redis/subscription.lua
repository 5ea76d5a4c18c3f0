--- @submodule moonlet.redis

local error, select, setmetatable = error, select, setmetatable
local table_unpack, type = table.unpack, type

local Connection = require "moonlet.redis.connection"
local argument = require "moonlet.argument"
local channel = require "moonlet.channel"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

-- Messages that wait for the task; then the server has to wait.
local MOST_UNREAD = 1000
local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2

local lost = setmetatable({}, { __tostring = function() return "(messages lost)" end })

--- What a subscriber gets. It is an iterator, and `<close>` closes it.
-- @object Subscription
local Subscription = { __name = "redis.subscription" }
Subscription.__index = Subscription

-- A push of the server's: a message, or the answer to a subscription. False: nobody wants more.
local function take(self, reply, message, code)
  if reply == nil then
    self.messages:put({ lost, message, code })
    self.is_down:set()
    return false
  end
  local kind = reply[1]
  if kind == "message" or kind == "smessage" then
    return self.messages:put({ reply[2], reply[3] })
  end
  if kind == "pmessage" then return self.messages:put({ reply[3], reply[4], reply[2] }) end
  if kind == self.verb and self.confirming then
    self.confirming.left = self.confirming.left - 1
    if self.confirming.left == 0 then self.confirming.done:set(true) end
  end
  return true
end

-- Subscribes on a connection to all names. true; or nil, message, code.
local function confirm(self, connection, names)
  local confirming = { left = #names, done = sync.future() }
  self.confirming = confirming
  local words = { self.verb:upper(), table_unpack(names) }
  -- A refusal is a reply; without one there are pushes only.
  local exchange = connection:send({ words })
  task.spawn({ daemon = true, name = "redis subscribe" }, function()
    local replies, message, code = exchange:get()
    local refusal = replies and replies[1]
    if refusal then message, code = refusal.message, refusal.code end
    confirming.done:set(nil, message, code)
  end)
  local ok, message, code = confirming.done:get(self.options.timeout)
  if not ok then return nil, message, code end
  connection.expected[connection.first] = nil -- pushes have answered
  connection.first = connection.last + 1
  return true
end

local function open_connection(self)
  local address, message, code = self.find(self.names[1])
  if not address then return nil, message, code end
  local connection
  connection, message, code = Connection.open(address, self.options)
  if not connection then return nil, message, code end
  connection.is_subscribed = true
  connection.on_push = function(...) return take(self, ...) end
  local ok
  ok, message, code = confirm(self, connection, self.names)
  if not ok then
    connection.on_push = nil
    connection:close()
    return nil, message, code
  end
  return connection
end

-- The task that connects again, for as long as the subscription is open.
local function keep_up(self)
  while not self.is_closed do
    self.is_down:wait()
    self.is_down:clear()
    local pause = FIRST_PAUSE
    while not self.is_closed do
      local connection = open_connection(self)
      if connection then
        self.connection = connection
        break
      end
      task.sleep(pause)
      pause = pause * 2 < LONGEST_PAUSE and pause * 2 or LONGEST_PAUSE
    end
  end
  if self.connection then self.connection:close() end
end

--- Waits for the next message.
-- @tparam[opt] number timeout seconds
-- @treturn string channel; `redis.lost` if the connection was lost and made again: messages may be
-- missing; or nil, message, code: "ETIMEDOUT", or "CLOSED"
-- @treturn string message
-- @treturn string the pattern, of `psubscribe`
function Subscription:receive(timeout)
  argument.self(self, Subscription, "receive")
  local item, message, code = self.messages:get(timeout)
  if not item then return nil, message, code end
  return item[1], item[2], item[3]
end

function Subscription:__call()
  local name, message, pattern = self:receive()
  if name ~= nil then return name, message, pattern end
end

--- Closes it: an iteration ends. Never waits.
function Subscription:close()
  argument.self(self, Subscription, "close")
  if self.is_closed then return end
  self.is_closed = true
  self.messages:close()
  if self.connection then
    self.connection.on_push = nil
    self.connection:close()
  end
  self.is_down:set()
  self.owner[self] = nil
end

Subscription.__close = Subscription.close

local subscription = { lost = lost }

-- Opens one. verb: "subscribe", "psubscribe" or "ssubscribe"; find(name): the address of the
-- server; owner: the set of those that a client has.
function subscription.open(verb, options, find, owner, ...)
  local names = { ... }
  if #names == 0 then error("a name of a channel expected", 3) end
  for i = 1, select("#", ...) do
    argument.check(type(names[i]) == "string", i, verb, "string expected")
  end
  local self = setmetatable({
    verb = verb, options = options, find = find, names = names, owner = owner,
    messages = channel.new(MOST_UNREAD), is_down = sync.event(),
  }, Subscription)
  local connection, message, code = open_connection(self)
  if not connection then return nil, message, code end
  self.connection = connection
  owner[self] = true
  task.spawn({ daemon = true, name = "redis subscription" }, keep_up, self)
  return self
end

return subscription
