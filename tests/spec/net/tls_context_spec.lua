-- TLS contexts that are shared, reloaded, and used for either side.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)
local is_failure = support.is_failure
local file, shows, trusts = credentials.file, credentials.shows, credentials.trusts

setup(credentials.make)
teardown(credentials.remove)

-- Answers one connection with a line and ends it.
local function greet(listener)
  return task.spawn(function()
    local conn <close> = assert(listener:accept(support.patience))
    local ok, message, code = conn:write "hello\n"
    if not ok then return nil, message, code end
    return conn:finish(support.patience)
  end)
end

-- A connection that has heard the greeting: whether it was resumed, and the peer's subject.
local function visit(listener, tls)
  local server = greet(listener)
  local here <close> = assert(net.connect("127.0.0.1", listener:address().port, { tls = tls }))
  assert.equal("hello", here:read_line())
  local info = here:tls_info()
  here:finish(support.patience)
  support.finish(server)
  return info.resumed, info.peer.subject
end

describe("a context made before", function()
  -- A context could not say which side to take, so that the two ends of a pair had no use for one.
  it("takes the side that the table around it says", function()
    local here <close>, peer = net.memory_pair()
    local there <close> = peer
    local server, client = assert(net.tls(shows "good")), assert(net.tls(trusts()))
    local other = task.spawn(there.starttls, there, { context = server, role = "server" })
    assert.is_true(here:starttls { context = client, role = "client" })
    assert.is_true(support.finish(other))
    assert.equal("CN=good", here:tls_info().peer.subject)
  end)

  it("is good for several servers, whose names come beside it", function()
    local client = assert(net.tls(trusts { verify = true }))
    local listener <close> = assert(net.listen("127.0.0.1", 0,
      { tls = shows("good", { names = { ["b.example"] = shows "other" } }) }))
    local _, subject = visit(listener, client)
    assert.equal("CN=good", subject)
    _, subject = visit(listener, { context = client, server_name = "b.example" })
    assert.equal("CN=other", subject)
    local server = greet(listener)
    is_failure("ETLS", "hostname mismatch", net.connect("127.0.0.1", listener:address().port,
      { tls = { context = client, server_name = "c.example" } }))
    is_failure("ETLS", nil, support.finish(server))
    assert.is_true((visit(listener, { context = client, server_name = "b.example" })))
  end)

  it("serves a listener in a table, too", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = { context = assert(net.tls(shows "good")) } }))
    local _, subject = visit(listener, trusts())
    assert.equal("CN=good", subject)
  end)

  it("leaves no other options to say", function()
    local here <close>, peer = net.pair()
    local there <close> = peer
    local function wrong(text, options)
      assert.matches("bad argument #1 to 'starttls' (" .. text,
        support.message_of(function() here:starttls(options) end), 1, true)
    end
    local context = assert(net.tls(trusts()))
    wrong("unknown option 'ca_file'", { context = context, ca_file = file "root.pem" })
    wrong("TLS option 'context' must be a context, got string", { context = "x" })
    wrong("TLS option 'server_name' must be 1 to 255 bytes long", { context = context, server_name = "" })
    wrong("TLS option 'role' must be \"client\" or \"server\"", { context = context, role = "both" })
    wrong("a server needs a certificate", { context = context, role = "server" })
    assert.matches("unknown option 'context'", support.message_of(net.tls, { context = context }), 1, true)
    assert.is_nil(there:tls_info())
  end)
end)

describe("a reload", function()
  it("lets clients resume the sessions of before", function()
    local context, client = assert(net.tls(shows "good")), assert(net.tls(trusts()))
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = context }))
    assert.is_false((visit(listener, client)))
    assert.is_true((visit(listener, client)))
    assert.is_true(context:reload())
    assert.is_true((visit(listener, client)))
  end)

  -- Who resumes is not verified again: what is trusted, or revoked, may have changed.
  it("makes a server that asks for certificates see them again", function()
    for _, verify in ipairs { true, "optional" } do
      local context = assert(net.tls(shows("good", { verify = verify, ca_file = file "root.pem" })))
      local client = assert(net.tls(shows("client", trusts())))
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = context }))
      assert.is_false((visit(listener, client)))
      assert.is_true((visit(listener, client)))
      assert.is_true(context:reload())
      assert.is_false((visit(listener, client)))
      assert.is_true((visit(listener, client)))
    end
  end)

  it("of a client makes it verify its servers again", function()
    local context, client = assert(net.tls(shows "good")), assert(net.tls(trusts()))
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = context }))
    visit(listener, client)
    assert.is_true(client:reload())
    assert.is_false((visit(listener, client)))
  end)
