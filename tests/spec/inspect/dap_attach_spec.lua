--- Sessions of the Debug Adapter Protocol with a program that runs already, at its inspector.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local client = dofile "tests/spec/inspect/dap_client.lua"
local it = support.limited(it)
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local task = require "moonlet.task"

local UPGRADE = "GET /dap HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: dap\r\n\r\n"

local function connect(program)
  local stream = assert(net.connect("unix:" .. program.path))
  stream:set_timeout(support.patience)
  assert(stream:write(UPGRADE))
  return stream, assert(stream:read_until "\r\n\r\n")
end

-- A session with breakpoints at those lines.
local function attach(program, lines)
  local stream, head
  support.eventually(function() -- until a former session has ended
    if stream then stream:close() end
    stream, head = connect(program)
    return head:find "^HTTP/1%.1 101 "
  end)
  local c = client.new(stream, stream)
  c:call("initialize", { adapterID = "moonlet" })
  c:call("attach", {})
  c:await "initialized"
  local list = json.array {}
  for i, line in ipairs(lines) do list[i] = { line = line } end
  local answer = c:call("setBreakpoints", { source = { path = program.script }, breakpoints = list })
  for _, one in ipairs(answer.breakpoints) do assert.is_true(one.verified) end
  assert.is_true(c:ask("configurationDone").success)
  return c
end

local function value_of(c, text, frame)
  return c:call("evaluate", { expression = text, frameId = frame }).result
end

-- Waits until a number of the program, which prints it, grows.
local function goes_on(program)
  local first = tonumber(program:line "^rounds (%d+)")
  support.eventually(function() return tonumber(program:line "^rounds (%d+)") > first end)
end

local SERVER = [[
local task, http, net = require "moonlet.task", require "moonlet.http", require "moonlet.net"
local rounds = 0
local function work(n)
  rounds = rounds + n
  return rounds
end
local listener = net.listen("127.0.0.1", 0)
print("port " .. listener:address().port)
local server = http.server(function() return 200, nil, "served" end)
task.spawn({ name = "server" }, listener.serve, listener, function(conn) server:serve(conn) end)
while true do
  work(1)
  print("rounds " .. rounds) io.flush()
  task.sleep(0.01)
end
]]

