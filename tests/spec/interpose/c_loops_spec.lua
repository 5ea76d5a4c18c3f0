-- Libraries with loops of their own, each in one task beside others: copas, cqueues, luv. And redis-lua.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local task = require "moonlet.task"
local it = support.limited(it)

local copas = libraries.need("copas", "lua-copas") -- before anybody loads socket.http
local socket = libraries.need("socket", "lua-socket")
local cqueues = libraries.need("cqueues", "lua-cqueues")
cqueues.socket = libraries.need("cqueues.socket", "lua-cqueues")
cqueues.condition = libraries.need("cqueues.condition", "lua-cqueues")
local uv = libraries.need("luv", "lua-luv")

local PATIENCE, SPAN, TASKS = support.patience, libraries.SPAN, libraries.TASKS

-- Runs loop() in a task beside another that ticks; fails unless it took about the time of one wait.
local function beside(loop)
  local ticker <close>, from = libraries.ticker(), task.now()
  support.finish(task.spawn(loop))
  local seconds = task.now() - from
  if seconds < 0.9 * SPAN or seconds > TASKS * SPAN / 2 then
    error(("the loop took %.2f s"):format(seconds), 2)
  end
  if ticker.count < 3 then error("no other task ran", 2) end
end

describe("copas", function()
  it("runs its loop in one task, with twenty clients, beside others", function()
    local server <close>, answers = libraries.slow_server(), 0
    for i = 1, TASKS do
      copas.addthread(function()
        local plain = socket.tcp()
        assert(copas.connect(plain, "127.0.0.1", server.port))
        local conn = copas.wrap(plain)
        conn:send(("hello %d\n"):format(i))
        assert.equal("you said hello " .. i, conn:receive("*l"))
        plain:close()
        answers = answers + 1
      end)
    end
    beside(function()
      while answers < TASKS do copas.step(PATIENCE) end
    end)
  end)

  it("serves tasks, until the task of its loop is cancelled", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local closed = 0
    copas.addserver(listener, function(plain)
      local conn = copas.wrap(plain)
      for line in function() return conn:receive("*l") end do
        conn:send("you said " .. line .. "\n")
      end
      plain:close()
      closed = closed + 1
    end)
    local loop = support.parked(task.spawn({ quiet = true }, copas.loop))
    libraries.overlap(function(i)
      local conn = assert(socket.connect("127.0.0.1", port))
      conn:settimeout(PATIENCE)
      task.sleep(SPAN)
      conn:send(("hello %d\n"):format(i))
      assert.equal("you said hello " .. i, conn:receive("*l"))
      conn:close()
    end)
    support.eventually(function() return closed == TASKS end)
    loop:cancel()
    assert.same({ nil, "cancelled", "ECANCELED" }, { loop:join(PATIENCE) })
    listener:close()
  end)

  it("waits as a whole when one of its threads waits for the task", function()
    local order, ticker <close> = {}, libraries.ticker()
    support.finish(task.spawn(function()
      copas.addthread(function()
        libraries.until_ticked(ticker, 2)
        order[#order + 1] = "first"
      end)
      copas.addthread(function() order[#order + 1] = "second" end)
    end))
    assert.same({ "first", "second" }, order)
  end)
end)

describe("cqueues", function()
  setup(function() cqueues.poll(0.001) end) -- opens descriptors that stay

  it("runs its loop in one task, with twenty clients and a timer, beside others", function()
    local server <close>, answers, ticks = libraries.slow_server(), 0, 0
    beside(function()
      local queue = cqueues.new()
      for i = 1, TASKS do
        queue:wrap(function()
          local conn = cqueues.socket.connect("127.0.0.1", server.port)
          conn:setmode("b", "bn")
          assert(conn:write(("hello %d\n"):format(i)))
          assert.equal("you said hello " .. i, conn:read("*l"))
          conn:close()
          answers = answers + 1
        end)
      end
      queue:wrap(function()
        while answers < TASKS do
          cqueues.sleep(0.01)
          ticks = ticks + 1
        end
      end)
      assert(queue:loop())
    end)
    assert.equal(TASKS, answers)
    assert.is_true(ticks >= 3)
  end)

  it("runs twenty loops at once", function()
    local server <close> = libraries.slow_server()
    libraries.overlap(function(i)
      local queue, answer = cqueues.new(), nil
      queue:wrap(function()
        local conn = cqueues.socket.connect("127.0.0.1", server.port)
        conn:setmode("b", "bn")
        assert(conn:write(("hello %d\n"):format(i)))
        answer = conn:read("*l")
        conn:close()
      end)
      assert(queue:loop())
      assert.equal("you said hello " .. i, answer)
    end)
  end)

  it("polls and sleeps outside of its loop, too", function()
    libraries.overlap(function() cqueues.sleep(SPAN) end)
    libraries.overlap(function() cqueues.poll(SPAN) end)
    collectgarbage() -- each of these makes a loop of its own
  end)

  it("wakes one of its threads from another while the loop waits", function()
    local queue, condition, order = cqueues.new(), cqueues.condition.new(), {}
    queue:wrap(function()
      order[#order + 1] = "waits"
      condition:wait()
      order[#order + 1] = "woken"
    end)
    queue:wrap(function()
      cqueues.sleep(0.05)
      order[#order + 1] = "signals"
      condition:signal()
    end)
    local loop = task.spawn(function() return assert(queue:loop()) end)
    support.parked(loop)
    assert.same({ "waits" }, order)
    support.finish(loop)
    assert.same({ "waits", "signals", "woken" }, order)
  end)

  it("waits as a whole when one of its threads waits for the task", function()
    local queue, order, ticker <close> = cqueues.new(), {}, libraries.ticker()
    queue:wrap(function()
      libraries.until_ticked(ticker, 2)
      order[#order + 1] = "first"
    end)
    queue:wrap(function() order[#order + 1] = "other" end)
    support.finish(task.spawn(function() assert(queue:loop()) end))
    table.sort(order)
    assert.same({ "first", "other" }, order)
  end)

  it("is cancelled in its loop, which closes afterwards", function()
    local queue = cqueues.new()
    queue:wrap(function() cqueues.sleep(PATIENCE) end)
    libraries.cancels(function() queue:loop() end, function() queue:close() end)
  end)
end)

describe("luv", function()
  setup(function() -- opens the loop's descriptors, which stay
    uv.new_tcp():close()
    uv.run("nowait")
  end)

  -- The loop's clock stands still between its runs.
  local function once(seconds, fn)
    local timer = uv.new_timer()
    uv.update_time()
    timer:start(math.floor(seconds * 1000), 0, function()
      timer:close()
      fn()
    end)
  end

  it("runs its loop in one task, with twenty clients and a timer, beside others", function()
    local server <close>, answers, ticks = libraries.slow_server(), 0, 0
    beside(function()
      local timer = uv.new_timer()
      uv.update_time()
      timer:start(10, 10, function()
        ticks = ticks + 1
        if answers == TASKS then timer:close() end
      end)
      for i = 1, TASKS do
        local conn, text = uv.new_tcp(), ""
        conn:connect("127.0.0.1", server.port, function(failure)
          assert(not failure, failure)
          conn:write(("hello %d\n"):format(i))
          conn:read_start(function(_, piece)
            text = text .. (piece or "")
            if text ~= ("you said hello %d\n"):format(i) then return end
            answers = answers + 1
            conn:close()
          end)
        end)
      end
      uv.run()
    end)
    assert.equal(TASKS, answers)
    assert.is_true(ticks >= 3)
  end)

  it("asks its own threads, and sleeps in twenty tasks at once", function()
    local names
    beside(function()
      uv.getaddrinfo("localhost", nil, { socktype = "stream" }, function(_, found) names = found end)
      once(SPAN, function() end)
      uv.run()
    end)
    assert.is_true(#names > 0)
    libraries.overlap(function() uv.sleep(math.floor(SPAN * 1000)) end)
  end)

  it("calls functions that wait, in the task that loaded it", function()
    local order, ticker <close> = {}, libraries.ticker()
    once(0, function()
      libraries.until_ticked(ticker, 2)
      order[#order + 1] = "first"
    end)
    once(0.01, function() order[#order + 1] = "second" end)
    uv.run()
    assert.same({ "first", "second" }, order)
  end)

  -- libuv ends the program when epoll_wait() fails.
  it("raises a cancellation when its loop ends, and not before", function()
    local fired = 0
    once(0.1, function() fired = fired + 1 end)
    local loop = support.parked(task.spawn({ quiet = true }, function()
      uv.run()
      fired = fired + 100
    end))
    loop:cancel()
    assert.same({ nil, "cancelled", "ECANCELED" }, { loop:join(PATIENCE) })
    assert.equal(1, fired)
    once(0.1, function() fired = fired + 1 end)
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, uv.run))
    assert.equal(2, fired)
  end)

  it("is stopped by another task", function()
    local timer = uv.new_timer()
    timer:start(PATIENCE * 1000, 0, function() end)
    local async = uv.new_async(function() uv.stop() end)
    local loop = support.parked(task.spawn(function() return uv.run() end))
    async:send()
    assert.is_true(support.finish(loop))
    timer:close()
    async:close()
    uv.run()
  end)
end)
