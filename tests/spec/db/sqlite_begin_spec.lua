-- SQLite: transactions without a function, `local tx <close> = db:begin()`.
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

describe("moonlet.sqlite: begin", function()
  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  before_each(function()
    db = assert(sqlite.open(place .. "/a.db", { busy_timeout = 0.1 }))
    assert(db:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n)")
  end)

  after_each(function() db:close() end)

  local function count() return db:value "SELECT count(*) FROM t" end
  local function insert(tx, name) return assert(tx:execute("INSERT INTO t(name) VALUES(?)", name)) end

  it("commit keeps what was done, rollback and the end of the block undo it", function()
    do
      local tx <close> = assert(db:begin())
      insert(tx, "a")
      assert.equal(0, count())
      assert.is_true(tx:commit())
    end
    assert.equal(1, count())
    local tx = assert(db:begin())
    insert(tx, "b")
    assert.is_true(tx:rollback())
    assert.equal(1, count())
    do
      local left <close> = assert(db:begin())
      insert(left, "c")
    end
    assert.equal(1, count())
  end)

  it("an error and a cancellation in the block roll back", function()
    assert.error_matches(function()
      local tx <close> = assert(db:begin())
      insert(tx, "a")
      error "no"
    end, "no")
    local started = require("moonlet.sync").event()
    local waits = task.spawn(function()
      local tx <close> = assert(db:begin())
      insert(tx, "b")
      started:set()
      task.sleep(100)
    end)
    started:wait()
    waits:cancel()
    assert.equal("ECANCELED", (select(3, waits:join())))
    assert.equal(0, count())
    assert.equal(1, insert(db, "c"))
  end)

  it("has ended after commit, rollback and close, also for its statements and views", function()
    for _, finish in ipairs { "commit", "rollback", "close" } do
      local tx = assert(db:begin())
      local view, statement = tx:with {}, tx:prepare "SELECT 1"
      tx[finish](tx)
      tx:close()
      for _, call in ipairs {
        function() tx:value "SELECT 1" end, function() view:value "SELECT 1" end, function() statement:value() end,
        function() tx:commit() end, function() tx:rollback() end, function() tx:transaction(print) end,
      } do assert.error_matches(call, "the transaction has ended") end
      assert.equal("sql.transaction (ended)", tostring(tx))
    end
  end)

  it("has savepoints, rows, and a commit that fails is a rollback", function()
    assert(db:script "CREATE TABLE u(t REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)")
    local tx <close> = assert(db:begin())
    insert(tx, "a")
    assert.same({ nil, "no", "X" }, { tx:transaction(function(inner)
      insert(inner, "b")
      return nil, "no", "X"
    end) })
    for row in tx:rows "SELECT name FROM t" do assert.equal("a", row.name) end
    assert(tx:execute "INSERT INTO u VALUES(77)")
    assert.equal("SQLITE_CONSTRAINT_FOREIGNKEY", (select(3, tx:commit())))
    assert.error_matches(function() tx:value "SELECT 1" end, "the transaction has ended")
    assert.equal(0, count())
    assert.equal(1, insert(db, "c"))
  end)

  it("keeps other writers out until it ends; the task itself is told so", function()
    local tx = assert(db:begin())
    assert.error_matches(function() db:begin() end, "inside a transaction of this database")
    assert.error_matches(function() db:transaction(print) end, "inside a transaction of this database")
    assert.equal("EDEADLK", (select(3, db:execute "DELETE FROM t")))
    local done = false
    local other = task.spawn(function()
      insert(db, "other")
      done = true
    end)
    for _ = 1, 20 do task.yield() end
    assert.is_false(done)
    insert(tx, "mine")
    assert.is_true(tx:commit())
    assert(other:join())
    assert.equal(2, count())
  end)

  it("that the script has lost lets the next writer write", function()
    local function lose(which)
      local tx = assert(which:begin())
      assert(tx:execute "INSERT INTO t(name) VALUES('lost')")
    end
    local memory <close> = assert(sqlite.open ":memory:")
    assert(memory:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)")
    for _, which in ipairs { db, memory } do
      task.spawn(lose, which):join()
      collectgarbage()
      collectgarbage()
      assert.equal(1, (which:execute "INSERT INTO t(name) VALUES('next')"))
      assert.equal("next", which:value "SELECT group_concat(name) FROM t")
    end
  end)

  it("tells a writer elsewhere as busy, a closed database, and wrong arguments", function()
    local other <close> = assert(sqlite.open(place .. "/a.db"))
    local tx = assert(other:begin())
    assert.equal("SQLITE_BUSY", (select(3, db:begin())))
    tx:rollback()
    assert(db:begin()):close()
    assert.error_matches(function() db:begin(1) end, "bad argument #1 to 'begin'")
    assert.error_matches(function() db.begin() end, "bad self")
    assert.error_matches(function()
      db:transaction(function(inner) inner:commit() end)
    end, "ends with its function")
    assert.error_matches(function() tx.commit {} end, "bad self")
    assert.error_matches(function() tx.close {} end, "bad self")
    db:close()
    assert.equal("CLOSED", (select(3, db:begin())))
  end)

  it("whose database is closed meanwhile can still be committed", function()
    local tx <close> = assert(db:begin())
    insert(tx, "a")
    db:close()
    assert.is_true(tx:commit())
    local again <close> = assert(sqlite.open(place .. "/a.db"))
    assert.equal(1, again:value "SELECT count(*) FROM t")
  end)
end)
