-- moonlet.test.preempt: switches after random numbers of instructions.

local debug = debug -- busted looks globals up by functions of its own
local support = dofile "tests/spec/support.lua"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local test = require "moonlet.test"

describe("test.preempt", function()
  after_each(function() test.preempt() end)

  -- Two tasks add to one number `count` times each. Returns the number.
  local function add_twice(count, around)
    local number = 0
    local function add()
      local old = number
      number = old + 1
    end
    local function add_all()
      for _ = 1, count do around(add) end
    end
    task.all { add_all, add_all }
    return number
  end

  local function call(fn) fn() end

  it("finds an update that is lost, the same one with the same seed", function()
    assert.are.equal(2000, add_twice(1000, call))
    local results = {}
    for round = 1, 4 do
      local _ <close> = test.preempt(round <= 3 and 7 or 8, 20)
      results[round] = add_twice(1000, call)
    end
    assert.is_true(results[1] < 2000)
    assert.are.equal(results[1], results[2])
    assert.are.equal(results[1], results[3])
    assert.are_not.equal(results[1], results[4])
    assert.are.equal(2000, add_twice(1000, call))
  end)

  it("loses none under a mutex, or inside task.no_switch", function()
    local _ <close> = test.preempt(3, 5)
    local mutex = sync.mutex()
    assert.are.equal(400, add_twice(200, function(add) local _ <close> = mutex:lock() add() end))
    assert.are.equal(400, add_twice(200, task.no_switch))
  end)

  it("keeps every value through a million preemptions: in generators, protected calls and callbacks", function()
    local runtime = require("moonlet.inspect.metrics.core").runtime
    local goal = runtime().slices_preempted + 1000000
    local function numbers(n)
      return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end end)
    end
    local function round(seed)
      local sum, text = 0, ("word "):rep(5)
      for i in numbers(10) do sum = sum + select(2, pcall(function(...) return (...) + seed end, i)) end
      local count = select(2, text:gsub("%a+", function(word) return #word .. seed end))
      return sum == 55 + 10 * seed and count == 5
    end
    local function compute(seed)
      return function()
        while runtime().slices_preempted < goal do
          for _ = 1, 20 do assert(round(seed)) end
        end
      end
    end
    local _ <close> = test.preempt(11, 2)
    task.all { compute(1), compute(2), compute(3) }
    assert.is_true(runtime().slices_preempted >= goal)
  end)

  it("takes any seed, and a mean from 1 to 1000000", function()
    for _, seed in ipairs { 1, -1, math.mininteger, math.maxinteger } do
      for _, mean in ipairs { 1, 2, 1000, 1000000 } do
        test.preempt(seed, mean)
        assert.is_true(add_twice(20, call) >= 20)
      end
    end
    test.preempt(0)
    assert.are.equal(2000, add_twice(1000, call))
    for _, arguments in ipairs { { "1" }, { 1.5 }, { 1, 0 }, { 1, 1000001 }, { 1, "x" }, { 1, 1.5 } } do
      local ok, message = pcall(test.preempt, arguments[1], arguments[2])
      assert.is_false(ok)
      assert.matches("bad argument #%d to 'preempt' %(integer ", message)
    end
  end)

  it("switches in generators, callbacks and metamethods, with all values in place", function()
    local _ <close> = test.preempt(11, 3)
    local function work()
      local next = coroutine.wrap(function()
        for i = 1, 30 do coroutine.yield(i, ("x"):rep(i)) end
      end)
      local object = setmetatable({}, { __index = function(_, key) return key .. "!" end })
      for i = 1, 30 do
        local number, text = next()
        assert(number == i and #text == i and object[text] == text .. "!")
      end
      local text = ("abcdef"):gsub("%w", function(letter) local l = letter return l:upper() end)
      local list = {}
      for i = 1, 50 do list[i] = (i * 37) % 50 end
      table.sort(list, function(a, b) local x, y = a, b return x < y end)
      for i = 1, 50 do assert(list[i] == i - 1) end
      local ok, message = pcall(function() local e = "bad" error(e, 0) end)
      assert(not ok and message == "bad")
      return text
    end
    local results = task.all { work, work, work, work }
    for i = 1, 4 do assert.are.equal("ABCDEF", results[i]) end
  end)

  it("leaves a script's own hooks all their events", function()
    local lines = 0
    local _ <close> = test.preempt(5, 2)
    debug.sethook(function() lines = lines + 1 end, "l")
    local a = 1
    local b = a + 1
    local c = b + 1
    debug.sethook()
    assert.are.equal(4, lines)
    assert.are.equal(3, c)
  end)

  it("is many switches, in a generator and beside it", function()
    local count = tonumber(os.getenv("MOONLET_PREEMPTIONS")) or 20000
    local switches, last = 0, nil
    local stop = false
    test.preempt(1, 10)
    local function compute(name)
      local next = coroutine.wrap(function() local i = 0 while true do i = i + 1 coroutine.yield(i) end end)
      local expected = 0
      while not stop do
        expected = expected + 1
        assert(next() == expected)
        if last ~= name then switches, last = switches + 1, name end
        stop = stop or switches >= count
      end
    end
    task.all { function() compute(1) end, function() compute(2) end, function() compute(3) end }
    test.preempt()
    assert.is_true(switches >= count)
  end)

  it("ends with the program", function()
    local output, status = support.run [[
      local task, test = require "moonlet.task", require "moonlet.test"
      test.preempt(1, 1)
      local done = 0
      for i = 1, 10 do task.spawn(function() for _ = 1, 100 do end done = done + 1 end) end
      setmetatable({}, { __gc = function() for _ = 1, 100 do end end })
      collectgarbage()
      while done < 10 do end
      print "done"
    ]]
    assert.are.equal("done\n", output)
    assert.are.equal(0, status)
  end)
end)
