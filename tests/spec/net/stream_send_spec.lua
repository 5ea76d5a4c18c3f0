-- moonlet.net, streams: sendfile, lists of thousands of pieces, finish, options of the socket.

local support = dofile("tests/spec/support.lua")
local fs = require "moonlet.fs"
local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"
local it = support.limited(it)
local is_failure = support.is_failure

--- A file with that content; the caller removes it.
local function file_with(content)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(content))
  file:close()
  return path
end

local KINDS = { ["over TCP"] = support.pair, ["over a Unix-domain socket"] = net.pair,
  ["through memory"] = net.memory_pair }

for kind, pair in pairs(KINDS) do
  describe("stream:sendfile " .. kind, function()
    local path, content

    setup(function()
      content = {}
      for i = 1, 40000 do content[i] = ("%07d\n"):format(i) end
      content = table.concat(content)
      path = file_with(content)
    end)
    teardown(function() os.remove(path) end)

    --- Sends with the arguments behind `from`; what arrived, and what sendfile returned.
    local function send(...)
      local a, other = pair()
      local b <close> = other
      local arguments = table.pack(...)
      local sender = task.spawn(function()
        local results = table.pack(a:sendfile(table.unpack(arguments, 1, arguments.n)))
        a:close()
        return results
      end)
      local got = b:read_all()
      return got, support.finish(sender)
    end

    it("sends an open file of moonlet.fs from its position, which moves on, or from an offset", function()
      local file <close> = assert(fs.open(path))
      assert.equal(content:sub(1, 3), file:read(3)) -- and reads ahead
      local got, results = send(file, nil, 7)
      assert.equal(content:sub(4, 10), got)
      assert.same({ true, 7, n = 2 }, results)
      assert.equal(10, file:seek())
      assert.equal(content:sub(1, 5), (send(file, 0, 5)))
      assert.equal(10, file:seek())
      assert.equal(content:sub(11, 12), file:read(2))
      got, results = send(file)
      assert.is_true(got == content:sub(13))
      assert.same({ true, #content - 12, n = 2 }, results)
      assert.equal(#content, file:seek())
      assert.is_nil(file:read(1))
    end)

    it("refuses files of moonlet.fs that are closed, cannot be read, or have no positions", function()
      local file = assert(fs.open(path))
      file:close()
      assert.matches("bad argument #1 to 'sendfile' %(attempt to use a closed file%)",
        support.message_of(function()
          local a <close> = pair()
          a:sendfile(file)
        end))
      local writer <close> = assert(fs.open(path, "r+"))
      local appender <close> = assert(fs.open(path, "a"))
      assert.equal("", (send(writer, 0, 0)))
      local _, results = send(appender, 0, 10)
      assert.equal("EBADF", results[3])
      local terminal = fs.open "/dev/ptmx"
      if terminal then
        _, results = send(terminal)
        assert.equal("ESPIPE", results[3])
        terminal:close()
      end
    end)

    it("sends a file by its path, all or a part of it", function()
      local got, results = send(path)
      assert.is_true(got == content)
      assert.same({ true, #content, n = 2 }, results)
      local size = #content
      for _, part in ipairs { { 0, 10 }, { 100, 5 }, { size - 3 }, { size - 3, 100 }, { size + 5 }, { 7, 0 },
        { nil, 12 } } do
        got, results = send(path, part[1], part[2])
        local first = (part[1] or 0) + 1
        local expected = content:sub(first, part[2] and first + part[2] - 1)
        assert.equal(expected, got)
        assert.same({ true, #expected, n = 2 }, results)
      end
    end)

    it("sends one of io's files from its position, which moves on", function()
      local file <close> = assert(io.open(path, "rb"))
      assert.equal("0000001", file:read("l"))
      assert.equal("0000002\n", (send(file, nil, 8)))
      assert.equal("0000003", file:read("l"))
      assert.equal("0000001\n", (send(file, 0, 8)))
      assert.equal("0000004", file:read("l"))
      local got, results = send(file)
      assert.equal(#content - 32, results[2])
      assert.is_true(got == content:sub(33))
      assert.is_nil(file:read(1))
    end)

    it("sends what was written to the file just before", function()
      local file <close> = io.tmpfile()
      file:write("not yet in the file")
      file:seek("set", 4)
      assert.equal("yet in the file", (send(file)))
      file:write("!")
      file:seek("set", 16)
      assert.equal("ile!", (send(file)))
    end)

    it("that was cut short tells how much was sent, and breaks the write side", function()
      local a <close>, other = pair()
      local b <close> = other
      local large = file_with(("x"):rep(32 * 1024 * 1024))
      local file <close> = assert(io.open(large, "rb"))
      os.remove(large)
      a:set_timeout(0.01)
      local ok, message, code, sent = a:sendfile(file)
      assert.same({ nil, "timeout", "ETIMEDOUT" }, { ok, message, code })
      assert.is_true(sent > 0 and sent < 32 * 1024 * 1024)
      assert.equal(sent, file:seek())
      is_failure("EPIPE", nil, a:sendfile(path))
      assert.equal("x", b:read_exactly(1))
    end)

    it("to a peer that is gone is a failure, never a signal", function()
      local output, status = support.run(([[
        local task, net = require "moonlet.task", require "moonlet.net"
        local listener = net.listen("127.0.0.1", 0)
        local a, b
        if %q == "over TCP" then
          a, b = net.connect(listener:address()), listener:accept()
        else
          a, b = net.pair()
        end
        b:close()
        local code
        for _ = 1, 1000 do
          local _, _, c = a:sendfile(%q, 0, 10)
          code = c or code
          task.yield()
        end
        print(code)
      ]]):format(kind, path))
      assert.same({ "EPIPE\n", 0 }, { output, status })
    end)

    it("returns what is wrong with the file, and sends nothing", function()
      local a <close>, other = pair()
      local b <close> = other
      local pipe <close> = io.popen("echo x")
      local closed = io.tmpfile()
      closed:close()
      local function fails(code, message, ...)
        local results = table.pack(a:sendfile(...))
        is_failure(code, message, table.unpack(results, 1, 3))
        assert.equal(0, results[4])
      end
      fails("ENOENT", "/no/such/file: No such file", "/no/such/file")
      fails("EISDIR", nil, "/")
      fails("ESPIPE", nil, pipe)
      assert.matches("bad argument #1 to 'sendfile' %(attempt to use a closed file%)",
        support.message_of(function() a:sendfile(closed) end))
      for i, arguments in ipairs { { {} }, { path, -1 }, { path, 0, "x" } } do
        assert.matches(("bad argument #%d to 'sendfile'"):format(i),
          support.message_of(function() a:sendfile(table.unpack(arguments)) end))
      end
      assert.is_true(a:write("still fine"))
      assert.equal("still fine", b:read_exactly(10))
    end)

    it("leaves no descriptor behind, whatever happens", function()
      local left = test.leaks()
      do
        local a <close>, other = pair()
        local _ <close> = other
        a:sendfile(path, 0, 100)
        a:sendfile("/")
        local sender = task.spawn({ quiet = true }, function() return a:sendfile("/dev/zero") end)
        test.wait_idle()
        sender:cancel()
        sender:join(support.patience)
        a:sendfile(path)
      end
      assert.same({}, left())
    end)
  end)
end

-- Without TCP, whose buffers take megabytes.
for kind, pair in pairs { ["over a Unix-domain socket"] = net.pair, ["through memory"] = net.memory_pair } do
  describe("stream:sendfile to a slow peer " .. kind, function()
    it("is contiguous among writers, and a peer may be slow", function()
      local a <close>, other = pair()
      local b <close> = other
      local size = 400000
      local content = ("0123456789abcdef"):rep(20000)
      local path = file_with(content)
      local first = task.spawn(function() return a:write(("x"):rep(size)) end)
      local second = task.spawn(function() return a:sendfile(path) end)
      local third = task.spawn(function() return a:write("the end") end)
      test.wait_idle()
      assert.equal(size, #b:read_exactly(size))
      assert.is_true(b:read_exactly(#content) == content)
      assert.equal("the end", b:read_exactly(7))
      os.remove(path)
      for _, t in ipairs { first, second, third } do assert.is_true((support.finish(t))) end
    end)

    it("goes on when the script closes the file meanwhile", function()
      local a, other = pair()
      local b <close> = other
      a:set_timeout(support.patience)
      local data = ("0123456789abcdef"):rep(50000)
      local large = file_with(data)
      local file = assert(io.open(large, "rb"))
      os.remove(large)
      local sender = support.parked(task.spawn(function()
        local results = table.pack(a:sendfile(file))
        a:close()
        return results
      end))
      file:close()
      assert.is_true(b:read_all() == data)
      assert.same({ true, #data, n = 2 }, support.finish(sender))
    end)
  end)
end

describe("stream:write of a list", function()
  for kind, pair in pairs(KINDS) do
    it("of thousands of pieces sends them all in order, " .. kind, function()
      local a <close>, other = pair()
      local b <close> = other
      local pieces, expected = {}, {}
      for i = 1, 20000 do
        pieces[i] = i % 3 == 0 and i or i % 3 == 1 and i + 0.5 or ("-"):rep(i % 50)
        expected[i] = tostring(pieces[i])
      end
      expected = table.concat(expected)
      local writer = task.spawn(function() return a:write("<", pieces, ">", { "!" }) end)
      assert.is_true(b:read_exactly(#expected + 3) == "<" .. expected .. ">!")
      assert.is_true(support.finish(writer))
      assert.equal("number", type(pieces[3]))
    end)
  end

  it("sends what was in the list when it was called", function()
    local a <close>, other = net.memory_pair { capacity = 1 }
    local b <close> = other
    local list = {}
    for i = 1, 1000 do list[i] = ("piece %d,"):format(i) end
    local expected = table.concat(list)
    local writer = support.parked(task.spawn(function() return a:write(list) end))
    for i = 1, 1000 do list[i] = nil end
    collectgarbage()
    collectgarbage()
    assert.equal(expected, b:read_exactly(#expected))
    assert.is_true(support.finish(writer))
  end)

  it("asks a list with metamethods for its elements", function()
    local a <close>, other = net.pair()
    local b <close> = other
    local list = setmetatable({}, { __len = function() return 3 end,
      __index = function(_, i)
        task.yield()
        return i .. ";"
      end })
    assert.is_true(a:write(list, "."))
    assert.equal("1;2;3;.", b:read_exactly(7))
  end)

  it("names the element that is wrong, and sends nothing", function()
    local a <close>, other = net.pair()
    local b <close> = other
    assert.matches("bad argument #2 to 'write' (element 3 of the list is a nil)",
      support.message_of(function() a:write("x", setmetatable({ "a", "b" }, { __len = function() return 3 end })) end),
      1, true)
    a:write("ok")
    assert.equal("ok", b:read_exactly(2))
  end)
end)

describe("stream:peek", function()
  it("returns the next bytes, which stay", function()
    local a <close>, other = net.memory_pair()
    local b <close> = other
    a:write("abcdef")
    assert.equal("a", b:peek())
    assert.equal("abc", b:peek(3))
    assert.equal("ab", b:read_exactly(2))
    assert.equal("cdef", b:peek(4))
    assert.equal("cdef", b:read_exactly(4))
  end)

  it("waits for all of them, and has fewer only at the end", function()
    local a <close>, other = net.memory_pair()
    local b <close> = other
    local reader = task.spawn(function() return b:peek(4) end)
    a:write("ab")
    support.parked(reader)
    a:write("cdef")
    assert.equal("abcd", support.finish(reader))
    a:shutdown()
    assert.equal("abcdef", b:peek(100))
    assert.equal("abcdef", b:read_all())
    assert.same({ n = 1 }, table.pack(b:peek()))
  end)

  it("names the argument when it is wrong", function()
    local a <close> = net.memory_pair()
    for _, size in ipairs { 0, -1, 1.5, "x" } do
      assert.matches("bad argument #1 to 'peek'", support.message_of(function() a:peek(size) end))
    end
  end)
end)

describe("stream:finish", function()
  it("lets the peer have everything that was written, though it wrote on itself", function()
    for _ = 1, 20 do
      local a, other = support.pair()
      local b <close> = other
      local answer = ("answer "):rep(20000)
      local server = task.spawn(function()
        assert(a:write(answer))
        return a:finish(support.patience)
      end)
      b:write(("nobody reads this "):rep(1000))
      assert.equal(#answer, #b:read_all())
      b:close()
      assert.is_true(support.finish(server))
      assert.equal("net.stream (closed)", tostring(a))
    end
  end)

  it("returns once the peer has ended, too, and closes", function()
    local _ <close> = test.virtual_clock()
    local a, other = net.memory_pair()
    local b <close> = other
    local finisher = task.spawn(function() return a:finish(10) end)
    assert.equal("", b:read_all())
    task.sleep(3)
    assert.equal("waiting", finisher:status())
    b:write("dropped")
    b:shutdown()
    assert.is_true(support.finish(finisher))
    assert.equal("net.stream (closed)", tostring(a))
  end)

  it("gives up after its seconds, exactly, and closes all the same", function()
    local _ <close> = test.virtual_clock()
    local a, other = net.memory_pair()
    local b <close> = other
    local writer = task.spawn(function()
      while b:write("tick ") do task.sleep(0.3) end
    end)
    local start = task.now()
    is_failure("ETIMEDOUT", "timeout", a:finish(2))
    assert.is_true(math.abs(task.now() - start - 2) < 1e-6)
    assert.equal("net.stream (closed)", tostring(a))
    support.finish(writer)
  end)

  it("gives up on a peer that never stops sending", function()
    local a, other = net.pair()
    local b <close> = other
    task.spawn(function() repeat until not b:write(("x"):rep(5000)) end)
    is_failure("EMSGSIZE", "does not stop", a:finish(support.patience, 100000))
    assert.equal("net.stream (closed)", tostring(a))
  end)

  it("waits for the writers before it", function()
    local a, other = net.memory_pair { capacity = 10 }
    local b <close> = other
    local writer = support.parked(task.spawn(function() return a:write(("x"):rep(100)) end))
    local finisher = support.parked(task.spawn(function() return a:finish(support.patience) end))
    assert.equal(100, #b:read_all())
    b:close()
    assert.is_true(support.finish(writer))
    assert.is_true(support.finish(finisher))
  end)

  it("returns what happened to the connection", function()
    local a = net.memory_pair { reset_after = 0 }
    is_failure("ECONNRESET", nil, a:finish(1))
    assert.equal("net.stream (closed)", tostring(a))
    is_failure("CLOSED", "closed", a:finish(1))
  end)

  it("closes when it is cancelled", function()
    local a, other = net.pair()
    local b <close> = other
    local finisher = support.parked(task.spawn({ quiet = true }, function() return a:finish() end))
    finisher:cancel()
    finisher:join(support.patience)
    assert.equal("net.stream (closed)", tostring(a))
    assert.is_nil(b:read_some())
  end)
end)

describe("stream:set_nodelay and set_keepalive", function()
  it("work on TCP", function()
    local a <close>, other = support.pair()
    local _ <close> = other
    assert.is_true(a:set_nodelay(false))
    assert.is_true(a:set_nodelay(true))
    assert.is_true(a:set_nodelay())
    assert.is_true(a:set_keepalive())
    assert.is_true(a:set_keepalive(60))
    assert.is_true(a:set_keepalive(0.5, 10, 3))
    assert.is_true(a:set_keepalive(true, nil, 3))
    assert.is_true(a:set_keepalive(false))
    is_failure("EINVAL", nil, a:set_keepalive(1e6))
    a:close()
    is_failure("CLOSED", "closed", a:set_nodelay())
    is_failure("CLOSED", "closed", a:set_keepalive())
  end)

  it("say so where there is no TCP", function()
    local a <close>, other = net.pair()
    local _ <close> = other
    is_failure("EOPNOTSUPP", nil, a:set_nodelay())
    is_failure("EOPNOTSUPP", nil, a:set_keepalive(1))
  end)

  it("name the argument when it is wrong", function()
    local a <close> = net.pair()
    for i, arguments in ipairs { { "x" }, { 1, -1 }, { 1, 1, 0 } } do
      assert.matches(("bad argument #%d to 'set_keepalive'"):format(i),
        support.message_of(function() a:set_keepalive(table.unpack(arguments)) end))
    end
  end)
end)
