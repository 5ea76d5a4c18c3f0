-- The debugger's engine beside what else has hooks, and in places where code runs in unusual ways.
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local client = dofile "tests/spec/inspect/dap_client.lua"
local debugger = require "moonlet.inspect.debugger"
local profile = require "moonlet.inspect.profile"

local it = support.limited(it)

describe("the debugger", function()
  local events, files

  before_each(function()
    events, files = {}, {}
    debugger.attach(function(event) events[#events + 1] = event end)
    debugger.own()
  end)

  after_each(function()
    debugger.detach()
    for _, file in ipairs(files) do getmetatable(file).__close() end
  end)

  -- The chunk of a file with that text, with breakpoints at those lines.
  local function load_program(text, ...)
    local path, file = client.script(text)
    files[#files + 1] = file
    local wanted = {}
    for i, line in ipairs { ... } do wanted[i] = { line = line } end
    for _, one in ipairs(debugger.set_breakpoints({ path = path }, wanted)) do assert.is_true(one.verified) end
    return assert(loadfile(path)), path
  end

  local function stop_at(line)
    local event = support.eventually(function()
      local event = table.remove(events, 1)
      return event and event.event == "stopped" and event
    end)
    assert.are.same({ "breakpoint", line }, { event.reason, event.line })
    return event.task
  end

  local function go_on(line) debugger.resume(stop_at(line), "continue") end

  it("leaves a script's own hooks their events, of every kind", function()
    local chunk = load_program([[
local seen = {}
local function f(x)
  local y = x
  return y
end
debug.sethook(function(event, line) seen[event] = (seen[event] or 0) + 1 end, "clr", 100)
for i = 1, 300 do f(i) end
debug.sethook()
return seen
]], 9)
    local run = task.spawn(chunk)
    go_on(9)
    local _, beside = run:join()
    debugger.detach()
    local _, alone = task.spawn(chunk):join()
    debugger.attach(function() end)
    assert.are.same({ alone.call, alone.line, alone["return"] }, { beside.call, beside.line, beside["return"] })
    -- Each call of f() set the hook, and each time Lua began its count anew.
    assert.is_true(math.abs(alone.count - beside.count) <= 3)
  end)

  it("stops in a task that has a hook, before and behind the hook's own changes", function()
    local chunk = load_program([[
local count = 0
local function hook() count = count + 1 end
debug.sethook(hook, "l")
local x = 1
debug.sethook(hook, "c")
local y = 2
debug.sethook()
local z = 3
return debug.gethook(), count
]], 4, 6, 8)
    local run = task.spawn(chunk)
    for _, line in ipairs { 4, 6, 8 } do go_on(line) end
    local ok, hook, count = run:join()
    assert.is_true(ok)
    assert.is_nil(hook)
    assert.is_true(count >= 3)
  end)

  it("does not stop in a hook, which runs without hooks, and stops behind it", function()
    local chunk = load_program([[
local lines = 0
local function hook()
  lines = lines + 1
end
debug.sethook(hook, "l")
local x = 1
debug.sethook()
return lines
]], 3, 8)
    local run = task.spawn(chunk)
    go_on(8)
    assert.are.same({ true, 2 }, { run:join() })
  end)

  it("does not stop in a finalizer, and the collector goes on", function()
    local chunk = load_program([[
local done = 0
local function make()
  return setmetatable({}, { __gc = function()
    done = done + 1
  end })
end
for i = 1, 10 do make() end
collectgarbage()
collectgarbage()
return done
]], 4, 10)
    local run = task.spawn(chunk)
    go_on(10)
    assert.are.same({ true, 10 }, { run:join() })
  end)

  it("stops in a task that is preempted, and lets the others be", function()
    local chunk = load_program([[
local task, state = ...
local n = 0
while not state.done do
  n = n + 1
end
state.n = n
return n
]], 6)
    local state = {}
    local run = task.spawn({ preempt = 1 }, chunk, task, state)
    local other = task.spawn({ preempt = 1 }, function()
      local x = 0
      while not state.done do x = x + 1 end
      return x
    end)
    task.sleep(0.02) -- both compute meanwhile
    state.done = true
    local id = stop_at(6)
    assert.is_true((other:join()))
    assert.is_nil(state.n)
    debugger.resume(id, "continue")
    assert.is_true((run:join()))
    assert.is_true(state.n > 0)
  end)

  it("stops while a profile is taken, which goes on", function()
    local chunk = load_program([[
local sum = 0
for round = 1, 20 do
  for i = 1, 200000 do sum = sum + i end
  local x = round
end
return sum
]], 6)
    assert(profile.start())
    local run = task.spawn(chunk)
    go_on(6)
    assert.is_true((run:join()))
    local result = profile.stop()
    assert.is_true(result.samples > 0)
    assert.is_nil((debug.gethook()))
  end)

  it("stops in the callbacks of a C function, at any depth of them", function()
    local chunk = load_program([[
local function deep(n)
  if n == 0 then
    return 1
  end
  return (select(2, ("x"):gsub("x", function() return tostring(deep(n - 1)) end)))
end
return deep(20)
]], 3)
    local run = task.spawn(chunk)
    local id = stop_at(3)
    local _, count = debugger.stack(id)
    assert.is_true(count >= 60)
    debugger.resume(id, "continue")
    assert.are.same({ true, 1 }, { run:join() })
  end)

  it("stops in many tasks at once, and lets them go on in any order", function()
    local chunk = load_program("local n = ...\nlocal x = n\nreturn x\n", 2)
    local runs, stopped = {}, {}
    for i = 1, 200 do runs[i] = task.spawn(chunk, i) end
    for i = 1, 200 do stopped[i] = stop_at(2) end
    for i = 200, 1, -1 do debugger.resume(stopped[i], i % 3 == 0 and "over" or "continue") end
    for _ = 1, 66 do
      local event = support.eventually(function() return table.remove(events, 1) end)
      assert.are.same({ "step", 3 }, { event.reason, event.line })
      debugger.resume(event.task, "continue")
    end
    for i, run in ipairs(runs) do assert.are.same({ true, i }, { run:join() }) end
  end)

  it("stops in a module of moonlet's own, by a function's name", function()
    local process = require "moonlet.process" -- "moonlet.process.run" is a module, too
    assert.is_true(debugger.set_function_breakpoints({ { name = "moonlet.process.run" } })[1].verified)
    local run = task.spawn(pcall, process.run)
    local event = support.eventually(function() return table.remove(events, 1) end)
    assert.are.equal("function breakpoint", event.reason)
    debugger.set_function_breakpoints {}
    debugger.resume(event.task, "continue")
    assert.is_true((run:join()))
  end)
end)

describe("a program under --preempt", function()
  it("is debugged by a task of its own", function()
    local path <const>, file <close> = client.script [[
local n = 0
for i = 1, 10 do
  n = n + i
end
print("n " .. n)
while true do n = n + 1 end
]]
    local output, status = support.run(([[
local task = require "moonlet.task"
local debugger = require "moonlet.inspect.debugger"
local stops = 0
debugger.attach(function(event)
  if event.event == "stopped" then stops = stops + 1 end
end)
debugger.own()
debugger.set_breakpoints({ path = %q }, { { line = 3, hit_condition = "%% 5" } })
local run = task.spawn(loadfile(%q))
repeat
  task.yield()
  for _, one in ipairs(debugger.tasks()) do
    if one.state == "stopped" then debugger.resume(one.id, "continue") end
  end
until stops == 2
task.yield()
run:cancel()
print("stops " .. stops)
os.exit(0)
]]):format(path, path), "--preempt 1")
    assert.are.equal("n 55\nstops 2\n", output)
    assert.are.equal(0, status)
  end)
end)
