--- Runs as programs hold them.
-- @submodule moonlet.durable

local setmetatable = setmetatable
local huge = math.huge
local max, min = math.max, math.min

local argument = require "moonlet.argument"
local encoding = require "moonlet.durable.encoding"
local failure = require "moonlet.durable.failure"
local task = require "moonlet.task"

local handles = {}

--- A run that was started.
-- @object DurableRun
-- @tfield string id
local DurableRun = {}
DurableRun.__index = DurableRun
DurableRun.__name = "durable.durablerun"

function handles.new(d, id) return setmetatable({ d = d, id = id }, DurableRun) end

-- How often is looked whether a run of another process has ended: first, and at most.
local SHORTEST, LONGEST = 0.01, 0.5

local function give(row)
  if row.status == "done" then return encoding.unpack(row.output) end
  if row.output then return failure.read(row.output) end
  return nil, row.message or row.cancel or row.status, row.code or "ECANCELED"
end

local function look(self)
  local d = self.d
  return d.db:row(d.engine.sql
    "SELECT status, output, message, code, cancel FROM moonlet_runs WHERE id = ?", self.id)
end

--- Waits for the run's end, in whatever process it runs.
-- @tparam[opt] number timeout seconds
-- @return its results; or nil, message, code: those that it failed with ("EFAILED" for an error),
-- "ECANCELED", "ETIMEDOUT", "ENOENT"
function DurableRun:result(timeout)
  argument.self(self, DurableRun, "result")
  if timeout ~= nil then argument.number(timeout, 1, "result") end
  local deadline, pause = task.now() + (timeout or huge), SHORTEST
  local signal <close> = self.d.signals:wait_for("r:" .. self.id)
  while true do
    local row, message, code = look(self)
    if code then return nil, message, code end
    if not row then return nil, "there is no such run", "ENOENT" end
    if row.status ~= "queued" and row.status ~= "running" then return give(row) end
    if task.now() >= deadline then return nil, "timeout", "ETIMEDOUT" end
    if self.d.is_virtual then pause = huge end -- nobody else has a database in memory
    local seconds = max(min(pause, deadline - task.now()), 0)
    signal:wait(seconds < huge and seconds or nil)
    pause = min(pause * 1.5, LONGEST)
  end
end

function DurableRun:__tostring() return "durable.run " .. self.id end

return handles
