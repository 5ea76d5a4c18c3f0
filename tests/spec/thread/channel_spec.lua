--- Channels between threads: order, back-pressure, closing; a wait that ended otherwise has done nothing.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local channel = require "moonlet.channel"
local task = require "moonlet.task"
local thread = require "moonlet.thread"

describe("a channel between threads", function()
  it("carries copies, in order, until it is closed", function()
    local ch = thread.channel(3)
    local sender = thread.spawn(function(out)
      for i = 1, 1000 do out:put { i } end
      out:close()
    end, ch)
    local count = 0
    for value in ch:values() do
      count = count + 1
      assert.are.equal(count, value[1])
    end
    assert.are.equal(1000, count)
    assert.are.same({ nil, "closed", "CLOSED", n = 3 }, table.pack(ch:get()))
    assert.are.same({ nil, "closed", "CLOSED", n = 3 }, table.pack(ch:put(1)))
    assert.is_true(sender:join())
  end)

  it("holds its capacity, then put waits", function()
    local ch = thread.channel(2)
    assert.is_true(ch:put "a")
    assert.is_true(ch:put "b")
    assert.are.equal(2, #ch)
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { ch:put("c", 0) })
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { ch:put("c", 0.01) })
    assert.are.equal("a", ch:get())
    assert.is_true(ch:put("c", 0))
    assert.are.equal("b", ch:get(0))
    assert.are.equal("c", ch:get(0))
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { ch:get(0) })
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { ch:get(0.01) })
  end)

  it("without capacity hands over only to a task that waits", function()
    local ch = thread.channel()
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { ch:put(1, 0) })
    local got = {}
    local getter = task.spawn(function() for value in ch:values() do got[#got + 1] = value end end)
    support.parked(getter)
    for i = 1, 5 do assert.is_true(ch:put(i)) end
    ch:close()
    getter:join()
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
    ch = thread.channel()
    local sender = thread.spawn(function(out) for i = 1, 100 do out:put(i) end out:close() end, ch)
    local sum = 0
    for value in ch:values() do sum = sum + value end
    assert.are.equal(5050, sum)
    sender:join()
  end)

  it("is the same object when it comes back", function()
    local ch = thread.channel(1)
    assert.are.equal(ch, thread.call(function(c) return c end, ch))
    ch:put { ch }
    assert.are.equal(ch, ch:get()[1])
  end)

  it("tells its reason for closing", function()
    local ch = thread.channel(1)
    ch:close { code = 1 }
    assert.are.same({ nil, { code = 1 }, "CLOSED" }, { ch:get() })
    local ok, err = pcall(function() for _ in ch:values() do error "a value" end end)
    assert.is_false(ok)
    assert.are.same({ code = 1 }, err)
  end)

  it("wakes those who wait in it when it is closed, on all threads", function()
    local ch, full = thread.channel(1), thread.channel(1)
    full:put(0)
    local waiters = { task.spawn(function() return ch:get() end), task.spawn(function() return full:put(1) end),
      thread.spawn(function(c) return c:get() end, ch), thread.spawn(function(c) return c:put(1) end, full) }
    for _, t in ipairs(waiters) do support.parked(t) end
    task.sleep(0.02)
    ch:close()
    full:close()
    for _, t in ipairs(waiters) do assert.are.same({ true, nil, "closed", "CLOSED" }, { t:join() }) end
    assert.are.equal(0, full:get())
  end)

  it("cannot carry nil, nor what cannot be copied", function()
    local ch = thread.channel(1)
    assert.has_error(function() ch:put(nil) end, "bad argument #1 to 'put' (a channel cannot carry nil)")
    local ok, message = pcall(ch.put, ch, { users = { {}, {}, { f = io.stdout } } })
    assert.is_false(ok)
    assert.matches("value%.users%[3%]%.f is a userdata$", message)
    assert.are.equal(0, #ch)
    assert.has_error(function() thread.channel(-1) end, "bad argument #1 to 'channel' (capacity cannot be negative)")
  end)

  it("loses no value when a get is cancelled or runs out of time", function()
    local ch = thread.channel(4)
    local sender = thread.spawn(function(out)
      for i = 1, 2000 do out:put(i) end
      out:close()
    end, ch)
    local got, last = 0, 0
    local function take(value)
      assert.is_true(value > last)
      got, last = got + 1, value
    end
    local is_closed = false
    local round = 0
    while not is_closed do
      round = round + 1
      if round % 2 == 0 then
        local value, _, code = ch:get(0.00001)
        is_closed = code == "CLOSED"
        if value then take(value) end
      else
        local getter = task.spawn(function()
          local value, _, code = ch:get()
          is_closed = code == "CLOSED"
          if value then take(value) end
        end)
        task.yield()
        getter:cancel()
        getter:join()
      end
    end
    assert.are.equal(2000, got)
    sender:join()
  end)

  it("has many senders and receivers on many threads", function()
    local ch, sums = thread.channel(7), thread.channel(8)
    local threads = {}
    for n = 1, 4 do
      threads[#threads + 1] = thread.spawn(function(out, from)
        for i = from, 1000, 4 do out:put(i) end
      end, ch, n)
      threads[#threads + 1] = thread.spawn(function(from, to)
        local sum, count = 0, 0
        for value in from:values() do sum, count = sum + value, count + 1 end
        to:put { sum, count }
      end, ch, sums)
    end
    for i = 1, #threads, 2 do threads[i]:join() end
    ch:close()
    local sum, count = 0, 0
    for _ = 1, 4 do
      local part = sums:get()
      sum, count = sum + part[1], count + part[2]
    end
    assert.are.equal(500500, sum)
    assert.are.equal(1000, count)
    for _, t in ipairs(threads) do assert.is_true(t:join()) end
  end)

  it("is one of several things that select waits for", function()
    local a, b, own = thread.channel(1), thread.channel(1), channel.new(1)
    own:put "own"
    assert.are.same({ 3, "own" }, { channel.select { { a, "get" }, { b, "get" }, { own, "get" } } })
    a:put "x"
    assert.are.same({ 1, "x" }, { channel.select { { a, "get" }, { b, "get" } } })
    assert.are.same({ 2, true }, { channel.select { { a, "get" }, { b, "put", "y" } } })
    assert.are.same({ nil, "timeout", "ETIMEDOUT" },
      { channel.select { { a, "get" }, { b, "put", 1 }, timeout = 0.01 } })
    assert.are.same({ "default", 5 }, { channel.select { { a, "get" }, default = 5 } })
    local t = thread.spawn(function(out) require "moonlet.task".sleep(0.02) out:put "late" end, a)
    assert.are.same({ 2, "late" }, { channel.select { { own, "get" }, { a, "get" } } })
    t:join()
    t = thread.spawn(function(from) require "moonlet.task".sleep(0.02) return from:get() end, b)
    assert.are.same({ 1, true }, { channel.select { { b, "put", "z" }, { a, "get" } } })
    assert.are.same({ true, "y" }, { t:join() })
    b:close "enough"
    assert.are.same({ 1, nil, "enough", "CLOSED" }, { channel.select { { b, "put", 1 } } })
    assert.has_error(function() channel.select { { a, "put" } } end,
      "bad argument #1 to 'select' (case 1: a channel cannot carry nil)")
  end)

  it("loses nothing to a select that something else ends", function()
    local values, other = thread.channel(2), channel.new(1)
    local sender = thread.spawn(function(out) for i = 1, 500 do out:put(i) end out:close() end, values)
    local got, others, is_closed = 0, 0, false
    while not is_closed do
      local kicker = task.spawn(function() other:put(1, 0) end)
      local index, value, _, code = channel.select { { values, "get" }, { other, "get" } }
      if index == 1 and value then
        got = got + 1
        assert.are.equal(got, value)
      end
      is_closed = index == 1 and code == "CLOSED"
      others = others + (index == 2 and 1 or 0)
      kicker:join()
    end
    assert.are.equal(500, got)
    assert.is_true(others > 0)
    sender:join()
  end)

  it("does not meet itself in a select that both gets and puts", function()
    local ch = thread.channel()
    local function both(value) return channel.select { { ch, "get" }, { ch, "put", value } } end
    assert.are.same({ nil, "timeout", "ETIMEDOUT" },
      { channel.select { { ch, "put", 0 }, { ch, "get" }, { ch, "get" }, timeout = 0.05 } })
    local a, b = task.spawn(both, "a"), task.spawn(both, "b")
    local results = { { a:join() }, { b:join() } }
    local puts, gets = 0, 0
    for i, result in ipairs(results) do
      if result[2] == 2 then puts = puts + 1 end
      if result[2] == 1 then
        gets = gets + 1
        assert.are.equal(i == 1 and "b" or "a", result[3])
      end
    end
    assert.are.same({ 1, 1 }, { puts, gets })
    local c = task.spawn(both, "c")
    support.parked(c)
    assert.are.equal("c", ch:get())
    assert.are.same({ true, 2, true }, { c:join() })
    c = task.spawn(both, "c")
    support.parked(c)
    assert.is_true(ch:put "d")
    assert.are.same({ true, 1, "d" }, { c:join() })
  end)

  it("does not keep a thread busy with a select that meets nobody", function()
    local ch = thread.channel()
    local waiter = task.spawn(function() return channel.select { { ch, "get" }, { ch, "put", 1 } } end)
    support.parked(waiter)
    local before = os.clock()
    task.sleep(0.3)
    assert.is_true(os.clock() - before < 0.15)
    assert.are.equal(1, ch:get())
    waiter:join()
  end)

  it("lets selects of several threads meet, and loses no value", function()
    local ch, ticks, threads = thread.channel(), thread.channel(400), {}
    for n = 1, 2 do
      threads[n] = thread.spawn(function(both, out, value)
        local select, counts = require "moonlet.channel".select, { 0, 0 }
        while true do
          local index, result = select { { both, "get" }, { both, "put", value } }
          if not result then return counts[1], counts[2] end
          counts[index] = counts[index] + 1
          out:put(index, 0)
        end
      end, ch, ticks, n)
    end
    for _ = 1, 400 do assert.is_truthy(ticks:get(30)) end
    ch:close()
    local gets, puts = 0, 0
    for _, t in ipairs(threads) do
      local _, got, put = assert(t:join())
      gets, puts = gets + got, puts + put
    end
    assert.are.equal(puts, gets + #ch)
  end)

  it("is waited for in a deadlock by a select when no other thread has it", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      local ch, other = thread.channel(), thread.channel()
      thread.spawn(function(c) require "moonlet.task".sleep(0.05) end, other)
      require "moonlet.channel".select { { ch, "get" }, { ch, "put", 1 }, { other, "get" } }
    ]]
    assert.are.equal(70, status)
    assert.matches("waits for one of several things", output)
  end)

  it("is waited for in a deadlock when no other thread has it", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      local ch = thread.channel()
      thread.call(function(c) return c end, ch)
      ch:get()
    ]]
    assert.are.equal(70, status)
    assert.matches("waits for a value from a channel that no other thread has", output)
  end)

  it("is waited for in a deadlock when the other side has died", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      local ch = thread.channel()
      thread.spawn(function(c) require "moonlet.task".sleep(0.05) error "died" end, ch)
      ch:get()
    ]]
    assert.are.equal(70, status)
    assert.matches("died", output)
    assert.matches("waits for a value from a channel that no other thread has", output)
  end)

  it("is closed at the end of a thread, or left for it, when the program asks for that", function()
    local heartbeat = task.spawn({ daemon = true }, function() while true do task.sleep(1) end end)
    local results, orders = thread.channel(10), thread.channel()
    local worker = thread.spawn({ quiet = true, memory = 8 << 20 }, function(out)
      out:put(1)
      return ("x"):rep(1 << 28)
    end, results)
    worker:on_exit(function() results:close "ended" end)
    assert.are.equal(1, results:get())
    assert.are.same({ nil, "ended", "CLOSED" }, { results:get() })
    assert.matches("not enough memory", select(2, worker:join()))
    worker = thread.spawn({ quiet = true }, function() error("died", 0) end, orders)
    local index, ok, err = channel.select { { orders, "put", 1 }, { worker, "join" } }
    assert.are.same({ 2, nil, "died" }, { index, ok, tostring(err) })
    heartbeat:cancel()
  end)

  -- A server always waits for something else, so that no deadlock is found.
  it("is closed for a reader by on_exit, however the thread ends, while the program waits for other things", function()
    local output, status = support.run [[
      local net, task, thread = require "moonlet.net", require "moonlet.task", require "moonlet.thread"
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      task.spawn({ daemon = true }, listener.serve, listener, function() end)
      local endings = {
        function(out) out:put(1) end,
        function(out) out:put(1) error "died" end,
        function(out) out:put(1) os.exit(3, true) end,
        function(out) out:put(1) local t = {} while true do t[#t + 1] = {} end end,
        function(out) out:put(1) while true do end end,
      }
      for i, ending in ipairs(endings) do
        local out = thread.channel(1)
        local t = thread.spawn({ quiet = true, memory = 2000000 }, ending, out)
        t:on_exit(function() out:close "ended" end)
        print(out:get())
        if i == 5 then t:cancel() end
        print(out:get(20))
      end
    ]]
    assert.are.equal(0, status)
    assert.are.equal(("1\nnil\tended\tCLOSED\n"):rep(5), output)
  end)

  it("ends a thread that waits in it for a program that has gone", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      thread.spawn(function(c) c:get() end, thread.channel())
      for _ = 1, 3 do collectgarbage() require "moonlet.task".yield() end
    ]]
    assert.are.equal(1, status)
    assert.matches("failed: [^\n]*deadlock in the thread", output)
  end)
