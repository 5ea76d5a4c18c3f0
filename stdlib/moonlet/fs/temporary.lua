--- Files and directories that last as long as a block.
-- @submodule moonlet.fs

local error, next = error, next
local setmetatable, tostring, type = setmetatable, tostring, type
local getenv = os.getenv
local getinfo = debug and debug.getinfo
local warn = warn

local argument = require "moonlet.argument"
local core = require "moonlet.fs.core"
local task = require "moonlet.task"

-- Longest that the removal of a directory is waited for, in seconds, when the task is cancelled.
local PATIENCE = 30
local TRIES = 100

local OPTIONS = { dir = true, prefix = true, suffix = true }

local function check_texts(opts, name)
  for key, value in next, opts do
    if type(value) ~= "string" or value:find "%z" or (key ~= "dir" and value:find "/") then
      local form = "bad argument #1 to '%s' (option '%s' must be %s)"
      error(form:format(name, key, "a text without slashes and zero bytes"), 3)
    end
  end
end

-- Calls make(path) with one new path after the other, until that is not there.
local function make_new(opts, make)
  local dir = opts.dir or getenv "TMPDIR" or "/tmp"
  local path, made, message, code
  for _ = 1, TRIES do
    local name
    name, message, code = core.random_name()
    if not name then break end
    path = ("%s/%s%s%s"):format(dir, opts.prefix or "moonlet-", name, opts.suffix or "")
    made, message, code = make(path)
    if made or code ~= "EEXIST" then break end
  end
  if not made then return nil, message, code end
  return made, path
end

-- The line of the script that calls the caller of this function: "?" without the debug library.
local function source_line()
  local level = 3
  local info = getinfo and getinfo(level, "Sl")
  while info and info.currentline < 0 do
    level = level + 1
    info = getinfo(level, "Sl")
  end
  return info and ("%s:%d"):format(info.short_src, info.currentline) or "?"
end

local temporary = {}

--- Makes and opens a file for reading and writing, which only its owner may open, and which is
-- removed when it is closed. May wait.
-- @function temp_file
-- @tparam[opt] table opts
-- @tparam[opt] string opts.dir where; by default the environment's TMPDIR, or /tmp
-- @tparam[opt="moonlet-"] string opts.prefix what its name begins with
-- @tparam[opt=""] string opts.suffix what its name ends with
-- @treturn file its field `path` is the path; or nil, message, code
function temporary.temp_file(opts)
  opts = opts == nil and {} or opts
  argument.options(opts, 1, "temp_file", OPTIONS)
  check_texts(opts, "temp_file")
  local file, message, code = make_new(opts, function(path)
    return core.open(path, "w+x", { mode = "600" })
  end)
  if not file then return nil, message, code end
  core.remove_on_close(file)
  return file
end

--- A directory that is removed, with all that is in it, by `close()`, or at the end of its block.
-- @object directory
-- @tfield string path

local TempDir = { __name = "fs.directory" }
TempDir.__index = TempDir

--- Removes the directory with all that is in it, also if the task is cancelled. Idempotent. May
-- wait.
-- @function directory:close
-- @treturn boolean true; or nil, message, code
function TempDir:close()
  argument.self(self, TempDir, "close")
  if self.is_closed then return true end
  self.is_closed = true
  local ok, message, code = task.shield(PATIENCE, core.remove, self.path, { recursive = true })
  if not ok and code ~= "ENOENT" then return nil, message, code end
  return true
end

TempDir.__close = TempDir.close

-- A finalizer cannot wait for the removal.
function TempDir:__gc()
  if not self.is_closed then warn(tostring(self), " was never closed; made at ", self.made_at) end
end

function TempDir:__tostring()
  return ("fs.directory %s (%s)"):format(self.path, self.is_closed and "removed" or "open")
end

--- Makes a directory, which only its owner may enter, and which is removed when it is closed, with
-- all that is in it. May wait.
--
--     local dir <close> = assert(fs.temp_dir())
--     fs.write(dir.path .. "/data", "text")
--
-- @function temp_dir
-- @tparam[opt] table opts as for `temp_file`
-- @treturn directory or nil, message, code
function temporary.temp_dir(opts)
  opts = opts == nil and {} or opts
  argument.options(opts, 1, "temp_dir", OPTIONS)
  check_texts(opts, "temp_dir")
  local made, path, code = make_new(opts, function(name)
    return core.mkdir(name, { mode = "700" })
  end)
  if not made then return nil, path, code end
  return setmetatable({ path = path, made_at = source_line() }, TempDir)
end

return temporary
