--- What tasks of this process wait for: a name, and an event for all that wait for it.
-- @module moonlet.durable.signals

local pairs, setmetatable = pairs, setmetatable

local sync = require "moonlet.sync"

local signals = {}

local Signals = {}
Signals.__index = Signals

-- A wait for a signal: closing it forgets the name, unless others wait for it.
local Wait = {}
Wait.__index = Wait

function signals.new() return setmetatable({ entries = {} }, Signals) end

--- Begins to wait for a name: what happens from now on ends `wait.event:wait()`.
-- @treturn table to be closed
function Signals:wait_for(name)
  local entry = self.entries[name]
  if not entry then
    entry = { event = sync.event(), users = 0 }
    self.entries[name] = entry
  end
  entry.users = entry.users + 1
  return setmetatable({ signals = self, name = name, entry = entry }, Wait)
end

--- Waits until the name is set, at most so many seconds. Whether it was is looked at by the caller.
function Wait:wait(seconds)
  self.entry.event:wait(seconds)
  local entries = self.signals.entries
  if self.entry.event:is_set() then -- for the next time, another event
    self.entry.users = self.entry.users - 1
    self.entry = entries[self.name]
    if not self.entry then
      self.entry = { event = sync.event(), users = 0 }
      entries[self.name] = self.entry
    end
    self.entry.users = self.entry.users + 1
  end
end

function Wait:__close()
  local entry, entries = self.entry, self.signals.entries
  entry.users = entry.users - 1
  if entry.users == 0 and entries[self.name] == entry then entries[self.name] = nil end
end

--- Wakes all that wait for a name.
function Signals:set(name)
  local entry = self.entries[name]
  if not entry then return end
  self.entries[name] = nil
  entry.event:set()
end

--- Whether anybody waits for a name.
function Signals:has(name) return self.entries[name] ~= nil end

--- The names that begin with a prefix, without it.
function Signals:names(prefix)
  local list = {}
  for name in pairs(self.entries) do
    if name:sub(1, #prefix) == prefix then list[#list + 1] = name:sub(#prefix + 1) end
  end
  return list
end

return signals