describe("a session at /dap", function()
  it("stops a task at a breakpoint while another serves HTTP, lets it go on, and leaves in the middle", function()
    local program <close> = inspected.start(SERVER)
    local browser <close> = http.client {}
    local url = "http://127.0.0.1:" .. program:line "^port (%d+)" .. "/"
    local c <close> = attach(program, { 4 })
    local id, frame = c:stopped("breakpoint", 4)
    local rounds = value_of(c, "rounds", frame)
    for _ = 1, 3 do assert.are.equal("served", assert(browser:get(url)).body) end
    assert.are.equal(rounds, value_of(c, "rounds", frame))
    c:call("continue", { threadId = id })
    frame = select(2, c:stopped("breakpoint", 4))
    assert.are.equal(math.tointeger(rounds) + 1, math.tointeger(tonumber(value_of(c, "rounds", frame))))
    c:call("next", { threadId = id })
    c:stopped("step", 5)
    c:call("disconnect", {})
    goes_on(program)
    assert.are.equal("served", assert(browser:get(url)).body)
    local again <close> = attach(program, { 5 }) -- the former session has left nothing
    again:stopped("breakpoint", 5)
  end)

  it("lets the program go on when its connection is cut", function()
    local program <close> = inspected.start(SERVER)
    local c = attach(program, { 4 })
    c:stopped("breakpoint", 4)
    c.reader:close()
    goes_on(program)
  end)

  it("pauses a task that computes, and steps in it", function()
    local program <close> = inspected.start [[
local n = 0
print "computes"
while true do
  n = n + 1
end
]]
    program:line "computes"
    local c <close> = attach(program, {})
    c:call("pause", { threadId = 1 })
    local stop = c:await "stopped"
    assert.are.equal("pause", stop.reason)
    local frame = c:call("stackTrace", { threadId = 1 }).stackFrames[1].id
    local n = value_of(c, "n", frame)
    assert.are.equal(n, value_of(c, "n", frame))
    c:call("continue", { threadId = 1 })
    assert.is_true(c:call("setBreakpoints", { source = { path = program.script },
      breakpoints = json.array { { line = 4 } } }).breakpoints[1].verified)
    c:stopped("breakpoint", 4)
    c:call("disconnect", {})
    program:answers()
  end)

  it("stops code that may not wait, and all tasks with it", function()
    local program <close> = inspected.start [[
local task = require "moonlet.task"
local rounds, ticks = 0, 0
task.spawn({ name = "ticker" }, function() while true do ticks = ticks + 1 task.sleep(0.001) end end)
local function work()
  rounds = rounds + 1
  return rounds
end
while true do
  task.no_switch(work)
  print("rounds " .. rounds) io.flush()
  task.sleep(0.01)
end
]]
    local c <close> = attach(program, { 5 })
    local id, frame = c:stopped("breakpoint", 5)
    local ticks = value_of(c, "ticks", c:call("evaluate", { expression = "1", frameId = frame }) and frame)
    assert.are.equal("42", value_of(c, "40 + 2", frame))
    assert.are.equal(ticks, value_of(c, "ticks", frame))
    c:call("next", { threadId = id })
    c:stopped("step", 6)
    c:call("continue", { threadId = id })
    c:stopped("breakpoint", 5)
    c:call("disconnect", {})
    goes_on(program)
  end)

  it("ends the program that stands still, by terminate and by a signal", function()
    for _, way in ipairs { "terminate", "signal" } do
      local program <close> = inspected.start [[
local task = require "moonlet.task"
local function work()
  return 1
end
while true do
  task.no_switch(work)
  task.sleep(0.01)
end
]]
      local c <close> = attach(program, { 3 })
      c:stopped("breakpoint", 3)
      if way == "terminate" then c:call("terminate", {}) else program.child:kill "TERM" end
      assert.are.equal(143, program.child:wait(support.patience).status)
    end
  end)

  it("is for one client at a time, which asks for the upgrade", function()
    local program <close> = inspected.start "require('moonlet.task').sleep(1000)"
    assert.are.equal(426, program:get("/dap").status)
    local c <close> = attach(program, {})
    local second, head = connect(program)
    assert.matches("^HTTP/1%.1 409 ", head)
    second:close()
    assert.is_true(#c:call("threads").threads >= 1)
  end)

  it("does not stop the tasks that serve it, whatever has a breakpoint", function()
    local program <close> = inspected.start(SERVER)
    program:line "^rounds" -- so that both tasks are there
    local c <close> = attach(program, {})
    local names, list = { "agent.answer", "agent.debugger.call", "debugger.tasks", "debugger.evaluate" }, json.array {}
    for i, name in ipairs(names) do list[i] = { name = "moonlet.inspect." .. name } end
    for _, one in ipairs(c:call("setFunctionBreakpoints", { breakpoints = list }).breakpoints) do
      assert.is_true(one.verified)
    end
    for _ = 1, 3 do
      assert.is_true(#c:call("threads").threads >= 2)
      assert.are.equal("2", value_of(c, "1 + 1"))
    end
    program:answers()
    c:call("disconnect", {})
    goes_on(program)
  end)

  it("begins for one of ten clients that come at once, and for each when its turn has come", function()
    local program <close> = inspected.start(SERVER)
    local sessions, turns = {}, {}
    for i = 1, 10 do
      turns[i] = task.spawn(function()
        local c <close> = attach(program, { 4 })
        sessions[#sessions + 1] = i
        assert(#sessions == 1)
        c:stopped("breakpoint", 4)
        sessions[#sessions] = nil
      end)
    end
    for i = 1, 10 do assert(turns[i]:join()) end
    goes_on(program)
  end)

  it("answers what is malformed, and wrong arguments", function()
    local program <close> = inspected.start "require('moonlet.task').sleep(1000)"
    local c <close> = attach(program, {})
    assert.is_false(c:ask("nothing", {}).success)
    assert.is_false(c:ask("stackTrace", { threadId = "x" }).success)
    assert.is_false(c:ask("scopes", { frameId = 99 }).success)
    assert.is_false(c:ask("evaluate", { expression = "error 'wrong'" }).success)
    local slow = c:request("evaluate", { expression = "require('moonlet.task').sleep(1000)" })
    c:call("cancel", { requestId = slow })
    assert.is_false(c:answer(slow).success)
    c:raw "Content-Length: 3\r\n\r\n[1]"
    c:await "output"
    c:raw "nonsense\r\n\r\n"
    support.eventually(function() return not c:receive() end)
    program:answers()
  end)
end)
