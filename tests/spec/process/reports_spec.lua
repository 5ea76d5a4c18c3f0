--- Processes and signals as users of other libraries have reported them to go wrong; each test names a report.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local task = require "moonlet.task"

local PATIENCE = support.patience

describe("a child's input", function()
  -- nodejs/node 40085 and 29206, execa 74: a program that ends without having read its input fails with EPIPE.
  it("that it does not read is no failure of run", function()
    for _, size in ipairs { 1, 70000, 20000000 } do
      local result = assert(process.run { "sh", "-c", "exit 7", input = ("x"):rep(size) })
      assert.same({ 7, "" }, { result.status, result.stdout })
    end
  end)

  -- execa 823: of two connected programs the second ends first, and the first is to learn of it.
  it("is another's output: the first ends by SIGPIPE when the second has enough", function()
    local first <close> = assert(process.spawn { "yes", stdout = "pipe" })
    local second <close> = assert(process.spawn { "head", "-n", "3", stdin = first.stdout, stdout = "pipe" })
    assert.equal("y\ny\ny\n", second.stdout:read_all())
    assert.same({ status = 0 }, second:wait(PATIENCE))
    assert.same({ signal = "PIPE" }, first:wait(PATIENCE))
  end)

  -- subprocess.h 114, microsoft/git 75: a child that starts later has a copy of the other's pipe: its end never comes.
  it("ends for each of many that start at once when its own pipe is closed", function()
    local numbers = {}
    for i = 1, 40 do numbers[i] = i end
    task.map(numbers, function(i)
      local p <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
      task.yield()
      p.stdin:write(i)
      p.stdin:close()
      assert.equal(tostring(i), p.stdout:read_all())
      assert.same({ status = 0 }, p:wait(PATIENCE))
    end, 40)
  end)
end)

describe("a command", function()
  local function at(dir, name, text)
    local path <const> = dir .. "/" .. name
    assert(fs.write(path, "#!/bin/sh\n" .. text, { mode = "755" }))
    return path
  end

  -- haskell/process 219: a relative command, a directory and an environment at once are "Bad address".
  it("that is relative to its directory gets its environment, too", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.mkdir(dir.path .. "/sub"))
    at(dir.path .. "/sub", "exe", "echo $A from $(pwd)")
    for _, env in ipairs { { A = "1" }, process.env { A = "1" } } do
      local list = { "./exe", cwd = dir.path .. "/sub", env = env }
      assert.equal(("1 from %s/sub\n"):format(dir.path), assert(process.run(list)).stdout)
    end
  end)

  -- cpython 79936: without PATH, commands are looked for here, where somebody else may have put one.
  it("is not taken from here when there is no PATH, and which agrees", function()
    local dir <close> = assert(fs.temp_dir())
    at(dir.path, "cat-of-mine", "echo wrong")
    local code = ([[
      local process = require "moonlet.process"
      require("moonlet.fs")
      print((select(3, process.run { "cat-of-mine" })), (select(3, process.which "cat-of-mine")))
      print(process.run { "echo", "found" }.stdout)]])
    local command, script = support.command(code)
    local output = support.shell(("cd %s && unset PATH && %s"):format(dir.path, command))
    os.remove(script)
    assert.equal("ENOENT\tENOENT\nfound\n\n", output)
    local list = { "cat-of-mine", cwd = dir.path, env = {} }
    assert.equal("ENOENT", select(3, process.run(list)))
  end)

  -- As Python's subprocess: a name with "=" in it would become another one, and a zero byte cuts a text.
  it("is refused when a name of its environment is none, or a text has a zero byte", function()
    for _, list in ipairs {
      { "true", env = { ["A=B"] = "1" } }, { "true", env = { [""] = "1" } }, { "true", env = { A = "1\0" } },
      { "true", "a\0b" }, { "tr\0ue" },
    } do
      local ok, message = pcall(process.spawn, list)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'spawn'", message)
    end
  end)

  -- golang/go 16222: a command is started although its context had been cancelled before.
  it("is ended at once when its scope was cancelled before it was started", function()
    local dir <close> = assert(fs.temp_dir())
    local p
    local t = task.spawn(function()
      pcall(task.sleep, 1000)
      p = process.spawn { "sh", "-c", "sleep 1000; touch " .. dir.path .. "/done" }
    end)
    support.parked(t)
    t:cancel()
    t:join()
    if p then assert.same({ signal = "TERM" }, p:wait(PATIENCE)) end
    assert.same({}, fs.list(dir.path))
    local run = task.spawn(function()
      pcall(task.sleep, 1000)
      process.run { "sh", "-c", "sleep 1000; touch " .. dir.path .. "/done" }
    end)
    support.parked(run)
    run:cancel()
    assert.same({ nil, "cancelled", "ECANCELED" }, { run:join() })
    assert.same({}, fs.list(dir.path))
  end)
