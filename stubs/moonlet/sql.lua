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

---Closes it: connections that are in use when they come back. Idempotent, never waits.
function Database:close() end

---Runs a statement, and drops the rows that it returns. Waits.
---@param sql string one statement
---@param ... any its parameters; nil is NULL. SQLite: or one table with named ones
---@return integer|nil # rows changed; or nil, message, code. SQLite: then the rowid of the last row that was inserted
---@return string|nil # message
---@return string|nil # code
function Database:execute(sql, ...) end

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

---Rows of a query, as `db:rows` returns them: `for row in db:rows(sql) do`. They have a connection
---until the last was read, an error came, or they are closed. `<close>` closes them.
---@class moonlet.sql.Rows
local Rows = {}

---Ends the query: what was not read is dropped. Idempotent, never waits.
function Rows:close() end

---A transaction, for the task that began it. Its calls are those of the database; a nested
---transaction is a savepoint.
---@class moonlet.sql.Transaction
local Transaction = {}

---As the database's.
---@param sql any
---@param ... any
function Transaction:all(sql, ...) end

---As the database's.
---@param sql any
---@param ... any
function Transaction:execute(sql, ...) end

---As the database's.
---@param sql any
---@param ... any
function Transaction:row(sql, ...) end

---As the database's. Other statements may run while the rows are open.
---@param sql any
---@param ... any
function Transaction:rows(sql, ...) end

---As the database's.
---@param sql any
function Transaction:script(sql) end

---Calls fn(tx, ...) between a savepoint and its release. An error, or a failure that fn returns as
---nil, message, code, undoes what it did; the transaction around it goes on.
---@param fn function
---@param ... any its further arguments
---@return any ... # fn's results; or nil, message, code
function Transaction:transaction(fn, ...) end

---As the database's.
---@param sql any
---@param ... any
function Transaction:value(sql, ...) end

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
