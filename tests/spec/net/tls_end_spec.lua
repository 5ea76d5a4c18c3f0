-- Closing TLS connections over TCP: what TLS itself sends and nobody reads (session tickets, the end) must not cost the
-- peer what was written before.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local is_failure = support.is_failure
local shows, trusts = credentials.shows, credentials.trusts

-- More than is on its way at a time, and less than the kernel takes at once.
local SIZE = 400000

describe("A TLS connection that is closed", function()
  setup(function() credentials.make() end)
  teardown(credentials.remove)
  local it = support.limited(it)

  -- How much is read up to the end, by one who begins when the other has closed.
  local function size_of_all(conn)
    local size = 0
    for chunk in conn:chunks() do size = size + #chunk end
    return size
  end

  local function listen() return assert(net.listen("127.0.0.1", 0, { tls = shows "good" })) end

  for _, ends in ipairs { "shutdown", "close" } do
    it("by a client that only writes loses nothing, after " .. ends, function()
      local listener <close> = listen()
      local server = task.spawn(function() return listener:accept() end)
      local shaking = task.spawn(function()
        local conn = support.finish(server)
        assert(conn:handshake(support.patience))
        return conn
      end)
      local here = assert(net.connect(listener:address(), { tls = trusts() }))
      local there <close> = support.finish(shaking)
      support.until_unread(here) -- the tickets
      assert.is_true(here:write(("x"):rep(SIZE)))
      if ends == "shutdown" then assert.is_true(here:shutdown()) end
      here:close()
      assert.equal(SIZE, size_of_all(there))
    end)
  end

  it("by a client before the server has shaken hands loses nothing", function()
    for _, pair in ipairs { net.pair, net.memory_pair, support.pair } do
      local here, peer = pair()
      local there <close> = peer
      local server = task.spawn(function()
        assert(there:starttls(shows("good", { role = "server" }), support.patience))
        return there:read_all()
      end)
      assert(here:starttls(trusts { role = "client" }, support.patience))
      here:write "all of it"
      here:close()
      assert.equal("all of it", support.finish(server))
      is_failure("CLOSED", nil, here:read_some())
    end
  end)

  it("by a server whose client has ended its output loses nothing", function()
    local listener <close> = listen()
    local has_read = false
    local server = task.spawn(function()
      local conn = listener:accept()
      assert.equal("a request", conn:read_line())
      has_read = true
      support.until_unread(conn) -- the client's end
      assert.is_true(conn:write(("x"):rep(SIZE)))
      conn:close()
    end)
    local here <close> = assert(net.connect(listener:address(), { tls = trusts() }))
    here:write "a request\n"
    support.eventually(function() return has_read end)
    assert.is_true(here:shutdown())
    support.finish(server)
    assert.equal(SIZE, size_of_all(here))
  end)

  it("by the end of the program loses nothing", function()
    local listener <close> = listen()
    local command, path = support.command(([[
      local net = require "moonlet.net"
      local conn = assert(net.connect("127.0.0.1", %d, { tls = { ca_file = %q, server_name = "good.example" } }))
      conn:write(("x"):rep(%d))
      conn:close()]]):format(listener:address().port, credentials.file "root.pem", SIZE))
    local client <close> = io.popen(command)
    local there <close> = assert(listener:accept(support.patience))
    assert(there:handshake(support.patience))
    assert.equal(SIZE, size_of_all(there))
    os.remove(path)
  end)

  it("with data unread is reset, as a plain one", function()
    local listener <close> = listen()
    local server = task.spawn(function()
      local conn = listener:accept()
      assert(conn:handshake(support.patience))
      return conn
    end)
    local here <close> = assert(net.connect(listener:address(), { tls = trusts() }))
    local there = support.finish(server)
    here:write "unread"
    support.until_unread(there)
    there:close()
    support.eventually(function()
      local _, _, code = here:write "more"
      return code == "ECONNRESET" or code == "EPIPE"
    end)
  end)
end)
