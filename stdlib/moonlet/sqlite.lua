--- SQLite, on worker threads: a query makes only its task wait. The library (libsqlite3) is loaded
-- when a database is first opened.
-- @module moonlet.sqlite

local ipairs, pairs, pcall = ipairs, pairs, pcall
local tostring, type = tostring, type

local argument = require "moonlet.argument"
local core = require "moonlet.sqlite.core"
local database = require "moonlet.sql.database"
local pool = require "moonlet.pool"
local task = require "moonlet.task"
package.loaded["moonlet.sqlite.core"] = nil

local sqlite = {}

-- ---- the engine (moonlet.sql.database) ----

local engine = {}

local NOTHING = {}

function engine.begin(connection)
  connection:restrict "begin"
  local ok, message, code = connection:execute(NOTHING, "BEGIN IMMEDIATE")
  if not ok then
    connection:restrict "any"
    return nil, message, code
  end
  connection:restrict "within"
  return true
end

function engine.commit(connection)
  local ok, message, code = connection:execute(NOTHING, "COMMIT")
  if not ok then return nil, message, code end
  connection:restrict "any"
  return true
end

function engine.rollback(connection)
  if connection:in_transaction() then connection:execute(NOTHING, "ROLLBACK") end
  connection:restrict "any"
end

-- Inside, only calls of the transaction may wait: meanwhile no other task can write.
function engine.guard(connection, fn, ...)
  return connection:guard(fn, ...)
end

function engine.is_busy(code)
  return code == "SQLITE_BUSY" or code == "SQLITE_BUSY_RECOVERY" or code == "SQLITE_LOCKED"
end

-- ---- what only databases of SQLite can do ----

engine.methods = {}

-- Described in moonlet/sql/database.lua, as all methods of databases.
function engine.methods:backup(path)
  argument.self(self, engine.class, "backup")
  argument.string(path, 1, "backup")
  local loan <close>, message, code = self.readers:take()
  if not loan then return nil, message, code end
  return loan.connection:backup(path)
end

local quick_row, quick_value = core.quick_row, core.quick_value
local usual_row, usual_value = database.methods.row, database.methods.value

-- Statements that find one row have a shorter way; all others, and all failures, go the usual one.
function engine.methods:row(sql, ...)
  local done, row = quick_row(self, sql, ...)
  if done then return row end
  return usual_row(self, sql, ...)
end

function engine.methods:value(sql, ...)
  local done, value = quick_value(self, sql, ...)
  if done then return value end
  return usual_value(self, sql, ...)
end

-- ---- connections ----

-- The pause between two tries to open a database that another process has locked, in seconds.
local PAUSE = 0.005

-- Runs a statement of the set-up; tries again while the database is busy: to change a file to WAL
-- needs all of it.
local function prepare(connection, deadline, sql, ...)
  local ok, message, code = connection:execute(NOTHING, sql, ...)
  while not ok and engine.is_busy(code) and task.now() < deadline do
    task.sleep(PAUSE)
    ok, message, code = connection:execute(NOTHING, sql, ...)
  end
  return ok, message, code
end

-- The tasks that close databases, by path: until its last connection is closed SQLite writes to a
-- file, and removes by name what belongs to it.
local closing = {}

local function close_all(connections)
  for _, connection in ipairs(connections) do connection:close() end
end

-- Of two connections that close at the same time each finds the other one, and none writes the log
-- back: the one that writes is closed last. Never waits.
local function close_last(how, connections)
  local path, before = how.path, closing[how.path]
  local ok, t = pcall(task.spawn, { name = "sqlite closes " .. path, quiet = true }, function()
    if before then task.pcall(before.join, before) end
    task.pcall(how.closings.wait, how.closings)
    close_all(connections)
    task.pcall(how.closings.wait, how.closings)
    if closing[path] == task.current() then closing[path] = nil end
  end)
  if ok then closing[path] = t else close_all(connections) end
end

-- Opens a connection and makes it what the options say. how: {path=, statements=, attach=,
-- patience=, is_memory=, closings=}
local function connect(how, mode, only_reads)
  local connection, message, code = core.open(how.path, mode, how.closings)
  if not connection then return nil, ("%s: %s"):format(how.path, message), code end
  local deadline, ok = task.now() + how.patience, true
  for _, sql in ipairs(how.statements) do
    if ok then ok, message, code = prepare(connection, deadline, sql) end
  end
  for name, path in pairs(how.attach) do
    local sql = ('ATTACH ? AS "%s"'):format(name)
    if ok then ok, message, code = prepare(connection, deadline, sql, path) end
  end
  if not ok then
    connection:close()
    return nil, ("%s: %s"):format(how.path, message), code
  end
  if not how.is_memory then connection:seal() end
  if only_reads then connection:restrict "read" end
  return connection
