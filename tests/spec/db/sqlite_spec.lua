-- SQLite: statements, rows, values, transactions.
local sql = require "moonlet.sql"
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

describe("moonlet.sqlite", function()
  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  before_each(function()
    db = assert(sqlite.open(place .. "/a.db"))
    assert(db:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n)")
  end)

  after_each(function() db:close() end)

  local function count() return db:value "SELECT count(*) FROM t" end

  it("execute returns the rows changed and the last rowid", function()
    assert.same({ 1, 1 }, { db:execute("INSERT INTO t(name) VALUES(?)", "a") })
    assert.same({ 2, 3 }, { db:execute("INSERT INTO t(name) VALUES(?), (?)", "b", "c") })
    assert.equal(3, (db:execute "UPDATE t SET n = 1"))
    assert.equal(0, (db:execute("DELETE FROM t WHERE name = ?", "z")))
    assert.equal(0, (db:execute "SELECT * FROM t"))
    assert.equal(0, (db:execute "CREATE TABLE u(x)"))
  end)

  it("row, value, all and rows return what was stored", function()
    for i = 1, 1000 do assert(db:execute("INSERT INTO t(name, n) VALUES(?, ?)", "n" .. i, i / 2)) end
    assert.same({ id = 2, name = "n2", n = 1.0 }, db:row("SELECT * FROM t WHERE id = ?", 2))
    assert.equal("n7", db:value("SELECT name FROM t WHERE id = ?", 7))
    assert.is_nil(db:row("SELECT * FROM t WHERE id = ?", 5000))
    assert.equal(1000, #db:all "SELECT * FROM t")
    local sum = 0
    for row in db:rows "SELECT id FROM t ORDER BY id" do
      sum = sum + 1
      assert.equal(sum, row.id)
    end
    assert.equal(1000, sum)
  end)

  it("texts come as UTF-8 from a database in UTF-16, also constants of many rows, empty and long ones", function()
    local other <close> = assert(sqlite.open(place .. "/utf16.db"))
    assert(other:script "PRAGMA encoding = 'UTF-16le'; CREATE TABLE u(x TEXT)")
    assert.equal("UTF-16le", other:value "PRAGMA encoding")
    local texts = { "a", "", "\u{e4}\u{20ac}\u{1f600}", ("\u{e4}"):rep(5000) }
    for _, text in ipairs(texts) do assert(other:execute("INSERT INTO u VALUES(?)", text)) end
    for round = 1, 3 do
      local at = 0
      for row in other:rows("SELECT x, 'k\u{e4}' AS k, ? AS p FROM u", "p\u{e4}") do
        at = at + 1
        assert.same({ x = texts[at], k = "k\u{e4}", p = "p\u{e4}" }, row, round)
      end
      assert.equal(#texts, at)
      assert.equal(texts[3], other:value("SELECT x FROM u WHERE x = ?", texts[3]))
    end
  end)

  it("values keep their types: integers exact, floats, texts, blobs, booleans as 1 and 0, NULL", function()
    local function back(value) return db:value("SELECT ?", value) end
    local function kind(value) return db:value("SELECT typeof(?)", value) end
    for _, value in ipairs { math.maxinteger, math.mininteger, 0, 9007199254740993, 0.5, -0.0, math.huge, "",
      "text", "zero\0byte" } do
      assert.equal(value, back(value))
      assert.equal(math.type(value), math.type(back(value)))
    end
    assert.same({ 1, 0 }, { back(true), back(false) })
    assert.same({ "integer", "real", "text", "null", "null" },
      { kind(1), kind(1.0), kind "a", kind(nil), kind(sql.null) })
    assert.equal("blob", kind(sql.bytes "\0\255"))
    assert.equal("\0\255", back(sql.bytes "\0\255"))
    assert.equal("", back(sql.bytes ""))
    assert.equal('{"a":[1]}', back(sql.json { a = { 1 } }))
    assert.equal(1, db:value("SELECT json_extract(?, '$.a')", sql.json { a = 1 }))
  end)

  it("values that SQLite cannot hold are refused", function()
    for _, value in ipairs { 0 / 0, print, coroutine.create(print), setmetatable({}, {}), io.stdout, { {} } } do
      assert.has_error(function() db:value("SELECT ?, ?", value, 1) end)
    end
    assert.has_error(function() db:value "SELECT 1\0" end)
  end)

  it("parameters have names, or a number", function()
    assert.equal("1-b", db:value("SELECT :one || '-' || $two", { one = 1, two = "b" }))
    assert.equal(3, db:value("SELECT ?2 - ?1", 1, 4))
    assert.error_matches(function() db:value "SELECT ?" end, "the statement has 1 parameter, got 0")
    assert.error_matches(function() db:value("SELECT ?, ?", 1, 2, 3) end, "the statement has 2 parameters, got 3")
    assert.error_matches(function() db:value("SELECT :a", {}) end, "parameter :a has no value")
    assert.error_matches(function() db:value("SELECT :a", { a = 1, b = 2 }) end, "2 values for 1 named parameter")
    assert.equal(5, db:value("SELECT 5 WHERE ? IS NULL AND ? IS NULL", nil, nil))
  end)

  it("failures are returned with SQLite's name", function()
    assert(db:execute("INSERT INTO t(name) VALUES('a')"))
    assert.same({ nil, "UNIQUE constraint failed: t.name", "SQLITE_CONSTRAINT_UNIQUE" },
      table.pack(db:execute("INSERT INTO t(name) VALUES('a')"), nil) and
      { nil, select(2, db:execute("INSERT INTO t(name) VALUES('a')")) })
    assert.equal("SQLITE_ERROR", (select(3, db:row "SELEC")))
    assert.equal("SQLITE_MISUSE", (select(3, db:row "")))
    assert.equal("SQLITE_MISUSE", (select(3, db:row "SELECT 1; SELECT 2")))
    assert.equal("SQLITE_MISUSE", (select(3, db:execute "BEGIN")))
    local ok, failure = pcall(db.rows, db, "SELECT * FROM nowhere")
    assert.is_false(ok)
    assert.equal("SQLITE_ERROR", failure.code)
    assert.equal("CLOSED", (function()
      local other = assert(sqlite.open ":memory:")
      other:close()
      return (select(3, other:value "SELECT 1"))
    end)())
  end)

  it("a transaction commits what its function has done, and returns its results", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(db:transaction(function(tx, a)
      assert(tx:execute("INSERT INTO t(name) VALUES(?)", a))
      assert.equal(1, tx:value "SELECT count(*) FROM t")
      return 1, nil, 3
    end, "x")))
    assert.equal(1, count())
  end)

  it("an error, a failure that is returned and a cancellation roll it back", function()
    local function insert(tx) assert(tx:execute("INSERT INTO t(name) VALUES('x')")) end
    assert.error_matches(function()
      db:transaction(function(tx) insert(tx); error "no" end)
    end, "no")
    assert.same({ nil, "m", "C" }, { db:transaction(function(tx) insert(tx); return nil, "m", "C" end) })
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.05, db.transaction, db, function(tx)
      insert(tx)
      tx:value "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"
    end) })
    assert.equal(0, count())
    assert.equal(1, (db:execute("INSERT INTO t(name) VALUES('x')")))
  end)

  it("a transaction inside a transaction is a savepoint", function()
    assert.has_error(function() db:transaction(function() db:transaction(print) end) end)
    db:transaction(function(tx)
      assert(tx:execute("INSERT INTO t(name) VALUES('a')"))
      assert.is_false(pcall(tx.transaction, tx, function(inner)
        assert(inner:execute("INSERT INTO t(name) VALUES('b')"))
        error "no"
      end))
      assert.equal("c", tx:transaction(function(inner)
        assert(inner:execute("INSERT INTO t(name) VALUES('c')"))
        return "c"
      end))
    end)
    assert.same({ { name = "a" }, { name = "c" } }, db:all "SELECT name FROM t ORDER BY name")
  end)

  it("a query that is cancelled ends, and its connection serves again", function()
    local endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"
    for _ = 1, 5 do
      local queries = {}
      for i = 1, 4 do queries[i] = task.spawn(function() return db:value(endless) end) end
      task.sleep(0.01)
      for _, query in ipairs(queries) do query:cancel() end
      for _, query in ipairs(queries) do assert.equal("ECANCELED", (select(3, query:join()))) end
      assert.equal(0, count())
    end
  end)
