--- Transactions, and savepoints inside them.
-- @submodule moonlet.sql

local error, getmetatable, pairs, setmetatable = error, getmetatable, pairs, setmetatable

local argument = require "moonlet.argument"
local rows = require "moonlet.sql.rows"
local statement = require "moonlet.sql.statement"
local task = require "moonlet.task"

local transaction = {}

--- A transaction, for the task that began it, until its function returns. Its calls are those of
-- the database, on one connection.
-- @object Transaction
local Transaction = {}
Transaction.__index = Transaction
Transaction.__name = "sql.transaction"

-- The classes of the engines' transactions: copies of Transaction with methods of their own.
local classes = { [Transaction] = true }

-- Makes the class of an engine, once.
function transaction.prepare_class(engine)
  if engine.transaction_class then return end
  local class = Transaction
  if engine.transaction_methods then
    class = {}
    for name, value in pairs(Transaction) do class[name] = value end
    for name, value in pairs(engine.transaction_methods) do class[name] = value end
    class.__index = class
    classes[class] = true
  end
  engine.transaction_class = class
end

-- How long a rollback may take, in seconds, in a task that is cancelled.
local PATIENCE = 5

-- The connection while the transaction lasts. Raises afterwards.
local function connection_of(self, name)
  if not classes[getmetatable(self)] then argument.self(self, Transaction, name) end
  return self.connection or error("the transaction has ended", 3)
end

--- Runs a statement, as the database's `execute`.
-- @tparam string sql
-- @param ... its parameters
-- @treturn integer rows changed; or nil, message, code
function Transaction:execute(sql, ...)
  return connection_of(self, "execute"):execute(self.how, sql, ...)
end

--- The first row, as the database's `row`.
-- @tparam string sql
-- @param ... its parameters
-- @treturn table or nil; or nil, message, code
function Transaction:row(sql, ...)
  return connection_of(self, "row"):row(self.how, sql, ...)
end

--- The first value, as the database's `value`.
-- @tparam string sql
-- @param ... its parameters
-- @return the value; or nil, message, code
function Transaction:value(sql, ...)
  return connection_of(self, "value"):value(self.how, sql, ...)
end

--- All rows, as the database's `all`.
-- @tparam string sql
-- @param ... its parameters
-- @treturn {table} or nil, message, code
function Transaction:all(sql, ...)
  return connection_of(self, "all"):all(self.how, sql, ...)
end

--- Iterates over rows, as the database's `rows`. Other statements may run while they are open.
-- @tparam string sql
-- @param ... its parameters
-- @treturn Rows
function Transaction:rows(sql, ...)
  local cursor, batch, code = connection_of(self, "rows"):rows(self.how, sql, ...)
  if not cursor then argument.raise(batch, code) end
  local found = rows.new(false, cursor, batch)
  return found, nil, nil, found
end

--- Runs several statements, as the database's `script`.
-- @tparam string sql
-- @treturn boolean true; or nil, message, code
function Transaction:script(sql)
  return connection_of(self, "script"):script(sql)
end

--- A statement that is run often, as the database's `prepare`.
-- @tparam string sql
-- @tparam[opt] table opts
-- @treturn Statement
function Transaction:prepare(sql, opts)
  connection_of(self, "prepare")
  argument.string(sql, 1, "prepare")
  return statement.new(self, sql, opts)
end

local function new(connection, engine, how, depth)
  local tx = { connection = connection, engine = engine, how = how, depth = depth }
  return setmetatable(tx, engine.transaction_class)
end

--- The same transaction, whose rows are made otherwise.
-- @tparam table opts `null` and `types`, as for opening the database
-- @treturn Transaction
function Transaction:with(opts)
  local connection = connection_of(self, "with")
  argument.options(opts, 1, "with", { null = true, types = true })
  local other = new(connection, self.engine, opts, self.depth)
  self.views = self.views or {}
  self.views[#self.views + 1] = other
  return other
end

-- The transaction and its views are over.
local function retire(tx)
  tx.connection = false
  for _, view in pairs(tx.views or {}) do retire(view) end
end

-- Undoes what is not finished when the block is left, also by a cancellation.
local Attempt = {}

function Attempt:__close()
  local connection = self.tx.connection
  retire(self.tx)
  if self.undo then task.shield(PATIENCE, self.undo, connection, self) end
end

local function is_failure(first, message, code)
  return first == nil and message ~= nil and code ~= nil
end

-- Ends an attempt with the results of its function, which may be a failure.
local function finish(attempt, ...)
  if is_failure(...) then return ... end
  local ok, message, code = attempt:finish(attempt.tx.connection)
  if not ok then return nil, message, code end
  attempt.undo = false
  return ...
end

-- Runs fn(tx, ...) between what has begun and attempt:finish(connection), or else
-- undo(connection, attempt).
local function run(attempt, guard, fn, ...)
  local closing <close> = setmetatable(attempt, Attempt)
  if guard then return finish(closing, guard(closing.tx.connection, fn, closing.tx, ...)) end
  return finish(closing, fn(closing.tx, ...))
end

local function commit(attempt, connection)
  return attempt.persist(attempt.db, attempt.db.engine.commit, connection)
end

-- Runs fn(tx, ...) in a transaction that has begun on the connection. persist(db, fn, ...) calls fn
-- again while the database is busy.
function transaction.run(db, connection, persist, fn, ...)
  local engine = db.engine
  local tx = new(connection, engine, db.how, 0)
  local attempt = { tx = tx, db = db, persist = persist, finish = commit, undo = engine.rollback }
  return run(attempt, engine.guard, fn, ...)
end

local NOTHING = {}

local function release(attempt, connection)
  return connection:execute(NOTHING, "RELEASE SAVEPOINT " .. attempt.name)
end

local function roll_back_to(connection, attempt)
  if connection:execute(NOTHING, "ROLLBACK TO SAVEPOINT " .. attempt.name) then
    connection:execute(NOTHING, "RELEASE SAVEPOINT " .. attempt.name)
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
