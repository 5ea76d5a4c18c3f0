-- Sends a message that it reads from standard input.
--
--     moonlet scripts/smtp_send.lua [options] SERVER FROM TO... <message
--
-- SERVER is HOST, HOST:PORT or [IPV6]:PORT; the message has its header and body as RFC 5322 wants
-- them. The connection must go on in TLS (STARTTLS, RFC 3207) and the server show a certificate for
-- HOST, unless told otherwise:
--
--     -s           TLS from the first byte (port 465 unless PORT is given)
--     -p           go on without TLS if the server does not offer it; never with a password
--     -P           the same, also with a password
--     -a CA_FILE   whom to trust, in place of the system's roots
--     -n NAME      how to introduce oneself         (the address of this end, as [127.0.0.1])
--     -t SECONDS   the longest wait for an answer   (what RFC 5321 says: two to ten minutes)
--
-- SMTP_USER and SMTP_PASSWORD in the environment log in (AUTH PLAIN or LOGIN). If one recipient is
-- refused, nobody gets the message.
local net = require "moonlet.net"
local task = require "moonlet.task"

local MOST_LINES, LONGEST_LINE = 100, 4096 -- of an answer; RFC 5321 asks for 512 bytes
local BLOCK = 65536 -- bytes of a message that are sent under one time limit

-- Seconds to wait for an answer (RFC 5321, 4.5.3.2; of the connection and the last words it says
-- nothing).
local USUAL_SECONDS = 300
local seconds = {connecting = 60, DATA = 120, ["a block"] = 180, ["the message"] = 600,
  ["last words"] = 10}

local options = {t = math.huge}

local function usage()
  io.stderr:write("usage: moonlet smtp_send.lua [-s|-p|-P] [-a CA_FILE] [-n NAME] [-t SECONDS] ",
    "SERVER FROM TO... <message\n")
  os.exit(1)
end

-- What is wrong with the world ends the program with one line, by way of error() with a table.
local function fail(text, ...) error({text = text:format(...)}, 0) end

