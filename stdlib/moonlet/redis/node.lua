-- One server: the connection that all tasks share, those that one task has for itself, and
-- reconnecting.

local math_random, next, setmetatable = math.random, next, setmetatable
local table_remove = table.remove

local Connection = require "moonlet.redis.connection"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local Node = {}
Node.__index = Node

-- Waits between attempts to connect, in seconds.
local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2

function Node.new(address, options)
  return setmetatable({
    address = address, options = options, opening = sync.mutex(), idle = {},
    leases = sync.semaphore(options.pool), loans = {},
  }, Node)
end

-- Failures that another attempt does not heal.
local FINAL = { WRONGPASS = true, NOAUTH = true, NOPERM = true, ERR = true, ETLS = true,
  EINVAL = true, CLOSED = true, EPROTO = true }

local function open_patiently(self)
  local pause = FIRST_PAUSE
  for attempt = 1, self.options.attempts do
    local connection, message, code
    if self.is_closed then return nil, "closed", "CLOSED" end
    connection, message, code = Connection.open(self.address, self.options)
    if connection or FINAL[code] or attempt == self.options.attempts then
      return connection, message, code
    end
    task.sleep(pause * (0.5 + math_random() / 2))
    pause = pause * 2 < LONGEST_PAUSE and pause * 2 or LONGEST_PAUSE
  end
end

-- The shared connection, opened if there is none. Waits. Or nil, message, code.
function Node:connection()
  if self.shared and not self.shared.broken then return self.shared end
  local _ <close> = self.opening:lock()
  if self.is_closed then return nil, "closed", "CLOSED" end
  if self.shared and not self.shared.broken then return self.shared end
  local connection, message, code = open_patiently(self)
  if not connection then return nil, message, code end
  if self.is_closed then
    connection:close()
    return nil, "closed", "CLOSED"
  end
  self.shared = connection
  return connection
end

-- A connection that one task has for itself. It is given back if all was answered, and closed if
-- not: an answer that is still to come would be taken for another one.
local Loan = {}

function Loan:__close(err)
  local connection, node = self.connection, self.node
  node.loans[connection] = nil
  if err == nil and not self.is_spoiled and connection:is_idle() and not node.is_closed then
    node.idle[#node.idle + 1] = connection
  else
    connection:close()
  end
end

-- Returns fn(connection, loan) with a connection for that call alone; or nil, message, code. Waits
-- for a place in the pool. Setting loan.is_spoiled has the connection closed afterwards.
function Node:with_own(fn)
  local permit <close>, message, code = self.leases:hold()
  if not permit then return nil, message, code end
  local connection = table_remove(self.idle)
  while connection and connection.broken do connection = table_remove(self.idle) end
  if not connection then connection, message, code = open_patiently(self) end
  if not connection then return nil, message, code end
  local loan <close> = setmetatable({ node = self, connection = connection }, Loan)
  self.loans[connection] = true
  return fn(connection, loan)
end

function Node:close()
  self.is_closed = true
  self.leases:close()
  if self.shared then self.shared:close() end
  for connection in next, self.loans do connection:close() end
  while #self.idle > 0 do table_remove(self.idle):close() end
end

return Node
