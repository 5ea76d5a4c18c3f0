-- Preemption: tasks that compute let others run, between two Lua instructions wherever these are.

local support = dofile "tests/spec/support.lua"

-- A program in which `turns` counts how often another task has run, and `alone()` waits, without any wait that moonlet
-- knows of, until that was the case `count` more times. It fails instead of hanging.
local prelude = [[
local moonlet = require "moonlet"
local task = moonlet.task
turns = 0
local over = false
task.spawn({ daemon = true, preempt = false }, function()
  while true do turns = turns + 1 task.yield() end
end)
local deadline = os.time() + 60
function others_run(count)
  local goal = turns + (count or 3)
  while turns < goal do if os.time() > deadline then error "no other task has run" end end
end
]]

local function check(source, options, expected)
  local output, status = support.run(prelude .. source, options or "--preempt 2")
  assert.are.equal(expected or "done\n", output)
  assert.are.equal(0, status)
end

describe("a task that computes is preempted", function()
  it("in the main chunk, in a task, in a module that is being loaded", function()
    check [[
      others_run()
      task.spawn(others_run):join()
      package.preload.slow = function() others_run() return 7 end
      assert(require "slow" == 7)
      print "done"
    ]]
  end)

  it("in generators and greenlets, also nested ones", function()
    check [[
      local function nested(depth)
        if depth == 0 then others_run() coroutine.yield(1) others_run() return 2 end
        return coroutine.wrap(nested)(depth - 1)
      end
      assert(nested(5) == 1)
      local next = coroutine.wrap(function() others_run() coroutine.yield(1) others_run() return 2 end)
      assert(next() == 1 and next() == 2)
      local greenlet = require "moonlet.greenlet"
      local g = greenlet.new(function(a) others_run() return a + 1 end)
      assert(g:switch(3) == 4)
      print "done"
    ]]
  end)

  it("under pcall, xpcall and their message handlers", function()
    check [[
      assert(pcall(others_run))
      assert(xpcall(others_run, debug.traceback))
      local ok, message = xpcall(error, function(text) others_run() return text .. "!" end, "bad")
      assert(not ok and message == "bad!")
      print "done"
    ]]
  end)

  it("in callbacks of gsub, table.sort and load", function()
    check [[
      local text = ("abc"):gsub("%w", function(letter) others_run(1) return letter .. letter end)
      assert(text == "aabbcc")
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b) others_run(1) return a < b end)
      assert(list[1] == 1 and list[2] == 2 and list[3] == 3)
      local parts = { "return ", "5" }
      assert(load(function() others_run(1) return table.remove(parts, 1) end)() == 5)
      print "done"
    ]]
  end)

  it("in metamethods, closing variables and iterators", function()
    check [[
      local object = setmetatable({}, {
        __index = function(_, key) others_run() return key end,
        __newindex = function(t, key, value) others_run() rawset(t, key, value) end,
        __add = function() others_run() return 1 end, __concat = function() others_run() return "c" end,
        __eq = function() others_run() return true end, __lt = function() others_run() return true end,
        __len = function() others_run() return 9 end, __call = function() others_run() return 8 end,
        __close = function() others_run() end, __tostring = function() others_run() return "t" end,
      })
      local other = setmetatable({}, getmetatable(object))
      assert(object.x == "x" and object + 1 == 1 and object .. "" == "c" and object == other and object < other)
      object.y = 5
      assert(object.y == 5 and #object == 9 and object() == 8 and tostring(object) == "t")
      do local _ <close> = object end
      for i in function(_, i) others_run() return i < 2 and i + 1 or nil end, nil, 0 do assert(i <= 2) end
      print "done"
    ]]
  end)

  it("150,000 calls deep", function()
    check([[
      local function deep(n) if n == 0 then others_run(5) return 0 end return 1 + deep(n - 1) end
      assert(deep(150000) == 150000)
      print "done"
    ]])
  end)

  it("in a handler below a router's frames, and in the functions of task.every and task.map", function()
    check [[
      local results = task.map({ 1, 2 }, function(value) others_run() return value * 2 end)
      assert(results[1] == 2 and results[2] == 4)
      local ran = 0
      local every = task.spawn(task.every, 0.001, function() others_run() ran = ran + 1 end)
      while ran < 2 do task.sleep(0.001) end
      every:cancel()
      print "done"
    ]]
  end)

  it("in a thread with a runtime of its own", function()
    check [[
      local thread = require "moonlet.thread"
      local t = thread.spawn(function()
        local task = require "moonlet.task"
        local count = 0
        task.spawn({ daemon = true }, function() while true do count = count + 1 task.yield() end end)
        local deadline = os.time() + 60
        while count < 5 do if os.time() > deadline then return false end end
        return true
      end)
      assert(t:join() == true)
      print "done"
    ]]
  end)
end)

