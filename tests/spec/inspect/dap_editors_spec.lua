-- Whole sessions with `moonlet --debug` as editors have them: their requests, in their order.
local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local client = dofile "tests/spec/inspect/dap_client.lua"
local fs = require "moonlet.fs"
local json = require "moonlet.json"
local process = require "moonlet.process"
local task = require "moonlet.task"

local it = support.limited(it)

local list = json.array

local PROGRAM = [[
local function greet(name)
  local text = "hello " .. name
  return text
end
print(greet(...))
]]

-- A program that goes round in work().
local ROUNDS = [[
local rounds = 0
local function work()
  rounds = rounds + 1
  return rounds
end
while true do
  print("rounds " .. work()) io.flush()
  require("moonlet.task").sleep(0.01)
end
]]

local function goes_on(program)
  local first = tonumber(program:line "^rounds (%d+)")
  support.eventually(function() return tonumber(program:line "^rounds (%d+)") > first end)
end

-- ---- Visual Studio Code ----

local vscode = {}

function vscode.begin(c, request, arguments)
  c:call("initialize", { clientID = "vscode", clientName = "Visual Studio Code", adapterID = "moonlet",
    pathFormat = "path", linesStartAt1 = true, columnsStartAt1 = true, supportsVariableType = true,
    supportsVariablePaging = true, supportsRunInTerminalRequest = true, locale = "en",
    supportsProgressReporting = true, supportsInvalidatedEvent = true, supportsMemoryReferences = true,
    supportsArgsCanBeInterpretedByShell = true, supportsMemoryEvent = true, supportsStartDebuggingRequest = true })
  arguments.type, arguments.request, arguments.name = "moonlet", request, "moonlet"
  arguments.__configurationTarget, arguments.__sessionId = 6, "5c9d1f1c-7a58-4b45-8f10-16f7ee1a37c5"
  return c:request(request, arguments)
end

function vscode.configure(c, path, line)
  c:await "initialized"
  local answer = c:call("setBreakpoints", { source = { name = "script.lua", path = path }, lines = list { line },
    breakpoints = list { { line = line } }, sourceModified = false })
  assert.is_true(answer.breakpoints[1].verified)
  c:call("setFunctionBreakpoints", { breakpoints = list {} })
  c:call("setExceptionBreakpoints", { filters = list { "uncaught" }, filterOptions = list {} })
  c:call "configurationDone"
  c:call "threads"
end

-- What it asks at a stop; returns the thread, and the local variables by name.
function vscode.look(c)
  local body = c:await "stopped"
  c:call "threads"
  local top = c:call("stackTrace", { threadId = body.threadId, startFrame = 0, levels = 1 }).stackFrames[1]
  c:call("stackTrace", { threadId = body.threadId, startFrame = 1, levels = 19 })
  local scopes = c:call("scopes", { frameId = top.id }).scopes
  local values = {}
  for _, one in ipairs(c:call("variables", { variablesReference = scopes[1].variablesReference }).variables) do
    values[one.name] = one.value
  end
  c:call("evaluate", { expression = "name", frameId = top.id, context = "hover" })
  return body.threadId, values, top.line
end

-- ---- nvim-dap: numbers its messages from 0, and waits for no answer to launch ----

local nvim = {}

function nvim.begin(c, request, arguments)
  c.last = -1
  c:call("initialize", { clientID = "neovim", clientName = "neovim", adapterID = "nvim-dap", pathFormat = "path",
    columnsStartAt1 = true, linesStartAt1 = true, supportsRunInTerminalRequest = true, supportsVariableType = true,
    supportsProgressReporting = true, locale = "C" })
  arguments.type, arguments.request, arguments.name = "moonlet", request, "this file"
  return c:request(request, arguments)
end

function nvim.configure(c, path, line)
  c:await "initialized"
  c:call("setBreakpoints", { source = { path = path, name = "script.lua" }, sourceModified = false,
    breakpoints = list { { line = line } }, lines = list { line } })
  c:call("setExceptionBreakpoints", { filters = list { "uncaught" } })
  c:call "configurationDone"
end

-- ---- Helix: numbers from 0, and sends null for what it does not say ----

local helix = {}

