--- Connections on loan: each from a pool, for one task at a time.
-- @module moonlet.sql.loans

local setmetatable = setmetatable

local loans = {}

-- A loan gives its connection back when it is closed, or closes it if it is not whole any more.
local Loan = {}
Loan.__index = Loan
Loan.__name = "loan"

--- Takes a connection from a pool (moonlet.pool); waits for one. `loan.connection` is it.
-- @return a loan, to be closed; or nil, message, code
function loans.take(pool)
  local loan = setmetatable({ lease = false, connection = false }, Loan)
  local lease, message, code = pool:lease()
  if not lease then return nil, message, code end
  loan.lease, loan.connection = lease, lease.value
  return loan
end

--- Gives the connection back. Idempotent, never waits.
function Loan:close()
  local lease, connection = self.lease, self.connection
  if not lease then return end
  self.lease, self.connection = false, false
  if connection:tidy() then lease:close() else lease:discard() end
end

Loan.__close = Loan.close
Loan.__gc = Loan.close -- of rows that the script has lost

return loans