end

local function is_memory(path)
  return path == ":memory:" or path == ""
end

local SYNCHRONOUS = { off = true, normal = true, full = true, extra = true }

local OPTIONS = {
  mode = true, readers = true, busy_timeout = true, synchronous = true, null = true, types = true,
  pragmas = true, attach = true, group_commit = true,
}

-- The statements with which each connection begins.
local function statements_of(opts, mode, memory)
  local statements = { "PRAGMA foreign_keys = ON" }
  if mode ~= "read" then
    statements[#statements + 1] = "PRAGMA synchronous = " .. (opts.synchronous or "full")
    if not memory then statements[#statements + 1] = "PRAGMA journal_mode = WAL" end
  end
  for name, value in pairs(opts.pragmas or {}) do
    statements[#statements + 1] = ("PRAGMA %s = %s"):format(name, tostring(value))
  end
  return statements
end

local MODES = { create = true, write = true, read = true }

local function check_names(table, name, pattern)
  if table == nil then return end
  local message = ("option '%s' must be a table of names and values"):format(name)
  argument.check(type(table) == "table", 2, "open", message)
  for key in pairs(table) do
    argument.check(type(key) == "string" and key:find(pattern), 2, "open", message)
  end
end

local function check_options(opts)
  argument.options(opts, 2, "open", OPTIONS)
  argument.check(opts.mode == nil or MODES[opts.mode], 2, "open",
    "option 'mode' must be \"create\", \"write\" or \"read\"")
  argument.check(opts.synchronous == nil or SYNCHRONOUS[opts.synchronous], 2, "open",
    "option 'synchronous' must be \"off\", \"normal\", \"full\" or \"extra\"")
  argument.count(opts.readers, 2, "open", "option 'readers'")
  argument.check(opts.busy_timeout == nil or type(opts.busy_timeout) == "number", 2, "open",
    "option 'busy_timeout' must be a number of seconds")
  argument.check(opts.types == nil or type(opts.types) == "table", 2, "open",
    "option 'types' must be a table of functions")
  argument.check(opts.group_commit == nil or type(opts.group_commit) == "boolean", 2, "open",
    "option 'group_commit' must be a boolean")
  check_names(opts.pragmas, "pragmas", "^[%w_.]+$")
  check_names(opts.attach, "attach", "^[%w_]+$")
end

--- Opens a database.
--
-- Its file is in WAL mode and written through at each commit (`synchronous=FULL`); foreign keys are
-- enforced. One connection writes, for one task at a time; others read meanwhile. `":memory:"` is
-- one connection for all. May wait, also for the end of a database of that name that was closed.
-- @tparam string path
-- @tparam[opt] table opts
-- @tparam[opt="create"] string opts.mode "create", "write": the file must exist, or "read"
-- @tparam[opt=4] integer opts.readers connections that read
-- @tparam[opt=5] number opts.busy_timeout seconds to wait while another process writes
-- @tparam[opt="full"] string opts.synchronous "off", "normal", "full" or "extra"
-- @param[opt] opts.null the value for NULL in rows, `sql.null` or another; without it such columns
-- are absent
-- @tparam[opt] table opts.types functions by declared type of a column, in capitals: what one
-- returns stands for the value
-- @tparam[opt] table opts.pragmas further settings of each connection: `{cache_size = -65536}`
-- @tparam[opt=false] boolean opts.group_commit statements that write and come while another one
-- commits share a commit
-- @tparam[opt] table opts.attach further files, by the names under which statements find them
-- @treturn Database or nil, message, code
function sqlite.open(path, opts)
  argument.string(path, 1, "open")
  if opts ~= nil then check_options(opts) end
  opts = opts or {}
  local mode, memory = opts.mode or "create", is_memory(path)
  local how = {
    path = path, statements = statements_of(opts, mode, memory), attach = opts.attach or {},
    is_memory = memory, patience = opts.busy_timeout or 5, closings = core.closings(),
  }
  if closing[path] then closing[path]:join() end
  local writer = pool.new { open = function() return connect(how, mode) end, max = 1 }
  local lease, message, code = writer:lease()
  if not lease then
    how.closings:wait()
    return nil, message, code
  end
  lease:close()
  local later = mode == "create" and "write" or mode
  local function open_reader() return connect(how, later, true) end
  local readers = memory and writer or pool.new { open = open_reader, max = opts.readers or 4 }
  return database.new {
    engine = engine, readers = readers, writer = writer, path = path,
    how = { null = opts.null, types = opts.types }, title = "sqlite " .. path,
    busy_timeout = opts.busy_timeout or 5, group_commit = opts.group_commit,
    close_last = function(connections) close_last(how, connections) end,
  }
end

return sqlite
