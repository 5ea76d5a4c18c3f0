--- Commands that tasks start: what they get, what is left when nobody waits for them any more.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"

-- How many children this process has, ended ones too.
local function children()
  local pipe <close> = assert(io.open "/proc/thread-self/children")
  local count = 0
  for _ in pipe:read("a"):gmatch "%d+" do count = count + 1 end
  return count
end

local function until_no_more_than(before)
  support.eventually(function() return children() <= before end)
end

-- The longest time that another task was kept from running while fn did.
local function longest_hold(fn)
  local worst, last = 0, task.now()
  local other <close> = setmetatable({}, { __close = (function()
    local watcher = task.spawn(function()
      while true do
        task.sleep(0.001)
        worst, last = math.max(worst, task.now() - last), task.now()
      end
    end)
    return function() watcher:cancel() end
  end)() })
  task.sleep(0.005)
  fn()
  task.sleep(0.005)
  return worst
end

describe("a command whose task has given up", function()
  -- The job that was to close its file was dropped: descriptor and zombie stayed.
  it("leaves no descriptor and no zombie", function()
    local before = children()
    for i = 1, 40 do
      task.timeout(0.001 * (i % 4), function()
        local pipe <close> = io.popen "exec sleep 0.02"
        pipe:read "a"
      end)
    end
    until_no_more_than(before)
  end)

  it("of os.execute is killed, and leaves no zombie", function()
    local before = children()
    local running = {}
    for i = 1, 10 do running[i] = support.parked(task.spawn(os.execute, "exec sleep 1000")) end
    for i = 1, 10 do running[i]:cancel() end
    until_no_more_than(before)
  end)

  it("leaves its places to others, however many there are", function()
    local name = libc_support.fifo()
    local opening = {}
    for i = 1, 80 do opening[i] = support.parked(task.spawn(io.open, name, "r")) end
    local pipes = {}
    for i = 1, 80 do
      pipes[i] = support.parked(task.spawn(function() return io.popen("exec sleep 1000", "r"):close() end))
    end
    local before = children()
    assert.same({ true, "exit", 0 }, { io.popen("true"):close() })
    local text = os.tmpname()
    assert(os.rename(text, text))
    os.remove(text)
    for i = 1, 80 do
      opening[i]:cancel()
      pipes[i]:cancel()
    end
    assert.same({ true, "exit", 0 }, { io.popen("true"):close() })
    os.execute "kill $(ps --ppid $PPID -o pid=,args= | awk '/sleep 1000/ { print $1 }')"
    until_no_more_than(before - 80)
    os.remove(name)
  end)
end)