function helix.begin(c, request, arguments)
  c.last = -1
  c:call("initialize", { clientID = "hx", clientName = "helix", adapterID = "moonlet", locale = "en-us",
    linesStartAt1 = true, columnsStartAt1 = true, pathFormat = "path", supportsVariableType = true,
    supportsVariablePaging = false, supportsRunInTerminalRequest = true, supportsMemoryReferences = false,
    supportsProgressReporting = false, supportsInvalidatedEvent = false })
  return c:request(request, arguments)
end

function helix.configure(c, path, line)
  local null = json.null
  c:await "initialized"
  c:call("setBreakpoints", { sourceModified = false,
    source = { path = path, name = null, sourceReference = null, presentationHint = null, origin = null,
      sources = null, adapterData = null, checksums = null },
    breakpoints = list { { line = line, column = null, condition = null, hitCondition = null, logMessage = null } } })
  c:call("configurationDone", null)
end

for name, editor in pairs { ["Visual Studio Code"] = vscode, ["nvim-dap"] = nvim, Helix = helix } do
  describe("a session as of " .. name, function()
    it("launches a script, stops, steps and ends it", function()
      local path <const>, file <close> = client.script(PROGRAM)
      local c <close> = client.start()
      local launch = editor.begin(c, "launch", { program = path, cwd = "/tmp", args = list { "world" } })
      editor.configure(c, path, 2)
      assert.is_true(c:answer(launch).success)
      local thread, values, line = vscode.look(c)
      assert.are.same({ '"world"', 2 }, { values.name, line })
      c:call("next", { threadId = thread, granularity = "statement" })
      thread, values = vscode.look(c)
      assert.are.equal('"hello world"', values.text)
      c:call("continue", { threadId = thread })
      assert.are.equal(0, c:await("exited").exitCode)
      c:await "terminated"
      c:call("disconnect", { restart = false, terminateDebuggee = true })
      assert.are.equal(0, c.child:wait(support.patience).status)
      assert.are.equal("hello world\n", c.output.stdout)
    end)

    it("is ended by the editor in the middle", function()
      local path <const>, file <close> = client.script(PROGRAM)
      local c <close> = client.start()
      editor.begin(c, "launch", { program = path, args = list { "world" } })
      editor.configure(c, path, 2)
      c:await "stopped"
      c:call("terminate", { restart = false })
      assert.are.equal(143, c:await("exited").exitCode)
      c:await "terminated"
      c:call("disconnect", { restart = false })
      assert.are.equal(0, c.child:wait(support.patience).status)
    end)

    it("attaches to a process, and lets it go on", function()
      local directory <close> = assert(fs.temp_dir())
      local socket = directory.path .. "/x.sock"
      local program <close> = inspected.start(ROUNDS, { address = "unix:" .. socket })
      local c <close> = client.start()
      local attach = editor.begin(c, "attach", { address = "unix:" .. socket })
      editor.configure(c, program.script, 3)
      assert.is_true(c:answer(attach).success)
      local thread = c:stopped("breakpoint", 3)
      c:call("next", { threadId = thread })
      c:stopped("step", 4)
      c:call("disconnect", { restart = false, terminateDebuggee = false })
      c:await "terminated"
      assert.are.equal(0, c.child:wait(support.patience).status)
      goes_on(program)
    end)
  end)
end

