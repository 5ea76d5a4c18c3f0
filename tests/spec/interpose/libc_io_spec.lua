--- Calls of C libraries on descriptors, processes, names and locks, made in tasks.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local sync = require "moonlet.sync"

local libc, closing, beside, later = libc_support.libc, libc_support.closing, libc_support.beside, libc_support.later
local SOON, BIG = libc_support.SOON, libc_support.BIG

local function read_all(fd, size)
  local parts = {}
  while size > 0 do
    parts[#parts + 1] = assert(libc.read(fd, 65536))
    size = size - #parts[#parts]
  end
  return table.concat(parts)
end

-- Two ends of each kind of stream that a C library may read and write.
local kinds = {
  pipe = libc_support.pipe,
  ["socket"] = function() return closing(libc.socketpair()) end,
  terminal = function()
    local main, side = libc.openpty()
    return closing(side, main)
  end,
  eventfd = function()
    local fd = libc.eventfd()
    return closing(fd, libc.dup2(fd, fd + 100))
  end,
}

describe("read", function()
  for name, open in pairs(kinds) do
    it("of a " .. name .. " waits for what comes, and leaves its flags alone", function()
      local ends <close> = open()
      local flags = libc.flags(ends[1])
      later(libc.write, ends[2], name == "eventfd" and ("j"):pack(5) or "line\n")
      local got = beside(libc.read, ends[1], 64)
      assert.equal(name == "eventfd" and ("j"):pack(5) or "line\n", (got:gsub("\r", "")))
      assert.equal(flags, libc.flags(ends[1]))
    end)
  end

  it("of a regular file gives all that was asked for", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(BIG):close()
    local fd <close> = closing(libc.open(name))
    assert.equal(#BIG, #libc.read(fd[1], #BIG + 10))
    assert.equal("", libc.read(fd[1], 10))
    os.remove(name)
  end)

  it("of a descriptor that does not block gives EAGAIN", function()
    for name, open in pairs(kinds) do
      local ends <close> = open()
      libc.nonblock(ends[1])
      assert.same({ nil, "EAGAIN", n = 2 }, table.pack(libc.read(ends[1], 8)), name)
    end
  end)

  it("of a descriptor that was made to block again waits", function()
    for name, open in pairs(kinds) do
      local ends <close> = open()
      libc.nonblock(ends[1])
      for _ = 1, 2 do assert.same({ nil, "EAGAIN", n = 2 }, table.pack(libc.read(ends[1], 8)), name) end
      libc.block_again(ends[1])
      later(libc.write, ends[2], "1234567\n")
      assert.equal(8, #beside(libc.read, ends[1], 8), name)
    end
  end)

  -- Flags are shared with duplicates: the call was left to libc, which made the thread wait.
  it("of a descriptor that was made to block again through a duplicate waits", function()
    for name, open in pairs(kinds) do
      local ends <close> = open()
      local double <close> = closing(libc.dup2(ends[1], ends[1] + 200))
      libc.nonblock(ends[1])
      for _ = 1, 2 do assert.same({ nil, "EAGAIN", n = 2 }, table.pack(libc.read(ends[1], 8)), name) end
      libc.block_again(double[1])
      later(libc.write, ends[2], "1234567\n")
      assert.equal(8, #beside(libc.read, ends[1], 8), name)
    end
  end)

  -- The reader was told that its descriptor had been closed.
  it("goes on when nothing was put in the descriptor's place", function()
    local ends <close> = libc_support.pipe()
    local reader = support.parked(task.spawn(libc.read, ends[1], 8))
    assert.same({ nil, "EBADF", n = 2 }, table.pack(libc.dup2(9999, ends[1])))
    libc.write(ends[2], "x")
    assert.same({ true, "x", n = 2 }, table.pack(reader:join()))
  end)

  it("of a socket with a timeout of its own ends with EAGAIN", function()
    local ends <close> = closing(libc.socketpair())
    libc.timeout(ends[1], SOON)
    local start = task.now()
    assert.same({ nil, "EAGAIN", n = 2 }, table.pack(beside(libc.read, ends[1], 8)))
    assert.is_true(task.now() - start >= SOON)
  end)

  it("ends with EBADF when another task closes the descriptor, whatever gets its number", function()
    local reading, writing = libc.pipe()
    later(function()
      libc.close(reading)
      assert.equal(reading, libc.open "/dev/zero")
    end)
    assert.same({ nil, "EBADF", n = 2 }, table.pack(beside(libc.read, reading, 8)))
    libc.close(reading)
    libc.close(writing)
  end)

  it("forgets what kind of file a number stood for", function()
    for _ = 1, 3 do
      for _, open in pairs(kinds) do
        local ends <close> = open()
        libc.write(ends[2], "1234567\n")
        assert.equal(8, #libc.read(ends[1], 8))
      end
      local name = os.tmpname()
      local fd <close> = closing(libc.open(name))
      assert.equal("", libc.read(fd[1], 8))
      os.remove(name)
    end
  end)

  it("of the same pipe by two tasks gives each its own", function()
    local ends <close> = libc_support.pipe()
    local got = {}
    local readers = {}
    for i = 1, 2 do
      readers[i] = task.spawn(function() got[i] = libc.read(ends[1], 1) end)
    end
    for i = 1, 2 do support.parked(readers[i]) end
    libc.write(ends[2], "a")
    libc.write(ends[2], "b")
    for i = 1, 2 do assert(readers[i]:join()) end
    table.sort(got)
    assert.same({ "a", "b" }, got)
  end)

  it("that is cancelled has taken nothing", function()
    local ends <close> = libc_support.pipe()
    local waiting = support.parked(task.spawn({ quiet = true }, libc.read, ends[1], 8))
    waiting:cancel()
    libc.write(ends[2], "kept")
    assert.equal("ECANCELED", (select(3, waiting:join())))
    assert.equal("kept", libc.read(ends[1], 8))
  end)
end)

describe("recv", function()
  it("with MSG_WAITALL waits for all", function()
    local ends <close> = closing(libc.socketpair())
    later(function()
      libc.send(ends[2], "abc")
      libc_support.let_wait()
      libc.send(ends[2], "def")
    end)
    assert.equal("abcdef", beside(libc.recv, ends[1], 6, true))
  end)

  it("gives one datagram at a time", function()
    local ends <close> = closing(libc.socketpair(true))
    later(function()
      libc.send(ends[2], "one")
      libc.send(ends[2], "two")
    end)
    assert.equal("one", beside(libc.recv, ends[1], 64))
    assert.equal("two", libc.recv(ends[1], 64))
  end)
end)

describe("write", function()
  for name, open in pairs { pipe = kinds.pipe, ["socket"] = kinds.socket } do
    it("to a " .. name .. " waits until all has gone", function()
      local ends <close> = open()
      local reader = later(function() assert.equal(BIG, read_all(ends[1], #BIG)) end)
      assert.equal(#BIG, beside(libc.write, ends[2], BIG))
      assert(reader:join())
    end)

    it("to a " .. name .. " that does not block gives what went", function()
      local ends <close> = open()
      libc.nonblock(ends[2])
      local count = libc.write(ends[2], BIG)
      assert.is_true(count > 0 and count < #BIG)
      assert.same({ nil, "EAGAIN", n = 2 }, table.pack(libc.write(ends[2], BIG)))
    end)

    it("to a " .. name .. " in pieces keeps their order", function()
      local ends <close> = open()
      local pieces = { BIG, "", "x", BIG, "end" }
      local all = table.concat(pieces)
      local reader = later(function() assert.equal(all, read_all(ends[1], #all)) end)
      assert.equal(#all, beside(libc.writev, ends[2], table.unpack(pieces)))
      assert(reader:join())
    end)
  end

  it("of several pieces to a pipe, of less than PIPE_BUF, is not torn by others", function()
    local ends <close> = libc_support.pipe()
    local writers = {}
    for i = 0, 9 do
      local half = tostring(i):rep(700)
      writers[i] = task.spawn(function()
        for _ = 1, 30 do assert.equal(1401, libc.writev(ends[2], half, half, "\n")) end
      end)
    end
    local text = read_all(ends[1], 10 * 30 * 1401)
    for i = 0, 9 do assert(writers[i]:join()) end
    for line in text:gmatch "[^\n]+" do assert.equal(line:sub(1, 1):rep(1400), line) end
  end)

  it("that is cancelled midway tells how much went, and the task raises", function()
    local ends <close> = libc_support.pipe()
    local waiting = support.parked(task.spawn({ quiet = true }, libc.write, ends[2], BIG))
    waiting:cancel()
    assert.equal("ECANCELED", (select(3, waiting:join())))
    assert.equal(65536, #read_all(ends[1], 65536))
  end)

  it("to a pipe nobody reads gives EPIPE", function()
    local output = support.run(libc_support.prelude .. [[
      local a, b = libc.socketpair()
      libc.close(a)
      print(libc.send(b, "x"))
    ]])
    assert.equal("nil\tEPIPE\n", output)
  end)
end)

describe("connect and accept", function()
  it("of blocking sockets wait for each other", function()
    local listener, port = libc.listen()
    local fds <close> = closing(listener)
    local client
    later(function() client = assert(libc.connect(port)) end)
    local server = beside(libc.accept, listener)
    support.eventually(function() return client end)
    assert.equal(2, libc.send(server, "hi"))
    assert.equal("hi", libc.recv(client, 8))
    assert.equal(0, libc.flags(server) & 2048)
    libc.close(server)
    libc.close(client)
  end)

  it("tell who refuses", function()
    local listener, port = libc.listen()
    libc.close(listener)
    assert.same({ nil, "ECONNREFUSED", n = 2 }, table.pack(libc.connect(port)))
  end)

  it("wait for room in the backlog of a Unix socket", function()
    local name = "moonlet-backlog-" .. tostring({}):match "0x%x+"
    local listener = libc.listen_unix(name)
    local first = libc.connect_unix(name)
    local fds <close> = closing(listener, first)
    later(function() libc.close(libc.accept(listener)) end)
    local second = beside(libc.connect_unix, name)
    assert.is_true(second > 0)
    libc.close(second)
  end)
end)

describe("a child process", function()
  it("is waited for by its number, by several tasks at once", function()
    libc_support.ten_at_once(function(i)
      local pid = libc.spawn("sleep 0.2; exit " .. i)
      return select(2, assert(libc.waitpid(pid)))
    end)
  end)

  it("is waited for as any child, and through waitid", function()
    local pid = libc.spawn(libc_support.command_later "exit 3")
    assert.same({ pid, 3 }, { beside(libc.waitpid, -1) })
    pid = libc.spawn(libc_support.command_later "kill -9 $$")
    assert.same({ pid, 9 }, { beside(libc.waitid, pid) })
    assert.same({ nil, "ECHILD", n = 2 }, table.pack(libc.waitpid(pid)))
  end)

  -- Its end is also what calls the handler: waitid() failed with EINTR though there was something to tell.
  it("is found by whoever waits though SIGCHLD has a handler", function()
    libc.catch_children(true)
    for _, wait in ipairs { "waitpid", "waitid" } do
      local pid = libc.spawn(libc_support.command_later "exit 4")
      assert.same({ pid, 4 }, { beside(libc[wait], -1) })
    end
    libc.catch_children(false)
  end)

  it("forked by a task runs that task alone, and libc's own calls", function()
    local ticked = 0
    local ticker = task.spawn(function()
      for _ = 1, 200 do
        ticked = ticked + 1
        task.sleep(0.001)
      end
    end)
    local others = {}
    for i = 1, 1000 do others[i] = task.spawn(task.sleep, 0.1) end
    local me = libc.getpid()
    local pid = libc.fork(function()
      local before = ticked
      libc.nanosleep(0.05) -- the parent's ticker would tick, if it were here
      local p = libc_support.pipe()
      libc.write(p[2], "x")
      local works = libc.read(p[1], 1) == "x" and libc.poll({ { p[1], libc.POLLIN } }, 10) == 0
      local ok, message = pcall(task.sleep, 0.01)
      local refuses = not ok and message:find "forked by a task"
      return (ticked == before and works and refuses and libc.getpid() ~= me) and 7 or 1
    end)
    assert.same({ pid, 7 }, { beside(libc.waitpid, pid) })
    assert(ticker:join())
    assert.equal(200, ticked)
    for i = 1, 1000 do assert(others[i]:join()) end
  end)

  it("that goes on with the script ends with its task, and leaves the parent's descriptors watched", function()
    local output, status = support.run(libc_support.prelude .. [[
      local here, there = require "moonlet.net".pair()
      local ended = require "moonlet.sync".event()
      local reader = task.spawn(function() return here:read_line() end)
      local writer = task.spawn(function() ended:wait() there:write("late\n") end)
      while reader:status() ~= "waiting" or writer:status() ~= "waiting" do task.yield() end
      local pid = task.spawn(function()
        local pid = libc.plain_fork()
        if pid == 0 then io.write("child\n") end
        return pid
      end)
      local _, number = pid:join()
      local found = libc.waitpid(number)
      ended:set()
      print("parent", found == number, reader:join())
    ]])
    assert.equal("child\nparent\ttrue\ttrue\tlate\n", output)
    assert.equal(0, status)
  end)

  it("of vfork closes what is its own, not what the parent waits for", function()
    local ends <close> = libc_support.pipe()
    local waiting = support.parked(task.spawn(libc.read, ends[1], 1))
    libc.waitpid(libc.vfork_closes(ends[1]))
    libc.write(ends[2], "x")
    assert.equal("x", (select(2, assert(waiting:join()))))
  end)

  it("of os.execute is killed when its task is cancelled", function()
    local start = task.now()
    assert.equal("EDEADLINE", (select(3, task.timeout(SOON, os.execute, "exec sleep 10"))))
    assert.is_true(task.now() - start < support.patience)
    assert.same({ nil, "ECHILD", n = 2 }, table.pack(libc.waitpid(-1)))
  end)
end)

describe("a lock on a file", function()
  it("is waited for by one task alone", function()
    local name = os.tmpname()
    local fds <close> = closing(libc.open(name), libc.open(name))
    assert.equal(0, libc.flock(fds[1], "lock"))
    later(libc.flock, fds[1], "unlock")
    assert.equal(0, beside(libc.flock, fds[2], "lock"))
    local waiting = support.parked(task.spawn({ quiet = true }, libc.flock, fds[1], "lock"))
    waiting:cancel()
    assert.equal("ECANCELED", (select(3, waiting:join())))
    os.remove(name)
  end)

  it("is not needed to bring a file to the disk", function()
    local name = os.tmpname()
    local fd <close> = closing(libc.open(name))
    assert.equal(0, libc.fsync(fd[1]))
    assert.same({ nil, "EBADF", n = 2 }, table.pack(libc.fsync(9999)))
    os.remove(name)
  end)
end)

describe("a name", function()
  it("is asked for on another thread, and a number for itself", function()
    assert.equal("127.0.0.1", libc.getaddrinfo "localhost")
    assert.equal("127.0.0.9", libc.getaddrinfo "127.0.0.9")
    assert.equal("Name or service not known", (select(2, libc.getaddrinfo "no.such.name.invalid")))
  end)

  it("and a date, a text and errno are each task's own while it waits", function()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(libc.keeps, (i - 1) * 86400 * 366, 4000 + i, "127.0.0." .. i, 0.02)
    end
    for i = 1, 10 do
      local _, date, text, address, number, written = assert(tasks[i]:join())
      assert.equal(os.date("!%Y-%m-%d", (i - 1) * 86400 * 366), date)
      assert.equal("Unknown error " .. 4000 + i, text)
      assert.equal("127.0.0." .. i, address)
      assert.equal(4000 + i, number)
      assert.equal("127.0.0." .. i, written)
    end
  end)
end)

describe("a mutex of a C library", function()
  for _, recursive in ipairs { false, true } do
    local name = recursive and "recursive" or "plain"

    it("(" .. name .. ") held by a task that waits is waited for by others", function()
      local log, go = {}, sync.event()
      local function work(label)
        libc.with_mutex(recursive, function()
          log[#log + 1] = label .. " in"
          libc.nanosleep(0.001)
          go:wait()
          log[#log + 1] = label .. " out"
        end)
      end
      local a, b, c = task.spawn(work, "a"), task.spawn(work, "b"), task.spawn(work, "c")
      for _, t in ipairs { a, b, c } do support.parked(t) end
      assert.equal("EBUSY", libc.try_mutex(recursive))
      assert.equal("ETIMEDOUT", libc.timed_mutex(recursive, 0.001))
      go:set()
      assert(a:join() and b:join() and c:join())
      assert.same({ "a in", "a out" }, { log[1], log[2] })
      for i = 1, 5, 2 do assert.equal(log[i]:sub(1, 1), log[i + 1]:sub(1, 1)) end
      assert.equal("free", libc.try_mutex(recursive))
      assert.equal("free", libc.timed_mutex(recursive, 0.001))
    end)
  end

  it("(recursive) is taken twice by its owner", function()
    local inner
    libc.with_mutex(true, function()
      libc.nanosleep(0.001)
      libc.with_mutex(true, function() inner = true end)
    end)
    assert.is_true(inner)
  end)

  it("is not lost when a task that waits for it is cancelled", function()
    local go, entered = sync.event(), false
    local holder = support.parked(task.spawn(libc.with_mutex, false, function() go:wait() end))
    local waiting = support.parked(task.spawn({ quiet = true }, libc.with_mutex, false, function()
      entered = true
      task.sleep(1)
    end))
    waiting:cancel()
    assert.is_false(entered)
    go:set()
    assert(holder:join())
    assert.equal("ECANCELED", (select(3, waiting:join())))
    assert.is_true(entered) -- a lock cannot be refused to a C library
    assert.equal("free", libc.try_mutex(false))
  end)

  -- The calls of C++'s timed mutexes were not seen: who wanted what a waiting task had so locked blocked the thread.
  it("taken with a time limit, on any clock, is waited for by others", function()
    local go = sync.event()
    local holder = support.parked(task.spawn(libc.clock_mutex, false, 1, function() go:wait() end))
    assert.equal("EBUSY", libc.try_mutex(false))
    assert.equal("ETIMEDOUT", beside(libc.clock_mutex, false, SOON, print))
    local waiting = support.parked(task.spawn(libc.clock_mutex, false, support.patience, function() end))
    go:set()
    assert.same({ true, "free" }, { waiting:join() })
    assert.same({ true, "free" }, { holder:join() })
    assert.equal("free", libc.try_mutex(false))
  end)

  it("for reading and writing is taken with a time limit on any clock", function()
    for _, clock in ipairs { "real", "monotonic" } do
      local go = sync.event()
      local reader = support.parked(task.spawn(libc.with_rwlock, false, function() go:wait() end))
      assert.equal("free", libc.timed_rwlock(clock, false, SOON))
      assert.equal("ETIMEDOUT", beside(libc.timed_rwlock, clock, true, SOON))
      go:set()
      assert(reader:join())
      assert.equal("free", libc.timed_rwlock(clock, true, SOON))
    end
  end)

  it("for reading and writing lets readers in together, and writers alone", function()
    local inside, beside_reader, beside_writer = 0, 0, 0
    local function work(is_writer)
      inside = inside + 1
      beside_writer = math.max(beside_writer, is_writer and inside or 0)
      beside_reader = math.max(beside_reader, is_writer and 0 or inside)
      if is_writer then libc.nanosleep(SOON) else support.eventually(function() return beside_reader == 5 end) end
      inside = inside - 1
    end
    local tasks = {}
    for i = 1, 10 do
      local is_writer = i % 2 == 0
      tasks[i] = task.spawn(libc.with_rwlock, is_writer, function() work(is_writer) end)
    end
    for i = 1, 10 do assert(tasks[i]:join()) end
    assert.equal(5, beside_reader)
    assert.equal(1, beside_writer)
  end)
end)

describe("code that others could need", function()
  it("(pthread_once, a callback of stdio) blocks the thread", function()
    local output = support.run(libc_support.prelude .. [[
      local ticks = 0
      task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
      repeat task.yield() until ticks > 0
      ticks = 0 libc.once() print(ticks)
      ticks = 0 libc.write_cookie("x") print(ticks)
      libc.nanosleep(0.02) print(ticks > 0)
    ]])
    assert.equal("0\n0\ntrue\n", output)
  end)

  -- The count of such code stayed raised, and every later call of any task blocked the thread.
  it("that a Lua error leaves is left", function()
    for _, name in ipairs { "once_calls", "cookie_calls" } do
      local function fail() libc[name](function() error "left" end) end
      assert.is_false(pcall(fail))
      assert.equal(0, beside(libc.nanosleep, SOON))
      assert.is_false(xpcall(fail, function(message) return message end))
      beside(function() libc.nanosleep(SOON) end)
      assert.is_false(libc.catch(fail))
      assert.equal(0, libc.nanosleep(SOON), name)
      beside(function()
        libc.catch(fail)
        libc.nanosleep(SOON)
      end)
      beside(function()
        assert.is_false(pcall(fail))
        libc.nanosleep(SOON)
      end)
    end
  end)

  it("blocks the thread in all that is called there, and in nothing else of its task", function()
    local output = support.run(libc_support.prelude .. [[
      local ticks = 0
      task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
      repeat task.yield() until ticks > 0
      for _, name in ipairs { "once_calls", "cookie_calls" } do
        ticks = 0
        libc[name](function()
          pcall(error, "caught inside")
          pcall(function() libc.once_calls(error) end)
          coroutine.wrap(function() libc.nanosleep(0.02) end)()
          libc.nanosleep(0.02)
        end)
        print(name, ticks)
        libc.nanosleep(0.02)
        print(ticks > 0)
      end
    ]])
    assert.equal("once_calls\t0\ntrue\ncookie_calls\t0\ntrue\n", output)
  end)
end)

describe("fsync", function()
  -- It worked on a duplicate of the descriptor, whose close gave up the locks that SQLite has while it syncs.
  it("keeps the POSIX locks of the process", function()
    local has_lfs, lfs = pcall(require, "lfs")
    if not has_lfs then return pending "LuaFileSystem is not installed" end
    local fs = require "moonlet.fs"
    local dir <close> = assert(fs.temp_dir())
    local path <const> = dir.path .. "/data"
    local file <close> = assert(io.open(path, "w"))
    local fd
    for _, number in ipairs(assert(fs.list "/proc/self/fd")) do
      if fs.readlink("/proc/self/fd/" .. number) == path then fd = tonumber(number) end
    end
    local function is_locked()
      local output = support.run(([[
        local file = assert(io.open(%q, "r+"))
        print(require "lfs".lock(file, "w") == nil)
      ]]):format(path))
      return output
    end
    assert(lfs.lock(file, "w"))
    assert.equal("true\n", is_locked())
    assert.equal(0, libc.fsync(fd))
    assert.equal("true\n", is_locked())
  end)
end)

describe("fsync", function()
  -- It worked on a duplicate of the descriptor, whose close gave up the locks that SQLite has while it syncs.
  it("keeps the POSIX locks of the process", function()
    local has_lfs, lfs = pcall(require, "lfs")
    if not has_lfs then return pending "LuaFileSystem is not installed" end
    local fs = require "moonlet.fs"
    local dir <close> = assert(fs.temp_dir())
    local path <const> = dir.path .. "/data"
    local file <close> = assert(io.open(path, "w"))
    local fd
    for _, number in ipairs(assert(fs.list "/proc/self/fd")) do
      if fs.readlink("/proc/self/fd/" .. number) == path then fd = tonumber(number) end
    end
    local function is_locked()
      return (support.run(([[
        local file = assert(io.open(%q, "r+"))
        print(require "lfs".lock(file, "w") == nil)
      ]]):format(path)))
    end
    assert(lfs.lock(file, "w"))
    assert.equal("true\n", is_locked())
    assert.equal(0, libc.fsync(fd))
    assert.equal("true\n", is_locked())
  end)
end)
