-- The example programs that speak TLS: an echo server, a forwarder.

local support = dofile "tests/spec/support.lua"
local programs = dofile "tests/spec/programs.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local start, command_line, serve = programs.start, programs.command_line, programs.start_server
local file = credentials.file

describe("scripts over TLS", function()
  setup(function() credentials.make(programs.open_directory()) end)

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

  describe("tls_forward", function()
    local function certificate() return file "good.pem", file "good.key" end

    -- Both forms of the program: what it listens with and connects with.
    local forms = {}

    -- Takes TLS off: `upstream` is plain.
    function forms.off(port, ...)
      local words = { ... }
      table.move({ 0, "localhost", port, certificate() }, 1, 5, #words + 1, words)
      local at, program = serve("tls_forward.lua", table.unpack(words))
      return program, function(before)
        return assert(net.connect("localhost", before or at, { tls = { ca_file = file "root.pem" } }))
      end, at
    end

    -- Puts TLS on.
    function forms.on(port, ...)
      local words = { "-c", "-a", file "root.pem", ... }
      table.move({ 0, "localhost", port }, 1, 3, #words + 1, words)
      local at, program = serve("tls_forward.lua", table.unpack(words))
      return program, function() return assert(net.connect("127.0.0.1", at)) end, at
    end

    local function listen(form)
      return assert(net.listen("127.0.0.1", 0, { tls = form == "on" and net.tls(credentials.shows "good") or nil }))
    end

    -- A connection through the program: its both ends, and the program.
    local function link(form, ...)
      local listener <close> = listen(form)
      local program, connect = forms[form](listener:address().port, ...)
      local client = connect()
      local server = assert(listener:accept(support.patience))
      client:set_timeout(support.patience)
      server:set_timeout(support.patience)
      client:write "hello\n"
      assert.equal("hello", server:read_line())
      server:write "welcome\n" -- and the client has read what TLS sends after the handshake
      assert.equal("welcome", client:read_line())
      return client, server, program
    end

    local function in_both_forms(body)
      return function()
        for _, form in ipairs { "off", "on" } do body(form) end
      end
    end

    it("prints its usage and exits 1 when the arguments are wrong", function()
      local c, k = certificate()
      local wrong = { {}, { 0 }, { 0, "localhost", 1 }, { 0, "localhost", 1, c }, { 0, "localhost", 1, c, k, "x" },
        { "x", "localhost", 1, c, k }, { 65536, "localhost", 1, c, k }, { 0, "localhost", "x", c, k },
        { 0, "localhost", 65536, c, k }, { "-n", "x", 0, "localhost", 1, c, k }, { "-c", 0, "localhost", 1, c, k },
        { "-c", 0, "localhost" }, { "-x", 0, "localhost", 1, c, k }, { "-l" },
        { "-m", 0, 0, "localhost", 1, c, k }, { "-m", 1.5, 0, "localhost", 1, c, k },
        { "-m", "x", 0, "localhost", 1, c, k }, { "-t", 0, 0, "localhost", 1, c, k },
        { "-t", "-1", 0, "localhost", 1, c, k }, { "-t", "x", 0, "localhost", 1, c, k } }
      programs.refuse_words("tls_forward.lua", wrong)
    end)

    it("says why it cannot begin", function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local c, k = certificate()
      local _, errors, status = programs.run_script("tls_forward.lua", listener:address().port, "localhost", 1, c, k)
      assert.equal(("tls_forward: cannot listen on 127.0.0.1:%d: Address already in use\n")
        :format(listener:address().port), errors)
      assert.equal(1, status)
      _, errors, status = programs.run_script("tls_forward.lua", 0, "localhost", 1, c, file "nothing")
      assert.matches("^tls_forward: [^\n]*nothing[^\n]*\n$", errors)
      assert.equal(1, status)
    end)

    it("lets the client end its output first, and read on", in_both_forms(function(form)
      local client <close>, server, program = link(form)
      local _ <close> = server
      client:write "the last\n"
      assert(client:shutdown())
      assert.equal("the last", server:read_line())
      assert.same({}, { server:read_line() })
      server:write(("x"):rep(200000), "\nafter the end\n")
      assert(server:shutdown())
      assert.equal(200000, #client:read_exactly(200000))
      assert.equal("\nafter the end\n", client:read_all())
      program:printed "\tend\n"
    end))

    it("lets the server end its output first, and read on", in_both_forms(function(form)
      local client <close>, server, program = link(form)
      local _ <close> = server
      assert(server:shutdown())
      assert.same({}, { client:read_line() })
      client:write(("x"):rep(200000), "\nafter the end\n")
      assert(client:shutdown())
      assert.equal(200000, #server:read_exactly(200000))
      assert.equal("\nafter the end\n", server:read_all())
      program:printed "\tend\n"
    end))

    local function copy(from, to)
      repeat local bytes = from:read_some() until not bytes or not to:write(bytes)
    end

    -- Passes one connection on to a port, until it is told to cut it: its port, and what cuts.
    local function cuttable(port)
      local listener = assert(net.listen("127.0.0.1", 0))
      local near, far
      task.spawn(function()
        near = assert(listener:accept(support.patience))
        listener:close()
        far = assert(net.connect("127.0.0.1", port))
        local back = task.spawn(copy, far, near)
        copy(near, far)
        back:join()
      end)
      -- Not by closing: that resets a connection with bytes nobody has read yet.
      return listener:address().port, function()
        near:shutdown()
        far:shutdown()
      end
    end

    it("closes both sides when TLS is cut, and says so", in_both_forms(function(form)
      local listener <close> = listen(form)
      local port, cut = listener:address().port, nil
      if form == "on" then port, cut = cuttable(port) end
      local program, connect, at = forms[form](port)
      if form == "off" then at, cut = cuttable(at) end
      local client <close> = connect(at)
      local server <close> = assert(listener:accept(support.patience))
      client:write "hello\n"
      assert.equal("hello", server:read_line())
      cut()
      assert.is_nil(((form == "on" and client or server):read_line()))
      program:printed "\tTLS: the connection was cut without close_notify\n"
    end))

    it("closes the other side when one was reset, and says so", in_both_forms(function(form)
      local client, server, program = link(form)
      local rude, other = server, client
      if form == "on" then rude, other = client, server end
      local flood = task.spawn(function() return other:write(("x"):rep(1000000)) end)
      assert(rude:peek(1)) -- of what comes now the most is unread: closing resets
      rude:close()
      assert.is_nil((other:read_line()))
      local reason = program:printed "\t([^\n]*)\n" -- whichever of its two tasks met it first
      assert(reason == "Connection reset by peer" or reason == "Broken pipe", reason)
      support.finish(flood)
      other:close()
    end))

    it("hangs up when the target refuses, and goes on serving", in_both_forms(function(form)
      local port = support.free_port()
      local program, connect = forms[form](port)
      for i = 1, 2 do
        local client <close> = connect()
        assert.is_nil((client:read_line()))
        program:printed((".*\tcannot connect to localhost:" .. port .. ": Connection refused\n"):rep(i))
      end
    end))

    it("serves so many connections at a time as -m says", function()
      local listener = listen "on"
      local now, most, full, failure = 0, 0, false, nil
      local upstream = task.spawn(function()
        listener:serve({ on_error = function(err) failure = err end }, function(conn)
          conn:read_line()
          now = now + 1
          most, full = math.max(most, now), full or now == 2
          support.eventually(function() return full end)
          task.sleep(0.1) -- long enough for a third, if there were one
          now = now - 1
        end)
      end)
      local _, connect = forms.on(listener:address().port, "-m", 2)
      task.group(function(g)
        for _ = 1, 6 do
          g:spawn(function()
            local conn <close> = connect()
            conn:write "x\n"
            assert.is_nil((conn:read_line()))
          end)
        end
      end)
      listener:close()
      support.finish(upstream)
      assert.is_nil(failure)
      assert.equal(2, most)
    end)

    -- The silence after the client's end was measured from the end of an earlier wait: up to twice -t.
    it("closes what is silent for the time that -t says, not for twice of it", in_both_forms(function(form)
      local function silence()
        local client <close>, server, program = link(form, "-t", 2)
        local _ <close> = server
        task.sleep(0.4) -- of the wait for the server
        client:write "the last\n"
        client:shutdown()
        local since = task.now()
        assert.equal("the last", server:read_line())
        assert.is_nil((server:read_line()))
        assert.is_nil((client:read_line()))
        program:printed "\ttimeout\n"
        return task.now() - since
      end
      local shortest = math.huge
      for _ = 1, 3 do -- this machine may have other things to do
        local seconds = silence()
        assert(seconds > 1.9, seconds)
        shortest = math.min(shortest, seconds)
        if shortest < 3 then break end
      end
      assert(shortest < 3, shortest)
    end))

    it("closes nothing on which one direction moves", function()
      local client <close>, server = link("off", "-t", 2)
      local _ <close> = server
      local until_then = task.now() + 3
      repeat
        client:write "more\n"
        assert.equal("more", server:read_line())
        task.sleep(0.05)
      until task.now() > until_then
      server:write "still here\n"
      assert.equal("still here", client:read_line())
    end)

    it("closes when one side does not take what the other sends", in_both_forms(function(form)
      local client, server, program = link(form, "-t", 2)
      local ok = client:write(("x"):rep(support.more_than_buffers()))
      assert.is_nil(ok)
      program:printed "\ttimeout\n"
      client:close()
      server:close()
    end))

    it("drops a client that does not shake hands, and connects to nobody for it", function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local port, program = serve("tls_forward.lua", "-t", 1, 0, "localhost", listener:address().port, certificate())
      local mute <close> = assert(net.connect("127.0.0.1", port))
      local since = task.now()
      assert.is_nil((mute:read_line()))
      assert(task.now() - since < 9) -- not the 10 s that it has without -t
      program:printed "\ttimeout\n"
      local rude <close> = assert(net.connect("127.0.0.1", port))
      rude:write "GET / HTTP/1.0\r\n\r\n"
      rude:read_all()
      program:printed "\tTLS: [^\n]*\n"
      assert.is_nil((listener:accept(0)))
    end)

    it("listens where -l says", function()
      local stranger
      for _ = 1, 5 do -- another program may listen at the same port of 127.0.0.1
        local server = start(command_line("tls_forward.lua", "-l", "127.0.0.2", 0, "localhost", 1, certificate()))
        local port = tonumber(server:printed "listening on 127.0.0.2:(%d+) for localhost:1\n")
        local conn <close> = assert(net.connect("127.0.0.2", port))
        stranger = net.connect("127.0.0.1", port)
        if not stranger then break end
        stranger:close()
      end
      assert.is_nil(stranger)
    end)

    it("wants the certificate of its clients with -a", function()
      local listener <close> = listen "off"
      local port, program = serve("tls_forward.lua", "-a", file "root.pem", 0, "localhost", listener:address().port,
        certificate())
      local function talk(options)
        options.ca_file = file "root.pem"
        local conn <close> = net.connect("localhost", port, { tls = options })
        return conn and conn:write "x\n" and conn:read_line()
      end
      assert.is_nil(talk {})
      assert.is_nil(talk(credentials.shows "strangerclient"))
      programs.eventually("two refusals", function() return program:output():match "\tTLS:[^\n]*\n.*\tTLS:" end)
      assert.is_nil((listener:accept(0)))
      local echo = task.spawn(function()
        local conn <close> = listener:accept(support.patience)
        conn:write(conn:read_line(), "\n")
      end)
      assert.equal("x", talk(credentials.shows "client"))
      support.finish(echo)
    end)

    it("verifies the server, by the name that -n gives", function()
      local listener <close> = listen "on"
      local upstream = task.spawn(function()
        for _ = 1, 3 do
          local conn <close> = listener:accept(support.patience)
          local line = conn:read_line()
          if line then conn:write(conn:tls_info().server_name, "\n") end
        end
      end)
      local function ask(...)
        local words = { "-c", ... }
        table.move({ 0, "127.0.0.1", listener:address().port }, 1, 3, #words + 1, words)
        local port, program = serve("tls_forward.lua", table.unpack(words))
        local conn <close> = assert(net.connect("127.0.0.1", port))
        conn:write "x\n"
        return conn:read_line(), program
      end
      assert.equal("good.example", (ask("-a", file "root.pem", "-n", "good.example")))
      for _, words in ipairs { { "-a", file "root.pem", "-n", "bad.example" }, { "-n", "good.example" } } do
        local line, program = ask(table.unpack(words))
        assert.is_nil(line)
        program:printed "\tcannot connect to [^\n]*certificate refused"
      end
      support.finish(upstream)
    end)

    it("stands between curl and an HTTP server of openssl's", function()
      if not programs.installed "curl" then pending "curl is not installed" end
      local port = support.free_port()
      local c, k = certificate()
      local peer = start(("openssl s_server -accept 127.0.0.1:%d -cert %s -key %s -www"):format(port,
        programs.quote(c), programs.quote(k)))
      peer:printed "ACCEPT"
      local on = serve("tls_forward.lua", "-c", "-a", file "root.pem", 0, "localhost", port)
      local off = serve("tls_forward.lua", 0, "localhost", on, c, k)
      local page, errors, status = programs.run(("curl -sS --cacert %s https://localhost:%d/"):format(
        programs.quote(file "root.pem"), off))
      assert.equal("", errors)
      assert.equal(0, status)
      assert.matches("Ciphers supported in s_server binary", page, 1, true)
    end)

    it("gives all of an answer to openssl's client, which has ended its input", function()
      local listener <close> = listen "off"
      local _, _, port = forms.off(listener:address().port)
      local client = start(("openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile %s -connect localhost:%d")
        :format(programs.quote(file "root.pem"), port))
      local conn <close> = assert(listener:accept(support.patience))
      assert.is_nil((conn:read_line()))
      conn:write "bye\n"
      assert(conn:finish(support.patience))
      client:wait()
    end)
  end)
end)
