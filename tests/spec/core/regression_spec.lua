-- Cases that were found by reading the code: each opens with its story.
local task = require "moonlet.task"
local net = require "moonlet.net"
local test = require "moonlet.test"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local function pair()
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local client
  local connecting = task.spawn(function() client = assert(net.connect(listener:address())) end)
  local server = assert(listener:accept())
  assert(connecting:join())
  return server, client
end

describe("task.spawn", function()
  -- A finalizer that ran in the middle of a spawn took the slot that was meant for the task.
  it("may be called by finalizers that run in the middle of a spawn", function()
    local ended, spawned = 0, 0
    local function count() ended = ended + 1 end
    for _ = 1, 5000 do
      setmetatable({}, {__gc = function() spawned = spawned + 1; task.spawn(count) end})
      task.spawn(function() task.yield(); assert(task.current():status() == "running") end)
    end
    collectgarbage()
    collectgarbage()
    support.eventually(function() return ended == spawned and ended > 0 end)
  end)
end)

describe("stream:read of several formats", function()
  -- The second reader, refused, gave back what the first one held.
  it("is unharmed by a second reader that is refused", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local first = task.spawn(function() return here:read(5, 5) end)
    there:write "hello"
    test.wait_idle()
    assert.same({nil, "EBUSY"}, {(here:read(1)), (select(3, here:read(1)))})
    there:write "world"
    assert.same({true, "hello", "world"}, {first:join()})
  end)

  -- What the first format held was discarded by the next read of another kind.
  it("loses nothing when a cancellation cuts it", function()
    local here <close>, peer = pair()
    local there <close> = peer
    there:write "hello"
    assert.equal("EDEADLINE", (select(3, task.timeout(0.05, function() return here:read(5, "l") end))))
    there:write "world\n"
    assert.equal("helloworld", here:read_line())
  end)
end)

describe("net.connect", function()
  -- A fourth argument was taken for the value of the option.
  it("finds its option 'bind' whatever follows the options", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local connecting = task.spawn(function()
      local conn <close> = assert(net.connect("127.0.0.1", listener:address().port,
        {bind = "127.0.0.2"}, nil))
      return conn:address().host
    end)
    local accepted <close> = assert(listener:accept())
    assert.equal("127.0.0.2", accepted:peer().host)
    assert.same({true, "127.0.0.2"}, {connecting:join()})
  end)
end)

describe("the end of the program", function()
  -- The finalizer was abandoned, and the collector stayed off.
  it("may be asked for in a finalizer", function()
    local output, status = support.run [[
      local task = require "moonlet.task"
      task.spawn(function()
        local guard <close> = setmetatable({}, {__close = function() print "unwound" end})
        task.sleep(100)
      end)
      task.yield()
      setmetatable({}, {__gc = function() os.exit(3, true) end})
      collectgarbage()
      task.sleep(100)
    ]]
    assert.same({"unwound\n", 3}, {output, status})
  end)

  -- A task spawned by a clean-up was waited for, dropped, and then woken by its name server.
  it("does not run what clean-up spawns", function()
    local output, status = support.run [[
      local task = require "moonlet.task"
      local guard <close> = setmetatable({}, {__close = function()
        task.spawn(function() task.sleep(1000) end)
      end})
      os.exit(0, true)
    ]]
    assert.same({"", 0}, {output, status})
  end)
end)

describe("the error report", function()
  -- A second report was composed on top of one that waited, on one Lua state.
  it("does not let __tostring wait, not even inside a coroutine", function()
    local output, status = support.run [[
      local task = require "moonlet.task"
      local shy = {__tostring = function()
        coroutine.wrap(function() task.sleep(0.01) end)()
        return "x"
      end}
      for _ = 1, 2 do task.spawn(function() error(setmetatable({}, shy)) end) end
      task.sleep(0.05)
      print "alive"
    ]]
    assert.equal(1, status)
    assert.matches("alive", output)
    assert.matches("task #3 failed: (error object is a table value, and its __tostring fails)", output, 1, true)
  end)
end)
