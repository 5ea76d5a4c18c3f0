--- moonlet.signal: each listener gets each signal; when the last is closed, all is as it was.

local support = dofile "tests/spec/support.lua"
local channel = require "moonlet.channel"
local signal = require "moonlet.signal"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local it, run = support.limited(it), support.run

local SENDER = assert(os.getenv "MOONLET_TESTS") .. "/send_signals"
local RTMIN = 34
local KILLED = 128 + 10 -- the status of a program that SIGUSR1 ended, as the shell tells it

-- Sends signals to this process, from another: names, in their order.
local function send(...)
  local commands = {}
  for i, name in ipairs { ... } do commands[i] = ("kill -%s $PPID"):format(name) end
  assert(os.execute(table.concat(commands, "; ")))
end

-- Sends the same signal so many times, with the values from `first` on, or without.
local function send_many(number, count, first)
  return ("'%s' $PPID %d %d %s"):format(SENDER, number, count, first or "")
end

local PRELUDE = [[
local signal, task = require "moonlet.signal", require "moonlet.task"
local function send(name) assert(os.execute("kill -" .. name .. " $PPID")) end
]]

-- What such a script prints, and its status.
local function output_of(script, options)
  local output, status = run(PRELUDE .. script, options)
  return output, status
end

describe("a signal that was blocked when the program was started", function()
  -- It never came, without a word: cron and some supervisors block signals for their children.
  local function run_blocked(source)
    local process = require "moonlet.process"
    local result = assert(process.run {
      "env", "--block-signal=USR1", assert(os.getenv "MOONLET"), "-e", PRELUDE .. source, timeout = support.patience,
    })
    return result.stdout, result.status or result.signal
  end

  it("arrives while it is listened to, also one that came before, and is blocked again afterwards", function()
    local output, status = run_blocked [[
      send "USR1"
      local one = signal.open "USR1"
      print((one:wait(5)))
      local other = signal.open "USR1"
      one:close()
      send "USR1"
      print((other:wait(5)))
      other:close()
      send "USR1"   -- is not the end of the program
      task.sleep(0.01)
      local again <close> = signal.open("USR1", "USR2")
      print((again:wait(5)))
    ]]
    assert.are.same({ "USR1\nUSR1\nUSR1\n", 0 }, { output, status })
  end)

  it("is blocked in children all the same, and stays blocked while another one is listened to", function()
    local output = run_blocked [[
      local s <close> = signal.open "USR2"
      signal.open "USR1":close()
      local function blocked(path)
        for line in io.lines(path) do
          local mask = line:match "^SigBlk:%s*(%x+)"
          if mask then return tonumber(mask, 16) >> 9 & 1 end
        end
      end
      print(blocked "/proc/self/status")
      local heard <close> = signal.open "USR1"
      print(blocked "/proc/self/status")
      io.write(require "moonlet.process".run { "grep", "SigBlk", "/proc/self/status" }.stdout)
    ]]
    assert.matches("^1\n0\nSigBlk:%s*0*200\n$", output)
  end)
end)

