--- COPY, in both directions, piece by piece.
-- @submodule moonlet.postgres

local select, setmetatable, tostring, type = select, setmetatable, tostring, type
local table_concat = table.concat

local argument = require "moonlet.argument"
local raise = argument.raise

local copy = {}

local NAMES = { ["in"] = "FROM STDIN", out = "TO STDOUT" }

-- Sends the command. Afterwards data flow in that direction.
local function begin(connection, sql, direction)
  local raw = connection.raw
  local ok, message, code, details = connection:make_ready()
  if ok then ok, message, code, details = raw:send(sql) end
  if not ok then return nil, message, code, details end
  local kind, why, why_code, why_details = raw:result()
  if kind == direction then return true end
  if kind == "in" or kind == "out" then
    raw:close()
    return nil, "the COPY goes the other way", "0A000"
  end
  while not raw:is_broken() and raw:result() ~= false do end
  if kind ~= nil then return nil, "not a COPY " .. NAMES[direction], "0A000" end
  if connection.in_transaction then connection.failure = connection.failure or { why, why_code } end
  return nil, why, why_code, why_details
end

-- Reads the results to the end. Returns the count of rows; or nil, message, code, details.
local function finish(connection)
  local raw, count, failure = connection.raw, 0, nil
  repeat
    local kind, rows, code, details = raw:result()
    if kind == nil then failure = failure or { rows, code, details } end
    if kind then count = rows end
  until kind == false or raw:is_broken()
  if not failure then return count end
  if connection.in_transaction then connection.failure = connection.failure or failure end
  return nil, failure[1], failure[2], failure[3]
end

-- Ends the use of the connection: is_whole: nothing is under way on it.
local function release(self, is_whole)
  local connection, loan = self.connection, self.loan
  self.connection, self.loan = false, false
  if not is_whole then connection.raw:close() end
  if loan then loan:close() end
end

-- A connection that has begun to copy: it serves for nothing else if the task is cancelled.
local Opening = {}

function Opening:__close(failure)
  if failure ~= nil then release(self, false) end
end

-- Begins, or gives the loan back.
local function open(connection, loan, sql, direction)
  local opening <close> = setmetatable({ connection = connection, loan = loan }, Opening)
  local ok, message, code, details = begin(opening.connection, sql, direction)
  if ok then return true end
  if loan then loan:close() end
  return nil, message, code, details
end

-- ---- in ----

--- Data on their way into a table. `<close>` gives them up, unless they are finished: then the
-- server drops them, and the connection is closed.
-- @object CopyWriter
local CopyWriter = {}
CopyWriter.__index = CopyWriter
CopyWriter.__name = "postgres.copy_writer"

-- Bytes that are sent at a time.
local PIECE = 65536

local function flush(self)
  if self.count == 0 then return true end
  local data = table_concat(self.parts, "", 1, self.count)
  self.count, self.size = 0, 0
  local ok, message, code = self.connection.raw:put(data)
  if not ok then
    local count, why, why_code, details = finish(self.connection)
    release(self, false)
    if count == nil then return nil, why, why_code, details end
    return nil, message, code
  end
  return true
end

local function add(self, text)
  if type(text) ~= "string" then text = tostring(text) end
  self.count, self.size = self.count + 1, self.size + #text
  self.parts[self.count] = text
end

--- Sends data in the format of the command. Waits while the server takes its time.
-- @tparam string ... pieces
-- @treturn boolean true; or nil, message, code
function CopyWriter:write(...)
  argument.self(self, CopyWriter, "write")
  if not self.connection then return nil, "closed", "CLOSED" end
  for i = 1, select("#", ...) do add(self, (select(i, ...))) end
  if self.size < PIECE then return true end
  return flush(self)
end

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function field(value)
  if value == nil then return "\\N" end
  if value == true then return "t" elseif value == false then return "f" end
  return (tostring(value):gsub("[\\\n\r\t]", ESCAPES))
end

--- Sends a row in the text format, which is the default of COPY.
-- @param ... strings, numbers, booleans; nil is NULL
-- @treturn boolean true; or nil, message, code
function CopyWriter:row(...)
  argument.self(self, CopyWriter, "row")
  local fields = {}
  for i = 1, select("#", ...) do fields[i] = field((select(i, ...))) end
  return self:write(table_concat(fields, "\t"), "\n")
