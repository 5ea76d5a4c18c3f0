--- A database of PostgreSQL: what scripts call.
-- @submodule moonlet.postgres

local error, ipairs, next, pcall = error, ipairs, next, pcall
local setmetatable, type = setmetatable, type
local table_pack, table_unpack = table.pack, table.unpack
local math_random, math_type = math.random, math.type

local argument = require "moonlet.argument"
local copy = require "moonlet.postgres.copy"
local engine = require "moonlet.postgres.engine"
local listener = require "moonlet.postgres.listener"
local rows = require "moonlet.sql.rows"
local statement = require "moonlet.sql.statement"
local task = require "moonlet.task"
local transaction = require "moonlet.sql.transaction"

local database = {}

local COUNT, ROW, ROWS, VALUE = 0, 1, 2, 3

--- A database: a pool of connections. `<close>` closes it.
-- @object PostgresDatabase
local PostgresDatabase = {}
PostgresDatabase.__index = PostgresDatabase
PostgresDatabase.__name = "postgres.database"

-- Makes one.
-- @tparam table parts `pool`; `connect` -> a connection that is not the pool's; `title`
function database.new(parts)
  parts.kinds, parts.kind_count = {}, 0 -- texts of queries: whether they only read
  parts.tasks = setmetatable({}, { __mode = "k" }) -- those that are inside a transaction
  parts.engine = engine
  transaction.prepare_class(engine)
  return setmetatable(parts, PostgresDatabase)
end

-- ---- one query ----

local READS = { select = true, values = true, table = true, show = true, with = true }

-- Whether a query can share a connection with others: it only reads, and waits for no lock. A guess
-- from its text: a wrong one costs time.
local function can_share(sql)
  local text = sql:lower()
  local word = text:match "^[%s(]*(%a+)"
  if not READS[word] then return false end
  for _, other in ipairs { "insert", "update", "delete", "merge", "into", "for" } do
    if text:find("%f[%w_]" .. other .. "%f[^%w_]") then return false end
  end
  return not (text:find("lock", 1, true) or text:find("sleep", 1, true))
end

local MOST_KINDS = 1000

local function is_shared(self, sql)
  local kind = self.kinds[sql]
  if kind == nil then
    if self.kind_count == MOST_KINDS then self.kinds, self.kind_count = {}, 0 end
    kind = self.pool.depth > 0 and can_share(sql)
    self.kinds[sql], self.kind_count = kind, self.kind_count + 1
  end
  return kind
end

-- The use of a connection for one query.
local Use = {}

function Use:__close(failure)
  self.pool:leave(self.connection, failure)
end

local function query_once(self, want, sql, ...)
  local pool = self.pool
  local connection, message, code, details = pool:enter(is_shared(self, sql))
  if not connection then return nil, message, code, details end
  local _ <close> = setmetatable({ pool = pool, connection = connection }, Use)
  return connection:query(want, self.how, sql, ...)
end

-- One that the cancellation of another query has met by accident is sent again: it was undone.
local function query(self, want, sql, ...)
  local value, message, code, details
  repeat
    value, message, code, details = query_once(self, want, sql, ...)
  until not (code == "57014" and details and details.is_struck)
  if code then return nil, message, code, details end
  return value
end

local function check_sql(sql, name)
  if type(sql) ~= "string" then
    local form = "bad argument #1 to '%s' (string expected, got %s)"
    error(form:format(name, type(sql)), 3)
  end
end

--- Runs a statement. Waits.
-- @tparam string sql one statement, with `$1`, `$2`, ...
-- @param ... its parameters; nil is NULL
-- @treturn integer rows changed; or nil, message, SQLSTATE, details: a table with what else the
-- server said: `detail`, `hint`, `position`, `constraint`, `table`, `column`, `schema`, `type`,
-- `where`, `severity`
function PostgresDatabase:execute(sql, ...)
  argument.self(self, PostgresDatabase, "execute")
  check_sql(sql, "execute")
  return query(self, COUNT, sql, ...)
end

--- Runs a statement, and returns its first row.
-- @tparam string sql
-- @param ... its parameters
-- @treturn table by the names of the columns; nil: there is none; or nil, message, code, details
function PostgresDatabase:row(sql, ...)
  argument.self(self, PostgresDatabase, "row")
  check_sql(sql, "row")
  return query(self, ROW, sql, ...)
end

--- Runs a statement, and returns the first value of its first row.
-- @tparam string sql
-- @param ... its parameters
-- @return the value; nil: NULL, or there is no row; or nil, message, code, details
function PostgresDatabase:value(sql, ...)
  argument.self(self, PostgresDatabase, "value")
  check_sql(sql, "value")
  return query(self, VALUE, sql, ...)
end

--- Runs a statement, and returns all of its rows.
-- @tparam string sql
-- @param ... its parameters
-- @treturn {table} or nil, message, code, details
function PostgresDatabase:all(sql, ...)
  argument.self(self, PostgresDatabase, "all")
  check_sql(sql, "all")
  return query(self, ROWS, sql, ...)
end

-- ---- a connection for longer ----

local Loan = {}
Loan.__index = Loan

