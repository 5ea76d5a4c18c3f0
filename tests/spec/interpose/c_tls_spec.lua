-- LuaSec as Debian builds it, in tasks: to nginx, to moonlet's own TLS, and as a server.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local programs = dofile "tests/spec/programs.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local socket = libraries.need("socket", "lua-socket")
local ssl = libraries.need("ssl", "lua-sec")
local https = libraries.need("ssl.https", "lua-sec")

local PATIENCE, SPAN = support.patience, libraries.SPAN
https.TIMEOUT = PATIENCE
local file = credentials.file

local function own_context() return net.tls(credentials.shows "good") end

-- A LuaSec client's options, for connections and for https.request.
local function client_options(more)
  local options = { mode = "client", protocol = "any", verify = "peer", cafile = file "root.pem", options = "all" }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

local function connect(port, more)
  local plain = assert(socket.connect("127.0.0.1", port))
  local conn = assert(ssl.wrap(plain, client_options(more)))
  conn:settimeout(PATIENCE)
  return conn, setmetatable({}, { __close = function() conn:close() end })
end

-- nginx with TLS in front of a server of the test's. Returns its port.
local function start_nginx(upstream)
  libraries.need_program("nginx", "nginx-light")
  return (programs.start_nginx({}, ("ssl_certificate %s; ssl_certificate_key %s; location / { proxy_pass %s; }"):format(
    file "good.pem", file "good.key", "http://127.0.0.1:" .. upstream), " ssl"))
end

-- A LuaSec server for one connection: what its handshake and handler(conn) give is the task's result.
local function luasec_server(more, handler)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local options = { mode = "server", protocol = "any", certificate = file "good.pem", key = file "good.key",
    options = "all" }
  for key, value in pairs(more) do options[key] = value end
  return port, task.spawn(function()
    local plain = listener:accept()
    listener:close()
    local conn = assert(ssl.wrap(plain, options))
    conn:settimeout(PATIENCE)
    assert(conn:dohandshake())
    local result = handler(conn)
    conn:close()
    return result
  end)
end

describe("LuaSec", function()
  setup(function() credentials.make(programs.open_directory()) end)

  after_each(programs.stop_all)

  teardown(programs.remove_directory)

  it("fetches twenty pages of nginx at once", function()
    local upstream <close> = libraries.slow_pages()
    local port = start_nginx(upstream.port)
    libraries.overlap(function(i)
      local options = client_options { url = ("https://127.0.0.1:%d/page/%d"):format(port, i) }
      local pieces = {}
      options.sink = require "ltn12".sink.table(pieces)
      local ok, status = https.request(options)
      assert.equal(1, ok, status)
      assert.equal(200, status)
      assert.equal("/page/" .. i, table.concat(pieces))
    end)
  end)

  it("talks to moonlet's own TLS in twenty tasks at once", function()
    local server <close> = libraries.slow_server { tls = own_context() }
    libraries.overlap(function(i)
      local conn, closes <close> = connect(server.port)
      assert(conn:dohandshake())
      assert(conn:send(("hello %d\n"):format(i)))
      assert.equal("you said hello " .. i, conn:receive("*l"))
    end)
  end)

  it("waits together for handshakes that take their time", function()
    local server <close> = libraries.server(function(conn)
      task.sleep(SPAN) -- the first use shakes hands
      conn:write("late\n")
    end, { tls = own_context() })
    libraries.overlap(function()
      local conn, closes <close> = connect(server.port)
      assert(conn:dohandshake())
      assert.equal("late", conn:receive("*l"))
    end)
  end)

  it("refuses a server whose certificate nobody vouches for", function()
    local server <close> = libraries.slow_server { tls = own_context() }
    local conn, closes <close> = connect(server.port, { cafile = file "stranger.pem" })
    local ok, message = conn:dohandshake()
    assert.is_falsy(ok)
    assert.matches("certificate verify failed", message)
  end)

  it("calls a function that waits, in the middle of a handshake", function()
    local asked
    local ticker <close> = libraries.ticker()
    local port, serving = luasec_server({ alpn = function(protocols)
      asked = table.concat(protocols, " ")
      libraries.until_ticked(ticker, 2)
      return "two"
    end }, function(conn) return conn:receive("*l") end)
    local conn, closes <close> = connect(port, { alpn = { "one", "two" } })
    assert(conn:dohandshake())
    assert.equal("two", conn:getalpn())
    conn:send("hello\n")
    assert.equal("hello", support.finish(serving))
    assert.equal("one two", asked)
  end)

  it("is cancelled in a handshake and in receive; its objects close afterwards", function()
    local mute <close> = libraries.silent_server()
    local conn, closes <close> = connect(mute.port)
    libraries.cancels(function() conn:dohandshake() end, function() conn:close() end)
    local server <close> = libraries.slow_server { tls = own_context() }
    local other, closes_too <close> = connect(server.port)
    assert(other:dohandshake())
    libraries.cancels(function() other:receive("*l") end, function() other:close() end)
  end)

  it("can go on with a connection whose receive was cancelled", function()
    local server <close> = libraries.slow_server { tls = own_context() }
    local conn, closes <close> = connect(server.port)
    assert(conn:dohandshake())
    conn:send("hello\n")
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, conn.receive, conn, "*l"))
    assert.equal("you said hello", conn:receive("*l"))
  end)

  -- poll() said POLLNVAL, which LuaSec takes for ready: it read from what had been freed.
  it("tells the waiting task when another closes its connection", function()
    local server <close> = libraries.slow_server { tls = own_context() }
    local mute <close> = libraries.silent_server()
    local conn, other = connect(server.port), connect(mute.port)
    assert(conn:dohandshake())
    local receiving = support.parked(task.spawn(function() return conn:receive("*l") end))
    local shaking = support.parked(task.spawn(function() return other:dohandshake() end))
    conn:close()
    other:close()
    local text, message = support.finish(receiving)
    assert.same({ nil, "Bad file descriptor" }, { text, message })
    assert.is_falsy((support.finish(shaking)))
  end)

  it("blocks every task, and does the same, with --no-interpose", function()
    local server <close> = libraries.slow_server { tls = own_context() }
    local requires = ('local socket, ssl, root = require "socket", require "ssl", %q'):format(file "root.pem")
    libraries.blocks_without(requires, [[
      local plain = assert(socket.connect("127.0.0.1", port))
      local conn = assert(ssl.wrap(plain, { mode = "client", protocol = "any", verify = "peer", cafile = root }))
      assert(conn:dohandshake())
      conn:send("hello " .. i .. "\n")
      assert(conn:receive "*l" == "you said hello " .. i)
      conn:close()
    ]], server.port)
  end)
end)
