--- SIGQUIT: the program writes a dump of all tasks to standard error, and goes on.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local process = require "moonlet.process"
local task = require "moonlet.task"

-- Runs the script with a second process that can signal it; returns all output and the status.
local function run(script)
  local p <close> = assert(process.spawn { os.getenv "MOONLET", "-e", script, stdout = "pipe",
    stderr = "stdout" })
  local text = task.timeout(30, function() return p.stdout:read_all() end)
  return assert(text), p:wait(30)
end

-- At the begin of a script: quit() sends SIGQUIT to it. (Under os.execute alone the signal would be for the command.)
local PROLOGUE = [[
  local task, process = require "moonlet.task", require "moonlet.process"
  local PID = io.open("/proc/self/stat"):read("n")
  local function quit() process.run { "kill", "-QUIT", tostring(PID) } end
]]

local function count(text, pattern)
  local _, n = text:gsub(pattern, "")
  return n
end

describe("SIGQUIT", function()
  it("has the program dump its tasks in groups, and go on", function()
    local text, status = run(PROLOGUE .. [[
      local m = require "moonlet.sync".mutex()
      for i = 1, 30 do task.spawn({ name = "sleeper", daemon = true }, function() task.sleep(60) end) end
      task.spawn({ name = "holder", daemon = true }, function() m:lock() task.sleep(60) end)
      task.spawn({ name = "locker", daemon = true }, function() m:lock() end)
      local inspect = require "moonlet.inspect"
      repeat task.yield() until #inspect.tasks { state = "waiting" } == 32
      quit()
      while #task.list() > 33 do task.sleep(0.001) end
      task.sleep(0.6)
      while #task.list() > 33 do task.sleep(0.001) end
      print "went on"]])
    assert.same({ status = 0 }, status)
    assert.matches("went on\n", text, 1, true)
    assert.matches("dump of process %d+: 3%d tasks: [^\n]*waiting\n", text)
    assert.matches("\n30 tasks wait for the clock:\n"
      .. "  task 'sleeper' %(#2%), %d+%.%d s old, [2-6]%d%.%d s left, daemon\n", text)
    assert.matches("\n  and 10 more\n\t[C]: in function 'moonlet.task.sleep'\n\t", text, 1, true)
    assert.matches("\n1 task waits for a mutex held by a task:\n"
      .. "  task 'locker' %(#33%), [^\n]*for task 'holder' %(#32%)", text)
    assert.matches("\nspawned at (command line):", text, 1, true)
    assert.not_matches("'dump'", text)
  end)

  it("names the members of a deadlock, each with the task that it waits for", function()
    local text = run(PROLOGUE .. [[
      local sync = require "moonlet.sync"
      local a, b = sync.mutex(), sync.mutex()
      task.spawn({ name = "one", daemon = true }, function() a:lock() task.yield() b:lock() end)
      task.spawn({ daemon = true }, function() b:lock() task.yield() a:lock() end)
      local joined = {}
      for i = 1, 150 do
        joined[i] = task.spawn({ daemon = true }, function() task.yield() joined[i % 150 + 1]:join() end)
      end
      for _ = 1, 20 do task.yield() end
      quit()
      task.sleep(1)]])
    assert.equal(2, count(text, "\ndeadlock:\n"))
    assert.matches("\n  task 'one' (#2) waits for a mutex held by task #3\n", text, 1, true)
    assert.matches("\n  task #3 waits for a mutex held by task 'one' (#2)\n", text, 1, true)
    assert.matches("\n  task #4 waits for the end of task #5\n", text, 1, true)
    assert.matches("\n  and 50 more\n", text, 1, true)
  end)

  it("is answered at the next instruction of a task that computes, below generators", function()
    local text, status = run(PROLOGUE .. [[
      local function busy()
        local p = process.spawn { "sh", "-c", "sleep 0.05; kill -QUIT " .. PID }
        local goal = os.time() + 3
        while os.time() < goal do end
      end
      for _ in coroutine.wrap(function() busy() end) do end
      print "went on"]])
    assert.same({ status = 0 }, status)
    assert.matches("1 task, running:\n  task 'main' %(#1%)", text)
    assert.matches("in function 'busy'", text)
    assert.matches("resumed from\n\t[C]: in function 'for iterator'", text, 1, true)
    assert.is_true(text:find "went on" > 1)
  end)

  it("comes as often as it is sent, and twice at once is once or twice", function()
    local text = run(PROLOGUE .. [[
      quit() task.sleep(0.6) quit() task.sleep(0.6)]])
    assert.equal(2, count(text, "dump of process"))
  end)

  it("is the script's if it listens to it", function()
    local text, status = run(PROLOGUE .. [[
      local s <close> = require "moonlet.signal".open("QUIT")
      quit()
      print((s:wait()))]])
    assert.same({ status = 0 }, status)
    assert.equal("QUIT\n", text)
  end)

  it("shows control characters in names by their numbers", function()
    local text = run(PROLOGUE .. [[
      local name = "a\27[2J\nb\u{9b}c\u{e9}\xff"
      task.spawn({ name = name, daemon = true }, function()
        task.locals()["k\r"] = "v\7"
        task.sleep(60)
      end)
      task.yield() quit() task.sleep(0.6)]])
    assert.matches("task 'a\\x1b[2J\\x0ab\\xc2\\x9bcé\\xff' (#2)", text, 1, true)
    assert.matches("k\\x0d=v\\x07\n", text, 1, true)
    assert.is_nil(text:find("[\27\r\7]"))
  end)

  it("comes while the program unwinds", function()
    local text = run(PROLOGUE .. [[
      task.spawn({ name = "slow end", daemon = true }, function()
        local c <close> = setmetatable({}, { __close = function()
          task.shield(2, function() quit() task.sleep(0.6) end)
        end })
        task.sleep(60)
      end)
      task.yield()]])
    assert.matches("task 'slow end' %(#2%), [^\n]*cancelled, daemon", text)
  end)

  -- A script's output up to the line that begins so, after SIGQUIT at its line "now"; then it is killed.
  local function quit_and_read(script, last, option)
    local p <close> = assert(process.spawn { os.getenv "MOONLET", option or "-W", "-e", script, stdout = "pipe",
      stderr = "stdout" })
    assert.equal("now", p.stdout:read_line())
    p:kill "QUIT"
    local lines = task.timeout(30, function()
      local lines = {}
      repeat
        lines[#lines + 1] = assert(p.stdout:read_line())
      until lines[#lines]:find(last, 1, true) == 1
      return lines
    end)
    p:kill "KILL"
    p:wait(30)
    return table.concat(assert(lines, "the last line did not come"), "\n")
  end

  it("names the C function that keeps the thread, with the line that called it, after 100 ms", function()
    local text = quit_and_read([[
      local text = ("a"):rep(100000)
      local function slow()
        io.write "now\n" io.flush()
        return text:find ".-.-.-.-b"
      end
      require "moonlet.task".spawn(function() slow() end):join()]], "The dump comes")
    assert.matches("process %d+ does not answer: it computes in [^\n]+\n", text)
    assert.matches("called by task #2, spawned at (command line):6\n", text, 1, true)
    assert.matches("\n\t(command line):4\n\t(command line):6\n", text, 1, true)
    assert.not_matches("dump of process", text)
  end)

  it("names the C function that waits in the kernel, in a program of one task, and comes when it returns", function()
    local text = quit_and_read([[
      local pipe = io.popen "trap '' QUIT; echo begun; sleep 1; echo over"
      pipe:read "l"
      io.write "now\n" io.flush()
      print(pipe:read "l") io.flush()]], "over", "--no-interpose")
    assert.matches("does not answer: it waits in [%w_]*read [^\n]*libc.so.6", text)
    assert.matches("called by task #1, spawned at the start\n\t[C]\n\t(command line):4\n", text, 1, true)
    assert.matches("The dump comes when it returns.\n[^\n]+dump of process %d+: 1 task", text)
    assert.equal(1, count(text, "does not answer"))
  end)

  it("names no C function when the dump comes in time", function()
    local text = run(PROLOGUE .. [[
      quit()
      local t = os.clock() + 0.3
      task.yield()
      while os.clock() < t do end
      task.sleep(0.6)]])
    assert.not_matches("does not answer", text)
    assert.equal(1, count(text, "dump of process"))
  end)

  -- How late a sleeper of a millisecond is at most, within a second in which a long dump cannot be written.
  local function lateness()
    local p <close> = assert(process.spawn { os.getenv "MOONLET", "-e", PROLOGUE .. [[
      for i = 1, 2000 do
        local chunk = load("local task = ... return function() task.sleep(60) end", "=chunk" .. i)
        task.spawn({ name = ("n"):rep(100), daemon = true }, chunk(task))
      end
      task.yield()
      quit()
      local latest, begin = 0, task.now()
      while task.now() - begin < 1 do
        local before = task.now()
        task.sleep(0.001)
        latest = math.max(latest, task.now() - before)
      end
      print(latest)
      io.stdout:flush()
      os.exit(0)]], stdout = "pipe", stderr = "pipe" })
    local latest = tonumber(p.stdout:read_line())
    p:wait(30)
    return latest
  end

  it("holds nobody up while standard error takes nothing", function()
    local least, tries = math.huge, 0
    repeat least, tries = math.min(least, lateness()), tries + 1 until least < 0.5 or tries == 5 -- a busy machine
    assert.is_true(least < 0.5, least)
  end)
end)
