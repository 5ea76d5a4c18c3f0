-- A SOCKS 5 proxy (RFC 1928, RFC 1929): CONNECT to IPv4, IPv6 and named hosts, full duplex.
--
--     moonlet scripts/socks5_proxy.lua [OPTION...] [HOST] [PORT]        (127.0.0.1 1080)
--
--     -u USER:PASSWORD   asks for them; without it everybody is served who can connect
--     -m MAX             connections at a time; further ones wait (1000)
--     -t SECONDS         for the client to say what it wants, and for the connection to it (10)
--     -i SECONDS         without traffic in either direction: closed, at most at twice that (300)
--
-- Try it with `curl --socks5-hostname 127.0.0.1:1080 http://example.org/`. When one side ends its
-- output the other side is told so and may still answer.
local net = require "moonlet.net"
local task = require "moonlet.task"

local options = {m = 1000, t = 10, i = 300}

local function usage()
  io.stderr:write "usage: moonlet socks5_proxy.lua [-u USER:PASSWORD] [-m MAX] [-t SECONDS] "
  io.stderr:write "[-i SECONDS] [HOST] [PORT]\n"
  os.exit(1)
end

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local function read_arguments()
  local first = 1
  while arg[first] and arg[first]:find "^%-" do
    local name, value = arg[first]:match "^%-([umti])$", arg[first + 1]
    if name ~= "u" then value = tonumber(value) end
    if not name or not value or name ~= "u" and value <= 0 then usage() end
    options[name] = value
    first = first + 2
  end
  local host, port = arg[first] or "127.0.0.1", port_number(arg[first + 1] or 1080)
  options.m = math.tointeger(options.m)
  if #arg > first + 1 or not (port and options.m) then usage() end
  return host, port
end

local host, port = read_arguments()
local user, password
if options.u then
  user, password = options.u:match "^([^:]+):(.+)$"
  if not user then usage() end
end

---- What clients say. Each function returns what it read, or nil and what is wrong. ---------------

local NO_METHOD, WITHOUT_PASSWORD, WITH_PASSWORD = "\xff", "\0", "\2"

-- A string after its length, in one byte.
local function read_counted(conn)
  local length = conn:read_exactly(1)
  if not length or length == "\0" then return length and "" end
  return conn:read_exactly(length:byte())
end

local function agree_on_method(conn)
  local version = conn:read_exactly(1)
  if version ~= "\5" then return nil, version and "does not speak SOCKS 5" or "says nothing" end
  local methods, wanted = read_counted(conn), user and WITH_PASSWORD or WITHOUT_PASSWORD
  if methods and methods:find(wanted, 1, true) then return conn:write("\5", wanted) end
  conn:write("\5", NO_METHOD)
  return nil, "offers no method that we take"
end

local function check_password(conn)
  if conn:read_exactly(1) ~= "\1" then return nil, "sends no password" end
  local its_user, its_password = read_counted(conn), read_counted(conn)
  if its_user == user and its_password == password then return conn:write "\1\0" end
  conn:write "\1\1"
  return nil, "wrong user or password"
end

-- Nothing that means more to net.connect() than a host.
local function is_host_name(text)
  return text:find "^[%w._-]+$" or text:find "^[%x:.]+$"
end

local readers = {} -- of an address, by its type

readers["\1"] = function(conn)
  local bytes = conn:read_exactly(4)
  return bytes and table.concat({bytes:byte(1, 4)}, ".")
end

readers["\3"] = read_counted

readers["\4"] = function(conn)
  local bytes = conn:read_exactly(16)
  return bytes and ("%x:%x:%x:%x:%x:%x:%x:%x"):format(string.unpack(">HHHHHHHH", bytes))
end

---- What we answer. -------------------------------------------------------------------------------

local GENERAL_FAILURE, BAD_COMMAND, BAD_ADDRESS_TYPE = 1, 7, 8
local reply_codes = {ENETUNREACH = 3, EHOSTUNREACH = 4, ENOTFOUND = 4, ETIMEDOUT = 4,
  ECONNREFUSED = 5}

