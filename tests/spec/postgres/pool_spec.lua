-- moonlet.postgres: the pool, pipelines, cancellation, servers that stop, restart and fail over, and hostile ones.

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

-- How many queries like this the server runs.
local function running(db, like)
  return db:value([[SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1
    AND pid <> pg_backend_pid()]], like)
end

local function kill_backends(db)
  return db:value [[SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()]]
end

-- A proxy in front of the server. alter(conn, there): takes over the copying for a connection.
local function proxy(alter)
  local listener = assert(net.listen("127.0.0.1", 0))
  task.spawn({ daemon = true }, listener.serve, listener, { on_error = function() end }, function(conn)
    local there <close> = assert(net.connect("unix:" .. server.directory .. "/.s.PGSQL." .. server.port))
    alter(conn, there)
  end)
  return setmetatable({ port = listener:address().port }, { __close = function() listener:stop(0) end })
end

-- Copies until one side ends, or check(text) of what the server says returns true.
local function copy_both(conn, there, check)
  local back = task.spawn({ quiet = true }, function()
    for piece in there:chunks() do
      if check and check(piece, "server") then break end
      if not conn:write(piece) then break end
    end
    conn:close()
    there:close()
  end)
  pcall(function()
    for piece in conn:chunks() do
      if check and check(piece, "client") then break end
      if not there:write(piece) then break end
    end
  end)
  conn:close()
  there:close()
  back:join()
end

