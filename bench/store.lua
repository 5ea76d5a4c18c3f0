-- The shared store: calls of one process, or of two workers at once on one key.
--
-- Usage: moonlet store.lua [--quick], or moonlet --workers 2 store.lua [--quick]
-- Prints one line of JSON for each: {"name", "per_second", "cpu_us"}: the processor time of a call,
-- which counts on a busy machine.
local task = require "moonlet.task"
local worker = require "moonlet.worker"

local quick = arg[1] == "--quick"
local COUNT = quick and 300000 or 3000000

local store = assert(worker.store "bench")

local function report(name, seconds, cpu, count)
  local form = '{"name": "%s", "per_second": %.0f, "cpu_us": %.3f}'
  print(form:format(name, count / seconds, cpu / count * 1e6))
end

local function measure(name, count, fn)
  local start, cpu = task.now(), os.clock()
  fn(count)
  report(name, task.now() - start, os.clock() - cpu, count)
end

local function incr(count)
  for _ = 1, count do store:incr "n" end
end

local function one_process()
  measure("incr", COUNT, incr)
  measure("get of an integer", COUNT, function(count)
    for _ = 1, count do store:get "n" end
  end)
  local text = ("x"):rep(100)
  measure("set of 100 bytes", COUNT // 3, function(count)
    for _ = 1, count do store:set("text", text) end
  end)
  measure("get of 100 bytes", COUNT // 3, function(count)
    for _ = 1, count do store:get "text" end
  end)
  store:set("table", { id = 1, name = "name", is_new = true, score = 1.5 })
  measure("get of a table of four fields", COUNT // 10, function(count)
    for _ = 1, count do store:get "table" end
  end)
  measure("cas of an integer", COUNT // 10, function(count)
    for i = 1, count do store:cas("swapped", i > 1 and i - 1 or nil, i) end
  end)
end

-- Both begin at once; the first one measures until the other has done its half, too.
local function two_workers()
  worker.ready()
  store:incr "here"
  while store:get "here" < 2 do task.sleep(0.001) end
  if worker.id == 2 then
    incr(COUNT // 2)
    store:set("done", true)
  else
    measure("incr by two workers on one key", COUNT, function(count)
      incr(count // 2)
      while not store:get "done" do task.yield() end
    end)
    assert(store:get "n" == COUNT)
    worker.stop()
  end
  task.sleep(60)
end

if worker.id then two_workers() else one_process() end
