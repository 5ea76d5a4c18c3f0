--- Benchmarks of what both moonlet and stock Lua have: coroutines and protected calls.
local timing = require "timing"

local language = {}

local create, resume, yield, pcall = coroutine.create, coroutine.resume, coroutine.yield, pcall

local function nothing() end

local function coroutine_switch(switches)
  local generator = create(function()
    while true do yield() end
  end)
  for _ = 1, switches // 2 do resume(generator) end
end

local function coroutine_create_finish(count)
  for _ = 1, count do resume(create(nothing)) end
end

local function protected_call(count)
  for _ = 1, count do pcall(nothing) end
end

--- Prints a line of JSON for each.
-- @tparam function clock returns seconds
function language.report(clock)
  timing.report("coroutine_switch", clock, 4000000, coroutine_switch)
  timing.report("coroutine_create_finish", clock, 1000000, coroutine_create_finish)
  timing.report("pcall", clock, 10000000, protected_call)
end

return language
