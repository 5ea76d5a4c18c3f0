-- LuaSQL over SQLite, both as Debian builds them. SQLite waits in three places: for a file lock that another
-- connection has (usleep, in its busy handler), for the disk (fdatasync), and for the connection's own mutex.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local task = require "moonlet.task"
local test = require "moonlet.test"
local luasql = libraries.need("luasql.sqlite3", "lua-sql-sqlite3")
local it = support.limited(it)

local COUNT = 12
local PATIENCE = 1000 * support.patience -- milliseconds

local env = luasql.sqlite3()
local path -- of the database

-- patience: milliseconds for which its busy handler waits.
local function connect(patience)
  return assert(env:connect(path, patience or PATIENCE))
end

local function connect_all(count)
  local conns = {}
  for i = 1, count do conns[i] = connect() end
  return conns
end

local function close_all(...)
  for _, conn in ipairs { ... } do assert(conn:close()) end
end

local function execute(conn, ...)
  local result
  for _, statement in ipairs { ... } do result = assert(conn:execute(statement)) end
  return result
end

-- One row's columns.
local function row(conn, query)
  local cursor = execute(conn, query)
  local values = table.pack(cursor:fetch())
  cursor:close()
  return table.unpack(values, 1, values.n)
end

local function is_intact(conn)
  assert.equal("ok", (row(conn, "pragma integrity_check")))
end

-- Waits until so many more tasks have come to wait in SQLite's busy handler.
local function in_busy_handler(before, count)
  support.eventually(function() return libraries.waited "usleep" - before >= count end)
end

