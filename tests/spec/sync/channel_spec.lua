--- Channels and select: order, fairness, and that a wait that ended otherwise has done nothing.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local task = require "moonlet.task"
local channel = require "moonlet.channel"
local sync = require "moonlet.sync"

describe("a channel", function()
  it("without capacity hands each value from put to get", function()
    local ch = channel.new()
    local log = {}
    local putter = task.spawn(function()
      for i = 1, 3 do
        ch:put(i)
        log[#log + 1] = "put " .. i
      end
    end)
    support.parked(putter)
    assert.are.same({}, log)
    assert.are.equal(1, ch:get())
    assert.are.equal(2, ch:get())
    assert.are.equal(3, ch:get())
    support.finish(putter)
    assert.are.same({ "put 1", "put 2", "put 3" }, log)
  end)

  it("with capacity takes that many, then put waits", function()
    local ch = channel.new(2)
    assert.is_true(ch:put "a")
    assert.is_true(ch:put "b")
    assert.are.equal(2, #ch)
    support.is_failure("ETIMEDOUT", "timeout", ch:put("c", 0))
    local putter = support.parked(task.spawn(ch.put, ch, "c"))
    assert.are.equal(1, ch:balance())
    assert.are.equal("a", ch:get())
    assert.is_true(support.finish(putter))
    assert.are.equal("b", ch:get())
    assert.are.equal("c", ch:get())
    support.is_failure("ETIMEDOUT", "timeout", ch:get(0))
  end)

  it("keeps the order through many turns of its buffer", function()
    local ch = channel.new(3)
    local t = task.spawn(function() for i = 1, 100 do ch:put(i) end ch:close() end)
    local expected = 0
    for value in ch:values() do
      expected = expected + 1
      assert.are.equal(expected, value)
    end
    assert.are.equal(100, expected)
    support.finish(t)
  end)

  it("serves those who wait in the order in which they came", function()
    local ch, log = channel.new(), {}
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = support.parked(task.spawn(function() local value = ch:get() log[#log + 1] = { i, value } end))
    end
    assert.are.equal(-5, ch:balance())
    for i = 1, 5 do ch:put(i * 10) end
    for i = 1, 5 do support.finish(tasks[i]) end
    assert.are.same({ { 1, 10 }, { 2, 20 }, { 3, 30 }, { 4, 40 }, { 5, 50 } }, log)
  end)

  it("loses nothing to a get that timed out or was cancelled", function()
    local ch = channel.new()
    support.is_failure("ETIMEDOUT", "timeout", ch:get(0.001))
    local cancelled = support.parked(task.spawn(ch.get, ch))
    cancelled:cancel()
    local patient = support.parked(task.spawn(ch.get, ch))
    assert.is_true(ch:put "kept")
    assert.are.equal("kept", support.finish(patient))
    assert.are.equal("ECANCELED", (select(3, cancelled:join())))
    assert.are.equal(0, ch:balance())
  end)

  it("gives a value that was handed over even to one cancelled right after", function()
    local ch, got = channel.new(), nil
    local getter = support.parked(task.spawn(function()
      got = ch:get()
      task.yield()
    end))
    ch:put "value"
    getter:cancel()
    getter:join()
    assert.are.equal("value", got)
  end)

  it("does not take the value of a put that was cancelled", function()
    local ch = channel.new()
    local putter = support.parked(task.spawn(ch.put, ch, "gone"))
    putter:cancel()
    putter:join()
    support.is_failure("ETIMEDOUT", nil, ch:get(0))
  end)

  it("that is closed gives what is buffered, then fails, and wakes all who wait", function()
    local ch = channel.new(1)
    ch:put(1)
    local putter = support.parked(task.spawn(ch.put, ch, 2))
    ch:close()
    ch:close()
    support.is_failure("CLOSED", "closed", support.finish(putter))
    support.is_failure("CLOSED", "closed", ch:put(3))
    assert.are.equal(1, ch:get())
    support.is_failure("CLOSED", "closed", ch:get())
    local empty = channel.new()
    local getter = support.parked(task.spawn(empty.get, empty))
    empty:close "why"
    assert.are.same({ n = 3, nil, "why", "CLOSED" }, table.pack(support.finish(getter)))
    assert.are.same({ n = 3, nil, "why", "CLOSED" }, table.pack(empty:put(1)))
    assert.are.equal("why", support.message_of(function() for _ in empty:values() do end end))
  end)

  it("refuses nil, and wrong capacities", function()
    local ch = channel.new()
    assert.is_truthy(support.message_of(ch.put, ch, nil):find "cannot carry nil")
    assert.is_truthy(support.message_of(channel.new, -1):find "negative")
    assert.is_truthy(support.message_of(channel.new, "x"):find "number expected")
    assert.is_truthy(support.message_of(ch.get, {}):find "channel expected")
  end)

  it("raises in a cancelled task even if it need not wait, but not with timeout 0", function()
    local ch, log = channel.new(5), {}
    local t = task.spawn(function()
      task.current():cancel()
      log[1] = ch:put(1, 0)
      log[2] = pcall(ch.put, ch, 2)
    end)
    t:join()
    assert.are.same({ true }, log)
    assert.are.equal(1, #ch)
  end)

  it("keeps a value alive no longer than it holds it", function()
    local ch = channel.new(4)
    local weak = setmetatable({}, { __mode = "k" })
    for _ = 1, 3 do
      local value = {}
      weak[value] = true
      ch:put(value)
    end
    for _ = 1, 3 do ch:get() end
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

describe("select", function()
  it("gets or puts whatever can be done at once, in turns", function()
    local a, b = channel.new(100), channel.new(100)
    for i = 1, 100 do
      a:put(i)
      b:put(-i)
    end
    local counts = { 0, 0 }
    for _ = 1, 60 do
      local index = channel.select { { a, "get" }, { b, "get" } }
      counts[index] = counts[index] + 1
    end
    assert.is_true(counts[1] > 15 and counts[2] > 15)
    local room = channel.new(1)
    assert.are.same({ 2, true }, { channel.select { { channel.new(), "get" }, { room, "put", 5 } } })
    assert.are.equal(5, room:get())
  end)

  it("waits for the first of several", function()
    local a, b, event = channel.new(), channel.new(), sync.event()
    local t = support.parked(task.spawn(channel.select, { { a, "get" }, { b, "put", "x" }, { event, "wait" } }))
    assert.are.equal("x", b:get())
    assert.are.same({ 2, true }, { support.finish(t) })
    assert.are.equal(0, a:balance())
    t = support.parked(task.spawn(channel.select, { { a, "get" }, { event, "wait" } }))
    event:set()
    assert.are.same({ 2, true }, { support.finish(t) })
    local worker = task.spawn(function() return "done", 2 end)
    assert.are.same({ 1, true, "done", 2 }, { channel.select { { worker, "join" }, { a, "get" } } })
  end)

  it("meets another select", function()
    local ch = channel.new()
    local getter = support.parked(task.spawn(channel.select, { { ch, "get" }, { channel.new(), "get" } }))
    assert.are.same({ 1, true }, { channel.select { { ch, "put", "met" } } })
    assert.are.same({ 1, "met" }, { support.finish(getter) })
  end)

  it("does one thing only, though several become possible before it runs", function()
    local a, b = channel.new(), channel.new()
    local t = support.parked(task.spawn(channel.select, { { a, "get" }, { b, "get" } }))
    assert.is_true(a:put(1, 0))
    support.is_failure("ETIMEDOUT", nil, b:put(2, 0))
    assert.are.same({ 1, 1 }, { support.finish(t) })
  end)

  it("gives up after its timeout, or at once with a default, and has done nothing", function()
    local ch = channel.new()
    support.is_failure("ETIMEDOUT", "timeout", channel.select { { ch, "get" }, timeout = 0.001 })
    support.is_failure("ETIMEDOUT", "timeout", channel.select { { ch, "get" }, timeout = 0 })
    assert.are.same({ "default", 7 }, { channel.select { { ch, "get" }, default = 7 } })
    assert.are.equal(0, ch:balance())
  end)

  it("tells of closed channels", function()
    local ch = channel.new()
    local t = support.parked(task.spawn(channel.select, { { channel.new(), "get" }, { ch, "get" } }))
    ch:close()
    assert.are.same({ n = 4, 2, nil, "closed", "CLOSED" }, table.pack(support.finish(t)))
    assert.are.same({ n = 4, 1, nil, "closed", "CLOSED" },
      table.pack(channel.select { { ch, "put", 1 } }))
  end)

  it("that is cancelled leaves no trace", function()
    local ch, event = channel.new(), sync.event()
    local t = support.parked(task.spawn(channel.select, { { ch, "get" }, { event, "wait" } }))
    t:cancel()
    t:join()
    assert.are.equal(0, ch:balance())
    event:set()
    support.is_failure("ETIMEDOUT", nil, ch:put(1, 0))
  end)

  it("refuses what is no case, before it does anything", function()
    local ch = channel.new(1)
    local function refused(pattern, case)
      assert.is_truthy(support.message_of(channel.select, { { ch, "put", 1 }, case }):find(pattern, 1, true))
      assert.are.equal(0, #ch)
    end
    refused("case 2: a table", 5)
    refused('case 2: "get", "put"', { ch, "steal" })
    refused("case 2: a channel to get from", { {}, "get" })
    refused("case 2: a task to join", { ch, "join" })
    refused("case 2: a channel cannot carry nil", { ch, "put" })
  end)
end)
