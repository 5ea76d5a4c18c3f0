--- Durable runs on a PostgreSQL server that may not write, has no room, or stands still: they wait, go on, and have
-- each effect once.

local durable = require "moonlet.durable"
local postgres = require "moonlet.postgres"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = postgres_server.limited(it)

local server

local function address_of(more)
  return ("postgres://tester@127.0.0.1:%d/postgres%s"):format(server.port, more or "")
end

local function is_ready()
  local db <close> = assert(postgres.open(address_of()))
  return db:value "SELECT 1"
end

local function kill_backends(db)
  db:value "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
end

local PATIENT = { attempts = 1000, backoff = { 0.02, 0.1 } }

local STEPS = 30

-- What each step returns: no server can compress it.
local NOISE
do
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  NOISE = file:read(8000)
end

-- A run of many steps, and a worker for it. disturb(): called when some are done; the rest is to be done after it.
local function with_run(opts, disturb)
  local d <close> = assert(durable.open(address_of(opts.more), { lease = opts.lease }))
  d.db:execute "DROP TABLE IF EXISTS book"
  assert(d.db:execute "CREATE TABLE book (i INTEGER)")
  local calls = 0
  d:workflow("w", function(ctx)
    for i = 1, STEPS do
      ctx:step("s", function()
        calls = calls + 1
        task.sleep(0.005)
        return NOISE
      end)
      ctx:transaction("t", { retry = PATIENT }, function(tx) return tx:execute("INSERT INTO book VALUES ($1)", i) end)
    end
    return "end"
  end)
  local serving = task.spawn({ daemon = true }, d.serve, d)
  local run = assert(d:start("w"))
  support.eventually(function() return calls >= 5 end)
  disturb(function() return calls end)
  support.eventually(function() return run:result(5) == "end" end)
  assert.equal(STEPS, d.db:value "SELECT count(*) FROM book")
  assert.equal(STEPS, d.db:value "SELECT count(DISTINCT i) FROM book")
  assert(calls <= STEPS + d:get(run.id).epoch - 1, calls .. " calls")
  d:stop(0)
  assert(serving:join(support.patience))
end

-- Waits until no step runs any more.
local function stalled(calls)
  support.eventually(function()
    local before = calls()
    task.sleep(0.3)
    return calls() == before
  end)
  assert(calls() < STEPS, "nothing has held the run up")
end

-- The server, in a mount namespace with a small disk; nil: there are none here.
local function with_small_disk(size)
  local place = server.directory .. "/small"
  local is_root = support.shell "id -u" == "0\n"
  local unshare = is_root and "unshare -m " or "unshare -Um --map-current-user --keep-caps "
  if select(2, support.shell(unshare .. "true")) ~= 0 then return nil end
  support.shell("mkdir -p " .. place)
  local own = is_root and ("chown postgres %s/disk && "):format(place) or ""
  local mount = ("mount -t tmpfs -o size=%s,mode=777 none %s && mkdir %s/disk && "):format(size, place, place)
  server.prefix = ("%s sh -c '%s%sexec \"$@\"' sh %s"):format(unshare, mount, own, server.prefix)
  return place .. "/disk"
end

describe("durable runs on a PostgreSQL server", function()
  setup(function()
    server = postgres_server.new()
    server:start(is_ready)
  end)
  teardown(function() server:remove() end)

  it("that is read-only for a while wait, and go on", function()
    with_run({ lease = 30 }, function(calls)
      local db <close> = assert(postgres.open(address_of "?options=-cdefault_transaction_read_only%3Doff"))
      assert(db:execute "ALTER DATABASE postgres SET default_transaction_read_only = on")
      kill_backends(db)
      stalled(calls)
      assert(db:execute "ALTER DATABASE postgres RESET default_transaction_read_only")
      kill_backends(db)
    end)
  end)

  it("that stands still for longer than their lease go on", function()
    with_run({ lease = 1 }, function(calls)
      local all = ""
      local function add(pid) -- and those below it
        all = all .. " " .. pid
        local children = support.read_file(("/proc/%s/task/%s/children"):format(pid, pid)) or ""
        for child in children:gmatch "%d+" do add(child) end
      end
      add(server.program.pid)
      support.shell("kill -STOP " .. all)
      stalled(calls)
      task.sleep(2)
      support.shell("kill -CONT " .. all)
    end)
  end)

  it("that has no room wait until there is some, and lose nothing", function()
    server:stop()
    local disk = with_small_disk "3m"
    if not disk then return pending "no namespaces here" end
    server:start(is_ready)
    local db <close> = assert(postgres.open(address_of()))
    assert(db:execute(("CREATE TABLESPACE small LOCATION '%s'"):format(disk)))
    for _, name in ipairs { "runs", "steps", "messages", "events", "workers", "queues", "schedules", "meta" } do
      db:execute("DROP TABLE moonlet_" .. name)
    end
    with_run({ lease = 30, more = "?options=-cdefault_tablespace%3Dsmall" }, function(calls)
      assert(db:execute "CREATE TABLE ballast (text TEXT) TABLESPACE small")
      for _, rows in ipairs { 70, 7, 1 } do
        local code
        repeat
          code = select(3, db:execute("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, $1)", rows))
        until code
        assert.equal("53100", code)
      end
      stalled(calls)
      assert(db:execute "DROP TABLE ballast")
    end)
  end)
end)