end

--- Ends the data, and waits until the server has taken them.
-- @treturn integer rows; or nil, message, code
function CopyWriter:finish()
  argument.self(self, CopyWriter, "finish")
  if not self.connection then return nil, "closed", "CLOSED" end
  local ok, message, code, details = flush(self)
  if ok then ok, message, code = self.connection.raw:end_copy() end
  if not ok then
    if self.connection then release(self, false) end
    return nil, message, code, details
  end
  local count, why, why_code, why_details = finish(self.connection)
  release(self, true)
  return count, why, why_code, why_details
end

-- Has the server drop the data, for that reason. Waits.
local function give_up(self, reason)
  if not self.connection then return end
  local ok = self.connection.raw:end_copy(reason)
  if ok then finish(self.connection) end
  release(self, ok)
end

--- Gives the data up, if they are not finished. Idempotent, never waits.
function CopyWriter:close()
  argument.self(self, CopyWriter, "close")
  if self.connection then release(self, false) end
end

CopyWriter.__close = CopyWriter.close

function CopyWriter:__tostring()
  return self.connection and "postgres.copy_writer (open)" or "postgres.copy_writer (closed)"
end

-- A function that gives one piece after the other.
local function pieces_of(source)
  if type(source) == "string" then source = { source } end
  if type(source) == "table" and source[1] ~= nil then
    local at = 0
    return function()
      at = at + 1
      return source[at]
    end
  end
  if argument.is_callable(source) then return source end
  if source.chunks then return source:chunks() end
  return function() end
end

local function write_all(writer, source)
  local next_piece = pieces_of(source)
  while true do
    local piece, why, why_code = next_piece()
    if piece == nil then
      if not why then return writer:finish() end
      give_up(writer, tostring(why))
      return nil, why, why_code
    end
    local ok, message, code, details = writer:write(piece)
    if not ok then return nil, message, code, details end
  end
end

-- Begins to copy in; with a source copies all of it. loan: of the connection; false: it is a
-- transaction's.
function copy.write(connection, loan, sql, source)
  local ok, message, code, details = open(connection, loan, sql, "in")
  if not ok then return nil, message, code, details end
  local writer = { connection = connection, loan = loan, parts = {}, count = 0, size = 0 }
  setmetatable(writer, CopyWriter)
  if source == nil then return writer end
  local closing <close> = writer
  return write_all(closing, source)
end

-- ---- out ----

--- Data on their way out of a table: `for line in db:copy_out(sql) do`. `<close>` ends it.
-- @object CopyReader
local CopyReader = {}
CopyReader.__index = CopyReader
CopyReader.__name = "postgres.copy_reader"

--- The next piece, a row in the format of the command. Waits.
-- @treturn string nil: that was all; or nil, message, code
function CopyReader:read_some()
  argument.self(self, CopyReader, "read_some")
  if not self.connection then return nil end
  local data, message, code = self.connection.raw:get()
  if data then return data end
  if data == nil then
    release(self, false)
    return nil, message, code
  end
  local count, why, why_code, details = finish(self.connection)
  release(self, true)
  if count == nil then return nil, why, why_code, details end
  return nil
end

-- Raises failures.
function CopyReader:__call()
  local data, message, code = self:read_some()
  if message then raise(message, code) end
  return data
end

--- Ends it: what was not read is dropped, and the connection is closed. Idempotent, never waits.
function CopyReader:close()
  argument.self(self, CopyReader, "close")
  if self.connection then release(self, false) end
end

CopyReader.__close = CopyReader.close

function CopyReader:__tostring()
  return self.connection and "postgres.copy_reader (open)" or "postgres.copy_reader (closed)"
end

-- Begins to copy out.
function copy.read(connection, loan, sql)
  local ok, message, code, details = open(connection, loan, sql, "out")
  if not ok then return nil, message, code, details end
  local reader = setmetatable({ connection = connection, loan = loan }, CopyReader)
  return reader, nil, nil, reader
end

return copy
