-- moonlet.postgres: servers that only read, standbys, a failover, TLS, passwords.

local support = dofile "tests/spec/support.lua"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local postgres = require "moonlet.postgres"
local task = require "moonlet.task"
local it = postgres_server.limited(it)

local server, standby

local function with(options, fn, opts)
  local all = { host = "127.0.0.1", port = server.port, user = "tester", dbname = "postgres" }
  for name, value in pairs(options or {}) do all[name] = value end
  return postgres_server.with(assert(postgres.open(all, opts)), fn)
end

local function answers(port)
  return function()
    return with({ port = port }, function(db) return db:value "SELECT 1" end)
  end
end

local function shell(command)
  local output, status = support.shell(("cd %s && %s"):format(server.directory, command))
  if status ~= 0 then error(output, 0) end
end

local function append(name, text)
  local file <close> = assert(io.open(server.data .. "/" .. name, "a"))
  assert(file:write(text))
end

-- The server's own certificate, in files that only it reads.
local function use_tls()
  credentials.make()
  for _, ending in ipairs { "pem", "key" } do
    local from = credentials.file("good." .. ending)
    assert(os.execute(("cp %s %s/server.%s"):format(from, server.data, ending)))
    if server.prefix ~= "" then
      assert(os.execute(("chown postgres %s/server.%s"):format(server.data, ending)))
    end
  end
  assert(os.execute(("chmod 600 %s/server.key"):format(server.data)))
  append("postgresql.conf", "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n" ..
    "wal_level = replica\n")
end

-- A copy of the server that follows it.
local function start_standby()
  standby = setmetatable({ data = server.directory .. "/standby", port = support.free_port() }, { __index = server })
  shell(("%s%s/pg_basebackup -D %s -h 127.0.0.1 -p %d -U tester -R -X stream -c fast"):format(server.prefix,
    server.bin, standby.data, server.port))
  standby:start(answers(standby.port), "-c max_wal_senders=3 -c hot_standby=on -c unix_socket_directories=")
end