describe("a listener", function()
  it("gets the signals that it was opened for, in the order in which they came", function()
    local s <close> = signal.open("USR1", "SIGUSR2", "HUP")
    for _, name in ipairs { "USR2", "HUP", "USR1" } do send(name) end
    assert.are.same({ "USR2", "HUP", "USR1" }, { (s:wait(5)), (s:wait(5)), (s:wait(5)) })
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { s:wait(0) })
  end)

  it("keeps them until they are fetched, a standard one once", function()
    local s <close> = signal.open "USR1"
    send("USR1", "USR1", "USR1")
    task.yield()
    assert.are.equal("USR1", (s:wait(0)))
    assert.is_nil((s:wait(0)))
    send "USR1"
    assert.are.equal("USR1", (s:wait(0)))
  end)

  it("names a signal as the script did, without SIG", function()
    local s <close> = signal.open("SIGRTMIN+3", "RTMAX-1", "CLD", "CHLD")
    os.execute(send_many(RTMIN + 3, 1) .. ";" .. send_many(63, 1))
    local names = {}
    for _ = 1, 3 do names[s:wait(5)] = true end
    assert.are.same({ ["RTMIN+3"] = true, ["RTMAX-1"] = true, CLD = true }, names)
  end)

  it("gets all real-time signals, with the values that were sent", function()
    local s <close> = signal.open("RTMIN+1", "RTMIN+2")
    os.execute(send_many(RTMIN + 2, 3, 40) .. ";" .. send_many(RTMIN + 1, 1))
    local values = { ["RTMIN+1"] = {}, ["RTMIN+2"] = {} } -- of several that wait the kernel delivers the lower first
    for _ = 1, 4 do
      local name, value = s:wait(5)
      table.insert(values[name], value or "none")
    end
    assert.are.same({ ["RTMIN+1"] = { "none" }, ["RTMIN+2"] = { 40, 41, 42 } }, values)
    os.execute(send_many(RTMIN + 1, 1, -5))
    assert.are.same({ "RTMIN+1", -5 }, { s:wait(5) })
    assert.are.equal(0, s:lost())
  end)

  it("is one of many: each gets each signal", function()
    local listeners = {}
    for i = 1, 50 do listeners[i] = signal.open(i % 2 == 0 and "USR1" or "USR2", "HUP") end
    send("USR1", "HUP")
    for i, s in ipairs(listeners) do
      if i % 2 == 0 then assert.are.equal("USR1", (s:wait(5))) end
      assert.are.equal("HUP", (s:wait(5)))
      assert.is_nil((s:wait(0)))
      s:close()
    end
  end)

  it("wakes a task that waits, and gives a signal to one of several", function()
    local s <close> = signal.open("USR1", "USR2")
    local got = {}
    for _ = 1, 3 do
      task.spawn(function()
        local name = s:wait() or "closed"
        got[#got + 1] = name
      end)
    end
    task.yield()
    send "USR1"
    support.eventually(function() return #got == 1 end)
    send "USR2"
    support.eventually(function() return #got == 2 end)
    s:close()
    support.eventually(function() return #got == 3 end)
    assert.are.same({ "USR1", "USR2", "closed" }, got)
  end)

  it("ends a wait by its time limit, a cancellation, and the listener's end", function()
    local s = signal.open "USR1"
    assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { s:wait(0.005) })
    assert.are.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.005, s.wait, s) })
    local waiter = support.parked(task.spawn(function() return s:wait() end))
    waiter:cancel()
    assert.are.equal("ECANCELED", select(3, waiter:join()))
    waiter = support.parked(task.spawn(function() return s:wait() end))
    s:close()
    assert.are.same({ true, nil, "closed", "CLOSED" }, { waiter:join() })
    assert.are.same({ nil, "closed", "CLOSED" }, { s:wait() })
    assert.are.same({ nil, "closed", "CLOSED" }, { s:wait(0) })
    assert.is_true(s:close())
  end)

  it("loses no signal to a wait that is cancelled", function()
    local s <close> = signal.open "USR1"
    local waiter = support.parked(task.spawn({ quiet = true }, function() return s:wait() end))
    waiter:cancel()
    send "USR1"
    waiter:join()
    assert.are.equal("USR1", (s:wait(5)))
  end)

  it("refuses to wait where a task may not, unless it need not wait", function()
    local s <close> = signal.open "USR1"
    local ok, message = pcall(task.no_switch, function() s:wait() end)
    assert.is_false(ok)
    assert.matches("no_switch", message)
    assert.are.equal("ETIMEDOUT", select(4, pcall(task.no_switch, function() return s:wait(0) end)))
  end)

  it("is a case of select", function()
    local s <close>, c = signal.open("USR1", "RTMIN"), channel.new(1)
    assert.are.equal("default", (channel.select { { s, "wait" }, default = 1 }))
    assert.are.equal("ETIMEDOUT", select(3, channel.select { { s, "wait" }, { c, "get" }, timeout = 0.005 }))
    local selecting = support.parked(task.spawn(function()
      return channel.select { { c, "get" }, { s, "wait" } }
    end))
    os.execute(send_many(RTMIN, 1, 9))
    assert.are.same({ true, 2, "RTMIN", 9 }, { selecting:join(5) })
    send "USR1"
    assert.are.same({ 2, "USR1", nil }, { channel.select { { c, "get" }, { s, "wait" }, timeout = 0 } })
    selecting = support.parked(task.spawn(function() return channel.select { { s, "wait" } } end))
    s:close()
    assert.are.same({ true, 1, nil, "closed", "CLOSED" }, { selecting:join(5) })
    assert.has_error(function() channel.select { { c, "wait" } } end,
      "bad argument #1 to 'select' (case 1: an event, a process or a listener to signals to wait for expected)")
  end)

  -- The task that was woken for the signal found the channel ready first, and the other slept on beside the signal.
  it("gives a signal to another task if a select takes something else", function()
    local taken = {}
    for _ = 1, 8 do
      local s <close>, c = signal.open "USR1", channel.new(1)
      local look <close> = signal.open "USR1"
      local selecting = support.parked(task.spawn(function()
        return (channel.select { { c, "get" }, { s, "wait" } })
      end))
      local waiting = support.parked(task.spawn(function() return s:wait() end))
      local pipe <close> = io.popen "kill -USR1 $PPID"
      while not look:wait(0) do end -- never leaves this task: both are woken, and have not run
      assert(c:put(1, 0))
      local _, case = assert(selecting:join(5))
      taken[case] = true
      if case == 1 then
        assert.are.same({ true, "USR1" }, { waiting:join(5) })
      else
        s:close()
        assert.are.same({ true, nil, "closed", "CLOSED" }, { waiting:join(5) })
      end
    end
    assert.is_true(taken[1])
  end)

  it("says what it is, and warns when it is forgotten", function()
    local s = signal.open("SIGTERM", "RTMIN+2", "TERM")
    assert.are.equal("signal.listener TERM RTMIN+2 (open)", tostring(s))
    s:close()
    assert.are.equal("signal.listener TERM RTMIN+2 (closed)", tostring(s))
    local output = output_of("signal.open 'HUP' collectgarbage() collectgarbage()", "-W")
    assert.matches("signal.listener HUP %(open%) was never closed; made at script:3", output)
  end)

  it("is refused for what no program can listen to, and for what is no signal", function()
    local function refusal(...) return (select(2, pcall(signal.open, ...)):gsub("^.-%(", "(")) end
    assert.are.equal("(there is no signal 'FOO')", refusal("TERM", "FOO"))
    assert.are.equal("(there is no signal 'SIG')", refusal "SIG")
    assert.are.equal("(there is no signal 'RTMIN+99')", refusal "RTMIN+99")
    assert.are.equal("(nothing can listen to 'KILL': the system lets no program catch it)", refusal "KILL")
    assert.are.equal("(nothing can listen to 'SIGSTOP': the system lets no program catch it)", refusal "SIGSTOP")
    for _, name in ipairs { "SEGV", "FPE", "ILL", "BUS" } do
      assert.matches("it reports a fault in the program", refusal(name))
    end
    for _, name in ipairs { "PROF", "URG" } do assert.matches("moonlet uses it itself", refusal(name)) end
    assert.are.equal("(the name of a signal expected, got number)", refusal(15))
    assert.are.equal("(the name of a signal expected, got no value)", refusal())
    assert.are.equal("(the name of a signal expected, got nil)", refusal("TERM", nil))
    assert.has_error(function() signal.open("TERM", "X") end, "bad argument #2 to 'open' (there is no signal 'X')")
  end)
