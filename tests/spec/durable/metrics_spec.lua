--- What the metrics say of durable runs, each with a value that is known.

local durable = require "moonlet.durable"
local inspect = require "moonlet.inspect"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

-- The value of each family without labels.
local function values()
  local found = {}
  for name, family in pairs(inspect.metrics()) do
    local short = name:match "^moonlet_durable_(.*)"
    if short then found[short] = family.series[1].value end
  end
  return found
end

local function eventually(name, value)
  support.eventually(function() return values()[name] == value end)
end

describe("metrics of durable runs", function()
  it("have the depth, the age of the oldest, claims and delays, replays, lost leases, runs in memory", function()
    local path <close> = own.path()
    local d <close> = assert(durable.open(path.path, { lease = 60 }))
    d:queue("q", { concurrency = 1 })
    local went, go = 0, false
    d:workflow("w", function(ctx)
      ctx:step("s", function()
        went = went + 1
        while not go do task.sleep(0.001) end
      end)
    end)
    for i = 1, 4 do assert(d:start("w", i, { id = "run" .. i, queue = "q", priority = i })) end
    assert(d:start("w", 5, { id = "later", queue = "q", delay = 1000 }))
    -- They could have been claimed for 50 s, but for one: for 200. The first was claimed before, elsewhere.
    assert(d.db:execute "UPDATE moonlet_runs SET due = due - 50, created = created - 50 WHERE id <> 'later'")
    assert(d.db:execute "UPDATE moonlet_runs SET due = due - 150, created = created - 150 WHERE id = 'run3'")
    assert(d.db:execute "UPDATE moonlet_runs SET epoch = 1 WHERE id = 'run1'")
    assert.same({ claims_total = 0, claim_wait_seconds_total = 0, replays_total = 0, lost_total = 0, runs = 0,
      queued = 0, oldest_seconds = 0 }, values())

    local serving = task.spawn(d.serve, d)
    support.eventually(function() return went == 1 end)
    d.worker.measure_at = 0 -- it measures each five seconds
    eventually("queued", 3)
    local seen = values()
    assert.equal(1, seen.claims_total)
    assert.equal(1, seen.replays_total)
    assert.equal(0, seen.lost_total)
    assert.equal(1, seen.runs)
    local waited = seen.claim_wait_seconds_total
    assert(waited >= 50 and waited < 50 + support.patience, waited)
    assert(seen.oldest_seconds >= 200 and seen.oldest_seconds < 200 + support.patience, seen.oldest_seconds)

    assert(d.db:execute "UPDATE moonlet_runs SET epoch = epoch + 1, worker = 'other' WHERE id = 'run1'")
    go = true
    eventually("lost_total", 1)
    assert(d.db:execute "UPDATE moonlet_runs SET status = 'done' WHERE id = 'run1'")
    eventually("claims_total", 4)
    eventually("runs", 0)
    d.worker.measure_at = 0
    eventually("queued", 0)
    seen = values()
    assert.equal(0, seen.oldest_seconds)
    assert.equal(1, seen.replays_total)
    waited = seen.claim_wait_seconds_total - waited
    assert(waited >= 300 and waited < 300 + 3 * support.patience, waited)
    d:stop(0)
    serving:join()
    d:close()
    assert.equal(0, values().claims_total)
  end)
end)
