--- Tasks that are abandoned: dropped at the end of the program, or by os.exit, and those that end meanwhile.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

-- Begins a program: `var(name)` is a value that says when it is closed.
local PRELUDE = [[
local task = require "moonlet.task"
local function var(name) return setmetatable({}, { __close = function() print("closed " .. name) end }) end
local function stay() task.shield(nil, task.sleep, 1000) end
]]

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

-- Tasks that do not heed their cancellation, in calls of every kind. Each says its name if anything of it runs.
local STUBBORN = PRELUDE .. [[
local greenlet = require "moonlet.greenlet"
task.spawn(function() local _ <close> = var "of Lua" stay() end)
task.spawn(function() for _ in next, {1}, nil, var "of a loop" do stay() end end)
-- The group's own value is closed by a C function.
task.spawn(function() task.group(function(g) g:spawn(function() local _ <close> = var "of a child" stay() end) end) end)
task.spawn(function()
  local _ <close> = var "below a generator"
  coroutine.wrap(function() local _ <close> = var "of a generator" stay() end)()
end)
task.spawn(function()
  local _ <close> = var "below a greenlet"
  greenlet.new(function() local _ <close> = var "of a greenlet" stay() end):switch()
end)
task.spawn({ stack = "private" }, function() local _ <close> = var "on a stack of its own" stay() end)
local t = task.spawn(function()
  table.sort({ 3, 1, 2 }, function(a, b) local _ <close> = var "of a comparison" stay() return a < b end)
end)
t:on_exit(function() print "on_exit" end)
task.yield()
task.yield()
]]

describe("a task that is dropped at the end of the program", function()
  it("runs nothing, and is told once", function()
    local output, status = support.run(STUBBORN .. "os.exit(3, true)")
    assert.equal(3, status)
    assert.is_nil(output:match "closed [^\n]*", output)
    assert.is_nil(output:match "on_exit")
    assert.equal(8, count(output, "did not end within 5 s of its cancellation"))
    assert.equal(8, count(output, "\n"), output)
  end)

  it("makes the program fail, unless that says otherwise", function()
    local output, status = support.run(PRELUDE .. "task.spawn({ daemon = true }, stay) task.yield()")
    assert.equal(1, status)
    assert.matches("did not end within 5 s", output)
  end)

  it("in a deadlock does not run either", function()
    local output, status = support.run(PRELUDE .. [[
      local event = require "moonlet.sync".event()
      local function wait() while not task.shield(nil, event.wait, event) do end end
      task.spawn(function() local _ <close> = var "of a task" wait() end)
      task.group(function(g) g:spawn(function() local _ <close> = var "of a child" wait() end) end)
    ]])
    assert.equal(70, status)
    assert.is_nil(output:match "closed [^\n]*", output)
    assert.equal(3, count(output, "did not end within 5 s"), output)
  end)
end)

describe("a member of a group", function()
  it("cannot close it, or join it, as a task cannot join itself", function()
    local task = require "moonlet.task"
    for _, name in ipairs { "close", "join" } do
      local message = support.message_of(task.group, function(g)
        g:spawn(function()
          if name == "join" then g:join() end
          local _ <close> = g
        end)
      end)
      assert.matches("cannot " .. name .. " the group that it belongs to", message)
    end
  end)

  it("may ask whether all have ended", function()
    local task = require "moonlet.task"
    local answer
    task.group(function(g)
      g:spawn(function() answer = table.pack(g:join(0)) end)
    end)
    assert.same({ nil, "timeout", "ETIMEDOUT", n = 3 }, answer)
  end)
end)

