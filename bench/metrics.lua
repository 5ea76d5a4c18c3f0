--- What metrics cost: counting, asking for an object, showing 10,000 series, memory, and switches
-- and spawns while the runtime measures.
--
-- Usage: moonlet metrics.lua [--quick]
-- Prints one line of JSON for each: {"name", "ns" (a piece), or "bytes" or "ms"}.
local inspect = require "moonlet.inspect"
local task = require "moonlet.task"

local quick = arg[1] == "--quick"
local SERIES = 10000

local function report(name, unit, value)
  print(('{"name": "%s", "%s": %.2f}'):format(name, unit, value))
end

-- Nanoseconds of processor time for a piece of fn(count), the best of some runs.
local function best(count, fn)
  local least = math.huge
  for _ = 1, quick and 2 or 7 do
    local start = os.clock()
    fn(count)
    least = math.min(least, (os.clock() - start) / count * 1e9)
  end
  return least
end

local many, some = quick and 200000 or 3000000, quick and 20000 or 300000

local function measure_tasks(state)
  report("a switch: metrics " .. state, "ns", best(many, function(count)
    local function body() for _ = 1, count // 2 do task.yield() end end
    local one, other = task.spawn(body), task.spawn(body)
    one:join()
    other:join()
  end))
  report("a spawn and its end: metrics " .. state, "ns", best(some, function(count)
    for i = 1, count do
      task.spawn(function() end)
      if i % 100 == 0 then task.yield() end
    end
  end))
end

local function measure_counting()
  local counter = inspect.counter("bench_total", { method = "GET", route = "/" })
  local gauge, histogram = inspect.gauge "bench_level", inspect.histogram "bench_seconds"
  report("a loop without a call", "ns", best(many, function(count) for _ = 1, count do end end))
  report("counter:add()", "ns", best(many, function(count)
    for _ = 1, count do counter:add() end
  end))
  report("counter:add(n)", "ns", best(many, function(count)
    for i = 1, count do counter:add(i) end
  end))
  report("gauge:set(v)", "ns", best(many, function(count)
    for i = 1, count do gauge:set(i) end
  end))
  report("histogram:observe(v)", "ns", best(many, function(count)
    for i = 1, count do histogram:observe(i * 1e-6) end
  end))
  report("asking for a counter with 2 labels", "ns", best(some, function(count)
    for _ = 1, count do inspect.counter("bench_total", { method = "GET", route = "/" }) end
  end))
end

local function bytes_of(fn)
  collectgarbage()
  collectgarbage()
  local before = collectgarbage "count"
  fn()
  collectgarbage()
  return (collectgarbage "count" - before) * 1024 / SERIES
end

local function measure_series()
  report("memory of a counter with 2 labels", "bytes", bytes_of(function()
    for i = 1, SERIES do
      inspect.counter("many_total", { peer = i, kind = "x" }, { limit = SERIES }):add(i)
    end
  end))
  for _, format in ipairs { "prometheus", "openmetrics", "json" } do
    local ns = best(1, function() inspect.metrics(format) end)
    report(("%d series as %s"):format(SERIES, format), "ms", ns / 1e6)
  end
  for i = 1, SERIES do inspect.counter("many_total", { peer = i, kind = "x" }):remove() end
  report("memory of a histogram with 1 label", "bytes", bytes_of(function()
    for i = 1, SERIES do
      inspect.histogram("many_seconds", { peer = i }, { limit = SERIES }):observe(i)
    end
  end))
end

measure_tasks "off"
inspect.metrics()
measure_tasks "on"
measure_counting()
measure_series()
