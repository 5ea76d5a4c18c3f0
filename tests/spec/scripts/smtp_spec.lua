-- The example program that sends mail, against a server that says what the test tells it to, and aiosmtpd.

local support = dofile "tests/spec/support.lua"
local programs = dofile "tests/spec/programs.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)

local start, command_line, quote = programs.start, programs.command_line, programs.quote
local file = credentials.file

-- What the server answers by itself: a text, or a function that talks.
local usual = {
  greeting = "220 test\r\n",
  EHLO = "250-test\r\n250-AUTH LOGIN PLAIN\r\n250 STARTTLS\r\n",
  QUIT = "221 bye\r\n",
}

function usual.STARTTLS(conn)
  conn:write "220 go ahead\r\n"
  return (conn:starttls(credentials.shows "good"))
end

function usual.DATA(conn, heard)
  conn:write "354 go ahead\r\n"
  repeat
    local line = conn:read_line()
    heard[#heard + 1] = line
  until not line or line == "."
  return conn:write "250 taken as 42\r\n"
end

-- Says what the script has for a word, or else what is usual; false when the connection is of no more use.
local function answer(conn, script, verb, heard)
  local reply = script[verb] or usual[verb] or "250 ok\r\n"
  if type(reply) == "string" then return conn:write(reply) end
  return reply(conn, heard)
end

-- A server for one message: its port, the lines that it was told, its task. script.tls: a context.
local function mail_server(script, host)
  local listener = assert(net.listen(host or "127.0.0.1", 0, { tls = script.tls }))
  local heard = {}
  local server = task.spawn(function()
    local conn <close> = listener:accept(support.patience)
    listener:close()
    local goes_on = answer(conn, script, "greeting", heard)
    while goes_on do
      local line = conn:read_line()
      if not line then break end
      heard[#heard + 1] = line
      goes_on = answer(conn, script, line:match "^%u*", heard)
    end
  end)
  return listener:address().port, heard, server
end

-- Sends a message; `environment`: of the program. Returns its exit status and the program.
local function start_sending(environment, message, ...)
  programs.write_file(file "message", message)
  return start(("env -u SMTP_USER -u SMTP_PASSWORD %s %s <%s"):format(environment,
    command_line("smtp_send.lua", ...), quote(file "message")))
end

local LOGIN = "SMTP_USER=ann SMTP_PASSWORD=secret"
local PLAIN = "AUTH PLAIN AGFubgBzZWNyZXQ="
local WE = "EHLO [127.0.0.1]"

-- A message between a@x and b@x, with the options given, to a server with this script. Returns what the program
-- printed, or "failed: " and its complaint, and what the server heard.
local function send(script, options, environment, message)
  local port, heard, server = mail_server(script, script.host)
  local words = { table.unpack(options) }
  table.move({ (script.name or "localhost:") .. port, "a@x", "b@x" }, 1, 3, #words + 1, words)
  local program = start_sending(environment or "", message or "x\n", table.unpack(words))
  local status = program:wait()
  support.finish(server)
  assert.equal(status == 0 and "" or "smtp_send: ", program:errors():sub(1, 11))
  if status == 0 then return program:output(), heard end
  assert.equal(1, status)
  assert.equal("", program:output())
  return "failed: " .. program:errors():sub(12), heard
end

local SENT = "sent: taken as 42\n"

-- What is heard of a whole message, after a beginning.
local function whole(...)
  local lines = { ... }
  local rest = { "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "x", ".", "QUIT" }
  return table.move(rest, 1, #rest, #lines + 1, lines)
end

describe("smtp_send", function()
  setup(function() credentials.make(programs.open_directory()) end)

  after_each(programs.stop_all)

  teardown(programs.remove_directory)

  local function trusting(...) return { "-a", file "root.pem", ... } end

  it("prints its usage and exits 1 when the arguments are wrong", function()
    local addresses = { "a@x", "b@x" }
    local wrong = { {}, { "localhost" }, { "localhost", "a@x" }, { "-x", "localhost", "a@x", "b@x" }, { "-a" },
      { "-s", "-p", "localhost", "a@x", "b@x" }, { "-s", "-P", "localhost", "a@x", "b@x" },
      { "-t", "0", "localhost", "a@x", "b@x" }, { "-t", "soon", "localhost", "a@x", "b@x" },
      { "-n", "two words", "localhost", "a@x", "b@x" }, { "-n", "a\r\nDATA", "localhost", "a@x", "b@x" },
      { "localhost", "a@x", "" }, { "localhost", "a>x", "b@x" }, { "localhost", "a@x", "b@x", "c@x\r\nDATA" },
      { "localhost", "a@x", "b c@x" }, { "localhost", "a@x", "b\xc3\xa9@x" } }
    for _, server in ipairs { "", ":25", "host:", "host:0", "host:65536", "host:x", "::1", "[::1", "[::1]25",
      "[::1]:", "[host]:25", "host:25:25" } do
      table.insert(wrong, { server, table.unpack(addresses) })
    end
    programs.refuse_words("smtp_send.lua", wrong)
  end)

  it("says why it cannot connect", function()
    local port = support.free_port()
    local program = start_sending("", "x\n", "127.0.0.1:" .. port, "a@x", "b@x")
    assert.equal(1, program:wait())
    assert.equal(("smtp_send: cannot connect to 127.0.0.1:%d: Connection refused\n"):format(port),
      program:errors())
  end)

  it("goes on in TLS, logs in, and sends to several", function()
    local port, heard, server = mail_server {}
    local program = start_sending(LOGIN, "x\n", "-a", file "root.pem", "localhost:" .. port,
      "a@example.org", "b@example.org", "c@example.org")
    assert.equal(0, program:wait(), program:errors())
    assert.equal("", program:errors())
    assert.equal(SENT, program:output())
    support.finish(server)
    assert.same({ WE, "STARTTLS", WE, PLAIN, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>",
      "RCPT TO:<c@example.org>", "DATA", "x", ".", "QUIT" }, heard)
  end)

  it("doubles the dot that begins a line, whatever ends the line before", function()
    local output, heard = send({}, trusting(), "", "Subject: x\n\nfirst\n.dot\r.cr\n\r..\n.\r\n.\nlast")
    assert.equal(SENT, output)
    assert.same({ WE, "STARTTLS", WE, "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "Subject: x", "", "first",
      "..dot", "..cr", "", "...", "..", "..", "last", ".", "QUIT" }, heard)
  end)

  it("sends an empty message, and one of many blocks", function()
    local _, heard = send({}, trusting(), "", "")
    assert.same({ "DATA", "", ".", "QUIT" }, { table.unpack(heard, 6) })
    local line = ("."):rep(99)
    _, heard = send({}, trusting(), "", (line .. "\n"):rep(3000))
    assert.equal(6 + 3000 + 2, #heard)
    for i = 7, 3006 do assert(heard[i] == "." .. line, i) end
  end)

  it("speaks TLS from the first byte when told so", function()
    local context = net.tls(credentials.shows "good")
    local output, heard = send({ tls = context }, trusting "-s", LOGIN)
    assert.equal(SENT, output)
    assert.same(whole(WE, PLAIN), heard)
  end)

  it("takes an IPv6 address in brackets, and introduces itself as one", function()
    local listener <close> = net.listen("::1", 0)
    if not listener then pending "no IPv6 here" end
    listener:close()
    local output, heard = send({ host = "::1", name = "[::1]:", EHLO = "250 test\r\n" }, { "-p" })
    assert.equal(SENT, output)
    assert.same(whole "EHLO [IPv6:::1]", heard)
  end)

  it("introduces itself as it is told, again after STARTTLS", function()
    local _, heard = send({}, trusting("-n", "me.example"))
    assert.same(whole("EHLO me.example", "STARTTLS", "EHLO me.example"), heard)
  end)

  it("says HELO to a server that does not know EHLO, and to no other", function()
    local output, heard = send({ EHLO = "502 what?\r\n" }, { "-p" })
    assert.equal(SENT, output)
    assert.same(whole(WE, "HELO [127.0.0.1]"), heard)
    output, heard = send({ EHLO = "421 too busy\r\n" }, { "-p" })
    assert.equal("failed: EHLO: the server said 421 too busy\n", output)
    assert.same({ WE, "QUIT" }, heard)
    output, heard = send({ EHLO = "502 what?\r\n" }, {}, LOGIN)
    assert.equal("failed: the server offers no TLS (-p sends without)\n", output)
    assert.same({ WE, "HELO [127.0.0.1]", "QUIT" }, heard)
  end)

  it("names the command that the server refused, and what it said, and takes its leave", function()
    local output, heard = send({ RCPT = "550-no such\r\n550 user here\r\n" }, trusting())
    assert.equal("failed: RCPT TO:<b@x>: the server said 550 no such / user here\n", output)
    assert.same({ WE, "STARTTLS", WE, "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "QUIT" }, heard)
    output, heard = send({ greeting = "554 not you\r\n" }, trusting())
    assert.equal("failed: the greeting: the server said 554 not you\n", output)
    assert.same({ "QUIT" }, heard)
  end)

  it("tells why a server hung up in the middle of the message", function()
    local function DATA(conn)
      conn:write "354 go ahead\r\n"
      conn:read_some(10)
      conn:write "552 too big\r\n"
    end
    local output = send({ EHLO = "250 test\r\n", DATA = DATA }, { "-p" }, "", ("x"):rep(support.more_than_buffers()))
    assert.equal("failed: the message: the server said 552 too big\n", output)
  end)

  -- An escape sequence of a refusal reached the terminal.
  it("shows control bytes of the server, and obeys none", function()
    local output = send({ MAIL = "550-\27[2J\7a\rb\r\n550 \x9b\xc2\x9b\r\n" }, trusting())
    assert.equal("failed: MAIL FROM:<a@x>: the server said 550 \\x1b[2J\\x07a\\x0db / \\x9b\\xc2\\x9b\n", output)
    output = send({ greeting = "\27]0;x\7\r\n" }, trusting())
    assert.equal("failed: the greeting: this is no SMTP: \\x1b]0;x\\x07\\x0d\\x0a\n", output)
    local function DATA(conn, heard)
      usual.DATA({ write = function(_, line) return line:find "^354" and conn:write(line) end,
        read_line = function() return conn:read_line() end }, heard)
      return conn:write "250 \27[1mtaken\r\n"
    end
    assert.equal("sent: \\x1b[1mtaken\n", (send({ DATA = DATA }, trusting())))
  end)

  it("takes only whole answers, and for each command one", function()
    local mistakes = { ["250-a\r\n550 b\r\n"] = "this is no SMTP: 550 b", ["2500 ok\r\n"] = "this is no SMTP: 2500 ok",
      ["hello\r\n"] = "this is no SMTP: hello", ["150 wait\r\n"] = "this is no SMTP: 150 wait" }
    for text, complaint in pairs(mistakes) do
      local output, heard = send({ EHLO = text }, trusting())
      assert.equal("failed: EHLO: " .. complaint .. "\\x0d\\x0a\n", output)
      assert.same({ WE }, heard)
    end
    assert.equal("failed: EHLO: the answer does not end\n",
      (send({ EHLO = ("250-x\r\n"):rep(200) }, trusting())))
    for _, text in ipairs { "250", "250 o", "250-test\r\n", "" } do
      local output = send({ EHLO = function(conn) conn:write(text); conn:finish(support.patience) end }, trusting())
      assert.matches("^failed: EHLO: ", output)
    end
    assert.equal("failed: DATA: the server said 250 ok\n", (send({ DATA = "250 ok\r\n" }, trusting())))
    assert.equal(SENT, (send({ MAIL = "250\r\n", RCPT = "251-a\n251 b\n" }, trusting())))
  end)

  describe("without TLS", function()
    it("sends nothing, or to a server that it cannot trust", function()
      local output, heard = send({ EHLO = "250 test\r\n" }, trusting())
      assert.equal("failed: the server offers no TLS (-p sends without)\n", output)
      assert.same({ WE, "QUIT" }, heard)
      output, heard = send({}, {}, LOGIN)
      assert.matches("failed: STARTTLS: TLS: certificate refused", output, 1, true)
      assert.same({ WE, "STARTTLS" }, heard)
    end)

    it("sends a password only when told so", function()
      local plain = { EHLO = "250-test\r\n250 AUTH PLAIN\r\n" }
      local output, heard = send(plain, { "-p" }, LOGIN)
      assert.equal("failed: a password is sent over TLS only (-P sends it without)\n", output)
      assert.same({ WE, "QUIT" }, heard)
      output, heard = send(plain, { "-P" }, LOGIN)
      assert.equal(SENT, output)
      assert.same(whole(WE, PLAIN), heard)
    end)

    it("does not go on when STARTTLS is offered and refused", function()
      for _, options in ipairs { {}, { "-p" }, { "-P" } } do
        local output, heard = send({ STARTTLS = "454 not now\r\n" }, options, LOGIN)
        assert.equal("failed: STARTTLS: the server said 454 not now\n", output)
        assert.same({ WE, "STARTTLS", "QUIT" }, heard)
      end
    end)

    -- Whoever sits on the way appends answers to that of STARTTLS: a program that keeps them takes them for
    -- the server's, said in TLS (CVE-2011-0411, seen from the client).
    it("does not believe what came after the answer to STARTTLS", function()
      local injected = "250-test\r\n250 AUTH PLAIN\r\n235 welcome\r\n"
      for _, pieces in ipairs { { "220 go ahead\r\n" .. injected }, { "220 go ahead\r\n", injected } } do
        local function STARTTLS(conn)
          for _, piece in ipairs(pieces) do conn:write(piece) end
          return (conn:starttls(credentials.shows "good"))
        end
        local output, heard = send({ STARTTLS = STARTTLS }, trusting(), LOGIN)
        assert.matches("^failed: STARTTLS: %S+", output)
        assert.same({ WE, "STARTTLS" }, heard)
      end
    end)

    it("forgets what the server could do before TLS", function()
      local function EHLO(conn)
        return conn:write(conn:tls_info() and "250 test\r\n" or usual.EHLO)
      end
      local output, heard = send({ EHLO = EHLO }, trusting(), LOGIN)
      assert.equal("failed: the server offers neither AUTH PLAIN nor AUTH LOGIN\n", output)
      assert.same({ WE, "STARTTLS", WE, "QUIT" }, heard)
    end)
  end)

  describe("with a password", function()
    local function offering(line)
      local script = { EHLO = ("250-test\r\n250-%s\r\n250 STARTTLS\r\n"):format(line) }
      function script.AUTH(conn, heard)
        if heard[#heard] ~= "AUTH LOGIN" then return conn:write "235 welcome\r\n" end
        for _, question in ipairs { "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n" } do
          conn:write(question)
          heard[#heard + 1] = conn:read_line()
        end
        return conn:write(script.outcome or "235 welcome\r\n")
      end
      return script
    end

    it("logs in with AUTH LOGIN where PLAIN is not a word of the server's", function()
      for _, line in ipairs { "AUTH LOGIN", "AUTH PLAINER LOGIN XPLAIN", "auth login", "AUTH CRAM-MD5 LOGIN" } do
        local output, heard = send(offering(line), trusting(), LOGIN)
        assert.equal(SENT, output)
        assert.same(whole(WE, "STARTTLS", WE, "AUTH LOGIN", "YW5u", "c2VjcmV0"), heard)
      end
    end)

    it("logs in not at all where neither is", function()
      for _, line in ipairs { "AUTH CRAM-MD5", "AUTH PLAINER", "XAUTH PLAIN LOGIN", "AUTHOR PLAIN", "AUTH" } do
        local output, heard = send(offering(line), trusting(), LOGIN)
        assert.equal("failed: the server offers neither AUTH PLAIN nor AUTH LOGIN\n", output)
        assert.same({ WE, "STARTTLS", WE, "QUIT" }, heard)
      end
    end)

    it("says what was refused, and shows no password", function()
      local script = offering "AUTH LOGIN"
      script.outcome = "535 wrong\r\n"
      local output, heard = send(script, trusting(), LOGIN)
      assert.equal("failed: AUTH LOGIN, the password: the server said 535 wrong\n", output)
      assert.equal("QUIT", heard[#heard])
      assert.equal("failed: AUTH PLAIN: the server said 535 wrong\n",
        (send({ AUTH = "535 wrong\r\n" }, trusting(), LOGIN)))
    end)

    it("sends any bytes in base64", function()
      for size = 1, 9 do
        local password = ("\xff\xfe>?~"):rep(2):sub(1, size)
        local _, heard = send({}, trusting(), "SMTP_USER=u SMTP_PASSWORD=" .. quote(password))
        local coded = programs.run(("printf '\\0u\\0%%s' %s | openssl base64 -A"):format(quote(password)))
        assert.equal("AUTH PLAIN " .. coded, heard[4])
      end
    end)

    it("is told which of the two is missing, before anything is sent", function()
      for environment, complaint in pairs {
        ["SMTP_USER=ann"] = "SMTP_USER is set, but SMTP_PASSWORD is not",
        ["SMTP_USER=ann SMTP_PASSWORD="] = "SMTP_USER is set, but SMTP_PASSWORD is not",
        ["SMTP_PASSWORD=secret"] = "SMTP_PASSWORD is set, but SMTP_USER is not",
      } do
        local program = start_sending(environment, "x\n", "localhost:" .. support.free_port(), "a@x", "b@x")
        assert.equal(1, program:wait())
        assert.equal("smtp_send: " .. complaint .. "\n", program:errors())
      end
      local _, heard = send({}, trusting(), "SMTP_USER= SMTP_PASSWORD=")
      assert.same(whole(WE, "STARTTLS", WE), heard)
    end)
  end)

  describe("with bytes above 127", function()
    it("asks for 8BITMIME where it is offered, and gives up where it is not", function()
      local eight = "x\n\nh\xc3\xa9\n"
      local offer = { EHLO = "250-test\r\n250 8bitmime\r\n" }
      local output, heard = send(offer, { "-p" }, "", eight)
      assert.equal(SENT, output)
      assert.same({ WE, "MAIL FROM:<a@x> BODY=8BITMIME", "RCPT TO:<b@x>", "DATA", "x", "", "h\xc3\xa9", ".",
        "QUIT" }, heard)
      output, heard = send(offer, { "-p" })
      assert.equal(SENT, output)
      assert.same(whole(WE), heard)
      -- The first line is the server's name, whatever it looks like.
      output, heard = send({ EHLO = "250-8BITMIME\r\n250 SIZE\r\n" }, { "-p" }, "", eight)
      assert.equal("failed: the message has bytes above 127, and the server does not take them (8BITMIME)\n", output)
      assert.same({ WE, "QUIT" }, heard)
    end)
  end)

  describe("with a time limit", function()
    -- The limit was that of each line: a server that drips lines had all the time of the world.
    it("gives up on an answer that comes in drops", function()
      local function greeting(conn)
        while conn:write "220-x\r\n" do task.sleep(0.02) end
      end
      assert.equal("failed: the greeting: deadline passed\n",
        (send({ greeting = greeting }, { "-t", "1" })))
    end)

    it("gives up on a server that falls silent", function()
      local function greeting(conn) conn:read_line() end
      assert.equal("failed: the greeting: deadline passed\n",
        (send({ greeting = greeting }, { "-t", "0.5" })))
    end)

    it("gives up on a server that takes no more of the message", function()
      local program
      local function DATA(conn)
        conn:write "354 go ahead\r\n"
        support.eventually(function() return program:status() end)
      end
      local port, _, server = mail_server { DATA = DATA }
      program = start_sending("", ("x"):rep(support.more_than_buffers()), "-p", "-t", "2", "-a",
        file "root.pem", "localhost:" .. port, "a@x", "b@x")
      assert.equal(1, program:wait())
      assert.equal("smtp_send: the message: timeout\n", program:errors())
      support.finish(server)
    end)

    it("has sent the message even if the server does not say goodbye", function()
      local function QUIT(conn) conn:read_line() end
      assert.equal(SENT, (send({ QUIT = QUIT, EHLO = "250 test\r\n" }, { "-p", "-t", "2" })))
      assert.equal(SENT, (send({ QUIT = function() end }, trusting())))
    end)
  end)

  it("ends with status 143, and no more words, at SIGTERM", function()
    local is_there = false
    local port, _, server = mail_server { greeting = function(conn)
      is_there = true
      conn:read_line()
    end }
    local program = start_sending("", "x\n", "localhost:" .. port, "a@x", "b@x")
    support.eventually(function() return is_there end)
    program:kill "TERM"
    program:wait()
    assert.equal("", program:errors())
    assert.equal(143, program:status())
    support.finish(server)
  end)

  it("is understood by aiosmtpd", function()
    if not programs.installed "aiosmtpd" then pending "aiosmtpd is not installed" end
    local port = support.free_port()
    local server = start(("aiosmtpd -n -l 127.0.0.1:%d --tlscert %s --tlskey %s -c aiosmtpd.handlers.Debugging stdout")
      :format(port, quote(file "good.pem"), quote(file "good.key")))
    programs.eventually("aiosmtpd", function()
      local conn <close> = net.connect("127.0.0.1", port)
      return conn or server:status()
    end)
    local program = start_sending("", "Subject: x\n\n.dot\nh\xc3\xa9llo\n", "-a", file "root.pem",
      "localhost:" .. port, "a@x", "b@x", "c@x")
    assert.equal(0, program:wait(), program:errors())
    assert.matches("^sent: ", program:output())
    server:kill "TERM"
    server:wait()
    assert.matches("mail options: ['BODY=8BITMIME']", server:output(), 1, true)
    assert.matches("\n.dot\n", server:output(), 1, true)
  end)
end)
