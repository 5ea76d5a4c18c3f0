--- Rows that come in batches: outside a transaction as the server sends them, inside one by a
-- cursor, so that other queries can run meanwhile.
-- @module moonlet.postgres.cursors

local setmetatable, table_unpack = setmetatable, table.unpack

local cursors = {}

local COUNT, ROWS = 0, 2
local BATCH = 256

-- ---- as they come ----

local Stream = {}
Stream.__index = Stream

function Stream:fetch()
  if not self.request then return {} end
  local rows, message, code, details = self.request:fetch(BATCH)
  if not rows then return nil, message, code, details end
  return rows
end

-- What was not read is cancelled.
function Stream:close()
  local request = self.request
  self.request = false
  if request then request:close() end
end

function cursors.stream(connection, reading, sql, signature, list)
  local raw = connection.raw
  local ok, message, code = raw:settle()
  if not ok then return nil, message, code end
  local request, why, why_code =
    raw:stream(sql, nil, nil, signature, ROWS, reading, table_unpack(list, 1, list.n))
  if not request then return nil, why, why_code end
  local stream <close> = setmetatable({ request = request }, { __close = Stream.close })
  local rows, failure, failure_code, details = request:fetch(BATCH)
  if not rows then return nil, failure, failure_code, details end
  stream.request = false
  return setmetatable({ request = request }, Stream), rows
end

-- ---- cursors ----

local Cursor = {}
Cursor.__index = Cursor

function Cursor:fetch()
  local connection = self.connection
  if not connection then return {} end
  return connection:query(ROWS, self.how, self.fetch_sql)
end

function Cursor:close()
  local connection = self.connection
  self.connection = false
  if connection and connection.in_transaction and not connection.failure then
    connection.raw:leave("CLOSE " .. self.name)
  end
end

-- All rows are there at once.
local Whole = {}
Whole.__index = Whole

function Whole.fetch() return {} end
function Whole.close() end

-- Whether a cursor can be declared for a text. For others all rows are read at once.
local function is_declarable(sql)
  local text = sql:lower()
  local word = text:match "^[%s(]*(%a+)"
  if word == "with" then
    return not (text:find "insert" or text:find "update" or text:find "delete" or text:find "merge")
  end
  return (word == "select" and not text:find "%f[%a]into%f[%A]") or word == "values" or
    word == "table"
end

function cursors.declare(connection, how, sql, ...)
  if not is_declarable(sql) then
    local rows, message, code, details = connection:query(ROWS, how, sql, ...)
    if code then return nil, message, code, details end
    return setmetatable({}, Whole), rows
  end
  connection.cursors = (connection.cursors or 0) + 1
  local name = "moonlet_" .. connection.cursors
  local text = ("DECLARE %s NO SCROLL CURSOR FOR %s"):format(name, sql)
  local ok, message, code, details = connection:query(COUNT, how, text, ...)
  if not ok then return nil, message, code, details end
  local cursor = setmetatable({
    connection = connection, how = how, name = name,
    fetch_sql = ("FETCH %d FROM %s"):format(BATCH, name),
  }, Cursor)
  local rows, why, why_code, why_details = cursor:fetch()
  if not rows then return nil, why, why_code, why_details end
  return cursor, rows
end

return cursors
