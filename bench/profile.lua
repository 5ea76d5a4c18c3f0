--- Costs of a profile: the same work without and with one, in turns, in one process. Prints a line
-- of JSON for each round. Arguments: the work, rounds, mode.
local profile = require "moonlet.inspect.profile"
local task = require "moonlet.task"

local work = {}

function work.loop()
  local x = 0
  for i = 1, 3e7 do x = x + i % 7 end
  return x
end

function work.calls()
  local function add(a, b) return a + b end
  local x = 0
  for i = 1, 1e7 do x = add(x, i) end
  return x
end

function work.json()
  local json = require "moonlet.json"
  local document = {}
  for i = 1, 200 do document[i] = { id = i, name = "name " .. i, tags = { "a", "b" } } end
  for _ = 1, 700 do json.decode(json.encode(document)) end
end

function work.switches()
  local function turn() for _ = 1, 4e5 do task.yield() end end
  local a, b = task.spawn(turn), task.spawn(turn)
  a:join()
  b:join()
end

function work.deep()
  local function deep(n)
    if n > 0 then return 1 + deep(n - 1) end
    local x = 0
    for i = 1, 2e7 do x = x + i % 7 end
    return 0
  end
  return deep(5000)
end

-- 10,000 tasks wait.
function work.waiting()
  local list = {}
  for i = 1, 10000 do list[i] = task.spawn(task.sleep, 1000) end
  work.loop()
  for i = 1, #list do list[i]:cancel() end
end

local function seconds(fn)
  collectgarbage()
  local began = os.clock()
  fn()
  return os.clock() - began
end

local fn, mode = work[arg[1]], arg[3] or "cpu"
for _ = 1, tonumber(arg[2]) do
  local off = seconds(fn)
  assert(profile.start { mode = mode })
  local on = seconds(fn)
  local samples = profile.stop().samples
  print(('{"off": %.6f, "on": %.6f, "samples": %d}'):format(off, on, samples))
end
os.exit(0)
