--- channel.select over queues, futures, semaphores, streams and listeners.

local support = dofile "tests/spec/support.lua"
local it_really = support.limited(it)
local it = support.virtual(it)
local task, sync, net = require "moonlet.task", require "moonlet.sync", require "moonlet.net"
local channel, queue = require "moonlet.channel", require "moonlet.queue"
local select = channel.select

-- A task in a select, once it waits.
local function selecting(cases)
  return support.parked(task.spawn(function() return select(cases) end))
end

describe("select", function()
  it("names its option when the time limit is none", function()
    for _, limit in ipairs { 0 / 0, "soon", {} } do
      assert.has_error(function() channel.select { timeout = limit } end,
        "bad argument #1 to 'select' (option 'timeout' must be a number of seconds)")
    end
  end)
end)

describe("select over a queue", function()
  it("gives the next value, which is there or comes", function()
    local q, other = queue.new { order = "priority", capacity = 2 }, channel.new()
    q:put(2)
    q:put(1)
    assert.are.same({ 1, 1 }, { select { { q, "get" }, { other, "get" } } })
    assert.is_true(q:put(3, 0)) -- there is room again
    assert.are.same({ 2, 2 }, { select { { other, "get" }, { q, "get" } } })
    assert.are.equal(3, q:get())
    local t = selecting { { other, "get" }, { q, "get" } }
    q:put(4)
    assert.are.same({ 2, 4 }, { support.finish(t) })
    assert.are.equal(0, #q)
  end)

  it("takes none when another case was done, it timed out or was cancelled", function()
    local q, other = queue.new(), channel.new(1)
    local t = selecting { { q, "get" }, { other, "get" } }
    other:put "other"
    q:put "kept"
    assert.are.same({ 2, "other" }, { support.finish(t) })
    assert.are.equal("kept", q:get(0))
    support.is_failure("ETIMEDOUT", "timeout", select { { q, "get" }, timeout = 1 })
    assert.are.same({ "default", 7 }, { select { { q, "get" }, default = 7 } })
    t = selecting { { q, "get" } }
    t:cancel()
    q:put "kept, too"
    t:join()
    assert.are.equal("kept, too", q:get(0))
  end)

  it("loses none to a comparison that fails", function()
    local q = queue.new { order = "priority", less = function(a, b)
      if a == "bad" or b == "bad" then error("no comparison", 0) end
      return a < b
    end }
    q:put(1)
    q.items[2] = { value = "bad", number = 2 } -- as if less() failed for a while
    q.items[3] = { value = 3, number = 3 }
    assert.is_false(pcall(select, { { q, "get" } }))
    assert.are.equal(1, #q)
    q.items[2], q.items[3] = nil, nil
    assert.are.same({ 1, 1 }, { select { { q, "get" } } })
  end)

  it("says when it is closed, before and while it waits", function()
    local q = queue.new()
    local t = selecting { { q, "get" } }
    q:close()
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { support.finish(t) })
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { select { { q, "get" } } })
  end)
end)