-- A terminal takes some bytes for orders, and what we print may have come from the server.
local function visible(text)
  return (text:gsub("[^\x20-\x7e]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

local function limit(what) return math.min(options.t, seconds[what] or USUAL_SECONDS) end

---- What the user wants. --------------------------------------------------------------------------

local function read_options()
  local first = 1
  while arg[first] and arg[first]:find "^%-" do
    local name = arg[first]:match "^%-([spPant])$"
    local takes_value = name and name:find "[ant]"
    local value = not takes_value or arg[first + 1]
    if not name or not value then usage() end
    options[name], first = value, first + (takes_value and 2 or 1)
  end
  options.t = tonumber(options.t)
  if not options.t or options.t <= 0 or options.s and (options.p or options.P) then usage() end
  return first
end

local function read_server(text)
  local host, rest = text:match "^%[(%x*:[%w:.%%]+)%](.*)$"
  if not host then host, rest = text:match "^([^:%[%]]+)(.*)$" end
  local port = rest == "" and (options.s and 465 or 25) or tonumber(rest and rest:match "^:(%d+)$")
  if not port or port < 1 or port > 65535 then usage() end
  return host, port
end

-- Nothing that ends the path, or the line that it stands in.
local function is_address(text) return not text:find "[^\x21-\x7e]" and not text:find "[<>]" end

local function read_arguments()
  local first = read_options()
  if #arg < first + 2 or options.n and not options.n:find "^[\x21-\x7e]+$" then usage() end
  options.host, options.port = read_server(arg[first])
  options.from, options.to = arg[first + 1], table.move(arg, first + 2, #arg, 1, {})
  if not is_address(options.from) then usage() end -- empty: the sender of reports
  for _, address in ipairs(options.to) do
    if address == "" or not is_address(address) then usage() end
  end
end

-- A name and a password, or neither; an empty one is none.
local function read_environment()
  for _, name in ipairs {"SMTP_USER", "SMTP_PASSWORD"} do
    local value = os.getenv(name)
    options[name] = value ~= "" and value or nil
  end
  if options.SMTP_USER and not options.SMTP_PASSWORD then
    fail "SMTP_USER is set, but SMTP_PASSWORD is not"
  elseif options.SMTP_PASSWORD and not options.SMTP_USER then
    fail "SMTP_PASSWORD is set, but SMTP_USER is not"
  end
end

---- Commands and answers. -------------------------------------------------------------------------

-- An answer of one line or several: its code and a list of their texts; or nil and what is wrong.
local function read_answer(conn)
  local lines, code = {}, nil
  for i = 1, MOST_LINES do
    local line, message = conn:read_until("\n", LONGEST_LINE)
    if not line then return nil, message or "the server hung up" end
    local digits, mark, text = line:match "^([2-5]%d%d)([ -]?)(.-)\r?\n$"
    code = code or digits
    if not digits or digits ~= code or mark == "" and text ~= "" then
      return nil, "this is no SMTP: " .. line
    end
    lines[i] = text
    if mark ~= "-" then return tonumber(code), lines end
  end
  return nil, "the answer does not end"
end

-- Takes leave. The outcome is known already: whatever the server says now changes nothing.
local function quit(conn)
  task.timeout(limit "last words", function()
    if conn:write "QUIT\r\n" and read_answer(conn) then conn:shutdown() end
  end)
end

local function give_up(conn, text, ...)
  quit(conn)
  fail(text, ...)
end

-- The lines of an answer, which must be of a class (its code's first digit). `what`: what it is an
-- answer to. A refusal is followed by QUIT; in the middle of something QUIT might be taken for it.
local function expect(conn, class, what, code, lines)
  if not code then fail("%s: %s", what, lines) end
  if code // 100 == class then return lines end
  if code >= 400 then quit(conn) end
  fail("%s: the server said %d %s", what, code, table.concat(lines, " / "))
end

-- Sends in blocks, each with its own time limit.
local function write(conn, text)
  for i = 1, #text, BLOCK do
    local ok, message = conn:write(text:sub(i, i + BLOCK - 1))
    if not ok then return nil, message end
  end
  return true
end

-- Sends a line; returns the answer's code and lines, or nil and a message. A server that hangs up
-- may have said why.
local function ask(conn, line, what)
  local sent, problem = write(conn, line .. "\r\n")
  local code, lines = task.timeout(limit(sent and what or "last words"), read_answer, conn)
  if sent or code and code >= 400 then return code, lines end
  return nil, problem
end

-- Sends a line; returns the lines of the answer, of the class that it must have.
local function command(conn, class, line, what)
  what = what or line
  return expect(conn, class, what, ask(conn, line, what))
end

---- One message. ----------------------------------------------------------------------------------

-- Who we are: an address as RFC 5321 writes it (4.1.3). A host's own name seldom means anything to
-- others.
local function own_name(conn)
  if options.n then return options.n end
  local address = conn:address()
  return ("[%s%s]"):format(address.family == "inet6" and "IPv6:" or "",
    (address.host:gsub("%%.*", "")))
end

-- What the server can do: for each name the set of words after it. One that does not know EHLO can
-- do nothing.
local function greet(conn)
  local us = own_name(conn)
  local code, lines = ask(conn, "EHLO " .. us, "EHLO")
  if code and code // 100 == 5 then
    command(conn, 2, "HELO " .. us, "HELO")
    return {}
  end
  lines = expect(conn, 2, "EHLO", code, lines)
  local extensions = {}
  for i = 2, #lines do -- the first line is its name
    local name, rest = lines[i]:upper():match "^(%S*)(.*)$"
    extensions[name] = {}
    for word in rest:gmatch "%S+" do extensions[name][word] = true end
  end
  return extensions
end

-- Goes on in TLS, where all that was said before counts for nothing. An answer that came ahead of
-- the handshake is anybody's: the stream refuses it.
local function secure(conn, extensions)
  if options.s then return extensions end
  if not extensions.STARTTLS then
    if options.p or options.P then return extensions end
    give_up(conn, "the server offers no TLS (-p sends without)")
  end
  command(conn, 2, "STARTTLS")
  local ok, message, code = conn:starttls({ca_file = options.a}, limit "STARTTLS")
  if code == "EPROTO" then message = "more than the answer came before TLS" end
  if not ok then fail("STARTTLS: %s", message) end
  return greet(conn)
end

local function base64(bytes)
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  return (bytes:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local number = a << 16 | (b or 0) << 8 | (c or 0)
    local text = {}
    for i = 1, 4 do
      local digit = number >> (24 - 6 * i) & 63
      text[i] = i <= #group + 1 and digits:sub(digit + 1, digit + 1) or "="
    end
    return table.concat(text)
  end))
end

local function log_in(conn, extensions)
  local user, password = options.SMTP_USER, options.SMTP_PASSWORD
  if not user then return end
  if not conn:tls_info() and not options.P then
    give_up(conn, "a password is sent over TLS only (-P sends it without)")
  end
  local ways = extensions.AUTH or {}
  if ways.PLAIN then
    command(conn, 2, "AUTH PLAIN " .. base64("\0" .. user .. "\0" .. password), "AUTH PLAIN")
  elseif ways.LOGIN then
    command(conn, 3, "AUTH LOGIN")
    command(conn, 3, base64(user), "AUTH LOGIN, the user")
    command(conn, 2, base64(password), "AUTH LOGIN, the password")
  else
    give_up(conn, "the server offers neither AUTH PLAIN nor AUTH LOGIN")
  end
end

-- What MAIL FROM has to say about the message. Without 8BITMIME (RFC 6152) a server may clear the
-- eighth bit, or refuse.
local function parameters(conn, extensions, message)
  if not message:find "[\x80-\xff]" then return "" end
  if extensions["8BITMIME"] then return " BODY=8BITMIME" end
  give_up(conn, "the message has bytes above 127, and the server does not take them (8BITMIME)")
end

-- RFC 5321: lines end in CRLF and neither character stands alone, or servers may see an end where
-- there is none; a line that begins with a dot gets another.
local function in_transit(message)
  message = message:gsub("\r\n?", "\n"):gsub("\n", "\r\n")
  if message:sub(-2) ~= "\r\n" then message = message .. "\r\n" end
  return (("\r\n" .. message):gsub("\r\n%.", "\r\n.."):sub(3))
end

local function send(message)
  local conn <close>, problem = net.connect(options.host, options.port,
    {timeout = limit "connecting", tls = options.s and {ca_file = options.a}})
  if not conn then fail("cannot connect to %s", problem) end
  conn:set_timeout(limit "a block", "write")
  expect(conn, 2, "the greeting", task.timeout(limit "the greeting", read_answer, conn))
  local extensions = secure(conn, greet(conn))
  log_in(conn, extensions)
  command(conn, 2, "MAIL FROM:<" .. options.from .. ">" .. parameters(conn, extensions, message))
  for _, address in ipairs(options.to) do command(conn, 2, "RCPT TO:<" .. address .. ">") end
  command(conn, 3, "DATA")
  local lines = command(conn, 2, in_transit(message) .. ".", "the message")
  quit(conn)
  return table.concat(lines, " / ")
end

read_arguments()
local ok, answer = pcall(function()
  read_environment()
  return send(io.read "a")
end)
if not ok then
  answer = type(answer) == "table" and answer.text or tostring(answer)
  io.stderr:write("smtp_send: ", visible(answer), "\n")
  os.exit(1)
end
print("sent: " .. visible(answer))
