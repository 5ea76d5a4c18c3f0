--- Values for databases: NULL, and parameters that are not what their Lua type says.
-- `moonlet.sqlite` and `moonlet.postgres` take them.
-- @module moonlet.sql

local setmetatable = setmetatable

local argument = require "moonlet.argument"
local json = require "moonlet.json"

local sql = {}

-- A parameter is a table with a text at 1; __sql is its kind, for the engines.
local Bytes = { __name = "sql.bytes", __sql = "bytes" }
local Json = { __name = "sql.json", __sql = "json" }
local Array = { __name = "sql.array", __sql = "array" }

--- NULL, where a table cannot have nil: a named parameter, an item of an array, a column with the
-- option `null`. The same value as `json.null`.
sql.null = json.null

--- A binary string: a blob in SQLite, bytea in PostgreSQL. Other strings are texts.
-- @tparam string text
-- @return a parameter
function sql.bytes(text)
  argument.string(text, 1, "bytes")
  return setmetatable({ text }, Bytes)
end

--- A value as JSON.
-- @param value what `json.encode` takes
-- @return a parameter
function sql.json(value)
  argument.check(value ~= nil, 1, "json", "a value expected; sql.null is JSON's null")
  return setmetatable({ (json.encode(value)) }, Json)
end

--- A list as an array of PostgreSQL's. `sql.null` is NULL in it.
-- @tparam table list
-- @return a parameter
function sql.array(list)
  argument.table(list, 1, "array")
  return setmetatable({ list }, Array)
end

return sql
