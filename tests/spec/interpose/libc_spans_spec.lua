--- Time limits of C libraries near the largest number are the longest there are, and no limit that has passed.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local task, libc = require "moonlet.task", libc_support.libc

-- Seconds around what nanoseconds, microseconds and the kernel's ticks can count in 64 bits.
local LONG = { 1e9, 9.2e9, 9223372036, 9223372037, 2e10, 2.0 ^ 40, 2.0 ^ 53, 9.2e18 }

for _, seconds in ipairs(LONG) do
  describe(("a time limit of %.10g s"):format(seconds), function()
    it("of a socket lets recv wait for what comes", function()
      local ends <close> = libc_support.closing(libc.socketpair())
      libc.timeout(ends[1], seconds)
      local reader = support.parked(task.spawn(function() return libc.recv(ends[1], 1) end))
      task.sleep(0.001)
      assert.are.equal("waiting", reader:status())
      libc.write(ends[2], "x")
      assert.are.equal("x", support.finish(reader))
    end)

    it("lets a lock be awaited", function()
      local holder = support.parked(task.spawn(libc.with_mutex, false, function() task.sleep(libc_support.SOON) end))
      assert.are.equal("free", libc.timed_mutex(false, seconds / 2))
      support.finish(holder)
    end)

    it("lets select and nanosleep wait", function()
      local fds <close> = libc_support.pipe()
      local select = support.parked(task.spawn(libc.select, fds[1], nil, seconds))
      local nanosleep = support.parked(task.spawn(libc.nanosleep, seconds))
      task.sleep(0.001)
      for _, t in ipairs { select, nanosleep } do
        assert.are.equal("waiting", t:status())
        t:cancel()
        t:join()
      end
    end)
  end)
end
