-- Traces: what inspect.trace() and its kin return, read back and checked by the rules of the format.
local support = dofile("tests/spec/support.lua")
local it = support.limited(it)

local channel = require "moonlet.channel"
local core = require "moonlet.inspect.trace.core"
local greenlet = require "moonlet.greenlet"
local http = require "moonlet.http"
local inspect = require "moonlet.inspect"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local check = dofile("tests/spec/inspect/trace_check.lua")

-- What happens while fn runs.
local function recorded(fn, options)
  assert(inspect.trace_start(options))
  local results = table.pack(pcall(fn))
  local text = inspect.trace_last()
  inspect.trace_stop()
  assert(results[1], results[2])
  return check.read(text)
end

local function waits(track, name)
  local slice = track:slice(name)
  return slice and slice.args and slice.args["woken by"]
end

describe("a trace", function()
  it("has tasks, their waits, what ended those and arrows from one task to the next", function()
    local trace = recorded(function()
      local sleeper = task.spawn({name = "sleeper"}, task.sleep, 0.002)
      sleeper:join()
    end)
    local track = trace:track "sleeper"
    assert.equal("its deadline", waits(track, "waits for the clock"))
    local main = trace:track "main"
    local join = main:slice("waits for the end of task " .. track.tid)
    assert.equal("an event", join.args["woken by"])
    assert.equal(track.name, join.args.of)
    assert.is_true(trace.flows >= 2) -- the spawn and the end
  end)

  it("names what is waited for: a descriptor, a mutex and its holder, a channel", function()
    local here, there = net.pair()
    local mutex, ch = sync.mutex(), channel.new()
    local trace = recorded(function()
      mutex:lock()
      local tasks = {
        task.spawn({name = "reader"}, here.read_some, here),
        task.spawn({name = "locker"}, function() mutex:lock() mutex:unlock() end),
        task.spawn({name = "getter"}, ch.get, ch),
      }
      for _, t in ipairs(tasks) do
        while t:status() ~= "waiting" do task.yield() end
      end
      there:write "x"
      mutex:unlock()
      ch:put(1)
      for _, t in ipairs(tasks) do t:join() end
    end)
    local main = trace:track "main"
    local locked = trace:track "locker":slice("waits for a mutex held by task " .. main.tid)
    assert.equal(main.name, locked.args.of)
    assert.is_truthy(trace:track "getter":slice "waits for a value from a channel")
    local found
    for _, name in ipairs(trace:track "reader":slices "wait") do
      found = found or name:find "input"
    end
    assert.is_truthy(found)
  end)

  it("tells a cancellation from a deadline", function()
    local trace = recorded(function()
      local t = task.spawn({name = "victim", quiet = true}, task.sleep, 100)
      repeat task.yield() until t:status() == "waiting"
      t:cancel()
      t:join()
    end)
    local victim = trace:track "victim"
    local slices = {}
    for _, slice in ipairs(victim.all) do
      if slice.name == "waits for the clock" then slices[#slices + 1] = slice end
    end
    assert.equal("a cancellation", slices[#slices].args["woken by"])
  end)

  it("has the line of a task without a name, also of one that has ended", function()
    local line
    local trace = recorded(function()
      line = debug.getinfo(1, "l").currentline + 1
      task.spawn(task.yield):join()
    end)
    local found
    for _, track in pairs(trace.tracks) do
      found = found or (track.name or ""):find("trace_spec.lua:" .. line, 1, true)
    end
    assert.is_truthy(found)
  end)

  it("keeps apart tasks that had the same slot one after the other", function()
    local trace = recorded(function()
      for i = 1, 20 do task.spawn({name = "one of many " .. i}, task.yield):join() end
    end)
    for i = 1, 20 do
      local track = trace:track("one of many " .. i)
      assert(track, "a track for each")
      assert.is_true(#track:slices "ready" >= 2)
    end
  end)

  it("has marks, errors that were reported, missed deadlines and cycles of the collector", function()
    local before = task.on_error(function() end)
    local trace = recorded(function()
      inspect.mark "here"
      task.spawn({name = "failing"}, error, "it broke")
      task.yield()
      task.yield()
      assert.equal("EDEADLINE", select(3, task.timeout(0.001, task.sleep, 100)))
      collectgarbage()
      collectgarbage()
    end)
    task.on_error(before)
    local marks = {}
    for _, track in pairs(trace.tracks) do
      for _, mark in ipairs(track.marks) do marks[mark.name] = (marks[mark.name] or 0) + 1 end
    end
    assert.equal(1, marks.here)
    assert.equal(1, marks["deadline missed"])
    assert.is_true(marks["garbage collected"] >= 2)
    assert.equal(1, marks["error: it broke"])
  end)

  it("has requests of HTTP with status and route", function()
    local here, there = net.pair()
    local router = http.router()
    router:get("/user/{id}", function() task.sleep(0.001) return "hello" end)
    local server = http.server(router)
    local trace = recorded(function()
      local serving = task.spawn({name = "server"}, server.serve, server, there)
      for _, path in ipairs {"/user/7?x=\"\1", "/nothing"} do
        here:write("GET " .. path:gsub("[%c\"]", "%%22") .. " HTTP/1.1\r\nHost: a\r\n\r\n")
        assert(here:read_until "\r\n\r\n")
        here:read_some()
      end
      here:close()
      serving:join()
    end)
    local track = trace:track "server"
    local first, second = track:slice "GET /user/7?x=%22%22", track:slice "GET /nothing"
    assert.same({status = 200, route = "/user/{id}"}, first.args)
    assert.equal(404, second.args.status)
    assert.is_true(first.ended > first.ts)
  end)
end)

describe("a span", function()
  it("returns what its function does, and raises its errors unchanged, recorded or not", function()
    local err = {}
    for _ = 1, 2 do
      assert.same({n = 3, 1, nil, 3}, table.pack(inspect.span("a", function(...) return ... end, 1, nil, 3)))
      assert.same({n = 0}, table.pack(inspect.span("a", function() end)))
      local ok, got = pcall(inspect.span, "a", error, err)
      assert.is_false(ok)
      assert.equal(err, got)
      inspect.trace_start()
    end
    inspect.trace_stop()
  end)

  it("keeps the traceback of an error", function()
    inspect.trace_start()
    local function deep() error "deep error" end
    local _, text = xpcall(inspect.span, debug.traceback, "a", deep)
    inspect.trace_stop()
    assert.is_truthy(text:find("deep", 1, true) and text:find "in upvalue 'deep'" or text:find "in function")
  end)

  it("nests, lasts across waits, and ends by an error", function()
    local trace = recorded(function()
      inspect.span("outer", function()
        task.sleep(0.001)
        pcall(inspect.span, "failing", function() task.yield() error "x" end)
        inspect.span("inner", task.sleep, 0.001)
      end)
    end)
    local main = trace:track "main"
    assert.same({"outer", "failing", "inner"}, main:slices "span")
    local outer, inner = main:slice "outer", main:slice "inner"
    assert.is_true(outer.ts < inner.ts and inner.ended <= outer.ended)
    assert.is_true(main:slice "failing".ended <= inner.ts)
    assert.is_true(inner.depth == 2)
  end)

  it("ends with a task that is cancelled in it", function()
    local trace = recorded(function()
      local t = task.spawn({name = "cut", quiet = true}, inspect.span, "long", task.sleep, 100)
      repeat task.yield() until t:status() == "waiting"
      t:cancel()
      t:join()
    end)
    local cut = trace:track "cut"
    assert.same({"long"}, cut:slices "span")
    assert.is_truthy(cut:slice "long".ended)
  end)

  it("ends when its coroutine is closed, and those of coroutines overlap", function()
    local trace = recorded(function()
      local function body(name) inspect.span(name, coroutine.yield) end
      local one, two = coroutine.create(body), coroutine.create(body)
      coroutine.resume(one, "one")
      inspect.span("main's", function()
        coroutine.resume(two, "two")
        coroutine.close(one)
      end)
      coroutine.resume(two)
    end)
    local names = {}
    for i, span in ipairs(trace.all_apart) do names[i] = span.name end
    assert.same({"one", "two"}, names)
    assert.same({"main's"}, trace:track "main":slices "span")
    assert.is_true(trace.all_apart[1].ended < trace.all_apart[2].ended)
  end)

  it("ends with the program at os.exit(code, true), which closes it; a fork of the process is harmless", function()
    local program = [[
      local inspect = require "moonlet.inspect"
      inspect.trace_start()
      inspect.span("the last", function()
        require("moonlet.task").yield()
        os.execute "true"
        inspect.span("inner", os.exit, 7, true)
      end)
    ]]
    local output, status = support.run(program)
    assert.same({"", 7}, {output, status})
  end)

  it("ends when its generator or greenlet is dropped", function()
    local trace = recorded(function()
      do
        local next_value = coroutine.wrap(function() inspect.span("generator", coroutine.yield) end)
        next_value()
        local main = greenlet.current()
        local g = greenlet.new(function() inspect.span("greenlet", main.switch, main) end)
        g:switch()
      end
      for _ = 1, 3 do collectgarbage() task.yield() end
      inspect.mark "after"
    end)
    local after
    for _, mark in ipairs(trace:track "main".marks) do after = mark.name == "after" and mark.ts or after end
    assert.equal(2, #trace.all_apart)
    for _, span in ipairs(trace.all_apart) do assert.is_true(span.ended < after, span.name) end
  end)

  it("that began before the trace, or ends after it, is shown as far as it is known", function()
    local trace
    assert(inspect.trace_start {size = 1})
    inspect.span("before", function()
      inspect.span("inner", function()
        for i = 1, 300 do inspect.mark("mark " .. i) end
        task.yield()
      end)
      task.yield()
    end)
    inspect.span("after", function() trace = check.read(inspect.trace_last()) end)
    inspect.trace_stop()
    local main = trace:track "main"
    assert.same({"before", "inner", "after"}, main:slices "span")
    assert.is_true(main:slice "inner".ended <= main:slice "before".ended)
  end)

  it("is in the last part of a trace if it ends there", function()
    local trace
    assert(inspect.trace_start())
    support.eventually(function()
      local from
      inspect.span("long", function()
        task.sleep(0.02)
        from = core.now()
      end)
      trace = check.read(inspect.trace_last(core.now() - from + 0.01))
      return #trace:track "main":slices "span" > 0
    end)
    inspect.trace_stop()
  end)

  it("of a trace that has been stopped does not end in the next", function()
    local trace
    assert(inspect.trace_start())
    inspect.span("old", function()
      inspect.trace_stop()
      inspect.trace_start()
      inspect.mark "mark of the new one"
    end)
    trace = check.read(inspect.trace_last())
    inspect.trace_stop()
    assert.same({}, trace:track "main":slices "span")
  end)

  it("may have any name: control characters, quotes, no UTF-8", function()
    local names = {"", "\0", "a\"b\\c", "\n\r\t\b\f\127", "\xff\xfe", "a\xc3", "\xed\xa0\x80", "é\u{10FFFF}",
      ("x"):rep(10000), "%s%d", "</script>"}
    local trace = recorded(function()
      for _, name in ipairs(names) do
        inspect.span(name, task.yield)
        task.spawn({name = name}, task.yield):join()
      end
    end)
    local shown = trace:track "main":slices "span"
    assert.equal(#names, #shown)
    assert.equal("\0", shown[2])
    assert.equal("a\"b\\c", shown[3])
    assert.equal("\u{FFFD}\u{FFFD}", shown[5])
    assert.equal("a\u{FFFD}", shown[6])
    assert.equal(names[9], shown[9])
  end)

  it("has a name of its own among the first 4,096", function()
    local trace = recorded(function()
      for i = 1, 4100 do inspect.mark("mark " .. i) end
    end)
    local names = {}
    for _, mark in ipairs(trace:track "main".marks) do names[mark.name] = (names[mark.name] or 0) + 1 end
    assert.equal(1, names["mark 4096"])
    assert.equal(4, names["(one name too many)"])
  end)

  it("raises for wrong arguments, and names them", function()
    assert.error_matches(function() inspect.span(1, print) end, "bad argument #1 to 'span'")
    assert.error_matches(function() inspect.span("a") end, "bad argument #2 to 'span'")
    assert.error_matches(function() inspect.mark() end, "bad argument #1 to 'mark'")
  end)
end)

describe("the ring", function()
  it("keeps the last of what happened, however much that was", function()
    local trace = recorded(function()
      inspect.span("long", function()
        for i = 1, 3000 do
          inspect.mark("mark " .. i)
          task.yield()
        end
        inspect.mark "last"
      end)
    end, {size = 4096})
    local marks = trace:track "main".marks
    assert.equal("last", marks[#marks].name)
    assert.is_true(#marks < 256)
    assert.same({"long"}, trace:track "main":slices "span")
  end)

  it("wraps at any record and stays a trace", function()
    assert(inspect.trace_start {size = 1})
    local t = task.spawn({name = "partner", daemon = true}, function()
      while true do inspect.span("partner's", task.yield) end
    end)
    for i = 1, 300 do
      inspect.span("mine", function() task.yield() end)
      task.spawn({name = "with a long name " .. i}, task.yield)
      check.read(inspect.trace_last())
    end
    t:cancel()
    inspect.trace_stop()
  end)

  it("takes a hundred thousand tasks, and its memory does not grow", function()
    assert(inspect.trace_start())
    for _ = 1, 100 do
      local group = task.group()
      for _ = 1, 1000 do group:spawn(task.yield) end
      group:join()
    end
    local trace = check.read(inspect.trace_last())
    assert.is_true(#trace.events < 65536 * 5)
    inspect.trace_stop()
  end)

  it("is made into text while other tasks run", function()
    assert(inspect.trace_start())
    for _ = 1, 20000 do task.yield() end
    local turns = 0
    local t = task.spawn({daemon = true}, function() while true do turns = turns + 1 task.yield() end end)
    inspect.trace_last()
    t:cancel()
    inspect.trace_stop()
    assert.is_true(turns > 100)
  end)
end)

describe("inspect.trace", function()
  it("waits, and returns what happened meanwhile", function()
    local t = task.spawn({name = "ticker", daemon = true}, function()
      while true do task.sleep(0.002) end
    end)
    support.eventually(function()
      local ticker = check.read(inspect.trace(0.05)):track "ticker"
      return ticker and #ticker:slices "wait" >= 2
    end)
    t:cancel()
    assert.is_false(core.is_open())
  end)

  it("may be called by several tasks at once, beside trace_start", function()
    assert(inspect.trace_start())
    local tasks = {}
    for i = 1, 3 do tasks[i] = task.spawn(inspect.trace, 0.005 * i) end
    for i = 1, 3 do
      local ok, text = tasks[i]:join()
      assert(ok, text)
      check.read(text)
    end
    assert.is_true(core.is_open())
    assert.is_true(inspect.trace_stop())
    assert.is_false(core.is_open())
  end)

  it("is refused where the caller may not wait, and leaves nothing behind", function()
    assert.error_matches(function() task.no_switch(inspect.trace, 0.1) end, "no_switch")
    assert.is_false(core.is_open())
    local t = task.spawn({quiet = true}, inspect.trace, 100)
    repeat task.yield() until t:status() == "waiting"
    t:cancel()
    t:join()
    assert.is_false(core.is_open())
  end)

  it("raises for wrong arguments, and names them", function()
    assert.error_matches(function() inspect.trace() end, "bad argument #1 to 'trace'")
    assert.error_matches(function() inspect.trace(0 / 0) end, "bad argument #1 to 'trace'")
    assert.error_matches(function() inspect.trace(1, {siez = 1}) end, "unknown option 'siez'")
    for _, size in ipairs {0, -1, 1.5, "x", (1 << 24) + 1} do
      assert.error_matches(function() inspect.trace(1, {size = size}) end, "size must be an integer")
    end
  end)
end)

describe("inspect.trace_start", function()
  it("is in force once, until trace_stop", function()
    assert.is_false(inspect.trace_stop())
    assert.same({nil, "no trace is being recorded", "EINVAL"}, {inspect.trace_last()})
    assert.is_true(inspect.trace_start())
    assert.same({nil, "a trace is being recorded", "EBUSY"}, {inspect.trace_start()})
    assert.is_true(inspect.trace_stop())
    assert.is_false(inspect.trace_stop())
    assert.is_false(core.is_open())
  end)

  it("raises for wrong arguments, and names them", function()
    local function refused(options, message)
      assert.error_matches(function() inspect.trace_start(options) end, message)
    end
    refused({on_eror = "x"}, "unknown option 'on_eror'")
    refused({on_error = 1}, "on_error must be a path or a function")
    refused({on_deadline = {}}, "on_deadline must be a path or a function")
    refused({seconds = "1"}, "seconds must be a number")
    refused({every = -1}, "every must be a number")
    refused({limit = 0}, "limit must be a positive integer")
    refused(1, "bad argument #1 to 'trace_start'")
    assert.is_false(core.is_open())
  end)

  it("lets the last be taken where the caller may not wait", function()
    assert(inspect.trace_start())
    task.sleep(0.001)
    check.read(task.no_switch(inspect.trace_last))
    inspect.trace_stop()
  end)
end)

describe("a trace of", function()
  it("a process that forks goes on in both, and the child may take it", function()
    local libc_support = dofile "tests/spec/interpose/libc_support.lua"
    local output, status = support.run(libc_support.prelude .. [[
      local inspect = require "moonlet.inspect"
      local check = dofile "tests/spec/inspect/trace_check.lua"
      assert(inspect.trace_start {on_error = print})
      require("moonlet.task").yield()
      local pid = libc.plain_fork()
      inspect.span(pid == 0 and "child" or "parent", function() end)
      local text = inspect.trace_last()
      local spans = check.read(text):track "main":slices "span"
      if pid ~= 0 then libc.waitpid(pid) end
      print(table.concat(spans, " "), select("#", pcall(inspect.trace, pid == 0 and 10 or 0.001)))
      io.stdout:flush()
    ]])
    assert.equal(0, status, output)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line:match "^%a+" end
    assert.same({"child", "parent"}, lines)
  end)

  it("another thread is that thread's own, and another runtime may make the text", function()
    local thread = require "moonlet.thread"
    assert(inspect.trace_start())
    inspect.span("here", task.yield)
    local text = thread.call(function(copy)
      return require "moonlet.inspect.perfetto".format(copy)
    end, core.take())
    local other = thread.call(function()
      local theirs = require "moonlet.inspect"
      local is_started = theirs.trace_start()
      theirs.span("there", require("moonlet.task").yield)
      return is_started and theirs.trace_last()
    end)
    inspect.trace_stop()
    assert.same({"here"}, check.read(text):track "main":slices "span")
    local found
    for _, track in pairs(check.read(other).tracks) do found = found or track:slice "there" end
    assert.is_truthy(found)
  end)

  it("the agent: begins, is taken, finishes, and never waits", function()
    local agent = require "moonlet.inspect.agent.recording"
    task.no_switch(function()
      assert.is_true(agent.begin_trace())
      inspect.mark "seen"
      check.read(require "moonlet.inspect.perfetto".format(agent.end_trace(1)))
    end)
    assert.is_false(core.is_open())
  end)

  it("the agent: shares the ring with the script, and neither ends the other's trace", function()
    local agent = require "moonlet.inspect.agent.recording"
    assert.is_true(agent.begin_trace())
    assert.is_true(inspect.trace_start())
    assert.is_truthy(agent.end_trace(1))
    assert.is_true(core.is_open())
    assert.is_true(agent.begin_trace())
    assert.is_true(inspect.trace_stop())
    assert.is_true(core.is_open())
    assert.is_truthy(agent.end_trace(1))
    assert.is_false(core.is_open())
  end)

  it("requests of HTTP/2 has each on the line of its task", function()
    local here, there = net.pair()
    local server = http.server(function(req) task.sleep(0.001) return req.path end)
    local trace = recorded(function()
      local serving = task.spawn(server.serve, server, there)
      local client <close> = http.client {connect = function() return here end, version = "2"}
      local first = assert(client:get "http://a.example/one")
      local second = assert(client:get "http://a.example/two")
      assert.equal("/one/two", first.body .. second.body)
      client:close()
      serving:cancel()
      serving:join()
    end)
    local found = {}
    for _, track in pairs(trace.tracks) do
      for _, slice in ipairs(track.all) do found[slice.name] = slice.args and slice.args.status end
    end
    for _, span in ipairs(trace.all_apart) do found[span.name] = span.status end
    assert.equal(200, found["GET /one"])
    assert.equal(200, found["GET /two"])
  end)
end)

describe("a trace that saves itself", function()
  local function quietly(fn)
    local before = task.on_error(function() end)
    local ok, err = pcall(fn)
    task.on_error(before)
    inspect.trace_stop()
    assert(ok, err)
  end

  it("does so when an error is reported: its function gets the last second", function()
    quietly(function()
      local got = channel.new(10)
      assert(inspect.trace_start {on_error = function(text, why) got:put {text, why} end})
      task.spawn({name = "culprit"}, function() task.sleep(0.001) error "why not" end)
      local saved = task.timeout(support.patience, got.get, got)
      assert.equal("error", saved[2])
      local marks = check.read(saved[1]):track "culprit".marks
      assert.is_truthy(marks[#marks].name:find("why not", 1, true))
    end)
  end)

  it("does so when a deadline is missed, and not when an error comes", function()
    quietly(function()
      local got = channel.new(10)
      assert(inspect.trace_start {on_deadline = function(_, why) got:put(why) end})
      task.spawn(error, "x")
      task.yield()
      task.timeout(0.001, task.sleep, 10)
      assert.equal("deadline", (task.timeout(support.patience, got.get, got)))
      assert.is_nil((got:get(0)))
    end)
  end)

  it("writes files with numbers, no more than so many", function()
    local fs = require "moonlet.fs"
    local directory <close> = fs.temp_dir()
    quietly(function()
      assert(inspect.trace_start {on_error = directory.path .. "/t.json", limit = 2, every = 0})
      for i = 1, 2 do
        support.eventually(function()
          task.spawn(error, "error " .. i)
          return fs.stat(directory.path .. "/t-" .. i .. ".json")
        end)
      end
      task.spawn(error, "error 3")
      task.sleep(0.01)
      for i = 1, 2 do check.read(assert(fs.read(directory.path .. "/t-" .. i .. ".json"))) end
      assert.is_nil((fs.stat(directory.path .. "/t-3.json")))
    end)
  end)

  it("does not save again for a while", function()
    quietly(function()
      local count = 0
      assert(inspect.trace_start {on_error = function() count = count + 1 end})
      for _ = 1, 50 do
        task.spawn(error, "again")
        for _ = 1, 5 do task.yield() end
      end
      task.sleep(0.01)
      assert.equal(1, count)
    end)
  end)

  it("reports its own failure, and does not save that", function()
    local reports = {}
    local before = task.on_error(function(_, err) reports[#reports + 1] = tostring(err) end)
    assert(inspect.trace_start {on_error = function() error "cannot save" end, every = 0})
    task.spawn(error, "first")
    support.eventually(function() return #reports == 2 end)
    task.sleep(0.01)
    inspect.trace_stop()
    task.on_error(before)
    assert.equal(2, #reports)
    assert.is_truthy(reports[2]:find("cannot save", 1, true))
  end)

  it("stops with trace_stop, and a new one may begin", function()
    for _ = 1, 3 do
      assert(inspect.trace_start {on_error = function() end})
      task.yield()
      assert.is_true(inspect.trace_stop())
    end
    support.eventually(function()
      for _, t in ipairs(task.list()) do
        if t.name == "inspect.trace" then return false end
      end
      return true
    end)
  end)
end)
