--- LISTEN: notifications, on a connection of their own that comes back by itself.
-- @submodule moonlet.postgres

local argument = require "moonlet.argument"
local task = require "moonlet.task"

local setmetatable = setmetatable
local math_min = math.min

local listener = {}

--- Notifications of channels: `for n in listener do`; `n.channel`, `n.payload`, `n.pid` of the
-- server's process that sent it. After the connection was lost and has come back `n.gap` is true:
-- notifications may have been missed, so look at the tables. `<close>` ends it.
-- @object Notifications
local Notifications = {}
Notifications.__index = Notifications
Notifications.__name = "postgres.notifications"

-- The first and the last pause between two attempts to connect again, in seconds.
local SHORTEST, LONGEST = 0.05, 2

local COUNT = 0

local function quoted(name)
  return '"' .. name:gsub('"', '""') .. '"'
end

-- A connection that listens; or nil, message, code.
local function connect(self)
  local connection, message, code = self.connect()
  if not connection then return nil, message, code end
  local closing <close> = setmetatable({}, { __close = function(guard)
    if not guard.is_good then connection:close() end
  end })
  for i = 1, #self.channels do
    local sql = "LISTEN " .. quoted(self.channels[i])
    local ok, why, why_code = connection.raw:run(sql, nil, nil, "", COUNT)
    if not ok then return nil, why, why_code end
  end
  closing.is_good = true
  return connection
end

-- Begins to listen.
-- @tparam function connect_one -> a connection; or nil, message, code
-- @tparam {string} channels
-- @treturn Notifications or nil, message, code
function listener.open(connect_one, channels)
  local self = setmetatable({ connect = connect_one, channels = channels }, Notifications)
  local connection, message, code = connect(self)
  if not connection then return nil, message, code end
  self.connection = connection
  return self
end

-- Connects again, until that works, the deadline has passed or the listener is closed.
local function reconnect(self, deadline)
  local pause = SHORTEST
  self.connection:close()
  while not self.is_closed do
    local connection = connect(self)
    if connection then
      self.connection = connection
      if self.is_closed then connection:close() end
      return not self.is_closed
    end
    local left = deadline and deadline - task.now()
    if left and left <= 0 then return false end
    task.sleep(left and math_min(left, pause) or pause)
    pause = math_min(pause * 2, LONGEST)
  end
  return false
end

--- The next notification. Waits.
-- @tparam[opt] number timeout seconds
-- @treturn table or nil, message, code: "ETIMEDOUT", "CLOSED"
function Notifications:next(timeout)
  argument.self(self, Notifications, "next")
  if timeout ~= nil then argument.number(timeout, 1, "next") end
  local deadline = timeout and task.now() + timeout
  if self.is_closed then return nil, "closed", "CLOSED" end
  local channel, payload, pid = self.connection.raw:notification(timeout)
  if channel then return { channel = channel, payload = payload, pid = pid } end
  if self.is_closed then return nil, "closed", "CLOSED" end
  if pid == "ETIMEDOUT" then return nil, "timeout", "ETIMEDOUT" end
  if reconnect(self, deadline) then return { gap = true } end
  if self.is_closed then return nil, "closed", "CLOSED" end
  return nil, "timeout", "ETIMEDOUT"
end

function Notifications:__call()
  return (self:next())
end

--- Ends it. Idempotent, never waits.
function Notifications:close()
  argument.self(self, Notifications, "close")
  self.is_closed = true
  self.connection:close()
end

Notifications.__close = Notifications.close

function Notifications:__tostring()
  return self.is_closed and "postgres.notifications (closed)" or "postgres.notifications (open)"
end

return listener