-- A sync that was cancelled goes on in a worker, with a descriptor of its own: the test ends after it.
local function when_synced()
  local leaks = test.leaks()
  return setmetatable({}, { __close = function()
    support.eventually(function() return #leaks() == 0 end)
  end })
end

-- Runs attempt(i, log) in tasks while another connection's transaction locks the file, commits only when all of
-- them wait, and gives back the log, in which the commit is noted.
local function behind_a_transaction(begin, attempt)
  local holder, log, tasks, before = connect(), {}, {}, libraries.waited "usleep"
  execute(holder, begin, "insert into t values (1000)")
  for i = 1, COUNT do
    tasks[i] = task.spawn(function() attempt(i, log) end)
  end
  in_busy_handler(before, 1)
  for _, waiting in ipairs(tasks) do support.parked(waiting) end
  local ticker <close> = libraries.ticker()
  libraries.until_ticked(ticker, 3)
  log[#log + 1] = "committing"
  execute(holder, "commit")
  for _, waiting in ipairs(tasks) do support.finish(waiting) end
  close_all(holder)
  return log
end

describe("LuaSQL with SQLite", function()
  before_each(function()
    path = os.tmpname()
    local conn = connect()
    execute(conn, "create table t (x integer)", "create table pair (a integer, b integer)")
    close_all(conn)
  end)

  after_each(function()
    for _, suffix in ipairs { "", "-journal", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  it("lets tasks wait, each with a connection, for the transaction of another to commit", function()
    local conns = connect_all(COUNT)
    local log = behind_a_transaction("begin immediate", function(i, log)
      execute(conns[i], ("insert into t values (%d)"):format(i))
      log[#log + 1] = i
    end)
    assert.equal("committing", log[1])
    assert.equal(COUNT + 1, #log)
    local count, sum = row(conns[1], "select count(*), sum(x) from t")
    assert.same({ COUNT + 1, 1000 + COUNT * (COUNT + 1) // 2 }, { count, sum })
    is_intact(conns[1])
    close_all(table.unpack(conns))
  end)

  it("lets the tasks that share a connection wait for the one of them in the busy handler", function()
    local conn = connect()
    local log = behind_a_transaction("begin immediate", function(i, log)
      execute(conn, ("insert into t values (%d)"):format(i))
      log[#log + 1] = i
    end)
    assert.equal("committing", log[1])
    assert.equal(COUNT + 1, #log)
    local count, sum = row(conn, "select count(*), sum(x) from t")
    assert.same({ COUNT + 1, 1000 + COUNT * (COUNT + 1) // 2 }, { count, sum })
    is_intact(conn)
    close_all(conn)
  end)

  -- A fresh connection reads the schema while it prepares its first statement: the parser lies on the C stack of
  -- the task that waits, and the connection points to it.
  it("lets the tasks that share a connection wait for the one of them that prepares a statement", function()
    local conn = connect()
    local log = behind_a_transaction("begin exclusive", function(i, log)
      local count = row(conn, ("select count(*), %d from t as t%d"):format(i, i))
      assert.equal(1, count)
      log[#log + 1] = i
    end)
    assert.equal("committing", log[1])
    assert.equal(COUNT + 1, #log)
    is_intact(conn)
    close_all(conn)
  end)

  -- The collector finalizes a statement of a connection that is in use by a task which waits.
  it("lets a cursor be collected while its connection waits in the busy handler", function()
    local conns = connect_all(COUNT)
    for i, conn in ipairs(conns) do
      for _ = 1, 10 do execute(conn, "select x, " .. i .. " from t") end
    end
    local log = behind_a_transaction("begin immediate", function(i, log)
      if i == COUNT then collectgarbage() end
      execute(conns[i], ("insert into t values (%d)"):format(i))
      log[#log + 1] = i
    end)
    assert.equal("committing", log[1])
    assert.equal(COUNT + 1, #log)
    is_intact(conns[1])
    collectgarbage()
    close_all(table.unpack(conns))
  end)

  it("gives up when the busy handler's time is over, while others go on", function()
    local holder, conn, ticker <close> = connect(), connect(300), libraries.ticker()
    execute(holder, "begin immediate")
    local from = task.now()
    local result, message = conn:execute "insert into t values (1)"
    assert.is_nil(result)
    assert.matches("database is locked", message, 1, true)
    assert.is_true(task.now() - from >= 0.25)
    assert.is_true(ticker.count >= 3)
    execute(holder, "commit")
    execute(conn, "insert into t values (1)")
    close_all(holder, conn)
  end)

  for _, mode in ipairs { "delete", "wal" } do
    it("keeps what many tasks write and read at once, each with a connection, journal_mode=" .. mode, function()
      local EACH, conns = 5, connect_all(COUNT)
      local before = libraries.waited "fdatasync"
      row(conns[1], "pragma journal_mode=" .. mode)
      task.group(function(g)
        for i, conn in ipairs(conns) do
          g:spawn(function()
            local last = 0
            for k = 1, EACH do
              execute(conn, "begin immediate", ("insert into pair values (%d, %d)"):format(i, k),
                ("insert into pair values (%d, %d)"):format(i, -k), "commit")
              local count, sum = row(conn, "select count(*), sum(b) from pair")
              assert(count % 2 == 0 and sum == 0 and count > last)
              last = count
            end
          end)
        end
      end)
      assert.equal(2 * EACH * COUNT, (row(conns[1], "select count(*) from pair")))
      assert.is_true(libraries.waited "fdatasync" > before)
      is_intact(conns[1])
      close_all(table.unpack(conns))
    end)
  end

  it("raises a cancellation in the busy handler; the connection can be used and closed", function()
    local holder, conn = connect(), connect()
    execute(holder, "begin immediate")
    libraries.cancels(function() conn:execute "insert into t values (1)" end, function()
      execute(holder, "commit")
      execute(conn, "insert into t values (2)")
      local count, x = row(conn, "select count(*), x from t")
      assert.same({ 1, 2 }, { count, x })
      close_all(holder, conn)
    end)
  end)

  it("raises a cancellation in a task that waits for a connection in use once it gets that", function()
    local synced <close>, holder, conn = when_synced(), connect(), connect()
    local before = libraries.waited "usleep"
    execute(holder, "begin immediate")
    local first = task.spawn(execute, conn, "insert into t values (1)")
    in_busy_handler(before, 1)
    local second = support.parked(task.spawn({ quiet = true }, execute, conn, "insert into t values (2)"))
    second:cancel "enough"
    execute(holder, "commit")
    support.finish(first)
    support.is_failure("ECANCELED", nil, second:join(support.patience))
    is_intact(conn)
    close_all(holder, conn)
  end)

  -- To SQLite a sync that was cancelled is a disk that failed: it rolls back from the journal.
  it("writes both halves of a transaction or none when it is cancelled at any of its waits", function()
    local synced <close>, conn, step, was_cancelled = when_synced(), connect(), 0
    repeat
      step = step + 1
      local before = libraries.waited "fdatasync"
      local writer = task.spawn({ quiet = true }, function()
        execute(conn, "begin immediate", ("insert into pair values (%d, 1)"):format(step),
          ("insert into pair values (%d, -1)"):format(step), "commit")
      end)
      repeat -- it cannot leave one wait and come to another in between
        task.yield()
      until writer:status() == "done" or libraries.waited "fdatasync" - before >= step
      was_cancelled = writer:status() ~= "done"
      writer:cancel "enough"
      writer:join(support.patience)
      conn:execute "rollback"
      local count, sum = row(conn, "select count(*), total(b) from pair")
      assert.is_true(count % 2 == 0 and sum == 0, ("%d rows"):format(count))
      is_intact(conn)
    until not was_cancelled
    assert.is_true(step > 2)
    close_all(conn)
  end)

  it("blocks every task in the busy handler with --no-interpose, and works otherwise", function()
    local output = libraries.without(([[
      local env = require "luasql.sqlite3".sqlite3()
      local function connect() return assert(env:connect(%q, 100)) end
      local holder, conns = connect(), {}
      assert(holder:execute "begin immediate")
      for i = 1, 4 do conns[i] = connect() end
      local seconds, ticks = overlapping(function(i)
        local result, message = conns[i]:execute "insert into t values (1)"
        assert(result == nil and message:find "database is locked", message)
      end)
      assert(seconds >= 0.3, seconds)
      assert(ticks <= 5, ticks)
      assert(holder:execute "commit")
      for i = 1, 4 do assert(conns[i]:execute("insert into t values (1)")) end
      print "right"
    ]]):format(path))
    assert.equal("right\n", output)
  end)
end)
