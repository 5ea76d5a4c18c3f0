--- Calls of C libraries that wait for descriptors: what they give is what libc gives, and only their task waits.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"

local libc, pipe, beside = libc_support.libc, libc_support.pipe, libc_support.beside
local later, SOON = libc_support.later, libc_support.SOON
local IN, OUT, HUP, NVAL = libc.POLLIN, libc.POLLOUT, libc.POLLHUP, libc.POLLNVAL

-- Calls fn while SIGALRM comes every so often: one that comes while another task runs ends no wait.
local function alarmed(fn, ...)
  local alarms <close> = setmetatable({ task.spawn({ daemon = true }, function()
    task.every(2 * SOON, function() libc.alarm(SOON) end)
  end) }, { __close = function(alarms) alarms[1]:cancel() end })
  return beside(fn, ...)
end

describe("poll", function()
  it("waits until a descriptor is ready, and only its task does", function()
    local p <close> = pipe()
    later(libc.write, p[2], "x")
    local count, events = beside(libc.poll, { { p[1], IN } }, -1)
    assert.equal(1, count)
    assert.same({ IN }, events)
  end)

  it("gives each descriptor its events, also twice the same, negative and closed ones", function()
    local p <close> = pipe()
    local closed = libc.open("/dev/null")
    libc.close(closed)
    local count, events = libc.poll({ { p[2], OUT }, { -1, IN }, { closed, IN }, { p[2], OUT } }, 1000)
    assert.equal(3, count)
    assert.same({ OUT, 0, NVAL, OUT }, events)
  end)

  it("waits for the same descriptor twice", function()
    local p <close> = pipe()
    later(libc.write, p[2], "x")
    local count, events = beside(libc.poll, { { p[1], IN }, { p[1], IN }, { -5, IN } }, -1)
    assert.equal(2, count)
    assert.same({ IN, IN, 0 }, events)
  end)

  it("tells the other end's close", function()
    local reading, writing = libc.pipe()
    later(libc.close, writing)
    local count, events = beside(libc.poll, { { reading, IN } }, -1)
    assert.equal(1, count)
    assert.same({ HUP }, events)
    libc.close(reading)
  end)

  it("takes a timeout of 0, and keeps to one in milliseconds", function()
    local p <close> = pipe()
    assert.equal(0, libc.poll({ { p[1], IN } }, 0))
    local start = task.now()
    assert.equal(0, beside(libc.poll, { { p[1], IN } }, 30))
    local span = task.now() - start
    assert.is_true(span >= 0.03 and span < 0.03 + support.patience, span)
    later(libc.write, p[2], "x")
    assert.equal(1, (beside(libc.poll, { { p[1], IN } }, 2147483647)))
  end)

  it("without descriptors sleeps", function()
    assert.equal(0, beside(libc.poll, {}, 30))
  end)

  it("takes 1,000 descriptors and finds the one that is ready", function()
    local list, ends = {}, {}
    for i = 1, 500 do
      local reading, writing = libc.pipe()
      list[i], ends[i] = { reading, IN }, writing
    end
    later(libc.write, ends[377], "x")
    local count, events = beside(libc.poll, list, -1)
    assert.equal(1, count)
    for i = 1, 500 do
      assert.equal(i == 377 and IN or 0, events[i])
      libc.close(list[i][1])
      libc.close(ends[i])
    end
  end)

  it("calls a regular file ready", function()
    local path = os.tmpname()
    local file = libc.open(path)
    assert.same({ IN | OUT }, select(2, libc.poll({ { file, IN | OUT } }, -1)))
    libc.close(file)
    os.remove(path)
  end)

  it("looks for urgent data, which nobody sends, until its time is over", function()
    local a, b = libc.socketpair()
    assert.equal(0, beside(libc.poll, { { a, libc.POLLPRI } }, 50))
    libc.close(a)
    libc.close(b)
  end)

  -- What was known of the descriptor outlived it: libev, asked to watch it, ended the program.
  it("calls a descriptor bad that was found empty and closed then", function()
    local output = support.run(libc_support.prelude .. [[
      local reading = libc.pipe()
      libc.nonblock(reading)
      print(select(2, libc.read(reading, 1)))
      libc.close(reading)
      local count, events = libc.poll({ { reading, 1 } }, 20)
      print(count, events[1])
    ]])
    assert.equal("EAGAIN\n1\t32\n", output)
  end)

  it("is told when another task closes the descriptor it waits for", function()
    local reading, writing = libc.pipe()
    later(libc.close, reading)
    assert.same({ nil, "EBADF", n = 2 }, table.pack(beside(libc.poll, { { reading, IN } }, -1)))
    libc.close(writing)
  end)

  it("of several is told which of them another task has closed", function()
    local reading, writing = libc.pipe()
    local p <close> = pipe()
    later(libc.close, reading)
    local count, events = beside(libc.poll, { { p[1], IN }, { reading, IN } }, -1)
    assert.equal(1, count)
    assert.same({ 0, NVAL }, events)
    libc.close(writing)
  end)

  it("does not take a descriptor opened meanwhile for the one that was closed", function()
    local reading, writing = libc.pipe()
    later(function()
      libc.close(reading)
      local new = libc.open("/dev/zero")
      assert.equal(reading, new)
    end)
    assert.same({ nil, "EBADF", n = 2 }, table.pack(beside(libc.poll, { { reading, IN } }, -1)))
    libc.close(reading)
    libc.close(writing)
  end)

  it("ends with ECANCELED, and the task raises when the C function has returned", function()
    local p <close> = pipe()
    local after
    local waiting = support.parked(task.spawn({ quiet = true }, function()
      libc.poll({ { p[1], IN } }, -1)
      after = true
    end))
    waiting:cancel "enough"
    assert.same({ nil, "cancelled", "ECANCELED", n = 3 }, table.pack(waiting:join()))
    assert.is_nil(after)
  end)

  it("obeys task.timeout, which returns as for every call", function()
    local p <close> = pipe()
    local start = task.now()
    assert.same({ nil, "deadline passed", "EDEADLINE", n = 3 },
      table.pack(task.timeout(SOON, libc.poll, { { p[1], IN } }, -1)))
    assert.is_true(task.now() - start < SOON + support.patience)
  end)

  it("is raised through pcall, and clean-up runs", function()
    local p <close> = pipe()
    local cleaned
    local waiting = support.parked(task.spawn({ quiet = true }, function()
      local _ <close> = setmetatable({}, { __close = function() cleaned = true end })
      pcall(libc.poll, { { p[1], IN } }, -1)
      error "not reached"
    end))
    waiting:cancel()
    assert.equal("ECANCELED", (select(3, waiting:join())))
    assert.is_true(cleaned)
  end)

  it("is ended by a signal, as every sleep is", function()
    local p <close> = pipe()
    local before = libc.alarm()
    assert.same({ nil, "EINTR", n = 2 }, table.pack(alarmed(libc.poll, { { p[1], IN } }, -1)))
    assert.is_true(libc.alarm() > before)
  end)

  it("in 1,000 tasks at once costs each its own wait", function()
    local list, ends, tasks = {}, {}, {}
    for i = 1, 400 do
      local reading, writing = libc.pipe()
      list[i], ends[i] = reading, writing
      tasks[i] = task.spawn(libc.poll, { { reading, IN } }, -1)
    end
    for i = 1, 400 do support.parked(tasks[i]) end
    for i = 400, 1, -1 do libc.write(ends[i], "x") end
    for i = 1, 400 do
      assert.equal(1, (select(2, assert(tasks[i]:join()))))
      libc.close(list[i])
      libc.close(ends[i])
    end
  end)

  it("in a generator parks the whole task, and the generator goes on", function()
    local p <close> = pipe()
    later(libc.write, p[2], "x")
    local generator = coroutine.wrap(function()
      coroutine.yield(libc.poll({ { p[1], IN } }, -1))
    end)
    assert.equal(1, beside(generator))
  end)

  it("in a callback of a C library, which blocks there", function()
    local p <close> = pipe()
    later(function()
      libc.write(p[2], "x")
      libc_support.let_wait()
      libc.write(p[2], "y")
    end)
    local got = {}
    beside(libc.call_back, function()
      libc.poll({ { p[1], IN } }, -1)
      got[#got + 1] = libc.read(p[1], 1)
      task.sleep(0.001)
    end)
    assert.same({ "x", "y" }, got)
  end)

  it("in a finalizer blocks the thread, and is told under -W", function()
    local output = support.run(libc_support.prelude .. [[
      local ticks = 0
      task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
      repeat task.yield() until ticks > 0
      setmetatable({}, { __gc = function() ticks = 0 libc.poll({}, 30) print("ticks", ticks) end })
      collectgarbage()
      task.no_switch(function() ticks = 0 libc.poll({}, 30) print("ticks", ticks) end)
      print("blocked", require "moonlet.patch".status().calls.poll.blocked)
    ]], "-W")
    assert.match("ticks\t0\nticks\t0\nblocked\t2\n", output)
    assert.match("poll%(%) in libc.so makes every task wait: it is made in a finalizer or inside task.no_switch",
      output)
    assert.equal(1, select(2, output:gsub("makes every task wait", "")))
  end)
end)

describe("select", function()
  it("waits for reading and writing, and tells the time that is left", function()
    local p <close> = pipe()
    later(libc.write, p[2], "x")
    local count, readable, writable, left = beside(libc.select, p[1], nil, 5)
    assert.same({ 1, true, false }, { count, readable, writable })
    assert.is_true(left > 0 and left < 5)
    count, readable, writable = libc.select(nil, p[2], nil)
    assert.same({ 1, false, true }, { count, readable, writable })
  end)

  it("clears the sets when its time is over", function()
    local p <close> = pipe()
    assert.same({ 0, false, false, 0.0 }, { beside(libc.select, p[1], nil, SOON) })
  end)

  it("takes descriptors above FD_SETSIZE", function()
    local p <close> = pipe()
    local high = libc.dup2(p[1], 3000)
    if not high then return end -- the process may not have so many
    later(libc.write, p[2], "x")
    local count, readable = beside(libc.select, high, nil, 5)
    assert.same({ 1, true }, { count, readable })
    libc.close(high)
  end)

  -- The kernel takes no notice of them. libev, asked to watch one, ended the program.
  it("takes no notice of numbers for which the process has no place, as libc", function()
    local script = libc_support.prelude .. "print(libc.select(1000, nil, 0.02))"
    assert.equal("0\ttrue\tfalse\t0.0\n", (support.run(script, "--no-interpose")))
    assert.equal("0\ttrue\tfalse\t0.0\n", (support.run(script)))
  end)

  it("fails with EBADF for a closed descriptor, also for one that is closed meanwhile", function()
    local reading, writing = libc.pipe()
    later(libc.close, reading)
    assert.same({ nil, "EBADF", n = 2 }, table.pack(beside(libc.select, reading, nil, nil)))
    assert.same({ nil, "EBADF", n = 2 }, table.pack(libc.select(reading, nil, nil)))
    libc.close(writing)
  end)
end)

describe("epoll_wait", function()
  it("waits on a set of its own", function()
    local p <close> = pipe()
    later(libc.write, p[2], "x")
    assert.equal(1, beside(libc.epoll, p[1], -1))
    assert.equal(1, libc.epoll(p[1], 0))
    libc.read(p[1], 1)
    assert.equal(0, beside(libc.epoll, p[1], 20))
  end)
end)

describe("a sleep", function()
  it("of any kind lets others run", function()
    local start = task.now()
    assert.equal(0, beside(libc.nanosleep, SOON))
    assert.equal(0, beside(libc.usleep, 20000))
    assert.equal(0, beside(libc.sleep_until, "realtime", SOON))
    assert.equal(0, beside(libc.sleep_until, "monotonic", SOON))
    assert.is_true(task.now() - start >= 4 * SOON)
  end)

  it("tells what is left of it when a signal ends it", function()
    local result, code, left = alarmed(libc.nanosleep, 50)
    assert.same({ nil, "EINTR" }, { result, code })
    assert.is_true(left > 0 and left < 50)
    left = alarmed(libc.sleep, 50)
    assert.is_true(left > 0 and left < 50) -- whole seconds
  end)

  it("of no time returns", function()
    assert.equal(0, libc.nanosleep(0))
    assert.equal(0, libc.sleep(0))
  end)

  it("jumps with the virtual clock", function()
    local output = support.run(libc_support.prelude .. [[
      local clock <close> = require "moonlet.test".virtual_clock()
      print(libc.sleep(100000))
    ]])
    assert.equal("0\n", output)
  end)
end)
