-- What a program of tasks shows to the outside: its reports on stderr, its exit status, its end.

local support = dofile("tests/spec/support.lua")
local it = support.limited(it)
local run = support.run

local function count(text, part)
  local n = 0
  for _ in text:gmatch((part:gsub("%p", "%%%0"))) do n = n + 1 end
  return n
end

describe("an error of a task", function()
  it("is reported once, with the task's name and the traceback, and gives exit status 1", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local function deep() error("something broke") end
      task.spawn({ name = "worker" }, function() deep() return 1 end)
      task.sleep(0.01)
      print("main goes on")
    ]]
    assert.equal(1, count(output, "something broke"))
    assert.matches("task 'worker' (#2) failed: script:2: something broke", output, 1, true)
    assert.matches("stack traceback:.-script:2: in.-script:3: in", output)
    assert.matches("main goes on", output, 1, true)
    assert.equal(1, status)
  end)

  it("is reported with the place where the task was spawned, in the script and not in moonlet's own code", function()
    local output = run [[
      local task = require "moonlet.task"
      local function boom() error("boom") end
      task.spawn(boom)
      task.group({ on_error = "report" }, function(g)
        g:spawn(boom)
      end)
    ]]
    assert.matches("spawned at script:3", output, 1, true)
    assert.matches("spawned at script:5", output, 1, true)
  end)

  it("goes to the function given to task.on_error instead, with the traceback", function()
    local output, status = run [[
      local task = require "moonlet.task"
      assert(task.on_error(function(t, err, traceback)
        print(t.name, t:status(), err[1], traceback:match("in.-function.-spawned at") ~= nil)
      end) == nil)
      task.spawn({ name = "worker" }, function() error({ "told" }) end)
    ]]
    assert.equal("worker\tfailed\ttold\ttrue\n", output)
    assert.equal(0, status)
  end)

  it("is reported after all, with the handler's own, when that fails", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.on_error(function() error("handler broke") end)
      task.spawn(error, "task broke")
      task.sleep(0.005)
      assert(type(task.on_error(nil)) == "function")
      task.spawn(error, "plainly told")
    ]]
    assert.matches("handler broke", output, 1, true)
    assert.matches("task broke", output, 1, true)
    assert.matches("plainly told", output, 1, true)
    assert.equal(1, status)
  end)

  it("is not reported when somebody waits in join", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local t = task.spawn(function() task.sleep(0.005) error("mine to handle") end)
      print(t:join())
    ]]
    assert.equal(1, count(output, "mine to handle"))
    assert.matches("EFAILED", output, 1, true)
    assert.equal(0, status)
  end)

  it("is not reported when the task is quiet", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.spawn({ quiet = true }, error, "unheard")
    ]]
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("is reported for values that are no strings, too", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.spawn(error, setmetatable({}, { __tostring = function() return "speaks for itself" end }))
      task.spawn(error, {})
      task.spawn(error)
      task.spawn(error, setmetatable({}, { __tostring = function() error "in vain" end }))
    ]]
    assert.matches("task #2 failed: speaks for itself", output, 1, true)
    assert.matches("task #3 failed: (error object is a table value)", output, 1, true)
    assert.matches("task #4 failed: (error object is a nil value)", output, 1, true)
    assert.matches("task #5 failed: (error object is a table value, and its __tostring fails)", output, 1, true)
    assert.equal(1, status)
  end)

  it("stays inside its task", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local ended = 0
      for i = 1, 10 do
        task.spawn(function()
          task.sleep(0.001 * i)
          if i % 2 == 0 then error("even " .. i) end
          ended = ended + 1
          if ended == 5 then print("five ended") end
        end)
      end
    ]]
    assert.equal(5, count(output, "failed: "))
    assert.matches("five ended", output, 1, true)
    assert.equal(1, status)
  end)
end)

describe("a cancelled task", function()
  it("is not reported", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local t = task.spawn(task.sleep, 1000)
      task.yield()
      t:cancel("enough")
    ]]
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("that raises an error of its own meanwhile is reported", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local t = task.spawn(function() error("before any wait") end)
      task.spawn(function() task.current():cancel() error("not a cancellation") end)
    ]]
    assert.matches("before any wait", output, 1, true)
    assert.matches("not a cancellation", output, 1, true)
    assert.equal(1, status)
  end)
end)

