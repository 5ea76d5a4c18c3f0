-- Workers in hard circumstances: few descriptors, slow boots, code that fails late, forks, threads, two masters.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local SERVER = "serve()"

-- The program under a limit of open files, as a file that is removed with the variable that has it.
local function with_few_files(limit)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(("#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n"):format(limit, os.getenv "MOONLET"))
  file:close()
  assert(os.execute("chmod +x " .. path))
  return setmetatable({ path = path }, { __close = function() os.remove(path) end })
end

describe("few descriptors", function()
  it("end the first boot at once, with the reason", function()
    for _, limit in ipairs { 6, 8 } do -- no worker can be started; one can
      local few <close> = with_few_files(limit)
      local program <close> = workers.start(SERVER, { program = few.path })
      assert.are.equal(1, program:wait())
      assert.is_truthy(program:text():find "cannot start: no process for worker %d: Too many open files")
    end
  end)

  it("roll a reload back, with the reason, and the old generation goes on", function()
    local few <close> = with_few_files(12) -- enough for two workers, and not for four
    local program <close> = workers.start(SERVER, { program = few.path })
    program:await_ready()
    for _ = 1, 2 do
      local answer = program:json "reload"
      assert.are.equal("ECANCELED", answer.code)
      assert.is_truthy(answer.message:find "Too many open files")
    end
    assert.are.equal(1, (select(2, program:who())))
    assert.are.equal(0, program:stop())
  end)

  it("of one worker leave its connections to the others, and itself among the living", function()
    local few <close> = with_few_files(64)
    local program <close> = workers.start([[
      local kept = {}
      routes.eat = function()
        repeat
          local file = io.open "/dev/null"
          kept[#kept + 1] = file
        until not file
        return tostring(worker.id)
      end
      routes.back = function()
        for _, file in ipairs(kept) do file:close() end
        kept = {}
        return tostring(worker.id)
      end
      serve()
    ]], { program = few.path })
    program:await_ready()
    local conn <close> = assert(net.connect("127.0.0.1", program.port)) -- of the one that has no more
    local function ask(path)
      assert(conn:write("GET /" .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n"))
      local head = assert(conn:read_until "\r\n\r\n"):lower()
      return tonumber(assert(conn:read_exactly(tonumber(head:match "content%-length: (%d+)"))))
    end
    local hungry = ask "eat"
    for _ = 1, 20 do assert.are_not.equal(hungry, (program:who())) end
    assert.are.equal(hungry, ask "back")
    workers.eventually(function() return program:who() == hungry end)
    assert.are.equal(0, program:status().restarts)
    assert.are.equal(0, program:stop())
  end)
end)

describe("two masters", function()
  it("do not share a port: the second one ends, the first one serves", function()
    local first <close> = workers.start(SERVER)
    first:await_ready()
    local second <close> = workers.start(SERVER, { port = first.port })
    assert.are.equal(1, second:wait())
    assert.is_truthy(second:text():lower():find "address already in use")
    assert.is_truthy((first:get "who"))
    assert.are.equal(0, first:stop())
  end)

  it("do not share a port of datagrams either, though each has a socket for each worker", function()
    local source = [[
      local socket = assert(net.udp { host = "127.0.0.1", port = port })
      worker.ready()
      socket:receive()
    ]]
    local first <close> = workers.start(source)
    first:await_ready()
    local second <close> = workers.start(source, { port = first.port })
    assert.are.equal(1, second:wait())
    assert.is_truthy(second:text():lower():find "address already in use")
    assert.are.equal(0, first:stop())
  end)

  it("do not take a path from each other", function()
    local path = os.tmpname()
    os.remove(path)
    local source = ([[
      local listener = assert(net.listen "unix:%s")
      listener:serve(function(conn) conn:write(pid) end)
    ]]):format(path)
    local first <close> = workers.start(source)
    first:await_ready()
    local second <close> = workers.start(source)
    assert.are.equal(1, second:wait())
    local conn <close> = assert(net.connect("unix:" .. path))
    assert.is_truthy(tonumber((assert(conn:read "a"))))
    assert.are.equal(0, first:stop())
    assert.is_nil(io.open(path))
  end)
end)

describe("a slow boot", function()
  it("is no silence: a worker that is not ready need not answer", function()
    local program <close> = workers.start([[
      local start = task.now()
      while task.now() - start < 3 do end
      serve()
    ]], { count = "1,stuck=1.5" })
    program:await_ready()
    assert.is_nil(program:text():find "did not answer")
    assert.are.equal(0, program:stop())
  end)

  it("of a new generation leaves the old one serving until it is over", function()
    local gate <close> = assert(net.listen("127.0.0.1", 0))
    local slow <close> = workers.start([[
      if worker.generation > 1 then
        local go <close> = assert(net.connect("127.0.0.1", tonumber(os.getenv "GATE")))
        go:read "a"
      end
      serve()
    ]], { env = { GATE = tostring(gate:address().port) } })
    slow:await_ready()
    slow:signal "HUP"
    local one <close> = assert(gate:accept())
    local two <close> = assert(gate:accept())
    for _ = 1, 10 do assert.are.equal(1, (select(2, slow:who()))) end
    assert.is_true(slow:status().reloading)
    one:close()
    for _ = 1, 10 do assert.is_truthy((slow:get "who")) end -- one of two is ready
    assert.are.equal(1, slow:status().generation)
    two:close()
    slow:await "generation 2 serves"
    slow:await_generation(2)
    assert.are.equal(0, slow:stop())
  end)

  it("that fails takes no request with it that another new worker has begun", function()
    local gate <close> = assert(net.listen("127.0.0.1", 0))
    local program <close> = workers.start([[
      routes.long = function()
        io.stderr:write(("long in generation %d\n"):format(worker.generation))
        task.sleep(1)
        return routes.who()
      end
      if worker.generation > 1 and worker.id == 2 then
        local go <close> = assert(net.connect("127.0.0.1", tonumber(os.getenv "GATE")))
        go:read "a"
        error "not this one"
      end
      serve()
    ]], { env = { GATE = tostring(gate:address().port) } })
    program:await_ready()
    program:signal "HUP"
    local go <close> = assert(gate:accept())
    local answers, asked = {}, {}
    workers.eventually(function()
      local i = #asked + 1
      asked[i] = task.spawn(function() answers[i] = program:get "long" end)
      task.sleep(0.05) -- some twenty at a time
      return program:text():find("long in generation 2", 1, true)
    end)
    go:close()
    program:await "the reload is rolled back, generation 1 goes on"
    local generations = {}
    for i = 1, #asked do
      asked[i]:join()
      assert.is_truthy(answers[i])
      generations[answers[i]:match "^%d+ (%d+)"] = true
    end
    assert.is_true(generations["2"])
    workers.eventually(function() return #program:status().workers == 2 end)
    assert.are.equal(0, program:stop())
  end)

  it("that takes too long rolls the reload back", function()
    local program <close> = workers.start([[
      if worker.generation > 1 then task.sleep(600) end
      serve()
    ]], { count = "2,boot=4" })
    program:await_ready()
    program:signal "HUP"
    program:await "the reload is rolled back, generation 1 goes on: .*: it was not ready in time"
    assert.are.equal(1, (select(2, program:who())))
    workers.eventually(function() return #program:status().workers == 2 end)
    assert.are.equal(0, program:stop())
  end)

  it("is ended by the end of the program", function()
    local program <close> = workers.start [[
      if worker.generation > 1 then task.sleep(600) end
      serve()
    ]]
    program:await_ready()
    program:signal "HUP"
    program:await "reloads: generation 2"
    assert.are.equal(0, program:stop())
    assert.is_truthy(program:text():find "rolled back, generation 1 goes on: the program is stopping")
  end)
end)

describe("code that fails", function()
  it("at the third worker of a new generation rolls it back for all", function()
    local program <close> = workers.start(SERVER, { count = 3 })
    program:await_ready()
    local before = program:status().workers
    program:rewrite [[
      if worker.id == 3 then error "not three" end
      serve()
    ]]
    local answer = program:json "reload"
    assert.are.equal("ECANCELED", answer.code)
    assert.is_truthy(answer.message:find "^worker 3 ")
    workers.eventually(function() return #program:status().workers == 3 end)
    for i, w in ipairs(program:status().workers) do assert.are.equal(before[i].pid, w.pid) end
    assert.are.equal(0, program:status().restarts)
    assert.are.equal(0, program:stop())
  end)

  it("a while after it has served is started again, and says why it failed", function()
    local gate <close> = workers.gate()
    local program <close> = workers.start([[
      if worker.id == 1 then serve() end
      worker.ready()
      while not io.open(os.getenv "GATE") do task.sleep(0.01) end
      task.sleep(1)
      error "after a second"
    ]], { env = { GATE = gate.path } })
    program:await_ready()
    gate:open()
    program:await "after a second"
    program:await "worker 2 .* has ended with status 1"
    assert.are.equal(1, (program:who()))
    workers.eventually(function() return program:status().restarts >= 1 end)
    assert.are.equal(1, program:status().generation)
    assert.are.equal(0, program:stop())
  end)

  it("after a reload that went well is mended by the next reload at once", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    local fault <close> = workers.gate()
    program:rewrite(([[
      worker.ready()
      while not io.open %q do task.sleep(0.01) end
      error "it only seemed to work"
    ]]):format(fault.path))
    program:signal "HUP"
    program:await "generation 2 serves"
    fault:open()
    program:await "it only seemed to work"
    program:await "the next try is in %d.%d s"
    program:rewrite(SERVER)
    program:signal "HUP"
    program:await "generation 3 serves"
    assert.are.equal(3, (select(2, program:who())))
    assert.are.equal(0, program:stop())
  end)
end)

describe("a port that is taken", function()
  it("when a reload asks for it rolls the reload back", function()
    local other <close> = assert(net.listen("127.0.0.1", 0))
    local program <close> = workers.start(SERVER)
    program:await_ready()
    program:rewrite(("assert(net.listen('127.0.0.1', %d)) serve()"):format(other:address().port))
    local answer = program:json "reload"
    assert.are.equal("ECANCELED", answer.code)
    program:await "[Aa]ddress already in use"
    assert.are.equal(1, (select(2, program:who())))
    assert.are.equal(0, program:stop())
  end)

  it("is no reason to end for a script that takes the error", function()
    local other <close> = assert(net.listen("127.0.0.1", 0))
    local program <close> = workers.start(([[
      local listener, _, code = net.listen("127.0.0.1", %d)
      routes.code = function() return tostring(listener) .. " " .. code end
      serve()
    ]]):format(other:address().port))
    program:await_ready()
    for _ = 1, 4 do assert.are.equal("nil EADDRINUSE", (program:get "code")) end
    assert.are.equal(0, program:stop())
  end)
end)

describe("signals for the master", function()
  it("that reach the workers, too, end none of them", function()
    local program <close> = workers.start [[
      routes.child = function()
        return (require "moonlet.process".run { "sh", "-c", "kill -HUP $$; echo survived" }).stdout
      end
      serve()
    ]]
    program:await_ready()
    local before = program:status().workers
    for _, w in ipairs(before) do
      for _, name in ipairs { "HUP", "USR2", "TTIN", "TTOU" } do
        assert(os.execute(("kill -%s %d"):format(name, w.pid)))
      end
    end
    for _ = 1, 10 do assert.is_truthy((program:get "who")) end
    local after = program:status()
    for i, w in ipairs(after.workers) do assert.are.equal(before[i].pid, w.pid) end
    assert.are.equal(0, after.restarts)
    assert.are_not.equal("survived\n", (program:get "child")) -- what a worker starts is as usual
    assert.are.equal(0, program:stop())
  end)
end)

describe("the inspector of a worker", function()
  -- What the inspector at the address says of all workers: the token is good for one visit.
  local function ask_inspector(program, port, after)
    local token = program:await(("inspector: http://127.0.0.1:%d/%%?token=(%%x+)"):format(port), after)
    local client <close> = http.client {}
    local reply = assert(client:get(("http://127.0.0.1:%d/workers"):format(port),
      { headers = { authorization = "Bearer " .. token } }))
    assert.are.equal(200, reply.status, reply.body)
    return reply:json()
  end

  it("at an address is the first one's, which tells of all, also after reloads", function()
    local port = workers.support.free_port()
    local program <close> = workers.start(SERVER, { count = 3, options = { ("--inspect=:%d"):format(port) } })
    program:await_ready()
    for _, w in ipairs(program:status().workers) do
      assert.is_truthy(program:text():find("inspector: unix:[^\n]*" .. w.pid))
    end
    for generation = 1, 3 do
      local lines = generation == 1 and 0 or #program.log
      if generation > 1 then
        program:signal "HUP"
        program:await(("generation %d serves"):format(generation), lines)
      end
      local told = ask_inspector(program, port, lines)
      assert.are.equal(1, told.id)
      local serving = 0
      for _, w in ipairs(told.status.workers) do
        if w.generation == generation then serving = serving + 1 end
      end
      assert.are.equal(3, serving)
    end
    assert.are.equal(0, program:stop())
  end)

  it("does not keep it from serving if the address is taken, and takes it when it is free", function()
    local other <close> = assert(net.listen("127.0.0.1", 0))
    local port = other:address().port
    local program <close> = workers.start(SERVER, { options = { ("--inspect=:%d"):format(port) } })
    program:await_ready()
    program:await(("inspector: waits for :%d: .*ddress already in use"):format(port))
    other:close()
    assert.are.equal(1, ask_inspector(program, port).id)
    assert.are.equal(0, program:stop())
  end)

  it("refuses an address that is none, which ends the first boot", function()
    local program <close> = workers.start(SERVER, { options = { "--inspect=nonsense" } })
    assert.are.equal(1, program:wait())
    assert.is_truthy(program:text():find("cannot be inspected: 'nonsense' is no address", 1, true))
  end)
end)

describe("a fork of a worker", function()
  local FORKS = [[
    package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
    local libc = require "libc"
    routes.fork = function()
      local path = os.tmpname()
      libc.fork(function()
        local out = io.open(path, "w")
        out:write(tostring(pcall(worker.status)), " ", tostring(pcall(worker.reload)), "\n")
        out:close()
        local limit = os.time() + 30
        repeat local gate = io.open(path .. ".go") until gate or os.time() > limit -- nothing here may wait
        os.remove(path .. ".go")
        return 0
      end)
      return path
    end
    serve()
  ]]

  it("is no worker: the master hears nothing of it, and does not wait for it", function()
    local port = workers.support.free_port()
    local program <close> = workers.start(FORKS, { count = 1, options = { ("--inspect=:%d"):format(port) } })
    local lines = #program:await_ready().log
    local path = program:get "fork"
    local text = workers.eventually(function()
      local found = workers.support.read_file(path)
      return found and found:find "\n" and found
    end)
    assert.are.equal("false false\n", text)
    local before = program:status().workers[1]
    program:signal "HUP" -- the worker ends; its fork, which has the same descriptors, does not
    program:await "generation 2 serves"
    workers.eventually(function()
      local list = program:status().workers
      return #list == 1 and list[1].pid ~= before.pid
    end)
    -- The fork does not have the inspector's socket: the next worker does.
    program:await(("inspector: http://127.0.0.1:%d/"):format(port), lines)
    program.process:kill "TERM"
    assert.are.equal(0, assert(program.process:wait(workers.patience)).status)
    assert(io.open(path .. ".go", "w")):close()
    workers.eventually(function() return not io.open(path .. ".go") end)
    os.remove(path)
  end)
end)

describe("a thread of a worker", function()
  it("is no worker: what it listens on is its own", function()
    local program <close> = workers.start [[
      local thread = require "moonlet.thread"
      routes.own = function()
        return thread.call(function(port)
          local net, worker = require "moonlet.net", require "moonlet.worker"
          local own <close> = assert(net.listen("127.0.0.1", 0))
          local _, _, code = net.listen("127.0.0.1", port)
          return ("%s %s %s"):format(worker.id, own:address().port > 0, code)
        end, port)
      end
      serve()
    ]]
    program:await_ready()
    assert.are.equal("nil true EADDRINUSE", (program:get "own"))
    assert.are.equal(1, #program:status().sockets)
    assert.are.equal(0, program:stop())
  end)

  it("that computes does not hold up the beats, and not the end", function()
    local program <close> = workers.start([[
      local thread = require "moonlet.thread"
      routes.burn = function()
        task.spawn({ daemon = true }, function()
          thread.call(function() while true do require "moonlet.task".yield() end end)
        end)
        return tostring(pid)
      end
      serve()
    ]], { count = "1,stuck=1.5,grace=1" })
    program:await_ready()
    local pid = tonumber((program:get "burn"))
    task.sleep(2.5)
    assert.are.equal(pid, (select(3, program:who())))
    assert.are.equal(0, program:stop())
  end)
end)

describe("net.inherited in a worker", function()
  it("gives the master's listeners to each worker, once, with their names", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local net, worker = require "moonlet.net", require "moonlet.worker"
      local listeners, names = net.inherited()
      print(worker.id, #listeners, table.concat(names, " "), #net.inherited())
      local addresses = {}
      for i, listener in ipairs(listeners) do addresses[i] = listener:address().port > 0 end
      print(worker.id, addresses[1], addresses[2], net.listen(listeners[1]:address()) ~= nil)
      if worker.id == 2 then
        for _ = 1, 2 do
          local conn <close> = assert(net.connect(listeners[2]:address()))
          print(conn:read "a")
        end
        worker.stop()
      end
      listeners[2]:serve(function(conn) conn:write "hello" end)
    ]]
    file:close()
    local output, status = workers.support.shell(
      ([[perl tests/spec/net/activate.pl tut "web:dns:admin" '%s' --slow 0 --workers 2 %s]]):format(
        os.getenv "MOONLET", path))
    os.remove(path)
    assert.are.equal(0, status, output)
    for id = 1, 2 do
      assert.is_truthy(output:find(("%d\t2\tweb admin\t0\n"):format(id), 1, true), output)
      assert.is_truthy(output:find(("%d\ttrue\ttrue\ttrue\n"):format(id), 1, true), output)
    end
    assert.is_truthy(output:find("hello\nhello\n", 1, true), output)
  end)

  it("gives nothing without a service manager", function()
    local program <close> = workers.start [[
      routes.count = function() return tostring(#net.inherited()) end
      serve()
    ]]
    program:await_ready()
    assert.are.equal("0", (program:get "count"))
    assert.are.equal(0, program:stop())
  end)
end)

describe("workers that have served enough", function()
  it("are replaced one after the other: there are never fewer that serve", function()
    local program <close> = workers.start(SERVER, { count = "3,max_requests=15" })
    program:await_ready()
    local first = {}
    for _, w in ipairs(program:status().workers) do first[w.pid] = true end
    workers.eventually(function()
      local ready, old = 0, 0
      for _, w in ipairs(program:status().workers) do
        if w.state == "ready" then ready = ready + 1 end
        if first[w.pid] then old = old + 1 end
      end
      assert.is_true(ready >= 3, ready)
      return old == 0
    end)
    assert.are.equal(0, program:status().restarts)
    assert.are.equal(0, program:stop())
  end)
end)

describe("many WebSockets", function()
  -- bench/suites/workers_reload.lua has 10,000.
  local COUNT = 300

  it("are all told to come back by a reload, and do", function()
    local websocket = require "moonlet.websocket"
    local program <close> = workers.start [[
      local websocket = require "moonlet.websocket"
      http.serve({ port = port, grace = 10 }, function(req, res)
        local ws = websocket.upgrade(req, res)
        if not ws then return end
        ws:send(tostring(worker.generation))
        for message in ws:messages() do ws:send(message) end
        ws:finish(2)
      end)
    ]]
    program:await_ready()
    local url = ("ws://127.0.0.1:%d/"):format(program.port)
    local sockets, back = {}, 0
    for i = 1, COUNT do
      sockets[i] = assert(websocket.connect(url))
      assert.are.equal("1", (sockets[i]:receive(workers.patience)))
    end
    program:signal "HUP"
    task.group(function(group)
      for _, ws in ipairs(sockets) do
        group:spawn(function()
          assert.is_nil((ws:receive(workers.patience)))
          assert.are.equal(1012, (ws:closed()))
          ws:close()
          local generation
          repeat -- another old worker may not have heard of its end yet
            local again <close> = assert(websocket.connect(url))
            generation = again:receive(workers.patience)
          until generation == "2"
          back = back + 1
        end)
      end
    end)
    assert.are.equal(COUNT, back)
    assert.are.equal(0, program:stop())
  end)
end)