describe("moonlet.postgres servers", function()
  setup(function()
    server = postgres_server.new()
    use_tls()
    server:start(answers(server.port), "-c max_wal_senders=3")
    with(nil, function(db)
      assert(db:script [[CREATE TABLE t(a int); CREATE ROLE secret LOGIN PASSWORD 'se cret';
        CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on]])
    end)
  end)

  teardown(function()
    if standby then standby:stop() end
    server:remove()
    credentials.remove()
  end)

  it("that only read say 25006, and go on", function()
    with({ user = "reader" }, function(db)
      support.is_failure("25006", nil, db:execute "CREATE TABLE u(a int)")
      support.is_failure("25006", nil, db:transaction(function(tx)
        return tx:execute "CREATE TEMP SEQUENCE IF NOT EXISTS s" and tx:execute "CREATE TABLE u(a int)"
      end))
      assert.equal(1, db:value "SELECT 1")
    end)
    with({ user = "reader", target_session_attrs = "read-write" }, function(db)
      support.is_failure("08001", nil, db:value "SELECT 1")
    end)
    with({ user = "reader", target_session_attrs = "read-only" }, function(db)
      assert.equal("on", db:value "SHOW transaction_read_only")
    end)
  end)

  it("with TLS are used as sslmode says", function()
    local QUERY = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    local root = credentials.file "root.pem"
    for _, case in ipairs {
      { sslmode = "disable", used = false }, { sslmode = "prefer", used = true }, { sslmode = "require", used = true },
      { sslmode = "verify-ca", sslrootcert = root, used = true },
      { sslmode = "verify-full", sslrootcert = root, host = "other.example", hostaddr = "127.0.0.1", code = "08001" },
      { sslmode = "verify-full", sslrootcert = root, host = "good.example", hostaddr = "127.0.0.1", used = true },
      { sslmode = "verify-ca", sslrootcert = credentials.file "stranger.pem", code = "08001" },
      { sslmode = "require", host = server.directory, used = false }, -- libpq has no TLS on Unix sockets
      { sslmode = "nonsense", code = "08001" },
    } do
      local used, code = case.used, case.code
      case.used, case.code = nil, nil
      with(case, function(db)
        local value, _, why = db:value(QUERY)
        assert.same({ case, used, code }, { case, value, why })
      end)
    end
  end)

  it("with TLS carry many megabytes both ways, a pipeline, COPY and a cancellation", function()
    with({ sslmode = "require" }, function(db)
      local big = ("x"):rep(3000000)
      assert.equal(#big, db:value("SELECT length($1)", big))
      assert.equal(big, db:value("SELECT repeat('x', $1)", #big))
      task.group(function(group)
        for i = 1, 20 do group:spawn(function() assert.equal(i, db:value("SELECT $1", i)) end) end
      end)
      assert(db:script "TRUNCATE t")
      assert.equal(2, db:copy_in("COPY t FROM STDIN", "1\n2\n"))
      support.is_failure("EDEADLINE", nil, task.timeout(0.05, db.value, db, "SELECT pg_sleep(100)"))
      assert.equal(2, db:value "SELECT count(*) FROM t")
    end, { max = 2 })
  end)

  it("that ask for a password get it, and say 28P01 for another", function()
    shell("cp data/pg_hba.conf hba.saved")
    local file <close> = assert(io.open(server.data .. "/pg_hba.conf", "w"))
    assert(file:write("host all secret all scram-sha-256\n"))
    file:close()
    shell "cat hba.saved >> data/pg_hba.conf"
    with({ host = server.directory }, function(db) assert(db:value "SELECT pg_reload_conf()") end)
    local function code(password)
      return with({ user = "secret", password = password }, function(db)
        local value, _, why = db:value "SELECT 1"
        return value or why
      end)
    end
    support.eventually(function() return code "wrong" == "28P01" end)
    assert.equal(1, code "se cret")
    assert.equal("08001", code(nil))
    local url = ("postgres://secret:se%%20cret@127.0.0.1:%d/postgres"):format(server.port)
    postgres_server.with(assert(postgres.open(url)), function(db) assert.equal(1, db:value "SELECT 1") end)
  end)

  it("are chosen by what they can do; after a failover the database finds the new one", function()
    start_standby()
    local hosts = { host = "127.0.0.1,127.0.0.1", port = ("%d,%d"):format(standby.port, server.port) }
    local function port_of(attributes)
      hosts.target_session_attrs = attributes
      return with(hosts, function(db) return db:value "SELECT inet_server_port()" end)
    end
    assert.equal(server.port, port_of "read-write")
    assert.equal(server.port, port_of "primary")
    assert.equal(standby.port, port_of "standby")
    assert.equal(standby.port, port_of "prefer-standby")
    assert.equal(standby.port, port_of "any")
    hosts.target_session_attrs = "read-write"
    with(hosts, function(db)
      assert.equal(1, db:execute "INSERT INTO t VALUES (77)")
      local listener <close> = assert(db:listen "news")
      with(nil, function(first)
        local at = first:value "SELECT pg_current_wal_lsn()"
        with({ port = standby.port }, function(second)
          support.eventually(function() return second:value("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", at) end)
          support.is_failure("25006", nil, second:execute "DELETE FROM t")
        end)
      end)
      server:stop()
      assert.equal(nil, (db:value "SELECT 1"))
      with({ port = standby.port }, function(second) assert(second:value "SELECT pg_promote()") end)
      support.eventually(function() return db:execute "INSERT INTO t VALUES (78)" == 1 end)
      assert.equal(standby.port, db:value "SELECT inet_server_port()")
      assert.equal(2, db:value "SELECT count(*) FROM t WHERE a IN (77, 78)")
      assert.same({ gap = true }, listener())
      assert(db:execute "NOTIFY news, 'again'")
      assert.equal("again", listener().payload)
    end)
    assert.equal(standby.port, port_of "prefer-standby") -- there is none: any will do
  end)
end)
