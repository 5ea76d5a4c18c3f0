--- Databases as scripts use them: connections of an engine (moonlet.sqlite, moonlet.postgres).
--
-- An engine is a table of functions. Each that talks to the database may wait, and returns
-- nil, message, code when that failed:
--
-- - `begin(connection, options)` -> true: begins a transaction; options: of db:transaction(), or
--   nil;
-- - `commit(connection)` -> true; `rollback(connection)`, which raises nothing;
-- - `is_busy(code)`: whether a call that failed so may be tried again soon (nil: never). Begin and
--   commit are tried again, too;
-- - `guard(connection, fn, ...)` -> fn's results: calls fn, the body of a transaction (nil:
--   plainly);
-- - `methods`, `transaction_methods`: further methods of the engine's databases and transactions.
--   They use `self.connection` in a transaction, and in a database
--   `local loan <close>, message, code = self.writer:take()`, then `loan.connection`.
--
-- A connection is an object of the engine's, used by one task at a time:
--
-- - `connection:execute(how, sql, ...)` -> rows changed, one further result; how: a table with
--   `null` and `types`, the options of the database;
-- - `connection:row(how, sql, ...)` -> the first row, or nil; `connection:value(how, sql, ...)`;
--   `connection:all(how, sql, ...)` -> a list of rows;
-- - `connection:rows(how, sql, ...)` -> a cursor, a list of the first rows; `cursor:fetch()` -> a
--   list of the next ones, empty at the end; `cursor:close()`, which never waits;
-- - `connection:script(sql)` -> true, several statements;
-- - `connection:tidy()` -> whether it can serve another task; drops what the last one left open,
--   and never waits; `connection:close()`, which never waits either. A connection whose call was
--   cancelled and has not ended is not whole: it is closed.
--
-- With the code "WRITES" a connection of `readers` refuses a statement: it is for `writer`.
-- @submodule moonlet.sql

local error, getmetatable, pairs = error, getmetatable, pairs
local setmetatable = setmetatable
local math_min = math.min

local argument = require "moonlet.argument"
local group = require "moonlet.sql.group"
local loans = require "moonlet.sql.loans"
local rows = require "moonlet.sql.rows"
local statement = require "moonlet.sql.statement"
local task = require "moonlet.task"
local transaction = require "moonlet.sql.transaction"

local database = {}

--- A database: a pool of connections. `<close>` closes it.
-- @object Database
local Database = {}
Database.__index = Database
Database.__name = "sql.database"

-- The usual methods, for engines that have a shorter way for some calls.
database.methods = Database

-- The classes of the engines' databases: copies of Database with methods of their own.
local classes = { [Database] = true }

local function class_of(engine)
  if engine.class or not engine.methods then return engine.class or Database end
  local class = {}
  for name, value in pairs(Database) do class[name] = value end
  for name, value in pairs(engine.methods) do class[name] = value end
  class.__index = class
  engine.class, classes[class] = class, true
  return class
end

local function check_self(self, name)
  if not classes[getmetatable(self)] then argument.self(self, Database, name) end
end

-- The first and the last pause between two tries of a busy database, in seconds.
local SHORTEST, LONGEST = 0.0005, 0.05

-- Calls fn(...) again and again while the database is busy.
local function persist(self, fn, ...)
  local first, second, third = fn(...)
  local is_busy = self.engine.is_busy
  if not third or not is_busy or not is_busy(third) then return first, second, third end
  local pause, deadline = SHORTEST, task.now() + self.busy_timeout
  while third and is_busy(third) and task.now() < deadline do
    task.sleep(pause)
    pause = math_min(pause * 1.5, LONGEST)
    first, second, third = fn(...)
  end
  return first, second, third
end

-- Makes a database.
--
-- - engine: see above;
-- - readers, writer: pools (moonlet.pool) of connections; the same one if each can do both;
-- - how: the table {null=, types=} that connections get;
-- - title: what it prints as;
-- - closings: an object whose method wait() waits for connections that are closing, or nil;
-- - busy_timeout: seconds for which calls that fail with a busy database are tried again;
-- - group_commit: whether statements of several tasks share a commit.
function database.new(parts)
  local readers = loans.source(parts.readers)
  parts.writer = parts.writer == parts.readers and readers or loans.source(parts.writer)
  parts.readers = readers
  parts.known = { writes = {}, count = 0 } -- statements that are for the writer
  parts.tasks = setmetatable({}, { __mode = "k" }) -- those that are inside a transaction
  transaction.prepare_class(parts.engine)
  if parts.group_commit then parts.group = group.new(parts, persist) end
  return setmetatable(parts, class_of(parts.engine))
