-- SQLite: statements that find or change one row run on the thread of the tasks; what they need of the disk, and all
-- other statements, is done by workers.
local inspect = require "moonlet.inspect"
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

local MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "

describe("moonlet.sqlite: short statements", function()
  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  local function fill(opts)
    db = assert(sqlite.open(place .. "/a.db", opts))
    assert(db:script("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n);" ..
      MANY:format(5000) .. "INSERT INTO t SELECT i, 'name ' || i, i FROM n"))
  end

  after_each(function() db:close() end)

  -- How many jobs of databases fn() gives to workers.
  local function jobs(fn)
    local function count()
      for _, series in ipairs(inspect.metrics().moonlet_worker_jobs_total.series) do
        if series.labels.kind == "database" then return series.value end
      end
    end
    local before = count()
    fn()
    return count() - before
  end

  local SELECT, BY_NAME = "SELECT n FROM t WHERE id = ?", "SELECT n, id FROM t WHERE name = ?"

  -- The pages are in memory then, and the statements known.
  local function warm()
    for _ = 1, 60 do
      for _, id in ipairs { 1, 2500, 5000 } do
        db:value(SELECT, id)
        db:row(BY_NAME, "name " .. id)
      end
    end
  end

  it("need no worker once their pages are in memory", function()
    fill { readers = 1 }
    warm()
    assert.equal(0, jobs(function()
      for _ = 1, 50 do
        assert.equal(2500, db:value(SELECT, 2500))
        assert.same({ n = 5000, id = 5000 }, db:row(BY_NAME, "name 5000"))
      end
    end))
    assert(jobs(function()
      for _ = 1, 5 do assert(db:value "SELECT sum(n) FROM t") end
      for _ = 1, 5 do assert(#db:all("SELECT n FROM t WHERE id < ?", 9) == 8) end
      for _ = 1, 5 do assert(db:value("SELECT length(?)", "abc") == 3) end
    end) >= 15)
  end)

  it("bring the same rows as others: any size, any parameter, NULL, no row, types, failures", function()
    fill { readers = 1 }
    local ECHO = "SELECT ? AS value, n FROM t WHERE id = 7"
    local big, null = ("x"):rep(10000), {}
    for _ = 1, 4 do
      for _, value in ipairs { 1, -0.5, "", "a\0b", ("y"):rep(3000), big } do
        assert.same({ value = value, n = 7 }, db:row(ECHO, value))
      end
      assert.same({ value = 1, n = 7 }, db:row(ECHO, true))
      assert.same({ n = 7 }, db:row(ECHO, nil))
      assert.equal(null, db:with({ null = null }):value(ECHO, nil))
      assert.is_false(db:with({ null = false }):value(ECHO, nil))
      assert.equal("7!", db:with({ types = { INTEGER = function(n) return n .. "!" end } })
        :value("SELECT id FROM t WHERE id = ?", 7))
      assert.equal(7, db:value("SELECT n FROM t WHERE id = :id", { id = 7 }))
      assert.is_nil((db:row(SELECT, -1)))
      assert.error_matches(function() db:row(SELECT, 0 / 0) end, "not%-a%-number")
      assert.error_matches(function() db:row(SELECT) end, "1 parameter, got 0")
      assert.error_matches(function() db.row(nil, SELECT, 1) end, "bad self")
      assert.error_matches(function()
        db:transaction(function() db:value(SELECT, 1) end)
      end, "cannot wait inside a transaction")
      assert.equal(1, db:value(SELECT, 1))
    end
  end)

  it("leave their connection to a finalizer that runs while their row is made", function()
    fill { readers = 1 }
    local BIG = ("z"):rep(2000)
    assert(db:execute("UPDATE t SET name = ? WHERE id = 9", BIG))
    warm()
    local refused = 0
    local Garbage = { __gc = function()
      if not pcall(db.row, db, "SELECT name, n FROM t WHERE id = ?", 8) then refused = refused + 1 end
    end }
    collectgarbage "generational"
    for _ = 1, 300 do
      setmetatable({}, Garbage)
      assert.same({ name = BIG, n = 9 }, db:row("SELECT name, n FROM t WHERE id = ?", 9))
    end
    collectgarbage "incremental"
    collectgarbage()
    assert(refused > 150, refused)
  end)

  it("go on when their database is closed while they wait for the disk", function()
    fill { pragmas = { cache_size = 1 }, readers = 1 }
    warm()
    local found, path = 0, place .. "/a.db"
    local group = {}
    for k = 1, 4 do
      group[k] = task.spawn(function()
        for i = k, 5000, 97 do
          local n, message = db:value(SELECT, i)
          if n ~= i then return message end
          found = found + 1
        end
      end)
    end
    while found < 30 do task.yield() end
    db:close()
    for k = 1, 4 do group[k]:join() end
    db = assert(sqlite.open(path))
    assert.equal(5000, db:value "SELECT count(*) FROM t")
  end)

  it("change rows in a transaction without a worker, and commit by one", function()
    fill()
    local INSERT, UPDATE = "INSERT INTO t VALUES(?, ?, ?)", "UPDATE t SET n = ? WHERE id = ?"
    local count
    assert(db:transaction(function(tx)
      for i = 1, 100 do
        assert.equal(1, (tx:execute(INSERT, 10000 + i, "new " .. i, i)))
        assert.equal(1, (tx:execute(UPDATE, -i, 10000 + i)))
      end
      count = jobs(function()
        for i = 101, 200 do
          assert.same({ 1, 10000 + i }, { tx:execute(INSERT, 10000 + i, "new " .. i, i) })
          assert.equal("SQLITE_CONSTRAINT_UNIQUE", (select(3, tx:execute(INSERT, 20000 + i, "new " .. i, i))))
          assert.equal(1, (tx:execute(UPDATE, -i, 10000 + i)))
        end
      end)
      return true
    end))
    assert(count < 60, count)
    assert.equal(200, db:value "SELECT count(*) FROM t WHERE n < 0")
    assert.equal("ok", db:value "PRAGMA integrity_check")
  end)

  it("are right with pages that are read and spilled by workers meanwhile, and others run", function()
    fill { pragmas = { cache_size = 5, mmap_size = 1000000 }, readers = 1 }
    local turns, done = 0, false
    local ticker = task.spawn(function()
      while not done do
        turns = turns + 1
        task.yield()
      end
    end)
    for i = 1, 5000, 113 do
      assert.equal(i, db:value(SELECT, i))
      assert.equal(i, db:row(BY_NAME, "name " .. i).id)
    end
    assert(db:transaction(function(tx)
      for i = 1, 300 do assert(tx:execute("UPDATE t SET name = ? WHERE id = ?", ("x"):rep(300) .. i, i)) end
      return true
    end))
    done = true
    ticker:join()
    assert(turns > 50, turns)
    assert.equal(300, db:value "SELECT count(*) FROM t WHERE name LIKE 'x%'")
    assert.equal("ok", db:value "PRAGMA integrity_check")
  end)

  it("are undone as others are: by an error, to a savepoint, by a cancellation", function()
    fill()
    local INSERT = "INSERT INTO t(id, name) VALUES(?, ?)"
    local function count() return db:value "SELECT count(*) FROM t WHERE id > 5000" end
    for round = 1, 3 do
      local ok = pcall(db.transaction, db, function(tx)
        for i = 1, 20 do assert(tx:execute(INSERT, 6000 + i, "a" .. i)) end
        error "no"
      end)
      assert.is_false(ok)
      assert(db:transaction(function(tx)
        for i = 1, 5 do assert(tx:execute(INSERT, round * 10000 + i, round .. "b" .. i)) end
        assert.equal("X", (select(3, tx:transaction(function(inner)
          for i = 6, 50 do assert(inner:execute(INSERT, round * 10000 + i, round .. "b" .. i)) end
          return nil, "no", "X"
        end))))
        for i = 100, 104 do assert(tx:execute(INSERT, round * 10000 + i, round .. "b" .. i)) end
        return true
      end))
      assert.equal(10 * round, count())
    end
    local busy = task.spawn(function()
      db:transaction(function(tx)
        local i = 90000
        while true do
          i = i + 1
          assert(tx:execute(INSERT, i, "c" .. i))
        end
      end)
    end)
    task.sleep(0.02)
    busy:cancel()
    assert.equal("ECANCELED", (select(3, busy:join())))
    assert.equal(30, count())
    assert.equal("ok", db:value "PRAGMA integrity_check")
  end)

  it("that a change of the schema has made long let others run, and can be cancelled", function()
    fill()
    local UPDATE = "UPDATE t SET n = ? WHERE id = ?"
    assert(db:transaction(function(tx)
      for i = 1, 10 do assert(tx:execute(UPDATE, i, 1)) end
      return true
    end))
    assert(db:script("CREATE TRIGGER slow AFTER UPDATE ON t BEGIN " ..
      "INSERT INTO t(name) SELECT 'deep' FROM t AS a, t AS b, t AS c WHERE a.n + b.n + c.n = -1; END"))
    local turns, done = 0, false
    local ticker = task.spawn(function()
      while not done do
        turns = turns + 1
        task.yield()
      end
    end)
    local _, _, code = task.timeout(0.2, db.transaction, db, function(tx) return tx:execute(UPDATE, 7, 1) end)
    done = true
    ticker:join()
    assert.equal("EDEADLINE", code)
    assert(turns > 3, turns)
    assert(db:execute "DROP TRIGGER slow")
    assert.equal(10, db:value(SELECT, 1))
  end)

  it("in a loop let other tasks run", function()
    fill { readers = 2 }
    warm()
    local turns, done = 0, false
    local ticker = task.spawn(function()
      while not done do
        turns = turns + 1
        task.yield()
      end
    end)
    for _ = 1, 2000 do assert(db:value(SELECT, 2500)) end
    done = true
    ticker:join()
    assert(turns > 50, turns)
    local other <close> = assert(sqlite.open ":memory:")
    assert(other:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name)")
    for i = 1, 20 do assert(other:execute("INSERT INTO t VALUES(?, ?)", i, "v")) end
    assert(jobs(function()
      for i = 1, 20 do assert.equal("v", other:value("SELECT name FROM t WHERE id = ?", i)) end
    end) < 5)
  end)
end)
