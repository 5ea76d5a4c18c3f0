-- What one switch and one fiber cost.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local clock = require "clock"
local fiber = require "fiber"
local report = require "micro_report"

local BATCH = 1000

local function start(body)
  local started = fiber.new(body)
  started:set_joinable(true)
  return started
end

local function yield_between_two(switches)
  local function yielder()
    for _ = 1, switches / 2 do fiber.yield() end
  end
  local one, other = start(yielder), start(yielder)
  one:join()
  other:join()
end

local function nothing() end

local function spawn_finish(count)
  for _ = 1, count / BATCH do
    for _ = 1, BATCH do fiber.new(nothing) end
    fiber.yield()
  end
end

report("yield", clock.monotonic, 1000000, yield_between_two)
report("spawn_finish", clock.monotonic, 300000, spawn_finish)
os.exit(0)
