--- SQLite, on worker threads: a query makes only its task wait. The library (libsqlite3) is loaded
-- when a database is first opened.
-- @module moonlet.sqlite

local ipairs, pairs, tostring = ipairs, pairs, tostring

local argument = require "moonlet.argument"
local core = require "moonlet.sqlite.core"
local database = require "moonlet.sql.database"
local pool = require "moonlet.pool"
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

-- ---- connections ----

-- Runs the statements that make a connection what the options say.
local function set_up(connection, statements)
  for _, statement in ipairs(statements) do
    local ok, message, code = connection:execute(NOTHING, statement)
    if not ok then
      connection:close()
      return nil, message, code
    end
  end
  return connection
end

local function connect(path, mode, statements, only_reads)
  local connection, message, code = core.open(path, mode)
  if not connection then return nil, message, code end
  connection, message, code = set_up(connection, statements)
  if connection and only_reads then connection:restrict "read" end
  return connection, message, code
end

local function is_memory(path)
  return path == ":memory:" or path == ""
end

local SYNCHRONOUS = { off = true, normal = true, full = true, extra = true }

local OPTIONS = {
  mode = true, readers = true, busy_timeout = true, synchronous = true, null = true, types = true,
  pragmas = true,
}

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

--- Opens a database.
--
-- Its file is in WAL mode and written through at each commit (`synchronous=FULL`); foreign keys are
-- enforced. One connection writes, for one task at a time; others read meanwhile. `":memory:"` is one
-- connection for all.
-- @tparam string path
-- @tparam[opt] table opts
-- @tparam[opt="create"] string opts.mode "create", "write": the file must exist, or "read"
-- @tparam[opt=4] integer opts.readers connections that read
-- @tparam[opt=5] number opts.busy_timeout seconds to wait while another process writes
-- @tparam[opt="full"] string opts.synchronous "off", "normal", "full" or "extra"
-- @param[opt] opts.null the value for NULL in rows, `sql.null` or another; without it such columns are
-- absent
-- @tparam[opt] table opts.types functions by declared type of a column, in capitals: what one returns
-- stands for the value
-- @tparam[opt] table opts.pragmas further settings of each connection: `{cache_size = -65536}`
-- @treturn Database or nil, message, code
function sqlite.open(path, opts)
  argument.string(path, 1, "open")
  if opts ~= nil then argument.options(opts, 2, "open", OPTIONS) end
  opts = opts or {}
  local mode, memory = opts.mode or "create", is_memory(path)
  argument.check(mode == "create" or mode == "write" or mode == "read", 2, "open",
    "option 'mode' must be \"create\", \"write\" or \"read\"")
  argument.check(opts.synchronous == nil or SYNCHRONOUS[opts.synchronous], 2, "open",
    "option 'synchronous' must be \"off\", \"normal\", \"full\" or \"extra\"")
  argument.count(opts.readers, 2, "open", "option 'readers'")
  local statements = statements_of(opts, mode, memory)
  local later = mode == "create" and "write" or mode
  local writer = pool.new { open = function() return connect(path, mode, statements) end, max = 1 }
  local lease, message, code = writer:lease()
  if not lease then return nil, message, code end
  lease:close()
  local function open_reader() return connect(path, later, statements, true) end
  local readers = memory and writer or pool.new { open = open_reader, max = opts.readers or 4 }
  return database.new {
    engine = engine, readers = readers, writer = writer, path = path,
    how = { null = opts.null, types = opts.types }, title = "sqlite " .. path,
    busy_timeout = opts.busy_timeout or 5,
  }
end

return sqlite
