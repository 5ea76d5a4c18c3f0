--- Statements that are prepared once.
-- @submodule moonlet.sql

local setmetatable = setmetatable

local argument = require "moonlet.argument"

local statement = {}

--- A statement of a database, or of a transaction. Each connection prepares it when it first runs
-- it there, and keeps it; so do all other statements, of which the 256 last used ones are kept.
-- @object Statement
-- @tfield string sql its text
local Statement = {}
Statement.__index = Statement
Statement.__name = "sql.statement"

-- owner: with the calls of a database; how: {null=, types=}, or nil for those of the owner.
function statement.new(owner, sql, how)
  return setmetatable({ owner = how and owner:with(how) or owner, sql = sql }, Statement)
end

--- Runs it, as the database's `execute`.
-- @param ... its parameters
function Statement:execute(...)
  argument.self(self, Statement, "execute")
  return self.owner:execute(self.sql, ...)
end

--- Its first row, as the database's `row`.
-- @param ... its parameters
function Statement:row(...)
  argument.self(self, Statement, "row")
  return self.owner:row(self.sql, ...)
end

--- Its first value, as the database's `value`.
-- @param ... its parameters
function Statement:value(...)
  argument.self(self, Statement, "value")
  return self.owner:value(self.sql, ...)
end

--- All of its rows, as the database's `all`.
-- @param ... its parameters
function Statement:all(...)
  argument.self(self, Statement, "all")
  return self.owner:all(self.sql, ...)
end

--- Iterates over its rows, as the database's `rows`.
-- @param ... its parameters
function Statement:rows(...)
  argument.self(self, Statement, "rows")
  return self.owner:rows(self.sql, ...)
end

function Statement:__tostring()
  return "sql.statement " .. self.sql
end

return statement
