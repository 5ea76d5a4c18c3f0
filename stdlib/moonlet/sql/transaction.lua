--- Transactions, and savepoints inside them.
-- @submodule moonlet.sql

local error, setmetatable = error, setmetatable

local argument = require "moonlet.argument"
local rows = require "moonlet.sql.rows"
local task = require "moonlet.task"

local transaction = {}

--- A transaction, for the task that began it. Its calls are those of the database; a nested
-- transaction is a savepoint.
-- @object Transaction
local Transaction = {}
Transaction.__index = Transaction
Transaction.__name = "sql.transaction"

-- How long a rollback may take, in seconds, in a task that is cancelled.
local PATIENCE = 5

-- The connection while the transaction lasts. Raises afterwards.
local function connection_of(self, name)
  argument.self(self, Transaction, name)
  return self.connection or error("the transaction has ended", 3)
end

--- As the database's.
function Transaction:execute(sql, ...)
  return connection_of(self, "execute"):execute(self.how, sql, ...)
end

--- As the database's.
function Transaction:row(sql, ...)
  return connection_of(self, "row"):row(self.how, sql, ...)
end

--- As the database's.
function Transaction:value(sql, ...)
  return connection_of(self, "value"):value(self.how, sql, ...)
end

--- As the database's.
function Transaction:all(sql, ...)
  return connection_of(self, "all"):all(self.how, sql, ...)
end

--- As the database's. Other statements may run while the rows are open.
function Transaction:rows(sql, ...)
  local cursor, batch, code = connection_of(self, "rows"):rows(self.how, sql, ...)
  if not cursor then argument.raise(batch, code) end
  local found = rows.new(false, cursor, batch)
  return found, nil, nil, found
end

--- As the database's.
function Transaction:script(sql)
  return connection_of(self, "script"):script(sql)
end

-- Undoes what is not finished when the block is left, also by a cancellation.
local Attempt = {}

function Attempt:__close()
  local tx = self.tx
  if tx.connection and self.undo then task.shield(PATIENCE, self.undo, tx.connection, self) end
  tx.connection = false
end

local function is_failure(first, message, code)
  return first == nil and message ~= nil and code ~= nil
end

-- Ends an attempt with the results of its function, which may be a failure.
local function finish(attempt, ...)
  if is_failure(...) then return ... end
  local ok, message, code = attempt.finish(attempt.tx.connection, attempt)
  if not ok then return nil, message, code end
  attempt.undo = false
  return ...
end

-- Runs fn(tx, ...) between what has begun and finish() or undo(), which get the connection.
local function run(attempt, guard, fn, ...)
  local closing <close> = setmetatable(attempt, Attempt)
  if guard then return finish(closing, guard(closing.tx.connection, fn, closing.tx, ...)) end
  return finish(closing, fn(closing.tx, ...))
end

local function new(connection, engine, how, depth)
  return setmetatable({ connection = connection, engine = engine, how = how, depth = depth },
    Transaction)
end

-- Runs fn(tx, ...) in a transaction that the engine has begun on the connection.
function transaction.run(engine, connection, how, fn, ...)
  local tx = new(connection, engine, how, 0)
  local attempt = { tx = tx, finish = engine.commit, undo = engine.rollback }
  return run(attempt, engine.guard, fn, ...)
end

local NOTHING = {}

local function release(connection, attempt)
  return connection:execute(NOTHING, "RELEASE " .. attempt.name)
end

local function roll_back_to(connection, attempt)
  if connection:execute(NOTHING, "ROLLBACK TO " .. attempt.name) then
    connection:execute(NOTHING, "RELEASE " .. attempt.name)
  end
end

--- Calls fn(tx, ...) between a savepoint and its release. An error, or a failure that fn returns as
-- nil, message, code, undoes what it did; the transaction around it goes on.
-- @tparam function fn
-- @param ... its further arguments
-- @return fn's results; or nil, message, code
function Transaction:transaction(fn, ...)
  local connection = connection_of(self, "transaction")
  argument.callable(fn, 1, "transaction")
  local depth = self.depth + 1
  local name = "moonlet_" .. depth
  local ok, message, code = connection:execute(NOTHING, "SAVEPOINT " .. name)
  if not ok then return nil, message, code end
  local tx = new(connection, self.engine, self.how, depth)
  return run({ tx = tx, name = name, finish = release, undo = roll_back_to }, nil, fn, ...)
end

function Transaction:__tostring()
  return self.connection and "sql.transaction" or "sql.transaction (ended)"
end

return transaction
