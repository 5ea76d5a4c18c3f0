-- moonlet.postgres: transactions, savepoints, retries, and connections that break in the middle of them.

local support = dofile "tests/spec/support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local channel = require "moonlet.channel"
local postgres = require "moonlet.postgres"
local task = require "moonlet.task"
local it = postgres_server.limited(it)

local server

local function open(opts)
  return assert(postgres.open({ host = server.directory, port = server.port, user = "tester", dbname = "postgres" },
    opts))
end

local function with(opts, fn)
  return postgres_server.with(open(opts), fn)
end

local function kill_backends(db)
  return db:value [[SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()]]
end

describe("moonlet.postgres transactions", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      return with(nil, function(db) return db:value "SELECT 1" end)
    end)
  end)

  before_each(function()
    with(nil, function(db) assert(db:script "DROP TABLE IF EXISTS t; CREATE TABLE t (a int PRIMARY KEY, b int)") end)
  end)

  teardown(function() server:remove() end)

  local function count(db) return db:value "SELECT count(*) FROM t" end

  it("commit what the function did, and return its results", function()
    with({ max = 2 }, function(db)
      assert.same({ 1, "two", nil, 4, n = 4 }, table.pack(db:transaction(function(tx, arg)
        assert.equal(arg, tx:execute("INSERT INTO t VALUES (1, 1)"))
        assert.equal(0, count(db)) -- on another connection
        return 1, "two", nil, 4
      end, 1)))
      assert.equal(1, count(db))
    end)
  end)

  it("roll back for an error, a failure that is returned, and a cancellation", function()
    with({ max = 1 }, function(db)
      local function insert(tx) assert(tx:execute "INSERT INTO t VALUES (1, 1)") end
      assert.has_error(function() db:transaction(function(tx) insert(tx) error("boom", 0) end) end, "boom")
      assert.equal(0, count(db))
      support.is_failure("EX", "why", db:transaction(function(tx) insert(tx) return nil, "why", "EX" end))
      assert.equal(0, count(db))
      support.is_failure("EDEADLINE", nil, task.timeout(0.2, db.transaction, db, function(tx)
        insert(tx)
        tx:value "SELECT pg_sleep(20)"
      end))
      assert.equal(0, count(db))
      assert.equal(nil, db:transaction(function(tx) insert(tx) return nil end))
      assert.equal(1, count(db))
    end)
  end)

  it("do not commit behind a failed statement that the function took no notice of", function()
    with({ max = 1 }, function(db)
      support.is_failure("22012", "division by zero", db:transaction(function(tx)
        tx:execute "INSERT INTO t VALUES (1, 1)"
        tx:value "SELECT 1/0"
        assert.equal("25P02", (select(3, tx:value "SELECT 1")))
        return "fine"
      end))
      assert.equal(0, count(db))
    end)
  end)

  it("send BEGIN with the first statement; without one nothing is sent", function()
    with({ max = 1 }, function(db)
      assert.equal("nothing", db:transaction(function() return "nothing" end))
      for _ = 1, 3 do
        assert.equal("serializable", db:transaction({ isolation = "serializable", read_only = true,
          deferrable = true }, function(tx)
          assert.equal("on", tx:value "SHOW transaction_read_only")
          assert.equal("on", tx:value "SHOW transaction_deferrable")
          return tx:value "SHOW transaction_isolation"
        end))
      end
      support.is_failure("25006", nil, db:transaction({ read_only = true }, function(tx)
        return tx:execute "INSERT INTO t VALUES (1, 1)"
      end))
      -- also where the first thing is a script, rows or a copy
      for _, first in ipairs {
        function(tx) return tx:script "INSERT INTO t VALUES (1, 1)" end,
        function(tx) return tx:copy_in("COPY t FROM STDIN", "1\t1\n") end,
        function(tx) for row in tx:rows "INSERT INTO t VALUES (1, 1) RETURNING a" do assert.equal(1, row.a) end end,
        function(tx) for _ in tx:rows "VALUES (1)" do tx:execute "INSERT INTO t VALUES (1, 1)" end end,
      } do
        pcall(db.transaction, db, function(tx) first(tx) error "no" end)
        assert.equal(0, count(db))
      end
    end)
  end)

  it("inside a transaction are savepoints", function()
    with({ max = 1 }, function(db)
      db:transaction(function(tx)
        tx:execute "INSERT INTO t VALUES (1, 1)"
        support.is_failure("23505", nil, tx:transaction(function(inner)
          inner:execute "INSERT INTO t VALUES (2, 2)"
          return inner:execute "INSERT INTO t VALUES (1, 1)"
        end))
        assert.has_error(function()
          tx:transaction(function(inner)
            inner:transaction(function(third) third:execute "INSERT INTO t VALUES (3, 3)" end)
            error("inner", 0)
          end)
        end, "inner")
        assert.equal(7, tx:transaction(function(inner)
          inner:execute "INSERT INTO t VALUES (4, 4)"
          return 7
        end))
      end)
      assert.same({ { a = 1 }, { a = 4 } }, db:all "SELECT a FROM t ORDER BY a")
    end)
  end)

  it("of the same task and database inside each other are an error; the handle ends with its function", function()
    with({ max = 2 }, function(db)
      local kept
      db:transaction(function(tx)
        kept = tx
        assert.has_error(function() db:transaction(function() end) end,
          "this task is inside a transaction of this database: use tx:transaction()")
      end)
      assert.has_error(function() kept:value "SELECT 1" end, "the transaction has ended")
      assert.has_error(function() kept:copy_in("COPY t FROM STDIN", "") end, "the transaction has ended")
      for _, opts in ipairs { { isolation = "none" }, { retry = -1 }, { retry = 0.5 }, { no_such = 1 } } do
        assert.has_error(function() db:transaction(opts, function() end) end)
      end
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("without a function last until commit, rollback or the end of the block", function()
    with({ max = 2 }, function(db)
      local function insert(tx, a) assert(tx:execute("INSERT INTO t VALUES ($1, 1)", a)) end
      do
        local tx <close> = assert(db:begin { isolation = "serializable" })
        assert.equal("serializable", tx:value "SHOW transaction_isolation")
        insert(tx, 1)
        assert.equal(0, count(db))
        assert.is_true(tx:commit())
      end
      do
        local tx <close> = assert(db:begin())
        insert(tx, 2)
        task.sleep(0.001)
        support.is_failure("23505", nil, tx:execute "INSERT INTO t VALUES (1, 1)")
        support.is_failure("23505", nil, tx:commit())
        assert.has_error(function() tx:value "SELECT 1" end, "the transaction has ended")
      end
      local tx = assert(db:begin())
      insert(tx, 3)
      local rows <close> = tx:rows "SELECT a FROM t ORDER BY a"
      assert.equal(1, rows().a)
      assert.is_true(tx:rollback())
      assert.is_true(assert(db:begin()):commit())
      assert.equal(1, count(db))
      assert.has_error(function() db:begin { retry = 1 } end, "bad argument #1 to 'begin' (unknown option 'retry')")
    end)
  end)

  it("without a function: cancelled, lost, or cut from the server leave nothing behind", function()
    with({ max = 1 }, function(db)
      local started = require("moonlet.sync").event()
      local function insert(kind)
        local tx = assert(db:begin())
        assert(tx:execute "INSERT INTO t VALUES (1, 1)")
        started:set()
        if kind == "lost" then return end
        local closing <close> = tx
        task.sleep(100)
      end
      local cancelled = task.spawn(insert, "cancelled")
      started:wait()
      cancelled:cancel()
      support.is_failure("ECANCELED", nil, cancelled:join())
      assert.equal(0, count(db))
      task.spawn(insert, "lost"):join()
      collectgarbage()
      collectgarbage()
      assert.equal(0, count(db))
      local tx = assert(db:begin())
      assert(tx:execute "INSERT INTO t VALUES (1, 1)")
      assert.has_error(function() db:begin() end)
      with({ max = 1 }, kill_backends)
      support.is_failure("08007", nil, tx:commit())
      assert.equal(0, count(db))
      assert.same({ connections = 1, free = 1 }, db:stats())
    end)
  end)

  it("are tried again after a serialization failure, as often as the option says", function()
    with({ max = 4 }, function(db)
      db:execute "INSERT INTO t VALUES (1, 0)"
      local runs = 0
      task.group(function(g)
        for _ = 1, 4 do
          g:spawn(function()
            for _ = 1, 5 do
              assert(db:transaction({ isolation = "serializable", retry = 1000 }, function(tx)
                runs = runs + 1
                local b, message, code = tx:value "SELECT b FROM t WHERE a = 1"
                if not b then return nil, message, code end
                task.yield()
                return tx:execute("UPDATE t SET b = $1 WHERE a = 1", b + 1)
              end))
            end
          end)
        end
      end)
      assert.equal(20, db:value "SELECT b FROM t")
      assert.is_true(runs > 20)
      local tries = 0
      support.is_failure("40001", "mine", db:transaction({ retry = 2 }, function()
        tries = tries + 1
        return nil, "mine", "40001"
      end))
      assert.equal(3, tries)
      tries = 0
      assert.has_error(function()
        db:transaction({ retry = 2 }, function(tx)
          tries = tries + 1
          assert(tx:execute "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END $$")
        end)
      end)
      assert.equal(3, tries)
    end)
  end)

  it("that wait for each other: the server ends one with 40P01", function()
    with({ max = 2 }, function(db)
      db:execute "INSERT INTO t VALUES (1, 0), (2, 0)"
      local codes, first, second = {}, channel.new(1), channel.new(1)
      local function update(tx, a) return tx:execute("UPDATE t SET b = b + 1 WHERE a = $1", a) end
      task.group(function(g)
        g:spawn(function()
          codes[1] = select(3, db:transaction(function(tx)
            update(tx, 1)
            first:put(true)
            second:get()
            return update(tx, 2)
          end)) or "none"
        end)
        g:spawn(function()
          codes[2] = select(3, db:transaction(function(tx)
            update(tx, 2)
            second:put(true)
            first:get()
            return update(tx, 1)
          end)) or "none"
        end)
      end)
      table.sort(codes)
      assert.same({ "40P01", "none" }, codes)
    end)
  end)

  it("whose connection is killed fail, and the next one has a new connection", function()
    with({ max = 1 }, function(db)
      with({ max = 1 }, function(other)
        support.is_failure("57P01", nil, db:transaction(function(tx)
          tx:execute "INSERT INTO t VALUES (1, 1)"
          assert.is_true(kill_backends(other) >= 1)
          return tx:execute "INSERT INTO t VALUES (2, 2)"
        end))
        support.is_failure("08007", "not known whether", db:transaction(function(tx)
          tx:execute "INSERT INTO t VALUES (1, 1)"
          kill_backends(other)
          return true
        end))
      end)
      assert.equal(0, count(db))
    end)
  end)

  it("of many tasks keep their statements apart, and those of one transaction in many tasks are in order", function()
    with({ max = 5 }, function(db)
      task.group(function(g)
        for i = 1, 20 do
          g:spawn(function()
            db:transaction(function(tx)
              tx:execute("INSERT INTO t VALUES ($1, 0)", i)
              task.group(function(inner)
                for _ = 1, 5 do
                  inner:spawn(function() assert.equal(1, tx:execute("UPDATE t SET b = b + 1 WHERE a = $1", i)) end)
                end
              end)
            end)
          end)
        end
      end)
      assert.equal(100, db:value "SELECT sum(b)::int FROM t")
    end)
  end)

  it("cancelled while a statement waits for a lock leave no lock and no statement behind", function()
    with({ max = 3 }, function(db)
      db:execute "INSERT INTO t VALUES (1, 0)"
      db:transaction(function(tx)
        tx:execute "UPDATE t SET b = 1"
        local waiting = support.parked(task.spawn({ quiet = true }, function()
          db:transaction(function(second)
            second:execute "INSERT INTO t VALUES (9, 9)"
            second:execute "UPDATE t SET b = 2"
          end)
        end))
        waiting:cancel()
        waiting:join(support.patience)
        assert.equal("cancelled", waiting:status())
      end)
      assert.same({ { a = 1, b = 1 } }, db:all "SELECT * FROM t")
      support.eventually(function()
        return db:value "SELECT count(*) = 0 FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%b = 2%' \z
          AND pid <> pg_backend_pid()"
      end)
    end)
  end)

  it("obey statement_timeout as any failure", function()
    with({ max = 1 }, function(db)
      support.is_failure("57014", "timeout", db:transaction(function(tx)
        tx:execute "SET LOCAL statement_timeout = '50ms'"
        return tx:value "SELECT pg_sleep(20)"
      end))
      assert.equal("0", db:value "SHOW statement_timeout")
    end)
  end)
end)