end)

describe("the system's roots", function()
  local script = [[
    local net, task = require "moonlet.net", require "moonlet.task"
    local own, root = "%s", "%s"
    local context = assert(net.tls { cert_file = own .. "/good.pem", key_file = own .. "/good.key", verify = %s })
    os.rename(own .. "/root.pem", root)
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = context }))
    task.spawn(function()
      local conn <close> = assert(listener:accept())
      print("server", (conn:handshake()))
      conn:finish()
    end)
    local conn <close>, message, code = net.connect("localhost", listener:address().port, { tls = context })
    print("client", message or "trusts")
    if conn then conn:finish() end
  ]]

  -- The roots are where SSL_CERT_FILE says, but not before the context was made.
  local function run(verify)
    local own, root = os.tmpname(), os.tmpname()
    os.remove(root)
    os.remove(own)
    assert(os.execute(("mkdir '%s' && cd '%s' && cp '%s' '%s' '%s' ."):format(
      own, own, file "good.pem", file "good.key", file "root.pem")))
    local command, path = support.command(script:format(own, root, verify))
    local pipe = assert(io.popen(("SSL_CERT_FILE='%s' SSL_CERT_DIR=/dev/null timeout 60 %s 2>&1"):format(
      root, command)))
    local output = pipe:read "a"
    pipe:close()
    os.remove(path)
    os.execute(("rm -rf '%s' '%s'"):format(own, root))
    return output
  end

  -- They were read with every context: 140 certificates for a server that never looks at one.
  it("are not read by a server that asks for no certificate, but by the first client", function()
    assert.equal("client\ttrusts\nserver\ttrue\n", run "nil")
  end)

  -- They were missing from then on: OpenSSL says that all is well when it cannot open the file.
  it("are an error when there is no descriptor to read them, and are read the next time", function()
    local command, path = support.command(([[
      local net, task = require "moonlet.net", require "moonlet.task"
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = { cert_file = %q, key_file = %q } }))
      task.spawn({ daemon = true }, listener.serve, listener, function(conn) conn:finish(5) end)
      local held = {}
      repeat
        local file = io.open("/dev/null")
        held[#held + 1] = file
      until not file
      table.remove(held):close() -- for the socket
      local options = { tls = true, timeout = 20 }
      local port = listener:address().port
      print((select(3, net.connect("127.0.0.1", port, options))))
      for _, file in ipairs(held) do file:close() end
      local conn <close> = assert(net.connect("localhost", port, options))
      print "connected"
    ]]):format(file "good.pem", file "good.key"))
    local output = support.shell(("ulimit -n 40; SSL_CERT_FILE='%s' SSL_CERT_DIR=/dev/null timeout 60 %s 2>&1"):format(
      file "root.pem", command))
    os.remove(path)
    assert.equal("EMFILE\nconnected\n", output)
  end)

  it("are read at once by a server that does", function()
    assert.matches("unable to get local issuer certificate", run '"optional"', 1, true)
  end)
end)

describe("finish", function()
  -- Its message was "TLS failure": the stream had been closed, and had forgotten.
  it("says what was wrong with TLS", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local here <close> = assert(net.connect(listener:address()))
    local raw <close> = assert(listener:accept(support.patience))
    raw:write "no TLS at all, but this is long enough to be a record\n"
    local server = task.spawn(function() return raw:finish(support.patience) end)
    is_failure("ETLS", "TLS: wrong version number", here:starttls(trusts()))
    is_failure("ETLS", "TLS: wrong version number", here:finish(support.patience))
    is_failure("CLOSED", nil, here:write "x")
    server:join()
  end)
end)
