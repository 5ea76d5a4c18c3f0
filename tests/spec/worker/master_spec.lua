-- The master of workers: start, supervision, reload, stop.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

local task = require "moonlet.task"

local SERVER = "serve()"

-- The pids of the workers in a status, by id.
local function pids(status)
  local found = {}
  for _, w in ipairs(status.workers) do
    if w.state == "ready" then found[w.id] = w.pid end
  end
  return found
end

local function await_count(program, count)
  return workers.eventually(function()
    local found = pids(program:status())
    return #found == count and found
  end)
end

describe("moonlet --workers", function()
  it("runs the script so many times behind one port", function()
    local program <close> = workers.start(SERVER, { count = 3 })
    program:await_ready()
    local status = program:status()
    assert.are.equal(3, status.count)
    assert.are.equal(3, #status.workers)
    assert.are.equal(program.process.pid, status.pid)
    local seen = {}
    for _, w in ipairs(status.workers) do
      assert.are.equal("ready", w.state)
      assert.are.equal(1, w.generation)
      seen[w.id] = w.pid
    end
    assert.are.equal(3, #seen)
    assert.are.same({ { address = "127.0.0.1:" .. program.port, kind = "stream", sockets = 1 } }, status.sockets)
    local id, generation, pid = program:who()
    assert.are.equal(seen[id], pid)
    assert.are.equal(1, generation)
    assert.are.equal(0, program:stop())
  end)

  it("needs a script that runs without workers as it is", function()
    local output, status = workers.support.run [[
      local worker = require "moonlet.worker"
      print(worker.id, worker.count, worker.generation)
      worker.ready()
      print(worker.reload())
      print(select(3, worker.status()), select(3, worker.stop()))
    ]]
    assert.are.equal("nil\tnil\tnil\nnil\tTransport endpoint is not connected\tENOTCONN\nENOTCONN\tENOTCONN\n", output)
    assert.are.equal(0, status)
  end)

  it("refuses a wrong number", function()
    for _, value in ipairs { "0", "x", "1025", "2,", "2,graces=1", "2,grace=", "2,grace=x", "-1", "1.5", "''" } do
      local output, status = workers.support.run("print 'ran'", "--workers " .. value)
      assert.are.equal(1, status, value)
      assert.is_truthy(output:find("'--workers' needs a number", 1, true), output)
    end
  end)

  it("ends well when the script of each worker has ended well", function()
    local output, status = workers.support.run("print(require 'moonlet.worker'.id)", "--workers 3")
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    assert.are.same({ "1", "2", "3" }, lines)
    assert.are.equal(0, status)
  end)

  it("keeps what is the master's from the workers' environment", function()
    local output = workers.support.run([[
      for line in io.open "/proc/self/environ":read "a":gmatch "[^\0]+" do
        if line:match "^NOTIFY_" or line:match "^LISTEN_" then print(line) end
      end
      print(os.getenv "MOONLET_WORKER")
    ]], "--workers 1")
    assert.are.equal("nil\n", output)
  end)
end)

describe("the first boot", function()
  it("that fails ends the program at once, with the reason", function()
    local program <close> = workers.start [[error "no database"]]
    assert.are.equal(1, program:wait())
    assert.is_truthy(program:text():find "no database")
    local reason = "cannot start: worker %d %(pid %d+%) has ended with status 1 before it was ready"
    assert.is_truthy(program:text():find(reason))
  end)

  it("fails if one of the workers does", function()
    local program <close> = workers.start([[
      if worker.id == 3 then error "not three" end
      serve()
    ]], { count = 3 })
    assert.are.equal(1, program:wait())
    assert.is_truthy(program:text():find "cannot start: worker 3 ")
  end)

  it("is followed by the reload that a signal has asked for meanwhile", function()
    local gate <close> = workers.gate()
    local program <close> = workers.start([[
      io.stderr:write "waits\n"
      while not io.open(os.getenv "GATE") do task.sleep(0.01) end
      serve()
    ]], { env = { GATE = gate.path } })
    program:await "waits"
    program.process:kill "HUP"
    program.process:kill "HUP"
    program:await "is starting: the reload follows"
    program:rewrite "routes.new = function() return 'new' end serve()"
    gate:open()
    program:await "generation 2 serves"
    program:await_generation(2)
    assert.are.equal("new", (program:get "new"))
    assert.are.equal(0, program:stop())
    assert.is_nil(program:text():find "generation 3")
  end)

  it("refuses a reload that a worker asks for before it has ended", function()
    local program <close> = workers.start([[
      local _, message, code = worker.reload()
      io.stderr:write("reload: ", message, ", ", code, "\n")
      serve()
    ]], { count = 1 })
    program:await_ready()
    program:await "reload: the program is starting, EAGAIN"
  end)

  it("fails if the port is taken", function()
    local other <close> = assert(require "moonlet.net".listen("127.0.0.1", 0))
    local program <close> = workers.start(SERVER, { port = other:address().port })
    assert.are.equal(1, program:wait())
    assert.is_truthy(program:text():lower():find "address already in use")
  end)

  it("fails if another master has the port, also with a queue for each worker", function()
    local first <close> = workers.start("serve { reuseport = true }")
    first:await_ready()
    local second <close> = workers.start("serve { reuseport = true }", { port = first.port })
    assert.are.equal(1, second:wait())
    assert.are.equal(0, first:stop())
  end)

  it("fails if a worker is not ready in time", function()
    local program <close> = workers.start("task.sleep(600)", { count = "1,boot=0.3" })
    assert.are.equal(1, program:wait())
    assert.is_truthy(program:text():find "it was not ready in time")
  end)

  it("may take its time", function()
    local program <close> = workers.start [[
      local start = os.clock()
      while os.clock() - start < 0.3 do end
      serve()
    ]]
    program:await_ready()
    assert.are.equal(0, program:stop())
  end)
end)

describe("a worker that ends", function()
  it("is replaced", function()
    local program <close> = workers.start(SERVER)
    local before = pids(program:await_ready():status())
    assert(os.execute("kill -KILL " .. before[2]))
    program:await "worker 2 .* was ended by signal 9 %(KILL%)"
    local after = workers.eventually(function()
      local now = pids(program:status())
      return now[2] and now[2] ~= before[2] and now
    end)
    assert.are.equal(before[1], after[1])
    assert.are.equal(1, program:status().restarts)
    assert.are.equal(0, program:stop())
  end)

  it("again and again is replaced more and more slowly, and the others serve", function()
    local gate <close> = workers.gate()
    local program <close> = workers.start([[
      if worker.id == 2 then
        worker.ready()
        while not io.open(os.getenv "GATE") do task.sleep(0.01) end
        os.exit(3)
      end
      serve()
    ]], { env = { GATE = gate.path } })
    program:await_ready()
    gate:open()
    program:await "worker 2: the next try is in 0.4 s"
    program:await "worker 2: the next try is in 0.8 s"
    assert.are.equal(1, (program:who()))
    assert.are.equal(0, program:stop())
  end)

  it("as soon as it has served for a while is replaced at once", function()
    local program <close> = workers.start [[
      routes.die = function() os.exit(3) end
      serve()
    ]]
    program:await_ready()
    for count = 1, 3 do
      program:get "die"
      workers.eventually(function() return program:status().restarts == count end)
      await_count(program, 2)
    end
    assert.are.equal(0, program:stop())
  end)

  it("loses no connection that waits for it", function()
    local program <close> = workers.start([[
      routes.die = function() os.exit(3) end
      serve()
    ]], { count = 1 })
    program:await_ready()
    program:get "die"
    assert.is_truthy(program:get "who") -- in the backlog meanwhile
    assert.are.equal(0, program:stop())
  end)
end)

describe("a worker that does not answer", function()
  local function check(source, expected)
    local program <close> = workers.start(source, { count = "2,stuck=2" })
    program:await_ready()
    local hung = task.spawn(function() return program:get "hang" end)
    local id = program:await "worker (%d) %(pid %d+%) is to be killed: it did not answer"
    if expected then program:await(expected) end
    program:await("worker " .. id .. " .* was ended by signal 9 %(KILL%): it did not answer")
    hung:cancel()
    await_count(program, 2)
    assert.are.equal(0, program:stop())
  end

  it("prints what it does, and is killed", function()
    check([[
      routes.hang = function() while true do end end
      serve()
    ]], "1 task, running")
  end)

  it("is killed also if it was stopped", function()
    check [[
      routes.hang = function() os.execute("kill -STOP " .. pid) end
      serve()
    ]]
  end)
end)

describe("reload", function()
  it("starts a new generation and lets the old one finish what it has begun", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    local slow = program:begin "slow"
    program:signal "HUP"
    program:await "generation 2 serves"
    program:await_generation(2)
    assert.is_truthy(select(2, slow:join()):find " 1 ")
    await_count(program, 2)
    assert.are.equal(0, program:stop())
  end)

  it("is rolled back when the new generation fails, with the reason for the one that asked", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    program:rewrite [[error "broken by the new version"]]
    local answer = program:json "reload"
    assert.is_nil(answer.ok)
    assert.are.equal("ECANCELED", answer.code)
    assert.is_truthy(answer.message:find "worker %d %(pid %d+%) has ended with status 1 before it was ready")
    program:await "the reload is rolled back, generation 1 goes on: worker"
    assert.are.equal(1, (select(2, program:who())))
    program:rewrite(SERVER)
    assert.is_true(program:json "reload".ok)
    program:await_generation(3)
    assert.are.equal(0, program:stop())
  end)

  it("during a reload makes another one follow", function()
    local gate <close> = workers.gate()
    local program <close> = workers.start([[
      while worker.generation > 1 and not io.open(os.getenv "GATE") do task.sleep(0.01) end
      serve()
    ]], { env = { GATE = gate.path } })
    program:await_ready()
    program:signal "HUP"
    program:await "reloads: generation 2"
    program:signal "HUP"
    program:signal "HUP"
    program:await_signals_taken()
    gate:open()
    program:await "generation 3 serves"
    program:await_generation(3)
    assert.are.equal(0, program:stop())
    assert.is_nil(program:text():find "generation 4")
  end)

  it("while the old generation drains starts a third one", function()
    local program <close> = workers.start [[
      routes.long = function() task.sleep(1.5) return routes.who() end
      serve()
    ]]
    program:await_ready()
    local long = program:begin "long"
    program:signal "HUP"
    program:await "generation 2 serves"
    program:signal "HUP"
    program:await "generation 3 serves"
    assert.is_truthy(select(2, long:join()):find " 1 ")
    assert.are.equal(0, program:stop())
  end)

  it("closes a port that the new version does not want, and opens one that it does", function()
    local second = workers.support.free_port()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    program:rewrite(("serve { port = %d }"):format(second))
    program:signal "HUP"
    program:await "generation 2 serves"
    local first = program.port
    program.port = second
    program:await_generation(2)
    workers.eventually(function() return #program:status().workers == 2 end)
    assert.are.same({ { address = "127.0.0.1:" .. second, kind = "stream", sockets = 1 } }, program:status().sockets)
    program.port = first
    assert.is_nil((program:get "who"))
    assert.are.equal(0, program:stop())
  end)
end)

describe("a peer that keeps its connection", function()
  it("loses no request by a reload: the answer says that the connection is over", function()
    local net = require "moonlet.net"
    local program <close> = workers.start(SERVER)
    program:await_ready()
    local conn <close> = assert(net.connect("127.0.0.1", program.port))
    local function ask()
      assert(conn:write "GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
      local head = assert(conn:read_until("\r\n\r\n"))
      return head:lower(), conn:read_exactly(tonumber(head:lower():match "content%-length: (%d+)"))
    end
    assert.is_nil(ask():find "connection: close")
    program:signal "HUP"
    program:await "generation 2 serves"
    workers.eventually(function() return #program:status().workers == 3 end) -- one has that connection
    local head, body = ask()
    assert.is_truthy(head:find "connection: close")
    assert.is_truthy(body:find " 1 ")
    assert.is_nil(conn:read_some())
    assert.are.equal(0, program:stop())
  end)
end)

describe("--workers-status", function()
  it("shows the workers", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    local output, status = workers.support.shell(("'%s' --workers-status %d"):format(os.getenv "MOONLET",
      program.process.pid))
    assert.are.equal(0, status)
    assert.is_truthy(output:find(("master %d: 2 workers, generation 1"):format(program.process.pid), 1, true), output)
    local _, count = output:gsub("%d+ ready ", "")
    assert.are.equal(2, count)
    assert.is_truthy(output:find("listens: 127.0.0.1:" .. program.port, 1, true))
    assert.are.equal(0, program:stop())
    local command = ("'%s' --workers-status %d"):format(os.getenv "MOONLET", program.process.pid)
    output, status = workers.support.shell(command)
    assert.are.equal(1, status)
    assert.is_truthy(output:find("^no workers of process " .. program.process.pid))
  end)
end)

describe("the number of workers", function()
  it("is changed by TTIN and TTOU", function()
    local program <close> = workers.start(SERVER, { count = 1 })
    program:await_ready()
    program:signal "TTIN"
    await_count(program, 2)
    program:signal "TTOU"
    await_count(program, 1)
    program:signal "TTOU" -- the last one stays
    program:await_signals_taken() -- of two that wait the kernel gives the one with the lower number first
    program:signal "TTIN"
    await_count(program, 2)
    assert.are.equal(0, program:stop())
  end)
end)

describe("a worker that has served enough", function()
  it("is replaced, the new one first", function()
    local program <close> = workers.start(SERVER, { count = "1,max_requests=20" })
    program:await_ready()
    local _, _, first = program:who()
    workers.eventually(function()
      local body = assert(program:get "who")
      return not body:find(" " .. first .. "$")
    end)
    assert.are.equal(0, program:status().restarts)
    assert.are.equal(0, program:stop())
  end)

  it("is replaced, too, when it has taken much memory", function()
    local program <close> = workers.start([[
      local kept = {}
      routes.leak = function() kept[#kept + 1] = ("x"):rep(64 * 1024 * 1024) return "ok" end
      serve()
    ]], { count = "1,max_rss=" .. 200 * 1024 * 1024 })
    program:await_ready()
    local _, _, first = program:who()
    for _ = 1, 5 do program:get "leak" end
    workers.eventually(function() return select(3, program:who()) ~= first end)
    assert.are.equal(0, program:stop())
  end)
end)

describe("the end", function()
  it("lets requests finish", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    local slow = program:begin "slow"
    assert.are.equal(0, program:stop "TERM")
    assert.is_truthy((select(2, slow:join())))
  end)

  it("comes from a worker, too", function()
    local program <close> = workers.start(SERVER)
    program:await_ready()
    assert.are.equal("true", (program:get "stop"))
    assert.are.equal(0, program:wait())
  end)

  it("comes at once with the second signal", function()
    local program <close> = workers.start [[
      routes.long = function() task.sleep(100) return "late" end
      serve { grace = 100 }
    ]]
    program:await_ready()
    local long = program:begin "long"
    program:signal "TERM"
    program:await_signals_taken()
    program:signal "INT"
    assert.are.equal(130, program:wait())
    assert.is_nil((select(2, long:join())))
  end)

  it("comes to a worker that ignores SIGTERM", function()
    local program <close> = workers.start([[
      local s = require "moonlet.signal".open("TERM")
      worker.ready()
      while true do task.sleep(1) end
    ]], { count = "1,grace=0.1" })
    program:await_ready()
    assert.are.equal(0, program:stop())
  end)

  it("of the master alone ends the workers, idle ones and those that compute", function()
    local program <close> = workers.start([[
      routes.hang = function() while true do end end
      serve()
    ]], { count = "2,grace=1" })
    program:await_ready()
    local found = pids(program:status())
    local hung = program:begin "hang"
    program:signal "KILL"
    assert.are.equal("KILL", program:wait())
    for _, pid in ipairs(found) do
      workers.eventually(function() return not workers.lives(pid) end)
    end
    hung:cancel()
  end)
end)

describe("what protocols allow", function()
  it("survives a reload: WebSockets are told to come back", function()
    local websocket = require "moonlet.websocket"
    local program <close> = workers.start [[
      local websocket = require "moonlet.websocket"
      http.serve({ port = port, grace = 5 }, function(req, res)
        local ws = websocket.upgrade(req, res)
        if not ws then return end
        ws:send(tostring(worker.generation))
        for message in ws:messages() do ws:send(message) end
        ws:finish(2)
      end)
    ]]
    program:await_ready()
    local sockets = {}
    for i = 1, 20 do
      sockets[i] = assert(websocket.connect(("ws://127.0.0.1:%d/"):format(program.port)))
      assert.are.equal("1", (sockets[i]:receive(workers.patience)))
    end
    program:signal "HUP"
    for _, ws in ipairs(sockets) do
      assert.is_nil((ws:receive(workers.patience)))
      assert.are.equal(1012, (ws:closed()))
      ws:close()
    end
    program:await "generation 2 serves"
    for _ = 1, 5 do
      local again <close> = assert(websocket.connect(("ws://127.0.0.1:%d/"):format(program.port)))
      assert.are.equal("2", (again:receive(workers.patience)))
    end
    assert.are.equal(0, program:stop())
  end)

  it("survives a reload: sessions of TLS are resumed by any worker", function()
    local tls_support = dofile "tests/spec/tls_support.lua"
    local net = require "moonlet.net"
    tls_support.make()
    local program <close> = workers.start(([[
      serve { tls = { cert_file = %q, key_file = %q } }
    ]]):format(tls_support.file "good.pem", tls_support.file "good.key"))
    program:await_ready()
    local context = assert(net.tls(tls_support.trusts { alpn = { "http/1.1" } }))
    local function connect()
      local conn <close> = assert(net.connect("127.0.0.1", program.port, { tls = context }))
      conn:write "GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
      local generation = conn:read("a"):match "\r\n\r\n%d+ (%d+)"
      return generation, conn:tls_info().resumed
    end
    connect()
    for _ = 1, 6 do assert.is_true((select(2, connect()))) end
    program:signal "HUP"
    program:await "generation 2 serves"
    workers.eventually(function()
      local generation, resumed = connect()
      assert.is_true(resumed)
      return generation == "2"
    end)
    assert.are.equal(0, program:stop())
    tls_support.remove()
  end)
end)
