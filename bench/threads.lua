--- Threads: starting one, messages between two cores, copying beside lua-cjson, thread.map on one
-- and on two threads. Each is measured by the clock and by the processor time of the process: on a
-- busy machine the second counts.
--
-- Usage: moonlet threads.lua [--quick]
-- Prints one line of JSON for each: {"name", "us" (a piece, by the clock), "cpu_us"}.
local task = require "moonlet.task"
local thread = require "moonlet.thread"

local quick = arg[1] == "--quick"

local function report(name, seconds, cpu, count)
  local us, cpu_us = seconds / count * 1e6, cpu / count * 1e6
  print(('{"name": "%s", "us": %.3f, "cpu_us": %.3f}'):format(name, us, cpu_us))
end

-- Measures fn(), which does `count` pieces.
local function measure(name, count, fn)
  local start, cpu = task.now(), os.clock()
  fn()
  report(name, task.now() - start, os.clock() - cpu, count)
end

local function records(count)
  local list = {}
  for i = 1, count do
    list[i] = { id = i, name = "user number " .. i, active = i % 2 == 0, score = i * 1.5,
      tags = { "a", "b", "c" }, position = { x = i, y = -i } }
  end
  return list
end

local function copy(rounds, list)
  local ch = thread.channel(1)
  measure("copy of 1 MB of records", rounds, function()
    for _ = 1, rounds do
      ch:put(list)
      ch:get()
    end
  end)
  local has_cjson, cjson = pcall(require, "cjson")
  if not has_cjson then return end
  measure("the same by lua-cjson", rounds, function()
    for _ = 1, rounds do cjson.decode(cjson.encode(list)) end
  end)
end

local function messages(capacity, count)
  local ch = thread.channel(capacity)
  local sender = thread.spawn(function(out, n)
    for i = 1, n + 1 do out:put(i) end
    out:close()
  end, ch, count)
  ch:get()
  measure(("a message (channel of %d)"):format(capacity), count, function()
    for _ in ch:values() do end
  end)
  sender:join()
end

local function round_trips(count)
  local there, back = thread.channel(1), thread.channel(1)
  local echo = thread.spawn(function(from, to)
    for value in from:values() do to:put(value) end
  end, there, back)
  measure("a message there and back", count, function()
    for i = 1, count do
      there:put(i)
      back:get()
    end
  end)
  there:close()
  echo:join()
end

local function work(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 7 end
  return sum
end

local function map(threads, steps)
  local items = { steps, steps, steps, steps, steps, steps, steps, steps }
  measure(("thread.map of 8 items (%d thread%s)"):format(threads, threads == 1 and "" or "s"), 1,
    function() thread.map(items, work, threads) end)
end

-- From thread.spawn until a value of the new thread is here; not its end.
local function starts(count)
  local first = thread.channel(1)
  local seconds, cpu = 0, os.clock()
  for _ = 1, count do
    local start = task.now()
    local worker = thread.spawn(function(out) out:put(true) end, first)
    first:get()
    seconds = seconds + task.now() - start
    worker:join()
  end
  report("a thread starts (processor time: and ends)", seconds, os.clock() - cpu, count)
end

local function calls(count)
  measure("thread.call", count, function() for _ = 1, count do thread.call(work, 1) end end)
  local pool <close> = thread.pool { size = 1 }
  pool:call(work, 1)
  measure("pool:call", count, function() for _ = 1, count do pool:call(work, 1) end end)
end

starts(quick and 100 or 1000)
calls(quick and 100 or 1000)
messages(1000, quick and 100000 or 1000000)
messages(64, quick and 100000 or 1000000)
round_trips(quick and 2000 or 20000)
copy(quick and 5 or 50, records(9000))
map(1, quick and 5000000 or 50000000)
map(2, quick and 5000000 or 50000000)
