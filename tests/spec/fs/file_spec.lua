-- Open files: reading and writing as streams, places, locks, FIFOs and devices.
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("moonlet.fs: open files", function()
  local place

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  local function at(name) return place .. "/" .. name end

  -- Runs fn until it holds.
  local function eventually(fn)
    local deadline = task.now() + support.patience
    while not fn() do
      assert.is_true(task.now() < deadline)
      task.sleep(0.001)
    end
  end

  it("formats read what io's files read", function()
    local text = "12 0x1p4 -3.5e2 word\r\nsecond\n\nlast"
    fs.write(at "f", text)
    for _, formats in ipairs {
      { "n", "n", "n", "l", "L", "l", "L", "l" }, { 5, 0, 100, 0, "a", "a" }, { "a", 0 }, { "n", "l", "n", 3 },
      { "L", "L", "L", "L", "L" }, { 0, "*n", "*l", "*a" },
    } do
      local ours <close> = assert(fs.open(at "f"))
      local stock <close> = assert(io.open(at "f"))
      for _, format in ipairs(formats) do assert.same(stock:read(format), ours:read(format)) end
      assert.same({ stock:read("l", "a") }, { ours:read("l", "a") })
    end
  end)

  it("read_some, read_exactly, read_line, read_until, read_all, lines and chunks are those of streams", function()
    fs.write(at "f", "one\r\ntwo\nthree;rest")
    local f <close> = assert(fs.open(at "f"))
    assert.equal("one", f:read_line())
    assert.equal("tw", f:read_exactly(2))
    assert.equal("o", f:read_some(1))
    assert.equal("", f:read_line())
    assert.equal("three;", f:read_until ";")
    assert.same({ nil, at "f" .. ": end of stream in the middle of a read", "EEOF" }, { f:read_exactly(5) })
    assert.equal("rest", f:read_all())
    assert.is_nil(f:read_some())
    assert.equal("", f:read_all())
    f:seek "set"
    local lines = {}
    for line in f:lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "three;rest" }, lines)
    f:seek("set", 3)
    local all = {}
    for chunk in f:chunks(4) do all[#all + 1] = chunk end
    assert.equal("\r\ntwo\nthree;rest", table.concat(all))
    assert.is_true(#all[1] <= 4)
    f:seek "set"
    assert.same({ nil, at "f" .. ": line too long", "EMSGSIZE" }, { f:read_line(3) })
    assert.equal("one", f:read_line(5))
  end)

  it("modes do what io's do, and x refuses a file that is there", function()
    fs.write(at "f", "0123456789")
    for _, mode in ipairs { "r", "rb", "r+", "r+b", "a", "ab", "a+" } do
      local ours <close> = assert(fs.open(at "f", mode))
      assert.equal("10", (support.shell("stat -c %s " .. at "f")):match "%d+", mode)
      if mode:find "^r" or mode:find "+" then assert.equal("0123", ours:read(4)) end
      if mode == "r" then assert.equal("EBADF", select(3, ours:write "x")) end
    end
    do
      local f <close> = assert(fs.open(at "f", "r+"))
      f:write "ab"
      assert.equal("23", f:read(2))
      assert.is_true(f:write "X")
      assert.equal(5, f:seek())
      f:seek "set"
      assert.equal("ab23X56789", f:read "a")
    end
    do
      local f <close> = assert(fs.open(at "f", "a+"))
      f:write "end"
      assert.equal("", f:read "a")
      f:seek("set", 8)
      assert.equal("89end", f:read "a")
      f:seek "set"
      f:write "!"
      assert.equal(14, f:seek())
    end
    assert.equal("ab23X56789end!", fs.read(at "f"))
    do
      local f <close> = assert(fs.open(at "f", "w"))
      assert.equal("EBADF", select(3, f:read()))
    end
    assert.equal("", fs.read(at "f"))
    assert.same({ nil, at "f" .. ": File exists", "EEXIST" }, { fs.open(at "f", "wx") })
    local f <close> = assert(fs.open(at "g", "w+x", { mode = "600" }))
    assert.equal(384, fs.stat(at "g").mode)
    for _, mode in ipairs { "", "q", "rx", "rw", "w++b", "wxx", "r+ " } do
      assert.error_matches(function() fs.open(at "f", mode) end, "bad argument #2 to '[%w.]*open' %(invalid mode")
    end
    assert.error_matches(function() fs.open(at "f", "r", { mod = 1 }) end, "bad argument #3.*unknown option 'mod'")
  end)

  it("seek and size tell places, and refuse what is none", function()
    fs.write(at "f", ("x"):rep(100000))
    local f <close> = assert(fs.open(at "f", "r+"))
    assert.equal(0, f:seek())
    f:read(10)
    assert.equal(10, f:seek())
    assert.equal(7, f:seek("cur", -3))
    assert.equal(99990, f:seek("end", -10))
    assert.equal(10, #f:read "a")
    assert.equal(200000, f:seek("set", 200000))
    assert.is_nil(f:read(1))
    assert.same({ nil, at "f" .. ": Invalid argument", "EINVAL" }, { f:seek("set", -1) })
    assert.equal("EINVAL", select(3, f:seek("cur", math.maxinteger)))
    assert.equal(200000, f:seek())
    assert.is_true(f:write "y")
    assert.equal(200001, f:size())
    assert.is_true(f:truncate(5))
    assert.equal(5, f:size())
    f:seek "set"
    assert.equal("xxxxx", f:read "a")
    assert.error_matches(function() f:seek "here" end, "bad argument #1 to 'seek'")
    assert.error_matches(function() f:truncate(-1) end, "bad argument #1 to 'truncate' %(size must not be negative")
    assert.error_matches(function() f.read(io.stdout) end, "fs.file expected")
  end)

  it("a file that grows is read on, and one that is cut ends", function()
    fs.write(at "f", "one\n")
    local f <close> = assert(fs.open(at "f"))
    assert.equal("one", f:read())
    assert.is_nil(f:read())
    fs.append(at "f", "two\n")
    assert.equal("two", f:read())
    fs.write(at "f", "")
    assert.is_nil(f:read())
    assert.equal("", f:read "a")
  end)

  -- Each read gets what is there by then: never a signal, a wait for bytes that will not come, or an error.
  it("a file that is cut and grows again while it is read is read to where it ends", function()
    local size, path = 4 << 20, at "f"
    fs.write(path, ("x"):rep(size))
    local script <const> = "while [ ! -e stop ]; do truncate -cs 0 f; truncate -cs %d f; done"
    local storm = task.spawn(os.execute, ("cd %s; " .. script):format(place, size))
    local function is_part(text)
      assert.is_true(#text <= size and not text:find "[^x\0]")
    end
    for _ = 1, 10 do
      is_part(assert(fs.read(path)))
      assert(fs.copy(path, at "copy"))
      assert.is_true(fs.stat(at "copy").size <= size)
      local f <close> = assert(fs.open(path))
      is_part(assert(f:read_all()))
      f:seek "set"
      for chunk in f:chunks() do is_part(chunk) end
      local stock <close> = assert(io.open(path))
      is_part(assert(stock:read "a"))
      stock:seek("set", size // 2)
      is_part(stock:read(100) or "")
    end
    fs.write(at "stop", "")
    assert.is_true(select(2, storm:join()))
  end)

  it("writes of many tasks are whole, in append mode and otherwise", function()
    for _, mode in ipairs { "a", "w" } do
      local f <close> = assert(fs.open(at "f", mode))
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = task.spawn(function()
          return f:write(("%02d"):format(i), (" x"):rep(5000), { " end", 7 }, "\n")
        end)
      end
      for i = 1, 20 do assert.same({ true, true }, { tasks[i]:join() }) end
      local seen = 0
      for line in io.lines(at "f") do
        seen = seen + 1
        assert.matches("^%d%d[ x]+ end7$", line)
        assert.equal(10008 - 1, #line)
      end
      assert.equal(20, seen)
      os.remove(at "f")
    end
  end)

  it("a closed file is told, closes again, and prints as it is", function()
    local f = assert(fs.open(at "f", "w+"))
    assert.equal("fs.file " .. at "f" .. " (open)", tostring(f))
    assert.is_true(f:close())
    assert.is_true(f:close())
    assert.equal("fs.file " .. at "f" .. " (closed)", tostring(f))
    local closed = { nil, at "f" .. ": closed", "CLOSED" }
    local names = { "read", "read_some", "read_all", "read_line", "size", "sync", "truncate", "seek", "lock" }
    for _, name in ipairs(names) do
      assert.same(closed, { f[name](f) }, name)
    end
    assert.same(closed, { table.unpack({ f:write "x" }, 1, 3) })
  end)

  it("a second reader of the same file is told that it is busy, and one who writes meanwhile, too", function()
    assert(os.execute("mkfifo " .. at "p"))
    local keep <close> = assert(fs.open(at "p", "r+"))
    local f <close> = assert(fs.open(at "p"))
    local reader = task.spawn(function() return f:read_exactly(4) end)
    eventually(function() return reader:status() == "waiting" end)
    assert.same({ nil, at "p" .. ": another task is reading this stream", "EBUSY" }, { f:read_some() })
    keep:write "text"
    assert.same({ true, "text" }, { reader:join() })
  end)

  it("FIFOs wait for their other end, and only their task does", function()
    assert(os.execute("mkfifo " .. at "p"))
    local text = ("0123456789"):rep(30000)
    local reader = task.spawn(function() return fs.read(at "p") end)
    eventually(function() return reader:status() == "waiting" end)
    assert.is_true(fs.write(at "p", text))
    assert.same({ true, text }, { reader:join() })
    for _ = 1, 30 do -- neither opens the FIFO twice: what was written to the first would be lost
      local writer = task.spawn(function() return fs.append(at "p", "later") end)
      eventually(function() return writer:status() == "waiting" end)
      assert.equal("later", fs.read(at "p"))
      assert.same({ true, true }, { writer:join() })
    end
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.02, fs.read, at "p") })
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.02, fs.write, at "p", "x") })
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.02, fs.open, at "p", "w") })
    local f <close> = assert(fs.open(at "p", "r+"))
    assert.same({ nil, at "p" .. ": Illegal seek", "ESPIPE" }, { f:seek("set", 0) })
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.02, f.read, f) })
    f:write "line\n"
    assert.equal("line", f:read())
  end)

  it("a FIFO whose reader has gone is EPIPE, and no signal", function()
    assert(os.execute("mkfifo " .. at "p"))
    local reader = task.spawn(function() return (assert(fs.open(at "p"))) end)
    local writer <close> = assert(fs.open(at "p", "w"))
    local _, file = reader:join()
    file:close()
    assert.same({ nil, at "p" .. ": Broken pipe", "EPIPE", 0 }, { writer:write "x" })
  end)

  it("devices are what they are", function()
    assert.equal("", fs.read "/dev/null")
    assert.is_true(fs.write("/dev/null", "x"))
    assert.same({ nil, "/dev/full: No space left on device", "ENOSPC" }, { fs.write("/dev/full", "x") })
    local zero <close> = assert(fs.open "/dev/zero")
    assert.equal(("\0"):rep(1000), zero:read(1000))
    local full <close> = assert(fs.open("/dev/full", "w"))
    assert.same({ nil, "/dev/full: No space left on device", "ENOSPC", 0 }, { full:write "x" })
    assert.same({ nil, "/dev/full: No space left on device", "ENOSPC", 0 }, { full:write "x" })
    assert.equal("EISDIR", select(3, fs.open(place)))
    assert.equal("EISDIR", select(3, fs.open(place, "w")))
  end)

  it("a lock excludes other files and other programs, and only the task waits", function()
    local one <close> = assert(fs.open(at "f", "w"))
    local two <close> = assert(fs.open(at "f", "r"))
    local busy = { nil, at "f" .. ": timeout", "ETIMEDOUT" }
    local lock = assert(one:lock())
    assert.same({ true, table.unpack(busy, 1, 3) }, { task.spawn(two.lock, two, "exclusive", 0):join() })
    assert.same({ true, table.unpack(busy, 1, 3) }, { task.spawn(two.lock, two, "shared", 0.01):join() })
    assert.same({ true, table.unpack(busy, 1, 3) }, { task.spawn(one.lock, one, "exclusive", 0.01):join() })
    assert.equal("busy\n", (support.shell("flock -n " .. at "f" .. " echo free || echo busy")))
    local waiter = task.spawn(function()
      local held <close> = assert(two:lock())
      return "held"
    end)
    eventually(function() return waiter:status() == "waiting" end)
    lock:close()
    lock:close()
    assert.same({ true, "held" }, { waiter:join() })
    local shared <close> = assert(one:lock "shared")
    local also <close> = assert(two:lock("shared", 0))
    assert.error_matches(function() one:lock "both" end, "bad argument #1 to 'lock'")
  end)

  -- It waited for ever: nobody else could have given the lock up.
  it("a task that locks a file which it has locked is told so, whatever object and mode it uses", function()
    local one <close> = assert(fs.open(at "f", "w"))
    assert(fs.link(at "f", at "g"))
    local two <close> = assert(fs.open(at "g", "r"))
    local twice = { nil, at "f" .. ": this task has locked it already", "EDEADLK" }
    local by_other = { nil, at "g" .. ": this task has locked it already", "EDEADLK" }
    for _, mode in ipairs { "exclusive", "shared" } do
      local lock <close> = assert(one:lock(mode))
      assert.same(twice, { one:lock() })
      assert.same(twice, { one:lock("shared", 0) })
      assert.same(by_other, { two:lock() })
      assert.same(by_other, { two:lock("exclusive", 1) })
      lock:close()
      local again <close> = assert(two:lock())
      assert.same(by_other, { two:lock() })
      again:close()
      assert(one:lock(mode)):close()
    end
    local unlocked <close> = assert(fs.open(at "f", "r"))
    unlocked:lock() -- and the file is closed under its lock
    unlocked:close()
    assert(two:lock()):close()
  end)

  it("a task waits for the lock of another one, and of another program, also if it holds other locks", function()
    local one <close> = assert(fs.open(at "f", "w"))
    local two <close> = assert(fs.open(at "f", "r"))
    local other <close> = assert(fs.open(at "other", "w"))
    local mine <close> = assert(other:lock())
    local holder = task.spawn(function()
      local lock = assert(one:lock())
      task.sleep(0.01)
      return lock
    end)
    task.yield()
    assert.equal("EDEADLINE", select(3, task.timeout(0.005, two.lock, two)))
    local _, lock = holder:join() -- the task has ended, and its lock has not
    assert.equal("ETIMEDOUT", select(3, two:lock("shared", 0.01)))
    lock:close()
    assert(two:lock()):close()
  end)

  it("a lock prints as its file and whether it is held", function()
    local file <close> = assert(fs.open(at "lock", "w"))
    local lock = assert(file:lock())
    assert.equal("fs.lock " .. at "lock" .. " (held)", tostring(lock))
    lock:close()
    lock:close()
    assert.equal("fs.lock " .. at "lock" .. " (given up)", tostring(lock))
  end)

  it("a cancelled task has no lock, and closing the file gives one up", function()
    local one = assert(fs.open(at "f", "w"))
    local two <close> = assert(fs.open(at "f", "w"))
    local _, lock = task.spawn(one.lock, one):join()
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0.01, two.lock, two) })
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, two.lock, two) })
    lock:close()
    assert.equal("free\n", (support.shell("flock -n " .. at "f" .. " echo free || echo busy")))
    assert.is_truthy(one:lock())
    one:close()
    local again <close> = assert(two:lock("exclusive", 0))
    assert.is_truthy(again)
  end)

  it("every call raises when its scope is cancelled on entry, and the position stays", function()
    fs.write(at "f", "0123456789")
    local f <close> = assert(fs.open(at "f", "r+"))
    f:read(2)
    for _, call in ipairs {
      { f.read, f }, { f.read_some, f }, { f.read_exactly, f, 1 }, { f.read_line, f }, { f.read_all, f },
      { f.write, f, "no" }, { f.sync, f }, { f.truncate, f }, { f.size, f }, { f.seek, f, "end" },
      { fs.open, at "f", "w" },
    } do
      assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, table.unpack(call)) })
    end
    assert.equal("23456789", f:read "a")
  end)

  it("a write that was cancelled while a worker made it is finished", function()
    local text = ("x"):rep(2000000)
    for i = 1, 10 do
      local f <close> = assert(fs.open(at "f", "w"))
      local writer = task.spawn(function() return f:write(text) end)
      task.sleep(0.0002 * i)
      writer:cancel()
      local ok = writer:join()
      local size = f:size()
      assert.is_true(size == 0 or size == #text)
      assert.is_true(not ok or size == #text)
      assert.is_true(f:write "more")
      assert.equal(size + 4, f:size())
    end
  end)

  it("no descriptor is lost when tasks are cancelled while they open and read", function()
    fs.write(at "f", ("x"):rep(500000))
    for i = 1, 30 do
      local reader = task.spawn(function()
        local f <close> = assert(fs.open(at "f", i % 2 == 0 and "r" or "r+"))
        return f:read "a", fs.read(at "f")
      end)
      task.sleep(0.0001 * (i % 7))
      reader:cancel()
      reader:join()
    end
    local before = #fs.list "/proc/self/fd"
    eventually(function() return #fs.list "/proc/self/fd" <= before end)
    assert.is_true(before < 40)
  end)
end)
