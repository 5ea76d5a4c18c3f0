--- io, os and print in tasks: results as in stock Lua, and only the task waits.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local sync = require "moonlet.sync"

local beside, BIG = libc_support.beside, libc_support.BIG

-- A pipe as two files: through a FIFO, whose open waits for the other end.
local function fifo()
  local name, writing = libc_support.fifo(), nil
  local opener = task.spawn(function() writing = assert(io.open(name, "w")) end)
  local reading = assert(io.open(name))
  assert(opener:join())
  os.remove(name)
  return reading, writing
end

-- A shell command that waits until a file has been removed, and says so if that is not done in 30 s.
local function until_gone(name)
  local is_there = ("[ -e %s ]"):format(name)
  return ("for i in $(seq 3000); do %s || break; sleep 0.01; done; %s && echo in vain"):format(is_there, is_there)
end

describe("io.popen", function()
  it("reads from ten children at once", function()
    libc_support.ten_at_once(function(i)
      local file <close> = io.popen("sleep 0.2; echo " .. i)
      return file:read "n"
    end)
  end)

  it("closes when the child has ended, whose status it gives", function()
    local file = io.popen(libc_support.command_later "exit 3")
    assert.same({ nil, "exit", 3 }, { beside(file.close, file) })
    file = io.popen("sleep 0.05; cat >/dev/null", "w")
    file:write(BIG)
    assert.same({ true, "exit", 0 }, { file:close() })
  end)

  -- Its worker had run a call that failed: Lua took what that one left in errno for the error of closing.
  it("gives the child's status, whatever failed on the worker thread before", function()
    for _ = 1, 3 do
      os.remove "/nonexistent/file"
      assert.same({ nil, "exit", 3 }, { io.popen("exit 3"):close() })
    end
  end)

  it("waits while the child reads nothing", function()
    local file = io.popen(libc_support.command_later "wc -c >/dev/null", "w")
    beside(file.write, file, BIG)
    file:close()
  end)

  it("is cancelled while it reads, and can be closed then", function()
    local file <close> = io.popen "exec sleep 0.3"
    assert.equal("EDEADLINE", (select(3, task.timeout(0.02, file.read, file))))
  end)
end)

describe("os.execute", function()
  it("runs ten commands at once", function()
    local start, tasks = task.now(), {}
    for i = 1, 10 do tasks[i] = task.spawn(os.execute, "sleep 0.2; exit " .. i) end
    for i = 1, 10 do
      assert.same({ true, nil, "exit", i, n = 4 }, table.pack(tasks[i]:join()))
    end
    assert.is_true(task.now() - start < 1 + support.patience)
    assert.is_true(os.execute())
    assert.same({ nil, "signal", 15 }, { os.execute "kill -15 $$" })
    assert.same({ nil, "exit", 127 }, { os.execute "no_such_command 2>/dev/null" })
  end)
end)

