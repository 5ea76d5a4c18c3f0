--- Odd uses of libc's calls: what a task sees is what libc does, to the letter.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local patch = require "moonlet.patch"
local edges = require "edges"

local libc, fifo = libc_support.libc, libc_support.fifo

-- The story of each scene: what was wrong.
local scenes = {
  waitall_datagrams = "recv with MSG_WAITALL joined datagrams, and waited for ever after the last",
  waitall_packets = "the same with SOCK_SEQPACKET",
  waitall_peek = "looking at bytes takes none",
  waitall_peek_end = "and ends with the stream",
  waitall_recvfrom = "recvfrom with MSG_WAITALL and room for an address gave the first part alone",
  waitall_recvmsg = "and so did recvmsg",
  recvmmsg_all = "recvmmsg gave the first message alone, without MSG_WAITFORONE, too",
  recvmmsg_one = "which asks for that",
  recvmmsg_timed = "a time limit is looked at between messages",
  read_nothing = "reading nothing from a socket waited for something, and threw a datagram away",
  write_nothing = "writing pieces of nothing sent an empty datagram",
  sendto_stream = "sendto with an address gave a part of what a stream was to take",
  eventfd_words = "an eventfd was given all words that were offered, one by one",
  connect_again = "a second connect did not wait for what the first had begun",
  select_beyond_sets = "select(getdtablesize(), ...) read and wrote behind the sets",
  odd_times = "pselect took a billion nanoseconds",
  no_pointers = "NULL for a time or for pieces ended the process instead of EFAULT",
  look_after_drought = "a look without a wait was not taken when the call before had found nothing",
  vfork_waits = "a child of vfork that waited ran its parent's tasks",
  fgets_at_end = "fgets at the end of a file wrote into the buffer",
  end_stays = "the end of a file is told until it is cleared; there the task waited for more",
  wrong_way = "reading from a file that is only written waited for ever",
  refused = "what /dev/full had refused was tried again by fclose",
  both_ways = "a file for both ways gave back as input what it had sent",
  results_of_printing = "puts returned 1",
}

-- A task that runs all the time, and in what processes it did.
local function run_meanwhile()
  local seen = {}
  local busy = task.spawn({ daemon = true }, function()
    while true do
      seen[libc.getpid()] = true
      task.yield()
    end
  end)
  task.yield()
  return setmetatable({ pids = seen }, { __close = function() busy:cancel() end })
end

describe("A task sees what libc's caller sees:", function()
  for name, story in pairs(scenes) do
    it(("%s (%s)"):format(name, story), function()
      patch.disable()
      local expected = edges[name]()
      patch.enable()
      local meanwhile <close> = run_meanwhile()
      assert.equal(expected, edges[name]())
      assert.same({ [libc.getpid()] = true }, meanwhile.pids)
    end)
  end
end)

describe("A buffered file", function()
  local function pieces(count)
    local list = {}
    for i = 1, count do list[i] = ("%05d"):format(i) end
    return list
  end

  -- fflush(NULL), which io.popen calls, sent what the task that waited was sending, and waited on the thread.
  it("that waits for room is not flushed by others", function()
    local name = os.tmpname()
    local go = os.tmpname()
    os.remove(go)
    local file = io.popen(("while [ ! -e %s ]; do sleep 0.01; done; cat > %s"):format(go, name), "w")
    local list = pieces(40000)
    local writer = support.parked(task.spawn(function()
      for _, piece in ipairs(list) do assert(file:write(piece)) end
      assert(file:close())
    end))
    local child = assert(io.popen("echo said"))
    assert.equal("said", child:read("a"):match "%w+")
    child:close()
    io.open(go, "w"):close()
    assert(writer:join())
    local copy <close> = assert(io.open(name))
    assert.equal(table.concat(list), copy:read "a")
    os.remove(name)
    os.remove(go)
  end)

  it("that cannot be flushed now is waited for by io.popen, while others work", function()
    local go = os.tmpname()
    os.remove(go)
    local file <close> = io.popen(("while [ ! -e %s ]; do sleep 0.01; done; cat > /dev/null"):format(go), "w")
    for _ = 1, 66 do file:write(("x"):rep(1000)) end -- the buffer's 16th 4000 fill the pipe's pages, 2000 stay
    local ticks, opener = 0, task.spawn(function() return io.popen("true"):close() end)
    for _ = 1, 5 do
      task.sleep(0.002)
      ticks = ticks + 1
    end
    assert.equal("waiting", opener:status())
    io.open(go, "w"):close()
    assert(opener:join())
    assert.equal(5, ticks)
    os.remove(go)
  end)

  -- It was freed below the reader.
  it("that is closed while another task reads it turns that one away", function()
    for _, format in ipairs { "l", "a", "n", 5 } do
      local file = assert(io.popen("echo $$; exec sleep 100"))
      local pid = file:read("n", "L")
      local reader = support.parked(task.spawn(function() return file:read(format) end))
      libc.kill(pid, 9)
      file:close()
      assert(reader:join())
    end
    for _, format in ipairs { "l", "a", "n", 5 } do
      local name = fifo()
      local file = assert(io.open(name, "r+"))
      local reader = support.parked(task.spawn(function() return file:read(format) end))
      assert.is_true(file:close())
      assert.equal("done", reader:status())
      local _, _, text, number = reader:join()
      if format ~= "a" then assert.same({ "Bad file descriptor", 9 }, { text, number }) end
      os.remove(name)
    end
  end)

  -- The flush was cancelled; fclose tried again and made the thread wait.
  it("whose task is cancelled is closed at once, though nobody reads", function()
    local name = fifo()
    local other <close> = assert(io.open(name, "r+"))
    local file = assert(io.open(name, "w"))
    local writer = support.parked(task.spawn({ quiet = true }, function()
      local closing <close> = file
      for _ = 1, 100 do file:write(("x"):rep(1000)) end
    end))
    writer:cancel()
    writer:join()
    assert.equal("closed file", io.type(file))
    assert.equal(1000, #other:read(1000))
    os.remove(name)
  end)
end)
