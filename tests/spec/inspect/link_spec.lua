--- The link between a program and its inspector: requests, events, the end of either.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local it = support.limited(it)
local net = require "moonlet.net"
local task = require "moonlet.task"

-- A program that has a part of the agent of its own, and waits.
local PROBE = [[
  local task = require "moonlet.task"
  local agent = require "moonlet.inspect.agent"
  package.preload["moonlet.inspect.agent.probe"] = function()
    local probe = {}
    function probe.echo(...) return ... end
    function probe.fail(text) error(text, 0) end
    function probe.wait(s) task.sleep(s) return "waited", task.current().name end
    function probe.where() return task.current().name end
    function probe.tasks() return #task.list() end
    function probe.fn() return print end
    function probe.go_on() agent.go_on() return "went on" end
    function probe.big(n) return ("x"):rep(n) end
    return probe
  end
]]

local function start(source, opts) return inspected.start(PROBE .. source, opts) end

describe("a request of the inspector", function()
  it("is served while the program waits, and brings values both ways", function()
    local program <close> = start "task.sleep(1000)"
    local values = { 1, "two", 3.5, true, { a = { 4 } } }
    local results = table.pack(program:results("probe.echo", values))
    assert.are.same({ 1, "two", 3.5, true, { a = { 4 } }, n = 5 }, results)
    assert.are.equal(100000, #program:results("probe.big", { 100000 }))
  end)

  it("is served in a task of its own, which may wait, beside others", function()
    local program <close> = start "task.sleep(1000)"
    local waits = {}
    for i = 1, 5 do
      waits[i] = task.spawn(function() return program:results("probe.wait", { 0.2 }, 10) end)
    end
    for i = 1, 5 do
      local text, name = support.finish(waits[i])
      assert.are.equal("waited", text)
      assert.are.equal("inspector", name)
    end
  end)

  it("leaves no task behind in the program", function()
    local program <close> = start "task.sleep(1000)"
    for _ = 1, 3 do assert.are.equal(2, program:results "probe.tasks") end -- main, and its own
  end)

  it("brings the error of its function, with the traceback", function()
    local program <close> = start "task.sleep(1000)"
    local reply = program:call("probe.fail", { "no such thing" })
    assert.are.equal(500, reply.status)
    assert.are.equal("no such thing", reply:json().error)
    assert.matches("probe%.fail", reply:json().traceback)
    assert.matches("has no function 'probe.nothing'", program:call("probe.nothing"):json().error)
    assert.matches("has no function 'nowhere.ever'", program:call("nowhere.ever"):json().error)
    assert.matches("has no function 'echo'", program:call("echo"):json().error)
  end)

  it("refuses results that cannot be copied", function()
    local program <close> = start "task.sleep(1000)"
    local fn = program:call "probe.fn"
    assert.are.equal(500, fn.status)
    assert.matches("result #1", program:call("probe.echo", nil):json().error or "result #1")
  end)

  it("wakes a program whose tasks all wait in a system call", function()
    local program <close> = start [[
      local server = require("moonlet.net").listen("127.0.0.1", 0)
      server:accept()
    ]]
    assert.are.equal("inspector", program:results "probe.where")
  end)

  it("is served by code that computes, at its next instruction", function()
    local program <close> = start [[
      print "computes"
      while true do end
    ]]
    program:line "computes"
    program:answers()
    assert.are.equal("main", program:results "probe.where")
    assert.are.same({ 1, "x" }, { program:results("probe.echo", { 1, "x" }) })
    local reply = program:call("probe.fail", { "no such thing" })
    assert.are.equal("no such thing", reply:json().error)
    reply = program:call("probe.wait", { 0.1 })
    assert.are.equal(500, reply.status) -- a function that waits is refused there
    assert.are.equal("main", program:results "probe.where")
  end)

  it("is served in generators, sorts and protected calls that compute", function()
    local program <close> = start [[
      print "computes"
      local function work()
        table.sort({ 3, 2, 1 }, function(a, b)
          for _ = 1, 100 do pcall(function() assert(a ~= nil) end) end
          return a < b
        end)
      end
      while true do
        for i in coroutine.wrap(function() for i = 1, 10 do work() coroutine.yield(i) end end) do end
      end
    ]]
    program:line "computes"
    for _ = 1, 10 do
      program:answers()
      assert.are.equal("main", program:results "probe.where")
    end
  end)

  it("is not served in the middle of another one, nor while its functions are being loaded", function()
    local program <close> = start [[
      local loads, depth, deepest = 0, 0, 0
      local function compute(seconds)
        local stop = os.clock() + seconds
        while os.clock() < stop do end
      end
      package.preload["moonlet.inspect.agent.slow"] = function()
        loads = loads + 1
        compute(0.06)
        local slow = {}
        function slow.work()
          depth = depth + 1
          deepest = math.max(deepest, depth)
          compute(0.06)
          depth = depth - 1
          return loads, deepest
        end
        return slow
      end
      task.sleep(1000)
    ]]
    local calls = {}
    for i = 1, 4 do calls[i] = task.spawn(program.call, program, "slow.work") end
    for i = 1, 4 do calls[i]:join() end -- some may have come too late
    assert.are.same({ 1, 1 }, { program:results "slow.work" })
  end)

  it("whose function waits is served when code that computes comes to a switch", function()
    local program <close> = start [[
      print "computes"
      local stop = os.clock() + 1
      while os.clock() < stop do end
      print "waits"
      task.sleep(1000)
    ]]
    program:line "computes"
    program:answers()
    assert.are.equal("waited", (program:results("probe.wait", { 0 }, 20)))
  end)

  it("gets 504 while the program waits in C code, whose function is named; and an answer afterwards", function()
    local program <close> = start([[
      print "computes"
      os.execute "sleep 2"
      print "waits"
      task.sleep(1000)
    ]], { options = { "--no-interpose" } })
    program:line "computes"
    local reply = support.eventually(function() -- until the child is started
      local reply = program:get("/state", { once = true })
      return reply.status == 504 and (reply:json().hang or {}).call and reply
    end)
    assert.matches("the program does not answer: it waits in wait", reply:json().error)
    program:line "waits"
    program:answers()
  end)

  it("gets 504 while the program computes in C code", function()
    local program <close> = start [[
      print "computes"
      local text = ("a"):rep(100000)
      text:find ".-.-.-.-b"
    ]]
    program:line "computes"
    support.eventually(function()
      local reply = program:get("/state", { once = true })
      return reply.status == 504 and reply:json().hang.computes
        and reply:json().error:find("computes in a function of Lua's library", 1, true)
    end)
  end)
end)

describe("a program that is inspected", function()
  it("ends as before: when it has nothing to do, after errors, at once by os.exit", function()
    local _, status = support.run("print 'done'", "--inspect")
    assert.are.equal(0, status)
    local output
    output, status = support.run("error 'went wrong'", "--inspect")
    assert.matches("went wrong", output)
    assert.are.equal(1, status)
    _, status = support.run("os.exit(7)", "--inspect")
    assert.are.equal(7, status)
    _, status = support.run("os.exit(8, true)", "--inspect")
    assert.are.equal(8, status)
  end)

  it("is told of its deadlock", function()
    local output, status = support.run("require('moonlet.channel').new():get()", "--inspect")
    assert.are.equal(70, status)
    assert.matches("deadlock: 1 task", output)
  end)

  it("closes the connections of visitors at its end, and is not held up by them", function()
    local program <close> = start [[
      task.sleep(1000)
    ]]
    local idle, half = assert(net.connect("unix:" .. program.path)),
      assert(net.connect("unix:" .. program.path))
    assert(half:write "GET /state HTTP/1.1\r\nHos")
    assert.are.equal(200, program:get("/state").status)
    program.child:kill "TERM"
    local start_of_end = task.now()
    assert.are.same({ status = 143 }, { status = program.child:wait(support.patience).status })
    assert.is_true(task.now() - start_of_end < 5)
    assert.is_nil(idle:read_line())
    half:read_all()
    idle:close()
    half:close()
  end)

  it("leaves no socket behind, however it ends", function()
    for _, ending in ipairs { "", "os.exit(0)", "os.exit(0, true)", "error 'x'" } do
      local path = os.tmpname() .. ".sock"
      support.run(ending, "--inspect=unix:" .. path)
      assert.is_nil(io.open(path))
    end
  end)

  it("has an inspector only in the process that asked for it", function()
    local program <close> = start [[
      local pid = io.popen("echo child; sleep 0.1"):read "a"
      io.write(pid) io.flush()
      task.sleep(1000)
    ]]
    program:line "child"
    assert.are.equal(200, program:get("/state").status)
  end)
end)

describe("a thread that stands still", function()
  it("serves requests until one has it go on", function()
    local program <close> = start [[
      print("still")
      print("went on", task.no_switch(agent.stand_still))
      task.sleep(1000)
    ]]
    program:line "still"
    assert.are.equal("main", program:results "probe.where")
    local waiting = task.spawn(function() return program:results("probe.wait", { 0 }, 20) end)
    assert.are.equal("main", program:results "probe.where")
    assert.are.equal("went on", program:results "probe.go_on")
    assert.are.equal("true", program:line "^went on%s+(%w+)")
    assert.are.equal("waited", (support.finish(waiting)))
  end)

  it("goes on when the program is to end", function()
    local program <close> = start [[
      print("still")
      print("went on", agent.stand_still())
    ]]
    program:line "still"
    program.child:kill "TERM"
    assert.are.equal("false", program:line "^went on%s+(%w+)")
    assert.are.equal(143, program.child:wait(support.patience).status)
  end)
end)

describe("an event", function()
  it("is dropped when there is no inspector, or no room", function()
    local output = support.run [[
      local agent = require "moonlet.inspect.agent"
      print(agent.tell("something", 1))
    ]]
    assert.are.equal("false\n", output)
    local _, status = support.run([[
      local agent = require "moonlet.inspect.agent"
      local told, lost = 0, 0
      for i = 1, 100000 do
        if agent.tell("something", i) then told = told + 1 else lost = lost + 1 end
      end
      os.exit(told >= 1024 and told + lost == 100000)
    ]], "--inspect")
    assert.are.equal(0, status)
  end)
end)
