---@meta moonlet.sql

---A database: a pool of connections. `<close>` closes it.
---@class moonlet.sql.Database
local Database = {}

---Runs a statement, and returns all of its rows.
---@param sql string
---@param ... any its parameters
---@return {table}|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Database:all(sql, ...) end

---SQLite only: copies the database, as it is now, into a file, while others go on reading and
---writing. The file is replaced once the copy is complete and on disk. Waits.
---@param path string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Database:backup(path) end

---Begins a transaction: `local tx <close> = assert(db:begin())`. It lasts until `tx:commit()` or
---`tx:rollback()`, and is rolled back by `<close>` if neither was called. Until then no other task
---can write to a database of SQLite, whatever this one waits for: better use `db:transaction`
---where there is a function.
---@param opts? table of the engine
---@return moonlet.sql.Transaction|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Database:begin(opts) end

---Closes it: connections that are in use when they come back. Idempotent, never waits.
function Database:close() end

---Runs a statement, and drops the rows that it returns. Waits.
---@param sql string one statement
---@param ... any its parameters; nil is NULL. SQLite: or one table with named ones
---@return integer|nil # rows changed; or nil, message, code. SQLite: then the rowid of the last row that this connection has inserted
---@return string|nil # message
---@return string|nil # code
function Database:execute(sql, ...) end

---@class moonlet.sql.Database.prepare.options
---@field null? any the value for NULL in its rows
---@field types? table functions for its values, see the engine

---A statement that is run often.
---@param sql string
---@param opts? moonlet.sql.Database.prepare.options
---@return moonlet.sql.Statement
function Database:prepare(sql, opts) end

---Runs a statement, and returns its first row.
---@param sql string
---@param ... any its parameters
---@return table|nil # by the names of the columns; nil: there is none; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Database:row(sql, ...) end

---Iterates over the rows of a statement, which come in batches:
---`for row in db:rows("SELECT * FROM t") do`. They have a connection until the last was read or
---they are closed, which the end of such a loop does. Raises failures as `{message=, code=}`.
---@param sql string
---@param ... any its parameters
---@return moonlet.sql.Rows
function Database:rows(sql, ...) end

---Runs several statements without parameters, one after the other, up to the first that fails.
---Those before it stay done, unless the text itself begins and commits a transaction.
---@param sql string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Database:script(sql) end

---Calls fn(tx, ...) in a transaction, and commits it. An error, a cancellation, or a failure that
---fn returns as nil, message, code rolls it back. A transaction of the same task inside it is
---`tx:transaction`.
---@param opts? table of the engine
---@param fn function
---@param ... any its further arguments
---@return any ... # fn's results; or nil, message, code if the transaction could not begin or commit
---@overload fun(self: moonlet.sql.Database, fn: function, ...: any): ...
function Database:transaction(opts, fn, ...) end

---Runs a statement, and returns the first value of its first row.
---@param sql string
---@param ... any its parameters
---@return any ... # the value; nil: NULL, or there is no row; or nil, message, code
function Database:value(sql, ...) end

---The same database, whose rows are made otherwise.
---@param opts table `null` and `types`, as for opening it
---@return moonlet.sql.Database
function Database:with(opts) end

---Rows of a query, as `db:rows` returns them: `for row in db:rows(sql) do`. They have a connection
---until the last was read, an error came, or they are closed. `<close>` closes them.
---@class moonlet.sql.Rows
local Rows = {}

---Ends the query: what was not read is dropped. Idempotent, never waits.
function Rows:close() end

---A statement of a database, or of a transaction. Each connection prepares it when it first runs
---it there, and keeps it; so do all other statements, of which the 256 last used ones are kept.
---@class moonlet.sql.Statement
---@field sql string its text
local Statement = {}

---All of its rows, as the database's `all`.
---@param ... any its parameters
function Statement:all(...) end

---Runs it, as the database's `execute`.
---@param ... any its parameters
function Statement:execute(...) end

---Its first row, as the database's `row`.
---@param ... any its parameters
function Statement:row(...) end

---Iterates over its rows, as the database's `rows`.
---@param ... any its parameters
function Statement:rows(...) end

---Its first value, as the database's `value`.
---@param ... any its parameters
function Statement:value(...) end

---A transaction, for the task that began it, until its function returns, or, after `db:begin`,
---until it is committed or rolled back. Its calls are those of the database, on one connection.
---@class moonlet.sql.Transaction
local Transaction = {}

---All rows, as the database's `all`.
---@param sql string
---@param ... any its parameters
---@return {table}|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Transaction:all(sql, ...) end

---Rolls a transaction of `db:begin` back unless it has ended. Idempotent. `<close>` does it at the
---end of a block.
function Transaction:close() end

---Commits a transaction of `db:begin`, and ends it. If that fails it is rolled back.
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Transaction:commit() end

---Runs a statement, as the database's `execute`.
---@param sql string
---@param ... any its parameters
---@return integer|nil # rows changed; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Transaction:execute(sql, ...) end

---A statement that is run often, as the database's `prepare`.
---@param sql string
---@param opts? table
---@return moonlet.sql.Statement
function Transaction:prepare(sql, opts) end

---Rolls a transaction of `db:begin` back, and ends it.
---@return boolean # true
function Transaction:rollback() end

---The first row, as the database's `row`.
---@param sql string
---@param ... any its parameters
---@return table|nil # or nil; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Transaction:row(sql, ...) end

---Iterates over rows, as the database's `rows`. Other statements may run while they are open.
---@param sql string
---@param ... any its parameters
---@return moonlet.sql.Rows
function Transaction:rows(sql, ...) end

---Runs several statements, as the database's `script`.
---@param sql string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Transaction:script(sql) end

---Calls fn(tx, ...) between a savepoint and its release. An error, or a failure that fn returns as
---nil, message, code, undoes what it did; the transaction around it goes on.
---@param fn function
---@param ... any its further arguments
---@return any ... # fn's results; or nil, message, code
function Transaction:transaction(fn, ...) end

---The first value, as the database's `value`.
---@param sql string
---@param ... any its parameters
---@return any ... # the value; or nil, message, code
function Transaction:value(sql, ...) end

---The same transaction, whose rows are made otherwise.
---@param opts table `null` and `types`, as for opening the database
---@return moonlet.sql.Transaction
function Transaction:with(opts) end

---Values for databases: NULL, and parameters that are not what their Lua type says.
---`moonlet.sqlite` and `moonlet.postgres` take them.
---@class moonlet.sql
local sql = {}

---NULL, where a table cannot have nil: a named parameter, an item of an array, a column with the
---option `null`. The same value as `json.null`.
sql.null = {}

---A list as an array of PostgreSQL's. `sql.null` is NULL in it.
---@param list table
---@return any ... # a parameter
function sql.array(list) end

---A binary string: a blob in SQLite, bytea in PostgreSQL. Other strings are texts.
---@param text string
---@return any ... # a parameter
function sql.bytes(text) end

---A value as JSON.
---@param value any what `json.encode` takes
---@return any ... # a parameter
function sql.json(value) end

return sql
