-- Traces: what inspect.trace() and its kin return, read back and checked by the rules of the format.
local support = dofile("tests/spec/support.lua")
local it = support.limited(it)

local inspect = require "moonlet.inspect"
local task = require "moonlet.task"
local check = dofile("tests/spec/inspect/trace_check.lua")

local function recorded(fn, options)
  assert(inspect.trace_start(options))
  local results = table.pack(pcall(fn))
  local text = inspect.trace_last()
  inspect.trace_stop()
  assert(results[1], results[2])
  return check.read(text)
end

describe("a trace", function()
  it("has tasks, their waits and who woke them", function()
    local trace = recorded(function()
      local getter = task.spawn({name = "getter"}, task.sleep, 0.002)
      getter:join()
    end)
    local track = trace:track("getter")
    assert.is_truthy(track)
    assert.are.same({"ready", "waits for the clock", "ready"}, track:slices("ready", "wait"))
    assert.are.same("its deadline", track:slice("waits for the clock").args["woken by"])
    local main = trace:track("main")
    assert.is_truthy(main:slice("waits for the end of task " .. track.tid))
    assert.is_true(trace.flows > 0)
  end)
end)
