--- A PostgreSQL server of the benchmark's own, in a directory that goes with it. Plain Lua.
local process = require "process"

local postgres_server = {}

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "a"
  return pipe:close() and output or nil, output
end

-- The newest one that is installed: Debian keeps it out of the PATH.
local function programs()
  local path = shell "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1"
  return path and path:match "[^\n]+"
end

-- The server refuses to run as root: then it runs as the user that the package made for it.
local function unprivileged(directory)
  if shell "id -u" ~= "0\n" then return {} end
  assert(os.execute("chown postgres " .. directory))
  return { "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups" }
end

--- Starts one, on a Unix socket, with fsync off: what is measured is the way to it.
-- @tparam[opt] boolean is_durable with fsync on
-- @treturn ?table `conninfo`, `directory`, `restart`: a command; or nil and a reason
function postgres_server.start(is_durable)
  local bin = programs()
  if not bin then return nil, "postgresql is not installed" end
  local directory = shell("mktemp -d"):match "[^\n]+"
  local prefix = unprivileged(directory)
  local words = table.concat(prefix, " ")
  local made, failure = shell(("cd %s && %s %s/initdb -D %s/data --no-sync -A trust -U bench " ..
    "-E UTF8 --no-locale"):format(directory, words, bin, directory))
  if not made then return nil, "failed: " .. failure:match "[^\n]*" end
  local command = table.move(prefix, 1, #prefix, 1, {})
  local server = ("%s/postgres -D %s/data -k %s -p 5432 -c listen_addresses= -c fsync=%s " ..
    "-c max_connections=200"):format(bin, directory, directory, is_durable and "on" or "off")
  for word in server:gmatch "%S+" do command[#command + 1] = word end
  local ready = { ready = "ready to accept connections", limit = 60 }
  local program, reason = process.start(command, ready)
  if not program then return nil, reason end
  program.directory = directory
  local control = ("cd %s && %s %s/pg_ctl %%s -w -m fast -D data -l data/log"):format(directory,
    words, bin)
  program.restart, program.halt = control:format "restart", control:format "stop"
  program.conninfo = ("host=%s user=bench dbname=postgres"):format(directory)
  return program
end

--- Stops it, and removes its files.
function postgres_server.stop(program)
  os.execute(("kill -INT %d 2>/dev/null"):format(program.pid))
  shell(program.halt) -- the one that was restarted
  process.stop(program)
  os.execute("rm -rf " .. process.quote(program.directory))
end

return postgres_server
