--- Counts neither wrap nor run full: locks that a task holds, places in scripts.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task, sync = require "moonlet.task", require "moonlet.sync"

describe("a task", function()
  -- The count of its locks had 16 bits: 65,536 were none, and their owner was freed.
  for _, count in ipairs { 65535, 65536, 65537 } do
    it(("that ended with %d mutexes has unlocked each"):format(count), function()
      local mutexes = {}
      local t = task.spawn(function()
        for i = 1, count do
          mutexes[i] = sync.mutex()
          mutexes[i]:lock()
        end
      end)
      support.finish(t)
      for i = 1, count do
        assert(mutexes[i]:try_lock(), "a mutex is still locked")
        mutexes[i]:unlock()
      end
    end)
  end
end)

-- A function that spawns a task that does nothing, in a chunk of its own.
local chunks = 0
local function new_spawner()
  chunks = chunks + 1
  return load("local spawn = ... return function() return spawn(function() end) end", "=chunk" .. chunks)(task.spawn)
end

local function join_all(tasks)
  for _, t in ipairs(tasks) do t:join() end
end

describe("the place where a task was spawned", function()
  it("is known though 10,000 chunks are", function()
    local tasks = {}
    for i = 1, 10000 do tasks[i] = new_spawner()() end
    local last = chunks
    assert.is_truthy(tasks[1]:traceback():find("spawned at chunk" .. last - 9999 .. ":1", 1, true))
    assert.is_truthy(tasks[10000]:traceback():find("spawned at chunk" .. last .. ":1", 1, true))
    join_all(tasks)
  end)

  -- The list of places was read from its start for each new one, 30 us with 4,000 of them.
  it("costs no more with 10,000 chunks than with one", function()
    local count = 2000
    local function seconds_of(spawners)
      local best = math.huge
      for _ = 1, 3 do
        local tasks, start = {}, os.clock()
        for i = 1, count do tasks[i] = spawners(i) end
        best = math.min(best, os.clock() - start)
        join_all(tasks)
      end
      return best
    end
    local one, many = new_spawner(), {}
    for i = 1, 3 * count do many[i] = new_spawner() end
    local next_chunk = 0
    local with_one = seconds_of(one)
    local with_many = seconds_of(function()
      next_chunk = next_chunk + 1
      return many[next_chunk]()
    end)
    assert.is_true(with_many < 8 * with_one, ("%.1f us instead of %.1f"):format(with_many / count * 1e6,
      with_one / count * 1e6))
  end)
end)
