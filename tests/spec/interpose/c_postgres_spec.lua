-- LuaSQL over libpq, both as Debian builds them, against a PostgreSQL server of the test's own.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local luasql = libraries.need("luasql.postgres", "lua-sql-postgres")
local it = support.limited(it)

local SLEEPERS = 100

local server
local env = luasql.postgres()

local function connect(more)
  local place = "dbname=postgres user=tester host=%s port=%d %s"
  return env:connect(place:format(server.directory, server.port, more or ""))
end

-- One row's columns.
local function row(conn, query)
  local cursor = assert(conn:execute(query))
  local values = table.pack(cursor:fetch())
  cursor:close()
  return table.unpack(values, 1, values.n)
end

local function close_all(conns)
  for _, conn in pairs(conns) do assert(conn:close()) end
end

-- In tasks of their own, so that they are quick.
local function connect_all(count)
  local conns = {}
  task.group(function(g)
    for i = 1, count do
      g:spawn(function() conns[i] = assert(connect()) end)
    end
  end)
  return conns
end

-- Seconds in which each connection sleeps for one, and how many the server saw sleep at once.
local function sleep_all(conns, watcher)
  local from, most = task.now(), 0
  task.group(function(g)
    for _, conn in ipairs(conns) do
      g:spawn(function() row(conn, "select 1 from pg_sleep(1)") end)
    end
    g:spawn(function()
      most = support.eventually(function()
        local sleeping = row(watcher, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")
        return tonumber(sleeping) == #conns and #conns
      end)
    end)
  end)
  return task.now() - from, most
end

describe("LuaSQL with PostgreSQL", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      local conn = connect()
      return conn and conn:close()
    end, "-c max_connections=" .. SLEEPERS + 20)
  end)

  teardown(function() server:remove() end)

  it("lets 100 tasks wait for queries of one second in less than 1.5 s", function()
    local conns, watcher = connect_all(SLEEPERS), assert(connect())
    local seconds, attempts = math.huge, 0
    repeat -- a machine that is busy with other things gets another chance
      local took, most = sleep_all(conns, watcher)
      assert.equal(SLEEPERS, most)
      seconds, attempts = math.min(seconds, took), attempts + 1
    until seconds < 1.5 or attempts == 10
    assert.is_true(seconds >= 1 and seconds < 1.5, ("it took %.2f s"):format(seconds))
    close_all(conns)
    watcher:close()
  end)

  it("connects in many tasks at once, by a socket's path and by the name of a host", function()
    libraries.overlap(function(i)
      local host = i % 2 == 0 and "host=localhost" or ""
      local conn = assert(connect(host .. " options='-c post_auth_delay=1'"))
      assert.equal(tostring(i), (row(conn, "select " .. i)))
      conn:close()
    end)
  end)

  it("gives each task its own answer, in the order in which the server gives them", function()
    local COUNT, conns, order = 12, connect_all(12), {}
    task.group(function(g)
      for i, conn in ipairs(conns) do
        g:spawn(function()
          local query = "select %d, repeat('%d', 100000) from pg_sleep(%f)"
          local number, text = row(conn, query:format(i, i, (COUNT - i) * 0.2)) -- a busy machine is late
          assert.equal(tostring(i), number)
          assert.equal(tostring(i):rep(100000), text)
          table.insert(order, 1, i)
        end)
      end
    end)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, order)
    close_all(conns)
  end)

  it("lets a task wait for the row lock of another task's transaction", function()
    local COUNT, conns, log = 10, connect_all(11), {}
    local holder = conns[COUNT + 1]
    assert(holder:execute "create table account as select 0 as amount")
    assert(holder:setautocommit(false))
    assert(holder:execute "update account set amount = 1000")
    local tasks = {}
    for i = 1, COUNT do
      tasks[i] = task.spawn(function()
        assert(conns[i]:execute "update account set amount = amount + 1")
        log[#log + 1] = "updated"
      end)
    end
    for _, waiting in ipairs(tasks) do support.parked(waiting) end
    log[1] = "committed"
    assert(holder:commit())
    for _, waiting in ipairs(tasks) do support.finish(waiting) end
    assert.equal("committed", log[1])
    assert.equal(COUNT + 1, #log)
    assert.equal("1010", (row(conns[1], "select amount from account")))
    close_all(conns)
  end)

  it("serves many tasks with one connection behind a mutex", function()
    local conn, mutex = assert(connect()), sync.mutex()
    task.group(function(g)
      for i = 1, 12 do
        g:spawn(function()
          local guard <close> = mutex:lock()
          assert.equal(tostring(i), (row(conn, ("select %d from pg_sleep(0.01)"):format(i))))
        end)
      end
    end)
    conn:close()
  end)

  it("raises a cancellation during a query and while it connects; the connection can be closed", function()
    local conn = assert(connect())
    libraries.cancels(function() conn:execute "select pg_sleep(20)" end, function()
      assert.is_true(conn:close())
    end)
    local silent <close> = libraries.silent_server()
    libraries.cancels(function() env:connect("host=127.0.0.1 port=" .. silent.port) end, function() end)
  end)

  -- libpq takes what poll() said for a failure of its own, of the query; the server knows nothing of it.
  it("gives the next query the answer of one that was cancelled: such a connection is to be closed", function()
    local conn = assert(connect())
    support.is_failure("EDEADLINE", nil, task.timeout(0.05, row, conn, "select 'late' from pg_sleep(0.3)"))
    assert.equal("late", (row(conn, "select 'next'")))
    assert.is_true(conn:close())
  end)

  it("answers one after the other with --no-interpose", function()
    local output = libraries.without(([[
      local env = require "luasql.postgres".postgres()
      local conns = {}
      for i = 1, 4 do conns[i] = assert(env:connect("dbname=postgres user=tester host=%s port=%d")) end
      local seconds, ticks = overlapping(function(i)
        local cursor = assert(conns[i]:execute(("select %%d from pg_sleep(0.1)"):format(i)))
        assert(cursor:fetch() == tostring(i))
      end)
      assert(seconds >= 0.4, seconds)
      assert(ticks <= 5, ticks)
      print "right"
    ]]):format(server.directory, server.port))
    assert.equal("right\n", output)
  end)
end)