end)

describe("the default", function()
  it("comes back when the last listener is closed", function()
    local output, status = output_of [[
      local one, two = signal.open "USR1", signal.open("USR1", "USR2")
      send "USR1"
      one:close()
      send "USR1"
      print((two:wait()))
      two:close()
      print "now" io.flush()
      send "USR1"
      task.sleep(30)]]
    assert.matches("^USR1\nnow\n", output)
    assert.are.equal(KILLED, status)
  end)

  it("comes back when the listener is collected, and at the end of its block after an error", function()
    local _, status = output_of [[signal.open "USR1" collectgarbage() collectgarbage() send "USR1" task.sleep(30)]]
    assert.are.equal(KILLED, status)
    _, status = output_of [[
      pcall(function() local s <close> = signal.open "USR1" error "x" end)
      send "USR1"
      task.sleep(30)]]
    assert.are.equal(KILLED, status)
  end)

  it("of Ctrl-C and SIGTERM is to end the program, but not while they are listened to", function()
    local output, status = output_of [[
      local s <close> = signal.open("INT", "TERM")
      for _, name in ipairs {"INT", "TERM", "TERM", "INT"} do
        send(name)
        print((s:wait()))
      end
      s:close()
      local _ <close> = setmetatable({}, {__close = function() print "cleaned up" end})
      send "TERM"
      task.sleep(30)]]
    assert.are.equal("INT\nTERM\nTERM\nINT\ncleaned up\n", output)
    assert.are.equal(143, status)
  end)

  it("does not come back before a handler that computes has seen the signal", function()
    local output, status = output_of [[
      local s <close> = signal.open "INT"
      send "INT"
      local t = os.clock()
      while os.clock() < t + 0.02 do end
      print((s:wait(0)))]]
    assert.are.equal("INT\n", output)
    assert.are.equal(0, status)
  end)

  it("of signals that were ignored is to be ignored again", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(PRELUDE, [[
      local s = signal.open "HUP"
      send "HUP"
      print((s:wait()))
      s:close()
      send "HUP"
      print "goes on"]])
    file:close()
    local output = support.shell(("env --ignore-signal=HUP '%s' %s"):format(os.getenv "MOONLET", path))
    os.remove(path)
    assert.are.equal("HUP\ngoes on\n", output)
  end)

  it("of children is untouched while SIGCHLD is listened to", function()
    local s <close> = signal.open "CHLD"
    assert.are.same({ nil, "exit", 3 }, { os.execute "exit 3" })
    local pipe = io.popen "echo here; exit 4"
    assert.are.equal("here\n", pipe:read "a")
    assert.are.same({ nil, "exit", 4 }, { pipe:close() })
    assert.are.equal("CHLD", (s:wait(5)))
  end)
end)

