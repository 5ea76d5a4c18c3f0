--- Transactions, and savepoints inside them.
-- @submodule moonlet.sql

local error, getmetatable, pairs, setmetatable = error, getmetatable, pairs, setmetatable

local argument = require "moonlet.argument"
local rows = require "moonlet.sql.rows"
local statement = require "moonlet.sql.statement"
local task = require "moonlet.task"

local transaction = {}

--- A transaction, for the task that began it, until its function returns, or, after `db:begin`,
-- until it is committed or rolled back. Its calls are those of the database, on one connection.
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
  other.origin = self -- a view keeps the transaction from being collected
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
  local connection = self.connection
  retire(self.tx)
  if self.undo then task.shield(PATIENCE, self.undo, connection, self) end
end

local function is_failure(first, message, code)
  return first == nil and message ~= nil and code ~= nil
end

-- Ends an attempt with the results of its function, which may be a failure.
local function finish(attempt, ...)
  if is_failure(...) then return ... end
  local ok, message, code = attempt:finish(attempt.connection)
  if not ok then return nil, message, code end
  attempt.undo = false
  return ...
end

-- Runs fn(tx, ...) between what has begun and attempt:finish(connection), or else
-- undo(connection, attempt).
local function run(attempt, guard, fn, ...)
  local closing <close> = setmetatable(attempt, Attempt)
  if guard then return finish(closing, guard(closing.connection, fn, closing.tx, ...)) end
  return finish(closing, fn(closing.tx, ...))
end

local function commit(attempt, connection)
  return attempt.persist(attempt.db, attempt.db.engine.commit, connection)
end

-- Runs fn(tx, ...) in a transaction that has begun on the connection. persist(db, fn, ...) calls fn
-- again while the database is busy.
function transaction.run(db, connection, persist, fn, ...)
  local engine = db.engine
  local attempt = {
    tx = new(connection, engine, db.how, 0), connection = connection, db = db, persist = persist,
    finish = commit, undo = engine.rollback,
  }
  return run(attempt, engine.guard, fn, ...)
end

-- ---- transactions without a function ----

-- What a transaction of db:begin() has until its end: the loan of its connection, and the mark that
-- its task is inside of it.
local Hold = {}

Hold.__index = Hold

function Hold:__close()
  local loan, inside = self.loan, self.inside
  self.loan, self.inside = false, false
  if inside then inside:__close() end
  if loan then loan:close() end
end

-- The script has lost the transaction: nothing can wait here, so the connection goes with it.
function Hold:__gc()
  local loan, inside = self.loan, self.inside
  self.loan, self.inside = false, false
  if inside then inside:__close() end
  if loan then self.recover(loan) end
end

-- Makes what keeps a transaction: `hold.loan` and `hold.inside` are the caller's to set. It gives
-- them back when it is closed. recover(loan): gives a loan back in a finalizer.
function transaction.hold(db, persist, recover)
  local hold = { db = db, persist = persist, recover = recover, loan = false, inside = false }
  return setmetatable(hold, Hold)
end

-- A hold on its way to a transaction: closed unless that has it (`guard.hold = false`).
local Guard = {}

function Guard:__close()
  if self.hold then self.hold:__close() end
end

function transaction.guard(hold)
  return setmetatable({ hold = hold }, Guard)
end

-- The transaction that has begun on the connection of the hold.
function transaction.begun(hold)
  local tx = new(hold.loan.connection, hold.db.engine, hold.db.how, 0)
  tx.hold = hold
  return tx
end

-- Ends a transaction of db:begin(): by `finish`, and by a rollback if that fails or is nil. From
-- here on no call of it is allowed, also none of another task.
local function finish_begun(tx, finish_with)
  local hold <close>, connection = tx.hold, tx.connection
  retire(tx)
  local attempt <close> = setmetatable({
    tx = tx, connection = connection, db = hold.db, persist = hold.persist,
    finish = finish_with, undo = hold.db.engine.rollback,
  }, Attempt)
  if not finish_with then return true end
  return finish(attempt, true)
end

local function check_begun(self, name)
  connection_of(self, name)
  if not self.hold then error("a transaction of db:transaction() ends with its function", 3) end
end

--- Commits a transaction of `db:begin`, and ends it. If that fails it is rolled back.
-- @treturn boolean true; or nil, message, code
function Transaction:commit()
  check_begun(self, "commit")
  return finish_begun(self, commit)
end

--- Rolls a transaction of `db:begin` back, and ends it.
-- @treturn boolean true
function Transaction:rollback()
  check_begun(self, "rollback")
  return finish_begun(self)
end

--- Rolls a transaction of `db:begin` back unless it has ended. Idempotent. `<close>` does it at the
-- end of a block.
function Transaction:close()
  if not classes[getmetatable(self)] then argument.self(self, Transaction, "close") end
  if self.hold and self.connection then finish_begun(self) end
end

Transaction.__close = Transaction.close

-- ---- savepoints ----

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
  return run({
    tx = new(connection, self.engine, self.how, depth), connection = connection, name = name,
    finish = release, undo = roll_back_to,
  }, nil, fn, ...)
end

function Transaction:__tostring()
  return self.connection and "sql.transaction" or "sql.transaction (ended)"
end

return transaction
