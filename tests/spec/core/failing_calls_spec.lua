--- Calls that fail at once, in a loop of a task that takes no notice. Such a task kept the thread for itself: the call
-- looked at the task's slice only if it had something to do.

local support = dofile "tests/spec/support.lua"
local channel = require "moonlet.channel"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

-- Whether another task runs while this one goes on calling fn, which fails each time.
local function lets_others_run(fn)
  local ran = false
  local other = task.spawn(function() ran = true end)
  for _ = 1, 5000 do
    local ok, message = fn()
    assert.is_nil(ok)
    assert.is_string(message)
    if ran then break end
  end
  local shared = ran
  other:join()
  return shared
end

describe("a call that fails at once lets others run in the end", function()
  it("reads and writes of a stream that is closed", function()
    local a, b = net.memory_pair()
    a:close()
    b:close()
    assert.is_true(lets_others_run(function() return a:read_some() end))
    assert.is_true(lets_others_run(function() return a:write "x" end))
  end)

  it("writes of a stream whose peer is gone", function()
    local a <close>, b = net.pair()
    b:close()
    assert.is_true(lets_others_run(function() return a:write "x" end))
  end)

  it("requests of a client that is closed", function()
    local client = http.client {}
    client:close()
    assert.is_true(lets_others_run(function() return client:get "http://a.example/" end))
  end)

  -- The answer of a handler whose peer has left.
  local function answering(body)
    local here, there <close> = net.pair()
    local shared
    local server = http.server({ on_gone = "ignore" }, function(_, res)
      shared = body(res, function() here:close() end)
    end)
    here:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    server:serve(there)
    assert.is_true(shared)
  end

  it("writes of a response", function()
    answering(function(res, leave)
      res:flush()
      leave()
      while res:write "x" do end -- luacheck: ignore 542
      return lets_others_run(function() return res:write "x" end)
    end)
  end)

  it("events of a response", function()
    answering(function(res, leave)
      local events = res:events()
      leave()
      while events:send "x" do end -- luacheck: ignore 542
      return lets_others_run(function() return events:send "x" end)
    end)
  end)

  it("writes of a response that is over", function()
    local here, there <close> = net.pair()
    local kept
    local server = http.server(function(_, res) kept = res return "x" end)
    here:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    server:serve(there)
    here:close()
    assert.is_true(lets_others_run(function() return kept:write "x" end))
  end)

  -- The model test counts on it: what needs no wait of a channel is one step.
  it("but not those of a channel, which wait only if they must", function()
    local ch = channel.new()
    ch:close()
    assert.is_false(lets_others_run(function() return ch:get() end))
    assert.is_false(lets_others_run(function() return ch:put(1) end))
  end)

  it("but not where the task may not be left", function()
    local a = net.memory_pair()
    a:close()
    task.no_switch(function()
      local ran = false
      task.spawn(function() ran = true end)
      for _ = 1, 5000 do pcall(a.read_some, a) end
      assert.is_false(ran)
    end)
  end)
end)
