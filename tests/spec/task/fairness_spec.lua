--- A task whose input is there whenever it looks, or whose peer takes whatever it gives, never has to wait: the others
-- run all the same. What is read was there before, so a task that did not share would be done before any other ran.

local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local support = dofile "tests/spec/support.lua"
local libc = libc_support.libc
local net = require "moonlet.net"
local task = require "moonlet.task"

local PATIENCE = support.patience
local POLLIN = 1
local OPERATIONS = 1000 -- more than a slice, fewer than a socket has room for

local turns_beside = support.turns_beside

after_each(support.clean)

local function shares(fn, least) assert.is_true(turns_beside(fn) >= (least or 3)) end

--- A connection in whose kernel buffer that text is.
local function filled(text)
  local here, there = support.pair()
  assert(there:write(text))
  return here, there
end

describe("a stream with input", function()
  local READS = {
    read_line = function(conn) for _ = 1, OPERATIONS do assert.equal("x", conn:read_line()) end end,
    read_some = function(conn) for _ = 1, OPERATIONS do assert.equal(1, #conn:read_some(1)) end end,
    read_exactly = function(conn) for _ = 1, OPERATIONS do assert.equal(2, #conn:read_exactly(2)) end end,
    read_until = function(conn) for _ = 1, OPERATIONS do assert.equal("x\n", conn:read_until("\n")) end end,
    read = function(conn) for _ = 1, OPERATIONS do assert.equal("x", conn:read("l")) end end,
    lines = function(conn)
      local count = 0
      for _ in conn:lines() do
        count = count + 1
        if count == OPERATIONS then return end
      end
    end,
  }

  for name, read in pairs(READS) do
    it("lets others run: " .. name, function()
      local conn <close>, there = filled(("x\n"):rep(OPERATIONS))
      local _ <close> = there
      shares(function() read(conn) end)
    end)
  end

  it("is closed by one of the others between two reads: the next one says so", function()
    local conn <close>, there = filled(("x\n"):rep(OPERATIONS))
    local _ <close> = there
    task.spawn(function() conn:close() end)
    local count, line, message, code = 0
    repeat
      count = count + 1
      line, message, code = conn:read_line()
    until not line
    assert.is_true(count < OPERATIONS)
    assert.equal("CLOSED", code, message)
  end)

  it("lets nobody run with a timeout of 0", function()
    local conn <close>, there = filled(("x\n"):rep(OPERATIONS))
    local _ <close> = there
    conn:set_timeout(0)
    assert.equal(0, turns_beside(function()
      for _ = 1, OPERATIONS do assert.equal("x", conn:read_line()) end
    end))
  end)

  it("loses nothing when the task is cancelled between two reads", function()
    local conn <close>, there = filled(("x\n"):rep(OPERATIONS))
    local _ <close> = there
    local read = 0
    local reader = task.spawn(function()
      while conn:read_line() do read = read + 1 end
    end)
    task.yield()
    assert.is_true(read > 0 and read < OPERATIONS)
    reader:cancel()
    reader:join(PATIENCE)
    for _ = read + 1, OPERATIONS do assert.equal("x", conn:read_line()) end
  end)
end)

describe("a stream with room", function()
  it("lets others run", function()
    local conn <close>, there = support.pair()
    local _ <close> = there
    shares(function() for _ = 1, OPERATIONS do assert(conn:write("x")) end end)
  end)

  it("lets others run while files are sent", function()
    local conn <close>, there = support.pair()
    local _ <close> = there
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w+"))
    os.remove(name)
    file:write("x")
    file:flush()
    shares(function() for _ = 1, OPERATIONS do assert(conn:sendfile(file, 0, 1)) end end)
  end)
end)

describe("a datagram socket", function()
  it("lets others run while it sends", function()
    local socket <close> = assert(net.udp { host = "127.0.0.1" })
    shares(function() for _ = 1, OPERATIONS do socket:send_to("x", socket:address()) end end)
  end)
end)

describe("a C library's call on a descriptor that is ready", function()
  local function repeated(call, count)
    return function() for _ = 1, count or OPERATIONS do call() end end
  end

  it("lets others run: read of a pipe, whose calls wait", function()
    local ends <close> = libc_support.pipe()
    libc.write(ends[2], ("x"):rep(OPERATIONS))
    shares(repeated(function() assert.equal("x", libc.read(ends[1], 1)) end))
  end)

  it("lets others run: recv, send", function()
    local ends <close> = libc_support.closing(libc.socketpair())
    libc.write(ends[2], ("x"):rep(OPERATIONS))
    shares(repeated(function() assert.equal("x", libc.recv(ends[1], 1)) end))
    -- A socket in the Unix domain has room for 278 messages.
    shares(repeated(function() assert.equal(1, libc.send(ends[1], "x")) end, 250), 1)
  end)

  it("lets others run: poll", function()
    local ends <close> = libc_support.pipe()
    libc.write(ends[2], "x")
    shares(repeated(function() assert.equal(1, (libc.poll({ { ends[1], POLLIN } }, -1))) end))
  end)

  it("lets others run once the C function has returned, where calls do not wait", function()
    local ends <close> = libc_support.closing(libc.socketpair())
    libc.nonblock(ends[1])
    libc.write(ends[2], ("x"):rep(OPERATIONS))
    shares(repeated(function() assert.equal("x", libc.recv(ends[1], 1)) end))
  end)

  it("lets others run once the C function has returned, where the call never waits", function()
    local ends <close> = libc_support.pipe()
    local sender = task.spawn(function() libc.write(ends[2], "x") end)
    local count, ready = 0
    repeat
      count = count + 1
      ready = libc.poll({ { ends[1], POLLIN } }, 0)
    until ready == 1 or count == 100 * OPERATIONS
    assert.equal(1, ready)
    support.finish(sender)
  end)

  it("lets nobody run before it has", function()
    local ends <close> = libc_support.closing(libc.socketpair())
    libc.nonblock(ends[1])
    libc.write(ends[2], ("x"):rep(OPERATIONS))
    assert.equal(1, turns_beside(function() assert.equal(OPERATIONS, libc.recv_each(ends[1], OPERATIONS)) end))
  end)

  it("can be cancelled, whether it waits or not", function()
    for _, blocks in ipairs { true, false } do
      local ends <close> = libc_support.closing(libc.socketpair())
      if not blocks then libc.nonblock(ends[1]) end
      libc.write(ends[2], "x")
      local count = 0
      local hog = task.spawn(function()
        while true do
          libc.recv(ends[1], 1)
          libc.send(ends[2], "x")
          count = count + 1
        end
      end)
      support.eventually(function() return count > 0 end)
      hog:cancel()
      hog:join(PATIENCE)
      assert.equal("cancelled", hog:status())
    end
  end)
end)

describe("input of io", function()
  it("lets others run, however fast it comes", function()
    local pipe <close> = assert(io.popen("yes | head -n 300000"))
    local count = 0
    shares(function() for _ in pipe:lines() do count = count + 1 end end)
    assert.equal(300000, count)
  end)
end)

describe("a cancelled task", function()
  it("that takes no notice lets others run", function()
    local ends = false
    local hog = task.spawn({ quiet = true }, function()
      while not ends do task.pcall(task.sleep, 1) end
    end)
    task.yield()
    hog:cancel()
    task.yield()
    task.yield()
    assert.equal("ready", hog:status())
    ends = true
    hog:join(PATIENCE)
  end)

  it("that takes no notice does not keep the program from its end", function()
    local start = os.time()
    local output, status = support.run([[
      local task = require "moonlet.task"
      task.spawn(function() while true do task.pcall(task.sleep, 1) end end)
      task.yield()
      os.exit(5, true)
    ]])
    assert.equal(5, status)
    assert.matches("task #2, spawned at script:2, did not end within 5 s", output)
    assert.is_true(os.time() - start < support.patience)
  end)

  it("whose clean-up spawns another of its kind does neither", function()
    local output, status = support.run([[
      local task = require "moonlet.task"
      local function again() task.spawn({ daemon = true }, task.sleep, 100):on_exit(again) end
      again()
      task.yield()
    ]])
    assert.equal(1, status)
    assert.matches("did not end within 5 s", output)
  end)
end)
