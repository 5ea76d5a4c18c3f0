--- Durable runs in specs.
-- @module moonlet.durable.testing

local assert, ipairs, setmetatable, tostring = assert, ipairs, setmetatable, tostring

local task = require "moonlet.task"
local test = require "moonlet.test"

local testing = {}

-- A database whose calls take no time of the virtual clock: that jumps when all tasks wait, and a
-- worker thread is nothing it knows of. While a call lasts, a task is always ready.
local Still = { __name = "durable.still" }
Still.__index = Still

local function spin(self)
  while self.calls > 0 do task.yield() end
  self.is_spinning = false
end

-- A call that lasts.
local Call = {}

function Call:__close() self.still.calls = self.still.calls - 1 end

local function begin(self)
  self.calls = self.calls + 1
  if not self.is_spinning then
    self.is_spinning = true
    task.spawn({ daemon = true, name = "durable clock" }, spin, self)
  end
  return setmetatable({ still = self }, Call)
end

for _, name in ipairs { "execute", "row", "value", "all", "rows", "script", "transaction" } do
  Still[name] = function(self, ...)
    local _ <close> = begin(self)
    return self.db[name](self.db, ...)
  end
end

function Still:close() self.db:close() end

function Still:__tostring() return tostring(self.db) end

--- Opens; see durable.test.
function testing.open(open, make_virtual, opts)
  local d = make_virtual(assert(open(":memory:", opts)))
  d.db = setmetatable({ db = d.db, calls = 0 }, Still)
  d.writer.db = d.db
  d.clock = test.virtual_clock()
  d.serving = task.spawn({ daemon = true, name = "durable test" }, d.serve, d)
  return d
end

--- Ends it.
function testing.close(d)
  local _ <close> = d.clock
  d.clock = nil
  task.shield(60, d.stop, d)
  d.serving:join(60)
end

return testing