describe("a program", function()
  it("ends with status 0 when all went well", function()
    assert.same({ "", 0 }, { run "local x = 1" })
  end)

  it("ends with status 1, and the usual message, when its main chunk fails", function()
    local output, status = run "local x = 1\nerror('main failed')"
    assert.matches("script:2: main failed\nstack traceback:", output, 1, true)
    assert.equal(1, status)
  end)

  it("waits for its tasks, after an error of the main chunk as well", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.spawn(function() task.sleep(0.02) print("task ended") end)
      error("main ended")
    ]]
    assert.matches("main ended.*task ended", output)
    assert.equal(1, status)
  end)

  it("does not wait for daemons, and runs their <close> at the end", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.spawn({ daemon = true }, function()
        local guard <close> = setmetatable({}, { __close = function(_, err)
          print("closed", task.is_cancellation(err))
        end })
        task.sleep(1000)
        print("never")
      end)
      task.spawn(function() task.sleep(0.01) print("foreground") end)
    ]]
    assert.equal("foreground\nclosed\ttrue\n", output)
    assert.equal(0, status)
  end)

  it("is not kept alive by a daemon that is always ready", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.spawn({ daemon = true }, function() while true do task.yield() end end)
      task.sleep(0.01)
    ]]
    assert.same({ "", 0 }, { output, status })
  end)

  it("stops at a deadlock: each parked task is told, the status is 70", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local a, b
      a = task.spawn({ name = "first" }, function() task.yield() b:join() end)
      b = task.spawn({ name = "second" }, function() a:join() end)
      task.spawn({ daemon = true, name = "third" }, function() a:join() end)
      b:join()
    ]]
    assert.equal(70, status)
    assert.matches("deadlock: 4 tasks", output, 1, true)
    assert.matches("task 'first' (#2) waits for the end of task #3", output, 1, true)
    assert.matches("task 'second' (#3) waits for the end of task #2", output, 1, true)
    assert.matches("task 'third' (#4) waits for the end of task #2", output, 1, true)
    assert.matches("task 'main' (#1) waits for the end of task #3", output, 1, true)
    assert.matches("script:3: in", output, 1, true)
    assert.matches("script:6: in", output, 1, true)
  end)

  it("tells tasks that wait for the same at the same place together, naming some", function()
    local output, status = run [[
      local task, channel = require "moonlet.task", require "moonlet.channel"
      local ch = channel.new()
      for _ = 1, 2000 do task.spawn(function() ch:get() end) end
      task.spawn({ name = "other" }, function() ch:get() end)
    ]]
    assert.equal(70, status)
    assert.matches("task #2, task #3, task #4, task #5, task #6 and 1995 more wait for a value from a channel\n"
      .. "stack traceback:\n.*script:3: in function <script:3>\nspawned at script:3\n", output)
    assert.matches("task 'other' (#2002) waits for a value from a channel\nstack traceback:", output, 1, true)
    assert.equal(2, count(output, "stack traceback"))
  end)

  it("tells no more than some of them, and how many there are beside", function()
    local output, status = run [[
      local task, channel = require "moonlet.task", require "moonlet.channel"
      local ch = channel.new()
      local source = {}
      for i = 1, 300 do source[i] = "task.spawn(function() ch:get() end)" end
      load("local task, ch = ... " .. table.concat(source, "\n"), "=many")(task, ch)
    ]]
    assert.equal(70, status)
    assert.matches("moonlet: 280 more tasks are not told here\n", output)
    assert.equal(20, count(output, "stack traceback"))
  end)

  it("names the task that holds a mutex, also when it got that after the others came", function()
    local output, status = run [[
      local task, mutex = require "moonlet.task", require "moonlet.sync".mutex()
      local never = require "moonlet.channel".new()
      task.spawn(function() mutex:lock() task.yield() mutex:unlock() end)
      task.spawn({ name = "holder" }, function() mutex:lock() never:get() end)
      task.spawn(function() mutex:lock() end)
      task.yield()
      mutex:lock()
    ]]
    assert.equal(70, status)
    assert.matches("task 'holder' (#3) waits for a value from a channel", output, 1, true)
    assert.matches("task #4 waits for a mutex held by task #3\n", output, 1, true)
    assert.matches("task 'main' (#1) waits for a mutex held by task #3\n", output, 1, true)
  end)

  it("runs pending <close> at a deadlock", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local me = task.current()
      task.spawn(function() me:join() end)
      local guard <close> = setmetatable({}, { __close = function() print("closed") end })
      task.list()[2]:join()
    ]]
    assert.equal(70, status)
    assert.matches("closed\n", output, 1, true)
  end)

  it("is no deadlock while a clock or a descriptor can wake somebody", function()
    local output, status = run [[
      local task, net = require "moonlet.task", require "moonlet.net"
      local listener = net.listen("127.0.0.1", 0)
      local t = task.spawn(function() return listener:accept() end)
      task.spawn(function() t:join() end)
      print((task.timeout(0.05, t.join, t)))
      listener:close()
      print(t:join())
    ]]
    assert.equal("nil\ntrue\tnil\tclosed\tCLOSED\n", output)
    assert.equal(0, status)
  end)
end)

