-- moonlet.net, streams: every way to read, its limits, its end, its timeouts.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it = support.limited(it)
local is_failure = support.is_failure

-- A stream to read from -> its peer, which would be collected, and so closed, in the middle of a test.
local peers = setmetatable({}, { __mode = "k" })

--- Two streams: one to read from, one that has written `text`, and its output is ended if asked.
local function source(text, ended)
  local here, there = support.pair()
  peers[here] = there
  if text then assert(there:write(text)) end
  if ended then assert(there:shutdown()) end
  return here, there
end

describe("stream:read", function()
  it("takes the formats of io's read, with and without a star", function()
    local here <close> = source("one\ntwo\nthree\r\n12345the rest\nof it", true)
    assert.equal("one", here:read())
    assert.equal("two\n", here:read("L"))
    assert.equal("three\r", here:read("*l"))
    assert.equal("12345", here:read(5))
    assert.equal("the", here:read(3))
    assert.equal(" rest\nof it", here:read("a"))
    assert.equal("", here:read("*a"))
    assert.is_nil(here:read("l"))
    assert.is_nil(here:read("L"))
    assert.is_nil(here:read(1))
  end)

  it("takes several formats, and stops at the end with one nil", function()
    local here <close> = source("a\nb\nc", true)
    assert.same({ "a", "b\n", n = 2 }, table.pack(here:read("l", "L")))
    assert.same({ "c", nil, n = 2 }, table.pack(here:read(10, "l", "l")))
  end)

  it("returns fewer bytes than asked for only at the end", function()
    local here <close>, peer = source("abc")
    local there <close> = peer
    local t = support.parked(task.spawn(function() return here:read(6) end))
    there:write("def")
    assert.equal("abcdef", support.finish(t))
    there:write("gh")
    there:shutdown()
    assert.equal("gh", here:read(6))
    assert.is_nil(here:read(6))
  end)

  it("has no limit for a line, as io has none", function()
    local here <close>, peer = source()
    local there <close> = peer
    local line = ("long "):rep(40000)
    task.spawn(function() there:write(line, "\n") end)
    assert.equal(line, here:read("l"))
  end)

  it("keeps what earlier formats have read when a later one fails", function()
    local here <close>, peer = source("first\npart")
    local there <close> = peer
    here:set_timeout(0.02, "read")
    is_failure("ETIMEDOUT", "timeout", here:read("l", "l"))
    there:write(" two\n")
    assert.same({ "first", "part two" }, { here:read("l", "l") })
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = source()
    for _, format in ipairs { "x", "", {}, true } do
      assert.matches("bad argument #1 to 'read'",
        support.message_of(function() here:read(format) end))
    end
    assert.matches("bad argument #1 to 'read'", support.message_of(function() here:read(-1) end))
  end)
end)

