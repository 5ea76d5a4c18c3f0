-- The example programs that speak TLS: an echo server, a forwarder.

local support = dofile "tests/spec/support.lua"
local programs = dofile "tests/spec/programs.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local start, command_line = programs.start, programs.command_line
local directory

local function file(name) return directory .. "/" .. name end

-- Starts a server script; returns its port.
local function serve(...)
  local server = start(command_line(...))
  return tonumber(server:printed("listening on 127.0.0.1:(%d+)")), server
end

describe("scripts over TLS", function()
  setup(function()
    directory = programs.open_directory()
    assert(os.execute(("sh tests/support/make_certificates.sh '%s'"):format(directory)))
  end)

  after_each(programs.stop_all)

  teardown(programs.remove_directory)

  it("tls_echo sends back what it gets, and tells who came and how", function()
    local port, server = serve("tls_echo.lua", file "good.pem", file "good.key", "127.0.0.1", 0)
    local conn <close> = assert(net.connect("localhost", port, { tls = { ca_file = file "root.pem" } }))
    conn:write("hello\n")
    assert.equal("hello", conn:read_line())
    server:printed("TLSv1.3 [%w_]+, no certificate")
  end)

  it("tls_forward takes TLS off on one side, and puts it on on the other", function()
    local upstream <close> = assert(net.listen("127.0.0.1", 0))
    local echo = task.spawn(function()
      local conn <close> = upstream:accept()
      for line in conn:lines() do conn:write("you said ", line, "\n") end
      conn:shutdown()
    end)
    local off = serve("tls_forward.lua", 0, "127.0.0.1", upstream:address().port, file "good.pem",
      file "good.key")
    local on = serve("tls_forward.lua", "-c", "-a", file "root.pem", 0, "localhost", off)
    local conn <close> = assert(net.connect("127.0.0.1", on))
    conn:write("plain\n")
    assert.equal("you said plain", conn:read_line())
    conn:shutdown()
    assert.is_nil(conn:read_line())
    support.finish(echo)
  end)
end)