-- The eight numbers of an IPv6 address, packed.
local function pack_ipv6(text)
  text = text:gsub("%%.*", ""):gsub("(%d+)%.(%d+)%.(%d+)%.(%d+)$", function(a, b, c, d)
    return ("%x:%x"):format(a << 8 | b, c << 8 | d)
  end)
  local function pack(part)
    return (part:gsub("%x+:?", function(number)
      return string.pack(">H", tonumber(number:match "%x+", 16))
    end))
  end
  local front, back = text:match "^(.-)::(.*)$"
  if not front then return pack(text) end
  front, back = pack(front), pack(back)
  return front .. ("\0"):rep(16 - #front - #back) .. back
end

local function pack_address(address)
  if address.family == "inet6" then
    return "\4" .. pack_ipv6(address.host) .. string.pack(">H", address.port)
  end
  local numbers = {address.host:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"}
  return "\1" .. string.char(table.unpack(numbers)) .. string.pack(">H", address.port)
end

local function answer(conn, code, address)
  return conn:write("\5", string.char(code), "\0",
    address and pack_address(address) or ("\1" .. ("\0"):rep(6)))
end

local function refuse(conn, code, reason)
  answer(conn, code)
  return nil, reason
end

local function read_target(conn)
  local head = conn:read_exactly(4)
  if not head or head:byte() ~= 5 then return nil, "sends no request" end
  local command, read_host = head:byte(2), readers[head:sub(4)]
  if not read_host then return refuse(conn, BAD_ADDRESS_TYPE, "unknown type of address") end
  local target, target_port = read_host(conn), conn:read_exactly(2)
  if not (target and target_port) then return nil, "sends half a request" end
  if command ~= 1 then return refuse(conn, BAD_COMMAND, "wants something else than CONNECT") end
  if not is_host_name(target) then return refuse(conn, GENERAL_FAILURE, "bad host name") end
  return target, (string.unpack(">H", target_port))
end

-- All of what the client says before its connection stands: host and port, or nil and a reason.
local function greet(conn)
  local ok, reason = agree_on_method(conn)
  if ok and user then ok, reason = check_password(conn) end
  if not ok then return nil, reason end
  return read_target(conn)
end

---- The connection. -------------------------------------------------------------------------------

-- Closing both sides ends the pump in the other direction, too.
local function break_link(link, reason)
  link.reason = link.reason or reason
  link.client:close()
  link.server:close()
end

-- One direction: passes on what arrives, and at last the end itself.
local function pump(link, from, to)
  while true do
    local data, message, code = from:read_some()
    if data then
      link.moved = task.now()
      local written, reason = to:write(data)
      if not written then return break_link(link, reason) end
    elseif not code then
      to:shutdown()
      return
    elseif code ~= "ETIMEDOUT" or task.now() - link.moved >= options.i then
      return break_link(link, message)
    end
  end
end

local function relay(client, server)
  client:set_timeout(options.i)
  server:set_timeout(options.i)
  local link = {client = client, server = server, moved = task.now()}
  task.group(function(group)
    group:spawn(pump, link, server, client)
    pump(link, client, server)
  end)
  return link.reason or "end"
end

local function serve(client)
  local peer = client:peer()
  local target, target_port = task.timeout(options.t, greet, client)
  if not target then return print(peer, target_port) end
  local name = target .. " " .. target_port
  local server <close>, message, code = net.connect(target, target_port, {timeout = options.t})
  if not server then
    answer(client, reply_codes[code] or GENERAL_FAILURE)
    return print(peer, name, message)
  end
  answer(client, 0, server:address())
  print(peer, name, relay(client, server))
end

local listener <close>, message = net.listen(host, port)
if not listener then
  io.stderr:write("socks5_proxy: cannot listen on ", message, "\n")
  os.exit(1)
end
io.stdout:setvbuf "line"
print("listening on " .. tostring(listener:address()))
listener:serve({max = options.m}, serve)
