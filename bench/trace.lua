-- What a trace costs: the same loops with it and without, in turn, in one process.
-- Prints a line of JSON for each: {"name":..., "off":ns, "on":ns}, the best of some rounds.
local channel = require "moonlet.channel"
local inspect = require "moonlet.inspect"
local net = require "moonlet.net"
local task = require "moonlet.task"

local ROUNDS = tonumber(arg[1]) or 7

local function pair(first, second)
  local a, b = task.spawn(first), task.spawn(second)
  a:join()
  b:join()
end

local loops = {
  yield = {count = 2000000, run = function(n)
    local function body() for _ = 1, n // 2 do task.yield() end end
    pair(body, body)
  end},
  channel = {count = 300000, run = function(n)
    local ch = channel.new()
    pair(function() for i = 1, n do ch:put(i) end end, function() for _ = 1, n do ch:get() end end)
  end},
  echo = {count = 50000, run = function(n)
    local here, there = net.pair()
    pair(function()
      for _ = 1, n do
        here:write "x"
        here:read_some()
      end
    end, function()
      for _ = 1, n do there:write(there:read_some()) end
    end)
  end},
  span = {count = 300000, run = function(n)
    local function nothing() end
    for _ = 1, n do inspect.span("a span", nothing) end
  end},
}

local function seconds_of(loop)
  local start = os.clock()
  loop.run(loop.count)
  return (os.clock() - start) / loop.count * 1e9
end

local function measure(loop)
  local off, on = math.huge, math.huge
  seconds_of(loop)
  for _ = 1, ROUNDS do
    off = math.min(off, seconds_of(loop))
    assert(inspect.trace_start())
    on = math.min(on, seconds_of(loop))
    inspect.trace_stop()
  end
  return off, on
end

-- The making of a text of a whole ring.
local function measure_text()
  assert(inspect.trace_start())
  loops.yield.run(200000)
  local start = os.clock()
  local text = inspect.trace_last()
  local taken = os.clock() - start
  inspect.trace_stop()
  return taken, #text
end

for _, name in ipairs {"yield", "channel", "echo", "span"} do
  local off, on = measure(loops[name])
  print(('{"name":"%s","off":%.1f,"on":%.1f}'):format(name, off, on))
end
print(('{"name":"text","seconds":%.3f,"bytes":%d}'):format(measure_text()))
