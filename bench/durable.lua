-- What durable runs do on SQLite or PostgreSQL: lines of JSON. Run by bench/suites/durable.lua.
--
--     moonlet bench/durable.lua DATABASE [quick|whole [RESTART]]
--
-- A file of SQLite's is removed; tables in PostgreSQL stay. RESTART: a command that restarts the
-- server, and ends when that answers again.
local durable = require "moonlet.durable"
local json = require "moonlet.json"
local process = require "moonlet.process"
local task = require "moonlet.task"

local path, quick = arg[1], arg[2] == "quick"
local is_postgres = path:find "^postgres" ~= nil

-- A worker that is to be killed: `moonlet bench/durable.lua DATABASE victim`.
local LEASE = 2

local function report(name, unit, value)
  print(json.encode { name = name, unit = unit, value = value })
  io.stdout:flush()
end

local function remove()
  if is_postgres then return end
  for _, suffix in ipairs { "", "-wal", "-shm" } do
    os.remove(path .. suffix)
    os.remove(path .. ".own" .. suffix)
  end
end

-- SQLite's in a file of its own: a worker may still be closing it when it is removed.
local function open_own()
  local own = is_postgres and path or path .. ".own"
  return assert(require(is_postgres and "moonlet.postgres" or "moonlet.sqlite").open(own))
end

local function rate(count, fn)
  local start = task.now()
  fn()
  return count / (task.now() - start)
end

-- The database's own limit: one row a commit, by one task and by many.
local function commits()
  local db <close> = open_own()
  db:execute "DROP TABLE IF EXISTS own_limit"
  assert(db:execute "CREATE TABLE own_limit (a BIGINT, b TEXT)")
  local count = quick and 500 or 5000
  local function insert(i) assert(db:execute("INSERT INTO own_limit VALUES ($1, $2)", i, "x")) end
  report("commits of one row", "/s", rate(count, function()
    for i = 1, count do insert(i) end
  end))
  report("the same by 64 tasks", "/s", rate(count, function()
    task.group({ limit = 64 }, function(group)
      for i = 1, count do group:spawn(insert, i) end
    end)
  end))
  report("rows by 256 an insert", "/s", rate(count * 10, function()
    for _ = 1, count * 10 // 256 do
      assert(db:execute("INSERT INTO own_limit SELECT 1, 'x' FROM (VALUES "
        .. ("(1), "):rep(255) .. "(1)) AS v"))
    end
  end))
end

local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  return tonumber(file:read("l"):match "^%d+ (%d+)") * 4096
end

local function steps(d)
  local count = quick and 500 or 10000
  report("steps of one run", "/s", rate(count, function() d:start("steps", count):result() end))
  local runs, each = 1000, quick and 5 or 50
  report("steps of 1000 runs", "/s", rate(runs * each, function()
    local list = {}
    task.group(function(group)
      for i = 1, runs do group:spawn(function() list[i] = d:start("steps", each) end) end
    end)
    for i = 1, runs do list[i]:result() end
  end))
end

-- How fast runs are claimed: their workflow does nothing, and their ends are written, too.
local function claims(d)
  local count = quick and 2000 or 50000
  d:workflow("nothing", function() end)
  local last
  task.group({ limit = 1000 }, function(group)
    for _ = 1, count do
      group:spawn(function() last = d:start("nothing", nil, { queue = "claims" }) end)
    end
  end)
  local other = assert(durable.open(path))
  other:workflow("nothing", function() end)
  local serving = task.spawn({ daemon = true }, other.serve, other,
    { queues = { "claims" }, max = 1000000 })
  report("runs claimed and ended", "/s", rate(count, function()
    assert(last)
    repeat task.sleep(0.01) until
      other.db:value "SELECT count(*) FROM moonlet_runs WHERE queue = 'claims' AND status <> 'done'"
        == 0
  end))
  report("claims of these", "/s", count / (other.db:value [[SELECT max(claimed) - min(claimed)
    FROM moonlet_runs WHERE queue = 'claims']] + 1e-6))
  other:stop()
  serving:join()
  other:close()
end

-- Serves until it is killed; says when its run has begun.
local function victim()
  local d = assert(durable.open(path, { lease = LEASE }))
  d:workflow("long", function()
    print "begun"
    io.stdout:flush()
    task.sleep(1000)
  end)
  d:serve { queues = { "victims" } }
end

-- How long after kill -9 of its worker a run begins here.
local function take_over()
  local d <close> = assert(durable.open(path, { lease = LEASE }))
  local again
  local run = assert(d:start("long", nil, { queue = "victims" }))
  local child <close> = assert(process.spawn { arg[-1], arg[0], path, "victim", stdout = "pipe" })
  assert(child.stdout:read_line())
  d:workflow("long", function() again = task.now() end)
  local serving = task.spawn({ daemon = true }, d.serve, d, { queues = { "victims" } })
  task.sleep(0.5)
  child:kill "KILL"
  local killed = task.now()
  run:result()
  report(("take-over after kill -9 (lease %d s)"):format(LEASE), "s", again - killed)
  d:stop()
  serving:join()
end

-- How long after a restart of the server as many steps are done in half a second as before.
local function restart(d, command)
  local done, is_over = 0, false
  d:workflow("endless", function(ctx)
    repeat ctx:step("s", function() done = done + 1 end) until is_over
  end)
  local function window()
    local before = done
    task.sleep(0.5)
    return done - before
  end
  local runs, counts = {}, {}
  for i = 1, 64 do runs[i] = assert(d:start "endless") end
  for i = 0, quick and 5 or 11 do counts[i] = window() end -- the first is not counted
  table.sort(counts)
  local usual = counts[#counts // 2 + 1]
  local result = assert(process.run { "sh", "-c", command, stdout = "null", timeout = 60 })
  assert(result.status == 0, result.stderr)
  local restarted = task.now()
  repeat until window() >= usual or task.now() > restarted + 60
  report(("after a restart: until there are %d steps/s again"):format(usual * 2), "s",
    task.now() - restarted)
  is_over = true
  for i = 1, #runs do runs[i]:result() end
end

local function latency(d)
  local times, began = {}, nil
  d:workflow("begin", function() began = task.now() end)
  for i = 1, quick and 20 or 200 do
    task.sleep(0.01)
    local start = task.now()
    assert(d:start("begin")):result()
    times[i] = began - start
  end
  table.sort(times)
  report("from start to run (median)", "ms", times[#times // 2] * 1000)
end

local function memory(d)
  local count = quick and 2000 or 100000
  local runs = d.worker
  collectgarbage()
  collectgarbage()
  local before, had = resident(), runs.count
  task.group({ limit = 1000 }, function(group)
    for _ = 1, count do group:spawn(function() d:start "wait" end) end
  end)
  while runs.count < had + count do task.sleep(0.05) end
  collectgarbage()
  collectgarbage()
  report("a run that waits", "bytes", (resident() - before) / count)
end

if arg[2] == "victim" then return victim() end
remove()
commits()
local d = assert(durable.open(path))
d:workflow("steps", function(ctx, count)
  for i = 1, count do ctx:step("s", function() return i end) end
end)
d:workflow("wait", function(ctx) ctx:receive "never" end)
local serving = task.spawn({ daemon = true }, d.serve, d, { max = 1000000 })
steps(d)
latency(d)
claims(d)
take_over()
if arg[3] then restart(d, arg[3]) end
memory(d)
d:stop()
serving:join()
d:close()
remove()