describe("an adapter that attaches", function()
  -- A session up to a stop in work().
  local function stop(c, program, arguments)
    local answer = vscode.begin(c, "attach", arguments)
    vscode.configure(c, program.script, 3)
    assert.is_true(c:answer(answer).success)
    return c:stopped("breakpoint", 3)
  end

  it("finds a process by its number", function()
    local directory <close> = assert(fs.temp_dir())
    local env = process.env { XDG_RUNTIME_DIR = directory.path }
    local source <const> = "require 'moonlet.inspect'.listen()\n" .. ROUNDS
    for _, how in ipairs { "processId", "text", "pid", "command line" } do
      local program <close> = inspected.start(source, { env = env })
      program:line "rounds"
      local pid = program.child.pid
      local target = { ["text"] = { processId = tostring(pid) }, ["command line"] = {} }
      local words = how == "command line" and { "--attach", tostring(pid) } or {}
      words.env = env
      local c <close> = client.start(words)
      local answer = vscode.begin(c, how == "command line" and "launch" or "attach", target[how] or { [how] = pid })
      vscode.configure(c, program.script, 4)
      assert.is_true(c:answer(answer).success)
      c:stopped("breakpoint", 4)
      c:call("disconnect", {})
    end
  end)

  it("goes to a port with the token of its URL, if visitors there may write", function()
    local program <close> = inspected.start(ROUNDS, { address = "127.0.0.1:0", options = { "--inspect-write" } })
    local c <close> = client.start()
    stop(c, program, { address = program.place })
    c:call("disconnect", {})
    goes_on(program)
    local looker <close> = inspected.start(ROUNDS, { address = "127.0.0.1:0" })
    local d <close> = client.start()
    local answer = d:answer(vscode.begin(d, "attach", { address = looker.place }))
    assert.is_false(answer.success)
    assert.matches("may only look", answer.message)
    local e <close> = client.start()
    local wrong = program.place:gsub("token=%x+", "token=0123456789abcdef0123456789abcdef")
    answer = e:answer(vscode.begin(e, "attach", { address = wrong }))
    assert.is_false(answer.success)
    e:await "terminated"
  end)

  it("says why it cannot", function()
    local program <close> = inspected.start(ROUNDS)
    local first <close> = client.start()
    stop(first, program, { address = "unix:" .. program.path })
    for target, message in pairs {
      ["unix:" .. program.path] = "attached already", ["unix:/no/where"] = "No such file", ["0"] = "no process 0",
      nonsense = "is no PID", ["http://127.0.0.1/?token=00"] = "no port", [""] = "is no PID",
    } do
      local c <close> = client.start()
      local answer = c:answer(vscode.begin(c, "attach", { address = target }))
      assert.is_false(answer.success)
      assert.matches(message, answer.message)
    end
    local c <close> = client.start()
    assert.matches("no processId", c:answer(vscode.begin(c, "attach", {})).message)
  end)

  it("ends the program if it is asked to, and tells when it has ended", function()
    for _, way in ipairs { "disconnect", "terminate", "signal", "kill" } do
      local program <close> = inspected.start(ROUNDS)
      local c <close> = client.start()
      stop(c, program, { address = "unix:" .. program.path })
      if way == "disconnect" then c:call("disconnect", { terminateDebuggee = true })
      elseif way == "terminate" then c:call("terminate", {})
      else program.child:kill(way == "kill" and "KILL" or "TERM") end
      local ended = program.child:wait(support.patience)
      assert.are.same(way == "kill" and { signal = "KILL" } or { status = 143 }, ended)
      c:await "terminated"
    end
  end)

  it("leaves the program alone when its client goes", function()
    local program <close> = inspected.start(ROUNDS)
    local c = client.start()
    stop(c, program, { address = "unix:" .. program.path })
    c.child.stdin:close()
    assert.are.equal(0, c.child:wait(support.patience).status)
    goes_on(program)
  end)
end)

describe("a script in a terminal of the editor's", function()
  it("reads its input there, and is debugged", function()
    local path <const>, file <close> = client.script "local line = io.read()\nprint('read ' .. line)\n"
    local c <close> = client.start()
    local launch = vscode.begin(c, "launch", { program = path, console = "integratedTerminal" })
    vscode.configure(c, path, 2)
    assert.is_true(c:answer(launch).success)
    c.terminal.stdin:write "typed\n"
    local thread, frame = c:stopped("breakpoint", 2)
    assert.are.equal('"typed"', c:call("evaluate", { expression = "line", frameId = frame }).result)
    c:call("continue", { threadId = thread })
    c:await "terminated"
    assert.are.equal("read typed", c.terminal.stdout:read_line())
    c.terminal:wait(support.patience)
  end)

  it("ends when the editor says so, or goes", function()
    for _, way in ipairs { "disconnect", "gone" } do
      local path <const>, file <close> = client.script(ROUNDS)
      local c <close> = client.start()
      vscode.begin(c, "launch", { program = path, console = "externalTerminal" })
      vscode.configure(c, path, 3)
      c:stopped("breakpoint", 3)
      if way == "disconnect" then c:call("disconnect", {}) else c.child.stdin:close() end
      task.spawn(function() repeat until not c.terminal.stdout:read_some() end)
      assert.are.equal(143, c.terminal:wait(support.patience).status)
    end
  end)
end)
