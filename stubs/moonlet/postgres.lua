---@meta moonlet.postgres

---Data on their way out of a table: `for line in db:copy_out(sql) do`. `<close>` ends it.
---@class moonlet.postgres.CopyReader
local CopyReader = {}

---Ends it: what was not read is dropped, and the connection is closed. Idempotent, never waits.
function CopyReader:close() end

---The next piece, a row in the format of the command. Waits.
---@return string|nil # nil: that was all; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function CopyReader:read_some() end

---Data on their way into a table. `<close>` gives them up, unless they are finished: then the
---server drops them, and the connection is closed.
---@class moonlet.postgres.CopyWriter
local CopyWriter = {}

---Gives the data up, if they are not finished. Idempotent, never waits.
function CopyWriter:close() end

---Ends the data, and waits until the server has taken them.
---@return integer|nil # rows; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function CopyWriter:finish() end

---Sends a row in the text format, which is the default of COPY.
---@param ... any strings, numbers, booleans; nil is NULL
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function CopyWriter:row(...) end

---Sends data in the format of the command. Waits while the server takes its time.
---@param ... string pieces
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function CopyWriter:write(...) end

---Notifications of channels: `for n in listener do`; `n.channel`, `n.payload`, `n.pid` of the
---server's process that sent it. After the connection was lost and has come back `n.gap` is true:
---notifications may have been missed, so look at the tables. `<close>` ends it.
---@class moonlet.postgres.Notifications
local Notifications = {}

---Ends it. Idempotent, never waits.
function Notifications:close() end

---The next notification. Waits.
---@param timeout? number seconds
---@return table|nil # or nil, message, code: "ETIMEDOUT", "CLOSED"
---@return string|nil # message
---@return string|nil # code
function Notifications:next(timeout) end

---A database: a pool of connections. `<close>` closes it.
---@class moonlet.postgres.PostgresDatabase
local PostgresDatabase = {}

---Runs a statement, and returns all of its rows.
---@param sql string
---@param ... any its parameters
---@return {table}|nil # or nil, message, code, details
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:all(sql, ...) end

---Begins a transaction: `local tx <close> = assert(db:begin())`. It lasts until `tx:commit()` or
---`tx:rollback()`, and is rolled back by `<close>` if neither was called.
---@param opts? table `isolation`, `read_only`, `deferrable`, as for `transaction`
---@return moonlet.sql.Transaction|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:begin(opts) end

---Closes it: connections that are in use when they come back. Idempotent, never waits.
function PostgresDatabase:close() end

---Copies data into a table.
---@param sql string "COPY t FROM STDIN", in any format
---@param source? any a string, a list of them, a function that returns one piece after the other (nil at the end), or an object with `chunks()`, such as a stream or a file
---@return integer|nil # rows copied; or nil, message, code, details. Without a source a CopyWriter
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:copy_in(sql, source) end

---Copies data out of a table: `for line in db:copy_out("COPY t TO STDOUT") do`.
---@param sql string
---@return moonlet.postgres.CopyReader|nil # or nil, message, code, details
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:copy_out(sql) end

---Runs a statement. Waits.
---@param sql string one statement, with `$1`, `$2`, ...
---@param ... any its parameters; nil is NULL
---@return integer|nil # rows changed; or nil, message, SQLSTATE, details: a table with what else the server said: `detail`, `hint`, `position`, `constraint`, `table`, `column`, `schema`, `type`, `where`, `severity`
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:execute(sql, ...) end

---Listens to channels, on a connection that is not of the pool. When this returns, nothing that is
---sent from then on is missed.
---@param ... string their names
---@return moonlet.postgres.Notifications|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:listen(...) end

---@class moonlet.postgres.PostgresDatabase.prepare.options
---@field null? any the value for NULL in its rows
---@field types? table functions for its values

