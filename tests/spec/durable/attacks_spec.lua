--- What has broken other engines of durable work and job queues, by their lists of bugs: the same on both databases.

local durable = require "moonlet.durable"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

-- Serves workflows; calls fn(d).
local function with(place, workflows, fn)
  local path <close> = place()
  local served <close> = own.serve(path.path, function(d)
    for name, workflow in pairs(workflows) do d:workflow(name, { retry = false }, workflow) end
  end)
  fn(served.d, path.path)
end

own.on_both(_ENV, "a run", function(place, engine)
  -- Its end could not be written, and it stayed "running" until its worker ended.
  it("fails with errors that no column can hold: zero bytes, no UTF-8, too large, without a text", function()
    local silent = setmetatable({}, { __tostring = function() error "no" end })
    local errors = { zero = "a\0b", binary = "caf\233 \255", large = ("x"):rep(3 << 20), silent = silent }
    local workflows = {
      raises = function(_, name) error(errors[name], 0) end,
      returns = function(ctx, name)
        return ctx:step("s", function() return nil, errors[name], name == "silent" and "E" or errors[name] end)
      end,
    }
    with(place, workflows, function(d)
      for name, value in pairs(errors) do
        for workflow in pairs(workflows) do
          local _, message, code = assert(d:start(workflow, name)):result(support.patience)
          assert.not_equal("ETIMEDOUT", code)
          if name == "zero" or name == "binary" then assert.equal(value, message) end
          assert(#message < 10000)
        end
      end
      local shown = {}
      for i, row in ipairs(assert(d:list { status = "failed" })) do
        assert(utf8.len(row.message) and not row.message:find "%z")
        shown[i] = row.message
      end
      assert.equal(8, #shown)
      assert.matches("caf\\xe9 \\xff", table.concat(shown, "\n"), 1, true)
    end)
  end)

  -- A value that the database refuses for good, for whatever reason.
  it("whose end the database refuses fails, and is not claimed for ever", function()
    with(place, { w = function() return "refused" end }, function(d)
      local value = "no row with this end"
      assert(d.db:execute "DROP TABLE IF EXISTS refused")
      if d.engine.name == "sqlite" then
        assert(d.db:script [[CREATE TRIGGER refuse BEFORE UPDATE OF output ON moonlet_runs
          WHEN new.status = 'done' BEGIN SELECT RAISE(ABORT, 'no row with this end'); END]])
      else
        assert(d.db:script [[CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'no row with this end' USING ERRCODE = '23514'; END $$;
          CREATE TRIGGER refuse BEFORE UPDATE OF output ON moonlet_runs FOR EACH ROW
          WHEN (new.status = 'done') EXECUTE FUNCTION refuse()]])
      end
      local run = assert(d:start "w")
      local _, message, code = run:result(support.patience)
      assert.equal("EREFUSED", code)
      assert.matches(value, message.message, 1, true)
      assert.equal(0, d.worker.count)
    end)
  end)

  -- "cached plan must not change result type", after a migration by a newer program.
  it("goes on when its tables get more columns while its statements are prepared", function()
    local workflow = function(ctx)
      for i = 1, 4 do ctx:step("s", function() return i end) end
      ctx:sleep("nap", 0.15)
      return ctx:receive "go", ctx:step("s", { retry = { attempts = 2, backoff = 0.01 } }, function()
        if ctx.attempt == 1 then error "once" end
      end)
    end
    with(place, { w = workflow, held = workflow }, function(d)
      d:workflow("held", { hold = 0.01 }, workflow)
      for round = 1, 3 do
        local runs = { assert(d:start "w"), assert(d:start "held") }
        for _, run in ipairs(runs) do assert(d:get(run.id)) end
        for _, name in ipairs { "runs", "steps", "messages", "events", "workers" } do
          assert(d.db:execute(("ALTER TABLE moonlet_%s ADD COLUMN more%d TEXT"):format(name, round)))
        end
        for _, run in ipairs(runs) do
          assert(d:send(run.id, "go", round))
          assert.equal(round, run:result(support.patience))
          assert.equal("done", d:get(run.id).status)
        end
      end
    end)
  end)

  it("with one key is started once by many tasks of two programs", function()
    local path <close> = place()
    local d <close> = assert(durable.open(path.path))
    local other <close> = assert(durable.open(path.path))
    d:workflow("w", function() end)
    other:workflow("w", function() end)
    for round = 1, 5 do
      local ids = {}
      task.group(function(group)
        for i = 1, 20 do
          group:spawn(function()
            ids[i] = assert((i % 2 == 0 and d or other):start("w", i, { dedup = "key" .. round })).id
          end)
        end
      end)
      for i = 1, 20 do assert.equal(ids[1], ids[i]) end
    end
    assert.equal(5, d.db:value "SELECT count(*) FROM moonlet_runs")
  end)

  -- The other worker stood still meanwhile; its start() would have met no run of that id.
  it("of a schedule is not started again by a second worker when it has ended and was removed", function()
    local path <close> = place()
    local d <close> = assert(durable.open(path.path))
    local other <close> = assert(durable.open(path.path))
    local schedules = require "moonlet.durable.schedules"
    for _, one in ipairs { d, other } do
      one:workflow("w", function() end)
      one:schedule("minutely", "* * * * *", "w", { catch_up = "last" })
      schedules.tend(one)
    end
    assert(d.db:execute "UPDATE moonlet_schedules SET last = last - 120")
    for _, one in ipairs { d, other } do
      one.schedules.minutely.last, one.schedules.minutely.following = one.schedules.minutely.last - 120, nil
    end
    schedules.tend(d)
    assert.equal(1, d.db:value "SELECT count(*) FROM moonlet_runs")
    assert(d.db:execute "DELETE FROM moonlet_runs")
    schedules.tend(other)
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs")
  end)

  if engine == "SQLite" then return end

  -- A database with settings of its own.
  local function place_with(settings)
    return function()
      local made = place()
      made.path = made.path .. "%20" .. settings
      return made
    end
  end

  it("gets a message whose sender was held up before its commit while many others were sent", function()
    with(place_with "-cdeadlock_timeout%3D50", { w = function(ctx) return ctx:receive "t" end }, function(d)
      local run = assert(d:start "w")
      support.eventually(function() return d.signals:has("m:" .. run.id .. ":t") end)
      local late <close> = assert(d.db:begin())
      assert(late:execute("INSERT INTO moonlet_messages (run, topic, value, sent) VALUES ($1, 't', $2, 0)", run.id,
        require("moonlet.sql").bytes(require("moonlet.durable.encoding").pack "late")))
      assert(d.db:execute [[INSERT INTO moonlet_messages (run, topic, value, sent)
        SELECT 'none', 't', NULL, 0 FROM generate_series(1, 3000)]])
      support.eventually(function() return d.worker.messages > 3000 end)
      assert(late:commit())
      d.worker.sweep_at = 0 -- it comes each half minute
      assert.equal("late", run:result(support.patience))
    end)
  end)

  it("is cancelled by another try where the database ends the first one for a deadlock", function()
    local workflows = { parent = function(ctx) return ctx:child "child" end, child = function(ctx) ctx:receive "t" end }
    with(place_with "-cdeadlock_timeout%3D700", workflows, function(d, address) -- it looks once, so long after a wait
      assert(d:start("parent", nil, { id = "p" }))
      support.eventually(function() return d:get "p/child:child" end)
      local other <close> = assert(durable.open((address:gsub("deadlock_timeout%%3D700", "deadlock_timeout%%3D10000"))))
      local tx <close> = assert(other.db:begin())
      local LOCK = "SELECT id FROM moonlet_runs WHERE id = $1 FOR UPDATE"
      assert(tx:row(LOCK, "p/child:child"))
      local cancelling = task.spawn(d.cancel, d, "p")
      support.eventually(function() return other.db:value "SELECT count(*) FROM pg_locks WHERE NOT granted" > 0 end)
      assert(tx:row(LOCK, "p"))
      assert(tx:rollback())
      assert.is_true(select(2, cancelling:join()))
    end)
  end)

  it("goes on where statements take too long for the server, and idle transactions", function()
    local begun = 0
    local workflows = {
      w = function(ctx)
        for i = 1, 10 do ctx:step("s", function() return i end) end
        return ctx:transaction("t", { retry = { attempts = 3, backoff = 0.01 } }, function(tx)
          begun = begun + 1
          assert(tx:execute "INSERT INTO ledger VALUES (1)")
          if begun == 1 then task.sleep(1.5) end
          return tx:value "SELECT count(*) FROM ledger"
        end)
      end,
    }
    local settings = "-cstatement_timeout%3D500%20-cidle_in_transaction_session_timeout%3D700"
    with(place_with(settings), workflows, function(d, address)
      assert(d.db:execute "CREATE TABLE ledger (i INTEGER)")
      local other <close> = assert(durable.open((address:gsub("%%20.*", ""))))
      local tx <close> = assert(other.db:begin())
      assert(tx:execute "LOCK TABLE moonlet_steps IN EXCLUSIVE MODE")
      local run = assert(d:start "w")
      task.sleep(1.5)
      assert(tx:rollback())
      assert.equal(1, run:result(support.patience))
      assert.equal(2, begun)
      assert.equal(10, d.db:value("SELECT count(*) FROM moonlet_steps WHERE run = $1 AND kind = 'step'", run.id))
    end)
  end)
end)
