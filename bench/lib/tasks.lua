--- What tasks do with one another, in loops: for the suite `micro`.
local channel = require "moonlet.channel"
local greenlet = require "moonlet.greenlet"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local timing = require "timing"

local tasks = {}

local function produce_and_consume(capacity, produce, consume)
  return function(count)
    local ch = channel.new(capacity)
    local producer = task.spawn(produce, ch, count)
    local consumer = task.spawn(consume, ch, count)
    assert(producer:join())
    local _, sum = assert(consumer:join())
    assert(sum == count * (count + 1) // 2)
  end
end

local function put_all(ch, count)
  for i = 1, count do ch:put(i) end
end

local function get_all(ch, count)
  local sum = 0
  for _ = 1, count do sum = sum + ch:get() end
  return sum
end

-- The same with the methods in locals, as loops that are in a hurry have them.
local function put_all_by_local(ch, count)
  local put = ch.put
  for i = 1, count do put(ch, i) end
end

local function get_all_by_local(ch, count)
  local get, sum = ch.get, 0
  for _ = 1, count do sum = sum + get(ch) end
  return sum
end

local function lock_and_unlock(count)
  local mutex = sync.mutex()
  for _ = 1, count do
    mutex:lock()
    mutex:unlock()
  end
end

local function wait_for_set_event(count)
  local event = sync.event()
  event:set()
  for _ = 1, count do event:wait() end
end

-- Two switches, there and back, make the two operations.
local function switch_greenlets(count)
  local other = greenlet.new(function()
    local root = greenlet.current().parent
    local switch = root.switch
    while true do switch(root) end
  end)
  local switch = other.switch
  for _ = 1, count // 2 do switch(other) end
  other:throw()
end

local function nothing() end

local function spawn_in_group(count)
  task.group({ limit = 100 }, function(group)
    for _ = 1, count do group:spawn(nothing) end
  end)
end

local function cancel_sleepers(count)
  local sleepers = {}
  for i = 1, count do sleepers[i] = task.spawn(task.sleep, 3600) end
  task.yield()
  return function()
    for i = 1, count do sleepers[i]:cancel() end
    for i = 1, count do sleepers[i]:join() end
  end
end

local function wake_getters(count)
  local ch, getters = channel.new(), {}
  for i = 1, count do getters[i] = task.spawn(ch.get, ch) end
  task.yield()
  return function()
    for i = 1, count do ch:put(i) end
    for i = 1, count do getters[i]:join() end
  end
end

-- Only what `prepare(count)` returns is timed.
local function report_prepared(name, count, prepare)
  local run
  local ready = false
  local function clock()
    if not ready then
      run, ready = prepare(count), true
    else
      local finish = task.now()
      ready = false
      return finish
    end
    return task.now()
  end
  timing.report(name, clock, count, function() run() end)
end

function tasks.report()
  local now = task.now
  timing.report("channel_rendezvous", now, 1000000, produce_and_consume(0, put_all, get_all))
  timing.report("channel_rendezvous_local", now, 1000000,
    produce_and_consume(0, put_all_by_local, get_all_by_local))
  timing.report("channel_128", now, 1000000, produce_and_consume(128, put_all, get_all))
  timing.report("channel_128_local", now, 1000000,
    produce_and_consume(128, put_all_by_local, get_all_by_local))
  timing.report("mutex_pair", now, 1000000, lock_and_unlock)
  timing.report("event_wait", now, 1000000, wait_for_set_event)
  timing.report("greenlet_switch", now, 2000000, switch_greenlets)
  timing.report("group_spawn", now, 300000, spawn_in_group)
  report_prepared("cancel_sleeper", 100000, cancel_sleepers)
  report_prepared("wake_getter", 100000, wake_getters)
end

return tasks
