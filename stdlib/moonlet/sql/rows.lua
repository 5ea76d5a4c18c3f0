--- Rows that come in batches while a script iterates over them.
-- @submodule moonlet.sql

local setmetatable = setmetatable

local loans = require "moonlet.sql.loans"
local raise = require("moonlet.argument").raise

local rows = {}

--- Rows of a query, as `db:rows` returns them: `for row in db:rows(sql) do`. They have a connection
-- until the last was read, an error came, or they are closed. `<close>` closes them.
-- @object Rows
local Rows = {}
Rows.__index = Rows
Rows.__name = "sql.rows"

-- The rows of a cursor, of which the first have come. loan: of the connection, given back at the
-- end; false: a transaction has it.
function rows.new(loan, cursor, batch)
  return setmetatable({ loan = loan, cursor = cursor, batch = batch, at = 0 }, Rows)
end

local function fetch(self)
  if not self.cursor then return nil end
  local batch, message, code = self.cursor:fetch()
  if not batch then
    self:close()
    raise(message, code)
  end
  self.batch, self.at = batch, 1
  if not batch[1] then self:close() end
  return batch[1]
end

function Rows:__call()
  local at = self.at + 1
  local row = self.batch[at]
  if not row then return fetch(self) end
  self.at = at
  return row
end

--- Ends the query: what was not read is dropped. Idempotent, never waits.
function Rows:close()
  local cursor, loan = self.cursor, self.loan
  self.cursor, self.loan, self.batch = false, false, {}
  if cursor then cursor:close() end
  if loan then loan:close() end
end

Rows.__close = Rows.close

-- Rows that the script has lost.
function Rows:__gc()
  if self.loan then loans.recover(self.loan) end
end

function Rows:__tostring()
  return self.cursor and "sql.rows" or "sql.rows (closed)"
end

return rows
