--- Several workers, in this process and in others: each run at one of them at a time, none lost.

local durable = require "moonlet.durable"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local plain_it = it
local it = support.limited(plain_it)

-- A worker in a process of its own: DATABASE and its log; ends when the file DATABASE.stop is there.
local WORKER = [[
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local path, name = "%s", "%s"
local d = assert(durable.open(path, { lease = %s, recoveries = 1000 }))
local log = assert(io.open(path .. "." .. name, "a"))
log:setvbuf "line"
d:workflow("slow", function(ctx)
  local _ <close> = setmetatable({}, { __close = function() log:write("closed\n") end })
  ctx:step("begin", function() log:write("begun\n") end)
  ctx:step("long", function() task.sleep(name == "stopped" and 60 or 0) end)
  ctx:transaction("end", function(tx) tx:execute("INSERT INTO done VALUES (1, ?)", name) end)
  log:write("ended\n")
  return name
end)
local serving = task.spawn(d.serve, d)
log:write("ready\n")
while not io.open(path .. ".stop") do task.sleep(0.02) end
d:stop(1)
serving:join()
]]

local function start_worker(path, name, lease)
  local command, script = support.command(WORKER:format(path, name, lease or 1))
  local process = support.start(command)
  return setmetatable({ pid = process.pid, log = path .. "." .. name }, { __close = function()
    os.execute(("kill -CONT %d 2>/dev/null; kill -KILL %d 2>/dev/null"):format(process.pid, process.pid))
    os.remove(script)
    os.remove(path .. "." .. name)
  end })
end

describe("two processes", function()
  it("take over from one that stands still beyond its lease; it then writes nothing", function()
    local path <close> = own.path()
    local d <close> = assert(durable.open(path.path))
    assert(d.db:execute "CREATE TABLE done (i INTEGER, worker TEXT)")
    local first <close> = start_worker(path.path, "stopped", 0.6)
    own.wait_for_text(first.log, "ready")
    local r = assert(d:start("slow"))
    own.wait_for_text(first.log, "begun")
    repeat -- not in the middle of a write, which would keep all others from writing
      os.execute("kill -STOP " .. first.pid)
      local can_write = d.db:transaction(function(tx) return tx:execute "DELETE FROM done" end)
      if not can_write then os.execute("kill -CONT " .. first.pid) end
    until can_write
    local second <close> = start_worker(path.path, "second", 0.6)
    assert.equal("second", r:result(support.patience))
    os.execute("kill -CONT " .. first.pid)
    own.wait_for_text(first.log, "closed") -- it notices, and its variables are closed
    assert.is_nil(support.read_file(first.log):find "ended")
    assert.equal("second", d.db:value "SELECT worker FROM done")
    assert.equal(1, d.db:value "SELECT count(*) FROM done")
    os.execute("kill -KILL " .. second.pid)
  end)
end)

describe("a worker that has lost a run", function()
  -- Another worker claims the run while a step or transaction of it runs here.
  local function lose(call)
    local path <close> = own.path()
    local d <close> = assert(durable.open(path.path, { lease = 60 }))
    assert(d.db:execute "CREATE TABLE book (n INTEGER)")
    local began, go, raised = false, false, nil
    d:workflow("w", function(ctx)
      local _, err = pcall(call, ctx, function()
        began = true
        while not go do task.sleep(0.001) end
      end)
      raised = err
      ctx:step("more", function() raised = "ran" end)
    end)
    local serving = task.spawn(d.serve, d)
    local r = assert(d:start("w"))
    support.eventually(function() return began end)
    assert(d.db:execute "UPDATE moonlet_runs SET epoch = epoch + 1, worker = 'other'")
    go = true
    support.eventually(function() return raised end)
    d:stop(0)
    serving:join()
    local row = d:get(r.id)
    assert.same({}, row.steps)
    assert.equal("running", row.status)
    assert.equal("other", row.worker)
    assert.equal(0, d.db:value "SELECT count(*) FROM book")
    return raised
  end

  it("remembers no step of it, and runs no further one", function()
    assert.equal("ESUSPENDED", lose(function(ctx, wait) ctx:step("s", wait) end).code)
  end)

  it("commits no transaction of it", function()
    local path <close> = own.path()
    local d <close> = assert(durable.open(path.path, { lease = 60 }))
    assert(d.db:execute "CREATE TABLE book (n INTEGER)")
    local tries = 0
    d:workflow("w", function(ctx)
      ctx:transaction("t", function(tx)
        tries = tries + 1
        tx:execute "INSERT INTO book VALUES (1)"
        tx:execute "UPDATE moonlet_runs SET epoch = epoch + 1" -- as another worker would, just before the commit
      end)
    end)
    local serving = task.spawn(d.serve, d)
    local r = assert(d:start("w"))
    support.eventually(function() return tries == 1 end)
    support.eventually(function() return d.worker.count == 0 end)
    assert.equal(0, d.db:value "SELECT count(*) FROM book")
    assert.same({}, d:get(r.id).steps)
    d:stop(0)
    serving:join()
  end)
end)

