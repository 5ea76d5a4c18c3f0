--- Every call that may wait raises in a cancelled task, even if it would not have to wait; with a time limit of 0 none
-- does, and none waits or switches.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local moonlet = require "moonlet"
local task, sync, net = moonlet.task, moonlet.sync, moonlet.net
local channel, queue, pool, test = moonlet.channel, moonlet.queue, moonlet.pool, moonlet.test

local function nothing() end

-- Things at which nobody would have to wait.
local function ready()
  local things = { channel = channel.new(2), semaphore = sync.semaphore(9), event = sync.event(),
    future = sync.future(), queue = queue.new(), bounded = queue.new { capacity = 9 }, mutex = sync.mutex(),
    ended = task.spawn(nothing), group = task.group(), limited = task.group { limit = 9 },
    pool = pool.new { open = function() return {} end, close = nothing }, closed = pool.new { open = nothing } }
  things.channel:put(1)
  things.event:set()
  things.future:set(1)
  things.queue:put(1)
  things.queue:put(1)
  things.closed:close()
  things.ended:join()
  things.here, things.there = support.pair()
  things.there:write "line\nline\n"
  things.here:peek(1)
  things.listener = assert(net.listen("127.0.0.1", 0))
  things.udp = assert(net.udp { host = "127.0.0.1" })
  return things
end

local calls = {
  ["sleep(0)"] = function() task.sleep(0) end,
  ["sleep(-1)"] = function() task.sleep(-1) end,
  ["sleep_until(0)"] = function() task.sleep_until(0) end,
  ["sleep_until(-1)"] = function() task.sleep_until(-1) end,
  ["sleep_until(1e-9)"] = function() task.sleep_until(1e-9) end,
  ["yield"] = function() task.yield() end,
  ["every"] = function() task.every(1e-9, function() error "it was called" end) end,
  ["all{}"] = function() task.all {} end,
  ["map{}"] = function() task.map({}, nothing) end,
  ["race{}"] = function() task.race {} end,
  ["group"] = function() task.group(nothing) end,
  ["wait_idle"] = function() test.wait_idle() end,
  ["join"] = function(x) x.ended:join() end,
  ["join(1)"] = function(x) x.ended:join(1) end,
  ["group:join"] = function(x) x.group:join() end,
  ["group:room"] = function(x) x.group:room() end,
  ["group:room, limited"] = function(x) x.limited:room() end,
  ["group:spawn, limited"] = function(x) x.limited:spawn(nothing) end,
  ["channel:get"] = function(x) x.channel:get() end,
  ["channel:put"] = function(x) x.channel:put(1) end,
  ["channel:values"] = function(x) x.channel:values()(x.channel) end,
  ["select"] = function(x) channel.select { { x.channel, "get" } } end,
  ["select, nothing"] = function() channel.select { timeout = 1 } end,
  ["select over a stream"] = function(x) channel.select { { x.here, "readable" } } end,
  ["acquire"] = function(x) x.semaphore:acquire() end,
  ["hold"] = function(x) x.semaphore:hold(1) end,
  ["event:wait"] = function(x) x.event:wait() end,
  ["future:get"] = function(x) x.future:get() end,
  ["lock"] = function(x) x.mutex:lock() end,
  ["queue:get"] = function(x) x.queue:get() end,
  ["queue:peek"] = function(x) x.queue:peek() end,
  ["queue:put"] = function(x) x.queue:put(1) end,
  ["queue:put, with a capacity"] = function(x) x.bounded:put(1) end,
  ["queue:join"] = function(x) x.bounded:join() end,
  ["queue:values"] = function(x) x.queue:values()(x.queue) end,
  ["lease"] = function(x) x.pool:lease() end,
  ["lease of a closed pool"] = function(x) x.closed:lease() end,
  ["read"] = function(x) x.here:read() end,
  ["read_exactly"] = function(x) x.here:read_exactly(1) end,
  ["read_some"] = function(x) x.here:read_some() end,
  ["write"] = function(x) x.here:write "x" end,
  ["accept"] = function(x) x.listener:accept() end,
  ["connect"] = function(x) net.connect(x.listener:address()) end,
  ["resolve"] = function() net.resolve "127.0.0.1" end,
  ["receive_from"] = function(x) x.udp:receive_from() end,
  ["send_to"] = function(x) x.udp:send_to("x", x.udp:address()) end,
}

local instant = {
  ["join(0)"] = function(x) return x.ended:join(0) end,
  ["group:join(0)"] = function(x) return x.group:join(0) end,
  ["channel:get(0)"] = function(x) return x.channel:get(0) end,
  ["channel:put(1, 0)"] = function(x) return x.channel:put(1, 0) end,
  ["select"] = function(x) return channel.select { { x.channel, "get" }, timeout = 0 } end,
  ["select, default"] = function(x) return channel.select { { x.channel, "get" }, default = 1 } end,
  ["select over a stream"] = function(x) return channel.select { { x.here, "readable" }, timeout = 0 } end,
  ["acquire(0)"] = function(x) return x.semaphore:acquire(0) end,
  ["hold(0)"] = function(x) return x.semaphore:hold(0) end,
  ["event:wait(0)"] = function(x) return x.event:wait(0) end,
  ["future:get(0)"] = function(x) return x.future:get(0) end,
  ["lock(0)"] = function(x) return x.mutex:lock(0) end,
  ["queue:get(0)"] = function(x) return x.queue:get(0) end,
  ["queue:put(1, 0)"] = function(x) return x.queue:put(1, 0) end,
  ["queue:join(0)"] = function(x) return x.bounded:join(0) end,
  ["lease(0)"] = function(x) return x.pool:lease(0) end,
  ["spawn"] = function() return task.spawn(nothing) end,
  ["group:spawn"] = function(x) return x.group:spawn(nothing) end,
  ["release"] = function(x) x.semaphore:release() return true end,
}

-- Runs fn(things) in a cancelled task and returns what that returned or raised.
local function in_cancelled_task(fn)
  local things = ready()
  local results
  local t = task.spawn(function()
    task.current():cancel()
    results = table.pack(task.pcall(fn, things))
  end)
  t:join()
  things.listener:close()
  things.udp:close()
  return table.unpack(results, 1, results.n)
end

describe("in a cancelled task", function()
  for name, call in pairs(calls) do
    it(name .. " raises the cancellation", function()
      local ok, err = in_cancelled_task(call)
      assert.is_false(ok)
      assert.is_true(task.is_cancellation(err), tostring(err))
    end)
  end

  for name, call in pairs(instant) do
    it(name .. " does its work", function()
      local ok, result = in_cancelled_task(call)
      assert.is_true(ok, tostring(result))
      assert.is_truthy(result)
    end)
  end
end)

describe("task.sleep_until of the past", function()
  it("lets the others run, as sleep(0) does", function()
    for _, time in ipairs { 0, -1, 1e-9, task.now() } do
      assert.is_true(support.turns_beside(function() task.sleep_until(time) end) > 0)
    end
  end)
end)
