-- SQLite: the largest and the oddest values, wrong arguments everywhere, and cancellations at every step.
local sql = require "moonlet.sql"
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"

describe("moonlet.sqlite: limits", function()
  local place, db

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  before_each(function()
    db = assert(sqlite.open(place .. "/a.db"))
    assert(db:script "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n)")
  end)

  after_each(function() db:close() end)

  local function code_of(_, _, code) return code end

  it("values that are larger than SQLite takes are refused, and the connection serves on", function()
    assert.equal("SQLITE_TOOBIG", code_of(db:value("SELECT length(zeroblob(?))", 1 << 40)))
    assert.equal("SQLITE_TOOBIG", code_of(db:value "SELECT zeroblob(1000000001)"))
    assert.equal(1000000000, db:value "SELECT length(zeroblob(1000000000))")
    assert.equal(3, db:value "SELECT 3")
  end)

  it("values of some megabytes go in and out, in rows of all kinds of calls", function()
    local blob = ("\0\1\2\255"):rep(2000000)
    for i = 1, 3 do assert.equal(1, (db:execute("INSERT INTO t VALUES(?, ?, ?)", i, "b" .. i, sql.bytes(blob)))) end
    assert.is_true(blob == db:value "SELECT n FROM t WHERE id = 1")
    assert.is_true(blob == db:row("SELECT n FROM t WHERE id = ?", 2).n)
    for row in db:rows "SELECT n FROM t" do assert.is_true(row.n == blob) end
    assert.equal(3, #db:all "SELECT n FROM t")
  end)

  it("integers overflow as SQLite says, and texts of numbers stay texts", function()
    assert.equal(math.maxinteger, db:value("SELECT max(?, ?)", math.maxinteger, math.mininteger))
    assert.equal("float", math.type(db:value("SELECT ? + 1", math.maxinteger)))
    assert.equal("SQLITE_ERROR", code_of(db:value("SELECT sum(x) FROM (SELECT ? AS x UNION ALL SELECT 1)",
      math.maxinteger)))
    assert.equal(2 ^ 63, db:value("SELECT ?", 2 ^ 63))
    assert.equal(math.huge, db:value "SELECT 9e999")
    assert.equal(-math.huge, db:value("SELECT ?", -math.huge))
    assert.is_nil(db:value "SELECT 9e999 - 9e999")
    assert.equal("9223372036854775808", db:value("SELECT ?", "9223372036854775808"))
    assert.equal(5e-324, db:value("SELECT ?", 5e-324))
  end)

  it("a NUL and bytes that are no UTF-8 pass as they are", function()
    for _, text in ipairs { "a\0b", "\0", "\xff\xfe", "\xc3", "é\0", ("\0"):rep(1000) } do
      assert.equal(text, db:value("SELECT ?", text))
      assert.equal(#text, db:value("SELECT length(CAST(? AS BLOB))", text))
    end
    assert.has_error(function() db:script "SELECT 1;\0" end)
    assert.has_error(function() sqlite.open "a\0b" end)
  end)

  it("columns without names, of the same name, and very many are returned", function()
    assert.same({ a = 2 }, db:row "SELECT 1 AS a, 2 AS a")
    assert.same({ ["1 + 1"] = 2 }, db:row "SELECT 1 + 1")
    local names = {}
    for i = 1, 2000 do names[i] = i .. " AS c" .. i end
    local row = db:row("SELECT " .. table.concat(names, ", "))
    assert.equal(2000, row.c2000)
    names[2001] = "1"
    assert.equal("SQLITE_ERROR", code_of(db:row("SELECT " .. table.concat(names, ", "))))
    local marks, values = ("?,"):rep(30000):sub(1, -2), {}
    for i = 1, 30000 do values[i] = i end
    assert.equal(30000, db:value("SELECT max(" .. marks:sub(1, 199) .. ", 30000)", table.unpack(values, 1, 100)))
    assert.equal(30000, db:value("SELECT count(*) FROM json_each(?)", sql.json(values)))
  end)

  it("texts of statements: blank, comments, very long, nested too deeply", function()
    for _, text in ipairs { "", " ", ";", "-- nothing", "/* nothing */" } do
      assert.equal("SQLITE_MISUSE", code_of(db:execute(text)))
      assert.is_true(db:script(text))
    end
    assert.equal(1, db:value("/* " .. ("x"):rep(100000) .. " */ SELECT 1"))
    assert.equal(1, db:value "SELECT 1; -- and no more")
    assert.equal("SQLITE_ERROR", code_of(db:value("SELECT " .. ("("):rep(5000) .. "1" .. (")"):rep(5000))))
    assert.equal(5, db:value "SELECT 5")
  end)

  it("a thousand statements, more than are kept, each return their own", function()
    for round = 1, 2 do
      for i = 1, 1000 do assert.equal(i + round, db:value(("SELECT ? + %d"):format(i), round)) end
    end
    local open = {}
    for i = 1, 3 do open[i] = db:rows(("SELECT %d AS n FROM t UNION ALL SELECT %d"):format(i, i)) end
    for i = 1, 300 do assert.equal(i, db:value("SELECT " .. i)) end
    for i = 1, 3 do
      assert.equal(i, open[i]().n)
      open[i]:close()
    end
  end)

  it("wrong arguments are raised, name the function, and break nothing", function()
    local function raises(pattern, fn, ...)
      local ok, message = pcall(fn, ...)
      assert.is_false(ok)
      assert.matches(pattern, tostring(message))
    end
    for _, name in ipairs { "execute", "row", "value", "all", "rows", "script" } do
      for _, text in ipairs { false, {}, print } do raises("string expected", db[name], db, text) end
      raises("string expected", db[name], db)
      raises("bad self", db[name], {}, "SELECT 1")
    end
    for _, name in ipairs { "prepare", "with", "transaction", "begin", "backup" } do
      raises("bad", db[name], db, 5)
      raises("bad self", db[name], {})
    end
    raises("string expected", sqlite.open)
    for _, opts in ipairs {
      5, { mode = "x" }, { mode = 1 }, { readers = 0 }, { readers = 1.5 }, { readers = "x" }, { busy_timeout = "x" },
      { synchronous = "x" }, { types = 1 }, { pragmas = { "x" } }, { pragmas = { ["a b"] = 1 } },
      { attach = { ["a'"] = "x" } }, { group_commit = 1 }, { unknown = 1 },
    } do raises("bad argument #2 to 'open'", sqlite.open, place .. "/b.db", opts) end
    local rows = db:rows "SELECT 1"
    raises("", rows.close, nil)
    for _, value in ipairs { print, coroutine.create(print), io.stdout, 0 / 0, { {} }, setmetatable({}, {}) } do
      raises("", db.execute, db, "INSERT INTO t VALUES(?, ?, ?)", 1, "x", value)
    end
    raises("", db.value, db, "SELECT :a", { [1] = 2 })
    raises("", db.value, db, "SELECT ?", {})
    assert.equal(0, db:value "SELECT count(*) FROM t")
  end)

  it("a cancellation at any step of a transaction leaves all or nothing", function()
    local INSERT = "INSERT INTO t(name, n) VALUES(?, ?)"
    for step = 0, 30 do
      local id = task.spawn(function()
        return db:transaction(function(tx)
          for i = 1, 4 do
            local name = step .. "/" .. i
            assert(tx:execute(INSERT, name, i))
            assert(tx:execute("UPDATE t SET n = n + (SELECT count(*) FROM t) * 0 WHERE name = ?", name))
            assert(tx:transaction(function(inner)
              return #inner:all("SELECT id FROM t WHERE name = ?", name) == 1
            end))
          end
          return true
        end)
      end)
      for _ = 1, step do task.yield() end
      id:cancel()
      local ok, _, code = id:join()
      local count = db:value("SELECT count(*) FROM t WHERE name LIKE ?", step .. "/%")
      assert(ok and count == 4 or code == "ECANCELED" and (count == 0 or count == 4), count)
    end
    assert.equal(1, (db:execute(INSERT, "last", 0)))
    assert.equal("ok", db:value "PRAGMA integrity_check")
  end)

  it("rows that are closed, left or cancelled anywhere leave their connection whole", function()
    assert(db:script [[INSERT INTO t(name, n)
      WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) SELECT x, x FROM c]])
    for _, stop in ipairs { 0, 1, 255, 256, 257, 512, 1999, 2000, 2001 } do
      local rows, count = db:rows "SELECT n FROM t ORDER BY n", 0
      while count < stop do
        local row = rows()
        if not row then break end
        count = count + 1
        assert.equal(count, row.n)
      end
      rows:close()
      rows:close()
      assert.is_nil(rows())
      assert.equal(math.min(stop, 2000), count)
    end
    for yields = 0, 12 do
      local reading = task.spawn(function()
        for _ in db:rows "SELECT a.n FROM t AS a, t AS b" do end
      end)
      for _ = 1, yields do task.yield() end
      reading:cancel()
      assert.equal("ECANCELED", (select(3, reading:join())))
    end
    assert.equal(2000, db:value "SELECT count(*) FROM t")
  end)

  it("a table that another connection has locked, in memory or by a reader in between, is told as such", function()
    local rows = db:rows "SELECT 1 UNION ALL SELECT 2"
    rows()
    assert.equal(0, (db:execute "CREATE TABLE u(x)"))
    rows:close()
    assert.is_nil((db:transaction(function(tx)
      for i = 1, 600 do assert(tx:execute("INSERT INTO t(name) VALUES(?)", i)) end
      local open <close> = tx:rows "SELECT name FROM t"
      open()
      local ok, message, code = tx:execute "DROP TABLE t"
      assert.is_nil(ok)
      assert.matches("locked", message)
      assert.equal("SQLITE_LOCKED", code)
      return nil, message, code
    end)))
  end)

  it("a forked child can use nothing, and harms nothing of its parent", function()
    local libc_support = dofile "tests/spec/interpose/libc_support.lua"
    local output, status = support.run(libc_support.prelude .. ([[
      local sqlite = require "moonlet.sqlite"
      local db = assert(sqlite.open(%q))
      assert(db:execute "INSERT INTO t(name, n) VALUES('parent', 1)")
      for _ = 1, 40 do assert(db:value("SELECT n FROM t WHERE name = ?", "parent")) end
      local pid = libc.plain_fork()
      if pid == 0 then
        local done = pcall(db.value, db, "SELECT n FROM t WHERE name = ?", "parent")
        local written = pcall(db.execute, db, "DELETE FROM t")
        pcall(db.close, db)
        collectgarbage()
        io.open(%q, "w"):write(tostring(done), tostring(written)):close()
        return
      end
      libc.waitpid(pid)
      local child <close> = io.open(%q)
      print(child:read "a", db:value "SELECT count(*) FROM t", db:execute "INSERT INTO t(name) VALUES('after')")
    ]]):format(place .. "/a.db", place .. "/child", place .. "/child"))
    assert.matches("falsefalse\t1\t1\t2\n$", output) -- a sanitizer may complain that the child has closed nothing
    assert.equal(0, status)
  end)
end)
