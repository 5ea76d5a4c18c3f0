--- Removing runs that have ended.

local durable = require "moonlet.durable"
local task = require "moonlet.task"

describe("pruning", function()
  -- One run of each end, a parent that waits with a child that has ended, and a run that was not begun.
  local function fill(d)
    d:workflow("done", function(ctx) return ctx:receive("m", 1), ctx:step("s", function() return 1 end) end)
    d:workflow("failed", function() error("broken", 0) end)
    d:workflow("child", function() return "of age" end)
    d:workflow("parent", function(ctx)
      ctx:receive("go", 1e6)
      return ctx:child "child"
    end)
    local run = d:start("done", nil, { id = "done" })
    d:send("done", "m", 1)
    run:result()
    d:start("failed", nil, { id = "failed" }):result()
    d:start("done", nil, { id = "late", delay = 1e6 })
    d:start("done", nil, { id = "cancelled", delay = 1e6 })
    d:cancel "cancelled"
    d:start("parent", nil, { id = "parent" })
    -- The child is there, and has ended, before its parent asks for it.
    assert(d.db:execute [[INSERT INTO moonlet_runs (id, workflow, queue, status, due, created, ended, parent)
      VALUES ('parent/child:child', 'child', 'default', 'done', 0, 0, 1, 'parent')]])
  end

  local function ids(d)
    local list = {}
    for i, row in ipairs(d:list()) do list[i] = row.id end
    table.sort(list)
    return table.concat(list, " ")
  end

  it("removes what was done or cancelled so long ago, with steps and messages, and nothing else", function()
    local d <close> = durable.test()
    fill(d)
    task.sleep(100)
    assert.equal(0, d:prune(5e9))
    assert.equal(0, d:prune(200))
    assert.equal(0, d:prune(0, { workflow = "child" }))
    assert.equal(2, d:prune(50))
    assert.equal("failed late parent parent/child:child", ids(d))
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_steps WHERE run = 'done'")
    assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_messages")
    assert.equal(1, d:prune(0, { status = "failed", queue = "default" }))
    assert.equal("late parent parent/child:child", ids(d))
    assert.equal("new", d:start("child", nil, { id = "new" }).id)
  end)

  it("refuses wrong arguments", function()
    local d <close> = durable.test()
    assert.is_false(pcall(d.prune, d))
    assert.is_false(pcall(d.prune, d, -1))
    assert.is_false(pcall(d.prune, d, 1, { status = "running" }))
    assert.is_false(pcall(d.prune, d, 1, { statu = "done" }))
  end)

  it("removes very many in pieces", function()
    local d <close> = durable.test()
    assert(d.db:execute [[INSERT INTO moonlet_runs (id, workflow, queue, status, due, created, ended)
      WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 450)
      SELECT 'r' || x, 'w', 'default', 'done', 0, 0, 1 FROM c]])
    assert.equal(450, d:prune(1))
  end)
end)
