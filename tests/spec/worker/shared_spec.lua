-- What workers share: sockets of each kind, their options, who gets a connection.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

local net = require "moonlet.net"
local task = require "moonlet.task"

local function sockets(program) return program:status().sockets end

describe("net.listen in a worker", function()
  it("gives each worker the same port for its n-th call with port 0", function()
    local program <close> = workers.start [[
      local a, b = assert(net.listen("127.0.0.1", 0)), assert(net.listen("127.0.0.1", 0))
      routes.ports = function() return a:address().port .. " " .. b:address().port end
      serve()
    ]]
    program:await_ready()
    local seen, all = {}, nil
    workers.eventually(function()
      local ports = program:get "ports"
      local id = program:who()
      seen[id] = true
      all = all or ports
      assert.are.equal(all, ports)
      return seen[1] and seen[2]
    end)
    local a, b = all:match "(%d+) (%d+)"
    assert.are_not.equal(a, b)
    assert.are.equal(3, #sockets(program))
    assert.are.equal(0, program:stop())
  end)

  it("shares a Unix socket by its absolute path, which is removed at the end", function()
    local path = os.tmpname()
    os.remove(path)
    local directory, name = path:match "^(.*)/([^/]+)$"
    local program <close> = workers.start(([[
      local listener = assert(net.listen(worker.id == 1 and "unix:%s" or "unix:%s/../%s"))
      routes.path = function() return tostring(listener:address()) end
      task.spawn({ daemon = true }, function() listener:serve(function(c) c:write(worker.id) end) end)
      serve()
    ]]):format(path, directory, directory:match "[^/]+$" .. "/" .. name))
    -- Another spelling of the directory is another path: the second worker's bind replaces nothing.
    assert.are.equal(1, program:wait())
    local same <close> = workers.start(([[
      local listener = assert(net.listen("unix:%s"))
      task.spawn({ daemon = true }, function() listener:serve(function(c) c:write(worker.id) end) end)
      serve()
    ]]):format(path))
    same:await_ready()
    local conn <close> = assert(net.connect("unix:" .. path))
    assert.is_truthy(assert(conn:read "a"):find "^[12]$")
    assert.are.equal(0, same:stop())
    assert.is_nil(io.open(path))
  end)

  it("refuses options that differ from another worker's", function()
    local program <close> = workers.start [[
      assert(net.listen("127.0.0.1", 0))
      local _, message, code
      if worker.id == 2 then task.sleep(0.3) end
      local l
      l, message, code = net.listen("127.0.0.1", 0, { backlog = worker.id })
      routes.result = function() return tostring(code) end
      serve()
    ]]
    program:await_ready()
    local seen = {}
    workers.eventually(function()
      seen[program:get "result"] = true
      return seen["nil"] and seen.EINVAL
    end)
    assert.are.equal(0, program:stop())
  end)

  it("makes a socket of the worker's own if it is exclusive", function()
    local program <close> = workers.start [[
      local own = assert(net.listen("127.0.0.1", 0, { exclusive = true }))
      routes.port = function() return tostring(own:address().port) end
      serve()
    ]]
    program:await_ready()
    local seen, count = {}, 0
    workers.eventually(function()
      local port = program:get "port"
      if not seen[port] then seen[port], count = true, count + 1 end
      return count == 2
    end)
    assert.are.equal(1, #sockets(program))
    assert.are.equal(0, program:stop())
  end)

  it("says that it is closed to the master when the script closes it", function()
    local program <close> = workers.start [[
      local l = assert(net.listen("127.0.0.1", 0))
      routes.close = function() l:close() return "ok" end
      serve()
    ]]
    program:await_ready()
    assert.are.equal(2, #sockets(program))
    workers.eventually(function()
      program:get "close"
      return #sockets(program) == 1
    end)
    assert.are.equal(0, program:stop())
  end)

  it("with reuseport gives each worker a queue of its own, which outlives its process", function()
    local program <close> = workers.start([[
      routes.die = function() os.exit(3) end
      serve { reuseport = true }
    ]], { count = 2 })
    program:await_ready()
    assert.are.equal(2, sockets(program)[1].sockets)
    program:get "die"
    for _ = 1, 20 do assert(program:get "who") end
    assert.are.equal(0, program:stop())
  end)

  it("with the program's option reuseport does so without asking", function()
    local program <close> = workers.start("serve()", { count = "2,reuseport" })
    program:await_ready()
    assert.are.equal(2, sockets(program)[1].sockets)
    assert.are.equal(0, program:stop())
  end)
end)

describe("net.udp in a worker", function()
  it("with a port leads each sender to one worker", function()
    local port = workers.support.free_port()
    local program <close> = workers.start(([[
      local socket = assert(net.udp { host = "127.0.0.1", port = %d })
      task.spawn({ daemon = true }, function()
        while true do
          local data, from = socket:receive_from()
          if not data then return end
          socket:send_to(("%%d %%s"):format(worker.id, data), from)
        end
      end)
      serve()
    ]]):format(port))
    program:await_ready()
    local seen = {}
    for _ = 1, 40 do
      local socket <close> = assert(net.udp { host = "127.0.0.1" })
      socket:connect("127.0.0.1", port)
      local first
      for n = 1, 5 do
        socket:send(tostring(n))
        local id, text = assert(socket:receive(workers.patience)):match "(%d) (%d)"
        assert.are.equal(tostring(n), text)
        first = first or id
        assert.are.equal(first, id)
      end
      seen[first] = true
      if seen["1"] and seen["2"] then break end
    end
    assert.is_true(seen["1"] and seen["2"])
    assert.are.equal(0, program:stop())
  end)

  it("without a port is the worker's own", function()
    local program <close> = workers.start [[
      local socket = assert(net.udp { host = "127.0.0.1" })
      serve()
    ]]
    program:await_ready()
    assert.are.equal(1, #sockets(program))
    assert.are.equal(0, program:stop())
  end)
end)

describe("connections", function()
  it("that stay are spread evenly, also if they come at once", function()
    local program <close> = workers.start("serve()", { count = 3 })
    program:await_ready()
    local conns <close> = setmetatable({}, { __close = function(list)
      for _, conn in ipairs(list) do conn:close() end
    end })
    for i = 1, 60 do conns[i] = assert(net.connect("127.0.0.1", program.port)) end
    for _, conn in ipairs(conns) do assert(conn:write "GET /who HTTP/1.1\r\nHost: x\r\n\r\n") end
    local counts = { 0, 0, 0 }
    for _, conn in ipairs(conns) do
      local head = assert(conn:read_until "\r\n\r\n")
      local body = assert(conn:read_exactly(tonumber(head:lower():match "content%-length: (%d+)")))
      local id = tonumber(body:match "^%d+")
      counts[id] = counts[id] + 1
    end
    for _, count in ipairs(counts) do
      assert.is_true(count >= 16 and count <= 24, table.concat(counts, " "))
    end
    assert.are.equal(0, program:stop())
  end)

  it("do not wait for a worker that does not answer", function()
    local program <close> = workers.start("serve()", { count = "2,stuck=60" })
    program:await_ready()
    local _, _, pid = program:who()
    os.execute("kill -STOP " .. pid)
    local conns <close> = setmetatable({}, { __close = function(list)
      for _, conn in ipairs(list) do conn:close() end
    end })
    for i = 1, 60 do
      local conn = assert(net.connect("127.0.0.1", program.port))
      conns[i] = conn
      conn:set_timeout(workers.patience)
      assert(conn:write "GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
      assert(conn:read_until "\r\n\r\n")
    end
    os.execute("kill -CONT " .. pid)
    assert.are.equal(0, program:stop())
  end)

  it("are spread over workers that are busy", function()
    local program <close> = workers.start [[
      local busy = net.listen("127.0.0.1", 0)
      routes.port = function() return tostring(busy:address().port) end
      task.spawn({ daemon = true }, function()
        busy:serve(function(c)
          local start = os.clock()
          while os.clock() - start < 0.005 do end
          c:write(worker.id)
        end)
      end)
      serve()
    ]]
    program:await_ready()
    local port, seen = tonumber((program:get "port")), { 0, 0 }
    task.group(function(group)
      for _ = 1, 100 do
        group:spawn(function()
          local conn <close> = assert(net.connect("127.0.0.1", port))
          local id = tonumber((assert(conn:read(1))))
          seen[id] = seen[id] + 1
        end)
      end
    end)
    assert.are.equal(100, seen[1] + seen[2])
    assert.is_true(seen[1] >= 20 and seen[2] >= 20, seen[1] .. " and " .. seen[2])
    assert.are.equal(0, program:stop())
  end)
end)

describe("worker.run", function()
  it("runs a script in workers, and waits for the end of them", function()
    local output, status = workers.support.run [[
      local worker = require "moonlet.worker"
      if worker.id then
        io.write(worker.id, "/", worker.count, " ", table.concat(arg, ","), "\n")
        return print(select(3, worker.run { count = 1 }))
      end
      print(worker.run { count = 1, args = { "a", 2 } })
    ]]
    assert.are.equal("1/1 a,2\nEALREADY\ntrue\n", output)
    assert.are.equal(0, status)
  end)

  it("says how they have failed", function()
    local output = workers.support.run [[
      local worker = require "moonlet.worker"
      if worker.id then os.exit(4) end
      io.stderr:close()
      print(worker.run { count = 2 })
    ]]
    assert.is_truthy(output:find "nil\tthe workers have ended with status 1\tEEXIT", output)
  end)

  it("refuses wrong options", function()
    local worker = require "moonlet.worker"
    for _, opts in ipairs { {}, { count = 0 }, { count = 1.5 }, { count = 1, script = 1 }, { count = 1, args = "a" },
      { count = 1, grace = 0 }, { count = 1, other = 1 } } do
      assert.has_error(function() worker.run(opts) end)
    end
  end)

  it("stops them when it is cancelled", function()
    local program = os.tmpname()
    local file <close> = assert(io.open(program, "w"))
    file:write "local worker = require 'moonlet.worker' worker.ready() require 'moonlet.task'.sleep(1000)"
    file:close()
    local worker = require "moonlet.worker"
    local leaks = require "moonlet.test".leaks()
    local running = task.spawn(function() worker.run { count = 1, script = program } end)
    task.sleep(0.3)
    running:cancel()
    running:join()
    os.remove(program)
    workers.eventually(function() return #leaks() == 0 end) -- the program has ended
  end)
end)