end

-- ---- one statement ----

-- Calls a connection's method with a statement. The first try takes the shortest way.
local function call_on(self, source, method, sql, ...)
  local loan <close>, message, code = source:take()
  if not loan then return nil, message, code end
  local connection, how = loan.connection, self.how
  local first, second, third = connection[method](connection, how, sql, ...)
  local is_busy = third and self.engine.is_busy
  if is_busy and is_busy(third) then
    return persist(self, connection[method], connection, how, sql, ...)
  end
  return first, second, third
end

-- A statement that writes, and can share a commit.
local GROUPED = "grouped"

-- How many statements that write are remembered as such.
local MOST_WRITES = 1000

local function note_write(self, sql)
  local known = self.known
  if known.count == MOST_WRITES then known.writes, known.count = {}, 0 end
  known.writes[sql] = group.takes(sql) and GROUPED or true
  known.count = known.count + 1
end

-- Calls a connection's method with a statement, on a reader unless it is known to write.
local function call(self, method, sql, ...)
  if not self.known.writes[sql] then
    local first, second, third = call_on(self, self.readers, method, sql, ...)
    if third ~= "WRITES" then return first, second, third end
    note_write(self, sql)
  end
  if self.group and self.known.writes[sql] == GROUPED and not self.writer:is_held() then
    return self.group:call(method, self.how, sql, ...)
  end
  return call_on(self, self.writer, method, sql, ...)
end

--- Runs a statement, and drops the rows that it returns. Waits.
-- @tparam string sql one statement
-- @param ... its parameters; nil is NULL. SQLite: or one table with named ones
-- @treturn integer rows changed; or nil, message, code. SQLite: then the rowid of the last row that
-- this connection has inserted
function Database:execute(sql, ...)
  check_self(self, "execute")
  local count, other, code = call(self, "execute", sql, ...)
  if code then return nil, other, code end
  return count, other
end

--- Runs a statement, and returns its first row.
-- @tparam string sql
-- @param ... its parameters
-- @treturn table by the names of the columns; nil: there is none; or nil, message, code
function Database:row(sql, ...)
  check_self(self, "row")
  local row, message, code = call(self, "row", sql, ...)
  if code then return nil, message, code end
  return row
end

--- Runs a statement, and returns the first value of its first row.
-- @tparam string sql
-- @param ... its parameters
-- @return the value; nil: NULL, or there is no row; or nil, message, code
function Database:value(sql, ...)
  check_self(self, "value")
  local value, message, code = call(self, "value", sql, ...)
  if code then return nil, message, code end
  return value
end

--- Runs a statement, and returns all of its rows.
-- @tparam string sql
-- @param ... its parameters
-- @treturn {table} or nil, message, code
function Database:all(sql, ...)
  check_self(self, "all")
  local list, message, code = call(self, "all", sql, ...)
  if code then return nil, message, code end
  return list
end

-- A loan that goes to rows: closed unless they have it.
local Guard = {}

function Guard:__close()
  if self.loan then self.loan:close() end
end

-- Rows of a statement, with a connection of the pool; or nil, message, code.
local function open_rows(self, source, sql, ...)
  local loan, message, code = source:take()
  if not loan then return nil, message, code end
  local guard <close> = setmetatable({ loan = loan }, Guard)
  loan:hold()
  local connection = loan.connection
  local cursor, batch, failure = persist(self, connection.rows, connection, self.how, sql, ...)
  if not cursor then return nil, batch, failure end
  local found = rows.new(loan, cursor, batch)
  guard.loan = false
  return found
end

local function find_rows(self, sql, ...)
  if not self.known.writes[sql] then
    local found, message, code = open_rows(self, self.readers, sql, ...)
    if code ~= "WRITES" then return found, message, code end
    note_write(self, sql)
  end
  return open_rows(self, self.writer, sql, ...)
end

--- Iterates over the rows of a statement, which come in batches:
-- `for row in db:rows("SELECT * FROM t") do`. They have a connection until the last was read or
-- they are closed, which the end of such a loop does. Raises failures as `{message=, code=}`.
-- @tparam string sql
-- @param ... its parameters
-- @treturn Rows
function Database:rows(sql, ...)
  check_self(self, "rows")
  local found, message, code = find_rows(self, sql, ...)
  if not found then argument.raise(message, code) end
  return found, nil, nil, found
end

