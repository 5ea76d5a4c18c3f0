-- What spawn and run take: one table, checked, as the C part takes it.

local error, getmetatable, next, pairs = error, getmetatable, next, pairs
local pcall, setmetatable, tostring, type = pcall, setmetatable, tostring, type
local table_concat, table_pack, table_sort, table_unpack =
  table.concat, table.pack, table.sort, table.unpack
local math_ceil, math_huge, math_tointeger, math_type =
  math.ceil, math.huge, math.tointeger, math.type
local os_getenv = os.getenv
local io_open = io and io.open -- a sandbox may be without
local core = require "moonlet.process.core"

local start = {}

-- Raised for a wrong option: the message is told with the name of the function that was called.
local Refusal = {}

local function refuse(form, ...)
  error(setmetatable({ message = form:format(...) }, Refusal), 0)
end

local function check_text(value, what)
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then refuse("%s must be a string, not a %s", what, type(value)) end
  if value:find("\0", 1, true) then refuse("%s contains a zero byte", what) end
  return value
end

local function check_number(value, what, least)
  if type(value) ~= "number" or not (value >= least and value < math_huge) then
    refuse("option '%s' must be a number from %s on", what, least)
  end
  return value
end

local function check_count(value, what, least)
  local count = type(value) == "number" and math_tointeger(value)
  if not count or count < least then
    refuse("option '%s' must be an integer from %d on", what, least)
  end
  return count
end

-- ---- the command ----

local function arguments(opts)
  local list, count = {}, 0
  for key in next, opts do
    if math_type(key) == "integer" then count = count + 1 end
  end
  for i = 1, count do
    if opts[i] == nil then refuse("argument %d is nil", i) end
    list[i] = check_text(opts[i], "argument " .. i)
  end
  if count == 0 then refuse("the list needs a command") end
  return list
end

local DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

