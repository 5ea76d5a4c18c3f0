--- Descriptors that are closed and replaced without a call that is seen (syscall(), close_range, libc itself, other
-- threads): their numbers stand for something else then. What was remembered of a number must not cost a byte, give a
-- wrong error or make every task wait.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"

local libc, closing, beside, later = libc_support.libc, libc_support.closing, libc_support.beside, libc_support.later

-- The path of a file with that content, removed with the variable that the second result is in.
local function file_of(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text):close()
  return path, setmetatable({}, { __close = function() os.remove(path) end })
end

local path, _removed = file_of(("x"):rep(100))

-- The end `fd`, after a byte came through it from `other`, which is closed.
local function read_from(fd, other)
  libc.write(other, "x")
  assert.equal("x", libc.read(fd, 1))
  libc.close(other)
  return fd
end

-- The end `fd`, without blocking and after it had nothing twice; `other` is closed.
local function refused_by(fd, other)
  libc.nonblock(fd)
  for _ = 1, 2 do assert.same({ nil, "EAGAIN" }, { libc.read(fd, 1) }) end
  libc.close(other)
  return fd
end

-- What a number may have stood for before: each leaves a memory of it behind.
local before = {
  ["a file on a disk"] = function()
    local fd = libc.open(path)
    assert.equal(10, #libc.read(fd, 10))
    return fd
  end,
  ["a file on a disk, to its end"] = function()
    local fd = libc.open(path)
    assert.equal(100, #libc.read(fd, 1000))
    return fd
  end,
  ["a socket"] = function() return read_from(libc.socketpair()) end,
  ["a socket that does not block"] = function() return refused_by(libc.socketpair()) end,
  ["a pipe"] = function() return read_from(libc.pipe()) end,
  ["a pipe that does not block"] = function() return refused_by(libc.pipe()) end,
}

-- What it may stand for now: two ends, to read from and to write to.
local after = {
  pipe = function() return libc.pipe() end,
  socket = function() return libc.socketpair() end,
  ["socket for messages"] = function() return libc.socketpair(true) end,
  terminal = function()
    local main, side = libc.openpty()
    return side, main
  end,
}

-- How the number comes to it.
local ways = {
  ["closed by syscall()"] = function(fd, new)
    assert(libc.close_unseen(fd))
    return libc.dup_unseen(new, fd)
  end,
  ["closed by close_range"] = function(fd, new)
    assert(libc.close_range(fd, fd))
    return libc.dup_unseen(new, fd)
  end,
  ["replaced by syscall()"] = function(fd, new) return libc.dup_unseen(new, fd) end,
}

-- Descriptors fd, which was something else, and other, its peer.
local function replaced(was, way, becomes)
  local fd = before[was]()
  local new, other = after[becomes]()
  assert.equal(fd, ways[way](fd, new))
  libc.close(new)
  return closing(fd, other)
end

for was in pairs(before) do
  for way in pairs(ways) do
    for becomes in pairs(after) do
      local story = ("%s, %s, now a %s:"):format(was, way, becomes)

      describe("a number that was " .. story, function()
        -- libuv closes descriptors by syscall(): bytes of the number's next pipe were read and thrown away.
        it("a read gives what is there, and all of it", function()
          local ends <close> = replaced(was, way, becomes)
          for _ = 1, 3 do
            libc.write(ends[2], "PING\n")
            assert.equal("PING\n", (libc.read(ends[1], 100):gsub("\r", "")))
          end
        end)

        it("a read waits for its task alone", function()
          local ends <close> = replaced(was, way, becomes)
          later(libc.write, ends[2], "PING\n")
          assert.equal("PING\n", (beside(libc.read, ends[1], 100):gsub("\r", "")))
        end)

        it("a write waits for its task alone", function()
          if becomes == "terminal" then return end
          local ends <close> = replaced(was, way, becomes)
          local size = becomes == "socket for messages" and 1000 or #libc_support.BIG
          local text, got = libc_support.BIG:sub(1, size), 0
          local count = becomes == "socket for messages" and 2000 or 1
          if becomes == "pipe" then -- its other end is the one that writes
            local fd = before[was]()
            local reading, writing = libc.pipe()
            assert.equal(fd, ways[way](fd, writing))
            libc.close(writing)
            ends[#ends + 1], ends[#ends + 2] = fd, reading
          end
          local from, to = ends[#ends - 1], ends[#ends]
          later(function()
            while got < size * count do got = got + #assert(libc.read(to, 65536)) end
          end)
          beside(function()
            for _ = 1, count do assert.equal(size, libc.write(from, text)) end
          end)
          support.eventually(function() return got == size * count end)
        end)
      end)
    end
  end

  it("a number that was " .. was .. " and is a file now is read to the end of the file", function()
    local text = ("0123456789"):rep(1000)
    local big, _gone <close> = file_of(text)
    local fd, new = before[was](), libc.open(big)
    local ends <close> = closing(fd)
    libc.dup_unseen(new, fd)
    libc.close(new)
    assert.equal(text, libc.read(fd, #text + 10))
    assert.equal("", libc.read(fd, 10))
    assert.equal(#text, libc.write(fd, text))
  end)
end

describe("a pipe of io.popen whose number was a file's", function()
  -- It made every task wait, and no time limit cut it short.
  it("is read while others run, and cut short by a time limit", function()
    local fd = before["a file on a disk"]()
    libc.close_unseen(fd)
    local pipe <close> = io.popen(libc_support.command_later "echo done")
    assert.equal("done", beside(pipe.read, pipe))
    local again = before["a file on a disk"]()
    libc.close_unseen(again)
    local name = libc_support.fifo()
    local never <close> = io.popen("cat " .. name)
    support.is_failure("EDEADLINE", nil, task.timeout(0.02, never.read, never))
    io.open(name, "w"):close() -- the child ends
    os.remove(name)
  end)
end)

describe("a call that waits for a descriptor", function()
  -- The number's next file was read by whoever had waited for the one before.
  it("ends with EBADF when another file got the number unseen", function()
    local fd, writing = libc.pipe()
    local new, other = libc.pipe()
    local ends <close> = closing(fd, writing, new, other)
    local reader = support.parked(task.spawn(libc.read, fd, 8))
    libc.dup_unseen(new, fd)
    libc.write(other, "others'")
    local second = task.spawn(libc.read, fd, 8)
    assert.same({ true, "others'" }, { second:join(support.patience) })
    libc.write(other, "more")
    support.eventually(function() return reader:status() == "done" end)
    assert.same({ true, nil, "EBADF", n = 3 }, table.pack(reader:join()))
    assert.equal("more", libc.read(fd, 8))
  end)
end)
