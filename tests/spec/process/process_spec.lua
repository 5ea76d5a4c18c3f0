-- moonlet.process: children, their streams and their ends.

local process = require "moonlet.process"
local channel = require "moonlet.channel"
local net = require "moonlet.net"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

-- Whether a process of that number is there, and no zombie.
local function is_alive(pid)
  local status = support.read_file("/proc/" .. math.tointeger(pid) .. "/stat")
  return status ~= nil and status:match "%) (%a)" ~= "Z"
end

local function eventually_gone(pid)
  return support.eventually(function() return not is_alive(pid) end)
end

-- The same for a child of this process, which it has to wait for.
local function eventually_reaped(pid)
  return support.eventually(function()
    return support.read_file("/proc/" .. math.tointeger(pid) .. "/stat") == nil
  end)
end

describe("process.spawn", function()
  it("starts a command with its arguments as they are, without a shell", function()
    local p <close> = assert(process.spawn { "printf", "%s|", "a b", "$HOME", "*", "", stdout = "pipe" })
    assert.equal("a b|$HOME|*||", p.stdout:read_all())
    assert.same({ status = 0 }, p:wait())
  end)

  it("gives streams of moonlet.net's kind", function()
    local p <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert(p.stdin:write("one\ntwo\n", "three"))
    assert.equal("one", p.stdout:read_line())
    assert.equal("tw", p.stdout:read(2))
    assert.equal("o\n", p.stdout:read_until "\n")
    p.stdout:set_timeout(0.01)
    assert.equal("three", p.stdout:read_exactly(5))
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p.stdout:read_some() })
    p.stdout:set_timeout(nil)
    assert.same({ nil, "timeout", "ETIMEDOUT" },
      { channel.select { { p.stdout, "readable" }, timeout = 0 } })
    assert(p.stdin:shutdown "write")
    assert.is_nil(p.stdout:read_some())
    assert.same({ status = 0 }, p:wait())
    assert.same({ nil, "EPIPE" }, { p.stdin:write "x", (select(3, p.stdin:write "x")) })
  end)

  it("reads nothing from its input and writes nothing to its output", function()
    local p <close> = assert(process.spawn { "sh", "-c", "cat; echo >&2", stdout = "pipe", stderr = "pipe" })
    assert.is_nil(p.stdout:read_some())
    assert.same({ nil, "EPIPE" }, { p.stdout:write "x", (select(3, p.stdout:write "x")) })
    assert.equal("\n", p.stderr:read_all())
    p:wait()
  end)

  it("tells how the child has ended, as often as it is asked", function()
    local p <close> = assert(process.spawn { "sh", "-c", "exit 7" })
    assert.same({ status = 7 }, p:wait())
    assert.same({ status = 7 }, p:wait(0))
    local q <close> = assert(process.spawn { "sh", "-c", "kill -USR1 $$" })
    assert.same({ signal = "USR1" }, q:wait())
  end)

  it("waits no longer than is asked for", function()
    local p <close> = assert(process.spawn { "sleep", "100" })
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0.01) })
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0) })
    assert.is_true(p:kill "KILL")
    assert.same({ signal = "KILL" }, p:wait())
    assert.same({ nil, "ESRCH" }, { p:kill(), (select(3, p:kill())) })
  end)

  it("lets several tasks wait for one child, and select wait for one of several", function()
    local p <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "null" })
    local q <close> = assert(process.spawn { "sleep", "100" })
    local first = support.parked(task.spawn(function() return p:wait() end))
    local second = support.parked(task.spawn(function()
      return channel.select { { q, "wait" }, { p, "wait" } }
    end))
    p.stdin:close()
    assert.same({ true, { status = 0 } }, { first:join(support.patience) })
    assert.same({ true, 2, { status = 0 } }, { second:join(support.patience) })
    q:close()
    q:wait()
  end)

  it("says what has failed when it cannot start", function()
    assert.same({ nil, "no-such-command: command not found", "ENOENT" },
      { process.spawn { "no-such-command" } })
    assert.same({ nil, "/no/such: No such file or directory", "ENOENT" }, { process.spawn { "/no/such" } })
    assert.same({ nil, "/etc/passwd: Permission denied", "EACCES" }, { process.spawn { "/etc/passwd" } })
    assert.same({ nil, "cwd /no/such: No such file or directory", "ENOENT" },
      { process.spawn { "true", cwd = "/no/such" } })
  end)
end)

