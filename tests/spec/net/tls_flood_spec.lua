-- A peer that sends messages of TLS which are no data, one after the other: they were all worked off in one call of
-- OpenSSL's, and nobody else ran meanwhile; time limits and cancellation did not reach it.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local is_failure = support.is_failure
local program = os.getenv "MOONLET_TESTS" .. "/tls_flood"
local COUNT = 8000
local LEAST_TURNS = COUNT // 32

describe("A TLS peer that sends no end of messages without data", function()
  setup(function() credentials.make() end)
  teardown(credentials.remove)
  local it = support.limited(it)

  -- How often others run while the flood that has come to a stream is read, and what is after it.
  local function read_flood(conn)
    support.until_unread(conn)
    local line
    local turns = support.turns_beside(function() line = conn:read_line() end)
    assert.equal("end", line)
    assert.is_true(turns >= LEAST_TURNS, turns)
    assert.is_nil(conn:read_some())
  end

  -- A server's stream that is flooded with changes of keys; the peer's end comes after them.
  local function flooded(kind)
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = credentials.shows "good" }))
    local peer = support.start(("'%s' %s %d %d"):format(program, kind, listener:address().port, COUNT))
    local conn = assert(listener:accept(support.patience))
    assert(conn:handshake(support.patience))
    return conn, peer
  end

  for kind, what in pairs { update = "changes of keys", request = "changes of keys that ask for the same" } do
    it("lets others run: " .. what, function()
      local conn <close>, peer = flooded(kind)
      local guard <close> = peer
      read_flood(conn)
      assert(guard)
    end)
  end

  it("lets others run: session tickets", function()
    local pipe <close> = assert(io.popen(("'%s' ticket '%s' '%s' %d"):format(program, credentials.file "good.pem",
      credentials.file "good.key", COUNT)))
    local conn <close> = assert(net.connect("127.0.0.1", pipe:read "n", { tls = credentials.trusts() }))
    read_flood(conn)
    assert.is_true(conn:finish(support.patience))
  end)

  it("is subject to time limits and cancellation", function()
    local conn <close>, peer = flooded "update"
    local guard <close> = peer
    support.until_unread(conn)
    conn:set_timeout(1e-6, "read")
    is_failure("ETIMEDOUT", nil, conn:read_line())
    conn:set_timeout(nil)
    is_failure("EDEADLINE", nil, task.timeout(1e-6, conn.read_line, conn))
    local reader = task.spawn(function() return conn:read_line() end)
    task.yield()
    reader:cancel()
    is_failure("ECANCELED", nil, reader:join(support.patience))
    assert.equal("end", conn:read_line())
    assert(guard)
  end)

  it("is got through without a wait, too", function()
    local conn <close>, peer = flooded "update"
    local guard <close> = peer
    conn:set_timeout(0, "read")
    local line, message, code
    repeat
      task.yield()
      line, message, code = conn:read_line()
    until line or code ~= "ETIMEDOUT"
    assert.equal("end", line, message)
    assert(guard)
  end)
end)
