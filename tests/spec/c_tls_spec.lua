-- LuaSec as Debian builds it, in tasks: to nginx, to moonlet's own TLS, and as a server.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/c_libraries.lua"
local programs = dofile "tests/spec/programs.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local socket = libraries.need("socket", "lua-socket")
local ssl = libraries.need("ssl", "lua-sec")
local https = libraries.need("ssl.https", "lua-sec")

local PATIENCE, SPAN = support.patience, libraries.SPAN
https.TIMEOUT = PATIENCE
local directory

local function file(name) return directory .. "/" .. name end

local function own_context() return net.tls { cert_file = file "good.pem", key_file = file "good.key" } end

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
  local port, prefix = support.free_port(), file "nginx"
  os.execute("mkdir -p " .. programs.quote(prefix))
  programs.write_file(prefix .. "/nginx.conf", ([[
    daemon off; master_process off; pid nginx.pid; error_log stderr;
    events { worker_connections 256; }
    http {
      access_log off;
      client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
      server {
        listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s;
        location / { proxy_pass http://127.0.0.1:%d; }
      }
    }]]):format(port, file "good.pem", file "good.key", upstream))
  local nginx = programs.start(("env PATH=\"$PATH:/usr/sbin\" nginx -p %s -c nginx.conf"):format(
    programs.quote(prefix .. "/")))
  programs.eventually("nginx", function()
    if nginx:status() then error("nginx ended: " .. nginx:errors(), 0) end
    local conn <close> = net.connect("127.0.0.1", port)
    return conn ~= nil
  end)
  return port
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
  setup(function()
    directory = programs.open_directory()
    assert(os.execute(("sh tests/support/make_certificates.sh '%s'"):format(directory)))
  end)

  after_each(programs.stop_all)

  teardown(programs.remove_directory)

  it("fetches twenty pages of nginx at once", function()
    local upstream <close> = libraries.server(function(conn)
      local path = conn:read_line():match "^GET (%S+)"
      repeat until conn:read_line() == ""
      task.sleep(SPAN)
      conn:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#path, path))
      conn:finish(1)
    end)
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
    local port, serving = luasec_server({ alpn = function(protocols)
      asked = table.concat(protocols, " ")
      task.sleep(0.05)
      return "two"
    end }, function(conn) return conn:receive("*l") end)
    local ticker <close> = libraries.ticker()
    local conn, closes <close> = connect(port, { alpn = { "one", "two" } })
    assert(conn:dohandshake())
    assert.is_true(ticker.count >= 2)
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
    local output = libraries.without(("local root = %q\n"):format(file "root.pem") .. [[
      local socket, ssl = require "socket", require "ssl"
      print(overlapping(function(i)
        local plain = assert(socket.connect("127.0.0.1", port))
        local conn = assert(ssl.wrap(plain, { mode = "client", protocol = "any", verify = "peer", cafile = root }))
        assert(conn:dohandshake())
        conn:send("hello " .. i .. "\n")
        assert(conn:receive "*l" == "you said hello " .. i)
        conn:close()
      end))
    ]], server.port)
    local seconds, ticks = output:match "^(%S+)\t(%d+)\n$"
    assert.is_true(tonumber(seconds) > 3.9 * SPAN, output)
    assert.is_true(tonumber(ticks) <= 6, output)
  end)
end)
