-- Sends a message that it reads from standard input.
--
--     moonlet scripts/smtp_send.lua [options] HOST[:PORT] FROM TO... <message
--
-- The message has its header and body as RFC 5322 wants them. By default the connection must go on
-- in TLS (STARTTLS, RFC 3207) and the server show a certificate for HOST. Options:
--
--     -p           go on without TLS if the server does not offer it
--     -s           TLS from the first byte (port 465 unless PORT is given)
--     -a CA_FILE   whom to trust, in place of the system's roots
--
-- SMTP_USER and SMTP_PASSWORD in the environment log in (AUTH PLAIN), over TLS only.
local net = require "moonlet.net"
local task = require "moonlet.task"

local SECONDS = 60 -- for each answer

local function usage()
  io.stderr:write("usage: moonlet smtp_send.lua [-p|-s] [-a CA_FILE] HOST[:PORT] FROM TO... ",
    "<message\n")
  os.exit(1)
end

local function read_arguments()
  local options, first = {}, 1
  while arg[first] and arg[first]:find "^%-" do
    if arg[first] == "-a" and arg[first + 1] then
      options.ca_file, first = arg[first + 1], first + 2
    elseif arg[first] == "-p" or arg[first] == "-s" then
      options[arg[first]], first = true, first + 1
    else
      usage()
    end
  end
  local host, port = (arg[first] or ""):match "^([^:]+):?(%d*)$"
  if not host or #arg < first + 2 or (options["-p"] and options["-s"]) then usage() end
  options.host, options.port = host, tonumber(port) or (options["-s"] and 465 or 25)
  options.from, options.to = arg[first + 1], table.move(arg, first + 2, #arg, 1, {})
  for _, address in ipairs {options.from, table.unpack(options.to)} do
    if address:find "[%c<> ]" then usage() end
  end
  return options
end

-- What is wrong with the world ends the program with one line, by way of error() with a table.
local function fail(text, ...) error({text = text:format(...)}, 0) end

-- An answer of one line or several: its code, its lines in one text.
local function read_answer(conn, command)
  local lines = {}
  repeat
    local line, message = conn:read_line(4096)
    if not line then fail("no answer to %s: %s", command, message or "the server hung up") end
    local code, more, text = line:match "^(%d%d%d)([ -]?)(.*)$"
    if not code then fail("%s was answered by %q, which is no SMTP", command, line) end
    lines[#lines + 1] = text
    if more ~= "-" then return tonumber(code), table.concat(lines, "\n") end
  until #lines > 100
  fail("the answer to %s does not end", command)
end

local function expect(conn, class, command)
  local code, text = read_answer(conn, command)
  if code // 100 ~= class then fail("%s: the server said %d %s", command, code, text) end
  return text
end

-- Sends a command line; `shown`: what messages call it.
local function ask(conn, class, line, shown)
  local ok, message = conn:write(line, "\r\n")
  if not ok then fail("cannot send %s: %s", shown or line, message) end
  return expect(conn, class, shown or line)
end

-- What the server can do, by name; one that does not know EHLO can do nothing.
local function greet(conn)
  conn:write("EHLO localhost\r\n")
  local code, text = read_answer(conn, "EHLO")
  if code // 100 ~= 2 then
    ask(conn, 2, "HELO localhost")
    return {}
  end
  local extensions = {}
  for line in text:gmatch "[^\n]+" do
    local name, words = line:match "^(%S+)%s*(.*)$"
    if name then extensions[name:upper()] = words:upper() end
  end
  return extensions
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

local function secure(conn, options, tls, extensions)
  if options["-s"] then return extensions end
  if not extensions.STARTTLS then
    if options["-p"] then return extensions end
    fail "the server offers no TLS (-p sends without)"
  end
  ask(conn, 2, "STARTTLS")
  local ok, message = conn:starttls(tls, SECONDS)
  if not ok then fail("STARTTLS: %s", message) end
  return greet(conn)
end

local function log_in(conn, extensions)
  local user, password = os.getenv "SMTP_USER", os.getenv "SMTP_PASSWORD"
  if not user or not password then return end
  if not conn:tls_info() then fail "a password is sent over TLS only" end
  if not (extensions.AUTH or ""):find "PLAIN" then fail "the server does not offer AUTH PLAIN" end
  ask(conn, 2, "AUTH PLAIN " .. base64("\0" .. user .. "\0" .. password), "AUTH PLAIN")
end

-- RFC 5321: lines end in CRLF and neither character stands alone, or servers may see an end where
-- there is none; a line that begins with a dot gets another.
local function in_transit(message)
  message = message:gsub("\r\n?", "\n"):gsub("\n", "\r\n")
  if message:sub(-2) ~= "\r\n" then message = message .. "\r\n" end
  return (("\r\n" .. message):gsub("\r\n%.", "\r\n.."):sub(3))
end

local function send(options, message)
  local tls = {ca_file = options.ca_file}
  local conn <close>, problem = net.connect(options.host, options.port,
    {timeout = SECONDS, tls = options["-s"] and tls})
  if not conn then fail("cannot connect to %s", problem) end
  conn:set_timeout(SECONDS)
  expect(conn, 2, "connecting")
  local extensions = secure(conn, options, tls, greet(conn))
  log_in(conn, extensions)
  ask(conn, 2, "MAIL FROM:<" .. options.from .. ">")
  for _, address in ipairs(options.to) do ask(conn, 2, "RCPT TO:<" .. address .. ">") end
  ask(conn, 3, "DATA")
  local answer = ask(conn, 2, in_transit(message) .. ".", "the message")
  conn:write("QUIT\r\n") -- it has the message; whatever it says now changes nothing
  return answer
end

local options = read_arguments()
local ok, answer = pcall(send, options, io.read "a")
if not ok then
  if task.is_cancellation(answer) then error(answer, 0) end
  io.stderr:write("smtp_send: ", type(answer) == "table" and answer.text or tostring(answer), "\n")
  os.exit(1)
end
print("sent: " .. answer)
