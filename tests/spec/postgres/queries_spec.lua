-- moonlet.postgres, against a server of the test's own: parameters, results, errors, prepared statements.

local support = dofile "tests/spec/support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local json = require "moonlet.json"
local postgres = require "moonlet.postgres"
local sql = require "moonlet.sql"
local it = postgres_server.limited(it)

local server

local function open(opts)
  local where = { host = server.directory, port = server.port, user = "tester", dbname = "postgres" }
  return assert(postgres.open(where, opts))
end

-- Calls fn with a database that is closed afterwards.
local function with(opts, fn)
  local db <close> = open(opts)
  return fn(db)
end

describe("moonlet.postgres queries", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      return with(nil, function(db) return db:value "SELECT 1" end)
    end)
  end)

  teardown(function() server:remove() end)

  it("gives back each parameter as it was, as its own type", function()
    with(nil, function(db)
      for _ = 1, 3 do -- unnamed, then prepared, then known
        for _, value in ipairs {
          0, 1, -1, 2147483647, -2147483648, 2147483648, -2147483649, math.maxinteger, math.mininteger,
          0.5, -0.0, 1e300, 5e-324, 1 / 3, 3.0, math.huge, -math.huge, true, false, "", "text", "it's", "ä€𝄞",
          "\\x00", "{1,2}", ("x"):rep(100000),
        } do
          local got = db:value("SELECT $1", value)
          assert.equal(value, got)
          assert.equal(math.type(value), math.type(got))
        end
        assert.equal("-0.0", tostring(db:value("SELECT $1", -0.0)))
        local nan = db:value("SELECT $1", 0 / 0)
        assert.is_true(nan ~= nan)
        assert.equal(nil, db:value("SELECT $1", nil))
        assert.equal(nil, db:value("SELECT $1", sql.null))
      end
    end)
  end)

  it("returns one value, without nils behind it", function()
    with(nil, function(db)
      assert.equal(1, select("#", db:value "SELECT 1"))
      assert.equal(1, select("#", db:row "SELECT 1 AS a"))
      assert.equal(1, select("#", db:execute "SELECT 1"))
      assert.equal(1, select("#", db:transaction(function(tx) return tx:value "SELECT 1" end)))
    end)
  end)

  it("passes binary strings, JSON and arrays", function()
    with(nil, function(db)
      local bytes = {}
      for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
      bytes = table.concat(bytes)
      for _, output in ipairs { "hex", "escape" } do
        db:transaction(function(tx)
          tx:execute("SET LOCAL bytea_output = " .. output)
          assert.equal(bytes, tx:value("SELECT $1", sql.bytes(bytes)))
          assert.equal("", tx:value("SELECT $1", sql.bytes "")) ---@diagnostic disable-line
          assert.equal("\\", tx:value("SELECT $1", sql.bytes "\\"))
          assert.equal(bytes, tx:value("SELECT ARRAY[$1::bytea]", sql.bytes(bytes))[1])
        end)
      end
      assert.equal(256, db:value("SELECT length($1)", sql.bytes(bytes)))
      local value = db:value("SELECT $1", sql.json { a = { 1, 2.5, json.null, "x" }, b = 9007199254740993 })
      assert.equal(9007199254740993, value.b)
      assert.equal(json.null, value.a[3])
      assert.equal("x", db:value([[SELECT $1 -> 'k' ->> 0]], sql.json { k = { "x" } }))
      assert.same({ 1, sql.null, 3 }, db:value("SELECT $1::int[]", sql.array { 1, sql.null, 3 }))
      local odd = { "", "NULL", "null", 'a"b', "a\\b", "{}", "a,b", " x ", "'", "ä", sql.null }
      assert.same(odd, db:value("SELECT $1::text[]", sql.array(odd)))
      assert.same({ { 1, 2 }, { 3, 4 } }, db:value("SELECT $1::int[]", sql.array { { 1, 2 }, { 3, 4 } }))
      assert.same({ 2 ^ 31 | 0, 1 }, db:value("SELECT $1", sql.array { 2 ^ 31 | 0, 1 }))
      assert.same({ 1.5, 2.0 }, db:value("SELECT $1", sql.array { 1.5, 2 }))
      assert.same({ true, false, sql.null }, db:value("SELECT $1", sql.array { true, false, sql.null }))
      assert.same({ "\0\1" }, db:value("SELECT $1::bytea[]", sql.array { sql.bytes "\0\1" }))
      assert.same({}, db:value("SELECT $1::int[]", sql.array {}))
      assert.equal(2, db:value("SELECT count(*) FROM unnest($1) x WHERE x = ANY($2)", sql.array { 1, 2, 3 },
        sql.array { 1, 3 }))
      assert.equal(true, db:value([[SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid = ANY($1)]],
        sql.array { "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" }))
    end)
  end)

  it("reads each type of the server as the contract says", function()
    with(nil, function(db)
      local row = db:row [[SELECT 1::int2 AS i2, 2::int4 AS i4, 9223372036854775807 AS i8, 1.5::float4 AS f4,
        1e100::float8 AS f8, 12345678901234567890.10::numeric AS n, '2024-02-29'::date AS d,
        '2024-02-29 12:34:56.789'::timestamp AS ts, interval '1 day 2 hours' AS iv,
        'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS u, true AS t, 'x'::char(3) AS c, 'name'::name AS nm,
        '{"a": [1, null]}'::json AS j, '[0:1]={7,8}'::int[] AS b, ARRAY['2024-02-29'::date, NULL] AS ds,
        NULL AS nothing, 'NaN'::float8 AS nan, '-Infinity'::float8 AS low, 4294967295::oid AS o,
        '192.168.0.1'::inet AS ip]]
      assert.same({ 1, 2, math.maxinteger, 1.5, 1e100 }, { row.i2, row.i4, row.i8, row.f4, row.f8 })
      assert.same({ "12345678901234567890.10", "2024-02-29", "2024-02-29 12:34:56.789", "1 day 02:00:00" },
        { row.n, row.d, row.ts, row.iv })
      assert.same({ "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true, "x  ", "name", "192.168.0.1" },
        { row.u, row.t, row.c, row.nm, row.ip })
      assert.same({ { 7, 8 }, { "2024-02-29", sql.null }, 4294967295 }, { row.b, row.ds, row.o })
      assert.equal(json.null, row.j.a[2])
      assert.equal(nil, row.nothing)
      assert.is_true(row.nan ~= row.nan and row.low == -math.huge)
    end)
  end)

  it("keeps NULL columns with the option null, and reads types by functions", function()
    with({ null = sql.null }, function(db)
      assert.equal(sql.null, db:row("SELECT NULL AS a").a)
      assert.equal(sql.null, db:value "SELECT NULL")
      assert.equal(nil, (db:value "SELECT 1 WHERE false"))
    end)
    with(nil, function(db) db:script "CREATE TYPE mood AS ENUM ('sad', 'happy')" end)
    local types = { numeric = tonumber, mood = string.upper, [20] = function(text) return "big " .. text end }
    with({ types = types }, function(db)
      assert.same({ 1.5, "HAPPY", "big 7", 3 },
        db:value "SELECT 1" and { db:value "SELECT 1.5", db:value "SELECT 'happy'::mood", db:value "SELECT 7::int8",
          db:value "SELECT 3" })
      assert.same({ 1.5, 2.5 }, db:value "SELECT ARRAY[1.5, 2.5]")
    end)
    with({ types = { numeric = error } }, function(db)
      assert.has_error(function() db:value "SELECT 1.5" end, "1.5")
      assert.equal(1, db:value "SELECT 1")
    end)
    with({ types = { no_such = print } }, function(db)
      support.is_failure("42704", nil, db:value "SELECT 1")
    end)
  end)

  it("returns rows changed, the first row, all rows, and nothing where there is nothing", function()
    with(nil, function(db)
      assert.equal(0, db:execute "CREATE TABLE counted (a int PRIMARY KEY, b text)")
      assert.equal(3, db:execute "INSERT INTO counted VALUES (1, 'x'), (2, NULL), (3, 'z')")
      assert.equal(2, db:execute("UPDATE counted SET b = $1 WHERE a > $2", "y", 1))
      assert.same({ { a = 1, b = "x" }, { a = 2, b = "y" }, { a = 3, b = "y" } },
        db:all "SELECT * FROM counted ORDER BY a")
      assert.same({}, db:all "SELECT * FROM counted WHERE a > 9")
      assert.same({}, db:all "DELETE FROM counted WHERE a > 9")
      assert.equal(nil, (db:row "SELECT * FROM counted WHERE a > 9"))
      assert.equal(0, select("#", table.unpack(db:all "")))
      assert.same({ a = 3 }, db:row "DELETE FROM counted WHERE a = 3 RETURNING a")
      assert.equal(1, db:execute "DELETE FROM counted WHERE a = 1")
    end)
  end)

  it("returns what the server says of an error: message, SQLSTATE and details", function()
    with(nil, function(db)
      db:script "CREATE TABLE strict (a int CONSTRAINT positive CHECK (a > 0), b int NOT NULL, UNIQUE (a))"
      local value, message, code, details = db:execute "INSERT INTO strict VALUES (0, 1)"
      assert.same({ "23514", "positive", "strict", "public", "ERROR" },
        { code, details.constraint, details.table, details.schema, details.severity })
      assert.equal(nil, value)
      assert.truthy(message:find 'violates check constraint "positive"' and not message:find "\n")
      code, details = select(3, db:execute "INSERT INTO strict VALUES (1, NULL)")
      assert.same({ "23502", "b" }, { code, details.column })
      db:execute "INSERT INTO strict VALUES (1, 1)"
      code, details = select(3, db:execute "INSERT INTO strict VALUES (1, 1)")
      assert.same({ "23505", "Key (a)=(1) already exists." }, { code, details.detail })
      code, details = select(3, db:value "SELECT nowhere FROM strict")
      assert.same({ "42703", 8 }, { code, details.position })
      for _, case in ipairs {
        { "42601", "SELEC 1" }, { "22012", "SELECT 1/0" }, { "42P01", "SELECT * FROM nowhere" },
        { "42601", "SELECT 1; SELECT 2" }, { "P0001", "DO $$ BEGIN RAISE 'x'; END $$" },
        { "22003", "SELECT 40000::int2" },
      } do
        assert.equal(case[1], (select(3, db:execute(table.unpack(case, 2)))))
      end
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("refuses a zero byte in a text, and takes it in bytes; invalid UTF-8 is the server's to refuse", function()
    with(nil, function(db)
      for _ = 1, 3 do
        support.is_failure("22021", "parameter 2", db:value("SELECT $1::text || $2::text", "a", "b\0c"))
        support.is_failure("22021", nil, db:value("SELECT $1::text", "\xff\xfe"))
      end
      assert.equal(1, db:value "SELECT 1")
      db:transaction(function(tx)
        support.is_failure("22021", nil, tx:value("SELECT $1", "\0"))
        assert.equal(1, tx:value "SELECT 1")
        assert.equal(false, tx:value "SELECT now() = clock_timestamp()")
      end)
    end)
  end)

  -- Its second run would have prepared it; the third one asked for a statement that the server had never seen.
  it("refuses a zero byte each time, and the next value is taken", function()
    with({ max = 1 }, function(db)
      db:transaction(function(tx)
        for _ = 1, 4 do
          local _, message, code = tx:value("SELECT $1::text", "a\0b")
          assert.equal("22021", code, message)
        end
        assert.equal("c", tx:value("SELECT $1::text", "c"))
      end)
    end)
  end)

  -- libpq took the part before it.
  it("raises for a zero byte in the text of a command, and runs nothing", function()
    with({ max = 1 }, function(db)
      for _, call in ipairs { "execute", "row", "value", "all", "rows", "script", "copy_in", "copy_out", "listen" } do
        for _ = 1, 3 do
          assert.error_matches(function() assert(db[call](db, "SELECT 1/0\0 AS a")) end, "zero byte")
        end
      end
      assert.error_matches(function()
        db:transaction(function(tx) tx:execute "SELECT 1\0" end)
      end, "zero byte")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("raises for what is no parameter, naming it", function()
    with(nil, function(db)
      for _, case in ipairs { {}, { 1 }, print, coroutine.create(print), io.stdout } do
        local ok, message = pcall(db.value, db, "SELECT $2", 1, case)
        assert.is_false(ok)
        assert.truthy(message:find("parameter 2 is a " .. type(case), 1, true), message)
      end
      assert.has_error(function() db:value("SELECT $1", sql.array { 1, print }) end)
      assert.has_error(function() db:value("SELECT $1", sql.array { { { { { { { 1 } } } } } } }) end)
      local cycle = {}
      cycle[1] = cycle
      assert.has_error(function() db:value("SELECT $1", sql.array(cycle)) end)
      for _, name in ipairs { "execute", "row", "value", "all", "rows", "script", "prepare", "copy_in", "copy_out" } do
        assert.has_error(function() db[name](db) end,
          ("bad argument #1 to '%s' (string expected, got nil)"):format(name))
      end
      assert.has_error(function() db.value("SELECT 1") end)
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("takes 65,535 parameters, and raises for more", function()
    with({ max = 1 }, function(db)
      local places, values = {}, {}
      for i = 1, 65536 do places[i], values[i] = ("$%d::int"):format(i), i end
      local text = "SELECT array_length(ARRAY[%s], 1)"
      assert.equal(65535, db:value(text:format(table.concat(places, ",", 1, 65535)), table.unpack(values, 1, 65535)))
      assert.error_matches(function() db:value(text:format(table.concat(places, ",")), table.unpack(values)) end,
        "65,535 parameters")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("takes many parameters and many columns", function()
    with(nil, function(db)
      local names, values = {}, {}
      for i = 1, 1000 do names[i], values[i] = ("$%d::int + 0 AS c%d"):format(i, i), i end
      local text = "SELECT " .. table.concat(names, ", ")
      for _ = 1, 3 do
        local row = db:row(text, table.unpack(values))
        assert.same({ 1, 1000 }, { row.c1, row.c1000 })
      end
    end)
  end)

  it("reads and writes values of many megabytes", function()
    with({ max = 1 }, function(db)
      local text = ("0123456789abcdef"):rep(1 << 19)
      assert.equal(text, db:value("SELECT $1", text))
      assert.equal(text, db:value("SELECT $1", sql.bytes(text)))
      assert.equal(#text * 2, db:value("SELECT length($1 || $1)", text))
    end)
  end)

  it("prepares a text at its second run, the least used go first, and DISCARD is noticed", function()
    with({ max = 1, statements = 3 }, function(db)
      local function prepared()
        return db:value "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'moonlet%'"
      end
      for _, text in ipairs { "SELECT $1 + 1", "SELECT $1 + 2", "SELECT $1 + 3", "SELECT $1 + 4" } do
        for i = 1, 3 do db:value(text, i) end
        assert.is_true(prepared() <= 4)
      end
      for i = 1, 3 do assert.equal(i + 1, db:value("SELECT $1 + 1", i)) end
      assert.equal(0, db:execute "DISCARD ALL")
      for i = 1, 3 do assert.equal(i + 1, db:value("SELECT $1 + 1", i)) end
      db:script "DISCARD ALL"
      for i = 1, 3 do assert.equal(i + 1, db:value("SELECT $1 + 1", i)) end
      db:execute "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"
      for i = 1, 3 do assert.equal(i + 1, db:value("SELECT $1 + 1", i)) end
    end)
    with({ max = 1, prepare = false }, function(db)
      for i = 1, 3 do assert.equal(i, db:value("SELECT $1", i)) end
      assert.equal(0, db:value "SELECT count(*) FROM pg_prepared_statements")
    end)
  end)

  it("makes a statement anew when its table has changed", function()
    with({ max = 1 }, function(db)
      db:script "CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)"
      for _ = 1, 3 do assert.same({ a = 1 }, db:row "SELECT * FROM changing") end
      db:script "ALTER TABLE changing ADD b text DEFAULT 'new'"
      for _ = 1, 3 do assert.same({ a = 1, b = "new" }, db:row "SELECT * FROM changing") end
      db:script "ALTER TABLE changing ALTER a TYPE text USING 'text'"
      for _ = 1, 3 do assert.same({ a = "text", b = "new" }, db:row "SELECT * FROM changing") end
    end)
  end)

  it("has the same text with values of other types, also where the first was NULL", function()
    with({ max = 1 }, function(db)
      for _ = 1, 3 do
        assert.equal(nil, db:value("SELECT $1", nil))
        assert.equal("x", db:value("SELECT $1", "x"))
        assert.equal(1, db:value("SELECT $1", 1))
        assert.equal(1.5, db:value("SELECT $1", 1.5))
        assert.equal(nil, db:value("SELECT $1", nil))
        assert.equal(1 << 40, db:value("SELECT $1", 1 << 40))
      end
      db:script "CREATE TABLE loose (a int, b text, c float8, d bool)"
      for i = 0, 15 do
        assert.equal(1, db:execute("INSERT INTO loose VALUES ($1, $2, $3, $4)", i & 1 > 0 and 1 or nil,
          i & 2 > 0 and "x" or nil, i & 4 > 0 and 0.5 or nil, i & 8 > 0 or nil))
      end
      assert.equal(8, db:value "SELECT count(a) FROM loose")
      assert.equal(8, db:value "SELECT count(d) FROM loose")
    end)
  end)

  it("prepares a statement object at its first use", function()
    with({ max = 1 }, function(db)
      local add = db:prepare "SELECT $1 + $2 AS sum"
      assert.equal(3, add:value(1, 2))
      assert.equal(1, db:value "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%AS sum'")
      assert.same({ sum = 5 }, add:row(2, 3))
      assert.same({ { sum = 7 } }, add:all(3, 4))
      assert.equal(1, add:execute(3, 4))
      for row in add:rows(4, 5) do assert.equal(9, row.sum) end
    end)
  end)

  it("refuses COPY and says how it is done", function()
    with({ max = 1 }, function(db)
      support.is_failure("0A000", "copy_in or copy_out", db:execute "COPY pg_class TO STDOUT")
      support.is_failure("0A000", "copy_in or copy_out", db:script "COPY pg_class TO STDOUT")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("calls on_notice, and bounds what a flood of notices keeps", function()
    local texts = {}
    with({ max = 1, on_notice = function(text) texts[#texts + 1] = text end }, function(db)
      db:execute "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$"
      assert.same({ "NOTICE:  one", "WARNING:  two" }, texts)
      db:execute "DO $$ BEGIN FOR i IN 1..20000 LOOP RAISE NOTICE 'number %', i; END LOOP; END $$"
      assert.is_true(#texts < 10000)
      assert.truthy(texts[#texts]:find "^%d+ more notices$")
    end)
    with({ max = 1 }, function(db)
      db:execute "DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE 'number %', i; END LOOP; END $$"
    end)
  end)

  it("runs several commands as a script; a failure undoes all", function()
    with({ max = 1 }, function(db)
      assert.equal(true, db:script "CREATE TABLE s (a int); INSERT INTO s VALUES (1), (2); SELECT * FROM s")
      assert.equal(2, db:value "SELECT count(*) FROM s")
      support.is_failure("22012", nil, db:script "INSERT INTO s VALUES (3); SELECT 1/0; INSERT INTO s VALUES (4)")
      assert.equal(2, db:value "SELECT count(*) FROM s")
      assert.equal(true, db:script "")
      assert.equal(true, db:script "BEGIN; INSERT INTO s VALUES (3)") -- and no COMMIT: such a connection goes
      assert.equal(2, db:value "SELECT count(*) FROM s")
    end)
  end)
end)
