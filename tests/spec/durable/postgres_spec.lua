--- Durable runs on PostgreSQL, against a server of the test's own.

local durable = require "moonlet.durable"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = postgres_server.limited(it)

local server

local function address()
  return ("postgres://tester@127.0.0.1:%d/postgres"):format(server.port)
end

local function is_ready()
  local db <close> = assert(require("moonlet.postgres").open(address()))
  return db:value "SELECT 1"
end

local function open(opts) return assert(durable.open(address(), opts)) end

-- Serves in a task of its own, until it is closed.
local function serve(d)
  local serving = task.spawn({ daemon = true }, d.serve, d)
  return setmetatable({}, { __close = function()
    d:stop(0)
    assert(serving:join(20))
  end })
end

describe("durable runs on PostgreSQL", function()
  setup(function()
    server = postgres_server.new()
    server:start(is_ready)
  end)
  teardown(function() server:remove() end)

  it("are only looked for with `create = false`", function()
    local d, message, code = durable.open(address(), { create = false })
    assert.same({ "the database has no durable runs", "ENOENT" }, { message, code })
    assert.is_nil(d)
    open():close()
    local found <close> = assert(durable.open(address(), { create = false }))
    assert.same({}, found:list())
  end)

  it("do all that they can on SQLite", function()
    local d <close> = open()
    d.db:execute "CREATE TABLE IF NOT EXISTS book (n INTEGER)"
    local calls = 0
    d:workflow("child", function(_, x) return x * 2 end)
    d:workflow("all", { hold = 0.2 }, function(ctx, input)
      local a = ctx:step("one", { check = true }, function(x) calls = calls + 1 return x, nil, "\0\255" end, input)
      local n = ctx:transaction("tx", function(tx)
        tx:execute("INSERT INTO book VALUES ($1)", 7)
        return tx:value "SELECT count(*) FROM book"
      end)
      local again = ctx:step("twice", { retry = { attempts = 2, backoff = 0.01 } }, function()
        return ctx.attempt == 2 and "second" or nil, "no", "ENO"
      end)
      ctx:sleep("nap", 0.5)
      local list = ctx:map("m", { 1, 2, 3 }, function(c, i) return c:step("s", function() return i end) end)
      return a, n, again, list[3], ctx:receive("t"), ctx:await "e", ctx:child("child", 21),
        ctx:receive("never", 0.05)
    end)
    local serving <close> = serve(d)
    local r = assert(d:start("all", 41, { id = "all" }))
    assert.equal("all", assert(d:start("all", 41, { id = "all" })).id)
    task.sleep(0.4)
    assert.is_true(d:send("all", "t", { x = "\0" }))
    assert.is_true(d:emit("e", 5))
    local results = table.pack(r:result(60))
    assert.same({ 41, 1, "second", 3, { x = "\0" }, 5, 42, nil, "timeout", "ETIMEDOUT" },
      { table.unpack(results, 1, 10) })
    assert.equal(1, calls)
    assert.equal("done", d:get("all").status)
    assert.is_true(#d:list { workflow = "all" } == 1)
    assert(d:fork("all", "tx"))
    assert.equal(2, d:prune(0)) -- and the child
    assert.is_nil(d:get "all")
  end)

  it("keep the limits of queues between workers, and lose none", function()
    local d <close> = open()
    local other <close> = open()
    local now, most, count = 0, 0, 0
    for _, one in ipairs { d, other } do
      one:queue("q", { concurrency = 3, per_key = 2 })
      one:workflow("w", function(ctx)
        ctx:step("s", function()
          now, count = now + 1, count + 1
          most = math.max(most, now)
          task.sleep(0.005)
          now = now - 1
        end)
      end)
    end
    local first <close> = serve(d)
    local second <close> = serve(other)
    local runs = {}
    for i = 1, 40 do runs[i] = assert(d:start("w", i, { queue = "q", key = "k" .. i % 3 })) end
    for i = 1, 40 do runs[i]:result(60) end
    assert.equal(40, count)
    assert(most <= 3, most)
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs WHERE queue = 'q' AND epoch <> 1")
  end)

  it("are cancelled, fail, are retried, and leave a lost worker", function()
    local d <close> = open { lease = 0.6 }
    local works = false
    d:workflow("f", function(ctx)
      return ctx:step("s", { retry = false }, function()
        if not works then error("broken", 0) end
        return "fixed"
      end)
    end)
    d:workflow("long", function(ctx)
      ctx:cleanup(function(c) c:step("undo", function() end) end)
      ctx:sleep("long", 60)
    end)
    assert(d.db:execute "INSERT INTO moonlet_workers VALUES ('gone', 0, 1)")
    local lost = assert(d:start("f"))
    d.db:execute("UPDATE moonlet_runs SET status = 'running', worker = 'gone', epoch = 1 WHERE id = $1", lost.id)
    local serving <close> = serve(d)
    assert.same({ n = 3, nil, "broken", "EFAILED" }, table.pack(lost:result(60)))
    works = true
    assert.is_true(d:retry(lost.id))
    assert.equal("fixed", lost:result(60))
    local long = assert(d:start "long")
    support.eventually(function() return d:get(long.id).steps[1] end)
    assert.is_true(d:cancel(long.id, "enough"))
    assert.same({ n = 3, nil, "enough", "ECANCELED" }, table.pack(long:result(60)))
  end)

  it("go on when the server was stopped and started again, and when connections are cut", function()
    local d <close> = open { lease = 30 }
    local log = {}
    d:workflow("w", function(ctx)
      for i = 1, 20 do
        ctx:step("s", function() log[#log + 1] = i task.sleep(0.01) end)
        ctx:transaction("t", { retry = { attempts = 200, backoff = { 0.05, 0.2 } } }, function(tx)
          return tx:execute("INSERT INTO book VALUES ($1)", 1000 + i)
        end)
      end
      return "end"
    end)
    local serving <close> = serve(d)
    local r = assert(d:start("w"))
    support.eventually(function() return log[3] end)
    d.db:value "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    support.eventually(function() return log[6] end)
    server:stop()
    server:start(is_ready)
    support.eventually(function() return r:result(5) == "end" end)
    assert.equal(20, d.db:value "SELECT count(*) FROM book WHERE n > 1000")
    assert.equal(20, d.db:value "SELECT count(DISTINCT n) FROM book WHERE n > 1000")
  end)
end)
