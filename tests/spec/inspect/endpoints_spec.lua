--- What the inspector tells of a program, and does to it.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"

local HEAD = [[
  local task, sync = require "moonlet.task", require "moonlet.sync"
]]

local function start(source, opts) return inspected.start(HEAD .. source, opts) end

local function json_of(reply, status)
  assert.are.equal(status or 200, reply.status, reply.body)
  return reply:json()
end

local function post(program, path, body) return program:request { method = "POST", path = path, json = body } end

local function by_name(list)
  local named = {}
  for _, entry in ipairs(list) do named[entry.name or entry.id] = entry end
  return named
end

describe("/tasks", function()
  it("lists the tasks with their waits and stacks", function()
    local program <close> = start [[
      local mutex = sync.mutex()
      mutex:lock()
      local function inner() mutex:lock() end
      task.spawn({ name = "waiter" }, function() inner() end)
      for _ = 1, 20 do task.yield() end
      print "begun"
      task.sleep(1000)
    ]]
    program:line "begun"
    local answer = json_of(program:get "/tasks")
    local named = by_name(answer.tasks)
    assert.are.equal(3, answer.count)
    assert.are.equal("waiting", named.main.state)
    assert.are.equal("running", named.inspector.state)
    assert.are.equal("main", named.waiter.on.name)
    local names = {}
    for i, frame in ipairs(named.waiter.stack) do names[i] = frame.name or "?" end
    assert.matches("inner", table.concat(names, " "))
    assert.is_nil(json_of(program:get "/tasks?stack=0").tasks[1].stack)
    assert.are.equal(1, #json_of(program:get("/tasks?id=" .. named.waiter.id)).tasks)
    assert.are.equal(1, #json_of(program:get "/tasks?limit=1").tasks)
    assert.are.equal(2, #json_of(program:get "/tasks?state=waiting").tasks)
    assert.are.equal(1, #json_of(program:get "/tasks?filter=wait").tasks)
    assert.is_true(#json_of(program:get "/tasks?group=1").tasks >= 2)
  end)

  it("has the time that each task's code ran, from the first look on", function()
    local program <close> = start [[
      task.spawn({ name = "busy" }, function()
        while true do
          local stop = os.clock() + 0.01
          while os.clock() < stop do end
          task.yield()
        end
      end)
      task.sleep(1000)
    ]]
    local first = by_name(json_of(program:get "/tasks?stack=0").tasks)
    local named = support.eventually(function()
      local named = by_name(json_of(program:get "/tasks?stack=0").tasks)
      return (named.busy.cpu or 0) > (first.busy.cpu or 0) + 0.1 and named
    end)
    assert.is_true(named.main.cpu < 0.1)
  end)

  it("lists ten thousand of them", function()
    local program <close> = start [[
      for i = 1, 10000 do task.spawn({ name = "t" .. i }, task.sleep, 1000) end
      task.sleep(0)
      print "ready"
      task.sleep(1000)
    ]]
    program:line "ready"
    local answer = json_of(program:get "/tasks?limit=100000&stack=0")
    assert.are.equal(10002, answer.count)
    assert.are.equal(10002, #answer.tasks)
  end)

  it("has names and texts of any length and any bytes", function()
    local program <close> = start [[
      task.spawn({ name = ("x"):rep(1000000) }, task.sleep, 1000)
      task.spawn({ name = "a\xffb<script>\0" }, task.sleep, 1000)
      local function deep(n) if n == 0 then task.sleep(1000) else deep(n - 1) end end
      task.spawn({ name = "deep" }, deep, 10000)
      task.yield()
      print "begun"
      task.sleep(1000)
    ]]
    program:line "begun"
    local reply = program:get "/tasks"
    assert.is_true(#reply.body < 100000)
    local named = by_name(json_of(reply).tasks)
    assert.is_truthy(named["a\\xFFb<script>\0"])
    assert.is_truthy(named[("x"):rep(200) .. "..."])
    assert.is_true(#named.deep.stack < 50)
  end)

  it("is answered by a program that computes", function()
    local program <close> = start [[
      task.spawn({ name = "other" }, function() end)
      print "computes"
      while true do end
    ]]
    program:line "computes"
    program:answers()
    local named = by_name(support.eventually(function()
      local reply = program:get "/tasks"
      return reply.status == 200 and reply:json().tasks
    end))
    assert.are.equal("running", named.main.state)
    assert.is_truthy(named.other)
  end)
end)

describe("/waits", function()
  it("has an edge for each task that waits for another, and the circles", function()
    local program <close> = start [[
      local a, b = sync.mutex(), sync.mutex()
      task.spawn({ name = "one" }, function() a:lock() task.yield() b:lock() end)
      task.spawn({ name = "two" }, function() b:lock() task.yield() a:lock() end)
      task.spawn({ name = "three" }, function() task.yield() task.yield() a:lock() end)
      for _ = 1, 20 do task.yield() end
      print "begun"
      task.sleep(1000)
    ]]
    program:line "begun"
    local graph = json_of(program:get "/waits")
    local named = {}
    for _, edge in ipairs(graph.edges) do named[edge.from_name] = edge end
    assert.are.equal(named.two.from, named.one.to)
    assert.are.equal(named.one.from, named.two.to)
    assert.are.equal("one", named.three.to_name)
    assert.are.equal(1, #graph.circles)
    assert.are.equal(2, #graph.circles[1])
  end)

  it("has nothing for a program without waits", function()
    local program <close> = start "task.sleep(1000)"
    local reply = program:get "/waits"
    assert.matches('"edges":%[%]', reply.body)
    assert.matches('"circles":%[%]', reply.body)
  end)
end)

describe("/metrics", function()
  it("is in the format that is asked for", function()
    local program <close> = start [[
      require("moonlet.inspect").counter("my_things_total"):add(3)
      task.sleep(1000)
    ]]
    local reply = program:get "/metrics"
    assert.are.equal(200, reply.status)
    assert.matches("text/plain; version=0%.0%.4", reply.headers["content-type"])
    assert.matches("my_things_total 3", reply.body)
    reply = program:get("/metrics", { headers = { accept = "application/json" } })
    assert.is_truthy(json_of(reply).my_things_total)
    assert.is_truthy(json_of(program:get "/metrics?format=json").my_things_total)
    assert.matches("# EOF", program:get("/metrics?format=openmetrics").body)
    assert.are.equal(400, program:get("/metrics?format=xml").status)
  end)
end)

describe("/trace", function()
  local check = dofile "tests/spec/inspect/trace_check.lua"

  it("is what ui.perfetto.dev reads, beside a trace of the script's own", function()
    local program <close> = start [[
      local inspect = require "moonlet.inspect"
      task.spawn({ name = "ticker" }, function() while true do task.sleep(0.002) end end)
      repeat -- until a trace is recorded for the visitor
        task.sleep(0.001)
      until require("moonlet.inspect.trace.core").is_open()
      local started, _, code = inspect.trace_start()
      print("started", started, code)
      task.sleep(1000)
    ]]
    local reply = program:get "/trace?s=1"
    assert.are.equal(200, reply.status, reply.body)
    assert.is_true(#reply:json().traceEvents > 0)
    assert.is_truthy(check.read(reply.body):track "ticker")
    assert.are.equal("true", program:line "started%s+(%w+)")
    assert.are.same({ "true" }, program:request { method = "POST", path = "/evaluate",
      json = { code = "require('moonlet.inspect').trace_stop()" } }:json().texts)
  end)

  it("ends when its visitor leaves", function()
    local program <close> = start "task.sleep(1000)"
    assert.is_nil((program.client:get("http://inspected/trace?s=600", { timeout = 0.2 })))
    support.eventually(function()
      local reply = program:request { method = "POST", path = "/evaluate",
        json = { code = "require('moonlet.inspect.trace.core').is_open()" } }
      return reply.status == 200 and reply:json().texts[1] == "false"
    end)
  end)
end)

describe("/profile", function()
  it("is a picture, lines, or a file for other tools", function()
    local program <close> = start [[
      local function busy() for _ = 1, 1000 do tostring {} end end
      while true do busy() task.sleep(0) end
    ]]
    local reply = program:get "/profile?s=0.3"
    assert.are.equal(200, reply.status, reply.body)
    assert.are.equal("image/svg+xml", reply.headers["content-type"])
    assert.matches("<svg", reply.body)
    assert.matches("default%-src 'none'", reply.headers["content-security-policy"])
    assert.matches("busy", program:get("/profile?s=0.3&format=folded").body)
    assert.is_truthy(json_of(program:get "/profile?s=0.2&format=speedscope&mode=wall"))
  end)

  it("is taken of a program that computes", function()
    local program <close> = start [[
      local function busy() while true do end end
      print "computes"
      busy()
    ]]
    program:line "computes"
    program:answers()
    support.eventually(function()
      local reply = program:get "/profile?s=0.3&format=folded"
      return reply.status == 200 and reply.body:find "busy"
    end)
  end)

  it("refuses what makes no sense", function()
    local program <close> = start "task.sleep(1000)"
    for _, query in ipairs { "s=0", "s=-1", "s=nan", "s=x", "s=1e9", "format=pdf", "mode=both" } do
      assert.are.equal(400, program:get("/profile?" .. query).status, query)
    end
    assert.are.equal(400, program:get("/trace?s=0").status)
  end)

  it("ends when its visitor leaves, so that others can take one", function()
    local program <close> = start "task.sleep(1000)"
    local visitor = task.spawn(function() program:get "/profile?s=100" end)
    support.eventually(function()
      local reply = post(program, "/evaluate", { code = "require('moonlet.inspect.profile').is_on()" })
      return reply.status == 200 and reply:json().texts[1] == "true"
    end)
    assert.are.equal(409, program:get("/profile?s=0.01&format=folded").status)
    visitor:cancel()
    support.eventually(function() return program:get("/profile?s=0.01&format=folded").status == 200 end)
  end)
end)

describe("/cancel", function()
  it("cancels a task", function()
    local program <close> = start [[
      local victim = task.spawn({ name = "victim", quiet = true }, task.sleep, 1000)
      print(victim.id)
      print("ended", select(3, victim:join()))
      task.sleep(1000)
    ]]
    local id = tonumber(program:line "^%d+$")
    assert.are.equal(id, json_of(post(program, "/cancel", { task = id })).cancelled)
    assert.are.equal("ECANCELED", program:line "^ended%s+(%w+)")
    json_of(post(program, "/cancel", { task = id }), 404)
    for _, body in ipairs { {}, { task = "1" }, { task = 1.5 }, { task = -1 } } do
      json_of(post(program, "/cancel", body), 400)
    end
    assert.are.equal(405, program:get("/cancel").status)
  end)
end)

describe("/evaluate", function()
  local function evaluate(program, code, more)
    local body = more or {}
    body.code = code
    return json_of(post(program, "/evaluate", body))
  end

  local SCOPE = [[
    local shared = "up"
    seen = "global"
    local function wait(argument)
      local x, y = 1, { 2 }
      task.sleep(1000)
      return x, y, argument, shared
    end
    print(task.spawn({ name = "scope" }, function() local outer = "o" wait("a") print(outer) end).id)
    task.sleep(1000)
  ]]

  it("gives the values of expressions as texts, and runs statements", function()
    local program <close> = start(SCOPE)
    assert.are.same({ ok = true, texts = { "3", '"x"', "nil" } }, evaluate(program, "1 + 2, 'x', nil"))
    assert.are.same({ "\"global\"" }, evaluate(program, "seen").texts)
    assert.are.same({}, evaluate(program, "seen = 5").texts)
    assert.are.same({ "5" }, evaluate(program, "seen").texts)
    assert.are.same({ "{ 1, 2, a = 3 }" }, evaluate(program, "{1, 2, a = 3}").texts)
  end)

  it("sees and sets the variables of a task's call", function()
    local program <close> = start(SCOPE)
    local id = tonumber(program:line "^%d+$")
    local scope = function(level) return { task = id, level = level } end
    assert.are.same({ "1", "{ 2 }", '"a"', '"up"', '"global"' },
      evaluate(program, "x, y, argument, shared, seen", scope(1)).texts)
    assert.are.same({ '"o"', "nil" }, evaluate(program, "outer, x", scope(2)).texts)
    evaluate(program, "x = 7; shared = 'changed'", scope(1))
    assert.are.same({ "7", '"changed"' }, evaluate(program, "x, shared", scope(1)).texts)
    assert.matches("no such call", evaluate(program, "x", scope(99)).texts[1])
    assert.matches("no task of that number", evaluate(program, "x", { task = 999 }).texts[1])
  end)

  it("tells errors, of any kind", function()
    local program <close> = start(SCOPE)
    local function fails(code, pattern)
      local result = evaluate(program, code)
      assert.is_false(result.ok)
      assert.matches(pattern, result.texts[1])
    end
    fails("error 'went wrong'", "went wrong")
    fails("error({})", "table:")
    fails("error(setmetatable({}, {__tostring = function() error 'x' end}))", "cannot be shown")
    fails("1 +", "evaluate:1:")
    fails("nothing.x", "nothing")
    fails("coroutine.yield(1)", "yield")
  end)

  it("may print, wait, and use the functions of the program", function()
    local program <close> = start [[
      function helper(x) task.sleep(0.05) return x * 2 end
      task.sleep(1000)
    ]]
    assert.are.same({ "42" }, evaluate(program, "helper(21)").texts)
    evaluate(program, "print 'printed'")
    program:line "^printed$"
  end)

  it("ends with its time limit, while it waits and while it computes; others run meanwhile", function()
    local program <close> = start [[
      task.spawn(function() while true do task.sleep(0.01) end end)
      task.sleep(1000)
    ]]
    for _, code in ipairs { "require('moonlet.task').sleep(1000)", "while true do end",
      "while true do pcall(function() while true do end end) end" } do
      local result = evaluate(program, code, { seconds = 0.3 })
      assert.is_false(result.ok)
      assert.matches("time limit", result.texts[1])
    end
    local loop = task.spawn(function() evaluate(program, "while true do end", { seconds = 2 }) end)
    task.sleep(0.1)
    assert.are.equal("inspector", program:results "program.ping")
    support.finish(loop)
  end)

  it("is answered by a program that computes, in the scope of what it computes", function()
    local program <close> = start [[
      local function busy(n)
        local count = 0
        while not stop do count = count + 1 end
        return count, n
      end
      print "computes"
      busy(5)
      print "stopped"
    ]]
    program:line "computes"
    program:answers()
    local function eventually(code, pattern)
      return support.eventually(function()
        local reply = post(program, "/evaluate", { code = code, task = 1, level = 0, seconds = 0.5 })
        return reply.status == 200 and (reply:json().texts[1] or ""):match(pattern) and reply:json()
      end)
    end
    assert.are.equal("5", eventually("n, math.type(count)", "^5$").texts[1])
    eventually("require('moonlet.task').sleep(1)", "cannot wait")
    eventually("(function() while true do end end)()", "time limit")
    eventually("rawset(_G, 'stop', true) and 1", "1")
    program:line "stopped"
  end)

  it("refuses what makes no sense", function()
    local program <close> = start "task.sleep(1000)"
    for _, body in ipairs { {}, { code = 1 }, { code = "1", task = "x" }, { code = "1", seconds = 0 },
      { code = "1", seconds = "x" }, { code = "1", task = 0 } } do
      json_of(post(program, "/evaluate", body), 400)
    end
  end)
end)
