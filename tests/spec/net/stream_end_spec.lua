-- The ends of connections: how each direction is told of them, over each transport, however often it asks.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local is_failure = support.is_failure

local function tcp() return support.pair() end

local function unix()
  local path = os.tmpname()
  os.remove(path)
  local listener <close> = assert(net.listen("unix:" .. path))
  local here = assert(net.connect("unix:" .. path))
  return here, assert(listener:accept(support.patience))
end

local function memory() return net.memory_pair { capacity = 65536 } end

local function over_tls(make)
  return function()
    local here, there = make()
    local server = task.spawn(function()
      return there:starttls(credentials.shows("good", { role = "server" }), support.patience)
    end)
    assert(here:starttls(credentials.trusts { role = "client" }, support.patience))
    assert(support.finish(server))
    return here, there
  end
end

local plain = { TCP = tcp, ["the Unix domain"] = unix, ["pair()"] = net.pair, ["memory_pair()"] = memory }
local all = {}
for name, make in pairs(plain) do
  all[name] = make
  all["TLS over " .. name] = over_tls(make)
end

-- A connection that the other end breaks by closing it in the middle of a write; it has said "half" before.
local function broken(make)
  local here, there = make()
  local writer = support.parked_writer(here, make == tcp and support.more_than_buffers() or 4 * 1024 * 1024)
  there:write "half"
  there:close()
  return here, writer
end

describe("The end of a connection", function()
  setup(function() credentials.make() end)
  teardown(credentials.remove)
  local it = support.limited(it)

  for name, make in pairs(all) do
    it("is true from shutdown and finish once both sides have ended, over " .. name, function()
      local here <close>, peer = make()
      local there <close> = peer
      local other = task.spawn(function()
        local size = #there:read_all()
        there:write(size, " bytes\n")
        return there:finish(support.patience)
      end)
      here:write "all of it"
      assert.is_true(here:shutdown())
      assert.equal("9 bytes", here:read_line())
      assert.is_true(support.finish(other))
      for _ = 1, 2 do assert.is_nil(here:read_some()) end
      for _ = 1, 2 do assert.is_true(here:shutdown()) end
      is_failure("EPIPE", nil, here:write "more")
      assert.is_true(here:shutdown())
      assert.is_true(here:finish(support.patience))
    end)

    it("after which nothing can be written leaves the input whole, over " .. name, function()
      local here <close>, peer = make()
      local there <close> = peer
      assert.is_true(here:shutdown())
      for _ = 1, 2 do is_failure("EPIPE", nil, here:write "too late") end
      assert.is_nil(there:read_some())
      there:write "an answer"
      assert.is_true(there:shutdown())
      assert.equal("an answer", here:read_all())
      assert.is_nil(here:read_some())
      assert.is_true(here:finish(support.patience))
    end)
  end

  for name, make in pairs(plain) do
    it("by a reset that a writer was told of is none for the reader, over " .. name, function()
      local here, writer = broken(make)
      is_failure("ECONNRESET", nil, support.finish(writer))
      assert.equal("half", here:read_exactly(4))
      for _ = 1, 3 do is_failure("ECONNRESET", nil, here:read_some()) end
      is_failure("ECONNRESET", nil, here:read_all())
      for _ = 1, 2 do is_failure("ECONNRESET", nil, here:write "more") end
      for _ = 1, 2 do is_failure("ECONNRESET", nil, here:shutdown()) end
      is_failure("ECONNRESET", nil, here:finish(support.patience))
    end)

    it("by a reset that a reader was told of is told to writers, over " .. name, function()
      local here, there = make()
      here:write "unread"
      there:write "half"
      if make == tcp then support.until_unread(there) end
      there:close()
      is_failure("ECONNRESET", nil, here:read_all())
      for _ = 1, 3 do is_failure("ECONNRESET", nil, here:write "more") end
      local file <close> = assert(io.tmpfile())
      file:write "more" file:seek "set"
      is_failure("ECONNRESET", nil, here:sendfile(file))
      is_failure("ECONNRESET", nil, here:shutdown())
      assert.equal("half", here:read_exactly(4))
      is_failure("ECONNRESET", nil, here:read(1))
      is_failure("ECONNRESET", nil, here:finish(support.patience))
    end)

    it("by a reset is told by shutdown, if that asks first, over " .. name, function()
      local here, there = make()
      here:write "unread"
      if make == tcp then support.until_unread(there) end
      there:close()
      for _ = 1, 2 do is_failure("ECONNRESET", nil, here:shutdown()) end
      is_failure("ECONNRESET", nil, here:read_some())
      is_failure("ECONNRESET", nil, here:finish(support.patience))
    end)
  end

  it("of TLS by a reset below is ECONNRESET for the reader, too", function()
    local here, peer = tcp()
    local beyond, there = tcp() -- between them peer and beyond pass on what comes, until they are closed
    local function pass(from, to) for data in from:chunks() do to:write(data) end end
    task.spawn(pass, peer, beyond)
    task.spawn(pass, beyond, peer)
    local server = task.spawn(function()
      assert(there:starttls(credentials.shows("good", { role = "server" }), support.patience))
      return there:write "half"
    end)
    assert(here:starttls(credentials.trusts { role = "client" }, support.patience))
    assert(support.finish(server))
    assert.equal("half", here:read_exactly(4))
    local writer = support.parked_writer(here, support.more_than_buffers())
    peer:close()
    is_failure("ECONNRESET", nil, support.finish(writer))
    for _ = 1, 2 do is_failure("ECONNRESET", nil, here:read_some()) end
    is_failure("ECONNRESET", nil, here:write "more")
    is_failure("ECONNRESET", nil, here:shutdown())
    here:close() there:close() beyond:close()
  end)
end)