describe("preemption", function()
  it("is off unless it is asked for", function()
    local output = support.run([[
      local task = require "moonlet.task"
      local ran = false
      task.spawn(function() ran = true end)
      local stop = os.clock() + 0.2
      while os.clock() < stop do end
      print(ran)
    ]], "--slow 0")
    assert.are.equal("false\n", output)
  end)

  it("is a task's own, with --preempt or without; it is not inherited", function()
    check([[
      task.spawn({ preempt = true }, others_run):join()
      task.spawn({ preempt = 1 }, others_run):join()
      task.spawn({ preempt = 3.5 }, others_run):join()
      task.spawn({ preempt = true }, function()
        task.spawn(function()
          local before, stop = turns, os.clock() + 0.1
          while os.clock() < stop do end
          assert(turns == before)
        end):join()
      end):join()
      print "done"
    ]], "")
  end)

  it("leaves a task alone that was spawned with preempt = false", function()
    check [[
      task.spawn({ preempt = false }, function()
        local before, stop = turns, os.clock() + 0.1
        while os.clock() < stop do end
        assert(turns == before)
      end):join()
      local group <close> = task.group()
      group:spawn({ preempt = false }, function()
        local before, stop = turns, os.clock() + 0.1
        while os.clock() < stop do end
        assert(turns == before)
      end)
      group:join()
      print "done"
    ]]
  end)

  it("refuses other values", function()
    local task = require "moonlet.task"
    for _, value in ipairs { 0, -1, 0.5, 60001, 1 / 0, 0 / 0, "10", {} } do
      local ok, message = pcall(task.spawn, { preempt = value }, print)
      assert.is_false(ok)
      assert.matches("option 'preempt' must be a boolean or milliseconds, 1 to 60000", message, 1, true)
    end
    for _, value in ipairs { "x", "-1", "0.5", "60001", "nan", "inf", "''", "1x", "''10" } do
      local output, status = support.run("print(1)", "--preempt=" .. value)
      if value ~= "''10" then
        assert.are.equal(1, status)
        assert.matches("'--preempt' needs milliseconds, 1 to 60000", output, 1, true)
      end
    end
    assert.are.equal("1\n", (support.run("print(1)", "--preempt=0")))
    assert.are.equal("1\n", (support.run("print(1)", "--preempt 10")))
  end)

  it("is postponed inside task.no_switch and in finalizers, and comes after it", function()
    check [[
      task.no_switch(function()
        local before, stop = turns, os.clock() + 0.1
        while os.clock() < stop do end
        assert(turns == before)
      end)
      others_run()
      setmetatable({}, { __gc = function()
        local before, stop = turns, os.clock() + 0.1
        while os.clock() < stop do end
        assert(turns == before)
        collected = true
      end })
      collectgarbage()
      assert(collected)
      others_run()
      print "done"
    ]]
  end)

  it("delivers no cancellation: that comes at the next wait", function()
    check [[
      local begun, survived, ended
      local t = task.spawn(function()
        begun = true
        others_run(10)
        survived = true
        task.sleep(60)
        ended = true
      end)
      while not begun do task.yield() end
      t:cancel()
      while t:status() ~= "cancelled" do task.sleep(0.001) end
      assert(survived and not ended)
      print "done"
    ]]
  end)

  it("goes on beside hooks of the script, which see all their events", function()
    check [[
      local lines, counts = 0, 0
      debug.sethook(function() lines = lines + 1 end, "l")
      for _ = 1, 3 do
        others_run()
      end
      local before = lines
      local a = 1
      local b = 2
      assert(lines == before + 3, lines - before)
      debug.sethook(function() counts = counts + 1 end, "", 100)
      others_run()
      local hook, mask, count = debug.gethook()
      assert(hook and mask == "" and count == 100 and counts > 0)
      debug.sethook()
      assert(debug.gethook() == nil)
      others_run()
      print "done"
    ]]
  end)

  it("does not come inside a hook of the script", function()
    check [[
      local disturbed = false
      debug.sethook(function()
        local before, stop = turns, os.clock() + 0.05
        while os.clock() < stop do end
        disturbed = disturbed or turns ~= before
        debug.sethook()
      end, "l")
      local x = 1
      assert(not disturbed)
      others_run()
      print "done"
    ]]
  end)

  it("covers every line once under a coverage tool", function()
    local source = [[
      local covered = {}
      debug.sethook(function(_, line) covered[line] = (covered[line] or 0) + 1 end, "l")
      local n = 0
      for i = 1, 300000 do
        n = n + i % 7
      end
      debug.sethook()
      local first
      for line, count in pairs(covered) do if count == 300000 then first = line end end
      print(first, n)
    ]]
    local plain = support.run(source)
    assert.are.equal(plain, (support.run(source, "--preempt 1")))
  end)

  it("keeps values, varargs and upvalues as they were, many times", function()
    check([[
      local function sum(...)
        local total = 0
        for i = 1, select("#", ...) do total = total + (select(i, ...)) end
        return total
      end
      local tasks, done = {}, 0
      for i = 1, 8 do
        tasks[i] = task.spawn(function()
          local text, total, before = "", 0, turns
          local next = coroutine.wrap(function() while true do for k = 1, 10 do coroutine.yield(k) end end end)
          local round = 0
          while turns - before < 60 do
            round = round + 1
            total = total + sum(1, 2, 3, next())
            text = ("x"):rep(round % 50)
            assert(#text == round % 50)
          end
          local expected = 0
          for r = 1, round do expected = expected + 6 + (r - 1) % 10 + 1 end
          assert(total == expected)
        end)
      end
      for _, t in ipairs(tasks) do t:join() end
      print "done"
    ]], "--preempt 1")
  end)

  it("lets a sleeper run in time beside tasks that compute", function()
    check([[
      local stop = false
      for _ = 1, 10 do task.spawn(function() while not stop do end end) end
      local late = {}
      for i = 1, 50 do
        local due = task.now() + 0.001
        task.sleep(0.001)
        late[i] = task.now() - due
      end
      stop = true
      table.sort(late)
      -- Ten slices would be 50 ms; the median of a machine that has other work to do, too.
      print(late[25] < 0.025 and "done" or late[25])
    ]], "--preempt 5")
  end)

  it("lets every task that computes go on, though others never wait for long", function()
    check([[
      local finished = 0
      for _ = 1, 5 do
        task.spawn(function() for _ = 1, 3e6 do end finished = finished + 1 end)
      end
      task.timeout(50, function() while finished < 5 do task.yield() end end)
      print "done"
    ]], "--preempt 1")
  end)
end)

describe("a task that computes for long", function()
  local beside = 'local task = require "moonlet.task" task.spawn(function() task.sleep(0.05) end) '
  local compute = [[
    local function compute() local stop = os.clock() + 0.3 while os.clock() < stop do end end
    task.spawn({ name = "hog" }, function() pcall(compute) end):join()
  ]]

  -- compute_until(count) computes until so many warnings were due in all: on a busy machine the look may come late.
  local counted = [[
    local inspect = require "moonlet.inspect"
    local function warned()
      for _, series in ipairs(inspect.metrics().moonlet_slices_overrun_total.series) do
        if series.labels.outcome == "warned" then return series.value end
      end
    end
    local function compute_until(count)
      local deadline = os.time() + 30
      while warned() < count do assert(os.time() < deadline, "no warning") end
    end
  ]]

  it("is named by a warning, with its calls while it did, once", function()
    local output = support.run(beside .. compute, "--slow 50")
    local _, warnings = output:gsub("Lua warning: ", "")
    assert.are.equal(1, warnings)
    assert.matches("task 'hog' %(#%d+%) has computed for %d+ ms while other tasks could not run", output)
    assert.matches("script:1: in function <script:1>", output, 1, true)
    assert.matches("in function 'pcall'", output, 1, true)
    assert.matches("spawned at script:2", output, 1, true)
  end)

  it("is warned of without any option, after 100 ms", function()
    local command, path = support.command(beside .. compute)
    local output = support.shell((command:gsub("%-%-slow 0", "")))
    os.remove(path)
    local milliseconds = tonumber(output:match "^Lua warning: task 'hog' %(#3%) has computed for (%d+) ms")
    assert.is_true(milliseconds >= 100)
  end)

  it("is named with its C function", function()
    local output = support.run(beside .. [[
      task.spawn(function() return ("a"):rep(600):find(".-.-b") end):join()
    ]], "--slow 20")
    assert.matches("%[C%]: in function 'string.find'", output)
  end)

  it("is not warned of while it is alone, with --slow 0, after warn '@off', or when it lets others run", function()
    assert.are.equal("", (support.run("local task = require 'moonlet.task' " .. compute, "--slow 5000")))
    assert.are.equal("", (support.run("local s = os.clock() + 0.3 while os.clock() < s do end", "--slow 10")))
    assert.are.equal("", (support.run(beside .. compute, "--slow 0")))
    assert.are.equal("", (support.run("warn '@off' " .. beside .. compute, "--slow 100")))
    assert.are.equal("", (support.run(beside .. [[
      local stop = os.clock() + 0.3
      while os.clock() < stop do task.yield() end
    ]], "--slow 100")))
  end)

  it("is one of ten a minute that are named; the others are counted", function()
    local output = support.run(beside .. counted .. [[
      task.spawn({ daemon = true }, task.sleep, 60)
      for i = 1, 13 do
        compute_until(i)
        task.yield()
      end
    ]], "--slow 5")
    local _, warnings = output:gsub("has computed for", "")
    assert.are.equal(10, warnings)
    assert.matches("Lua warning: 3 more warnings of slow tasks were left out\n$", output)
  end)
end)
