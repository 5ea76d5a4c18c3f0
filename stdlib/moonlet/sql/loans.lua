--- Connections on loan: each from a pool, for one task at a time.
-- @module moonlet.sql.loans

local ipairs, pairs, setmetatable = ipairs, pairs, setmetatable

local task = require "moonlet.task"
local protected = task.pcall -- pcall that returns a cancellation, too

local loans = {}

-- A pool of connections (moonlet.pool), in front of which stand those that are warm: leased, and
-- idle. To take a warm one costs a tenth of a lease.
local Source = {}
Source.__index = Source

-- A loan goes back when it is closed, and its connection is closed if it is not whole any more.
local Loan = {}
Loan.__index = Loan
Loan.__name = "loan"

--- A source of connections from a pool.
function loans.source(pool)
  -- leased: the connections that have left the pool. Who loses one must not close it: it may be the
  -- only one.
  return setmetatable({ pool = pool, warm = {}, waiting = 0, holders = {}, leased = {} }, Source)
end

-- A task that waits for a place.
local Waiting = {}

function Waiting:__close()
  self.source.waiting = self.source.waiting - 1
end

--- Whether the running task holds all connections for long: nobody would ever give one back.
function Source:is_held()
  return (self.holders[task.current()] or 0) >= self.pool.max
end

local HELD = "this task has all connections in use: it has rows open, or a transaction"

--- Takes a connection, `loan.connection`; waits for one.
-- @return a loan, to be closed; or nil, message, code
function Source:take()
  local warm = self.warm
  local count = #warm
  local loan = warm[count]
  if loan then
    warm[count] = nil
    return loan
  end
  if self:is_held() then return nil, HELD, "EDEADLK" end
  loan = setmetatable({ source = self, lease = false, connection = false, holder = false }, Loan)
  self.waiting = self.waiting + 1
  local _ <close> = setmetatable({ source = self }, Waiting)
  local lease, message, code = self.pool:lease()
  if not lease then return nil, message, code end
  loan.lease, loan.connection = lease, lease.value
  self.leased[lease.value] = lease
  return loan
end

local function count_holder(self, holder, change)
  local holders = self.source.holders
  local count = (holders[holder] or 0) + change
  holders[holder] = count > 0 and count or nil
end

--- The running task keeps it for longer than one call.
function Loan:hold()
  self.holder = task.current()
  count_holder(self, self.holder, 1)
end

--- Gives the connection back; never waits. Not to be used afterwards.
function Loan:close()
  local source, lease = self.source, self.lease
  if not lease then return end
  if self.holder then count_holder(self, self.holder, -1) end
  self.holder = false
  local is_whole = self.connection:tidy()
  if is_whole and source.waiting == 0 and not source.is_closed then
    source.warm[#source.warm + 1] = self
    return
  end
  self.lease = false
  source.leased[self.connection] = nil
  if is_whole and not source.is_closed then return lease:close() end
  self.connection:close()
  protected(lease.discard, lease) -- what may fail is to close the connection, for want of memory
end

Loan.__close = Loan.close

--- A loan that its owner has lost, with rows for example, goes back as a new one.
function loans.recover(loan)
  if loan.lease then
    setmetatable({ source = loan.source, lease = loan.lease, connection = loan.connection,
      holder = loan.holder }, Loan):close()
    loan.lease = false
  end
end

--- Gives no connection any more; those in use are closed when they come back. Idempotent.
-- @treturn {connection,...} those that are idle, to be closed
function Source:shut()
  self.is_closed = true
  local idle = {}
  for i, loan in pairs(self.warm) do
    self.warm[i] = nil
    self.leased[loan.connection] = nil
    idle[#idle + 1] = loan.connection
    protected(loan.lease.discard, loan.lease)
    loan.lease = false
  end
  protected(self.pool.close, self.pool)
  return idle
end

--- The same, and closes those that are idle.
function Source:close()
  for _, connection in ipairs(self:shut()) do connection:close() end
end

return loans
