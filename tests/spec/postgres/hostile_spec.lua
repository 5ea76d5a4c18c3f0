-- moonlet.postgres: connections cut at any byte, restarts under load, storms, very large and very odd values.

local support = dofile "tests/spec/support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local net = require "moonlet.net"
local postgres = require "moonlet.postgres"
local sql = require "moonlet.sql"
local task = require "moonlet.task"
local it = postgres_server.limited(it)

local server

local function where(more)
  local options = { host = server.directory, port = server.port, user = "tester", dbname = "postgres" }
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

local function with(opts, fn, more)
  return postgres_server.with(assert(postgres.open(where(more), opts)), fn)
end

local function answers()
  return with(nil, function(db) return db:value "SELECT 1" end)
end

-- A proxy that cuts a connection after so many bytes of one side, on the way to the other.
local function cutter()
  local cut = { side = "client", after = math.huge }
  local listener = assert(net.listen("127.0.0.1", 0))
  local function copy(from, to, side)
    local left = cut.side == side and cut.after or math.huge
    for piece in from:chunks() do
      if not to:write(piece:sub(1, left < #piece and left or #piece)) then break end
      left = left - #piece
      if left <= 0 then break end
    end
  end
  task.spawn({ daemon = true }, listener.serve, listener, { on_error = function() end }, function(conn)
    local there <close> = assert(net.connect("unix:" .. server.directory .. "/.s.PGSQL." .. server.port))
    task.race {
      function() copy(conn, there, "client") end,
      function() copy(there, conn, "server") end,
    }
    conn:close()
  end)
  cut.port = listener:address().port
  return setmetatable(cut, { __close = function() listener:stop(0) end })
end

describe("moonlet.postgres in trouble", function()
  setup(function()
    server = postgres_server.new()
    server:start(answers)
    with(nil, function(db) assert(db:script "CREATE TABLE t (a int PRIMARY KEY, b text)") end)
  end)

  teardown(function() server:remove() end)

  it("cut after any number of bytes, a session fails by code, and what was told to be done is done", function()
    local cut <close> = cutter()
    local done, failed = 0, 0
    local function session(db, id)
      assert(db:execute("INSERT INTO t VALUES ($1, 'plain')", id))
      local ok, message, code = db:transaction(function(tx)
        local count, why, which = tx:execute("UPDATE t SET b = 'changed' WHERE a = $1", id)
        if not count then return nil, why, which end
        return tx:value("SELECT b FROM t WHERE a = $1", id)
      end)
      if not ok then return nil, message, code end
      for row in db:rows "SELECT generate_series(1, 3) AS g" do assert(row.g) end
      return db:copy_in("COPY t FROM STDIN", ("%d\tcopied\n"):format(id + 1))
    end
    with({ max = 1 }, function(direct)
      for round, side in ipairs { "client", "server" } do
        for after = 1, 1500, side == "client" and 97 or 149 do
          cut.side, cut.after = side, after
          local id = round * 100000 + after * 10
          local ok, result, code
          with({ max = 1, timeout = 5 }, function(db)
            local results = table.pack(pcall(session, db, id))
            ok, result, code = results[1], results[2], results[4]
          end, { host = "127.0.0.1", port = cut.port })
          if ok and result then
            done = done + 1
            assert.equal(2, direct:value("SELECT count(*) FROM t WHERE a IN ($1, $2)", id, id + 1))
          else
            failed = failed + 1
            assert(not ok or type(code) == "string")
          end
        end
      end
      assert.equal(0, direct:value "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock'")
    end)
    assert(failed > 10 and done > 1, ("%d %d"):format(failed, done))
  end)

  it("a restart under load: failures by code, none is lost that was told to be done, the rate comes back", function()
    with({ max = 4 }, function(db)
      assert(db:script "CREATE TABLE seen (id int PRIMARY KEY)")
      local acknowledged, stop, codes, next_id = {}, false, {}, 0
      local load = {}
      for i = 1, 16 do
        load[i] = task.spawn(function()
          while not stop do
            next_id = next_id + 1
            local id = next_id
            local ok, _, code = db:execute("INSERT INTO seen VALUES ($1)", id)
            if ok then acknowledged[#acknowledged + 1] = id
            else
              codes[code] = true
              task.sleep(0.01)
            end
          end
        end)
      end
      support.eventually(function() return #acknowledged > 100 end)
      server:stop()
      support.eventually(function() return next(codes) end)
      server:start(answers)
      local before = #acknowledged
      support.eventually(function() return #acknowledged > before + 100 end)
      stop = true
      for i = 1, 16 do support.finish(load[i]) end
      for code in pairs(codes) do assert.matches("^[05][78][P0]", code) end
      assert.equal(#acknowledged, db:value("SELECT count(*) FROM seen WHERE id = ANY($1)", sql.array(acknowledged)))
    end)
  end)

  it("a storm of notifications is heard whole, while the server sends more than a socket holds", function()
    with({ max = 2 }, function(db)
      local listener <close> = assert(db:listen "storm")
      local payload = ("p"):rep(1000)
      assert(db:value("SELECT count(pg_notify('storm', g || $1)) FROM generate_series(1, 5000) g", payload))
      for i = 1, 5000 do
        local n = assert(listener:next(support.patience))
        if n.payload ~= i .. payload then error(n.payload) end
      end
      support.is_failure("ETIMEDOUT", nil, listener:next(0))
      for _ = 1, 3 do assert(db:execute "LISTEN storm") end -- on connections that nobody reads notifications of
      for i = 1, 100 do assert(db:execute("SELECT pg_notify('storm', $1)", tostring(i))) end
    end)
  end)

  it("a thousand prepared statements, more than are kept, each give their own", function()
    with({ max = 1, statements = 50 }, function(db)
      for round = 1, 3 do
        for i = 1, 300 do assert.equal(i + round, db:value(("SELECT $1::int + %d"):format(i), round)) end
      end
      assert(db:value "SELECT count(*) FROM pg_prepared_statements" <= 52)
    end)
    with({ max = 1 }, function(db)
      local statements = {}
      for i = 1, 1000 do
        statements[i] = db:prepare(("SELECT $1::int * %d"):format(i))
      end
      for i = 1, 1000 do assert.equal(2 * i, statements[i]:value(2)) end
      for i = 1000, 600, -1 do assert.equal(3 * i, statements[i]:value(3)) end
      assert(db:value "SELECT count(*) FROM pg_prepared_statements" <= 258)
    end)
  end)

  it("values of a hundred megabytes go both ways; what is larger is refused", function()
    with({ max = 1 }, function(db)
      local big = ("0123456789abcdef"):rep(1 << 19) -- 8 MB
      assert.equal(#big * 13, #db:value("SELECT repeat($1, 13)", big))
      assert.equal(#big * 6, db:value("SELECT octet_length($1)", sql.bytes(big:rep(6))))
      support.is_failure("54000", nil, db:value "SELECT length(repeat('x', 2000000000))")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("numbers, dates and intervals at their limits come as the server writes them", function()
    with({ max = 1 }, function(db)
      for text, expected in pairs {
        ["9223372036854775807::int8"] = math.maxinteger, ["(-9223372036854775808)::int8"] = math.mininteger,
        ["(-32768)::int2"] = -32768, ["4294967295::oid"] = 4294967295, ["'Infinity'::float8"] = math.huge,
        ["'-Infinity'::float4"] = -math.huge, ["1e308::float8"] = 1e308, ["5e-324::float8"] = 5e-324,
        ["'NaN'::numeric"] = "NaN", ["'infinity'::timestamp"] = "infinity", ["'-infinity'::date"] = "-infinity",
        ["'4713-01-01 BC'::date"] = "4713-01-01 BC", ["'5874897-12-31'::date"] = "5874897-12-31",
        ["'24:00'::time"] = "24:00:00", ["'178000000 years'::interval"] = "178000000 years",
        ["0.00::numeric"] = "0.00", ["''::bytea"] = "", ["'\\x00ff'::bytea"] = "\0\xff", ["'null'::json"] = sql.null,
        ["'{}'::int[]"] = {}, ["'[1e400]'::json"] = "[1e400]",
      } do assert.same({ expected }, { db:value("SELECT " .. text) }) end
      local nan = db:value "SELECT 'NaN'::float8"
      assert(nan ~= nan)
      assert.equal(131072, #db:value "SELECT (1 || repeat('0', 131071))::numeric")
      support.is_failure("22003", nil, db:value("SELECT $1::int2", 32768))
      support.is_failure("22003", nil, db:value "SELECT 2147483647 + 1")
      support.is_failure("22008", nil, db:value "SELECT '2000-02-30'::date")
      assert.equal("-0.0", tostring(db:value "SELECT '-0'::float8"))
      assert.equal(2 ^ 53 + 1.0, db:value("SELECT $1::float8", 2 ^ 53 + 1.0))
      assert.equal(math.maxinteger, db:value("SELECT $1::int8", math.maxinteger))
    end)
  end)

  -- jackc/pgx 1494, amphp/postgres 21, m6w6/ext-pq 34, sunng87/pgwire 357, DavyJonesLocker/pg_array_parser 5.
  it("arrays with NULL as a text, empty ones, empty texts, backslashes and quotes come as they are", function()
    with({ max = 1 }, function(db)
      for _, list in ipairs {
        { "NULL", " NULL ", "null" }, { "" }, { "", "" }, { "\\", "\"", "\\\"", "{", "}", ",", " ", "\t\n" },
        { sql.null, "a", sql.null }, { "{1,2}", "[0:1]={1,2}" },
      } do
        assert.same(list, db:value("SELECT $1::text[]", sql.array(list)))
        assert.equal(#list, db:value("SELECT cardinality($1::text[])", sql.array(list)))
      end
      assert.same({}, db:value "SELECT '{}'::text[]")
      assert.same({ { "a", "NULL" }, { "", sql.null } }, db:value [[SELECT '{{a,"NULL"},{"",NULL}}'::text[] ]])
      assert.same({ 1, 2 }, db:value "SELECT '[-1:0]={1,2}'::int[]")
    end)
  end)

  -- porsager/postgres 1199: a pool of one never recovered.
  it("a transaction whose backend is terminated under a query gives its place to the next one", function()
    with({ max = 1 }, function(db)
      local tx = assert(db:begin())
      local pid = tx:value "SELECT pg_backend_pid()"
      local sleeping = task.spawn(function() return tx:value "SELECT pg_sleep(100)" end)
      with(nil, function(other)
        support.eventually(function() return other:value("SELECT pg_terminate_backend($1)", pid) end)
      end)
      local _, _, _, code = sleeping:join(support.patience)
      assert.equal("57P01", code)
      tx:close()
      assert.equal(1, db:value "SELECT 1")
      assert.same({ connections = 1, free = 1 }, db:stats())
    end)
  end)

  it("copies that are cancelled in the middle, in and out, leave nothing and give the connection back", function()
    with({ max = 1 }, function(db)
      assert(db:script "CREATE TABLE c (a int)")
      for _, yields in ipairs { 0, 2, 5 } do
        local copying = task.spawn(function()
          return db:copy_in("COPY c FROM STDIN", function() return ("1\n"):rep(5000) end)
        end)
        local reading = task.spawn(function()
          for line in db:copy_out "COPY (SELECT generate_series(1, 10000000)) TO STDOUT" do assert(line) end
        end)
        for _ = 1, yields * 3 do task.yield() end
        copying:cancel()
        support.is_failure("ECANCELED", nil, (function(_, ...) return nil, ... end)(copying:join(support.patience)))
        for _ = 1, yields * 3 do task.yield() end
        reading:cancel()
        support.is_failure("ECANCELED", nil, (function(_, ...) return nil, ... end)(reading:join(support.patience)))
      end
      assert.equal(0, db:value "SELECT count(*) FROM c")
      assert.same({ connections = 1, free = 1 }, db:stats())
    end)
  end)

  it("a forked child that inherits a connection can use nothing, and ends nothing of its parent", function()
    local libc_support = dofile "tests/spec/interpose/libc_support.lua"
    local output, status = support.run(libc_support.prelude .. ([[
      local postgres = require "moonlet.postgres"
      local db = assert(postgres.open({ host = %q, port = %d, user = "tester", dbname = "postgres" }, { max = 1 }))
      local listener = assert(db:listen "children")
      local pid = db:value "SELECT pg_backend_pid()"
      local child = libc.plain_fork()
      if child == 0 then
        pcall(db.value, db, "SELECT pg_terminate_backend(pg_backend_pid())")
        listener:close()
        db:close()
        db = nil
        collectgarbage()
        return
      end
      libc.waitpid(child)
      db:execute "NOTIFY children, 'alive'"
      print(db:value "SELECT pg_backend_pid()" == pid, listener:next(10).payload)
    ]]):format(server.directory, server.port))
    assert.matches("true\talive\n$", output)
    assert.equal(0, status)
  end)
end)