describe("os.exit", function()
  it("ends the program at once with the status", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local guard <close> = setmetatable({}, { __close = function() print("never") end })
      task.spawn(function() os.exit(7) end)
      task.sleep(1000)
    ]]
    assert.same({ "", 7 }, { output, status })
  end)

  it("closes what is pending in every task when asked to close the state", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local function guard(name)
        return setmetatable({}, { __close = function() print("closed " .. name) end })
      end
      local main <close> = guard "main"
      for i = 1, 3 do
        task.spawn({ daemon = i == 2 }, function()
          local own <close> = guard("task " .. i)
          task.sleep(1000)
        end)
      end
      task.spawn({ stack = "private" }, function()
        local own <close> = guard "caller"
        coroutine.wrap(function()
          pcall(table.sort, { 3, 1, 2 }, function() os.exit(5, true) end)
        end)()
      end)
      task.sleep(1000)
    ]]
    assert.equal(5, status)
    for _, name in ipairs { "main", "task 1", "task 2", "task 3", "caller" } do
      assert.equal(1, count(output, "closed " .. name), name)
    end
  end)

  it("takes booleans as lua5.4 does, from the main chunk and from tasks", function()
    for source, expected in pairs {
      ["os.exit(true, true)"] = 0, ["os.exit(false, true)"] = 1, ["os.exit(false)"] = 1,
      ["require('moonlet.task').spawn(os.exit, 3, true)"] = 3,
      ["coroutine.wrap(function() os.exit(4, true) end)()"] = 4,
    } do
      assert.same({ "", expected }, { run(source) })
    end
  end)
end)

describe("what is left open", function()
  it("is told by a warning with the place where it was made", function()
    local output = run([[
      local net = require "moonlet.net"
      do
        local listener = net.listen("127.0.0.1", 0)
        local stream = net.connect(listener:address())
        local closed <close> = net.connect(listener:address())
      end
      collectgarbage()
      print("collected")
      kept = net.listen("127.0.0.1", 0)
    ]], "-W")
    local before, after = output:match("^(.*)collected\n(.*)$")
    assert.matches("Lua warning: net.stream [%d.:]+ <%- [%d.:]+ %(open%) was never closed; made at script:4\n", before)
    assert.matches("Lua warning: net.listener [%d.:]+ %(open%) was never closed; made at script:3\n", before)
    assert.equal(2, count(before, "\n"))
    assert.matches("net.listener [%d.:]+ %(open%) was never closed; made at script:9\n", after)
  end)

  it("is no warning's business without -W", function()
    assert.equal("", (run [[require("moonlet.net").listen("127.0.0.1", 0)]]))
  end)
end)

describe("task.report", function()
  it("tells an error as that of the calling task, which goes on", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local function caught() task.report("oops") end
      caught()
      local err = setmetatable({}, { __tostring = function() return "text" end })
      task.spawn({ name = "x" }, task.report, err, "where"):join()
      task.report({}, "where")
      print("goes on")
    ]]
    assert.matches("task 'main' %(#1%) failed: oops\nstack traceback:.*script:2: in .*caught", output)
    assert.matches("task 'x' %(#2%) failed: text\nwhere\n", output)
    assert.matches("task 'main' %(#1%) failed: %(error object is a table value%)\nwhere\n", output)
    assert.matches("goes on", output)
    assert.equal(1, status)
  end)

  it("goes to the function given to task.on_error", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.on_error(function(t, err, traceback)
        print(t == task.current(), err.code, traceback, pcall(task.sleep, 0))
      end)
      task.report({ code = 7 }, "where")
      task.on_error(function(_, err) if err ~= "inner" then task.report("inner", "there") end print(err) end)
      task.report("outer")
      task.sleep(0)
    ]]
    assert.equal("true\t7\twhere\tfalse\tcannot wait while the end of a task is being told\ninner\nouter\n", output)
    assert.equal(0, status)
  end)

  it("is told, and the failure of the function given to task.on_error, too", function()
    local output, status = run [[
      local task = require "moonlet.task"
      task.on_error(function() error("handler broke", 0) end)
      task.report("oops", "where")
    ]]
    assert.matches("handler broke", output)
    assert.matches("task 'main' %(#1%) failed: oops\nwhere\n", output)
    assert.equal(1, status)
  end)

  it("names the argument that is wrong", function()
    local output = run [[
      local task = require "moonlet.task"
      print(pcall(task.report))
      print(pcall(task.report, 1, {}))
    ]]
    assert.matches("bad argument #1 to '[%w.]*report'", output)
    assert.matches("bad argument #2 to '[%w.]*report'", output)
  end)
end)

describe("a suspended greenlet to which nobody can switch any more", function()
  it("closes its variables at the end of the program at the latest", function()
    local output, status = run [[
      local task = require "moonlet.task"
      local greenlet = require "moonlet.greenlet"
      local g = greenlet.new(function()
        local x <close> = setmetatable({}, { __close = function() task.sleep(0.001) print("closed") end })
        greenlet.current().parent:switch()
      end)
      g:switch()
      print("main ends")
    ]]
    assert.equal("main ends\nclosed\n", output)
    assert.equal(0, status)
  end)
end)

describe("a daemon that still waits when the program ends", function()
  local source = [[
    local task = require "moonlet.task"
    task.spawn({ daemon = true }, function() require("moonlet.channel").new():get() end)
    task.yield()
  ]]

  it("is told by a warning with the place where it was spawned", function()
    local output, status = run(source, "-W")
    assert.matches("Lua warning: task #2, spawned at script:2, still waited for a value from a channel",
      output, 1, true)
    assert.equal(0, status)
  end)

  it("is no warning's business without -W", function()
    assert.equal("", (run(source)))
  end)
end)
