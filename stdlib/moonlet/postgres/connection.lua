--- A connection to PostgreSQL: its prepared statements, its transaction, its rows.
--
-- It is what moonlet.sql.database calls a connection, with the options of the engine in itself.
-- @module moonlet.postgres.connection

local next, setmetatable, table_pack, table_unpack = next, setmetatable, table.pack, table.unpack

local core = require "moonlet.postgres.core"
local cursors = require "moonlet.postgres.cursors"
local parameters = require "moonlet.postgres.parameters"
local readings = require "moonlet.postgres.readings"
local signature_of, convert = core.signature, parameters.convert

local connection = {}

local Connection = {}
Connection.__index = Connection
Connection.__name = "libpq.session"

-- What a query is to give (enum ml_pg_want).
local COUNT, ROW, ROWS, VALUE, TAG = 0, 1, 2, 3, 4
connection.COUNT, connection.ROW, connection.ROWS = COUNT, ROW, ROWS
connection.VALUE, connection.TAG = VALUE, TAG

--- Makes one of the core's.
-- @param raw
-- @tparam table settings of the database: `statements`: the most that are prepared, 0: none;
-- `wanted`: texts that are prepared at their first use; `readings`: see moonlet.postgres.readings;
-- `on_notice`
function connection.new(raw, settings)
  if settings.on_notice then raw:keep_notices() end
  return setmetatable({
    raw = raw, on_notice = settings.on_notice, most = settings.statements,
    wanted = settings.wanted, readings = settings.readings,
    entries = {}, entry_count = 0, clock = 0, -- texts of queries, and what is known of each
    names = 0, -- given to statements so far
    garbage = {}, -- names of statements that are used no more
    before = false, -- a BEGIN that the next query takes along
    in_transaction = false,
    failure = false, -- the first failure of the transaction
    load = 0, since = 0, -- for moonlet.postgres.pool
  }, Connection)
end

-- ---- prepared statements ----

