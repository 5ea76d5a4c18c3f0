--- What requests to one origin have in common: how many connections there may be, those that carry
-- many requests at a time, and the order in which requests wait. For moonlet's own modules.
-- @module moonlet.http.client.origin

local ipairs, setmetatable = ipairs, setmetatable
local table_insert, table_remove = table.insert, table.remove

local sync = require "moonlet.sync"

local origin = {}

local Origin = {}
Origin.__index = Origin

--- An origin. limit: connections at most; nil: any number. over(): it is of no use any more.
function origin.new(limit, over)
  return setmetatable({
    limit = limit, over = over, used = 0, users = 0, shared = {}, waiting = {},
    dial = nil, is_http1 = false,
  }, Origin)
end

--- A connection that many requests share and that has room for another; nil: there is none.
function Origin:room()
  for _, shared in ipairs(self.shared) do
    if shared.http2:has_room() then return shared end
  end
end

--- Whether a request may take or make a connection of its own. While it is not known yet which
-- version the origin speaks, one request finds out and the others wait for it.
function Origin:has_place()
  return not self.dial and (not self.limit or self.used < self.limit)
end

--- Takes a place: of a connection in use.
function Origin:enter() self.used = self.used + 1 end

--- Gives it back.
function Origin:leave()
  self.used = self.used - 1
  self:wake()
  self:end_if_over()
end

function Origin:end_if_over()
  if self.used == 0 and self.users == 0 then self.over() end
end

--- Lets the first that waits look again, if it could go on.
function Origin:wake()
  if self.waiting[1] and (self:room() or self:has_place()) then
    table_remove(self.waiting, 1).event:set()
  end
end

--- A request that finds out which version the origin speaks.
function Origin:begin_dial()
  self.dial = {}
  return self.dial
end

--- It has ended. failure: {message, code} for all that have waited for it; nil: it was cancelled,
-- or went well, and the next looks for itself.
function Origin:end_dial(dial, failure)
  if self.dial ~= dial then return end
  self.dial, dial.failure = nil, failure
  if not failure then return self:wake() end
  for _, entry in ipairs(self.waiting) do entry.event:set() end
  self.waiting = {}
end

local Waiting = { __close = function(entry)
  local list = entry.origin.waiting
  for i = 1, #list do
    if list[i] == entry then
      table_remove(list, i)
      return
    end
  end
  if not entry.is_served then entry.origin:wake() end -- its turn is the next one's
end }

--- Waits for a turn, first come, first served; has_waited: it had one already, in vain. true; or
-- nil, message, code.
function Origin:wait(seconds, has_waited)
  local entry <close> = setmetatable({ origin = self, event = sync.event() }, Waiting)
  local dial = self.dial
  table_insert(self.waiting, has_waited and 1 or #self.waiting + 1, entry)
  local ok, message, code = entry.event:wait(seconds)
  if not ok then return nil, message, code end
  entry.is_served = true
  local failure = dial and dial.failure
  if failure then return nil, failure[1], failure[2] end
  return true
end

return origin
