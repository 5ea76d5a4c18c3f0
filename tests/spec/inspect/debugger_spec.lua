-- The debugger's engine, in one process: the test's own task is the client, others are debugged.
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local debugger = require "moonlet.inspect.debugger"

local it = support.limited(it)

-- A debugged file with that text: its path and its chunk.
local function program(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path, assert(loadfile(path))
end

describe("the debugger", function()
  local events, paths

  before_each(function()
    events, paths = {}, {}
    debugger.attach(function(event) events[#events + 1] = event end)
    debugger.own()
  end)

  after_each(function()
    debugger.detach()
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  -- The next event of that kind; the others are dropped.
  local function await(kind)
    return support.eventually(function()
      local event = table.remove(events, 1)
      return event and event.event == kind and event
    end)
  end

  local function stop_at(reason, line)
    local event = await "stopped"
    assert.are.same({ reason, line }, { event.reason, event.line })
    return event.task
  end

  -- Steps of a stopped task, with the lines at which they end: steps(id, "over", 6, "in", 2).
  local function steps(id, aim, line, ...)
    debugger.resume(id, aim)
    stop_at("step", line)
    if ... then steps(id, ...) end
  end

  local function load_program(text)
    local path, chunk = program(text)
    paths[#paths + 1] = path
    return path, chunk
  end

  local function top(id)
    return debugger.stack(id, 0, 1)[1].id
  end

  local function value(id, text)
    local result, message = debugger.evaluate(top(id), text)
    return result and result.value or message
  end

  local function breaks(path, ...)
    local wanted = {}
    for i, line in ipairs { ... } do
      wanted[i] = type(line) == "table" and line or { line = line }
    end
    return debugger.set_breakpoints({ path = path }, wanted)
  end

  it("stops a task at a breakpoint while others go on", function()
    local path, chunk = load_program "local a = 1\nlocal b = a + 1\nreturn b\n"
    local others = 0
    breaks(path, 2)
    local stopped = task.spawn(chunk)
    local id = stop_at("breakpoint", 2)
    local other = task.spawn(function() for _ = 1, 5 do task.yield() others = others + 1 end end)
    other:join()
    assert.are.equal(5, others)
    assert.are.equal("stopped", debugger.task(id).state)
    debugger.resume(id, "continue")
    assert.are.same({ true, 2 }, { stopped:join() })
  end)

  it("moves a breakpoint to the next line with code, and tells which", function()
    local path = load_program "local a = 1\n-- a comment\n\nlocal b = 2\nreturn a, b\n"
    local results = breaks(path, 2, 5, 9)
    assert.are.same({ true, 4 }, { results[1].verified, results[1].line })
    assert.are.same({ true, 5 }, { results[2].verified, results[2].line })
    assert.is_false(results[3].verified)
    assert.are.same({ 4, 5 }, debugger.locations({ path = path }, 2, 9))
  end)

  it("finds lines in functions far down in a file", function()
    local lines = {}
    for i = 1, 400 do
      local broken = i % 3 == 0 and "\n" or ""
      lines[i] = "do local function f" .. i .. "(x)" .. broken .. " return x, 1.5, 'a', nil end end"
    end
    local text = table.concat(lines, "\n") .. "\nreturn function() return (function(...)\n  return ...\nend)() end\n"
    local path, chunk = load_program(text)
    local count = select(2, text:gsub("\n", "\n"))
    assert.are.same({ count - 1 }, debugger.locations({ path = path }, count - 1, count - 1))
    breaks(path, count - 1)
    local run = task.spawn(chunk())
    debugger.resume(stop_at("breakpoint", count - 1))
    run:join()
  end)

  it("looks at conditions and counts of hits, and writes log texts", function()
    local path, chunk = load_program "local sum = 0\nfor i = 1, 10 do\n  sum = sum + i\nend\nreturn sum\n"
    breaks(path, { line = 3, condition = "i % 2 == 0", hit_condition = "== 3" },
      { line = 3, log = "i is {i}, {nosuch.x}{" })
    local run = task.spawn(chunk)
    local logged, id = {}, nil
    repeat
      local event = support.eventually(function() return table.remove(events, 1) end)
      if event.event == "output" then logged[#logged + 1] = event.text end
      if event.event == "stopped" then id = event.task end
    until id
    assert.are.equal("6", value(id, "i"))
    assert.are.equal(6, #logged)
    assert.matches("^i is 1, <.*nil value.*>{\n$", logged[1])
    debugger.resume(id, "continue")
    assert.are.same({ true, 55 }, { run:join() })
  end)

  it("counts hits as the text beside a breakpoint says", function()
    local cases = {
      ["3"] = "345", ["= 3"] = "3", ["==3"] = "3", [">= 4"] = "45", ["> 3"] = "45", ["<= 2"] = "12", ["< 2"] = "1",
      ["% 2"] = "24", ["%0"] = "",
    }
    for text, expected in pairs(cases) do
      local path, chunk = load_program "for i = 1, 5 do\n  local _ = i\nend\n"
      assert.is_true(breaks(path, { line = 2, hit_condition = text })[1].verified)
      local run = task.spawn(chunk)
      local stops = ""
      for _ = 1, #expected do
        local id = stop_at("breakpoint", 2)
        stops = stops .. value(id, "i")
        debugger.resume(id, "continue")
      end
      run:join()
      assert.are.equal(expected, stops, text)
      assert.are.same({}, events)
    end
  end)

  it("refuses conditions that are no Lua, and stops where one fails", function()
    local path, chunk = load_program "local a = 1\nreturn a\n"
    local results = breaks(path, { line = 1, condition = "a ==" }, { line = 1, hit_condition = "often" },
      { line = 2, condition = "a.b.c" })
    assert.matches("condition", results[1].message)
    assert.matches("hit condition", results[2].message)
    task.spawn(chunk)
    assert.matches("a.b.c", await("output").text)
    debugger.resume(stop_at("breakpoint", 2))
  end)

  it("steps over, in and out", function()
    local path, chunk = load_program [[
local function double(x)
  local y = x * 2
  return y
end
local a = double(1)
local b = double(a)
return b
]]
    breaks(path, 5)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 5)
    steps(id, "over", 6, "in", 2)
    assert.are.equal("2", value(id, "x"))
    steps(id, "out", 7)
    debugger.resume(id, "over")
    assert.are.same({ true, 4 }, { run:join() })
  end)

  it("steps over an error that a protected call catches", function()
    local path, chunk = load_program [[
local function fail()
  local x = 1
  error("no")
end
local ok = pcall(fail)
return ok
]]
    breaks(path, 2)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 2)
    steps(id, "over", 3, "over", 6)
    debugger.resume(id, "continue")
    assert.are.same({ true, false }, { run:join() })
  end)

  it("passes over a function called in the place of the one it was in", function()
    local path, chunk = load_program [[
local function inner(n)
  local m = n
  return m
end
local function outer(n)
  local k = n
  return inner(k)
end
local r = (outer(3))
return r
]]
    breaks(path, 6)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 6)
    steps(id, "over", 7, "over", 10)
    debugger.resume(id, "continue")
    run:join()
  end)

  it("steps with the flow of a task into a generator and out of it", function()
    local path, chunk = load_program [[
local next_one = coroutine.wrap(function()
  local i = 1
  coroutine.yield(i)
  i = i + 1
  return i
end)
local a = next_one()
local b = next_one()
return a + b
]]
    breaks(path, 7)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 7)
    steps(id, "in", 2)
    local _, count = debugger.stack(id)
    assert.is_true(count >= 3) -- the generator's function, wrap's, the chunk
    steps(id, "over", 3, "over", 8, "in", 4, "out", 9)
    debugger.resume(id, "continue")
    assert.are.same({ true, 3 }, { run:join() })
  end)

  it("never ends a step in another task", function()
    local path, chunk = load_program [[
local task = require "moonlet.task"
local function work(n)
  local x = n
  task.yield()
  return x
end
return work
]]
    local work = chunk()
    breaks(path, { line = 3, condition = "n == 1" })
    local one = task.spawn(work, 1)
    local id = stop_at("breakpoint", 3)
    local others = {}
    for i = 2, 5 do others[i - 1] = task.spawn(work, i) end
    debugger.resume(id, "over")
    assert.are.equal(id, stop_at("step", 4))
    debugger.resume(id, "over")
    assert.are.equal(id, stop_at("step", 5))
    debugger.resume(id, "continue")
    one:join()
    for _, other in ipairs(others) do other:join() end
    assert.are.equal(0, #events)
  end)

  it("holds several tasks at breakpoints at once", function()
    local path, chunk = load_program "local n = ...\nlocal x = n\nreturn x\n"
    breaks(path, 2)
    local runs = {}
    for i = 1, 3 do runs[i] = task.spawn(chunk, i) end
    local ids = {}
    for i = 1, 3 do ids[i] = stop_at("breakpoint", 2) end
    for i = 3, 1, -1 do
      assert.are.equal(tostring(i), value(ids[i], "n"))
      debugger.resume(ids[i], "continue")
      assert.are.same({ true, i }, { runs[i]:join() })
    end
  end)

  it("reaches generators and tasks that began before it was attached", function()
    local path, chunk = load_program [[
local task, gate = ...
local function later()
  gate:wait()
  local x = 1
  return x
end
local generator = coroutine.wrap(function()
  coroutine.yield()
  local y = 2
  return y
end)
return later, generator
]]
    debugger.detach()
    local gate = require("moonlet.sync").event()
    local later, generator = chunk(task, gate)
    local run = task.spawn(later)
    generator()
    task.yield()
    debugger.attach(function(event) events[#events + 1] = event end)
    debugger.own()
    breaks(path, 4, 9)
    gate:set()
    debugger.resume(stop_at("breakpoint", 4))
    run:join()
    run = task.spawn(generator)
    debugger.resume(stop_at("breakpoint", 9))
    assert.are.same({ true, 2 }, { run:join() })
  end)

  it("stops below functions in C, and at module top levels", function()
    local path, chunk = load_program [[
table.sort({ 2, 1 }, function(a, b)
  return a < b
end)
local s = ("x"):gsub("x", function()
  return "y"
end)
pcall(function()
  s = s .. "z"
end)
return s
]]
    breaks(path, 2, 5, 8)
    local run = task.spawn(chunk)
    for _, line in ipairs { 2, 5, 8 } do debugger.resume(stop_at("breakpoint", line)) end
    assert.are.same({ true, "yz" }, { run:join() })
  end)

  it("stops in functions of every shape, at their first line", function()
    local path, chunk = load_program [[
local shapes = {}
function shapes.empty() end
function shapes.small(a) return a end
function shapes.many(a, b, c, d, e, f, g, h) local i, j, k = a, b, c return i, j, k, d, e, f, g, h end
function shapes.varargs(...)
  return select("#", ...)
end
function shapes.mixed(a, ...)


  local t = { a, ... }
  return t
end
function shapes:method()
  return self
end
function shapes.tail(...)
  return shapes.mixed(...)
end
function shapes.one(...) return ... end
local meta = setmetatable({}, {
  __index = function(_, k)
    return k
  end,
  __call = function(_, ...)
    return ...
  end,
  __close = function()
    return nil
  end,
})
function shapes.meta() local x <close> = meta return meta.x, meta(1, 2, 3) end
function shapes.later(n)
  if n then



    n = n + 1
  end
  return n
end
return shapes
]]
    local shapes = chunk()
    local wanted = {
      empty = { 2 }, small = { 3 }, many = { 4 }, varargs = { 6 }, mixed = { 11 }, method = { 15 },
      tail = { 18, 11 }, one = { 20 }, meta = { 32, 23, 26, 29 }, later = { 34 },
    }
    local many = {}
    for i = 1, 60 do many[i] = i end
    for name, lines in pairs(wanted) do
      for _, given in ipairs { {}, { 1 }, many } do
        for _, line in ipairs(lines) do
          breaks(path, line)
          local run = task.spawn(shapes[name], table.unpack(given))
          debugger.resume(stop_at("breakpoint", line), "continue")
          assert.is_true((run:join()), name)
        end
        breaks(path, table.unpack(lines))
        local run = task.spawn(shapes[name], table.unpack(given))
        for _, line in ipairs(lines) do debugger.resume(stop_at("breakpoint", line), "continue") end
        assert.is_true((run:join()), name)
      end
    end
  end)

  -- Lines of a caller are looked at again however the calls below it end.
  it("stops behind calls that return, fail, yield and are replaced", function()
    local path, chunk = load_program [[
local task = require "moonlet.task"
local function leaf(x) return x end
local function deep(n) if n == 0 then return leaf(1) end return deep(n - 1) + leaf(0) end
local function fail(n) if n == 0 then error "no" end return 1 + fail(n - 1) end
local function replaced(n) return deep(n) end
local function caught(n) return (pcall(fail, n)) end
local function calls_back(n) table.sort({ 3, 2, 1 }, function(a, b) deep(n) return a < b end) end
local function caught_deep(n)
  for _ = 1, 3 do pcall(string.gsub, "xyz", ".", function() deep(n) fail(n) end) end
end
local function generates(n)
  local next_one = coroutine.wrap(function() for i = 1, n do deep(i) coroutine.yield(i) end end)
  for _ = 1, n do deep(next_one()) end
end
local function waits(n) deep(n) task.yield() return deep(n) end
local function other(n) return n + leaf(n) end
local function work(fn, n)
  fn(n)
  local x = 1
  return x
end
local function outer(fn, n)
  work(fn, n)
  local y = 2
  return y
end
local function replaced_by_leaf(n) return leaf(n) end
local function fails_outer() outer(fail, 3) end
local function caught_outer() pcall(fails_outer) deep(2) leaf(0) return 1 end
return {
  { leaf, 1 }, { deep, 3 }, { replaced, 3 }, { replaced_by_leaf, 1 }, { caught, 3 }, { calls_back, 3 },
  { caught_deep, 2 }, { generates, 3 }, { waits, 3 }, { other, 1 }, { caught_outer, 1 },
  { pcall, fails_outer }, { pcall, fail }, { tostring, 1 },
  { function(n) outer(deep, n) return leaf(n) + n end, 2, true },
}, outer
]]
    local cases, outer = chunk()
    breaks(path, 19, 24)
    for _, case in ipairs(cases) do
      for _ = 1, 3 do
        local run = task.spawn(outer, case[1], case[2])
        for _, line in ipairs(case[3] and { 19, 24, 19, 24 } or { 19, 24 }) do
          debugger.resume(stop_at("breakpoint", line), "continue")
        end
        assert.are.same({ true, 2 }, { run:join() })
        assert.are.equal(0, #events)
      end
    end
  end)

  it("stops in a text given to load(), by its reference", function()
    local chunk = load("local a = ...\nlocal b = a\nreturn b\n")
    assert.is_false(debugger.set_function_breakpoints({ { name = "debugged.text" } })[1].verified)
    package.loaded.debugged = { text = chunk }
    assert.is_true(debugger.set_function_breakpoints({ { name = "debugged.text" } })[1].verified)
    package.loaded.debugged = nil
    local run = task.spawn(chunk, 7)
    local id = stop_at("function breakpoint", 1)
    local source = debugger.stack(id)[1].source
    assert.are.equal("local a = ...\nlocal b = a\nreturn b\n", debugger.source(source.reference))
    debugger.set_function_breakpoints {}
    debugger.set_breakpoints(source, { { line = 3 } })
    debugger.resume(id, "continue")
    stop_at("breakpoint", 3)
    debugger.set_breakpoints(source, {})
    debugger.resume(id, "continue")
    run:join()
  end)

  it("shows variables, and sets them for the program to see", function()
    local path, chunk = load_program [[
local up = { 10, 20, x = "y" }
local function f(a, ...)
  local t <const> = up
  local s = "line\n"
  return a, up[1], ...
end
return f
]]
    local f = chunk()
    breaks(path, 5)
    local run = task.spawn(f, 1.0, nil, "second")
    local id = stop_at("breakpoint", 5)
    local scopes = debugger.scopes(top(id))
    local shown = {}
    for _, one in ipairs(debugger.variables(scopes[1].handle)) do shown[one.name] = one.value end
    assert.are.equal("1.0", shown.a)
    assert.are.equal('"line\\n"', shown.s)
    assert.are.equal("nil", shown["...1"])
    assert.are.equal('"second"', shown["...2"])
    local up = debugger.variables(scopes[2].handle)[1]
    assert.are.same({ "up", 2, 1 }, { up.name, up.indexed, up.named })
    assert.are.equal("[2]", debugger.variables(up.handle, "indexed", 1, 1)[1].name)
    assert.are.equal("x", debugger.variables(up.handle, "named", 0, 5)[1].name)
    assert.are.equal("5", debugger.set_variable(scopes[1].handle, "a", "2 + 3").value)
    assert(debugger.set_variable(up.handle, "[1]", "a * 2"))
    assert(debugger.set_variable(scopes[1].handle, "...2", "'third'"))
    assert(debugger.set_expression(top(id), "up.x", "t"))
    assert.is_nil(debugger.set_variable(scopes[1].handle, "nosuch", "1"))
    debugger.resume(id, "continue")
    assert.are.same({ true, 5, 10, nil, "third" }, { run:join() })
  end)

  it("runs no metamethod to show a value, unless asked", function()
    local path, chunk = load_program [[
local calls = 0
local function count() calls = calls + 1 return "text" end
local meta = { __tostring = count, __index = count, __len = count, __pairs = count, __name = "Mine",
  __eq = count, __metatable = false }
local object = setmetatable({}, meta)
local x = object
return calls
]]
    breaks(path, 7)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 7)
    local object
    for _, one in ipairs(debugger.variables(debugger.scopes(top(id))[1].handle)) do
      if one.name == "object" then object = one end
    end
    assert.are.equal("Mine", object.type)
    local lazy
    for _, one in ipairs(debugger.variables(object.handle)) do lazy = one.lazy and one or lazy end
    assert.are.equal("0", value(id, "calls"))
    assert.are.equal('"text"', debugger.variables(lazy.handle)[1].value)
    assert.are.equal("1", value(id, "calls"))
    debugger.resume(id, "continue")
    run:join()
  end)

  it("evaluates with the variables of a call, also what waits", function()
    local path, chunk = load_program "local a, b = 1, 2\nlocal function f() return a end\nreturn a + b, f\n"
    breaks(path, 3)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 3)
    assert.are.equal("3", value(id, "a + b"))
    assert.are.equal("", value(id, "b = 40"))
    assert.are.equal("1, 40", value(id, "a, b"))
    local ticks = 0
    local ticker = task.spawn(function() while true do task.yield() ticks = ticks + 1 end end)
    assert.are.equal('"slept"', value(id, "require('moonlet.task').sleep(0.01) or 'slept'"))
    assert.is_true(ticks > 0)
    ticker:cancel()
    assert.matches("attempt to call", value(id, "nosuch()"))
    assert.matches("near", value(id, "a b c"))
    local names = debugger.complete(top(id), "string.for")
    assert.are.same({ "format" }, names)
    debugger.resume(id, "continue")
    assert.are.equal(41, select(2, run:join()))
  end)

  it("pauses a task that computes, one that waits, and all", function()
    local path, chunk = load_program [[
local task, state = ...
while not state.done do
  task.yield()
  state.count = state.count + 1
end
]]
    local state = { count = 0 }
    local run = task.spawn(chunk, task, state)
    local sleeper = task.spawn(function() task.sleep(1000) end)
    task.yield()
    debugger.pause(run.id)
    local event = await "stopped"
    assert.are.same({ run.id, "pause" }, { event.task, event.reason })
    assert.are.equal(path, debugger.stack(run.id, 0, 1)[1].source.path)
    debugger.resume(run.id, "continue")
    local _, count = debugger.stack(sleeper.id)
    assert.is_true(count >= 2)
    debugger.pause()
    assert.are.equal(run.id, await("stopped").task)
    state.done = true
    debugger.resume_all()
    run:join()
    sleeper:cancel()
  end)

  it("stops at an error that ends a task, with its calls still there", function()
    local path, chunk = load_program [[
local function fail(x)
  local y = x + 1
  error({ code = y })
end
fail(41)
]]
    debugger.set_exceptions(true, false)
    pcall(chunk)
    local run = task.spawn(function() return pcall(chunk) end)
    run:join()
    assert.are.equal(0, #events)
    run = task.spawn(chunk)
    local event = await "stopped"
    assert.are.equal("exception", event.reason)
    assert.matches("^table", debugger.exception(event.task))
    local frame
    for _, one in ipairs(debugger.stack(event.task)) do
      if one.source and one.source.path == path then frame = one break end
    end
    assert.are.equal(3, frame.line)
    assert.are.equal("42", debugger.evaluate(frame.id, "y").value)
    debugger.resume(event.task, "continue")
    assert.is_nil((run:join()))
  end)

  it("stops at errors that are caught, when asked", function()
    local _, chunk = load_program [[
local ok, message = pcall(function()
  local t = nil
  return t.x
end)
local ok2, message2 = xpcall(error, function(m) return "handled " .. m end, "two")
local ok3, message3 = coroutine.resume(coroutine.create(function() error("three", 0) end))
return ok, message, ok2, message2, ok3, message3
]]
    debugger.set_exceptions(false, true)
    local run = task.spawn(chunk)
    for _, text in ipairs { "index a nil value", "two", "three" } do
      local event = await "stopped"
      assert.are.equal("exception", event.reason)
      assert.matches(text, event.text)
      debugger.resume(event.task, "continue")
    end
    local results = { run:join() }
    assert.are.same({ true, false }, { results[1], results[2] })
    assert.are.same({ false, "handled two", false, "three" }, { table.unpack(results, 4) })
  end)

  it("says that it does not stop where no wait is allowed", function()
    local path, chunk = load_program(
      "local task = ...\nreturn task.no_switch(function()\n  local x = 1\n  return x\nend)\n")
    breaks(path, 3)
    local run = task.spawn(chunk, task)
    assert.matches("no wait is allowed", await("output").text)
    assert.are.same({ true, 1 }, { run:join() })
  end)

  it("keeps a stopped task although it is cancelled, which it learns when it goes on", function()
    local path, chunk = load_program "local task = ...\nlocal x = 1\ntask.sleep(1000)\nreturn x\n"
    breaks(path, 2)
    local run = task.spawn(chunk, task)
    local id = stop_at("breakpoint", 2)
    run:cancel()
    for _ = 1, 3 do task.yield() end
    assert.are.equal("stopped", debugger.task(id).state)
    assert.are.equal("1", value(id, "1"))
    debugger.resume(id, "continue")
    assert.is_nil((run:join()))
  end)

  it("lets the deadlines of a stopped task stand still, if asked", function()
    local path, chunk = load_program "local task = ...\nlocal x = 1\ntask.sleep(0.001)\nreturn x\n"
    breaks(path, 2)
    for _, frozen in ipairs { true, false } do
      debugger.freeze(frozen)
      local run = task.spawn(function() return task.timeout(1, chunk, task) end)
      local id = stop_at("breakpoint", 2)
      task.sleep(1.1)
      debugger.resume(id, "continue")
      local _, result = run:join()
      assert.are.equal(frozen and 1 or nil, result)
    end
  end)

  it("leaves nothing behind when it is detached in the middle", function()
    local path, chunk = load_program "local x = 1\nlocal y = x\nreturn debug.gethook(), y\n"
    breaks(path, 2)
    local run = task.spawn(chunk)
    stop_at("breakpoint", 2)
    debugger.detach()
    assert.are.same({ true, nil, 1 }, { run:join() })
    assert.is_nil((debug.gethook()))
    assert.are.same({ true, nil, 1 }, { task.spawn(chunk):join() })
    debugger.attach(function(event) events[#events + 1] = event end)
  end)

  it("makes handles invalid when their task has gone on", function()
    local path, chunk = load_program "local x = { 1 }\nlocal y = x\nreturn y\n"
    breaks(path, 2, 3)
    local run = task.spawn(chunk)
    local id = stop_at("breakpoint", 2)
    local frame = top(id)
    local scope = debugger.scopes(frame)[1].handle
    debugger.resume(id, "continue")
    stop_at("breakpoint", 3)
    assert.has_error(function() debugger.scopes(frame) end)
    assert.has_error(function() debugger.variables(scope) end)
    debugger.resume(id, "continue")
    run:join()
    assert.are.equal(0, #debugger.stack(id))
    assert.is_false(debugger.resume(id, "continue"))
  end)

  it("stops beside a hook of the script's own", function()
    local path, chunk = load_program [[
local lines = 0
debug.sethook(function() lines = lines + 1 end, "l")
local x = 1
local y = x
debug.sethook()
return lines
]]
    breaks(path, 4)
    local run = task.spawn(chunk)
    debugger.resume(stop_at("breakpoint", 4))
    assert.are.same({ true, 3 }, { run:join() })
  end)
end)