local function drop_entry(self, entry)
  self.entries[entry.sql] = nil
  self.entry_count = self.entry_count - 1
  for _, name in next, entry.names do
    if name then self.garbage[#self.garbage + 1] = name end
  end
end

local function drop_oldest(self)
  local oldest
  for _, entry in next, self.entries do
    if not oldest or entry.used < oldest.used then oldest = entry end
  end
  if oldest then drop_entry(self, oldest) end
end

-- Statements that take all prepared ones away.
local function is_reset(sql)
  local word = sql:match "^%s*(%a+)"
  word = word and word:lower()
  return word == "discard" or word == "deallocate"
end

local function new_entry(self, sql)
  if self.entry_count >= self.most then drop_oldest(self) end
  local entry = { sql = sql, names = {}, kinds = 0, used = 0, is_reset = is_reset(sql) }
  self.entries[sql], self.entry_count = entry, self.entry_count + 1
  return entry
end

local function forget_all(self)
  self.entries, self.entry_count, self.garbage = {}, 0, {}
end

-- Tells the server which statements it need not keep. Not inside a transaction, which an error
-- would end.
local function drop_garbage(self)
  local garbage = self.garbage
  self.garbage = {}
  for i = 1, #garbage do self.raw:leave("DEALLOCATE " .. garbage[i]) end
end

-- How many combinations of types of one text are prepared.
local MOST_KINDS = 8

-- The text has been run once with these types: the next time it is prepared.
local function note(self, entry, signature)
  if entry.kinds >= MOST_KINDS then
    drop_entry(self, entry)
    return
  end
  entry.names[signature], entry.kinds = false, entry.kinds + 1
end

-- Failures after which the statement is not as it was prepared, or is gone.
local function is_stale(message, code)
  return code == "26000" or (code == "0A000" and message:find("cached plan", 1, true) ~= nil)
end

-- Classes of failures of a statement that was prepared.
local RAN = { ["22"] = true, ["23"] = true, ["40"] = true, P0 = true, ["21"] = true }

-- ---- queries ----

local function run_prepared(self, entry, name, before, signature, want, reading, ...)
  local value, message, code, details =
    self.raw:run(nil, name, before, signature, want, reading, ...)
  if not code or not is_stale(message, code) then return value, message, code, details end
  entry.names[signature] = false
  if self.in_transaction then return value, message, code, details end
  return self.raw:run(entry.sql, nil, before, signature, want, reading, ...)
end

-- The name is known before the server has answered, since others may share the connection.
local function prepare_and_run(self, entry, before, signature, want, reading, ...)
  self.names = self.names + 1
  local name = "moonlet_" .. self.names
  entry.names[signature] = name
  local value, message, code, details =
    self.raw:run(entry.sql, name, before, signature, want, reading, ...)
  local was_sent = details ~= nil or code ~= "22021" -- else a parameter that no text can hold
  if code and not (was_sent and RAN[code:sub(1, 2)]) and entry.names[signature] == name then
    entry.names[signature] = false
    if was_sent and code:sub(1, 2) ~= "42" then self.garbage[#self.garbage + 1] = name end
  end
  return value, message, code, details
end

local function run_known(self, entry, before, signature, want, reading, ...)
  local name = entry.names[signature]
  self.clock = self.clock + 1
  entry.used, entry.signature = self.clock, signature
  if name then return run_prepared(self, entry, name, before, signature, want, reading, ...) end
  if name == false or self.wanted[entry.sql] then
    return prepare_and_run(self, entry, before, signature, want, reading, ...)
  end
  note(self, entry, signature)
  return self.raw:run(entry.sql, nil, before, signature, want, reading, ...)
end

local function run_entry(self, entry, before, want, reading, ...)
  local signature = signature_of(entry.signature, ...)
  if signature then return run_known(self, entry, before, signature, want, reading, ...) end
  local list = table_pack(...)
  signature = convert(list, signature_of)
  return run_known(self, entry, before, signature, want, reading, table_unpack(list, 1, list.n))
end

local function run_unprepared(self, before, want, reading, sql, ...)
  local signature = signature_of(nil, ...)
  if signature then return self.raw:run(sql, nil, before, signature, want, reading, ...) end
  local list = table_pack(...)
  signature = convert(list, signature_of)
  return self.raw:run(sql, nil, before, signature, want, reading, table_unpack(list, 1, list.n))
end

local function run(self, before, want, reading, sql, ...)
  if self.most == 0 then return run_unprepared(self, before, want, reading, sql, ...) end
  if self.garbage[1] and not self.in_transaction then drop_garbage(self) end
  local entry = self.entries[sql] or new_entry(self, sql)
  if not entry.is_reset then return run_entry(self, entry, before, want, reading, ...) end
  local value, message, code, details = run_unprepared(self, before, want, reading, sql, ...)
  if not code then forget_all(self) end
  return value, message, code, details
end

-- Calls the script's function for each notice.
local function tell_notices(self)
  local texts, dropped = self.raw:notices()
  for i = 1, texts and #texts or 0 do self.on_notice((texts[i]:gsub("\n$", ""))) end
  if dropped and dropped > 0 then self.on_notice(("%d more notices"):format(dropped)) end
end

-- A query of a transaction: the first one takes BEGIN along, and the first failure is remembered.
-- If BEGIN itself has failed, nothing more is sent: it would be outside the transaction.
local function run_inside(self, want, reading, sql, ...)
  local before = self.before
  if self.is_lost then return nil, "the transaction could not begin", "25000" end
  self.before = false
  local value, message, code, details = run(self, before or nil, want, reading, sql, ...)
  if before and code and not details and code == "22021" then self.before = before end
  if code and not self.failure then self.failure = { message, code } end
  if before and not self.before and self.raw:state() == "idle" then self.is_lost = true end
  return value, message, code, details
end

--- Runs a query.
-- @treturn any what is wanted; or nil, message, code, details
function Connection:query(want, how, sql, ...)
  local reading, message, code, details = self.readings[how], nil, nil, nil
  if not reading then reading, message, code, details = readings.make(self, how) end
  if not reading then return nil, message, code, details end
  local value
  if self.in_transaction then
    value, message, code, details = run_inside(self, want, reading, sql, ...)
  else
    value, message, code, details = run(self, nil, want, reading, sql, ...)
  end
  if self.on_notice then tell_notices(self) end
  if code then return nil, message, code, details end
  return value
end

function Connection:execute(how, sql, ...) return self:query(COUNT, how, sql, ...) end
function Connection:row(how, sql, ...) return self:query(ROW, how, sql, ...) end
function Connection:value(how, sql, ...) return self:query(VALUE, how, sql, ...) end
function Connection:all(how, sql, ...) return self:query(ROWS, how, sql, ...) end

-- ---- rows ----

--- Begins a query whose rows come in batches.
-- @return a cursor and the first rows; or nil, message, code, details
function Connection:rows(how, sql, ...)
  if self.in_transaction then return cursors.declare(self, how, sql, ...) end
  local reading, message, code, details = self.readings[how], nil, nil, nil
  if not reading then reading, message, code, details = readings.make(self, how) end
  if not reading then return nil, message, code, details end
  local list = table_pack(...)
  return cursors.stream(self, reading, sql, convert(list, signature_of), list)
end

-- ---- several commands ----

-- Makes sure that nothing is under way, and that a transaction has begun.
function Connection:make_ready()
  if self.before then
    local before = self.before
    self.before = false
    local tag, message, code, details = self.raw:run(before, nil, nil, "", TAG)
    if not tag then
      self.is_lost = true
      return nil, message, code, details
    end
  end
  return self.raw:settle()
end

--- Runs a text of several commands, up to the first that fails.
-- @treturn boolean true; or nil, message, code, details
function Connection:script(sql)
  local ok, message, code, details = self:make_ready()
  if ok then ok, message, code, details = self.raw:send(sql) end
  if not ok then return nil, message, code, details end
  local failure
  repeat
    local kind, why, why_code, why_details = self.raw:result()
    if kind == nil then
      failure = failure or { why, why_code, why_details }
      if self.raw:is_broken() then kind = false end
    elseif kind == "in" or kind == "out" then
      self.raw:close()
      return nil, "COPY from or to the client needs copy_in or copy_out", "0A000"
    end
  until kind == false
  forget_all(self) -- it may have held DISCARD ALL
  if self.on_notice then tell_notices(self) end
  if not failure then return true end
  if self.in_transaction and not self.failure then self.failure = failure end
  return nil, table_unpack(failure, 1, 3)
end

-- ---- its life ----

--- Whether it can serve another task.
function Connection:tidy()
  self.before, self.in_transaction, self.failure, self.is_lost = false, false, false, nil
  local raw = self.raw
  if raw:is_broken() then return false end
  return not raw:is_settled() or raw:state() == "idle"
end

function Connection:close()
  self.raw:close()
end

return connection