describe("select over a semaphore", function()
  it("takes one permit if that is the case that was done, none otherwise", function()
    local semaphore, event = sync.semaphore(1), sync.event()
    assert.are.same({ 1, true }, { select { { semaphore, "acquire" }, { event, "wait" } } })
    local t = selecting { { event, "wait" }, { semaphore, "acquire" } }
    semaphore:release()
    assert.are.same({ 2, true }, { support.finish(t) })
    assert.are.equal(0, #semaphore)
    t = selecting { { event, "wait" }, { semaphore, "acquire" } }
    event:set()
    semaphore:release()
    assert.are.same({ 1, true }, { support.finish(t) })
    assert.are.equal(1, #semaphore)
  end)

  it("says when it is closed", function()
    local semaphore = sync.semaphore(0)
    local t = selecting { { semaphore, "acquire" } }
    semaphore:close()
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { support.finish(t) })
  end)
end)

describe("select over a future", function()
  it("gives its values, or how it failed", function()
    local future, failing = sync.future(), sync.future()
    local t = selecting { { failing, "get" }, { future, "get" } }
    future:set("a", nil, "c")
    assert.are.same({ 2, "a", nil, "c" }, { support.finish(t) })
    assert.are.same({ 1, "a", nil, "c" }, { select { { future, "get" } } })
    failing:fail "reason"
    assert.are.same({ 1, nil, "reason", "EFAILED" }, { select { { failing, "get" } } })
  end)
end)

describe("select over a stream", function()
  it_really("tells when a read would find something, and takes nothing of it", function()
    local here, there = support.pair()
    local quiet = channel.new()
    support.is_failure("ETIMEDOUT", nil, select { { there, "readable" }, timeout = 0 })
    support.is_failure("ETIMEDOUT", nil, select { { there, "readable" }, timeout = 0.01 })
    local t = selecting { { quiet, "get" }, { there, "readable" } }
    here:write "line\nrest"
    assert.are.same({ 2, true }, { support.finish(t) })
    assert.are.same({ 1, true }, { select { { there, "readable" }, timeout = 0 } })
    assert.are.equal("line", there:read())
    assert.are.same({ 1, true }, { select { { there, "readable" } } })
    assert.are.equal("rest", there:read_exactly(4))
    t = selecting { { there, "readable" } }
    here:close()
    assert.are.same({ 1, true }, { support.finish(t) })
    assert.is_nil((there:read_some()))
  end)

  it_really("leaves it to the next reader when another case was done", function()
    local here, there = support.pair()
    local other = channel.new()
    local t = selecting { { there, "readable" }, { other, "get" } }
    other:put "other"
    assert.are.same({ 2, "other" }, { support.finish(t) })
    local reader = support.parked(task.spawn(there.read, there))
    here:write "to the reader\n"
    assert.are.equal("to the reader", support.finish(reader))
  end)

  it_really("tells a reset to the read that follows", function()
    local here, there = support.pair()
    there:write "unread"
    support.until_unread(here)
    local t = selecting { { there, "readable" } }
    here:close()
    assert.are.same({ 1, true }, { support.finish(t) })
    support.is_failure("ECONNRESET", nil, there:read())
  end)

  it_really("says when it is closed, or being read", function()
    local _, there = support.pair()
    local reader = support.parked(task.spawn(there.read, there))
    assert.are.equal("EBUSY", (table.pack(select { { there, "readable" } }))[4])
    reader:cancel()
    reader:join()
    local t = selecting { { there, "readable" } }
    there:close()
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { support.finish(t) })
  end)

  it("works in memory, with its latency", function()
    local here, there = net.memory_pair { latency = 2 }
    local start = task.now()
    local t = selecting { { there, "readable" }, timeout = 10 }
    here:write "x"
    assert.are.same({ 1, true }, { support.finish(t) })
    assert.is_true(task.now() - start >= 2)
    assert.are.equal("x", there:read_exactly(1))
    t = selecting { { there, "readable" } }
    there:close()
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { support.finish(t) })
    here:close()
  end)

  it_really("that is always readable keeps nobody from running", function()
    local here, there = support.pair()
    here:write "x"
    assert.is_true(support.turns_beside(function()
      for _ = 1, 2000 do select { { there, "readable" } } end
    end) > 0)
  end)
end)

describe("select over a listener", function()
  it_really("gives a connection, and takes none when another case was done", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local other = channel.new()
    local t = selecting { { other, "get" }, { listener, "accept" } }
    local here <close> = assert(net.connect(listener:address()))
    local number, there = support.finish(t)
    local _ <close> = there
    assert.are.equal(2, number)
    here:write "hello\n"
    assert.are.equal("hello", there:read())
    t = selecting { { other, "get" }, { listener, "accept" } }
    other:put "other"
    assert.are.same({ 1, "other" }, { support.finish(t) })
    local second <close> = assert(net.connect(listener:address()))
    local accepted <close> = assert(listener:accept(support.patience))
    assert.are.equal(second:address(), accepted:peer())
  end)

  it_really("says when it is closed", function()
    local listener = assert(net.listen("127.0.0.1", 0))
    local t = selecting { { listener, "accept" } }
    listener:close()
    assert.are.same({ 1, nil, "closed", "CLOSED" }, { support.finish(t) })
  end)
end)
