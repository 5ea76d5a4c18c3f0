-- Messages between two workers: many small ones one way, tables, and there and back.
--
-- Usage: moonlet --workers 2 messages.lua [--quick]
-- Prints one line of JSON for each: {"name", "per_second", "receiver_us", "sender_us"}: of both
-- processes the processor time of a message, which counts on a busy machine.
local task = require "moonlet.task"
local worker = require "moonlet.worker"

local quick = arg[1] == "--quick"
local COUNT = quick and 100000 or 1000000

local cases = {
  { name = "an integer", count = COUNT, make = function(i) return i end },
  { name = "a string of 100 bytes", count = COUNT // 2,
    make = function() return ("x"):rep(100) end },
  { name = "a table of four fields", count = COUNT // 4,
    make = function(i) return { id = i, name = "name", is_new = true, score = 1.5 } end },
}

local function report(name, seconds, count, receiver, sender)
  local form = '{"name": "%s", "per_second": %.0f, "receiver_us": %.3f, "sender_us": %.3f}'
  print(form:format(name, count / seconds, receiver / count * 1e6, sender / count * 1e6))
end

-- The sender goes on when the receiver says so, and tells its processor time at the end.
local function send(case)
  worker.receive "go"
  local value, cpu = case.make(1), os.clock()
  for i = 1, case.count do
    if case.make then value = case.make(i) end
    assert(worker.send(1, "load", value))
  end
  assert(worker.send(1, "cpu", os.clock() - cpu))
end

local function receive(case)
  worker.send(2, "go", true)
  worker.receive "load"
  local start, cpu = task.now(), os.clock()
  for _ = 2, case.count do worker.receive "load" end
  local seconds, used = task.now() - start, os.clock() - cpu
  report(case.name, seconds, case.count, used, (worker.receive "cpu"))
end

local function echo(count)
  for i = 1, count do
    worker.receive "there"
    worker.send(1, "back", i)
  end
end

local function round_trips(count)
  local start, cpu = task.now(), os.clock()
  for i = 1, count do
    worker.send(2, "there", i)
    worker.receive "back"
  end
  report("there and back", task.now() - start, count, os.clock() - cpu, 0)
end

worker.ready()
for _, case in ipairs(cases) do
  if worker.id == 1 then receive(case) else send(case) end
end
if worker.id == 1 then
  round_trips(COUNT // 50)
  worker.stop()
else
  echo(COUNT // 50)
end
task.sleep(60)
