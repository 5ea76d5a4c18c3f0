-- The example programs that speak TLS: an echo server, a forwarder, a sender of mail.

local support = dofile "tests/spec/support.lua"
local programs = dofile "tests/spec/programs.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local start, command_line, quote = programs.start, programs.command_line, programs.quote
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

  describe("smtp_send", function()
    -- A server for one message: what it was told, line by line.
    local function mail_server(script)
      local listener = assert(net.listen("127.0.0.1", 0))
      local heard = {}
      local t = task.spawn(function()
        local conn <close> = listener:accept(support.patience)
        listener:close()
        conn:write("220 test\r\n")
        local in_data = false
        for line in conn:lines() do
          heard[#heard + 1] = line
          local verb = line:match "^%u+"
          if in_data then
            in_data = line ~= "."
            if not in_data then conn:write("250 taken as 42\r\n") end
          elseif script[verb] then
            conn:write(script[verb], "\r\n")
          elseif verb == "STARTTLS" then
            conn:write("220 go ahead\r\n")
            if not conn:starttls { cert_file = file "good.pem", key_file = file "good.key" } then return end
          elseif verb == "DATA" then
            conn:write("354 go ahead\r\n")
            in_data = true
          else
            conn:write(verb == "EHLO" and "250-test\r\n250-AUTH LOGIN PLAIN\r\n250 STARTTLS\r\n" or "250 ok\r\n")
          end
        end
      end)
      return listener:address().port, heard, t
    end

    local function send(port, message, ...)
      local input = file "message"
      programs.write_file(input, message)
      local program = start(("env SMTP_USER=ann SMTP_PASSWORD=secret %s <%s"):format(
        command_line("smtp_send.lua", ...):gsub("PORT", tostring(port)), quote(input)))
      return program:wait(), program
    end

    it("goes on in TLS, logs in, and sends lines that begin with a dot, whatever ends them", function()
      local port, heard, server = mail_server {}
      local status, program = send(port, "Subject: x\n\nfirst\n.dot\r.cr\nlast", "-a", file "root.pem",
        "localhost:PORT", "a@example.org", "b@example.org", "c@example.org")
      assert.equal("", program:errors())
      assert.equal(0, status)
      assert.equal("sent: taken as 42\n", program:output())
      support.finish(server)
      assert.same({ "EHLO localhost", "STARTTLS", "EHLO localhost", "AUTH PLAIN AGFubgBzZWNyZXQ=",
        "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>", "DATA",
        "Subject: x", "", "first", "..dot", "..cr", "last", ".", "QUIT" }, heard)
    end)

    it("names the command that the server refused, and what it said", function()
      local port, _, server = mail_server { RCPT = "550-no such\r\n550 user here" }
      local status, program = send(port, "x\n", "-a", file "root.pem", "localhost:PORT", "a@x", "b@x")
      assert.equal(1, status)
      assert.equal("smtp_send: RCPT TO:<b@x>: the server said 550 no such\nuser here\n", program:errors())
      support.finish(server)
    end)

    it("sends nothing without TLS, or to a server that it cannot trust", function()
      local port, heard, server = mail_server { EHLO = "250 test" }
      local status, program = send(port, "x\n", "localhost:PORT", "a@x", "b@x")
      assert.equal(1, status)
      assert.equal("smtp_send: the server offers no TLS (-p sends without)\n", program:errors())
      support.finish(server)
      assert.same({ "EHLO localhost" }, heard)
      port, heard, server = mail_server {}
      status, program = send(port, "x\n", "localhost:PORT", "a@x", "b@x")
      assert.equal(1, status)
      assert.matches("smtp_send: STARTTLS: TLS: certificate refused", program:errors(), 1, true)
      support.finish(server)
      assert.same({ "EHLO localhost", "STARTTLS" }, heard)
    end)
  end)
end)
