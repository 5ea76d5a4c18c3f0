-- What the parts of moonlet cost, one line of JSON each. Usage: moonlet micro.lua
package.path = (arg[0]:match("^(.*)/") or ".") .. "/lib/?.lua;" .. package.path

local task = require "moonlet.task"
local language = require "language"
local tasks = require "tasks"
local timing = require "timing"

local function yield_between_two(switches)
  local function yielder()
    for _ = 1, switches // 2 do task.yield() end
  end
  local one, other = task.spawn(yielder), task.spawn(yielder)
  assert(one:join())
  assert(other:join())
end

local BATCH = 1000

local function nothing() end

-- A yield lets everything spawned before it run: the queue is FIFO.
local function spawn_finish(count)
  for _ = 1, count // BATCH do
    for _ = 1, BATCH do task.spawn(nothing) end
    task.yield()
  end
end

local function check_fifo()
  local ran = false
  task.spawn(function() ran = true end)
  task.yield()
  -- Otherwise spawn_finish would measure spawns only.
  assert(ran, "task.yield() came back before the tasks spawned earlier had run")
end

check_fifo()
timing.report("yield", task.now, 2000000, yield_between_two)
timing.report("spawn_finish", task.now, 1000000, spawn_finish)
language.report(task.now)
tasks.report()