function Loan:close()
  local connection = self.connection
  self.connection = false
  if not connection then return end
  self.pool:count_holder(-1, self.holder)
  self.pool:put_back(connection)
end

Loan.__close = Loan.close
Loan.__gc = Loan.close -- of rows that the script has lost

local function borrow(self)
  local connection, message, code, details = self.pool:take()
  if not connection then return nil, message, code, details end
  local holder = self.pool:count_holder(1)
  return setmetatable({ pool = self.pool, connection = connection, holder = holder }, Loan)
end

-- A loan that goes to something with a life of its own: closed unless that has it.
local Guard = {}

function Guard:__close()
  if self.loan then self.loan:close() end
end

--- Iterates over the rows of a statement as the server sends them:
-- `for row in db:rows("SELECT * FROM t") do`. They have a connection until the last was read or
-- they are closed, which the end of such a loop does. Raises failures as `{message=, code=}`.
-- @tparam string sql
-- @param ... its parameters
-- @treturn Rows
function PostgresDatabase:rows(sql, ...)
  argument.self(self, PostgresDatabase, "rows")
  check_sql(sql, "rows")
  local loan, message, code = borrow(self)
  if not loan then argument.raise(message, code) end
  local guard <close> = setmetatable({ loan = loan }, Guard)
  local cursor, batch, failure = loan.connection:rows(self.how, sql, ...)
  if not cursor then argument.raise(batch, failure) end
  local found = rows.new(loan, cursor, batch)
  guard.loan = false
  return found, nil, nil, found
end

--- Runs several statements without parameters, up to the first that fails: then all of them are
-- undone, unless the text itself begins and commits transactions.
-- @tparam string sql
-- @treturn boolean true; or nil, message, code, details
function PostgresDatabase:script(sql)
  argument.self(self, PostgresDatabase, "script")
  check_sql(sql, "script")
  local loan <close>, message, code, details = borrow(self)
  if not loan then return nil, message, code, details end
  local _ <close> = setmetatable({ connection = loan.connection }, database.Whole)
  return loan.connection:script(sql)
end

-- Closes a connection that a cancellation leaves in the middle of something.
database.Whole = { __close = function(self, failure)
  if failure ~= nil then self.connection:close() end
end }

--- Copies data into a table.
-- @tparam string sql "COPY t FROM STDIN", in any format
-- @param[opt] source a string, a list of them, a function that returns one piece after the other
-- (nil at the end), or an object with `chunks()`, such as a stream or a file
-- @treturn integer rows copied; or nil, message, code, details. Without a source a CopyWriter
function PostgresDatabase:copy_in(sql, source)
  argument.self(self, PostgresDatabase, "copy_in")
  check_sql(sql, "copy_in")
  local loan, message, code, details = borrow(self)
  if not loan then return nil, message, code, details end
  return copy.write(loan.connection, loan, sql, source)
end

--- Copies data out of a table: `for line in db:copy_out("COPY t TO STDOUT") do`.
-- @tparam string sql
-- @treturn CopyReader or nil, message, code, details
function PostgresDatabase:copy_out(sql)
  argument.self(self, PostgresDatabase, "copy_out")
  check_sql(sql, "copy_out")
  local loan, message, code, details = borrow(self)
  if not loan then return nil, message, code, details end
  return copy.read(loan.connection, loan, sql)
end

--- Listens to channels, on a connection that is not of the pool. When this returns, nothing that is
-- sent from then on is missed.
-- @tparam string ... their names
-- @treturn Notifications or nil, message, code
function PostgresDatabase:listen(...)
  argument.self(self, PostgresDatabase, "listen")
  local channels = table_pack(...)
  argument.check(channels.n > 0, 1, "listen", "no channel")
  for i = 1, channels.n do
    argument.check(type(channels[i]) == "string", i, "listen", "the name of a channel expected")
  end
  if self.pool.is_closed then return nil, "closed", "CLOSED" end
  return listener.open(self.connect, channels)
end

-- ---- prepared statements, views ----

--- A statement that each connection prepares when it first runs it there. (Any text is prepared at
-- its second run.)
-- @tparam string sql
-- @tparam[opt] table opts
-- @param[opt] opts.null the value for NULL in its rows
-- @tparam[opt] table opts.types functions for its values
-- @treturn Statement
function PostgresDatabase:prepare(sql, opts)
  argument.self(self, PostgresDatabase, "prepare")
  check_sql(sql, "prepare")
  self.wanted[sql] = true
  return statement.new(self, sql, opts)
end

--- The same database, whose rows are made otherwise.
-- @tparam table opts `null` and `types`, as for opening it
-- @treturn PostgresDatabase
function PostgresDatabase:with(opts)
  argument.self(self, PostgresDatabase, "with")
  argument.options(opts, 1, "with", { null = true, types = true })
  local other = {}
  for name, value in next, self do other[name] = value end
  other.how = opts
  return setmetatable(other, PostgresDatabase)
end

-- ---- transactions ----

-- Marks the task as inside a transaction.
local Inside = {}
Inside.__index = Inside

function Inside:__close()
  self.tasks[self.task] = nil
