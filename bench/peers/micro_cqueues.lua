-- What one switch and one coroutine of a controller cost.
package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local cqueues = require "cqueues"
local report = require "micro_report"

local BATCH = 1000

local function yield_between_two(switches)
  local controller = cqueues.new()
  local function yielder()
    for _ = 1, switches / 2 do cqueues.poll(0) end
  end
  controller:wrap(yielder)
  controller:wrap(yielder)
  assert(controller:loop())
end

local function nothing() end

local function spawn_finish(count)
  local controller = cqueues.new()
  for _ = 1, count / BATCH do
    for _ = 1, BATCH do controller:wrap(nothing) end
    assert(controller:loop())
  end
end

report("yield", cqueues.monotime, 400000, yield_between_two)
report("spawn_finish", cqueues.monotime, 200000, spawn_finish)