describe("process:close", function()
  it("asks the child and its group to end, and does not wait", function()
    local p = assert(process.spawn { "sh", "-c", "sleep 100 & echo $!; wait", stdout = "pipe" })
    local grandchild = p.stdout:read "n"
    assert.is_true(is_alive(grandchild))
    p:close()
    assert.same({ signal = "TERM" }, p:wait(support.patience))
    eventually_gone(grandchild)
    p:close()
  end)

  it("kills after a while what ignores that", function()
    local p = assert(process.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 100; done",
      stdout = "pipe", kill_after = 0.05 })
    p.stdout:read_line()
    p:close()
    assert.same({ signal = "KILL" }, p:wait(support.patience))
  end)

  it("ends a child that has stopped itself", function()
    local p = assert(process.spawn { "sh", "-c", "kill -STOP $$" })
    support.eventually(function()
      return support.read_file("/proc/" .. p.pid .. "/stat"):match "%) T"
    end)
    p:close()
    assert.same({ signal = "TERM" }, p:wait(support.patience))
  end)

  it("is what leaving a variable does", function()
    local pid
    do
      local p <close> = assert(process.spawn { "sleep", "100" })
      pid = p.pid
    end
    eventually_reaped(pid)
  end)
end)

describe("process.run", function()
  it("collects both outputs and tells the status", function()
    assert.same({ status = 3, stdout = "out\n", stderr = "err\n" },
      process.run { "sh", "-c", "echo out; echo err >&2; exit 3" })
  end)

  it("feeds the child", function()
    assert.equal("a text", process.run { "cat", input = "a text" }.stdout)
    assert.equal("abc", process.run { "cat", input = { "a", "b", "c" } }.stdout)
    local rest = 3
    assert.equal("3|2|1|", process.run { "cat", input = function()
      rest = rest - 1
      return rest >= 0 and rest + 1 .. "|" or nil
    end }.stdout)
    assert.equal("", process.run { "cat" }.stdout)
  end)

  it("ends whatever the child does not read", function()
    local much = ("x"):rep(10 * 1024 * 1024)
    assert.same({ status = 0, stdout = "", stderr = "" }, process.run { "true", input = much })
    assert.equal("done\n", process.run { "sh", "-c", "exec 0<&-; echo done", input = much }.stdout)
  end)

  it("is not held by a grandchild that holds its pipes", function()
    local result = assert(process.run { "sh", "-c", "sleep 1000 & echo $!" })
    eventually_gone(tonumber(result.stdout))
    local escaped = assert(process.run { "sh", "-c", "setsid sleep 1000 & echo $!" })
    os.execute("kill -KILL " .. escaped.stdout)
  end)

  it("ends the child when its time is over, and gives what there is", function()
    local none, message, code, result = process.run { "sh", "-c", "echo begun; sleep 1000", timeout = 0.2 }
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { none, message, code })
    assert.same({ signal = "TERM", stdout = "begun\n", stderr = "" }, result)
  end)

  it("bounds what it collects", function()
    local none, message, code, result = process.run { "yes", max_output = 1000 }
    assert.same({ nil, "yes: more than 1000 bytes of output", "EMSGSIZE" }, { none, message, code })
    assert.equal(("y\n"):rep(500), result.stdout)
  end)

  it("takes a status for a failure if that is asked for", function()
    local none, message, code, result = process.run { "sh", "-c", "echo why >&2; exit 2", check = true }
    assert.same({ nil, "sh: status 2: why", "EEXIT" }, { none, message, code })
    assert.same({ status = 2, stdout = "", stderr = "why\n" }, result)
    assert.same({ status = 0, stdout = "", stderr = "" }, process.run { "true", check = true })
  end)

  it("ends the child when it is cancelled", function()
    local here <close>, there = net.pair()
    local running = support.parked(task.spawn(function()
      return process.run { "sh", "-c", "echo $$; exec sleep 1000", stdout = there }
    end))
    local pid = here:read "n"
    assert.is_true(is_alive(pid))
    running:cancel()
    assert.equal("ECANCELED", select(3, running:join(support.patience)))
    eventually_reaped(pid)
  end)
end)

describe("process.shell", function()
  it("is the list for a shell", function()
    assert.equal("1 2\n", process.run(process.shell "echo $((1)) $((1 + 1))").stdout)
    assert.equal("-x\n", process.run(process.shell "echo -x").stdout)
  end)
end)

describe("process.which", function()
  it("finds a command as the system does", function()
    assert.equal("/bin/sh", process.which "/bin/sh")
    assert.truthy(process.which("sh"):match "^/.*/sh$")
    assert.same({ nil, "no-such-command: command not found", "ENOENT" }, { process.which "no-such-command" })
    assert.is_nil((process.which "/etc/passwd"))
    assert.is_nil((process.which "/usr"))
  end)
end)

describe("process.env", function()
  it("is this program's environment, with changes", function()
    local env = process.env { MOONLET_SPEC = "a b", HOME = false }
    assert.equal(os.getenv "PATH", env.PATH)
    assert.is_nil(env.HOME)
    local result = process.run { "sh", "-c", "echo $MOONLET_SPEC; echo ${HOME-none}", env = env }
    assert.equal("a b\nnone\n", result.stdout)
  end)

  it("is all that a child has", function()
    assert.equal("A=1\nB=x y\n", process.run { "env", env = { A = 1, B = "x y" } }.stdout)
  end)
end)