--- Runs several statements without parameters, one after the other, up to the first that fails.
-- Those before it stay done, unless the text itself begins and commits a transaction.
-- @tparam string sql
-- @treturn boolean true; or nil, message, code
function Database:script(sql)
  check_self(self, "script")
  local loan <close>, message, code = self.writer:take()
  if not loan then return nil, message, code end
  local connection = loan.connection
  local ok, reason, reason_code = persist(self, connection.script, connection, sql)
  if reason_code then return nil, reason, reason_code end
  return ok
end

--- A statement that is run often.
-- @tparam string sql
-- @tparam[opt] table opts
-- @param[opt] opts.null the value for NULL in its rows
-- @tparam[opt] table opts.types functions for its values, see the engine
-- @treturn Statement
function Database:prepare(sql, opts)
  check_self(self, "prepare")
  argument.string(sql, 1, "prepare")
  return statement.new(self, sql, opts)
end

--- The same database, whose rows are made otherwise.
-- @tparam table opts `null` and `types`, as for opening it
-- @treturn Database
function Database:with(opts)
  check_self(self, "with")
  argument.options(opts, 1, "with", { null = true, types = true })
  local other = {}
  for name, value in pairs(self) do other[name] = value end
  other.how = opts
  return setmetatable(other, getmetatable(self))
end

--- SQLite only: copies the database, as it is now, into a file, while others go on reading and
-- writing. The file is replaced once the copy is complete and on disk. Waits.
-- @function Database:backup
-- @tparam string path
-- @treturn boolean true; or nil, message, code

-- ---- transactions ----

-- Marks the task as inside a transaction.
local Inside = {}

function Inside:__close()
  self.tasks[self.task] = nil
end

Inside.__index = Inside

local function enter(self)
  local current = task.current()
  if self.tasks[current] then
    error("this task is inside a transaction of this database: use tx:transaction()", 3)
  end
  local inside = setmetatable({ tasks = self.tasks, task = current }, Inside)
  self.tasks[current] = true
  return inside
end

--- Calls fn(tx, ...) in a transaction, and commits it. An error, a cancellation, or a failure that
-- fn returns as nil, message, code rolls it back. A transaction of the same task inside it is
-- `tx:transaction`.
-- @tparam[opt] table opts of the engine
-- @tparam function fn
-- @param ... its further arguments
-- @return fn's results; or nil, message, code if the transaction could not begin or commit
function Database:transaction(opts, fn, ...)
  check_self(self, "transaction")
  if argument.is_callable(opts) then return self:transaction(nil, opts, fn, ...) end
  if opts ~= nil then argument.table(opts, 1, "transaction") end
  argument.callable(fn, opts and 2 or 1, "transaction")
  local _ <close> = enter(self)
  local loan <close>, message, code = self.writer:take()
  if not loan then return nil, message, code end
  loan:hold()
  local engine, connection = self.engine, loan.connection
  local ok, begin_message, begin_code = persist(self, engine.begin, connection, opts)
  if not ok then return nil, begin_message, begin_code end
  return transaction.run(self, connection, persist, fn, ...)
end

--- Begins a transaction: `local tx <close> = assert(db:begin())`. It lasts until `tx:commit()` or
-- `tx:rollback()`, and is rolled back by `<close>` if neither was called. Until then no other task
-- can write to a database of SQLite, whatever this one waits for: better use `db:transaction`
-- where there is a function.
-- @tparam[opt] table opts of the engine
-- @treturn Transaction or nil, message, code
function Database:begin(opts)
  check_self(self, "begin")
  if opts ~= nil then argument.table(opts, 1, "begin") end
  local hold = transaction.hold(self, persist, loans.recover)
  local guard <close> = transaction.guard(hold)
  hold.inside = enter(self)
  local loan, message, code = self.writer:take()
  if not loan then return nil, message, code end
  hold.loan = loan
  loan:hold()
  local ok, begin_message, begin_code = persist(self, self.engine.begin, loan.connection, opts)
  if not ok then return nil, begin_message, begin_code end
  guard.hold = false
  return transaction.begun(hold)
end

--- Closes it: connections that are in use when they come back. Idempotent, never waits.
function Database:close()
  check_self(self, "close")
  if self.is_closed then return end
  self.is_closed = true
  self.readers:close()
  if self.writer ~= self.readers then self.close_last(self.writer:shut()) end
end

Database.__close = Database.close

function Database:__tostring()
  return ("%s (%s)"):format(self.title, self.is_closed and "closed" or "open")
end

return database