describe("a program", function()
  it("that awaits a signal is in no deadlock", function()
    local output, status = output_of [[
      local s <close> = signal.open "USR1"
      io.popen "sleep 0.1; kill -USR1 $PPID"
      print((s:wait()))]]
    assert.are.equal("USR1\n", output)
    assert.are.equal(0, status)
  end)

  it("goes on reading and sleeping while signals arrive", function()
    local s <close> = signal.open "USR1"
    local start = task.now()
    local pipe <close> = io.popen(("for i in 1 2 3 4 5; do kill -USR1 $PPID; echo $i; sleep 0.01; done; %s"):format(
      send_many(10, 1000)))
    assert.are.equal("1\n2\n3\n4\n5\n", pipe:read "a")
    task.sleep(0.05)
    assert.is_true(task.now() - start >= 0.1)
    assert.are.equal("USR1", (s:wait(5)))
  end)

  it("counts a storm of real-time signals right, while others compute", function()
    local EACH, SENDERS = 25000, 4
    local s <close> = signal.open("RTMIN+1", "USR1")
    local seen, pipes = {}, {}
    local computing = task.spawn({ daemon = true }, function()
      while true do
        for _ = 1, 50000 do end
        task.yield()
      end
    end)
    for i = 1, SENDERS do
      pipes[i] = io.popen(("'%s' $PPID %d %d %d & %s; wait"):format(SENDER, RTMIN + 1, EACH, (i - 1) * EACH,
        send_many(10, 1000)))
    end
    local count = 0
    while count < EACH * SENDERS do
      local name, value = assert(s:wait(60))
      if name ~= "USR1" then
        assert.is_nil(seen[value])
        seen[value], count = true, count + 1
      end
    end
    computing:cancel()
    for _, pipe in ipairs(pipes) do pipe:close() end
    assert.are.equal(0, s:lost())
    while s:wait(0) do end
  end)
end)