describe("stream:read_some", function()
  it("returns what is there, up to the limit, and nil at the end", function()
    local here <close>, peer = source()
    local there <close> = peer
    local t = support.parked(task.spawn(function() return here:read_some() end))
    there:write("hello")
    local got = support.finish(t)
    while #got < 5 do got = got .. here:read_some() end
    assert.equal("hello", got)
    there:write("abcdef")
    got = here:read_some(4)
    assert.is_true(#got >= 1 and #got <= 4)
    while #got < 6 do got = got .. here:read_some() end
    assert.equal("abcdef", got)
    there:shutdown()
    for _ = 1, 3 do assert.same({ n = 1 }, table.pack(here:read_some())) end
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = source()
    for _, max in ipairs { 0, -1, 1.5, "many" } do
      assert.matches("bad argument #1 to 'read_some'",
        support.message_of(function() here:read_some(max) end))
    end
  end)
end)

describe("stream:read_exactly", function()
  it("waits for all of them, and has none left over", function()
    local here <close>, peer = source()
    local there <close> = peer
    task.spawn(function()
      for digit in ("0123456789"):gmatch(".") do
        there:write(digit)
        task.yield()
      end
    end)
    assert.equal("0123", here:read_exactly(4))
    assert.equal("", here:read_exactly(0))
    assert.equal("456789", here:read_exactly(6))
  end)

  it("reads megabytes in one go", function()
    local here <close>, peer = source()
    local there <close> = peer
    local data = ("0123456789abcdef"):rep(256 * 1024)
    task.spawn(function() there:write(data) end)
    assert.is_true(here:read_exactly(#data) == data)
  end)

  it("tells the end from the end in the middle, whose bytes stay", function()
    local here <close> = source("abc", true)
    is_failure("EEOF", "end of stream", here:read_exactly(4))
    assert.equal("abc", here:read_exactly(3))
    assert.same({ n = 1 }, table.pack(here:read_exactly(1)))
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = source()
    for _, size in ipairs { -1, 1.5, "x" } do
      assert.matches("bad argument #1 to 'read_exactly'",
        support.message_of(function() here:read_exactly(size) end))
    end
    assert.matches("bad argument #1 to 'read_exactly'",
      support.message_of(function() here:read_exactly() end))
  end)
end)

describe("stream:read_line", function()
  it("strips either end of a line; the last may lack it", function()
    local here <close> = source("unix\nnet\r\n\n\r\na\rb\r\r\nlast", true)
    for _, line in ipairs { "unix", "net", "", "", "a\rb\r", "last" } do
      assert.equal(line, here:read_line())
    end
    assert.same({ n = 1 }, table.pack(here:read_line()))
  end)

  it("refuses a line beyond the limit, whose bytes stay", function()
    local here <close> = source("0123456789\nshort\n")
    is_failure("EMSGSIZE", "line too long", here:read_line(5))
    is_failure("EMSGSIZE", "line too long", here:read_line(10))
    assert.equal("0123456789", here:read_line(11))
    assert.equal("short", here:read_line(6))
  end)

  it("refuses a line of more than 64 KiB unless told otherwise", function()
    local here <close>, peer = source()
    local there <close> = peer
    task.spawn(function() there:write(("x"):rep(64 * 1024 - 1), "\n", ("y"):rep(64 * 1024), "\n") end)
    assert.equal(64 * 1024 - 1, #here:read_line())
    is_failure("EMSGSIZE", "line too long", here:read_line())
    assert.equal(64 * 1024, #here:read_line(100000))
  end)
end)

describe("stream:read_until", function()
  it("returns the bytes with the delimiter, wherever packets end", function()
    local here <close>, peer = source()
    local there <close> = peer
    task.spawn(function()
      for byte in ("head\r\n\r\nbody--bo--boundary--tail"):gmatch(".") do
        there:write(byte)
        task.yield()
      end
      there:shutdown()
    end)
    assert.equal("head\r\n\r\n", here:read_until("\r\n\r\n"))
    assert.equal("body--bo--boundary--", here:read_until("--boundary--"))
    is_failure("EEOF", nil, here:read_until("x"))
    assert.equal("tail", here:read_all())
    assert.same({ n = 1 }, table.pack(here:read_until("x")))
  end)

  it("takes delimiters with zero bytes", function()
    local here <close> = source("a\0b\0\0c")
    assert.equal("a\0b\0\0", here:read_until("\0\0"))
    assert.equal("c", here:read_until("c"))
  end)

  it("refuses more bytes than the limit, which stay", function()
    local here <close> = source("abcdef;")
    is_failure("EMSGSIZE", nil, here:read_until(";", 6))
    assert.equal("abcdef;", here:read_until(";", 7))
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = source()
    assert.matches("bad argument #1 to 'read_until'",
      support.message_of(function() here:read_until() end))
    assert.matches("bad argument #1 to 'read_until'",
      support.message_of(function() here:read_until("") end))
    assert.matches("bad argument #2 to 'read_until'",
      support.message_of(function() here:read_until("x", 0) end))
  end)
end)

describe("stream:read_all", function()
  it("returns everything up to the end, then the empty string", function()
    local here <close>, peer = source("some")
    task.spawn(function()
      local there <close> = peer
      for i = 1, 50 do
        there:write(" ", i)
        task.yield()
      end
    end)
    local numbers = {}
    for i = 1, 50 do numbers[i] = i end
    assert.equal("some " .. table.concat(numbers, " "), here:read_all())
    assert.equal("", here:read_all())
  end)

  it("refuses more bytes than the limit, which stay", function()
    local here <close> = source("12345", true)
    is_failure("EMSGSIZE", nil, here:read_all(4))
    assert.equal("12345", here:read_all(5))
  end)
end)

describe("stream:lines and stream:chunks", function()
  it("iterate until the end of the stream", function()
    local here <close> = source("a\r\nb\n\nc", true)
    local lines = {}
    for line in here:lines() do lines[#lines + 1] = line end
    assert.same({ "a", "b", "", "c" }, lines)
    local there <close> = source("a\r\nb\nc", true)
    lines = {}
    for line in there:lines("L") do lines[#lines + 1] = line end
    assert.same({ "a\r\n", "b\n", "c" }, lines)
    local three <close> = source("123456789", true)
    lines = {}
    for piece in three:lines(4) do lines[#lines + 1] = piece end
    assert.same({ "1234", "5678", "9" }, lines)
    local other <close> = source(("x"):rep(1000), true)
    local size = 0
    for chunk in other:chunks(100) do
      assert.is_true(#chunk >= 1 and #chunk <= 100)
      size = size + #chunk
    end
    assert.equal(1000, size)
  end)

  it("end when the stream is closed here, before or meanwhile", function()
    local here <close> = source("a\n")
    local count = 0
    local t = task.spawn(function()
      for _ in here:lines() do count = count + 1 end
      for _ in here:chunks() do count = count + 1 end
    end)
    support.eventually(function() return count == 1 end)
    support.parked(t)
    here:close()
    support.finish(t)
    assert.equal(1, count)
  end)

  it("raise any other failure as a table that prints as its message", function()
    local here <close> = source("x")
    here:set_timeout(0.001)
    for _, iterate in ipairs { function() for _ in here:lines() do end end,
      function() for _ in here:lines(10) do end end } do
      local ok, err = pcall(iterate)
      assert.is_false(ok)
      assert.equal("ETIMEDOUT", err.code)
      assert.equal("timeout", err.message)
      assert.equal("timeout", tostring(err))
    end
  end)
end)

describe("a timeout", function()
  it("of reads ends each kind of read and keeps the bytes", function()
    local here <close>, peer = source("part")
    local there <close> = peer
    here:set_timeout(0.01, "read")
    local start = task.now()
    is_failure("ETIMEDOUT", "timeout", here:read_exactly(5))
    assert.is_true(task.now() - start >= 0.01)
    is_failure("ETIMEDOUT", "timeout", here:read_line())
    is_failure("ETIMEDOUT", "timeout", here:read_until(";"))
    is_failure("ETIMEDOUT", "timeout", here:read_all())
    is_failure("ETIMEDOUT", "timeout", here:read("a"))
    assert.equal("part", here:read_exactly(4))
    is_failure("ETIMEDOUT", "timeout", here:read_some())
    here:set_timeout(nil)
    local t = support.parked(task.spawn(function() return here:read_line() end))
    there:write("line\n")
    assert.equal("line", support.finish(t))
  end)

  it("of writes does not limit reads, and the other way round", function()
    local here <close>, peer = source("x")
    local there <close> = peer
    -- A socket may say for once that it is not ready, and with 0 nobody waits for it.
    here:set_timeout(0, "write")
    assert.is_true(support.eventually(function() return (here:write("s")) end))
    here:set_timeout(nil, "write")
    here:set_timeout(0, "read")
    assert.equal("x", support.eventually(function() return (here:read_some()) end))
    is_failure("ETIMEDOUT", "timeout", here:read_some())
  end)

  it("of a scope cuts a read, whose bytes stay", function()
    local here <close>, peer = source("ab")
    local there <close> = peer
    assert.equal("EDEADLINE", select(3, task.timeout(0.01, function() here:read_exactly(4) end)))
    there:write("cd")
    assert.equal("abcd", here:read_exactly(4))
  end)

  it("names the argument and the function when one is wrong", function()
    local here <close> = source()
    assert.matches("bad argument #1 to 'set_timeout'",
      support.message_of(function() here:set_timeout("x") end))
    assert.matches("bad argument #2 to 'set_timeout'",
      support.message_of(function() here:set_timeout(1, "x") end))
  end)
end)

describe("a second reader", function()
  it("gets EBUSY, and the first is unharmed", function()
    local here <close>, peer = source("some")
    local there <close> = peer
    local t = support.parked(task.spawn(function() return here:read_line() end))
    for _, read in ipairs { "read", "read_some", "read_line", "read_all" } do
      is_failure("EBUSY", "another task is reading", here[read](here))
    end
    is_failure("EBUSY", "another task is reading", here:read_exactly(1))
    is_failure("EBUSY", "another task is reading", here:read_until("x"))
    there:write("thing\n")
    assert.equal("something", support.finish(t))
    there:write("next\n")
    assert.equal("next", here:read_line())
  end)
end)

describe("many streams at once", function()
  it("never mix their bytes, whatever their readers wait for", function()
    local tasks = {}
    for i = 1, 60 do
      local here, there = support.pair()
      local text = ("stream %d;"):format(i)
      task.spawn(function()
        for _ = 1, 20 do
          there:write(text)
          task.yield()
        end
        there:close()
      end)
      tasks[i] = task.spawn(function()
        assert(here:read_exactly(3) == "str")
        assert(here:read_until(";") == text:sub(4))
        task.yield()
        local rest = {}
        for chunk in here:chunks() do rest[#rest + 1] = chunk end
        here:close()
        return table.concat(rest) == text:rep(19)
      end)
    end
    for _, t in ipairs(tasks) do assert.is_true(support.finish(t)) end
  end)
end)
