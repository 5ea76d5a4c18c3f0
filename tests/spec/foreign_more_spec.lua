--- Odd uses of libc's calls: what a task sees is what libc does, to the letter.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local patch = require "moonlet.patch"
package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local edges = require "edges"
local libc = require "libc"

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
  connect_again = "a second connect did not wait for what the first had begun",
  select_beyond_sets = "select(getdtablesize(), ...) read and wrote behind the sets",
  odd_times = "pselect took a billion nanoseconds",
  no_pointers = "NULL for a time or for pieces ended the process instead of EFAULT",
  look_after_drought = "a look without a wait was not taken when the call before had found nothing",
  vfork_waits = "a child of vfork that waited ran its parent's tasks",
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