describe("a command whose file is left to the collector", function()
  -- The finalizer waited for the child, and with it every task.
  it("keeps nobody waiting", function()
    local before = children()
    local hold = longest_hold(function()
      task.timeout(0.01, function() return io.popen("exec sleep 1000"):read "a" end)
      collectgarbage()
      collectgarbage()
    end)
    assert.is_true(hold < 10, hold)
    os.execute "kill $(ps --ppid $PPID -o pid=,args= | awk '/sleep 1000/ { print $1 }')"
    until_no_more_than(before)
  end)

  it("gets what was written, more than its pipe had room for, too", function()
    local before, copy, go = children(), os.tmpname(), os.tmpname()
    os.remove(go)
    local file = io.popen(("while [ ! -e %s ]; do sleep 0.01; done; cat > %s"):format(go, copy), "w")
    for _ = 1, 66 do file:write(("x"):rep(1000)) end
    file = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    io.open(go, "w"):close()
    support.eventually(function() return #support.read_file(copy) == 66000 end)
    until_no_more_than(before)
    os.remove(copy)
    os.remove(go)
  end)
end)

describe("the end of the program", function()
  it("does not wait for commands, whether they are read, written to, or waited for", function()
    for _, text in ipairs {
      [[p = io.popen "exec sleep 1000"]],
      [[p = io.popen("exec sleep 1000", "w") p:write "x"]],
      [[p = io.popen("exec sleep 1000", "w") for _ = 1, 66 do p:write(("x"):rep(1000)) end os.exit(0)]],
      [[local task = require "moonlet.task"
        task.spawn({ daemon = true }, os.execute, "exec sleep 1000")
        task.spawn({ daemon = true }, function() io.popen("exec sleep 1000"):close() end)
        task.sleep(0.01)]],
    } do
      local command, path = support.command(text .. "\n io.open('/proc/self/stat'):close()")
      local pipe <close> = io.popen(("timeout 60 %s >/dev/null 2>&1; echo $?"):format(command))
      assert.equal("0\n", pipe:read "a")
      os.remove(path)
    end
    os.execute "kill $(ps -eo pid=,args= | awk '$2 == \"sleep\" && $3 == 1000 { print $1 }')"
  end)

  it("by SIGTERM does not wait for a command that is read from", function()
    local output, status = support.run [[
      local task = require "moonlet.task"
      task.spawn(function() io.popen("kill -TERM $PPID; exec sleep 60 >/dev/null 2>&1"):close() end)
      print(io.popen("exec sleep 61 2>/dev/null"):read "a")
    ]]
    assert.same({ "", 143 }, { output, status })
    os.execute "kill $(ps -eo pid=,args= | awk '$2 == \"sleep\" && ($3 == 60 || $3 == 61) { print $1 }')"
  end)
end)

describe("a command", function()
  -- A pipe to another one stayed open in it: its reader saw no end.
  it("gets none of the descriptors that tasks have open", function()
    local list = "exec ls -l /proc/self/fd"
    local function strangers(text)
      local found = {}
      for line in text:gmatch "[^\n]+" do
        local number, target = line:match "(%d+) %-> (.*)"
        if tonumber(number) and tonumber(number) > 2 and not target:find "/proc/" then
          found[#found + 1] = line:match "%d+ %->.*"
        end
      end
      return found
    end
    local before <close> = io.popen(list)
    local inherited = strangers(before:read "a") -- what this process was given
    local net = require "moonlet.net"
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local client <close> = assert(net.connect(listener:address()))
    local served <close> = assert(listener:accept())
    local udp <close> = assert(net.udp { host = "127.0.0.1", port = 0 })
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    local reading <close> = io.popen "exec sleep 0.1"
    local writing <close> = io.popen("exec cat >/dev/null", "w")
    local ended = support.parked(task.spawn(function() return io.popen("exec sleep 0.1"):close() end))
    local pipe <close> = io.popen(list)
    assert.same(inherited, strangers(pipe:read "a"))
    os.execute(list .. " >" .. name)
    assert.same(inherited, strangers(support.read_file(name)))
    os.remove(name)
    support.finish(ended)
  end)

  it("ends when its input is closed, though another one runs", function()
    local writing = io.popen("exec cat >/dev/null", "w")
    local other = support.parked(task.spawn(os.execute, "exec sleep 1000"))
    assert.same({ true, "exit", 0 }, { writing:close() })
    other:cancel()
    other:join()
    until_no_more_than(0)
  end)

  -- The signal ended the program.
  it("that has ended takes no more: an error, and not the end of the program", function()
    local pipe = io.popen("exec true", "w")
    support.eventually(function()
      local ok, message, number = pipe:write(("x"):rep(100000))
      return not ok and message == "Broken pipe" and number == 32
    end)
    assert.same({ nil, "Broken pipe", 32 }, { pipe:write("y"):flush() })
    pipe:close()
    pipe = io.popen("exec true", "w")
    pipe:write "kept in the buffer"
    task.sleep(0.02)
    pipe:close()
  end)

  it("that has ended before the program did spoils nothing at its end", function()
    local output, status = support.run [[
      local p = io.popen("exec true", "w")
      require "moonlet.task".sleep(0.05)
      p:write "never read"
      print "the end"
    ]]
    assert.same({ "the end\n", 0 }, { output, status })
  end)

  it("with wrong modes is refused as by lua5.4", function()
    assert.is_false((pcall(io.popen, "true", "rw")))
    assert.is_false((pcall(io.popen, "true", "")))
  end)

  it("may be read while standard input and output are closed", function()
    local name = os.tmpname()
    local command, path = support.command([[
      local out = io.popen("cat >]] .. name .. [[", "w")
      out:write(io.popen("echo said"):read "a")
      out:close()
    ]])
    os.execute(command .. " <&- >&-")
    assert.equal("said\n", support.read_file(name))
    os.remove(path)
    os.remove(name)
  end)
end)

describe("a file that two tasks use", function()
  -- The flag of the error was the file's: the other one's line was thrown away.
  it("gives one its line although the other was cancelled", function()
    local go = libc_support.fifo()
    local pipe = io.popen(("read line <%s; echo one; echo two"):format(go))
    local first = support.parked(task.spawn(pipe.read, pipe, "l"))
    local second = support.parked(task.spawn(pipe.read, pipe, "l"))
    first:cancel()
    first:join()
    io.open(go, "w"):close()
    assert.same({ true, "one" }, { second:join() })
    assert.equal("two\n", pipe:read "a")
    pipe:close()
    os.remove(go)
  end)

  -- It was freed below the reader; and who waited for the reader's turn kept the closer waiting.
  it("turns all of them away when it is closed, where waiting is forbidden, too", function()
    for _, close in ipairs {
      function(file) return file:close() end,
      function(file) return task.no_switch(file.close, file) end,
    } do
      local name = libc_support.fifo()
      local file = assert(io.open(name, "r+"))
      local readers = {}
      for i = 1, 3 do readers[i] = support.parked(task.spawn(file.read, file, "l")) end
      assert.is_true(close(file))
      for i = 1, 3 do
        local _, line, message = readers[i]:join(support.patience)
        assert.same({ nil, "Bad file descriptor" }, { line, message })
      end
      for i = 1, 100 do io.open(name, "r+"):close() readers[i] = ("x"):rep(472 + i) end
      os.remove(name)
    end
  end)
end)

describe("a FIFO", function()
  it("is opened when its other end is, by either side first, and loses nothing", function()
    for _, order in ipairs { { "r", "w" }, { "w", "r" }, { "r", "a" }, { "a", "r" } } do
      local name = libc_support.fifo()
      local files = {}
      local first = support.parked(task.spawn(function() files[order[1]] = assert(io.open(name, order[1])) end))
      files[order[2]] = assert(io.open(name, order[2]))
      support.finish(first)
      local writing = files.w or files.a
      assert(writing:write "a line\n")
      writing:close()
      assert.same({ "a line", nil }, { files.r:read(), files.r:read() })
      files.r:close()
      os.remove(name)
    end
  end)

  it("is opened by what another process does", function()
    local name = libc_support.fifo()
    local reading = support.parked(task.spawn(io.open, name))
    local writer = io.popen(("exec 3>%s; echo a line >&3"):format(name))
    local _, file = reading:join(support.patience)
    assert.equal("a line\n", file:read "a")
    file:close()
    writer:close()
    local reader = support.parked(task.spawn(function()
      local pipe <close> = io.popen("exec cat " .. name)
      return pipe:read "a"
    end))
    file = assert(io.open(name, "w"))
    file:write "said"
    file:close()
    assert.equal("said", support.finish(reader))
    os.remove(name)
  end)
end)

describe("os.execute", function()
  it("leaves a host's signals alone", function()
    local running = support.parked(task.spawn(os.execute, "exec sleep 1000"))
    local mask = support.read_file("/proc/self/status"):match "SigIgn:%s*(%x+)"
    assert.equal(0, tonumber(mask, 16) & (1 << 1 | 1 << 2))
    running:cancel()
    running:join()
    until_no_more_than(0)
  end)
end)
