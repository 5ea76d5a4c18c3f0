-- Sends back over TLS whatever it is sent, and says who connected and how.
--
--     moonlet scripts/tls_echo.lua [-a CA_FILE] CERT KEY [HOST] [PORT]        (127.0.0.1 7443)
--
-- CERT and KEY: files in PEM form. With -a clients are asked for a certificate, too: one that
-- CA_FILE vouches for is told, none is fine, any other is refused. Try it with `openssl s_client
-- -quiet -connect 127.0.0.1:7443`; end it with Ctrl-C.
local net = require "moonlet.net"

local HANDSHAKE_SECONDS = 10

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local first, ca_file = 1, nil
if arg[1] == "-a" then first, ca_file = 3, arg[2] end
local cert_file, key_file = arg[first], arg[first + 1]
local host, port = arg[first + 2] or "127.0.0.1", port_number(arg[first + 3] or 7443)
if #arg > first + 3 or not key_file or cert_file:find "^%-" or not port then
  io.stderr:write("usage: moonlet tls_echo.lua [-a CA_FILE] CERT KEY [HOST] [PORT]\n")
  os.exit(1)
end

local function fail(...)
  io.stderr:write("tls_echo: ", ...)
  io.stderr:write("\n")
  os.exit(1)
end

local function who(info)
  local certificate = info.peer and info.peer.subject or "no certificate"
  return string.format("%s %s, %s", info.version, info.cipher, certificate)
end

local function echo(conn)
  local peer, bytes = conn:peer(), 0
  local safe, problem = conn:handshake(HANDSHAKE_SECONDS)
  if not safe then return print(peer, problem) end
  print(peer, who(conn:tls_info()))
  while true do
    local data, message = conn:read_some()
    if not data then return print(peer, bytes .. " bytes", message or "end") end
    local written, reason = conn:write(data)
    if not written then return print(peer, bytes .. " bytes", reason) end
    bytes = bytes + #data
  end
end

local context, reason = net.tls {cert_file = cert_file, key_file = key_file, ca_file = ca_file,
  verify = ca_file and "optional"}
if not context then fail(reason) end
local server <close>, message = net.listen(host, port, {tls = context})
if not server then fail("cannot listen on ", message) end
io.stdout:setvbuf "line"
print("listening on " .. tostring(server:address()))

server:serve(echo)
