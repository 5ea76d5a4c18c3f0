--- channel.select over streams with TLS: what is readable are the bytes of the program, not those of TLS.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task, net, channel = require "moonlet.task", require "moonlet.net", require "moonlet.channel"
local credentials = dofile "tests/spec/tls_support.lua"
local shows, trusts = credentials.shows, credentials.trusts

setup(credentials.make)
teardown(credentials.remove)

-- Two streams with TLS over the pair that make() gives; `there` has not shaken hands yet.
local function with_tls(make)
  local here, there = make()
  local server = task.spawn(there.starttls, there, shows("chained", { role = "server" }))
  assert(here:starttls(trusts { role = "client" }))
  assert(support.finish(server))
  return here, there
end

for name, make in pairs { ["a socket"] = support.pair, memory = net.memory_pair } do
  describe("select over a stream with TLS over " .. name, function()
    it("tells what a read would find, and keeps it", function()
      local here <close>, other = with_tls(make)
      local there <close> = other
      support.is_failure("ETIMEDOUT", nil, channel.select { { there, "readable" }, timeout = 0 })
      local t = support.parked(task.spawn(channel.select, { { there, "readable" } }))
      here:write "hello\nagain\n"
      assert.are.same({ 1, true }, { support.finish(t) })
      assert.are.equal("hello", there:read())
      assert.are.same({ 1, true }, { channel.select { { there, "readable" } } })
      assert.are.equal("again", there:read())
      t = support.parked(task.spawn(channel.select, { { there, "readable" } }))
      assert.is_true(here:shutdown "write")
      assert.are.same({ 1, true }, { support.finish(t) })
      assert.is_nil((there:read()))
    end)
  end)
end

describe("select over an accepted stream with TLS", function()
  it("shakes hands meanwhile", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = shows "chained" }))
    local client = task.spawn(function()
      local here <close> = assert(net.connect("127.0.0.1", listener:address().port,
        { tls = trusts() }))
      here:write "hello\n"
      return here:read()
    end)
    local number, there = channel.select { { listener, "accept" }, timeout = support.patience }
    assert.are.equal(1, number)
    local _ <close> = there
    assert.are.same({ 1, true }, { channel.select { { there, "readable" }, timeout = support.patience } })
    assert.are.equal("hello", there:read())
    there:write "bye\n"
    assert.are.equal("bye", (support.finish(client)))
  end)
end)
