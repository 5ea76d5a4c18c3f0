-- SQLite, for tests/faults/sweep.lua: whatever call fails, each step either works or says why, and at the end no
-- descriptor and no task is left. Exit status 3: something is.

local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"
local test = require "moonlet.test"

local PATIENCE = 20 -- seconds for what ends later by itself

local step = dofile "tests/faults/step.lua" { failures = true, raised = { "cannot start a thread" } }

local path = os.tmpname()

local function everything()
  local db <close>, message, code = sqlite.open(path, { pragmas = { cache_size = 5 } })
  if not db then
    assert(type(message) == "string" and type(code) == "string", message)
    return
  end
  step("script", function() return db:script "CREATE TABLE t(id INTEGER PRIMARY KEY, x)" end)
  step("execute", function() return db:execute("INSERT INTO t(x) VALUES(?)", ("x"):rep(1000)) end)
  step("transaction", function()
    return db:transaction(function(tx)
      for i = 1, 3 do
        local ok, why, which = tx:execute("INSERT INTO t(x) VALUES(?)", i)
        if not ok then return nil, why, which end
      end
      return tx:transaction(function(inner) return inner:value "SELECT count(*) FROM t" end)
    end)
  end)
  step("rows", function()
    for _ in db:rows "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 600) SELECT x FROM c" do
    end
  end)
  -- Short statements, with pages that are read and written by workers meanwhile.
  step("short", function()
    for _ = 1, 30 do
      local row, why, which = db:row("SELECT x FROM t WHERE id = ?", 1)
      if not row then return nil, why, which end
    end
    return db:transaction(function(tx)
      for i = 1, 60 do
        local ok, why, which = tx:execute("INSERT INTO t(id, x) VALUES(?, ?)", 100 + i, ("y"):rep(2000))
        if not ok then return nil, why, which end
      end
      return tx:value "SELECT count(*) FROM t"
    end)
  end)
  step("all", function() return db:all "SELECT * FROM t" end)
  step("backup", function() return db:backup(path .. ".copy") end)
  step("many", function()
    return task.group(function(group)
      for _ = 1, 6 do group:spawn(function() return db:value "SELECT count(*) FROM t" end) end
    end)
  end)
  step("cancelled", function()
    task.timeout(0.01, db.value, db,
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c")
  end)
end

local left = test.leaks()
local ok, failure = pcall(everything)
for _, ending in ipairs { "", "-wal", "-shm", "-journal", ".copy", ".copy.partial" } do os.remove(path .. ending) end
if not ok then
  local text = tostring(failure)
  local is_known = text:find("not enough memory", 1, true) or text:find("cannot start a thread", 1, true)
  if not is_known then
    io.stderr:write(text, "\n")
    os.exit(3)
  end
end
dofile "tests/faults/end.lua"(left, PATIENCE)
