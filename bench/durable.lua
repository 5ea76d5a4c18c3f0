-- What durable runs do on SQLite: lines of JSON. Run by bench/suites/durable.lua.
--
--     moonlet bench/durable.lua DATABASE [quick]
local durable = require "moonlet.durable"
local json = require "moonlet.json"
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

local path, quick = arg[1], arg[2] == "quick"

local function report(name, unit, value)
  print(json.encode { name = name, unit = unit, value = value })
end

local function remove()
  for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
end

local function rate(count, fn)
  local start = task.now()
  fn()
  return count / (task.now() - start)
end

-- The database's own limit: one row a commit.
local function commits()
  remove()
  local db <close> = assert(sqlite.open(path))
  db:execute "CREATE TABLE t (a, b)"
  local count = quick and 500 or 5000
  report("commits of one row", "/s", rate(count, function()
    for i = 1, count do db:execute("INSERT INTO t VALUES (?, ?)", i, "x") end
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
  report("steps of 1,000 runs", "/s", rate(runs * each, function()
    local list = {}
    task.group(function(group)
      for i = 1, runs do group:spawn(function() list[i] = d:start("steps", each) end) end
    end)
    for i = 1, runs do list[i]:result() end
  end))
end

local function latency(d)
  local times = {}
  for i = 1, quick and 20 or 200 do
    task.sleep(0.01)
    local start, began = task.now(), nil
    d:workflow("begin", function() began = task.now() end)
    d:start("begin"):result()
    times[i] = began - start
  end
  table.sort(times)
  report("from start to run, median", "ms", times[#times // 2] * 1000)
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

commits()
remove()
local d = assert(durable.open(path))
d:workflow("steps", function(ctx, count)
  for i = 1, count do ctx:step("s", function() return i end) end
end)
d:workflow("wait", function(ctx) ctx:receive "never" end)
local serving = task.spawn({ daemon = true }, d.serve, d, { max = 1000000 })
steps(d)
latency(d)
memory(d)
d:stop()
serving:join()
d:close()
remove()
