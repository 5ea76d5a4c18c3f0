-- Whole sessions of the Debug Adapter Protocol with `moonlet --debug`, as an editor has them.
local support = dofile "tests/spec/support.lua"
local dap = require "moonlet.inspector.dap"
local json = require "moonlet.json"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"

local it = support.limited(it)

local client = dofile "tests/spec/inspect/dap_client.lua"

local open = client.start

local script = client.script

-- A session up to the program's begin, with breakpoints at those lines.
local function begin(path, breakpoints, launch)
  local c = open()
  assert.is_true(c:call("initialize", { adapterID = "moonlet" }).supportsConfigurationDoneRequest)
  launch = launch or {}
  launch.program = path
  c:call("launch", launch)
  c:await "initialized"
  local list = json.array {}
  for i, one in ipairs(breakpoints) do list[i] = type(one) == "table" and one or { line = one } end
  c:call("setBreakpoints", { source = { path = path }, breakpoints = list })
  return c
end

describe("a session of the Debug Adapter Protocol", function()
  it("launches, stops, looks, sets, steps, and runs to the end", function()
    local path <const>, file <close> = script [[
local list = { 1, 2, name = "x" }
local function sum(a, b)
  local c = a + b
  return c
end
local total = sum(list[1], list[2])
print("total", total, ...)
os.exit(total)
]]
    local c <close> = begin(path, { 3 }, { args = json.array { "one" }, stopOnEntry = true })
    assert.is_true(c:ask("configurationDone").success)
    local id = c:stopped("entry", 1)
    c:call("next", { threadId = id })
    c:stopped("step", 5)
    c:call("continue", { threadId = id })
    local _, frame = c:stopped("breakpoint", 3)
    local scopes = c:call("scopes", { frameId = frame }).scopes
    local variables = c:call("variables", { variablesReference = scopes[1].variablesReference }).variables
    assert.are.same({ "a", "1", "number" }, { variables[1].name, variables[1].value, variables[1].type })
    assert.are.equal("40", c:call("setVariable",
      { variablesReference = scopes[1].variablesReference, name = "a", value = "a + 39" }).value)
    assert.are.equal("42", c:call("evaluate", { expression = "a + b", frameId = frame, context = "watch" }).result)
    assert.is_false(c:ask("evaluate", { expression = "a +", frameId = frame }).success)
    assert.is_false(c:ask("evaluate", { expression = "os.exit()", frameId = frame, context = "hover" }).success)
    local targets = c:call("completions", { text = "str", column = 4, frameId = frame }).targets
    assert.are.equal("string", targets[1].label)
    c:call("stepOut", { threadId = id })
    c:stopped("step", 7)
    assert.are.equal(1, #c:call("threads").threads)
    assert.is_true(#c:call("loadedSources").sources >= 1)
    c:call("continue", { threadId = id })
    assert.are.equal(42, c:await("exited").exitCode)
    c:await "terminated"
    assert.are.equal("total\t42\tone\n", c.output.stdout)
    c:call("disconnect", {})
  end)

  it("holds two tasks while a third goes on, and evaluates what waits", function()
    local path <const>, file <close> = script [[
local task = require "moonlet.task"
local ticks = 0
task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
local function work(n)
  local m = n
  return m
end
local a, b = task.spawn(work, 1), task.spawn(work, 2)
a:join() b:join()
]]
    local c <close> = begin(path, { 5 })
    c:call "configurationDone"
    local one, frame = c:stopped("breakpoint", 5)
    local two = c:stopped("breakpoint", 5)
    assert.are_not.equal(one, two)
    local text = "(function() local b = ticks require('moonlet.task').sleep(0.05) return ticks > b end)()"
    assert.are.equal("nil", c:call("evaluate", { expression = "ticks", frameId = frame }).result)
    assert.is_false(c:ask("evaluate", { expression = text, frameId = frame }).success)
    local slow = c:request("evaluate", { expression = "require('moonlet.task').sleep(1000)", frameId = frame })
    c:call("cancel", { requestId = slow })
    assert.is_false(c:answer(slow).success)
    c:call("continue", { threadId = two })
    c:call("continue", { threadId = one })
    assert.are.equal(0, c:await("exited").exitCode)
  end)

  it("answers what is malformed, and ends well", function()
    local c <close> = open()
    c:raw "Content-Length: 9\r\n\r\n{\"a\": nul"
    c:await "output"
    assert.is_false(c:ask("nosuch").success)
    c:raw "Content-Length: 99999999999\r\n\r\n"
    c:await "output"
    assert.is_nil(c:receive())
    local d <close> = open()
    d:raw "What: 1\r\n\r\n"
    d:await "output"
    assert.is_nil(d:receive())
  end)

  it("refuses unknown commands and wrong arguments while the program stands", function()
    local path <const>, file <close> = script "local x = 1\nreturn x\n"
    local c <close> = begin(path, { 1 })
    c:call "configurationDone"
    local id = c:stopped("breakpoint", 1)
    for _, one in ipairs { { "nosuch", {} }, { "variables", { variablesReference = 99999 } }, { "scopes", {} },
      { "setBreakpoints", {} }, { "stackTrace", {} }, { "next", { threadId = 99999 } }, { "evaluate", {} },
      { "source", {} }, { "exceptionInfo", { threadId = id } }, { "completions", {} } } do
      assert.is_false(c:ask(one[1], one[2]).success, one[1])
    end
    c:call("disconnect", { terminateDebuggee = true })
  end)

  it("stops at errors, and tells them", function()
    local path <const>, file <close> = script "local t = {}\nlocal x = t.a.b\n"
    local c <close> = begin(path, {})
    c:call("setExceptionBreakpoints", { filters = json.array { "uncaught" } })
    c:call "configurationDone"
    local id = c:stopped("exception", 2)
    assert.matches("index a nil value", c:call("exceptionInfo", { threadId = id }).description)
    c:call("continue", { threadId = id })
    assert.are.equal(1, c:await("exited").exitCode)
  end)

  it("pauses a task that computes", function()
    local path <const>, file <close> = script [[
local task = require "moonlet.task"
local n = 0
while n >= 0 do
  task.yield()
  n = n + 1
end
os.exit(7)
]]
    local c <close> = begin(path, {})
    c:call "configurationDone"
    local threads = c:call("threads").threads
    c:call("pause", { threadId = threads[1].id })
    local body = c:await "stopped"
    local frame = c:call("stackTrace", { threadId = body.threadId, levels = 1 }).stackFrames[1].id
    c:call("setExpression", { frameId = frame, expression = "n", value = "-5" })
    c:call("continue", { threadId = body.threadId })
    assert.are.equal(7, c:await("exited").exitCode)
  end)

  it("pauses a task that never lets others run, and gives it a breakpoint", function()
    local path <const>, file <close> = script "local n = 0\nwhile n >= 0 do\n  n = n + 1\nend\nos.exit(7)\n"
    local c <close> = begin(path, {})
    c:call "configurationDone"
    local id = c:call("threads").threads[1].id
    c:call("pause", { threadId = id })
    local body = c:await "stopped"
    assert.are.equal("pause", body.reason)
    c:call("setBreakpoints", { source = { path = path }, breakpoints = json.array { { line = 3 } } })
    c:call("continue", { threadId = id })
    local _, frame = c:stopped("breakpoint", 3)
    c:call("setExpression", { frameId = frame, expression = "n", value = "-5" })
    c:call("continue", { threadId = id })
    assert.are.equal(7, c:await("exited").exitCode)
  end)

  it("stops where no wait is allowed, and all tasks with it", function()
    local path <const>, file <close> = script [[
local task = require "moonlet.task"
local ticks = 0
task.spawn({ daemon = true }, function() while true do ticks = ticks + 1 task.yield() end end)
task.yield()
task.no_switch(function()
  local before = ticks
  os.exit(ticks - before)
end)
]]
    local c <close> = begin(path, { 6 })
    c:call "configurationDone"
    local id, frame = c:stopped("breakpoint", 6)
    local ticks = c:call("evaluate", { expression = "ticks", frameId = frame }).result
    c:call "threads"
    assert.are.equal(ticks, c:call("evaluate", { expression = "ticks", frameId = frame }).result)
    c:call("next", { threadId = id })
    c:stopped("step", 7)
    c:call("continue", { threadId = id })
    assert.are.equal(0, c:await("exited").exitCode)
  end)

  it("writes log texts also of the last moment", function()
    local path <const>, file <close> = script "for i = 1, 3 do\n  io.write(i)\nend\n"
    local c <close> = begin(path, { { line = 2, logMessage = "at {i}" } })
    c:call "configurationDone"
    c:await "terminated"
    assert.are.equal("at 1\nat 2\nat 3\n", c.output.console)
    assert.are.equal("123", c.output.stdout)
  end)

  it("ends the program when its client goes in the middle", function()
    local path <const>, file <close> = script [[
local task = require "moonlet.task"
local x <close> = setmetatable({}, { __close = function() task.shield(5, os.remove, arg[1]) end })
local y = 1
task.sleep(1000)
]]
    local there = os.tmpname()
    local c = begin(path, { 3 }, { args = json.array { there } })
    c:call "configurationDone"
    c:stopped("breakpoint", 3)
    c.child.stdin:close()
    assert.are.equal(0, c.child:wait(support.patience).status)
    assert.is_nil(support.read_file(there))
  end)

  it("ends a program that stands at a breakpoint", function()
    local path <const>, file <close> = script(
      "local x <close> = setmetatable({}, { __close = function() print 'closed' end })\nlocal y = 1\n")
    local c <close> = begin(path, { 2 })
    c:call "configurationDone"
    c:stopped("breakpoint", 2)
    c:call "terminate"
    c:await "exited"
    assert.matches("closed", c.output.stdout)
  end)

  it("tells a person at a terminal that an editor is to start it", function()
    local child <close> = assert(process.spawn { os.getenv "MOONLET", "--debug", pty = {} })
    child.pty:set_timeout(support.patience)
    assert.matches("with an editor that starts it", child.pty:read_line())
    child.pty:write "\4"
    assert.are.equal(0, child:wait(support.patience).status)
  end)

  it("says in one line that the adapter of a program is not there", function()
    local output, status = support.run("print 'runs'", "--debug=/nowhere/at.all")
    assert.are.equal(1, status)
    assert.matches("cannot connect to the debugger: [^\n]*\n$", output)
  end)
end)

describe("a server of the Debug Adapter Protocol", function()
  -- A task that goes on may meet the next breakpoint before the engine has returned.
  it("answers a request before it tells of a stop that came meanwhile", function()
    local tell
    local engine = { own = function() end, detach = function() end, attach = function(fn) tell = fn end }
    function engine.resume(id) tell { event = "stopped", task = id, reason = "breakpoint", hits = {} } end
    local here <const>, there <const> = net.pair()
    local server = task.spawn(dap.serve, there, { engine = engine, finish = function() end })
    local c <close> = client.new(here, here)
    c:request("continue", { threadId = 7 })
    local first, second = c:receive(), c:receive()
    assert.are.equal("response", first.type)
    assert.are.equal("stopped", second.event)
    assert.are.equal(7, second.body.threadId)
    c:call "disconnect"
    assert.is_true(server:join(support.patience))
    there:close()
  end)
end)
