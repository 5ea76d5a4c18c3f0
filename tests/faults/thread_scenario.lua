-- Threads, for tests/faults/sweep.lua: whatever call fails, in the program or in a thread, each step works or raises an
-- error that says why. Exit status 3: something is left.

local channel = require "moonlet.channel"
local task = require "moonlet.task"
local test = require "moonlet.test"
local thread = require "moonlet.thread"

-- Want of memory or of a thread, here or there.
local step = dofile "tests/faults/step.lua" { raised = { "memory", "cannot start a thread", "closed" } }

local function everything()
  step("call", function() return thread.call(function(a, b) return a + b end, 1, 2) end)
  step("pool", function()
    local pool <close> = thread.pool { size = 1 }
    return pool:call("string.rep", "ab", 2)
  end)
  step("channel", function()
    local there <close> = thread.channel(1)
    local back <close> = thread.channel()
    local t = thread.spawn({ quiet = true }, function(from, to) to:put(from:get()) end, there, back)
    t:on_exit(function() back:close() end)
    there:put { there, back, "text" }
    channel.select { { back, "get" }, { t, "join" } }
    t:cancel()
    t:join()
    return true
  end)
end

local left = test.leaks()
step("warm", function() return thread.call("string.rep", "a", 1) end) -- what is kept to the end
everything()
dofile "tests/faults/end.lua"(left)
