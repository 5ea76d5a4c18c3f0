-- SQLite: statements of several tasks that share a commit.
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

describe("moonlet.sqlite: group commit", function()
  local INSERT = "INSERT INTO t(name, n) VALUES(?, ?)"

  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  before_each(function()
    db = assert(sqlite.open(place .. "/a.db", { group_commit = true }))
    assert(db:script [[CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n);
      CREATE TABLE child(t REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)]])
    assert(db:execute(INSERT, "first", 0)) -- it is known to write now
    assert(db:execute(INSERT, "second", 0))
    assert(db:execute "DELETE FROM t WHERE id = 2")
  end)

  after_each(function() db:close() end)

  -- Counts commits by what they append to the log of the file.
  local function commits(fn)
    local before = db:value "PRAGMA data_version"
    local other <close> = assert(sqlite.open(place .. "/a.db"))
    local seen, last = 0, other:value "PRAGMA data_version"
    local done = false
    local watcher = task.spawn(function()
      while not done do
        local now = other:value "PRAGMA data_version"
        if now ~= last then seen, last = seen + 1, now end
      end
    end)
    fn()
    done = true
    watcher:join()
    assert(before)
    return seen
  end

  local function in_tasks(count, fn)
    return task.group(function(group)
      for i = 1, count do group:spawn(fn, i) end
    end)
  end

  it("each task has its own result, in the order in which they came", function()
    local ids = {}
    in_tasks(200, function(i)
      local count, id = db:execute(INSERT, "n" .. i, i)
      assert.equal(1, count)
      ids[i] = id
    end)
    for i = 2, 200 do assert(ids[i] > ids[i - 1]) end
    assert.equal(201, db:value "SELECT count(*) FROM t")
    assert.same({ n = 7 }, db:row "UPDATE t SET n = n WHERE name = 'n7' RETURNING n")
  end)

  it("many share a commit", function()
    assert(commits(function()
      in_tasks(100, function(i) assert(db:execute(INSERT, "n" .. i, i)) end)
    end) < 50)
  end)

  it("one that fails undoes no other", function()
    local failures = 0
    in_tasks(60, function(i)
      local name = i % 3 == 0 and "same" or "n" .. i
      local ok, message, code = db:execute(INSERT, name, i)
      if not ok then
        failures = failures + 1
        assert.equal("SQLITE_CONSTRAINT_UNIQUE", code)
        assert.matches("UNIQUE", message)
      end
    end)
    assert.equal(19, failures)
    assert.equal(42, db:value "SELECT count(*) FROM t")
  end)

  it("one that rolls back all, or cannot be committed, fails alone", function()
    assert(db:execute("INSERT INTO child(t) VALUES(?)", 1))
    assert(db:execute("INSERT OR ROLLBACK INTO t(name, n) VALUES(?, ?)", "second", 2))
    local codes = {}
    in_tasks(40, function(i)
      local _, code
      if i == 5 then
        _, _, code = db:execute("INSERT OR ROLLBACK INTO t(name, n) VALUES(?, ?)", "first", 2)
      elseif i == 30 then
        _, _, code = db:execute("INSERT INTO child(t) VALUES(?)", 999)
      else
        assert.equal(1, (db:execute(INSERT, "n" .. i, i)))
      end
      codes[i] = code
    end)
    assert.equal("SQLITE_CONSTRAINT_UNIQUE", codes[5])
    assert.equal("SQLITE_CONSTRAINT_FOREIGNKEY", codes[30])
    assert.equal(40, db:value "SELECT count(*) FROM t")
    assert.equal(1, db:value "SELECT count(*) FROM child")
  end)

  it("an error is raised in the task whose statement it is", function()
    local raised = {}
    in_tasks(10, function(i)
      local ok, message
      if i == 4 then ok, message = pcall(db.execute, db, INSERT, "only one")
      else ok, message = pcall(db.execute, db, INSERT, "n" .. i, i) end
      raised[i] = not ok and message
    end)
    for i = 1, 10 do
      assert.equal(i == 4, raised[i] and raised[i]:find("the statement has 2 parameters, got 1", 1, true) ~= nil)
    end
  end)

  it("a cancelled task, the leading one too, spoils no other", function()
    for cancelled = 1, 20 do
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = task.spawn(function() return assert(db:execute(INSERT, cancelled .. "/" .. i, i)) end)
      end
      for _ = 1, cancelled % 5 do task.yield() end
      tasks[cancelled]:cancel()
      for i = 1, 20 do
        local ok, _, code = tasks[i]:join()
        assert(i == cancelled and code == "ECANCELED" or ok)
      end
      local count = db:value("SELECT count(*) FROM t WHERE name LIKE ?", cancelled .. "/%")
      assert(count == 19 or count == 20)
      assert.equal(0, db:value("SELECT count(*) FROM t WHERE name LIKE ? AND id IS NULL", "%"))
    end
  end)

  it("transactions go between, and a task inside one is told that it waits for itself", function()
    in_tasks(60, function(i)
      if i % 10 == 0 then
        assert(db:transaction(function(tx)
          local count = tx:value "SELECT count(*) FROM t"
          assert(tx:execute(INSERT, "n" .. i, i))
          return tx:value "SELECT count(*) FROM t" == count + 1
        end))
      else
        assert(db:execute(INSERT, "n" .. i, i))
      end
    end)
    assert.equal(61, db:value "SELECT count(*) FROM t")
    local tx <close> = assert(db:begin())
    local other = task.spawn(function() return db:execute(INSERT, "waits", 1) end)
    task.yield()
    assert.equal("EDEADLK", (select(3, db:execute(INSERT, "a", 1))))
    assert.is_true(tx:rollback())
    assert.same({ true, 1 }, { table.unpack({ other:join() }, 1, 2) })
  end)

  it("a closed database is told to all", function()
    local codes = {}
    db:close()
    in_tasks(3, function(i) codes[i] = select(3, db:execute(INSERT, "a", i)) end)
    assert.same({ "CLOSED", "CLOSED", "CLOSED" }, codes)
  end)
end)