end)

describe("a process that has ended", function()
  -- cpython 82811: a signal reaches a process that has got the number of one that has ended.
  it("gets no signal, and neither does another with its number", function()
    local p <close> = assert(process.spawn { "true" })
    p:wait()
    for _, name in ipairs { "TERM", "KILL", "CONT" } do assert.equal("ESRCH", select(3, p:kill(name))) end
  end)

  -- golang/go 16222 and cpython 82811, too: what has ended before anybody asked can still be signalled.
  it("has its own end and not that of a signal which came later", function()
    local p <close> = assert(process.spawn { "sh", "-c", "exit 3" })
    support.eventually(function() return p:kill "CONT" == nil end)
    p:kill "KILL"
    assert.same({ status = 3 }, p:wait(PATIENCE))
  end)

  -- ghostty 5351, claude-chill 39: a terminal whose program has gone keeps a processor busy. It did so here.
  it("does not take what is written to its terminal, which is told", function()
    local p <close> = assert(process.spawn { "true", pty = {} })
    p:wait()
    p.pty:read_all()
    local code
    support.eventually(function()
      code = select(3, p.pty:write(("x\n"):rep(5000)))
      return code ~= nil
    end)
    assert.equal("EPIPE", code)
  end)

  it("ends a write to its terminal that waits for room", function()
    local p <close> = assert(process.spawn { "sh", "-c", "stty raw -echo; echo ready; sleep 1000", pty = {} })
    p.pty:read_line()
    local writer = support.parked(task.spawn(function() return p.pty:write(("x"):rep(1000000)) end))
    p:kill "KILL"
    local _, ok, _, code = writer:join()
    assert.same({ nil, "EPIPE" }, { ok, code })
  end)
end)

describe("a signal", function()
  -- node-pty 190, gipc 7: to start a program takes away what listens to SIGINT here, or has the child run it.
  it("is listened to as before when a program was started, which does not listen to it", function()
    local signal = require "moonlet.signal"
    local listener <close> = signal.open "INT"
    for _, pty in ipairs { false, {} } do
      local p <close> = assert(process.spawn { "sh", "-c", "kill -INT $$; sleep 1000", pty = pty or nil })
      assert.same({ signal = "INT" }, p:wait(PATIENCE))
      assert.equal("ETIMEDOUT", select(3, listener:wait(0)))
      os.execute "kill -INT $PPID"
      assert.equal("INT", listener:wait(PATIENCE))
    end
  end)

  -- gevent 857 and 452: SIGCHLD set to its default, or waited for by others, hangs who waits for a program.
  it("CHLD may be listened to while programs run, and both are told", function()
    local signal = require "moonlet.signal"
    local listener <close> = signal.open "CHLD"
    for i = 1, 20 do
      local p <close> = assert(process.spawn { "sh", "-c", "exit " .. i })
      assert.same({ status = i }, p:wait(PATIENCE))
    end
    assert.equal("CHLD", listener:wait(PATIENCE))
  end)
end)
