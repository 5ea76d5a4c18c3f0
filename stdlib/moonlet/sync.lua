--- Synchronisation between tasks. Waiting tasks are served in the order in which they came; a wait
-- that timed out or was cancelled has taken nothing.
-- @module moonlet.sync

-- Mutex, Semaphore, Event and Condition are in runtime/bindings/sync/.

local setmetatable = setmetatable
local table_pack, table_unpack = table.pack, table.unpack

local argument = require "moonlet.argument"
local core = require "moonlet.sync.core"

--- Values, or an error, that are given once and waited for by any number of tasks.
-- @object Future
local Future = {}
Future.__index = Future
Future.__name = "sync.future"

--- Makes a future: one task will give its values, or an error, once, and any number may wait for
-- them.
-- @function future
-- @treturn Future
function core.future()
  return setmetatable({ ended = core.event() }, Future)
end

local function settle(self, code, ...)
  if self.results then return false end
  self.results, self.code = table_pack(...), code
  self.ended:set()
  return true
end

--- Gives the values. Never waits.
-- @param ... any values
-- @treturn boolean false: it has its values or its error already, and keeps them
function Future:set(...)
  argument.self(self, Future, "set")
  return settle(self, nil, ...)
end

--- Gives an error instead. Never waits.
-- @param err any value
-- @treturn boolean as set()
function Future:fail(err)
  argument.self(self, Future, "fail")
  return settle(self, "EFAILED", err)
end

--- Waits for the values.
-- @tparam[opt] number timeout seconds
-- @return the values; or nil, the error, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
function Future:get(timeout)
  argument.self(self, Future, "get")
  if timeout ~= nil then argument.number(timeout, 1, "get") end
  local ok, message, code = self.ended:wait(timeout)
  if not ok then return nil, message, code end
  if self.code then return nil, self.results[1], self.code end
  return table_unpack(self.results, 1, self.results.n)
end

-- The object that channel.select waits for instead of a future, and the function that then returns
-- the values.
Future.__select = { get = { "ended", "wait", function(self) return self:get(0) end } }

function Future:__tostring()
  local state = self.code and "failed" or self.results and "set" or "not set"
  return ("sync.future (%s)"):format(state)
end

return core
