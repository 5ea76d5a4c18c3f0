-- Files that are sent while the kernel does not have them in memory: a worker reads them.
local carriers = dofile "tests/spec/http/carriers.lua"
local fs = require "moonlet.fs"
local net = require "moonlet.net"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local it = support.limited(it)

describe("a file that is not in memory", function()
  local path

  -- Writes the file to the disk, and out of memory where the disk allows that (tmpfs does not, and is always asked
  -- by a worker).
  local function prepare(size)
    local body = {}
    for i = 1, size // 16 + 1 do body[i] = ("%015d\n"):format(i) end
    body = table.concat(body):sub(1, size)
    assert(fs.write(path, body, { sync = true }))
    return body
  end

  local function drop()
    os.execute(("dd of=%s oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null"):format(path))
  end

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  -- Asked whether it has the data, the kernel begins to read: a fast disk may be done before the answer.
  it("holds up no other task while it is sent, and arrives as it is, at all sizes and places", function()
    local sends, others_ran = 0, 0
    for _, size in ipairs { 1, 4096, 65535, 65536, 65537, 262144, 262145, 1000003 } do
      local body = prepare(size)
      for _, place in ipairs { { 0 }, { 0, size }, { size - 1 }, { size // 2, size } } do
        drop()
        local here <close>, there = net.pair()
        local ran, ended = false, false
        local reading = task.spawn(function() return here:read_all() end)
        local running = task.spawn(function() ran = not ended end)
        local ok, sent = there:sendfile(path, place[1], place[2])
        ended = true
        there:close()
        assert.is_true(ok)
        sends, others_ran = sends + 1, others_ran + (ran and 1 or 0)
        assert.equal(size - place[1], sent)
        assert.is_true(select(2, reading:join()) == body:sub(place[1] + 1))
        running:join()
      end
    end
    assert.is_true(others_ran > sends // 2, others_ran)
  end)

  it("may be empty, or end before", function()
    for _, size in ipairs { 0, 10, 70000 } do
      local body = prepare(size)
      drop()
      local here <close>, there = net.pair()
      local reading = task.spawn(function() return here:read_all() end)
      assert.same({ true, size }, { there:sendfile(path, 0, size + 300000) })
      assert.same({ true, 0 }, { there:sendfile(path, size) })
      assert.same({ true, 0 }, { there:sendfile(path, 0, 0) })
      there:close()
      assert.is_true(select(2, reading:join()) == body)
    end
  end)

  it("ends with the stream when the stream is closed meanwhile", function()
    for _, size in ipairs { 100, 300000 } do
      prepare(size)
      drop()
      local here <close>, there = net.pair()
      local sending = task.spawn(function() return there:sendfile(path) end)
      task.yield()
      there:close()
      local _, _, _, code = sending:join()
      assert.is_true(code == nil or code == "CLOSED")
      assert.truthy(here)
    end
  end)

  it("leaves no descriptor when the task is cancelled meanwhile", function()
    prepare(300000)
    for moment = 0, 3 do
      drop()
      local here <close>, there = net.pair()
      local sending = task.spawn(function() return there:sendfile(path) end)
      for _ = 1, moment do task.yield() end
      sending:cancel()
      pcall(sending.join, sending)
      there:close()
      assert.truthy(here)
    end
    -- A worker that still reads closes its descriptor when the disk has answered.
    local function is_open()
      local pipe <close> = assert(io.popen(("ls -l /proc/%d/fd | grep -c %s"):format(fs.readlink "/proc/self", path)))
      return pipe:read "n" > 0
    end
    while is_open() do task.sleep(.01) end
  end)

  carriers.each(it, "is an answer", function(ask)
    for _, size in ipairs { 100, 100000, 700000 } do
      local body = prepare(size)
      drop()
      local reply = assert(ask(function(_, res) return res:file(path, { type = "text/plain" }) end, {}))
      assert.equal(200, reply.status)
      assert.is_true(reply.body == body)
    end
  end)
end)
