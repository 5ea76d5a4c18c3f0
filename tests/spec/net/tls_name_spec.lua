-- Whom a TLS client verifies: a certificate counts for the name it is compared with, and there must be one.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local is_failure = support.is_failure
local shows, trusts, trusts_root = credentials.shows, credentials.trusts, credentials.trusts_root
local NEEDED = "(TLS option 'server_name' is needed: a name to compare the certificate with, or false)"

describe("A TLS client that verifies", function()
  setup(function() credentials.make() end)
  teardown(credentials.remove)
  local it = support.limited(it)

  -- A listener in the Unix domain that shakes hands with all who come.
  local function serve(where, ...)
    local listener = assert(net.listen(where, ...))
    task.spawn({ daemon = true }, listener.serve, listener, function(conn)
      conn:handshake(support.patience)
      conn:finish(support.patience)
    end)
    return listener
  end

  local function local_server()
    local path = "unix:@moonlet-" .. tostring({}):match "0x%x+"
    return serve(path, { tls = shows "good" }), path
  end

  it("needs a name in the Unix domain", function()
    local listener <close>, path = local_server()
    local function refused(tls)
      local message = support.message_of(net.connect, path, { tls = tls })
      assert.matches("bad argument #2 to .*connect' ", message)
      assert.matches(NEEDED, message, 1, true)
    end
    refused(trusts_root())
    refused(assert(net.tls(trusts_root())))
    refused { context = assert(net.tls(trusts_root())) }
    refused(true)
    local conn <close> = assert(net.connect(path, { tls = trusts { server_name = "good.example" } }))
    is_failure("ETLS", "hostname mismatch",
      net.connect(path, { tls = trusts { server_name = "other.example" } }))
    assert(listener)
  end)

  it("needs a name on pairs and accepted streams", function()
    local a <close>, b = net.pair()
    local c <close>, d = net.memory_pair()
    local e <close>, f = support.pair()
    for _, stream in ipairs { a, b, c, d, f } do
      local message = support.message_of(function() stream:starttls(trusts_root { role = "client" }) end)
      assert.matches("bad argument #1 to 'starttls' " .. NEEDED, message, 1, true)
    end
    b:close() d:close() f:close()
    assert(e)
  end)

  it("compares with none if server_name is false", function()
    local listener <close>, path = local_server()
    local context = assert(net.tls(trusts { server_name = "other.example" }))
    for _, tls in ipairs { trusts_root { server_name = false }, { context = context, server_name = false } } do
      local conn <close> = assert(net.connect(path, { tls = tls }))
      assert.equal("TLSv1.3", conn:tls_info().version)
    end
    is_failure("ETLS", "certificate refused", net.connect(path, { tls = { server_name = false } }))
    local nobody = assert(net.tls(trusts_root { server_name = false }))
    is_failure("ETLS", "hostname mismatch",
      net.connect(path, { tls = { context = nobody, server_name = "other.example" } }))
    local tcp <close> = serve("127.0.0.1", 0, { tls = shows "other" })
    is_failure("ETLS", "mismatch", net.connect(tcp:address(), { tls = trusts_root() }))
    local conn <close> = assert(net.connect(tcp:address(), { tls = nobody }))
    assert(conn and listener)
  end)

  it("and one that does not verify needs none", function()
    local listener <close>, path = local_server()
    local conn <close> = assert(net.connect(path, { tls = { verify = false } }))
    assert(conn and listener)
  end)

  it("takes no name that is none", function()
    local label = ("x"):rep(63)
    for _, name in ipairs { ".", "..", ".example", ".good.example", "good..example", "good.example..", "*.example", "*",
      "good example", "good.example ", " good.example", "good.example/", "good.example:443", "[::1]", "good\n.example",
      label .. "x.example", (label .. "."):rep(3) .. ("y"):rep(62) } do
      assert.matches("'server_name' must be the name of a host, or a number",
        support.message_of(net.tls, { server_name = name }), 1, true)
    end
    for _, name in ipairs { "a", "a.", "good.example", "GOOD.example.", "xn--bcher-kva.example", "a_b.example",
      "b\u{fc}cher.example",
      "127.0.0.1", "::1", "1.2", label .. ".example", (label .. "."):rep(3) .. ("y"):rep(61) } do
      assert(net.tls { server_name = name })
    end
    for _, name in ipairs { ".good.example", "*", "*.", "*.*.example", "a.*.example", "*..example", "**.example" } do
      assert.matches("must be a name, or \"*.\" and a name",
        support.message_of(net.tls, { names = { [name] = shows "good" } }), 1, true)
    end
  end)

  it("finds no host under a name that is none", function()
    local hosts = os.tmpname()
    local file <close> = assert(io.open(hosts, "w"))
    file:write "127.0.0.1 .wild.example *.wild.example\n"
    file:close()
    local resolver = assert(net.resolver { hosts = hosts })
    local listener <close> = serve("127.0.0.1", 0, { tls = shows "other" })
    local port = listener:address().port
    for _, host in ipairs { "", ".", "..", ".wild.example", "*.wild.example" } do
      is_failure("ENOTFOUND", nil, net.connect(host, port, { tls = trusts_root(), resolver = resolver }))
    end
    os.remove(hosts)
  end)
end)
