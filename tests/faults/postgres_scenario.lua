-- PostgreSQL, for tests/faults/sweep.lua: whatever call fails, each step either works or says why, and at the end no
-- descriptor and no task is left. Exit status 3: something is.
--
--     moonlet_faults tests/faults/postgres_scenario.lua DIRECTORY PORT

local postgres = require "moonlet.postgres"
local task = require "moonlet.task"
local test = require "moonlet.test"

local PATIENCE = 20 -- seconds for what ends later by itself

local host, port = arg[1], arg[2]

local step = dofile "tests/faults/step.lua" { failures = true }

local function everything()
  local db <close>, message, code = postgres.open({ host = host, port = port, user = "tester", dbname = "postgres" },
    { max = 2 })
  if not db then
    assert(type(message) == "string" and type(code) == "string", message)
    return
  end
  step("value", function() return db:value("SELECT $1::text", "a") end)
  for _ = 1, 3 do step("prepared", function() return db:row("SELECT $1::int AS a, $2 AS b", 1, "x") end) end
  step("script", function() return db:script "TRUNCATE t; SELECT 1" end)
  step("transaction", function()
    return db:transaction(function(tx)
      local ok, why, which = tx:execute("INSERT INTO t VALUES ($1, $2)", 1, "one")
      if not ok then return nil, why, which end
      return tx:transaction(function(inner) return inner:value "SELECT count(*) FROM t" end)
    end)
  end)
  step("begin", function()
    local tx <close>, why, which = db:begin()
    if not tx then return nil, why, which end
    local ok, reason, name = tx:execute "INSERT INTO t VALUES (2, 'two')"
    if not ok then return nil, reason, name end
    return tx:commit()
  end)
  step("rows", function()
    for _ in db:rows "SELECT generate_series(1, 600) AS g" do end
  end)
  step("arrays", function() return db:all "SELECT ARRAY[1, 2] AS a, '{\"b\":1}'::jsonb AS b FROM t" end)
  step("copy in", function() return db:copy_in("COPY t FROM STDIN", "3\tx\n4\ty\n") end)
  step("copy out", function()
    local reader <close>, why, which = db:copy_out "COPY t TO STDOUT"
    if not reader then return nil, why, which end
    for _ in reader do end
  end)
  step("listen", function()
    local listener <close>, why, which = db:listen "news"
    if not listener then return nil, why, which end
    db:execute "NOTIFY news, 'x'"
    return listener:next(0.2)
  end)
  step("many", function()
    return task.group(function(group)
      for i = 1, 8 do group:spawn(function() return db:value("SELECT $1::int", i) end) end
    end)
  end)
  step("cancelled", function()
    task.timeout(0.01, db.value, db, "SELECT pg_sleep(10)")
  end)
end

local left = test.leaks()
local ok, failure = pcall(everything)
if not ok then
  local text = tostring(failure)
  if not text:find("not enough memory", 1, true) then
    io.stderr:write(text, "\n")
    os.exit(3)
  end
end
dofile "tests/faults/end.lua"(left, PATIENCE)