end)

describe("moonlet.sqlite: transactions", function()
  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  before_each(function()
    db = assert(sqlite.open(place .. "/a.db"))
    assert(db:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n)")
  end)

  after_each(function() db:close() end)

  it("inside, a wait for anything else is an error, and rolls back", function()
    for _, wait in ipairs {
      function() task.sleep(0.001) end, function() db:value "SELECT 1" end,
      function(tx) task.no_switch(tx.value, tx, "SELECT 1") end,
      function() db:prepare("SELECT 1"):value() end,
    } do
      local ok, message = pcall(db.transaction, db, function(tx)
        assert(tx:execute("INSERT INTO t(name) VALUES('x')"))
        wait(tx)
      end)
      assert.is_false(ok)
      assert.matches("cannot wait inside", message)
    end
    assert.equal(0, db:value "SELECT count(*) FROM t")
    assert.equal(7, db:transaction(function(tx)
      return coroutine.wrap(function() return task.timeout(9, tx.value, tx, "SELECT 7") end)()
    end))
  end)

  it("does not survive its function", function()
    local kept, view, stmt
    db:transaction(function(tx)
      kept, view, stmt = tx, tx:with { null = sql.null }, tx:prepare "SELECT NULL AS a"
      assert.same({ a = sql.null }, view:row "SELECT NULL AS a")
      assert.same({}, stmt:row())
    end)
    assert.error_matches(function() kept:value "SELECT 1" end, "the transaction has ended")
    assert.error_matches(function() view:value "SELECT 1" end, "the transaction has ended")
    assert.error_matches(function() stmt:value() end, "the transaction has ended")
  end)

  it("after an error has ended it, nothing is committed alone", function()
    assert(db:execute("INSERT INTO t(name) VALUES('x')"))
    local results = { db:transaction(function(tx)
      assert.equal("SQLITE_CONSTRAINT_UNIQUE",
        (select(3, tx:execute("INSERT OR ROLLBACK INTO t(name) VALUES('x')"))))
      assert.equal("SQLITE_ABORT_ROLLBACK", (select(3, tx:execute("INSERT INTO t(name) VALUES('y')"))))
      return 1
    end) }
    assert.equal("SQLITE_ABORT_ROLLBACK", results[3])
    assert.equal(1, db:value "SELECT count(*) FROM t")
  end)

  it("writers queue, readers go on meanwhile", function()
    local order = {}
    task.group(function(group)
      for i = 1, 20 do
        group:spawn(function()
          db:transaction(function(tx)
            order[#order + 1] = i
            local n = tx:value "SELECT count(*) FROM t"
            assert(tx:execute("INSERT INTO t(name, n) VALUES(?, ?)", "n" .. i, n))
          end)
        end)
        group:spawn(function() assert(db:value "SELECT count(*) FROM t" <= 20) end)
      end
    end)
    for i = 1, 20 do assert.equal(i, order[i]) end
    assert.equal(20, db:value "SELECT count(DISTINCT n) FROM t")
  end)

  it("statements run while the rows of another are open", function()
    db:transaction(function(tx)
      for i = 1, 600 do tx:execute("INSERT INTO t(name, n) VALUES(?, ?)", "n" .. i, i) end
      local count = 0
      for row in tx:rows "SELECT id, n FROM t ORDER BY id" do
        count = count + 1
        assert.equal(1, (tx:execute("UPDATE t SET n = n + 1 WHERE id = ?", row.id)))
      end
      assert.equal(600, count)
    end)
    assert.equal(600 * 601 // 2 + 600, db:value "SELECT sum(n) FROM t")
  end)
end)

describe("moonlet.sqlite: options and rows", function()
  local place

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  it(":memory: is one connection: what would wait for itself fails", function()
    local db <close> = assert(sqlite.open ":memory:")
    assert(db:script "CREATE TABLE t(x); INSERT INTO t VALUES(1), (2)")
    for _ in db:rows "SELECT x FROM t" do
      assert.equal("EDEADLK", (select(3, db:value "SELECT 1")))
    end
    assert.equal(2, db:value "SELECT count(*) FROM t")
    for _ in db:rows "SELECT x FROM t" do break end -- luacheck: ignore
    local lost = db:rows "SELECT x FROM t"
    assert.equal(1, lost().x)
    lost = nil -- luacheck: ignore
    collectgarbage()
    assert.equal(2, db:value "SELECT count(*) FROM t")
  end)

  it("null keeps NULL, types change what a column gives", function()
    local db <close> = assert(sqlite.open(place .. "/b.db", { null = sql.null }))
    assert(db:script "CREATE TABLE t(a boolean, j JSON, n); INSERT INTO t VALUES(1, '[2]', NULL)")
    assert.same({ a = 1, j = "[2]", n = sql.null }, db:row "SELECT * FROM t")
    local typed = db:with { types = { BOOLEAN = function(v) return v ~= 0 end, JSON = require("moonlet.json").decode } }
    assert.is_true(typed:row "SELECT * FROM t".a)
    assert.equal(2, typed:all "SELECT * FROM t"[1].j[1])
    for row in typed:rows "SELECT * FROM t" do assert.is_true(row.a) end
    assert.is_true(db:prepare("SELECT a FROM t", { types = { BOOLEAN = function(v) return v ~= 0 end } }):value())
    assert.equal(1, db:value "SELECT a FROM t")
  end)

  it("a failing type function harms neither the rows nor the connection", function()
    local db <close> = assert(sqlite.open ":memory:")
    assert(db:script "CREATE TABLE t(a boolean); INSERT INTO t VALUES(1)")
    local typed = db:with { types = { BOOLEAN = function() error "bad" end } }
    for _, name in ipairs { "row", "value", "all", "rows" } do
      assert.error_matches(function() typed[name](typed, "SELECT a FROM t") end, "bad")
    end
    assert.equal(1, db:value "SELECT a FROM t")
  end)
end)