describe("signal.on", function()
  it("calls the function in a task of its own for each signal", function()
    local calls, maker = {}, task.current()
    local handler <close> = signal.on("RTMIN+4", function(name, value)
      assert.are_not.equal(maker, task.current())
      calls[#calls + 1] = name .. value
    end)
    os.execute(send_many(RTMIN + 4, 3, 7))
    support.eventually(function() return #calls == 3 end)
    assert.are.same({ "RTMIN+47", "RTMIN+48", "RTMIN+49" }, calls)
    assert.are.equal("signal.on RTMIN+4 (open)", tostring(handler))
  end)

  it("makes one call after the other", function()
    local running, calls = 0, 0
    local may_end = sync.event()
    local handler <close> = signal.on("USR1", function()
      running = running + 1
      assert.are.equal(1, running)
      may_end:wait()
      running, calls = running - 1, calls + 1
    end)
    send "USR1"
    support.eventually(function() return running == 1 end)
    send("USR1", "USR1") -- while the first call goes on: one more is due
    task.sleep(0.001)
    assert.are.equal(0, calls)
    may_end:set()
    support.eventually(function() return calls == 2 end)
    task.sleep(0.02)
    assert.are.equal(2, calls)
    assert.is_true(handler:close())
  end)

  it("is ended by close, also in the function, whose call goes on", function()
    local ended = false
    local handler
    handler = signal.on("USR1", function()
      handler:close()
      task.sleep(0.01)
      ended = true
    end)
    send "USR1"
    support.eventually(function() return ended end)
    assert.is_true(handler:close())
    assert.are.equal("signal.on USR1 (closed)", tostring(handler))
    local _, status = output_of [[signal.on("USR1", print):close() send "USR1" task.sleep(30)]]
    assert.are.equal(KILLED, status)
  end)

  it("reports an error in the function, and goes on", function()
    local output, status = output_of [[
      local count = 0
      local h <close> = signal.on("USR1", function() count = count + 1 error "oops" end)
      for i = 1, 2 do
        send "USR1"
        while count < i do task.sleep(0.001) end
      end]]
    assert.are.equal(2, select(2, output:gsub("script:4: oops", "")))
    assert.are.equal(1, status)
  end)

  it("does not keep the program alive, but a call that runs does", function()
    local output, status = output_of [[
      signal.on("HUP", print)
      signal.on("USR1", function() task.sleep(0.05) print "finished" end)
      send "USR1"
      task.sleep(0.01)
      collectgarbage()]]
    assert.are.equal("finished\n", output)
    assert.are.equal(0, status)
    output, status = output_of([[signal.on("HUP", print)]], "-W")
    assert.are.equal("", output)
    assert.are.equal(0, status)
  end)

  it("names itself in errors about its arguments", function()
    assert.has_error(function() signal.on("FOO", print) end, "bad argument #1 to 'on' (there is no signal 'FOO')")
    assert.has_error(function() signal.on(nil, print) end,
      "bad argument #1 to 'on' (the name of a signal expected, got nil)")
    assert.has_error(function() signal.on("TERM", 1) end,
      "bad argument #2 to 'on' (function expected, got number)")
  end)
end)