end)

describe("a channel between threads that nobody has any more", function()
  it("is freed with the values in it, itself and others among them", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      for i = 1, 100 do
        local ch, other = thread.channel(10), thread.channel(10)
        ch:put { ch, ch }
        ch:put(other)
        other:put(("x"):rep(1000))
        ch, other = nil, nil
        collectgarbage()
      end
    ]]
    assert.are.same({ "", 0 }, { output, status })
  end)

  -- Runs a script that makes and drops channels, 300 KB of values a round, and tells how much memory it has at the end.
  local function grows(make)
    local output, status = support.run([[
      local fs, thread = require "moonlet.fs", require "moonlet.thread"
      local function resident() return tonumber(fs.read("/proc/self/status"):match "VmRSS:%s*(%d+)") end
      local function make() ]] .. make .. [[ end
      local first
      for i = 1, 80 do
        make()
        collectgarbage()
        if i == 20 then first = resident() end
      end
      print(resident() - first)
    ]])
    assert.are.equal(0, status)
    -- AddressSanitizer keeps freed memory for a while; it tells leaks by the status.
    return os.getenv("MOONLET"):find "asan" and 0 or tonumber(output)
  end

  -- Each was an owner of the other: 60 rounds left 18 MB.
  it("is freed when it is in a channel that is in it, by whatever way around", function()
    local rounds = {
      [==[
        local a, b = thread.channel(10), thread.channel(10)
        a:put(("x"):rep(300000))
        a:put(b)
        b:put { a, { a } }
      ]==],
      [==[
        local list = {}
        for i = 1, 30 do list[i] = thread.channel(3) end
        for i, ch in ipairs(list) do ch:put(("x"):rep(10000)) ch:put(list[i % 30 + 1]) ch:put(ch) end
      ]==],
      [==[
        local a, b = thread.channel(10), thread.channel(10)
        a:put(("x"):rep(300000))
        a:close(b)
        b:close { a }
      ]==],
      [==[
        local a = thread.channel(10)
        a:put(("x"):rep(300000))
        a:close(a)
      ]==],
      [==[
        local a, b, kept = thread.channel(10), thread.channel(10), thread.channel(10)
        KEPT = kept
        a:put(("x"):rep(300000))
        a:put { kept, b }
        b:put { a, kept }
        kept:put(kept)
      ]==],
    }
    for i, round in ipairs(rounds) do assert.is_true(grows(round) < 10000, i) end
  end)

  it("is freed with a hundred thousand others, each in the next one", function()
    local output, status = support.run [[
      local thread = require "moonlet.thread"
      local last = thread.channel(1)
      for _ = 1, 100000 do
        local next = thread.channel(1)
        next:put(last)
        last = next
      end
      last = nil
      collectgarbage()
      collectgarbage()
    ]]
    assert.are.same({ "", 0 }, { output, status })
  end)

  it("lives as long as a channel somewhere that leads to it", function()
    local a, b, c = thread.channel(2), thread.channel(2), thread.channel(2)
    a:put(b)
    b:put(c)
    b:put(a)
    c:put "found"
    b, c = nil, nil
    for _ = 1, 2 do collectgarbage() end
    assert.are.equal("found", thread.call(function(from) return from:get():get():get() end, a))
    local d, e = thread.channel(1), thread.channel(2)
    local holder = thread.spawn(function(ch) return ch:get():get() end, d)
    e:put { e, d }
    d:put(e)
    d, e = nil, nil
    for _ = 1, 2 do collectgarbage() end
    local _, found = holder:join()
    assert.are.equal("table", type(found))
  end)

  it("is out of reach of a process that was forked", function()
    local output, status = support.run([[
      local thread = require "moonlet.thread"
      local ch = thread.channel(1)
      ch:put(1)
      local t = thread.spawn({daemon = true}, function(c) while true do c:put(c:get()) end end, ch)
      require "moonlet.task".sleep(0.01)
      local p = io.popen "echo child"
      assert(p:read "l" == "child")
      p:close()
      t:cancel()
      print "parent"
    ]])
    assert.are.same({ "parent\n", 0 }, { output, status })
  end)
end)
