-- moonlet.postgres: rows that stream, COPY, LISTEN.

local support = dofile "tests/spec/support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local net = require "moonlet.net"
local postgres = require "moonlet.postgres"
local sql = require "moonlet.sql"
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

describe("moonlet.postgres streams", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      return with(nil, function(db) return db:value "SELECT 1" end)
    end)
  end)

  teardown(function() server:remove() end)

  it("rows come in order and all, outside a transaction and inside one", function()
    with({ max = 1 }, function(db)
      for _, count in ipairs { 0, 1, 255, 256, 257, 5000 } do
        local function sum(source)
          local n, total = 0, 0
          for row in source:rows("SELECT g, repeat('x', 10) AS x FROM generate_series(1, $1) g", count) do
            n, total = n + 1, total + row.g
            assert.equal(n, row.g)
          end
          return { n, total }
        end
        assert.same({ count, count * (count + 1) // 2 }, sum(db))
        assert.same({ count, count * (count + 1) // 2 }, db:transaction(sum))
      end
    end)
  end)

  it("rows come before the query has ended, with little memory", function()
    with({ max = 1 }, function(db)
      local from = task.now()
      local rows = db:rows "SELECT g, repeat('x', 20000) AS x FROM generate_series(1, 3) g, \z
        pg_sleep(CASE g WHEN 3 THEN 20 ELSE 0 END)"
      assert.equal(1, rows().g)
      rows:close()
      assert.is_true(task.now() - from < 19)
      collectgarbage()
      local before, most = collectgarbage "count", 0
      local n = 0
      for _ in db:rows "SELECT repeat('x', 1000) AS x FROM generate_series(1, 100000)" do
        n = n + 1
        if n % 5000 == 0 then most = math.max(most, collectgarbage "count" - before) end
      end
      assert.equal(100000, n)
      assert.is_true(most < 20000, most)
    end)
  end)

  it("rows that are left give their connection back; the server ends the query", function()
    with({ max = 1 }, function(db)
      for _ = 1, 5 do
        for _ in db:rows "SELECT generate_series(1, 10000000)" do break end -- luacheck: ignore 512
        assert.equal(1, db:value "SELECT 1")
      end
      local rows = db:rows "SELECT * FROM generate_series(1, 10)"
      rows()
      rows:close()
      rows:close()
      assert.equal(nil, rows())
      assert.has_error(function() for _ in db:rows "SELECT * FROM generate_series(1, 1000)" do error("mine", 0) end end,
        "mine")
      assert.equal(1, db:value "SELECT 1")
      do local lost = db:rows "SELECT * FROM generate_series(1, 10000)" lost() end
      collectgarbage()
      collectgarbage()
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("rows in a transaction leave room for other statements, and for each other", function()
    with({ max = 1 }, function(db)
      db:transaction(function(tx)
        local n = 0
        for outer in tx:rows "SELECT * FROM generate_series(1, 600) a" do
          for inner in tx:rows("SELECT * FROM generate_series(1, 2) b WHERE $1 > 0", outer.a) do n = n + inner.b end
          assert.equal(outer.a, tx:value("SELECT $1", outer.a))
        end
        assert.equal(1800, n)
        for row in tx:rows "WITH x AS (SELECT 7 AS c) SELECT * FROM x" do assert.equal(7, row.c) end
        for row in tx:rows "SHOW server_encoding" do assert.equal("UTF8", row.server_encoding) end
        for _ in tx:rows "SELECT * FROM generate_series(1, 600) a" do break end -- luacheck: ignore 512
        assert.equal(0, tx:value "SELECT count(*) FROM pg_cursors WHERE name LIKE 'moonlet%'")
      end)
    end)
  end)

  it("rows raise a failure that comes in the middle, behind the rows before it", function()
    with({ max = 1 }, function(db)
      local pid = db:value "SELECT pg_backend_pid()"
      for _ = 1, 2 do
        local n = 0
        local ok, failure = pcall(function()
          for row in db:rows "SELECT 10 / (5 - g) AS x, g FROM generate_series(1, 10) g" do n = row.g end
        end)
        assert.is_false(ok)
        assert.same({ 4, "22012", "division by zero" }, { n, failure.code, tostring(failure) })
        assert.equal(pid, db:value "SELECT pg_backend_pid()") -- the connection serves on
      end
      local ok, failure = pcall(db.rows, db, "SELEC")
      assert.is_false(ok)
      assert.equal("42601", failure.code)
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("rows closed by another task while one waits for them end; also when the database is closed", function()
    with({ max = 1 }, function(db)
      -- The server sends 8 KB at a time: the second row pushes the end of the first one out.
      local rows = db:rows "SELECT g, repeat('x', 20000) AS x FROM generate_series(1, 3) g, \z
        pg_sleep(CASE g WHEN 3 THEN 20 ELSE 0 END)"
      assert.equal(1, rows().g)
      local waiting = support.parked(task.spawn({ quiet = true }, function() return rows() end))
      rows:close()
      waiting:join(support.patience)
      assert.not_equal("waiting", waiting:status())
      assert.equal(1, db:value "SELECT 1")
    end)
    local db = open { max = 1 }
    local rows = db:rows "SELECT * FROM generate_series(1, 100000) g"
    rows()
    db:close()
    assert.equal(2, rows().g)
    rows:close()
  end)

  it("rows keep NULL, and read types, as the call says", function()
    with({ null = sql.null }, function(db)
      for row in db:rows "SELECT NULL AS a, 1.5 AS b" do assert.same({ a = sql.null, b = "1.5" }, row) end
      for row in db:with({ types = { numeric = tonumber } }):rows "SELECT NULL AS a, 1.5 AS b" do
        assert.same({ b = 1.5 }, row)
      end
      local ok = pcall(function()
        for _ in db:with({ types = { numeric = error } }):rows "SELECT 1.5 AS b" do break end -- luacheck: ignore 512
      end)
      assert.is_false(ok)
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  -- ---- COPY ----

  it("copies in from strings, lists, functions and streams, and by a writer", function()
    with({ max = 1 }, function(db)
      db:script "CREATE TABLE c (a int, b text)"
      assert.equal(2, db:copy_in("COPY c FROM STDIN", "1\tx\n2\t\\N\n"))
      assert.equal(2, db:copy_in("COPY c FROM STDIN (FORMAT csv)", { "3,", "x\n4", ",\"a,b\"\n" }))
      local i = 0
      assert.equal(1000, db:copy_in("COPY c FROM STDIN", function()
        i = i + 1
        return i <= 1000 and ("%d\t%s\n"):format(i, ("y"):rep(1000)) or nil
      end))
      local here, there = net.pair()
      task.spawn(function()
        there:write("7\tstream\n")
        there:close()
      end)
      assert.equal(1, db:copy_in("COPY c FROM STDIN", here))
      here:close()
      local writer <close> = db:copy_in "COPY c FROM STDIN"
      assert(writer:row(8, "tab\tline\nback\\slash\r"))
      assert(writer:row(9, nil))
      assert(writer:write("10\t", "x", "\n"))
      assert.equal(3, writer:finish())
      support.is_failure("CLOSED", nil, writer:write "x")
      support.is_failure("CLOSED", nil, writer:finish())
      assert.equal("tab\tline\nback\\slash\r", db:value "SELECT b FROM c WHERE a = 8 AND b LIKE 'tab%'")
      assert.equal(2 + 2 + 1000 + 1 + 3, db:value "SELECT count(*) FROM c")
      assert.equal(0, db:copy_in("COPY c FROM STDIN", ""))
    end)
  end)

  it("copies nothing in if the data, the source or the command fail", function()
    with({ max = 1 }, function(db)
      db:script "CREATE TABLE d (a int)"
      support.is_failure("22P02", nil, db:copy_in("COPY d FROM STDIN", "1\nx\n"))
      support.is_failure("22P02", nil, db:copy_in("COPY d FROM STDIN", ("x\n"):rep(100000)))
      local parts = { "1\n" }
      support.is_failure("EMINE", "mine", db:copy_in("COPY d FROM STDIN", function()
        local part = table.remove(parts)
        if part then return part end
        return nil, "mine", "EMINE"
      end))
      assert.has_error(function() db:copy_in("COPY d FROM STDIN", function() error("raised", 0) end) end, "raised")
      do local _ <close> = db:copy_in "COPY d FROM STDIN" end
      support.is_failure("42P01", nil, db:copy_in("COPY nowhere FROM STDIN", ""))
      support.is_failure("0A000", "not a COPY FROM STDIN", db:copy_in("SELECT 1", ""))
      support.is_failure("0A000", "the other way", db:copy_in("COPY d TO STDOUT", ""))
      support.is_failure("0A000", "the other way", db:copy_out "COPY d FROM STDIN")
      assert.equal(0, db:value "SELECT count(*) FROM d")
      db:transaction(function(tx)
        support.is_failure("22P02", nil, tx:copy_in("COPY d FROM STDIN", "x\n"))
      end)
      assert.equal(2, db:transaction(function(tx)
        assert.equal(2, tx:copy_in("COPY d FROM STDIN", "1\n2\n"))
        return tx:value "SELECT count(*) FROM d"
      end))
    end)
  end)

  it("copies out row by row, binary too, and stops when it is left", function()
    with({ max = 1 }, function(db)
      local n = 0
      for line in db:copy_out "COPY (SELECT g FROM generate_series(1, 50000) g) TO STDOUT" do
        n = n + 1
        assert.equal(n .. "\n", line)
      end
      assert.equal(50000, n)
      local data = {}
      for piece in db:copy_out "COPY (SELECT 1::int4) TO STDOUT (FORMAT binary)" do data[#data + 1] = piece end
      data = table.concat(data)
      assert.equal("PGCOPY\n\xff\r\n\0", data:sub(1, 11))
      for _ = 1, 3 do
        local reader <close> = db:copy_out "COPY (SELECT generate_series(1, 10000000)) TO STDOUT"
        assert.equal("1\n", reader())
      end
      local ok, failure = pcall(function()
        for _ in db:copy_out "COPY (SELECT 1 / (3 - g) FROM generate_series(1, 5) g) TO STDOUT" do end
      end)
      assert.is_false(ok)
      assert.equal("22012", failure.code)
      support.is_failure("42601", nil, db:copy_out "COPY")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("holds the source up while the server does not read", function()
    with({ max = 2 }, function(db)
      db:script "CREATE TABLE e (a text); "
      db:transaction(function(tx)
        tx:execute "LOCK TABLE e"
        local given = 0
        local copying = task.spawn({ quiet = true }, function()
          return db:copy_in("COPY e FROM STDIN", function()
            given = given + 1
            return given <= 2000 and ("z"):rep(100000) .. "\n" or nil
          end)
        end)
        support.parked(copying)
        assert.is_true(given < 1000)
        copying:cancel()
        copying:join(support.patience)
      end)
      assert.equal(0, db:value "SELECT count(*) FROM e")
    end)
  end)

  it("copies lines of megabytes, and every sign, there and back in each format", function()
    with({ max = 2 }, function(db)
      db:script "CREATE TABLE f (n int, a text); CREATE TABLE g (n int, a text)"
      local signs = {}
      for byte = 1, 127 do signs[byte] = string.char(byte) end
      local texts = { ("x"):rep(1 << 20), "", "\\", "\\N", "\\.", "a\tb\nc\rd\ve\bf\fg", "\\.\n\\.",
        "'a',\"b\";", "\u{e4}\u{1f600}",
        table.concat(signs) }
      for i, text in ipairs(texts) do db:execute("INSERT INTO f VALUES ($1, $2)", i, text) end
      for _, format in ipairs { "", " (FORMAT csv)", " (FORMAT binary)" } do
        db:execute "TRUNCATE g"
        local out <close> = db:copy_out("COPY f TO STDOUT" .. format)
        assert.equal(#texts, db:copy_in("COPY g FROM STDIN" .. format, function() return out() end))
        assert.equal(0, db:value "SELECT count(*) FROM f FULL JOIN g USING (n) WHERE f.a IS DISTINCT FROM g.a")
      end
    end)
  end)

  it("ends a copy whose server leaves in the middle, and copies nothing in", function()
    with({ max = 2 }, function(db)
      db:script "CREATE TABLE h (a text)"
      local gone = { ["57P01"] = true, ["08006"] = true }
      local function end_the_other()
        db:value "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
      end
      local lines = 0
      local ok, failure = pcall(function()
        for _ in db:copy_out "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 30000)) TO STDOUT" do
          lines = lines + 1
          if lines == 10 then end_the_other() end
        end
      end)
      assert.is_false(ok)
      assert.is_true(gone[failure.code], failure.code)
      assert.is_true(lines < 30000)
      local pieces = 0
      local count, _, code = db:copy_in("COPY h FROM STDIN", function()
        pieces = pieces + 1
        if pieces == 10 then end_the_other() end
        return pieces <= 1000 and ("z"):rep(10000) .. "\n" or nil
      end)
      assert.is_nil(count)
      assert.is_true(gone[code], code)
      assert.equal(0, db:value "SELECT count(*) FROM h")
    end)
  end)

  -- ---- LISTEN ----

  it("hears payloads up to the server's limit, and of a transaction once it is committed", function()
    with(nil, function(db)
      local listener <close> = assert(db:listen "jobs")
      db:value("SELECT pg_notify('jobs', $1)", ("p"):rep(7999))
      assert.equal(("p"):rep(7999), listener:next(support.patience).payload)
      support.is_failure("22023", nil, db:value("SELECT pg_notify('jobs', $1)", ("p"):rep(8000)))
      assert(db:transaction(function(tx)
        tx:execute "NOTIFY jobs, 'inside'"
        db:execute "NOTIFY jobs, 'beside'"
        assert.equal("beside", listener:next(support.patience).payload)
        support.is_failure("ETIMEDOUT", nil, listener:next(0.02))
        return true
      end))
      assert.equal("inside", listener:next(support.patience).payload)
    end)
  end)

  it("hears each notification of its channels once, in order", function()
    with(nil, function(db)
      local listener <close> = assert(db:listen("jobs", 'odd "name"'))
      for i = 1, 100 do db:value("SELECT pg_notify('jobs', $1::text)", i) end
      db:execute [[NOTIFY "odd ""name""", 'x']]
      db:execute "NOTIFY other"
      for i = 1, 100 do
        local n = assert(listener:next(support.patience))
        assert.same({ "jobs", tostring(i) }, { n.channel, n.payload })
        assert.is_true(n.pid > 0)
      end
      assert.equal('odd "name"', listener:next(support.patience).channel)
      support.is_failure("ETIMEDOUT", nil, listener:next(0))
      support.is_failure("ETIMEDOUT", nil, listener:next(0.01))
      assert.equal(0, db:transaction(function(tx)
        tx:execute "NOTIFY jobs, 'rolled back'"
        return nil, "no", "X"
      end) or 0)
      support.is_failure("ETIMEDOUT", nil, listener:next(0.05))
    end)
  end)

  it("tells of a gap when its connection was lost, and listens again", function()
    with(nil, function(db)
      local listener <close> = assert(db:listen "jobs")
      local heard = {}
      local hearing = task.spawn(function()
        for n in listener do heard[#heard + 1] = n.gap and "gap" or n.payload end
      end)
      db:execute "NOTIFY jobs, 'one'"
      support.eventually(function() return heard[1] end)
      for i = 1, 3 do
        db:value "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        support.eventually(function() return heard[2 * i] end)
        db:execute "NOTIFY jobs, 'again'"
        support.eventually(function() return heard[2 * i + 1] end)
      end
      assert.same({ "one", "gap", "again", "gap", "again", "gap", "again" }, heard)
      listener:close()
      hearing:join()
      support.is_failure("CLOSED", nil, listener:next())
    end)
    with(nil, function(db)
      assert.has_error(function() db:listen() end)
      assert.has_error(function() db:listen(1) end)
      db:close()
      support.is_failure("CLOSED", nil, db:listen "jobs")
    end)
  end)
end)
