--- A PostgreSQL server of the test's own, in a directory of its own, on a Unix socket and a port.
-- Loaded with dofile("tests/spec/postgres_server.lua").

local support = dofile "tests/spec/support.lua"
local programs = dofile "tests/spec/programs.lua"
local inspect = require "moonlet.inspect"
local test = require "moonlet.test"

local postgres_server = {}

-- The newest server that is installed: Debian keeps it out of the PATH.
local function server_programs()
  local path = support.shell "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1":match "[^\n]+"
  if not path then error("a PostgreSQL server is needed, of the Debian package postgresql", 0) end
  return path
end

-- The server refuses to run as root: then it runs as the user that the package made for it.
local function unprivileged(directory)
  if support.shell "id -u" ~= "0\n" then return "" end
  assert(os.execute("chown postgres " .. directory))
  return "setpriv --reuid=postgres --regid=postgres --clear-groups "
end

local Server = {}
Server.__index = Server

--- Makes its files, as the user `tester`.
-- @treturn table directory, port
function postgres_server.new()
  local directory = programs.open_directory()
  local self = setmetatable({
    directory = directory, data = directory .. "/data", bin = server_programs(), port = support.free_port(),
    prefix = unprivileged(directory),
    life = os.getenv "MOONLET_SOAK" and 7200 or 300,
  }, Server)
  local output, errors, status = programs.run(("cd %s && %s%s/initdb -D %s --no-sync -A trust -U tester " ..
    "-E UTF8 --no-locale"):format(directory, self.prefix, self.bin, self.data))
  if status ~= 0 then error(output .. errors, 0) end
  return self
end

--- Starts it; is_ready() -> whether it answers. Its life ends with the test's: should the test be killed,
-- `timeout` ends it after its life, in seconds.
function Server:start(is_ready, settings)
  self.program = programs.start(("timeout -s INT %d %s%s/postgres -D %s -k %s -p %d -c listen_addresses=127.0.0.1 " ..
    "-c fsync=off -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap -c autovacuum=off " ..
    "-c max_wal_senders=0 %s"):format(self.life, self.prefix, self.bin, self.data, self.directory, self.port,
    settings or ""))
  programs.eventually("a PostgreSQL server", function()
    if self.program:status() then error("it ended: " .. self.program:errors(), 0) end
    return is_ready()
  end)
end

--- Stops it and waits for its end. "INT": connections are cut.
function Server:stop()
  if not self.program then return end
  self.program:kill "INT"
  self.program:wait()
  self.program = nil
end

--- Stops it, and removes its files.
function Server:remove()
  self:stop()
  programs.stop_all()
  programs.remove_directory()
end

-- Whether a descriptor is among what is left.
local function has_descriptor(left)
  for _, what in ipairs(left) do
    if what:find("descriptor", 1, true) then return true end
  end
  return false
end

-- What a family of the metrics of worker threads sums up to.
local function sum_of(families, name)
  local sum = 0
  for _, series in ipairs(families[name].series) do sum = sum + series.value end
  return sum
end

-- Whether a worker thread does something, or is about to: it may open a descriptor.
local function has_work()
  local families = inspect.metrics()
  return sum_of(families, "moonlet_worker_jobs_queued") > 0
    or sum_of(families, "moonlet_worker_threads") > sum_of(families, "moonlet_worker_threads_idle")
end

--- As support.limited(it), but a test waits for the descriptors that go a moment later: a query that was given up
-- is cancelled on a worker, over a connection of its own.
function postgres_server.limited(it)
  local limited = support.limited(it)
  return function(title, body)
    limited(title, function()
      local leaks = test.leaks()
      body()
      collectgarbage()
      support.eventually(function() return not has_work() and not has_descriptor(leaks()) end)
    end)
  end
end

--- Calls fn(db), and closes the database.
function postgres_server.with(db, fn)
  local closing <close> = db
  return fn(closing)
end

return postgres_server
