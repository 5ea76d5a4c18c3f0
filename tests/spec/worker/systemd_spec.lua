-- The master and a service manager: sd_notify(3), sockets that were passed, the watchdog. And a new binary.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

local net = require "moonlet.net"
local task = require "moonlet.task"

-- A socket as the manager has it: `await(pattern)` returns the next message that matches.
local function manager()
  local path = os.tmpname()
  os.remove(path)
  local socket = assert(net.udp { host = "unix:" .. path })
  local self = { path = path }
  function self.await(pattern)
    while true do
      local text = assert(socket:receive_from(workers.patience))
      if text:find(pattern) then return text end
    end
  end
  return setmetatable(self, { __close = function() socket:close() end })
end

describe("the service manager is told", function()
  it("of the readiness, a reload, and the end", function()
    local m <close> = manager()
    local program <close> = workers.start("task.sleep(0.05) serve()", { env = { NOTIFY_SOCKET = m.path } })
    local text = m.await "READY=1"
    assert.is_truthy(text:find("MAINPID=" .. program.process.pid, 1, true))
    program:await_ready()
    program:signal "HUP"
    text = m.await "RELOADING=1"
    assert.is_truthy(text:find "MONOTONIC_USEC=%d%d%d%d+\n")
    m.await "READY=1"
    program:await_generation(2)
    program.process:kill "TERM"
    m.await "STOPPING=1"
    assert.are.equal(0, program:wait())
  end)

  it("that a reload that has failed is over", function()
    local m <close> = manager()
    local program <close> = workers.start("serve()", { env = { NOTIFY_SOCKET = m.path } })
    m.await "READY=1"
    program:rewrite "os.exit(3)"
    program:signal "HUP"
    m.await "RELOADING=1"
    m.await "READY=1"
    assert.are.equal(1, (select(2, program:who())))
    assert.are.equal(0, program:stop())
  end)

  it("that the master lives, twice as often as it wants", function()
    local m <close> = manager()
    local program <close> = workers.start("serve()", { env = { NOTIFY_SOCKET = m.path, WATCHDOG_USEC = "200000" } })
    m.await "READY=1"
    local start = task.now()
    for _ = 1, 5 do m.await "WATCHDOG=1" end
    assert.is_true(task.now() - start >= 0.35)
    assert.are.equal(0, program:stop())
  end)

  it("at once that it lives, also of a new program, however long it has been silent", function()
    local m <close> = manager()
    local program <close> = workers.start("serve()", { env = { NOTIFY_SOCKET = m.path, WATCHDOG_USEC = "3600000000" } })
    m.await "WATCHDOG=1"
    program:await_ready()
    program:signal "USR2"
    m.await "WATCHDOG=1"
    program:await "generation 2 serves"
    assert.are.equal(0, program:stop())
  end)

  it("nothing by the workers", function()
    local m <close> = manager()
    local program <close> = workers.start([[
      assert(not os.getenv "NOTIFY_SOCKET" and not os.getenv "WATCHDOG_USEC")
      serve()
    ]], { env = { NOTIFY_SOCKET = m.path, WATCHDOG_USEC = "10000000" } })
    m.await "READY=1"
    assert.are.equal(0, program:stop())
  end)
end)

describe("sockets of the service manager", function()
  it("are given to workers that listen on their address", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write [[
      local net, worker = require "moonlet.net", require "moonlet.worker"
      assert(not os.getenv "LISTEN_FDS")
      local port = tonumber((io.open "/proc/self/net/tcp":read "a"):match ": 0100007F:(%x+) 00000000:0000 0A", 16)
      local listener = assert(net.listen("127.0.0.1", port))
      print(listener:address().port == port)
      worker.ready()
      worker.stop()
    ]]
    file:close()
    local output, status = workers.support.shell(([[unshare -rn sh -c '
      ip link set lo up 2>/dev/null
      perl tests/spec/net/activate.pl t "" "%s" --workers 1 %s']]):format(os.getenv "MOONLET", path))
    os.remove(path)
    if output:find "unshare" then return pending "needs namespaces" end
    assert.is_truthy(output:find "^true\n", output)
    assert.are.equal(0, status)
  end)
end)

describe("a new binary", function()
  -- Starts the program by a symbolic link.
  local function start()
    local link = os.tmpname()
    os.remove(link)
    local target = os.getenv "MOONLET"
    assert(os.execute(("ln -s '%s' '%s'"):format(target, link)))
    local program = workers.start([[
      routes.long = function() task.sleep(1) return routes.who() end
      serve()
    ]], { program = link })
    return program, function(to)
      os.remove(link)
      if to then assert(os.execute(("ln -s '%s' '%s'"):format(to == "same" and target or to, link))) end
    end
  end

  it("goes on in the same process, with the requests under way", function()
    local owned, place = start()
    local program <close> = owned
    program:await_ready()
    local pid = program:status().pid
    local long = program:begin "long"
    program:signal "USR2"
    program:await "goes on as "
    program:await "generation 2 serves"
    local status = program:status()
    assert.are.equal(pid, status.pid)
    program:await_generation(2)
    assert.is_truthy(select(2, long:join()):find " 1 ")
    program:signal "HUP" -- signals work as before
    program:await "generation 3 serves"
    program:signal "USR2"
    program:await "generation 4 serves"
    assert.are.equal(0, program:stop())
    place()
  end)

  it("that cannot take over changes nothing", function()
    local owned, place = start()
    local program <close> = owned
    program:await_ready()
    place "/bin/false"
    program:signal "USR2"
    program:await "no new program: .*: it cannot take over from this version"
    place()
    program:signal "USR2"
    program:await("no new program: .*: No such file", 2)
    assert.are.equal(1, (select(2, program:who())))
    assert.are.equal(0, program:stop())
  end)

  it("whose workers fail leaves the old ones serving", function()
    local owned, place = start()
    local program <close> = owned
    program:await_ready()
    program:rewrite "error 'not with this version'"
    program:signal "USR2"
    program:await "goes on as "
    program:await "the reload is rolled back, generation 1 goes on"
    assert.are.equal(1, (select(2, program:who())))
    assert.are.equal(0, program:stop())
    place()
  end)
end)