describe("moonlet.postgres connections", function()
  setup(function()
    server = postgres_server.new()
    server:start(answers)
  end)

  teardown(function() server:remove() end)

  it("are opened when needed, up to max, and serve one task after the other", function()
    with({ max = 3 }, function(db)
      assert.same({ connections = 0, free = 0 }, db:stats())
      task.group(function(g)
        for _ = 1, 12 do g:spawn(function() db:value "SELECT pg_sleep(0.02)" end) end
      end)
      assert.same({ connections = 3, free = 3 }, db:stats())
    end)
  end)

  it("carry the reads of many tasks at once when all are busy, each with its own answer", function()
    with({ max = 1 }, function(db)
      local done = 0
      task.group(function(g)
        for i = 1, 500 do
          g:spawn(function()
            if i % 7 == 0 then
              assert.equal("22012", (select(3, db:value("SELECT 1 / ($1 - $1)", i))))
            else
              assert.same({ i = i, text = tostring(i):rep(i) }, db:row("SELECT $1 AS i, repeat($2, $3) AS text", i,
                tostring(i), i))
            end
            done = done + 1
          end)
        end
      end)
      assert.equal(500, done)
      assert.same({ connections = 1, free = 1 }, db:stats())
    end)
  end)

  it("are shared by no query with pipeline=false, nor by one that writes or waits", function()
    with({ max = 2, pipeline = false }, function(db)
      task.group(function(g)
        for i = 1, 50 do g:spawn(function() assert.equal(i, db:value("SELECT $1", i)) end) end
      end)
    end)
    with({ max = 2 }, function(db)
      db:script "CREATE TABLE p (a int)"
      task.group(function(g)
        for i = 1, 50 do g:spawn(function() assert.equal(1, db:execute("INSERT INTO p VALUES ($1)", i)) end) end
        for _ = 1, 50 do g:spawn(function() assert.is_true(db:value "SELECT count(*) FROM p" <= 50) end) end
      end)
      assert.equal(50, db:value "SELECT count(*) FROM p")
    end)
  end)

  it("say EDEADLK to a task that has all of them in use", function()
    with({ max = 1 }, function(db)
      db:transaction(function()
        support.is_failure("EDEADLK", nil, db:value "SELECT 1")
      end)
      local rows <close> = db:rows "SELECT generate_series(1, 3)"
      rows()
      support.is_failure("EDEADLK", nil, db:value "SELECT 1")
      rows:close()
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("of a cancelled query: the server cancels it, and they serve the next one", function()
    with({ max = 2 }, function(db)
      local pid = db:value "SELECT pg_backend_pid()"
      for _ = 1, 10 do
        support.is_failure("EDEADLINE", nil, task.timeout(0.05, db.value, db, "SELECT pg_sleep(1000)"))
      end
      support.eventually(function() return running(db, "SELECT pg_sleep(1000)") == 0 end)
      local pids = {}
      for _ = 1, 3 do pids[db:value "SELECT pg_backend_pid()"] = true end
      assert.is_true(pids[pid] or next(pids) ~= nil)
      assert.is_true(db:stats().connections <= 2)
    end)
  end)

  it("cancel one reader and spare those behind it", function()
    with({ max = 1 }, function(db)
      db:value "SELECT 1"
      local slow = "SELECT count(*) FROM generate_series(1, 100000000)"
      local answered = 0
      task.group(function(g)
        local victim = g:spawn(function() task.timeout(0.2, db.value, db, slow) end)
        for i = 1, 20 do
          g:spawn(function()
            assert.equal(i, db:value("SELECT $1", i))
            answered = answered + 1
          end)
        end
        assert(victim)
      end)
      assert.equal(20, answered)
    end)
  end)

  it("end when the database is closed, also under a query", function()
    local db = assert(postgres.open(where(), { max = 2 }))
    db:value "SELECT 1"
    local waiting = support.parked(task.spawn({ quiet = true }, function() return db:value "SELECT pg_sleep(0.2)" end))
    db:close()
    db:close()
    local _, value = waiting:join(support.patience)
    assert.equal("", value)
    support.is_failure("CLOSED", nil, db:value "SELECT 1")
    support.is_failure("CLOSED", nil, db:transaction(function() end))
    support.is_failure("CLOSED", nil, db:copy_in("COPY x FROM STDIN", ""))
    assert.equal("CLOSED", select(2, pcall(db.rows, db, "SELECT 1")).code)
    assert.same({ connections = 0, free = 0 }, db:stats())
    assert.truthy(tostring(db):find "closed")
  end)

  it("that were killed while idle are replaced, those killed in a query fail with its SQLSTATE", function()
    with({ max = 4 }, function(db)
      local other <close> = assert(postgres.open(where(), { max = 1 }))
      task.group(function(g) for _ = 1, 4 do g:spawn(function() db:value "SELECT pg_sleep(0.05)" end) end end)
      kill_backends(other)
      task.sleep(0.05)
      for _ = 1, 8 do assert.equal(1, db:value "SELECT 1") end
      local waiting = task.spawn({ quiet = true }, function() return db:value "SELECT pg_sleep(20)" end)
      support.eventually(function() return running(other, "SELECT pg_sleep(20)") == 1 end)
      kill_backends(other)
      local _, value, message, code = waiting:join(support.patience)
      assert.same({ nil, "57P01" }, { value, code })
      assert.truthy(message:find "terminating")
      assert.equal(1, db:value "SELECT 1")
    end)
  end)

  it("come back after a restart of the server", function()
    with({ max = 3 }, function(db)
      task.group(function(g) for _ = 1, 3 do g:spawn(function() db:value "SELECT pg_sleep(0.05)" end) end end)
      server:stop()
      local value, message, code = db:value "SELECT 1"
      assert.equal(nil, value)
      assert.truthy(code:find "^08", message)
      server:start(answers)
      for _ = 1, 6 do assert.equal(1, db:value "SELECT 1") end
    end)
  end)

  it("tell why there is none: no server, no user, no database, no host, a wrong password, too many", function()
    local function fails(code, more, opts)
      with(opts, function(db) support.is_failure(code, nil, db:value "SELECT 1") end, more)
    end
    fails("08001", { port = support.free_port() })
    fails("08001", { host = "127.0.0.1", port = support.free_port() })
    fails("08001", { host = "/nowhere" })
    fails("28000", { user = "nobody" })
    fails("3D000", { dbname = "nowhere" })
    fails("ENOTFOUND", { host = "nowhere.invalid" })
    fails("08001", { target_session_attrs = "standby" })
    support.is_failure("EURL", nil, postgres.open "postgres://[")
    support.is_failure("EURL", nil, postgres.open "nonsense=1")
    local held = {}
    local code
    for i = 1, 110 do -- max_connections is 100
      held[i] = assert(postgres.open(where(), { max = 1 }))
      local value, _
      value, _, code = held[i]:value "SELECT 1"
      if not value then break end
    end
    assert.equal("53300", code)
    for _, db in ipairs(held) do db:close() end
    support.eventually(answers)
    with(nil, function(db)
      db:script "CREATE ROLE guest LOGIN PASSWORD 'right'"
      local hba = server.data .. "/pg_hba.conf"
      local text = assert(support.read_file(hba))
      local file <close> = assert(io.open(hba, "w"))
      file:write("host all guest 127.0.0.1/32 scram-sha-256\n", text)
      file:close()
      db:value "SELECT pg_reload_conf()"
      local guest = { host = "127.0.0.1", user = "guest", password = "wrong" }
      support.eventually(function()
        return with(nil, function(other) return select(3, other:value "SELECT 1") == "28P01" end, guest)
      end)
      guest.password = "right"
      assert.equal("guest", with(nil, function(other) return other:value "SELECT current_user" end, guest))
    end)
  end)

  it("go to the first of several hosts that answers, and names of hosts are looked up", function()
    local port = support.free_port()
    local hosts = ("127.0.0.1,nowhere.invalid,localhost"):format()
    with(nil, function(db)
      assert.equal(1, db:value "SELECT 1")
    end, { host = hosts, port = ("%d,%d,%d"):format(port, port, server.port) })
    with(nil, function(db)
      support.is_failure("08001", nil, db:value "SELECT 1")
    end, { host = "127.0.0.1,127.0.0.1", port = port })
    local url = ("postgres://tester@localhost:%d/postgres?application_name=mine"):format(server.port)
    local db <close> = assert(postgres.open(url))
    assert.equal("mine", db:value "SHOW application_name")
    assert.equal("UTF8", db:value "SHOW client_encoding")
  end)

  it("to a server that is silent take as long as the option says, and can be cancelled", function()
    local silent <close> = proxy(function(conn) conn:read_all() end)
    local more = { host = "127.0.0.1", port = silent.port }
    with({ timeout = 0.1 }, function(db) support.is_failure("ETIMEDOUT", nil, db:value "SELECT 1") end, more)
    with({ max = 1 }, function(db)
      support.is_failure("EDEADLINE", nil, task.timeout(0.1, db.value, db, "SELECT 1"))
      assert.same({ connections = 0, free = 0 }, db:stats())
    end, more)
  end)

  it("work when bytes come one by one, in both directions", function()
    local slow <close> = proxy(function(conn, there)
      local function trickle(from, to)
        for piece in from:chunks() do
          for i = 1, #piece do if not to:write(piece:sub(i, i)) then return end end
        end
      end
      task.race { function() trickle(conn, there) end, function() trickle(there, conn) end }
      conn:close()
    end)
    with({ max = 1 }, function(db)
      for i = 1, 3 do assert.equal(i, db:value("SELECT $1", i)) end
      assert.same({ 1, sql.null }, db:value "SELECT ARRAY[1, NULL]")
      local n = 0
      for row in db:rows "SELECT generate_series(1, 50) AS g" do n = n + row.g end
      assert.equal(1275, n)
    end, { host = "127.0.0.1", port = slow.port })
  end)

  it("cut at any byte of an answer give a failure, and the next query a new connection", function()
    local cut, seen = 0, 0
    local cutting <close> = proxy(function(conn, there)
      copy_both(conn, there, function(piece, from)
        if from ~= "server" then return false end
        if seen + #piece < cut then
          seen = seen + #piece
          return false
        end
        conn:write(piece:sub(1, cut - seen))
        return true
      end)
    end)
    local failures, successes = 0, 0
    for at = 1, 600, 13 do
      cut, seen = at, 0
      with({ max = 1 }, function(db)
        local value, message, code = db:value "SELECT 'the answer'"
        if value then
          assert.equal("the answer", value)
          successes = successes + 1
        else
          failures = failures + 1
          assert.truthy(code:find "^08", message)
        end
      end, { host = "127.0.0.1", port = cutting.port })
    end
    assert.is_true(failures > 20 and successes >= 1, failures .. " " .. successes)
  end)

  it("cut between COMMIT and its answer say 08007: the transaction was committed all the same", function()
    local is_cutting, said = false, "" -- what the server says may come byte by byte
    local cutting <close> = proxy(function(conn, there)
      copy_both(conn, there, function(piece, from)
        if not is_cutting or from ~= "server" then return false end
        said = said .. piece
        return said:find("COMMIT", 1, true)
      end)
    end)
    with({ max = 1 }, function(db)
      db:script "CREATE TABLE committed (a int)"
      is_cutting = true
      support.is_failure("08007", "not known whether", db:transaction(function(tx)
        return tx:execute "INSERT INTO committed VALUES (1)"
      end))
      is_cutting = false
      assert.equal(1, db:value "SELECT count(*) FROM committed")
    end, { host = "127.0.0.1", port = cutting.port })
  end)

  it("to what is no PostgreSQL give a failure", function()
    for _, text in ipairs { "", "HTTP/1.1 400 Bad Request\r\n\r\n", ("\0"):rep(100), ("E"):rep(100000),
      "R\0\0\0\8\0\0\0\0Z\0\0\0\5I", "R\0\0\0\8\0\0\0\0Z\0\0\0\5IT\xff\xff\xff\xffxxxx", } do
      local liar <close> = proxy(function(conn)
        conn:read_some()
        conn:write(text)
        conn:finish(1)
      end)
      with({ timeout = 5 }, function(db)
        local value, _, code = db:value "SELECT 1"
        assert.equal(nil, value)
        assert.equal("string", type(code))
      end, { host = "127.0.0.1", port = liar.port, sslmode = "disable" })
    end
  end)

  it("are not spoilt by a child that the program forks", function()
    local output = support.run(([[
      local postgres = require "moonlet.postgres"
      local db = assert(postgres.open({ host = %q, port = %d, user = "tester", dbname = "postgres" }, { max = 1 }))
      local pid = db:value "SELECT pg_backend_pid()"
      os.execute "true"
      local pipe = io.popen "echo child"
      pipe:read "a"
      pipe:close()
      print(db:value "SELECT pg_backend_pid()" == pid)
    ]]):format(server.directory, server.port))
    assert.equal("true\n", output)
  end)

  it("left open at the end of the program, or lost to the collector, harm nothing", function()
    local output, status = support.run(([[
      local postgres, task = require "moonlet.postgres", require "moonlet.task"
      local db = assert(postgres.open({ host = %q, port = %d, user = "tester", dbname = "postgres" }))
      task.spawn({ daemon = true }, function() db:value "SELECT pg_sleep(100)" end)
      task.spawn({ daemon = true }, function() for _ in db:listen "x" do end end)
      rows = db:rows "SELECT generate_series(1, 100000)"
      rows()
      print(db:value "SELECT 1")
    ]]):format(server.directory, server.port))
    assert.same({ "1\n", 0 }, { output, status })
  end)
end)