end

local function enter(self)
  local current = task.current()
  if self.tasks[current] then
    error("this task is inside a transaction of this database: use tx:transaction()", 3)
  end
  self.tasks[current] = true
  return setmetatable({ tasks = self.tasks, task = current }, Inside)
end

-- Begin and commit are not tried again.
local function call(_, fn, ...)
  return fn(...)
end

-- Runs the transaction once. seen: gets the code of its first failure.
local function attempt(self, opts, seen, fn, ...)
  local loan <close>, message, code, details = borrow(self)
  if not loan then return nil, message, code, details end
  local connection = loan.connection
  engine.begin(connection, opts)
  local _ <close> = setmetatable({}, { __close = function()
    seen.code = connection.failure and connection.failure[2]
  end })
  return transaction.run(self, connection, call, fn, ...)
end

local RETRIED = { ["40001"] = true, ["40P01"] = true }

local function is_retried(seen, ok, results)
  return RETRIED[seen.code] or (ok and results[1] == nil and RETRIED[results[3]]) or false
end

local function persist(self, opts, fn, ...)
  local left, pause = opts.retry, 0.005
  while true do
    local seen = {}
    if left == 0 then return attempt(self, opts, seen, fn, ...) end
    local results = table_pack(pcall(attempt, self, opts, seen, fn, ...))
    local ok = results[1]
    local values = { table_unpack(results, 2, results.n) }
    if not is_retried(seen, ok, values) then
      if not ok then error(results[2], 0) end
      return table_unpack(results, 2, results.n)
    end
    left = left - 1
    task.sleep(pause * (0.5 + math_random()))
    pause = pause * 2
  end
end

local OPTIONS = { isolation = true, read_only = true, deferrable = true, retry = true }

local function check_options(opts, name, known)
  argument.options(opts, 1, name, known)
  local level, retry = opts.isolation, opts.retry
  argument.check(level == nil or engine.LEVELS[level], 1, name,
    "option 'isolation' must be \"serializable\", \"repeatable read\" or \"read committed\"")
  argument.check(retry == nil or math_type(retry) == "integer" and retry >= 0, 1, name,
    "option 'retry' must be an integer from 0 on")
end

local NOTHING = {}

--- Calls fn(tx, ...) in a transaction, and commits it. An error, a cancellation, or a failure that
-- fn returns as nil, message, code rolls it back. `tx` has the database's calls; a transaction
-- inside it is `tx:transaction`.
--
-- If the connection breaks while it commits, the code is "08007": it may have been committed.
-- @tparam[opt] table opts
-- @tparam[opt] string opts.isolation "serializable", "repeatable read", "read committed"
-- @tparam[opt] boolean opts.read_only
-- @tparam[opt] boolean opts.deferrable
-- @tparam[opt=0] integer opts.retry how often fn is called again after a serialization failure or a
-- deadlock (40001, 40P01)
-- @tparam function fn
-- @param ... its further arguments
-- @return fn's results; or nil, message, code if the transaction could not begin or commit
function PostgresDatabase:transaction(opts, fn, ...)
  argument.self(self, PostgresDatabase, "transaction")
  if argument.is_callable(opts) then return self:transaction(NOTHING, opts, fn, ...) end
  check_options(opts, "transaction", OPTIONS)
  argument.callable(fn, 2, "transaction")
  local _ <close> = enter(self)
  if opts.retry then return persist(self, opts, fn, ...) end
  return attempt(self, opts, {}, fn, ...)
end

-- The options of a transaction without a function, which cannot be called again.
local BEGIN_OPTIONS = { isolation = true, read_only = true, deferrable = true }

--- Begins a transaction: `local tx <close> = assert(db:begin())`. It lasts until `tx:commit()` or
-- `tx:rollback()`, and is rolled back by `<close>` if neither was called.
-- @tparam[opt] table opts `isolation`, `read_only`, `deferrable`, as for `transaction`
-- @treturn Transaction or nil, message, code
function PostgresDatabase:begin(opts)
  argument.self(self, PostgresDatabase, "begin")
  if opts ~= nil then check_options(opts, "begin", BEGIN_OPTIONS) end
  local hold = transaction.hold(self, call, Loan.close)
  local guard <close> = transaction.guard(hold)
  hold.inside = enter(self)
  local loan, message, code, details = borrow(self)
  if not loan then return nil, message, code, details end
  hold.loan = loan
  engine.begin(loan.connection, opts)
  guard.hold = false
  return transaction.begun(hold)
end

-- ---- its life ----

--- Figures of the pool.
-- @treturn table `connections`, `free`
function PostgresDatabase:stats()
  argument.self(self, PostgresDatabase, "stats")
  return { connections = self.pool.total, free = #self.pool.free }
end

--- Closes it: connections that are in use when they come back. Idempotent, never waits.
function PostgresDatabase:close()
  argument.self(self, PostgresDatabase, "close")
  self.pool:close()
end

PostgresDatabase.__close = PostgresDatabase.close

function PostgresDatabase:__tostring()
  return ("%s (%s)"):format(self.title, self.pool.is_closed and "closed" or "open")
end

return database
