--- Transactions of PostgreSQL, for moonlet.sql.transaction.
-- @module moonlet.postgres.engine

local error = error

local copy = require "moonlet.postgres.copy"

local engine = { name = "postgres", transaction_methods = {} }

local TAG = 4

local LEVELS = {
  serializable = "SERIALIZABLE", ["repeatable read"] = "REPEATABLE READ",
  ["read committed"] = "READ COMMITTED", ["read uncommitted"] = "READ UNCOMMITTED",
}
engine.LEVELS = LEVELS

local function begin_text(opts)
  local text = "BEGIN"
  if opts and opts.isolation then text = text .. " ISOLATION LEVEL " .. LEVELS[opts.isolation] end
  if opts and opts.read_only then text = text .. " READ ONLY" end
  if opts and opts.deferrable then text = text .. " DEFERRABLE" end
  return text
end

-- BEGIN goes out with the first query, under the same sync: if it fails, that does not run.
function engine.begin(connection, opts)
  connection.in_transaction, connection.failure, connection.is_lost = true, false, nil
  connection.before = begin_text(opts)
  return true
end

-- The connection broke before the answer: the server may have committed.
local function is_unknown(code)
  return code == "CLOSED" or code == "ETIMEDOUT" or code:sub(1, 2) == "08" or
    code:sub(1, 3) == "57P"
end

local function commit_failure(connection, message, code, details)
  if not code then -- ROLLBACK: a query has failed, and the function has taken no notice
    local failure = connection.failure or { "the transaction had failed", "25P02" }
    return nil, failure[1], failure[2]
  end
  if not is_unknown(code) then return nil, message, code, details end
  return nil, "not known whether the transaction was committed: " .. message, "08007"
end

function engine.commit(connection)
  if connection.before then return true end
  if connection.is_lost then
    return nil, "the transaction could not begin", "25000"
  end
  local tag, message, code, details = connection.raw:run("COMMIT", nil, nil, "", TAG, nil)
  if tag == "COMMIT" then return true end
  return commit_failure(connection, message, code, details)
end

-- What a cancelled query has left is waited for first, so that its cancellation cannot meet this.
function engine.rollback(connection)
  local raw = connection.raw
  if connection.before or raw:is_broken() then return end
  local ok = raw:settle()
  if ok and raw:state() ~= "idle" then ok = raw:run("ROLLBACK", nil, nil, "", TAG, nil) end
  if not ok then raw:close() end
end

local function connection_of(tx)
  return tx.connection or error("the transaction has ended", 3)
end

function engine.transaction_methods:copy_in(sql, source)
  return copy.write(connection_of(self), false, sql, source)
end

function engine.transaction_methods:copy_out(sql)
  return copy.read(connection_of(self), false, sql)
end

return engine
