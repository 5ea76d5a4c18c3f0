-- Profiles tell where the time goes. Shares are compared with generous bounds: other programs run beside the tests.

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local inspect = require "moonlet.inspect"
local profile = require "moonlet.inspect.profile"
local it = support.limited(it)

-- Calls fn() again and again for so many seconds of CPU time.
local function during(seconds, fn)
  local stop = os.clock() + seconds
  while os.clock() < stop do fn() end
end

local function count(n)
  local x = 0
  for i = 1, n do x = x + i % 7 end
  return x
end

local function burn(seconds)
  during(seconds, function() count(1000) end)
end

-- The profile of fn(), also if that does not wait.
local function measure(fn, options)
  assert(profile.start(options))
  local ok, message = xpcall(fn, debug.traceback)
  local measured = profile.stop()
  assert(ok, message)
  return measured
end

local function profile_of(fn, options)
  return profile.render(measure(fn, options), "table")
end

-- The share of the time in stacks in which some frame has that text in it; `from` and `to` choose frames.
local function share(result, text, from, to)
  local all, some = 0, 0
  for _, entry in ipairs(result.stacks) do
    local names = table.concat(entry.stack, "\0", from and math.max(1, #entry.stack + 1 + from) or 1,
      to and math.min(to, #entry.stack) or #entry.stack)
    all = all + entry.seconds
    if names:find(text, 1, true) then some = some + entry.seconds end
  end
  return all > 0 and some / all or 0
end

local function innermost(result, text) return share(result, text, -1) end

local function assert_about(expected, measured, tolerance)
  assert(math.abs(measured - expected) < (tolerance or 0.13), ("%.2f, not %.2f"):format(measured, expected))
end

-- Some tens of samples are a matter of chance, and a busy machine brings them in heaps: a test of shares has 5 tries.
local function tried(body)
  return function()
    local ok, failure
    for _ = 1, 5 do
      ok, failure = pcall(body)
      if ok then return end
    end
    error(failure, 0)
  end
end

local function seconds_of(result)
  local sum = 0
  for _, entry in ipairs(result.stacks) do sum = sum + entry.seconds end
  return sum
end

describe("a profile of CPU time", function()
  it("has each function's share", tried(function()
    local function heavy() burn(0.03) end
    local function light()
      burn(0.01)
    end
    local result = profile_of(function()
      for _ = 1, 25 do
        heavy()
        light()
      end
    end)
    assert(result.samples >= 50, result.samples)
    assert_about(0.75, share(result, "heavy"))
    assert_about(0.25, share(result, "light"))
    assert_about(1, share(result, "burn"))
    assert.equal("cpu", result.mode)
    assert.equal(100, result.hz)
  end))

  it("has all of the CPU time and no other", tried(function()
    local used
    local result = profile_of(function()
      local began = os.clock()
      burn(0.5)
      task.sleep(0.3)
      used = os.clock() - began
    end)
    assert_about(1, seconds_of(result) / used, 0.2)
    assert(result.seconds >= 0.8)
  end))

  it("names C functions", function()
    local result = profile_of(function()
      during(0.4, function() return ("x"):rep(200000) end)
      during(0.4, function() return ("x"):rep(10000):find("y", 1, true) end)
    end)
    assert(innermost(result, "string.rep") > 0.3, innermost(result, "string.rep"))
    assert(innermost(result, "string.rep") + innermost(result, "string.find") > 0.7)
  end)

  it("tells a C function from the Lua function that it calls", function()
    local list = {}
    for i = 1, 5000 do list[i] = (i * 7919) % 5003 end
    local function comparator(a, b)
      count(100)
      return a < b
    end
    local function less(a, b)
      local result = comparator(a, b)
      return result
    end
    local result = profile_of(function()
      during(0.5, function() table.sort(table.move(list, 1, #list, 1, {}), less) end)
    end)
    assert(share(result, "table.sort") > 0.8, share(result, "table.sort"))
    assert(innermost(result, "count") > 0.4, innermost(result, "count"))
    assert(innermost(result, "table.sort") < 0.4, innermost(result, "table.sort"))
    assert(share(result, "comparator") > 0.5, share(result, "comparator"))
  end)

  it("names methods of C", function()
    local file <close> = assert(io.open("/dev/null", "w"))
    local text = ("x"):rep(100)
    local result = profile_of(function()
      during(0.3, function() for _ = 1, 1000 do file:write(text) end end)
    end)
    assert(innermost(result, "file:write") > 0.3, innermost(result, "file:write"))
  end)

  it("names the collector", function()
    if not profile.knows_collector() then return pending "needs the static liblua" end
    local keep = {}
    for i = 1, 100000 do keep[i] = { i } end
    local result = profile_of(function() during(0.4, function() collectgarbage() end) end)
    assert(innermost(result, "(garbage collector)") > 0.8, innermost(result, "(garbage collector)"))
    assert(share(result, "collectgarbage") > 0.8)
    result = profile_of(function()
      during(0.4, function()
        for i = 1, 1000 do keep[i] = { { i }, { i, {} } } end
      end)
      assert.equal(100000, #keep)
    end)
    -- AddressSanitizer's allocations take most of the time.
    local least = os.getenv("MOONLET"):find "asan" and 0.001 or 0.05
    assert(innermost(result, "(garbage collector)") > least, innermost(result, "(garbage collector)"))
  end)

  it("names no collector where none runs", function()
    collectgarbage()
    collectgarbage "stop"
    local result = profile_of(function()
      during(0.2, function()
        for i = 1, 300 do local _ = ("%d %s"):format(i, "abc") .. i end
      end)
      during(0.2, function() local _ = { { 1 }, tostring(count(10)) } end)
    end)
    collectgarbage "restart"
    assert(share(result, "(garbage collector)") < 0.1, share(result, "(garbage collector)"))
  end)

  it("goes through generators, each by its share", tried(function()
    -- Not in step with the samples, of which there are 100 a second.
    local function inner()
      while true do
        burn(0.0137)
        coroutine.yield(1)
      end
    end
    local function outer()
      local next_one = coroutine.wrap(inner)
      while true do
        burn(0.0137)
        coroutine.yield(next_one())
      end
    end
    local result = profile_of(function()
      local generator = coroutine.wrap(outer)
      for _ = 1, 40 do generator() end
    end)
    local through, beside = 0, 0
    for _, entry in ipairs(result.stacks) do
      local names = table.concat(entry.stack, "\0")
      if names:find("burn", 1, true) then
        if names:find("profile_spec.lua:" .. debug.getinfo(inner, "S").linedefined .. ")", 1, true) then
          through = through + entry.seconds
          assert(names:find("profile_spec.lua:" .. debug.getinfo(outer, "S").linedefined .. ")", 1, true), names)
        else
          beside = beside + entry.seconds
        end
      end
    end
    assert_about(0.5, through / (through + beside), 0.15)
  end))

  it("goes through pcall and tail calls", tried(function()
    local function tail()
      burn(0.1)
      return burn(0.1)
    end
    local result = profile_of(function()
      pcall(burn, 0.2)
      tail()
      pcall(pcall, error, "x")
    end)
    assert(share(result, "pcall") > 0.99)
    assert_about(0.25, share(result, "tail ("), 0.15)
    assert(share(result, "burn") > 0.9)
  end))

  it("ends at a bounded depth", function()
    local function deep(n)
      if n == 0 then
        burn(0.6)
        return 0
      end
      return 1 + deep(n - 1)
    end
    local result = profile_of(function() deep(100000) end)
    assert(share(result, "(...)") > 0.85)
    assert(share(result, "burn") > 0.85)
    for _, entry in ipairs(result.stacks) do assert(#entry.stack < 140, #entry.stack) end
    -- Of a stack that is not as deep the outermost calls are there, too.
    result = profile_of(function() deep(500) end)
    assert(share(result, "(...)") > 0.75)
    assert(share(result, "(...)", nil, 1) < 0.1)
  end)

  it("is of all tasks, by their names if asked", tried(function()
    local result = profile_of(function()
      local one = task.spawn({ name = "one" }, burn, 0.3)
      local other = task.spawn(function() burn(0.1) end)
      one:join()
      other:join()
    end, { by_task = true })
    assert_about(0.75, share(result, "one", nil, 1))
    assert_about(0.25, share(result, "task spawned at ", nil, 1))
    assert(share(result, "profile_spec.lua:", nil, 1) > 0.1)
  end))

  it("finds 10,000 tasks that compute shortly", function()
    local function short() count(8000) end
    local result = profile_of(function()
      local tasks = {}
      for i = 1, 10000 do
        tasks[i] = task.spawn(function()
          short()
          task.yield()
          short()
        end)
      end
      for i = 1, #tasks do tasks[i]:join() end
    end)
    assert(share(result, "short") > 0.6, share(result, "short"))
  end)

  it("tells lines if asked", tried(function()
    local first, second
    local function work()
      first = debug.getinfo(1, "l").currentline + 1
      for _ = 1, 6 do count(1000000) end
      second = debug.getinfo(1, "l").currentline + 1
      for _ = 1, 18 do count(1000000) end
    end
    local result = profile_of(work, { lines = true })
    local function at(line) return share(result, ("profile_spec.lua:%d)"):format(line)) end
    assert_about(0.25, at(first))
    assert_about(0.75, at(second))
  end))
end)

describe("a profile of wall time", function()
  it("has what the tasks wait for", tried(function()
    local function waits_long() task.sleep(0.4) end
    local function waits_shortly() task.sleep(0.1) end
    local result = profile_of(function()
      local t = task.spawn(function()
        waits_long()
        waits_shortly()
      end)
      t:join()
    end, { mode = "wall" })
    assert.equal("wall", result.mode)
    local long, short = share(result, "waits_long"), share(result, "waits_shortly")
    assert_about(0.8, long / (long + short), 0.2)
    assert(innermost(result, "(waits for") > 0.8)
  end))

  it("gives each task every second", tried(function()
    local elapsed
    local function sleeper() task.sleep(0.6) end
    local result = profile_of(function()
      local began, tasks = task.now(), {}
      for i = 1, 100 do tasks[i] = task.spawn(sleeper) end
      burn(0.2)
      for i = 1, #tasks do tasks[i]:join() end
      elapsed = task.now() - began
    end, { mode = "wall" })
    assert_about(101, seconds_of(result) / elapsed, 35)
    local total = seconds_of(result)
    assert(share(result, "burn") * total > 0.1, share(result, "burn") * total)
  end))
end)

describe("inspect.profile", function()
  it("waits that long and returns what other tasks did", function()
    local worker = task.spawn(function()
      while true do
        burn(0.01)
        task.sleep(0.001)
      end
    end)
    local began = task.now()
    local result = inspect.profile(0.3)
    assert(task.now() - began >= 0.3)
    worker:cancel()
    assert(share(result, "burn") > 0.5)
  end)

  it("is taken once at a time", function()
    assert(profile.start())
    assert.is_true(profile.is_on())
    support.is_failure("EALREADY", nil, profile.start())
    local ok, message = pcall(inspect.profile, 0.01)
    assert(profile.stop())
    assert.is_nil(profile.stop())
    assert.is_false(profile.is_on())
    assert.is_false(ok)
    assert.matches("being taken already", message)
  end)

  it("says so if other code has ended its profile, and leaves that code's next one alone", function()
    local message
    local waiting = task.spawn(function() message = support.message_of(inspect.profile, 0.1) end)
    support.eventually(profile.is_on)
    assert(profile.stop())
    assert(profile.start())
    waiting:join()
    assert.matches("ended by other code", message)
    assert.is_true(profile.is_on())
    assert(profile.stop())
  end)

  it("ends when its task is cancelled", function()
    local waiting = task.spawn(inspect.profile, 100)
    support.eventually(profile.is_on)
    waiting:cancel()
    waiting:join()
    assert.is_false(profile.is_on())
    assert.equal("table", type(inspect.profile(0)))
  end)

  it("refuses where waiting is, and leaves nothing behind", function()
    local ok = pcall(task.no_switch, inspect.profile, 0.01)
    assert.is_false(ok)
    assert.is_false(profile.is_on())
    local message
    setmetatable({}, { __gc = function() message = support.message_of(inspect.profile, 0.01) end })
    collectgarbage()
    collectgarbage()
    assert.matches("finalizer", message)
    assert.is_false(profile.is_on())
  end)

  it("begins and ends in a finalizer where it does not wait", function()
    local ok
    setmetatable({}, { __gc = function() ok = profile.start() end })
    collectgarbage()
    collectgarbage()
    assert.is_true(ok)
    burn(0.1)
    local result
    setmetatable({}, { __gc = function() result = profile.stop() end })
    collectgarbage()
    collectgarbage()
    assert(result.samples >= 5)
  end)

  it("refuses wrong arguments", function()
    local cases = {
      { "number expected", "x" }, { "table expected", 1, 5 }, { "unknown option 'modus'", 1, { modus = "cpu" } },
      { "mode is", 1, { mode = "heap" } }, { "format is", 1, { format = "html" } }, { "hz is", 1, { hz = 0 } },
      { "hz is", 1, { hz = 1001 } }, { "hz is", 1, { hz = 99.5 } },
      { "a number from 0 on", -1 }, { "a number from 0 on", "-0.5" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(inspect.profile, case[2], case[3])
      assert.is_false(ok)
      assert.matches(case[1], message, 1, true)
      assert.matches("bad argument", message)
    end
    assert.is_false(profile.is_on())
  end)

  it("takes a rate", tried(function()
    local result = profile_of(function() burn(0.5) end, { hz = 20 })
    assert(result.samples >= 6 and result.samples <= 14, result.samples)
    assert_about(0.5, seconds_of(result), 0.2)
  end))
end)

describe("beside a profile", function()
  for _, hook in ipairs { { "", 1 }, { "", 100 }, { "", 100000 }, { "c" }, { "r" }, { "l" }, { "crl", 7 } } do
    it(("a script's hook %q, %s sees what it sees alone"):format(hook[1], hook[2]), function()
      local function counted()
        local events = 0
        debug.sethook(function() events = events + 1 end, hook[1], hook[2])
        count(300000)
        debug.sethook()
        return events
      end
      local alone, beside = counted(), nil
      local result = profile_of(function()
        beside = counted()
        during(0.1, function() counted() end)
      end)
      -- A count is off by a piece each time that the profile looks.
      local slack = hook[2] and hook[1] == "" and 1000 * result.samples // math.min(1000, hook[2]) + 1 or 0
      assert(math.abs(alone - beside) <= math.max(slack, hook[2] and 50 or 0), ("%d, %d"):format(alone, beside))
      assert(share(result, "counted") > 0.7, share(result, "counted"))
      assert.is_nil(debug.gethook())
    end)
  end

  it("no call of a C library is disturbed", function()
    local program = [[
      package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
      local libc = require "libc"
      local profile = require "moonlet.inspect.profile"
      local function burn() local stop = os.clock() + 0.005 while os.clock() < stop do end end
      profile.start { hz = 1000 }
      for _ = 1, 40 do
        burn()
        local began = require "moonlet.task".now()
        assert(libc.usleep(5000) == 0)
        assert(require "moonlet.task".now() - began >= 0.005)
      end
      print(profile.stop().samples > 50)
    ]]
    for _, options in ipairs { "", "--no-interpose" } do
      assert.equal("true\n", (support.run(program, options)))
    end
  end)

  it("a forked child has none, and the parent goes on with its own", function()
    local output = support.run [[
      package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
      local libc = require "libc"
      local profile = require "moonlet.inspect.profile"
      local function burn() local stop = os.clock() + 0.2 while os.clock() < stop do end end
      profile.start()
      local pid = libc.fork(function()
        burn()
        local samples = profile.stop().samples
        return (samples < 5 and not profile.start()) and 7 or 8
      end)
      local _, status = libc.waitpid(pid)
      burn()
      print(status, profile.stop().samples > 8)
    ]]
    assert.matches("7.*true", output)
  end)

  it("a program may end", function()
    for _, ending in ipairs { "", "os.exit(0)", "os.exit(0, true)", "error 'x'", "profile.start()" } do
      local output, status = support.run([[
        local profile = require "moonlet.inspect.profile"
        profile.start { hz = 1000 }
        local stop = os.clock() + 0.05 while os.clock() < stop do end ]] .. ending)
      assert.equal(ending == "error 'x'" and 1 or 0, status, output)
    end
  end)

  it("a thread has a profile of its own", function()
    local function measured_there()
      local there = require "moonlet.inspect.profile"
      there.start()
      local stop = os.clock() + 0.4
      while os.clock() < stop do end
      return there.stop().samples
    end
    local samples
    local result = profile_of(function() samples = require "moonlet.thread".call(measured_there) end)
    assert(samples >= 10, samples)
    assert(result.samples < 10, result.samples)
  end)
end)