-- The paths at which a command may be, as execvp() tries them.
function start.paths(name, path)
  if name == "" or name:find("/", 1, true) then return { name } end
  local paths = {}
  for directory in ((path or DEFAULT_PATH) .. ":"):gmatch "(.-):" do
    paths[#paths + 1] = (directory == "" and "." or directory) .. "/" .. name
  end
  return paths
end

-- ---- the environment ----

local function check_name(name)
  if type(name) ~= "string" then refuse("option 'env' has a name that is a %s", type(name)) end
  if name == "" or name:find("[=%z]") then refuse("option 'env' has a wrong name (%q)", name) end
end

local function environment(env)
  if env == nil then return nil end
  if type(env) ~= "table" then refuse("option 'env' must be a table, not a %s", type(env)) end
  local list = {}
  for name, value in pairs(env) do
    check_name(name)
    list[#list + 1] = name .. "=" .. check_text(value, ("option 'env': %s"):format(name))
  end
  table_sort(list)
  return list
end

-- The environment of this process, as a table.
function start.environment()
  local env = {}
  for _, entry in next, core.environment() do
    local name, value = entry:match "^([^=]+)=(.*)$"
    if name and env[name] == nil then env[name] = value end
  end
  return env
end

-- ---- the files ----

local WORDS = { pipe = "pipe", null = "null", inherit = "inherit", stdout = "stdout" }

-- Words are checked here, as C knows one more; files and streams there.
local function file(opts, name, default)
  local value = opts[name]
  if value == nil then return default end
  if type(value) ~= "string" then return value end
  if WORDS[value] and (value ~= "stdout" or name == "stderr") then return value end
  local merge = name == "stderr" and ', "stdout"' or ""
  refuse([[option '%s' must be "pipe", "inherit", "null"%s, a file or a stream]], name, merge)
end

local function terminal(opts, result)
  local pty = opts.pty
  if pty == nil or pty == false then return end
  if type(pty) ~= "table" then refuse("option 'pty' must be a table, not a %s", type(pty)) end
  for key in next, pty do
    if key ~= "rows" and key ~= "cols" then
      refuse("option 'pty': unknown option '%s'", tostring(key))
    end
  end
  result.rows = pty.rows == nil and 24 or start.size(pty.rows, "pty.rows")
  result.columns = pty.cols == nil and 80 or start.size(pty.cols, "pty.cols")
end

-- A number of rows or columns.
function start.size(value, what)
  local count = check_count(value, what, 1)
  if count > 65535 then refuse("option '%s' is too large", what) end
  return count
end

-- ---- the rest ----

local LIMITS = { memory = "memory", cpu = "cpu", files = "descriptors" }

local function limits(limit, result)
  if limit == nil then return end
  if type(limit) ~= "table" then refuse("option 'limit' must be a table, not a %s", type(limit)) end
  for name, value in next, limit do
    if not LIMITS[name] then refuse("option 'limit': unknown option '%s'", tostring(name)) end
    if name == "cpu" then value = math_ceil(check_number(value, "limit.cpu", 0)) end
    result[LIMITS[name]] = check_count(value, "limit." .. name, 1)
  end
end

local function check_boolean(value, what)
  if value ~= nil and type(value) ~= "boolean" then
    refuse("option '%s' must be true or false, not a %s", what, type(value))
  end
  return value
end

local function group(opts, result)
  local has_group = check_boolean(opts.group, "group")
  result.detached = check_boolean(opts.detached, "detached")
  local has_session = result.detached or result.rows ~= nil
  if has_group == false and has_session then
    refuse("option 'group' cannot be false with '%s'", result.rows and "pty" or "detached")
  end
  result.group = has_session and "session" or has_group == false and "same" or "new"
end

local function user(opts)
  local name = opts.user
  if name == nil then return nil end
  if math_type(name) == "integer" and name >= 0 then return tostring(name) end
  if type(name) ~= "string" or name == "" then
    refuse("option 'user' must be a name or a number, not %s",
      type(name) == "number" and tostring(name) or name == "" and "empty" or "a " .. type(name))
  end
  return check_text(name, "option 'user'")
end

local function check_names(opts, known)
  for key in next, opts do
    if math_type(key) ~= "integer" and not known[key] then
      refuse("unknown option '%s'", tostring(key))
    end
  end
end

local MOST_SHOWN = 60 -- bytes

local function shown(list)
  local text = table_concat(list, " "):gsub("%c", "?")
  if #text <= MOST_SHOWN then return text end
  return text:sub(1, MOST_SHOWN - 3) .. "..."
end

local function read(opts, known, defaults)
  if type(opts) ~= "table" then refuse("table expected, got %s", type(opts)) end
  check_names(opts, known)
  local list = arguments(opts)
  local env = opts.env
  local result = {
    arguments = list, environment = environment(env), text = shown(list), name = list[1],
    directory = opts.cwd ~= nil and check_text(opts.cwd, "option 'cwd'") or nil,
    user_name = user(opts),
    kill_after = opts.kill_after == nil and 5 or check_number(opts.kill_after, "kill_after", 0),
  }
  local path = env and env.PATH and tostring(env.PATH) or os_getenv "PATH"
  result.paths = start.paths(list[1], path)
  terminal(opts, result)
  limits(opts.limit, result)
  group(opts, result)
  local default = result.rows and "terminal"
  result.files = {
    file(opts, "stdin", default or defaults.stdin),
    file(opts, "stdout", default or defaults.stdout),
    file(opts, "stderr", default or defaults.stderr),
  }
  return result
end

local function checked_end(level, name, ok, result, ...)
  if ok then return result, ... end
  if getmetatable(result) ~= Refusal then error(result, 0) end
  error(("bad argument #1 to '%s' (%s)"):format(name, result.message), level + 1)
end

-- Calls fn(...); a refusal becomes an error at the caller of the function `name` at that level.
function start.checked(level, name, fn, ...)
  return checked_end(level, name, pcall(fn, ...))
end

-- core.spawn(what), whose errors are texts about the options.
function start.spawn(what)
  local results = table_pack(pcall(core.spawn, what))
  if not results[1] and results[2] == "not enough memory" then error(results[2], 0) end
  if not results[1] then refuse("%s", tostring(results[2])) end
  return table_unpack(results, 2, results.n)
end

start.refuse, start.check_number, start.check_count = refuse, check_number, check_count
start.check_boolean = check_boolean

--- The start that opts describe, for core.spawn.
start.read = read

-- The interpreter that the first line of a script names.
local function interpreter(path)
  local script <close> = io_open and io_open(path, "rb")
  return script and (script:read(256) or ""):match "^#!%s*([^%s]+)"
end

-- nil, message, code for a start that has failed at `step`.
function start.failure(what, step, text, code, index)
  local name = what.name
  if step == "program" then
    if code == "ENOENT" and not name:find("/", 1, true) then
      return nil, name .. ": command not found", code
    end
    return nil, what.paths[index] .. ": " .. text, code
  elseif step == "interpreter" then
    local path = what.paths[index]
    local needed = not what.directory and interpreter(path)
    needed = needed and " " .. needed or ""
    return nil, ("%s: bad interpreter%s: %s"):format(path, needed, text), code
  elseif step == "cwd" then
    return nil, ("cwd %s: %s"):format(what.directory, text), code
  elseif step == "process" then
    return nil, ("%s: cannot start a process: %s"):format(name, text), code
  end
  return nil, ("%s: %s: %s"):format(name, step, text), code
end

return start