describe("a worker that is stopped", function()
  it("claims nothing more, lets runs end that can, and gives back the others at once", function()
    local path <close> = own.path()
    local d = assert(durable.open(path.path, { lease = 60 }))
    local log = {}
    d:workflow("short", function(ctx) ctx:step("s", function() task.sleep(0.1) end) return "ended" end)
    d:workflow("long", function(ctx)
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      ctx:step("before", function() log[#log + 1] = "before" end)
      local ok = task.pcall(ctx.step, ctx, "long", function() log[#log + 1] = "long" task.sleep(60) end)
      if not ok then log[#log + 1] = select(2, task.pcall(ctx.step, ctx, "caught", print)) and "raised" end
    end)
    local serving = task.spawn(d.serve, d)
    local short, long = assert(d:start("short")), assert(d:start("long"))
    support.eventually(function() return log[2] == "long" end)
    d:stop(1)
    assert.is_true(serving:join(20))
    assert.equal("ended", short:result(1))
    assert.equal("queued", d:get(long.id).status)
    assert.same({ "before", "long", "raised", "closed" }, log)
    local keys = {}
    for i, s in ipairs(d:get(long.id).steps) do keys[i] = s.key end
    assert.same({ "before" }, keys)
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_workers")
    serving = task.spawn(d.serve, d)
    support.eventually(function() return #log == 5 end)
    assert.equal("long", log[5])
    d:stop(0)
    serving:join()
    d:close()
  end)

  it("by cancelling its task gives back its runs, too", function()
    local path <close> = own.path()
    local d <close> = assert(durable.open(path.path, { lease = 60 }))
    d:workflow("long", function(ctx) ctx:sleep("long", 60) end)
    local serving = task.spawn(d.serve, d)
    local r = assert(d:start("long"))
    support.eventually(function() return d:get(r.id).status == "running" end)
    serving:cancel()
    serving:join()
    assert.equal("queued", d:get(r.id).status)
  end)
end)

describe("a worker that is cancelled at any moment of a claim", function()
  -- Cancels a new worker after `wait`; then it is gone, and so are its claims.
  local function cancel_after(d, wait)
    local serving = task.spawn(d.serve, d)
    wait(serving)
    serving:cancel()
    assert.equal("ECANCELED", select(3, serving:join()))
    assert.is_nil(d.worker)
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs WHERE status = 'running'")
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_workers")
  end

  local function open(path)
    local d = assert(durable.open(path, { lease = 60 }))
    d:workflow("w", function(ctx) ctx:sleep("x", 60) end)
    return d
  end

  it("leaves no run behind that nobody has", function()
    local path <close> = own.path()
    local d <close> = open(path.path)
    for i = 1, 12 do
      for j = 1, 5 do assert(d:start("w", nil, { id = i .. "." .. j })) end
      cancel_after(d, function() for _ = 1, i do task.sleep(0.001) end end)
      cancel_after(d, function() for _ = 1, i do task.yield() end end) -- as it enters, too
    end
  end)

  it("gives back at once what it has claimed and what has not begun", function()
    local path <close> = own.path()
    local d <close> = open(path.path)
    for i = 1, 5 do assert(d:start("w", nil, { id = "run" .. i })) end
    local begun, observe = 0, d.observe_claim
    cancel_after(d, function(serving)
      function d:observe_claim(...)
        begun = begun + 1
        serving:cancel()
        return observe(self, ...)
      end
      serving:join()
    end)
    assert.equal(5, begun)
  end)
end)

own.on_both(_ENV, "a run", function(place, engine)
  local it = engine == "SQLite" and it or postgres_server.limited(plain_it) -- luacheck: ignore 431

  -- Runs a workflow until it sleeps, then goes on with other code.
  local function changed(before, after, opts, opts_after)
    local path <close> = place()
    local d = assert(durable.open(path.path))
    d:workflow("w", opts or {}, before)
    local serving = task.spawn(d.serve, d)
    local r = assert(d:start("w"))
    support.eventually(function()
      for _, s in ipairs(d:get(r.id).steps) do if s.kind == "sleep" then return true end end
    end)
    d:stop(0)
    serving:join()
    d:close()
    local served <close> = own.serve(path.path, function(new) new:workflow("w", opts_after or opts or {}, after) end)
    local run = served.d:get(r.id)
    assert.is_truthy(run)
    local handle = assert(served.d:start("w", nil, { id = r.id }))
    local results = table.pack(handle:result(opts_after and 1 or 20))
    return results, served.d:get(r.id)
  end

  local log
  local function step(ctx, name) return ctx:step(name, function() log[#log + 1] = name return name end) end
  local function before(ctx)
    step(ctx, "a")
    step(ctx, "b")
    ctx:sleep("nap", 0.3)
    step(ctx, "c")
    return "old"
  end

  it("goes on when steps were added, removed and renamed: those without a record run", function()
    log = {}
    local results = changed(before, function(ctx)
      step(ctx, "new")
      step(ctx, "b")
      ctx:sleep("nap", 0.3)
      step(ctx, "c2")
      return "new"
    end)
    assert.same({ n = 1, "new" }, results)
    assert.same({ "a", "b", "new", "c2" }, log)
  end)

  it("fails with EDIVERGED where a step is of another kind, before anything runs", function()
    log = {}
    local results, run = changed(before, function(ctx)
      task.pcall(ctx.transaction, ctx, "a", function() log[#log + 1] = "transaction" end)
      step(ctx, "never")
    end)
    assert.equal("EDIVERGED", results[3])
    assert.matches("'a' was a step when it was remembered, and is a transaction now", results[2].message)
    assert.same({ "a", "b" }, log)
    assert.equal("failed", run.status)
  end)

  it("compares arguments where it is asked to", function()
    local function with(value)
      return function(ctx)
        ctx:step("a", { check = true }, function(x) return x.n end, { n = value, m = 1 })
        ctx:sleep("nap", 0.3)
        return "end"
      end
    end
    assert.same({ n = 1, "end" }, (changed(with(1), with(1))))
    assert.equal("EDIVERGED", changed(with(1), with(2))[3])
  end)

  it("takes the old way at ctx:patched if it had gone on from there, the new one otherwise", function()
    log = {}
    local function after(ctx)
      step(ctx, "a")
      local early = ctx:patched "early"
      step(ctx, "b")
      ctx:sleep("nap", 0.3)
      local late = ctx:patched "late"
      ctx:sleep("again", 0.01)
      return early, late
    end
    assert.same({ n = 2, false, true }, (changed(before, after)))
  end)

  it("that is pinned waits for its version; others go on with a newer one", function()
    log = {}
    local results, run = changed(before, function() return "v2" end, { version = 1, pinned = true },
      { version = 2, pinned = true })
    assert.equal("ETIMEDOUT", results[3])
    assert.equal("queued", run.status)
    results = changed(before, function() return "v2" end, { version = 1 }, { version = 2 })
    assert.same({ n = 1, "v2" }, results)
  end)

  it("of newer code is left alone by an older worker", function()
    log = {}
    local results, run = changed(before, function() return "v1" end, { version = 2 }, { version = 1 })
    assert.equal("ETIMEDOUT", results[3])
    assert.equal("queued", run.status)
  end)

  it("under which workers end again and again fails with ECRASHED", function()
    local path <close> = place()
    local d <close> = assert(durable.open(path.path))
    d:workflow("w", function() return 1 end)
    local r = assert(d:start("w"))
    assert(d.db:execute "UPDATE moonlet_runs SET status = 'running', worker = 'gone', crashes = 20")
    assert(d.db:execute "INSERT INTO moonlet_workers VALUES ('gone', 0, 1)")
    local serving = task.spawn(d.serve, d)
    assert.equal("ECRASHED", select(3, r:result(20)))
    d:stop()
    serving:join()
  end)
end)

describe("tables", function()
  it("of a newer moonlet are used if they allow it, and refused otherwise, also by a worker that runs", function()
    local path <close> = own.path()
    local d = assert(durable.open(path.path, { lease = 0.3 }))
    assert(d.db:execute "UPDATE moonlet_meta SET value = 99 WHERE name = 'version'")
    assert(durable.open(path.path)):close()
    local serving = task.spawn(d.serve, d)
    task.yield()
    assert(d.db:execute "UPDATE moonlet_meta SET value = 98 WHERE name = 'reads'")
    local refused, message, code = durable.open(path.path)
    assert.is_nil(refused)
    assert.equal("EVERSION", code)
    assert.matches("version 99", message)
    assert.is_true(serving:join(20))
    d:close()
  end)
end)