describe("os.exit(n, true)", function()
  -- What was still to be closed stood on a Lua stack that all tasks share.
  it("in several tasks at once, whose closing variables wait, closes each once", function()
    local output, status = support.run(PRELUDE .. [[
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = task.spawn(function()
          local function slow(name)
            return setmetatable({}, { __close = function()
              task.shield(1, task.sleep, 0.01 * (6 - i))
              print("closed " .. name)
            end })
          end
          local _ <close> = slow("task " .. i)
          coroutine.wrap(function()
            local _ <close> = slow("generator " .. i)
            task.pcall(task.sleep, 60)
            os.exit(i, true)
          end)()
        end)
      end
      task.yield()
      for _, t in ipairs(tasks) do t:cancel() end
      task.sleep(60)
    ]])
    assert.is_true(status >= 1 and status <= 5, output)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    local expected = {}
    for _, name in ipairs { "generator", "task" } do
      for i = 1, 5 do expected[#expected + 1] = ("closed %s %d"):format(name, i) end
    end
    assert.same(expected, lines)
  end)

  it("in a closing variable goes on with the others, those of generators first", function()
    local output, status = support.run(PRELUDE .. [[
      local function leave(n) return setmetatable({}, { __close = function() print(n) os.exit(n, true) end }) end
      local _ <close> = var "of the task"
      coroutine.wrap(function()
        local _ <close> = var "of the generator"
        local _ <close> = leave(5)
        local _ <close> = setmetatable({}, { __close = function()
          coroutine.wrap(function() local _ <close> = var "of one more" os.exit(4, true) end)()
        end })
        os.exit(3, true)
      end)()
    ]])
    assert.equal(5, status)
    assert.equal("closed of one more\n5\nclosed of the generator\nclosed of the task\n", output)
  end)

  it("in a finalizer of the last collection ends the program in order", function()
    local output, status = support.run(PRELUDE .. [[
      require "moonlet.greenlet".new(print)
      task.spawn({ daemon = true }, function() local _ <close> = var "of a daemon" task.sleep(60) end)
      task.yield()
      setmetatable({}, { __gc = function() os.exit(4, true) end })
    ]])
    assert.same({ "closed of a daemon\n", 4 }, { output, status })
  end)
end)

describe("functions that are called at the end of a task", function()
  -- Beyond 4,096 tasks threads are not the pool's, and the results took the place that kept one alive.
  it("may collect, however many tasks there are", function()
    local output, status = support.run(PRELUDE .. [[
      for _ = 1, 4200 do task.spawn({ daemon = true }, task.sleep, 60) end
      local t = task.spawn(function() task.yield() return "a result" end)
      t:on_exit(function(ended)
        for _ = 1, 3 do collectgarbage() end
        print(ended:join(0))
      end)
      print(t:join())
      print(pcall(task.group, { on_error = function(_, e) collectgarbage() print(e) end }, function(g)
        g:spawn(function() task.yield() error("a failure", 0) end)
      end))
      task.on_error(function(_, e) collectgarbage() print(e) end)
      local failed = task.spawn(function() task.yield() error("another", 0) end)
      while failed:status() ~= "failed" do task.yield() end
      print(failed:join())
      local weak = setmetatable({ task.spawn(function() end) }, { __mode = "v" })
      task.yield()
      for _ = 1, 3 do collectgarbage() end
      print(#weak)
    ]], "-W")
    assert.equal(0, count(output, "invariant"))
    assert.equal("true\ta result\ntrue\ta result\na failure\ntrue\nanother\nnil\tanother\tEFAILED\n0\n",
      (output:gsub("Lua warning:[^\n]*\n", "")))
    assert.equal(0, status)
  end)

  it("leave no mutex locked", function()
    local output, status = support.run(PRELUDE .. [[
      local sync = require "moonlet.sync"
      local m = sync.mutex()
      task.spawn(function() m:lock() end):on_exit(function() m:lock() end)
      task.yield()
      print(m:try_lock())
      m:unlock()
      local n = sync.mutex()
      task.group({ on_error = function() n:lock() end }, function(g) g:spawn(error, "x") end)
      print(n:try_lock())
    ]], "-W")
    assert.equal(2, count(output, "task #2 ended while it held the mutex made at script:5: it is unlocked"), output)
    assert.equal(1, count(output, "task #3 ended while it held the mutex made at script:10: it is unlocked"), output)
    assert.equal(2, count(output, "true\n"))
    assert.equal(0, status)
  end)
end)

describe("a generator", function()
  -- Where it ended its task's kind of stack decided.
  it("ends on the stack that it began on, whichever task runs it", function()
    local task = require "moonlet.task"
    local function counter() return coroutine.wrap(function() coroutine.yield(1) return 2 end) end
    for _, how in ipairs { {}, { stack = "private" } } do
      for _, where in ipairs { {}, { stack = "private" } } do
        local next_value = counter()
        local first = select(2, task.spawn(how, function() return next_value() end):join())
        local second = select(2, task.spawn(where, function() return next_value() end):join())
        assert.same({ 1, 2 }, { first, second })
        assert.equal(1, counter()())
      end
    end
  end)
end)
