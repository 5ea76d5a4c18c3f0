--- Connections of HTTP/2, which carry many requests at a time. For moonlet's own modules.
-- @module moonlet.http.client.http2

local ipairs, setmetatable = ipairs, setmetatable
local table_remove = table.remove

local core = require "moonlet.http.client.core"
local task = require "moonlet.task"

local http2 = {}

-- A request's part of a connection: what it knows as its connection.
local Carried = {}
Carried.__index = Carried

-- The request is over; a stream that is not is reset. Never waits. Once.
function Carried:release()
  local shared = self.shared
  if not shared then return end
  self.shared = false
  if self.upload then self.upload:cancel() end
  self.x:drop()
  shared:release()
end

Carried.__gc = Carried.release -- a response that was neither read nor closed

local Shared = {}
Shared.__index = Shared

--- A place for a request.
function Shared:carry()
  local pool = self.pool
  local x = self.http2:exchange()
  local conn = setmetatable({ x = x, shared = false, upload = false,
    reused = self.is_used }, Carried)
  if self.requests == 0 then pool:unlist(self) end
  conn.shared, self.requests = self, self.requests + 1
  if self.is_used then pool.reused = pool.reused + 1 end
  self.is_used = true
  return conn
end

-- It has one request fewer.
function Shared:release()
  self.requests = self.requests - 1
  if self.requests == 0 and not self.is_gone then
    if self.http2:is_refusing() or not self.pool:keeps(self) then self:shut() end
  end
  if not self.is_gone then self.origin:wake() end
end

-- What an idle one of HTTP/1 is asked: one that had room would have been found before.
function Shared.is_idle() return false end

-- It is none of the pool's any more.
function Shared:leave()
  if self.is_gone then return end
  self.is_gone = true
  for i, shared in ipairs(self.origin.shared) do
    if shared == self then
      table_remove(self.origin.shared, i)
      break
    end
  end
  self.pool:unlist(self)
  self.pool.open = self.pool.open - 1
  self.origin:leave()
end

--- Ends it. Never waits.
function Shared:shut()
  self:leave()
  self.http2:close()
end

local Running = { __close = function(running) running.shared:shut() end }

local function spawn(self, name, run)
  -- The task itself might have no memory for this.
  local running = setmetatable({ shared = self, has_begun = false }, Running)
  task.spawn({ daemon = true, quiet = true, name = name }, function()
    running.has_begun = true
    local _ <close> = running
    run(self.http2)
  end):on_exit(function()
    if not running.has_begun then self:shut() end -- it was cancelled before, and closes nothing
  end)
end

--- A connection over a stream whose peer speaks HTTP/2; the place at the origin becomes its own. Or
-- nil, message, code.
function http2.open(stream, pool, origin, key)
  local connection, message, code = core.http2(stream)
  if not connection then return nil, message, code end
  local self = setmetatable({
    http2 = connection, stream = stream, pool = pool, origin = origin, key = key, requests = 0,
    is_used = false, since = 0, till = 0, is_gone = true, -- until nothing can fail any more
  }, Shared)
  spawn(self, "http/2 sender", connection.send)
  spawn(self, "http/2 receiver", connection.receive)
  origin.shared[#origin.shared + 1] = self
  self.is_gone = false
  pool.open, pool.made = pool.open + 1, pool.made + 1
  pool:keeps(self)
  return self
end

return http2
