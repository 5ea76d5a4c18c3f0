-- SQLite: what goes wrong, and what others do to the file meanwhile.
local fs = require "moonlet.fs"
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"

local ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"

describe("moonlet.sqlite: failures", function()
  local place, path

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(directory)
    place, path = directory, directory .. "/a.db"
  end)

  local function open(opts)
    local db = assert(sqlite.open(path, opts))
    assert(db:script "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, name TEXT)")
    return db
  end

  -- A connection outside of all pools, as that of another process.
  local function other()
    local connection = assert(package.preload["moonlet.sqlite.core"]().open(path, "write"))
    connection:restrict "begin"
    return connection
  end

  local function code_of(_, _, code) return code end

  it("a writer elsewhere is waited for until busy_timeout; readers go on", function()
    local db <close> = open { busy_timeout = 0.05 }
    local writer <close> = other()
    assert(writer:execute({}, "BEGIN IMMEDIATE"))
    assert.equal("SQLITE_BUSY", code_of(db:execute "INSERT INTO t(name) VALUES('a')"))
    assert.equal("SQLITE_BUSY", code_of(db:transaction(function() end)))
    assert.equal(0, db:value "SELECT count(*) FROM t")
    assert(writer:execute({}, "COMMIT"))
    assert.equal(1, (db:execute "INSERT INTO t(name) VALUES('a')"))
  end)

  it("a writer elsewhere that ends in time is no failure", function()
    local db <close> = open()
    local writer <close> = other()
    assert(writer:execute({}, "BEGIN IMMEDIATE"))
    local inserting = task.spawn(function() return db:execute "INSERT INTO t(name) VALUES('a')" end)
    support.parked(inserting)
    assert(writer:execute({}, "COMMIT"))
    assert.same({ true, 1, 1 }, { inserting:join(support.patience) })
  end)

  it("a task that is cancelled while it waits for the writer has done nothing", function()
    local db <close> = open()
    local go = false
    local holder = task.spawn(function()
      db:transaction(function(tx)
        while not go do assert(tx:value "SELECT 1") end
      end)
    end)
    task.yield()
    local waiting = task.spawn(function() return db:execute "INSERT INTO t(name) VALUES('a')" end)
    local later = task.spawn(function() return db:execute "INSERT INTO t(name) VALUES('b')" end)
    support.parked(waiting)
    waiting:cancel()
    assert.equal("ECANCELED", code_of(waiting:join(support.patience)))
    go = true
    assert.is_true(holder:join(support.patience))
    assert.is_true(later:join(support.patience))
    assert.same({ { name = "b" } }, db:all "SELECT name FROM t")
  end)

  it("a cancelled write is undone as a whole", function()
    local db <close> = open()
    local write = "INSERT INTO t(name) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    assert.equal("EDEADLINE", code_of(task.timeout(0.05, db.execute, db, write)))
    assert.equal(0, db:value "SELECT count(*) FROM t")
    assert.equal("EDEADLINE", code_of(task.timeout(0.05, db.script, db, write)))
    assert.equal("EDEADLINE", code_of(task.timeout(0.05, db.transaction, db, function(tx)
      assert(tx:execute "INSERT INTO t(name) VALUES('a')")
      tx:transaction(function(inner) inner:execute(write) end)
    end)))
    assert.equal(0, db:value "SELECT count(*) FROM t")
    assert.equal(1, (db:execute "INSERT INTO t(name) VALUES('a')"))
  end)

  it("cancelled rows give their connection back", function()
    local db <close> = open { readers = 1 }
    for _ = 1, 3 do
      assert.equal("EDEADLINE", code_of(task.timeout(0.02, function()
        for _ in db:rows "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c" do end
      end)))
      assert.equal("EDEADLINE", code_of(task.timeout(0.02, function()
        for _ in db:rows(ENDLESS) do end
      end)))
    end
    assert.equal(0, db:value "SELECT count(*) FROM t")
  end)

  it("a database that is closed while rows are open lets them come to their end", function()
    local db = open()
    assert(db:script [[INSERT INTO t(name)
      WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT x FROM c]])
    local count = 0
    for _ in db:rows "SELECT id FROM t" do
      count = count + 1
      if count == 300 then db:close() end
    end
    assert.equal(1000, count)
    assert.equal("CLOSED", code_of(db:value "SELECT 1"))
    db:close()
  end)

  it("rows of a transaction end with it", function()
    local db <close> = open()
    assert(db:script [[INSERT INTO t(name)
      WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000) SELECT x FROM c]])
    local rows = db:transaction(function(tx) return (tx:rows "SELECT id FROM t") end)
    local ok, failure = pcall(function() for _ in rows do end end)
    assert.is_false(ok)
    assert.equal("CLOSED", failure.code)
  end)

  -- SQLite's last writes came after close() had returned: they met files that were removed, or new ones.
  it("a file whose database is closed can be removed and made anew at once, also after a cancelled query", function()
    for i = 1, 12 do
      local db = open()
      task.group(function(group)
        for _ = 1, 4 do group:spawn(function() assert(db:value "SELECT count(*) FROM t") end) end
      end)
      assert(db:execute("INSERT INTO t(name) VALUES (?)", ("x"):rep(10000)))
      if i % 3 == 0 then task.timeout(0.001, db.value, db, ENDLESS) end
      if i % 3 == 1 then
        task.timeout(0.001, db.transaction, db, function(tx)
          tx:execute "DELETE FROM t"
          return tx:value(ENDLESS)
        end)
      end
      task.no_switch(db.close, db)
      db:close()
      assert(os.remove(path))
    end
  end)

  it("a database is closed, without a wait, by tasks that are cancelled, in finalizers and in transactions", function()
    local db = open()
    local closing = task.spawn({ quiet = true }, function()
      local _ <close> = setmetatable({}, { __close = function() db:close() end })
      task.sleep(60)
    end)
    task.yield()
    closing:cancel()
    assert.equal("ECANCELED", select(3, closing:join()))
    local other_db, has_closed = open(), false
    setmetatable({}, { __gc = function()
      other_db:close()
      has_closed = true
    end })
    support.eventually(function()
      collectgarbage()
      return has_closed
    end)
    local third = open()
    third:transaction(function(tx)
      third:close()
      assert(tx:execute "INSERT INTO t(name) VALUES ('late')")
    end)
    local again <close> = open()
    assert.equal("late", again:value "SELECT name FROM t")
  end)

  it("a table that the same transaction is reading cannot be dropped: SQLITE_LOCKED at once, and the rest goes on",
    function()
      local db <close> = open { busy_timeout = 60 }
      assert(db:transaction(function(tx)
        for i = 1, 600 do assert(tx:execute("INSERT INTO t(id) VALUES (?)", i)) end
        local count = 0
        for _ in tx:rows "SELECT id FROM t" do
          count = count + 1
          if count == 1 then
            local begin = task.now()
            assert.equal("SQLITE_LOCKED", code_of(tx:execute "DROP TABLE t"))
            assert(task.now() - begin < 30)
            assert(tx:execute "INSERT INTO t(id) VALUES (1000)")
          end
        end
        assert(count >= 600, count)
        assert(tx:execute "DROP TABLE t")
        return true
      end))
    end)

  it("a file that is no database, is damaged, missing, or may only be read is told by code", function()
    fs.write(place .. "/text", ("no database"):rep(1000))
    assert.equal("SQLITE_NOTADB", code_of(sqlite.open(place .. "/text")))
    assert.equal("SQLITE_CANTOPEN", code_of(sqlite.open(place .. "/none", { mode = "write" })))
    assert.equal("SQLITE_CANTOPEN", code_of(sqlite.open(place .. "/none/a.db")))
    local db = open()
    assert(db:script [[INSERT INTO t(name)
      WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) SELECT 'name ' || x FROM c]])
    db:close()
    support.eventually(function() return not fs.stat(path .. "-wal") end) -- closed on workers
    local whole = fs.read(path)
    do
      local reader <close> = assert(sqlite.open(path, { mode = "read" }))
      assert.equal("SQLITE_READONLY", code_of(reader:execute "DELETE FROM t"))
      assert.equal("SQLITE_READONLY", code_of(reader:transaction(function(tx) return tx:execute "DELETE FROM t" end)))
      assert.equal(5000, reader:value "SELECT count(*) FROM t")
    end
    fs.write(place .. "/b.db", whole:sub(1, 4096) .. ("\255"):rep(#whole - 4096))
    local damaged <close> = assert(sqlite.open(place .. "/b.db"))
    assert.matches("^SQLITE_CORRUPT", code_of(damaged:value "SELECT sum(length(name)) FROM t"))
    assert.equal(1, damaged:value "SELECT 1")
  end)

  it("a file that is removed harms nobody", function()
    local db <close> = open()
    assert(db:execute "INSERT INTO t(name) VALUES('a')")
    for _, name in ipairs { path, path .. "-wal", path .. "-shm" } do os.remove(name) end
    local _, message = db:execute "INSERT INTO t(name) VALUES('b')"
    assert.is_true(message == nil or type(message) == "string" or message == 2)
    db:value "SELECT count(*) FROM t"
  end)

  it("a change of the schema reaches statements that are prepared", function()
    local db <close> = open()
    assert(db:execute "INSERT INTO t(name) VALUES('a')")
    for _ = 1, 8 do assert.same({ id = 1, name = "a" }, db:row "SELECT * FROM t") end
    local connection <close> = other()
    assert(connection:execute({}, "ALTER TABLE t ADD COLUMN more DEFAULT 7"))
    for _ = 1, 8 do assert.same({ id = 1, name = "a", more = 7 }, db:row "SELECT * FROM t") end
    assert(connection:execute({}, "DROP TABLE t"))
    assert.equal("SQLITE_ERROR", code_of(db:row "SELECT * FROM t"))
  end)

  it("savepoints nest a hundred deep, and each undoes its own", function()
    local db <close> = open()
    local function nest(tx, depth)
      assert(tx:execute("INSERT INTO t(id) VALUES(?)", depth))
      if depth < 100 then tx:transaction(nest, depth + 1) end
      if depth > 50 then return nil, "undo", "UNDO" end
    end
    assert(db:transaction(function(tx) nest(tx, 1); return true end))
    assert.equal(50, db:value "SELECT count(*) FROM t")
  end)

  it("files are attached by an option, to all connections", function()
    local more <close> = assert(sqlite.open(place .. "/b.db"))
    assert(more:script "CREATE TABLE u(x); INSERT INTO u VALUES(5)")
    local db <close> = open { attach = { more = place .. "/b.db" } }
    assert.equal(5, db:value "SELECT x FROM more.u")
    assert(db:execute "INSERT INTO t(id) SELECT x FROM more.u")
    assert.equal("SQLITE_AUTH", code_of(db:execute("ATTACH ? AS z", ":memory:")))
    assert.has_error(function() sqlite.open(path, { attach = { ['a"b'] = "x" } }) end)
  end)

  it("a copy is whole although others write meanwhile", function()
    local db <close> = open()
    assert(db:script [[INSERT INTO t(name)
      WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) SELECT 'name ' || x FROM c]])
    local is_over = false
    local writing = task.spawn(function()
      while not is_over do
        assert(db:transaction(function(tx)
          assert(tx:execute "INSERT INTO t(name) VALUES('a')")
          return tx:execute "INSERT INTO t(name) VALUES('b')"
        end))
      end
    end)
    assert.is_true(db:backup(place .. "/copy.db"))
    is_over = true
    assert.is_true(writing:join(support.patience))
    local copy <close> = assert(sqlite.open(place .. "/copy.db"))
    assert.equal("ok", copy:value "PRAGMA integrity_check")
    assert.equal(0, copy:value "SELECT count(*) % 2 FROM t")
    assert.equal("SQLITE_CANTOPEN", code_of(db:backup(place .. "/none/copy.db")))
  end)

  it("a program that is killed has committed what it was told, and nothing else", function()
    local output = support.run(([[
      local db = assert(require "moonlet.sqlite".open(%q))
      assert(db:script "CREATE TABLE t(x)")
      for i = 1, 20 do
        db:transaction(function(tx) for k = 1, 10 do assert(tx:execute("INSERT INTO t VALUES(?)", i)) end end)
      end
      db:transaction(function(tx)
        assert(tx:execute("INSERT INTO t VALUES(99)"))
        os.execute("kill -9 $PPID")
        while true do tx:value "SELECT 1" end
      end)
    ]]):format(path))
    local db <close> = assert(sqlite.open(path))
    assert.equal(200, db:value "SELECT count(*) FROM t", output)
  end)

  it("threads open the same file", function()
    open():close()
    local thread = require "moonlet.thread"
    local function add(file)
      local db <close> = assert(require "moonlet.sqlite".open(file, { busy_timeout = 30 }))
      for _ = 1, 20 do
        assert(db:transaction(function(tx)
          local n = assert(tx:value "SELECT count(*) FROM t")
          return tx:execute("INSERT INTO t(id) VALUES(?)", n + 1)
        end))
      end
      return true
    end
    local calls = {}
    for i = 1, 4 do calls[i] = task.spawn(function() return thread.call(add, path) end) end
    for i = 1, 4 do assert.same({ true, true }, { calls[i]:join(2 * support.patience) }) end
    local db <close> = open()
    assert.equal(80, db:value "SELECT max(id) FROM t")
  end)

  it("a full disk is told, and the database goes on when there is room", function()
    local output, status = support.shell(("unshare -rm true"))
    if status ~= 0 then return pending("no namespaces here: " .. output) end
    local script = ([[
      local db = assert(require "moonlet.sqlite".open(%q .. "/full.db"))
      assert(db:script "CREATE TABLE t(x)")
      local message, code, ok
      repeat ok, message, code = db:execute("INSERT INTO t VALUES(zeroblob(20000))") until not ok
      print(code, db:value "PRAGMA quick_check")
      os.remove(%q .. "/ballast")
      print(db:execute("INSERT INTO t VALUES(1)"))
    ]]):format(place, place)
    local command, file = support.command(script)
    local out = support.shell(("unshare -rm sh -c 'mount -t tmpfs -o size=1m none %s && " ..
      "dd if=/dev/zero of=%s/ballast bs=1k count=300 2>/dev/null && %s'"):format(place, place,
      (command:gsub("'", "'\\''"))))
    os.remove(file)
    assert.matches("^SQLITE_FULL\tok\n1\t", out)
  end)

  it("rows stream in bounded memory", function()
    local db <close> = open()
    collectgarbage()
    local before, most, count = collectgarbage "count", 0, 0
    local query = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) "
      .. "SELECT x, 'text' AS t FROM c"
    for _ in db:rows(query) do
      count = count + 1
      if count % 1000 == 0 then most = math.max(most, collectgarbage "count" - before) end
    end
    assert.equal(100000, count)
    assert.is_true(most < 4096, most)
  end)

  it("a runtime that ends with everything open ends well", function()
    local output, status = support.run(([[
      local db = assert(require "moonlet.sqlite".open(%q))
      assert(db:script "CREATE TABLE t(x); INSERT INTO t VALUES(1), (2)")
      rows = db:rows "SELECT * FROM t"
      rows()
      require "moonlet.task".spawn({ daemon = true }, function() db:value %q end)
      require "moonlet.task".sleep(0.01)
      print "over"
    ]]):format(path, ENDLESS))
    assert.equal("over\n", output)
    assert.equal(0, status)
  end)
end)
