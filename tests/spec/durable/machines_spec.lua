--- Workers in processes of their own on one database, as on several machines: no run at two of them at once, none lost,
-- whatever their clocks say, and nothing written by one that has lost its lease. MOONLET_SOAK=1: 100,000 runs.

local durable = require "moonlet.durable"
local own = dofile "tests/spec/durable_support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local RUNS = os.getenv "MOONLET_SOAK" and 100000 or os.getenv("MOONLET"):find "hostile" and 200 or 1000

-- Its arguments are in the environment. Ends when its input does.
local WORKER = [[
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local name = os.getenv "NAME"
local d = assert(durable.open(os.getenv "ADDRESS", { lease = tonumber(os.getenv "LEASE"), recoveries = 1000 }))
local log = assert(io.open(os.getenv "LOG", "a"))
log:setvbuf "line"
local function say(...) log:write(table.concat({ ... }, " "), "\n") end
d:workflow("count", function(ctx, i)
  ctx:step("one", function() say("one", i) end)
  ctx:transaction("two", function(tx)
    return tx:execute("INSERT INTO done VALUES ($1, $2)", i, name)
  end)
end)
d:workflow("nap", function(ctx, i)
  local before = ctx:now()
  ctx:sleep("nap", 0.3)
  local slept = ctx:now() - before
  return slept, ctx:transaction("two", function(tx)
    return tx:execute("INSERT INTO done VALUES ($1, $2)", i, name)
  end)
end)
d:workflow("slow", function(ctx)
  local _ <close> = setmetatable({}, { __close = function() say "closed" end })
  ctx:step("begin", function() say "begun" end)
  ctx:step("long", function() task.sleep(name == "stopped" and 60 or 0) end)
  ctx:transaction("end", function(tx) return tx:execute("INSERT INTO done VALUES (1, $1)", name) end)
  say "ended"
  return name
end)
local serving = task.spawn(d.serve, d)
say "ready"
io.read "a"
d:stop(1)
serving:join()
]]

-- Starts a worker: where = {address=, log=}; more: variables of its environment.
local function start_worker(where, name, lease, more)
  local command, script = support.command(WORKER)
  local env = process.env { ADDRESS = where.address, LOG = where.log .. "." .. name, NAME = name,
    LEASE = tostring(lease) }
  for key, value in pairs(more or {}) do env[key] = value end
  local child = assert(process.spawn { "sh", "-c", "exec " .. command, env = env,
    stdin = "pipe" })
  return setmetatable({ pid = child.pid, log = env.LOG }, { __close = function()
    child:kill "CONT"
    child:kill "KILL"
    child:wait(support.patience)
    child:close()
    os.remove(script)
    os.remove(env.LOG)
  end })
end

local function ready(worker)
  own.wait_for_text(worker.log, "ready")
  return worker
end

-- How often each line is in the logs of the workers.
local function lines_of(...)
  local counts = {}
  for _, worker in ipairs { ... } do
    for line in (support.read_file(worker.log) or ""):gmatch "[^\n]+" do counts[line] = (counts[line] or 0) + 1 end
  end
  return counts
end

local function eventually_done(d, count)
  local deadline = task.now() + support.patience + count / 100
  repeat
    task.sleep(0.05)
    if d.db:value "SELECT count(*) FROM moonlet_runs WHERE status = 'done'" == count then return end
  until task.now() > deadline
  error "runs are lost"
end

-- Starts so many runs, and more until both workers have had some. Returns how many.
local function start_runs(d, workflow, count)
  task.group({ limit = 1000 }, function(group)
    for i = 1, count do group:spawn(function() assert(d:start(workflow, i, { id = "run" .. i })) end) end
  end)
  local deadline = task.now() + support.patience
  while d.db:value "SELECT count(DISTINCT worker) FROM done" < 2 do
    assert(task.now() < deadline, "one has no runs")
    count = count + 1
    assert(d:start(workflow, count, { id = "run" .. count }))
    task.sleep(0.01)
  end
  return count
end

local function check_claims(where)
  local d <close> = assert(durable.open(where.address))
  assert(d.db:execute "CREATE TABLE done (i INTEGER, worker TEXT)")
  local first <close> = start_worker(where, "first", 30)
  local second <close> = start_worker(where, "second", 30)
  ready(first)
  ready(second)
  local count = start_runs(d, "count", RUNS)
  eventually_done(d, count)
  assert.equal(count, d.db:value "SELECT count(*) FROM done")
  assert.equal(count, d.db:value "SELECT count(DISTINCT i) FROM done")
  local counts = lines_of(first, second)
  for i = 1, count do assert(counts["one " .. i] == 1, i) end
  assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs WHERE epoch <> 1")
end

local server, places = nil, 0

local function address_of(more)
  return ("postgres://tester@127.0.0.1:%d/postgres%s"):format(server.port, more or "")
end

-- Calls fn with a schema of its own.
local function on_postgres(fn)
  places = places + 1
  do
    local db <close> = assert(require("moonlet.postgres").open(address_of()))
    assert(db:execute("CREATE SCHEMA machines" .. places))
  end
  fn { address = address_of("?options=-csearch_path%3Dmachines" .. places), log = os.tmpname() }
end

describe("two workers", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      local db <close> = assert(require("moonlet.postgres").open(address_of()))
      return db:value "SELECT 1"
    end)
  end)
  teardown(function() server:remove() end)

  it("on SQLite claim many runs: none is lost, none has an effect twice", function()
    local path <close> = own.path()
    check_claims { address = path.path, log = path.path }
  end)

  it("on PostgreSQL claim many runs: none is lost, none has an effect twice", function()
    on_postgres(check_claims)
  end)

  it("on PostgreSQL take over from one that stands still beyond its lease; it then writes nothing", function()
    on_postgres(function(where)
      local d <close> = assert(durable.open(where.address))
      assert(d.db:execute "CREATE TABLE done (i INTEGER, worker TEXT)")
      local first <close> = ready(start_worker(where, "stopped", 1))
      local r = assert(d:start("slow"))
      own.wait_for_text(first.log, "begun")
      os.execute("kill -STOP " .. first.pid)
      local second <close> = start_worker(where, "second", 1)
      assert.equal("second", r:result(support.patience))
      os.execute("kill -CONT " .. first.pid)
      own.wait_for_text(first.log, "closed") -- it notices, and its variables are closed
      assert.is_nil(support.read_file(first.log):find "ended")
      assert.equal("second", d.db:value "SELECT worker FROM done")
      assert.equal(1, d.db:value "SELECT count(*) FROM done")
      assert(second)
    end)
  end)

  it("whose clocks are an hour before and behind share runs, keep their leases, and sleep as long as they should",
    function()
      on_postgres(function(where)
        local d <close> = assert(durable.open(where.address))
        assert(d.db:execute "CREATE TABLE done (i INTEGER, worker TEXT)")
        local function shifted(name, seconds)
          return ready(start_worker(where, name, 6, { LD_PRELOAD = os.getenv "MOONLET_TESTS" .. "/shifted_clock.so",
            CLOCK_SHIFT = tostring(seconds), ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") ..
              ":verify_asan_link_order=0" }))
        end
        local fast <close> = shifted("fast", 3600)
        local slow <close> = shifted("slow", -3600)
        local count = start_runs(d, "nap", 100)
        eventually_done(d, count)
        assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs WHERE epoch <> 1")
        for i = 1, count do
          local slept = d:get("run" .. i).result[1]
          assert(slept >= 0.29 and slept < support.patience, slept)
        end
        assert(fast and slow)
      end)
    end)
end)