---A statement that each connection prepares when it first runs it there. (Any text is prepared at
---its second run.)
---@param sql string
---@param opts? moonlet.postgres.PostgresDatabase.prepare.options
---@return moonlet.sql.Statement
function PostgresDatabase:prepare(sql, opts) end

---Runs a statement, and returns its first row.
---@param sql string
---@param ... any its parameters
---@return table|nil # by the names of the columns; nil: there is none; or nil, message, code, details
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:row(sql, ...) end

---Iterates over the rows of a statement as the server sends them:
---`for row in db:rows("SELECT * FROM t") do`. They have a connection until the last was read or
---they are closed, which the end of such a loop does. Raises failures as `{message=, code=}`.
---@param sql string
---@param ... any its parameters
---@return moonlet.sql.Rows
function PostgresDatabase:rows(sql, ...) end

---Runs several statements without parameters, up to the first that fails: then all of them are
---undone, unless the text itself begins and commits transactions.
---@param sql string
---@return boolean|nil # true; or nil, message, code, details
---@return string|nil # message
---@return string|nil # code
function PostgresDatabase:script(sql) end

---Figures of the pool.
---@return table # `connections`, `free`
function PostgresDatabase:stats() end

---@class moonlet.postgres.PostgresDatabase.transaction.options
---@field isolation? string "serializable", "repeatable read", "read committed"
---@field read_only? boolean
---@field deferrable? boolean
---@field retry? integer how often fn is called again after a serialization failure or a deadlock (40001, 40P01)

---Calls fn(tx, ...) in a transaction, and commits it. An error, a cancellation, or a failure that
---fn returns as nil, message, code rolls it back. `tx` has the database's calls; a transaction
---inside it is `tx:transaction`.
---
---If the connection breaks while it commits, the code is "08007": it may have been committed.
---@param opts? moonlet.postgres.PostgresDatabase.transaction.options
---@param fn function
---@param ... any its further arguments
---@return any ... # fn's results; or nil, message, code if the transaction could not begin or commit
---@overload fun(self: moonlet.postgres.PostgresDatabase, fn: function, ...: any): ...
function PostgresDatabase:transaction(opts, fn, ...) end

---Runs a statement, and returns the first value of its first row.
---@param sql string
---@param ... any its parameters
---@return any ... # the value; nil: NULL, or there is no row; or nil, message, code, details
function PostgresDatabase:value(sql, ...) end

---The same database, whose rows are made otherwise.
---@param opts table `null` and `types`, as for opening it
---@return moonlet.postgres.PostgresDatabase
function PostgresDatabase:with(opts) end

---PostgreSQL: queries that make only their task wait. The library (libpq, of PostgreSQL 14 or
---later) is loaded when a database is first opened.
---@class moonlet.postgres
local postgres = {}

---@class moonlet.postgres.open.options
---@field max? integer connections at a time
---@field idle? number seconds after which an unused one is closed
---@field timeout? number seconds to connect to a host; `connect_timeout` comes first
---@field pipeline? boolean false: no connection is shared
---@field statements? integer the most that are prepared on a connection
---@field prepare? boolean false: none are, as some proxies want it
---@field null? any the value for NULL in rows, `sql.null` or another; without it such columns are absent
---@field types? table functions by name of a type: what one makes of the text stands for the value
---@field on_notice? function called with each notice's text

---Opens a database. Connections are made when they are needed, up to `max`, and again after they
---were lost; so this waits for nothing, and a server that is down shows in the first query.
---
---Users, passwords, certificates, services and the environment are libpq's, as for psql. Of several
---hosts the first that answers, and is what `target_session_attrs` says, is taken.
---
---Queries of several tasks that only read share a connection when all are busy: they are sent
---without waiting for each other's answers, each a transaction of its own.
---@param what any a URL "postgres://user@host/db", a text of "key=value", or a table of such options
---@param opts? moonlet.postgres.open.options
---@return moonlet.postgres.PostgresDatabase|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function postgres.open(what, opts) end

return postgres