describe("a file that is a pipe", function()
  it("gives every format as it comes, in bits and pieces", function()
    local reading, writing = fifo()
    local text = "line one\nline two\n12 0x1F 3.5e1 tail\n" .. ("x"):rep(10000) .. "\nrest\nof it"
    local writer = task.spawn(function()
      for i = 1, #text, 7 do
        writing:write(text:sub(i, i + 6))
        writing:flush()
        task.yield()
      end
      writing:close()
    end)
    assert.equal("line one", reading:read())
    assert.equal("line two\n", reading:read "L")
    assert.same({ 12, 31, 35.0 }, { reading:read("n", "n", "n") })
    assert.equal(" tail", reading:read "l")
    assert.equal("", reading:read(0))
    assert.equal(("x"):rep(10000), reading:read(10000))
    assert.equal("", reading:read "l")
    assert.equal("rest\nof it", reading:read "a")
    assert.equal("", reading:read "a")
    assert.is_nil(reading:read())
    assert.is_nil(reading:read(0))
    assert(writer:join())
    reading:close()
  end)

  it("gives lines to an iterator", function()
    local reading, writing = fifo()
    local writer = task.spawn(function()
      for i = 1, 100 do
        writing:write(i, "\n"):flush()
        if i % 10 == 0 then task.sleep(0.001) end
      end
      writing:close()
    end)
    local sum = 0
    for line in reading:lines() do sum = sum + line end
    assert.equal(5050, sum)
    assert(writer:join())
    reading:close()
  end)

  it("takes more than it holds, and numbers and strings in order", function()
    local reading, writing = fifo()
    local reader = task.spawn(function()
      libc_support.let_wait()
      return reading:read "a"
    end)
    beside(function() writing:write(1, " ", BIG, 2.5, "\n"):write(BIG):close() end)
    local _, got = assert(reader:join())
    assert.is_true(got == "1 " .. BIG .. "2.5\n" .. BIG)
    reading:close()
  end)

  for _, mode in ipairs { "no", "line", "full" } do
    it("buffered by '" .. mode .. "' loses nothing", function()
      local reading, writing = fifo()
      assert.is_true(writing:setvbuf(mode, mode == "full" and 1 << 20 or nil))
      local reader = task.spawn(function()
        libc_support.let_wait()
        return reading:read "a"
      end)
      beside(function()
        for i = 1, 4 do writing:write(BIG, i, "\n") end
        assert.is_true(writing:flush())
        writing:write "end"
        writing:close()
      end)
      local _, got = assert(reader:join())
      assert.equal(4 * #BIG + 8 + 3, #got)
      assert.equal("4\nend", got:sub(-5))
      reading:close()
    end)
  end

  it("keeps each write of many tasks together", function()
    local reading, writing = fifo()
    local writers = {}
    for i = 0, 9 do
      writers[i] = task.spawn(function()
        for _ = 1, 5 do
          writing:write((tostring(i)):rep(20000) .. "\n")
          task.yield()
        end
      end)
    end
    local closer = task.spawn(function()
      for i = 0, 9 do assert(writers[i]:join()) end
      writing:close()
    end)
    local count = 0
    for line in reading:lines() do
      assert.equal(line:sub(1, 1):rep(20000), line)
      count = count + 1
    end
    assert.equal(50, count)
    assert(closer:join())
    reading:close()
  end)

  it("gives each reader whole lines", function()
    local reading, writing = fifo()
    local readers, got = {}, {}
    for i = 1, 5 do
      readers[i] = task.spawn(function()
        for line in reading:lines() do got[#got + 1] = line end
      end)
    end
    for i = 1, 50 do
      writing:write "number "
      writing:flush()
      task.yield()
      writing:write(i, "\n")
      writing:flush()
    end
    writing:close()
    for i = 1, 5 do assert(readers[i]:join()) end
    table.sort(got, function(a, b) return tonumber(a:match "%d+") < tonumber(b:match "%d+") end)
    for i = 1, 50 do assert.equal("number " .. i, got[i]) end
    reading:close()
  end)

  it("tells that nobody reads it any more", function()
    local output = support.shell("trap '' PIPE; " .. support.command([[
      local file = io.popen("exec true", "w")
      print(select("#", file:write(("x"):rep(100000)) and 1), select(2, file:write(("x"):rep(100000))))
    ]]))
    assert.equal("1\tBroken pipe\t32\n", output)
  end)
end)

describe("standard input", function()
  it("is read by one task while others work", function()
    local first, second = os.tmpname(), os.tmpname()
    local input = ("(%s; echo one; %s; printf 'two\\nthree\\nfour') | "):format(until_gone(first), until_gone(second))
    local output = support.shell(input .. support.command(([[
      local task = require "moonlet.task"
      local ticks = 0
      local function tick(file)
        ticks = ticks + 1
        os.remove(file)
      end
      task.spawn(tick, %q)
      for line in io.lines() do
        print(line, ticks)
        if line == "one" then task.spawn(tick, %q) end
      end
    ]]):format(first, second)))
    assert.equal("one\t1\ntwo\t2\nthree\t2\nfour\t2\n", output)
  end)
end)

describe("print", function()
  it("to a full pipe makes one task wait", function()
    local full = os.tmpname()
    local output = support.shell(support.command(([[
      local task = require "moonlet.task"
      local printing = task.current()
      task.spawn({ daemon = true }, function()
        repeat task.yield() until printing:status() == "waiting"
        os.remove(%q)
      end)
      for i = 1, 20000 do print(i, "a line that fills the pipe sooner or later") end
    ]]):format(full)) .. (" 2>&1 | (%s; cksum)"):format(until_gone(full)))
    local lines = {}
    for i = 1, 20000 do lines[i] = i .. "\ta line that fills the pipe sooner or later\n" end
    local path = os.tmpname()
    local file = io.popen("cksum >" .. path, "w")
    file:write(table.concat(lines)):close()
    local expected <close> = io.open(path)
    assert.equal(expected:read "a", output)
    os.remove(path)
  end)
end)

describe("a regular file", function()
  it("is written, renamed and removed while others work, with stock Lua's messages", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w+"))
    assert.equal(file, file:write(BIG))
    assert.equal(0, file:seek "set")
    assert.equal(BIG, file:read "a")
    assert.is_true(file:close())
    assert.is_true(os.rename(name, name .. "x"))
    assert.same({ nil, "No such file or directory", 2 }, { os.rename(name, name .. "y") })
    assert.is_true(os.remove(name .. "x"))
    assert.same({ nil, name .. ": No such file or directory", 2 }, { os.remove(name) })
    assert.same({ nil, name .. ": No such file or directory", 2 }, { io.open(name) })
    assert.is_true(os.remove((function()
      os.execute("mkdir " .. name)
      return name
    end)()))
  end)

  it("has its new content after a seek, when it was read to its end and cut short", function()
    local name = os.tmpname()
    local function write(text) io.open(name, "w"):write(text):close() end
    write "one\ntwo\n"
    local file <close> = assert(io.open(name))
    assert.equal("one\ntwo\n", file:read(8))
    assert.equal(0, file:seek("set"))
    assert.equal("one\ntwo\n", file:read(65536))
    assert.is_nil(file:read(65536))
    write "new\n"
    assert.equal(0, file:seek("set"))
    assert.equal("new\n", file:read(65536))
    os.remove(name)
  end)

  it("is read by many tasks, each with a file of its own", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    for i = 1, 1000 do file:write(i, "\n") end
    file:close()
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(function()
        local sum = 0
        for line in io.lines(name) do
          sum = sum + line
          task.yield()
        end
        return sum
      end)
    end
    for i = 1, 10 do assert.equal(500500, (select(2, assert(tasks[i]:join())))) end
    os.remove(name)
  end)
end)

describe("a finalizer", function()
  it("flushes and closes what a program left open", function()
    local name = os.tmpname()
    support.run(([[io.open(%q, "w"):write(("x"):rep(10))]]):format(name))
    local file <close> = io.open(name)
    assert.equal(("x"):rep(10), file:read "a")
    os.remove(name)
  end)
end)

describe("what a task holds", function()
  it("is free again after its file operation was cancelled", function()
    local reading, writing = fifo()
    local waiting = support.parked(task.spawn({ quiet = true }, reading.read, reading))
    local event = sync.event()
    waiting:cancel()
    waiting:join()
    task.spawn(function()
      writing:write "next\n"
      writing:flush()
      event:set()
    end)
    assert.equal("next", reading:read())
    event:wait()
    writing:close()
    reading:close()
  end)
end)
