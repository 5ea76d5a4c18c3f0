--- PostgreSQL: queries that make only their task wait. The library (libpq, of PostgreSQL 14 or
-- later) is loaded when a database is first opened.
-- @module moonlet.postgres

local ipairs, math_type, next, type = ipairs, math.type, next, type

local argument = require "moonlet.argument"
local connections = require "moonlet.postgres.connection"
local database = require "moonlet.postgres.database"
local pools = require "moonlet.postgres.pool"
local readings = require "moonlet.postgres.readings"
local target = require "moonlet.postgres.target"

local postgres = {}

local OPTIONS = {
  max = true, idle = true, timeout = true, pipeline = true, statements = true, prepare = true,
  null = true, types = true, on_notice = true,
}

local function check_types(types)
  argument.table(types, 2, "open")
  for name, fn in next, types do
    argument.check(type(name) == "string" or math_type(name) == "integer", 2, "open",
      "a key of option 'types' must be the name of a type")
    argument.check(argument.is_callable(fn), 2, "open",
      "a value of option 'types' must be a function")
  end
end

local function check_options(opts)
  argument.options(opts, 2, "open", OPTIONS)
  for _, name in ipairs { "max", "statements" } do
    argument.count(opts[name], 2, "open", ("option '%s'"):format(name))
  end
  for _, name in ipairs { "idle", "timeout" } do
    argument.check(opts[name] == nil or type(opts[name]) == "number", 2, "open",
      ("option '%s' must be a number"):format(name))
  end
  local notice = opts.on_notice
  argument.check(notice == nil or argument.is_callable(notice), 2, "open",
    "option 'on_notice' must be a function")
  if opts.types ~= nil then check_types(opts.types) end
end

-- ---- connections ----

-- A connection; or nil, message, code.
local function connect(options, settings, opts)
  local raw, message, code = target.connect(options, opts.timeout or 10)
  if not raw then return nil, message, code end
  return connections.new(raw, settings)
end

local function title_of(options)
  local host, name = options.host or options.hostaddr, options.dbname or options.service
  if host and options.port then host = host .. ":" .. options.port end
  return ("postgres %s%s"):format(host and host .. " " or "", name or ""):gsub(" $", "")
end

--- Opens a database. Connections are made when they are needed, up to `max`, and again after they
-- were lost; so this waits for nothing, and a server that is down shows in the first query.
--
-- Users, passwords, certificates, services and the environment are libpq's, as for psql. Of several
-- hosts the first that answers, and is what `target_session_attrs` says, is taken.
--
-- Queries of several tasks that only read share a connection when all are busy: they are sent
-- without waiting for each other's answers, each a transaction of its own.
-- @param what a URL "postgres://user@host/db", a text of "key=value", or a table of such options
-- @tparam[opt] table opts
-- @tparam[opt=10] integer opts.max connections at a time
-- @tparam[opt=300] number opts.idle seconds after which an unused one is closed
-- @tparam[opt=10] number opts.timeout seconds to connect to a host; `connect_timeout` comes first
-- @tparam[opt=true] boolean opts.pipeline false: no connection is shared
-- @tparam[opt=256] integer opts.statements the most that are prepared on a connection
-- @tparam[opt=true] boolean opts.prepare false: none are, as some proxies want it
-- @param[opt] opts.null the value for NULL in rows, `sql.null` or another; without it such columns
-- are absent
-- @tparam[opt] table opts.types functions by name of a type: what one makes of the text stands for
-- the value
-- @tparam[opt] function opts.on_notice called with each notice's text
-- @treturn PostgresDatabase or nil, message, code
function postgres.open(what, opts)
  argument.check(type(what) == "string" or type(what) == "table", 1, "open",
    "a URL, or a table of options expected")
  if opts ~= nil then check_options(opts) end
  opts = opts or {}
  local options, message, code = target.parse(what)
  if not options then return nil, message, code end
  local settings = {
    statements = opts.prepare == false and 0 or opts.statements or 256, wanted = {},
    readings = readings.new(), on_notice = opts.on_notice,
  }
  local function connect_one() return connect(options, settings, opts) end
  local pool = pools.new {
    connect = connect_one, max = opts.max or 10, idle = opts.idle or 300,
    depth = opts.pipeline == false and 0 or 32,
  }
  return database.new {
    pool = pool, connect = connect_one, title = title_of(options), wanted = settings.wanted,
    how = { null = opts.null, types = opts.types },
  }
end

return postgres
