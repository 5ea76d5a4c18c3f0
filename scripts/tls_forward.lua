-- Takes TLS off the connections to a port, or puts it on, and passes them on to another server.
--
--     moonlet scripts/tls_forward.lua [options] LISTEN_PORT HOST PORT CERT KEY
--     moonlet scripts/tls_forward.lua -c [options] LISTEN_PORT HOST PORT
--
-- The first form accepts TLS with the certificate in CERT (PEM form, as KEY) and connects to HOST
-- without; the second (-c) accepts without, connects with TLS and verifies who answers. Options:
--
--     -a CA_FILE   whom to trust: with -c in place of the system's roots; without -c clients must
--                  show a certificate of theirs
--     -n NAME      with -c: the name that the certificate must have      (HOST)
--     -l ADDRESS   where to listen                                       (127.0.0.1)
--     -m MAX       connections at a time; further ones wait              (1000)
--     -t SECONDS   closed: a connection on which nothing has moved, or one side has not taken what
--                  the other sent, for so long                           (60)
--
-- When one side ends its output the other side is told so and may still answer. A connection that
-- is reset, or cut without TLS's own end, is closed on both sides at once; to the other side that
-- looks like an end, so what must be whole should say its length.
local net = require "moonlet.net"
local task = require "moonlet.task"

local CONNECT_SECONDS = 10 -- at most; also for the handshake of a client

local function usage()
  io.stderr:write("usage: moonlet tls_forward.lua [options] LISTEN_PORT HOST PORT CERT KEY\n",
    "       moonlet tls_forward.lua -c [options] LISTEN_PORT HOST PORT\n",
    "options: -a CA_FILE, -n NAME (with -c), -l ADDRESS, -m MAX, -t SECONDS\n")
  os.exit(1)
end

local function fail(...)
  io.stderr:write("tls_forward: ", ...)
  io.stderr:write("\n")
  os.exit(1)
end

local function port_number(text)
  local number = math.tointeger(tonumber(text))
  return number and number >= 0 and number <= 65535 and number
end

local function positive(text)
  local number = tonumber(text)
  return number and number > 0 and number or usage()
end

local function read_arguments()
  local options, first = {["-l"] = "127.0.0.1", ["-m"] = "1000", ["-t"] = "60"}, 1
  while arg[first] and arg[first]:find "^%-" do
    if arg[first] == "-c" then
      options["-c"], first = true, first + 1
    else
      if not arg[first]:find "^%-[anlmt]$" or not arg[first + 1] then usage() end
      options[arg[first]], first = arg[first + 1], first + 2
    end
  end
  return options, table.move(arg, first, #arg, 1, {})
end

local options, words = read_arguments()
local connects = options["-c"]
local listen_port, host, port = port_number(words[1]), words[2], port_number(words[3])
local idle, max = positive(options["-t"]), math.tointeger(positive(options["-m"])) or usage()
local is_complete = listen_port and port and #words == (connects and 3 or 5)
if not is_complete or (options["-n"] and not connects) then
  usage()
end

-- Closing both sides ends the pump in the other direction, too.
local function break_link(link, reason)
  link.reason = link.reason or reason
  link.client:close()
  link.server:close()
end

-- One direction: passes on what arrives, and at last the end itself. Silence counts from the last
-- movement in either direction.
local function pump(link, from, to)
  while true do
    from:set_timeout(math.max(0, link.moved + idle - task.now()), "read")
    local data, message, code = from:read_some()
    if data then
      link.moved = task.now()
      local written, reason = to:write(data)
      if not written then return break_link(link, reason) end
      link.moved = task.now()
    elseif not code then
      local told, reason = to:shutdown()
      if not told then break_link(link, reason) end
      return
    elseif code ~= "ETIMEDOUT" or task.now() - link.moved >= idle then
      return break_link(link, message)
    end
  end
end

local function forward(client, server)
  client:set_timeout(idle, "write")
  server:set_timeout(idle, "write")
  local link = {client = client, server = server, moved = task.now()}
  task.group(function(g)
    g:spawn(pump, link, server, client)
    pump(link, client, server)
  end)
  return link.reason or "end"
end

-- Whoever cannot shake hands costs no connection to the server.
local function serve(client, context)
  local peer, limit = client:peer(), math.min(idle, CONNECT_SECONDS)
  if not connects then
    local safe, problem = client:handshake(limit)
    if not safe then return print(peer, problem) end
  end
  local server <close>, message = net.connect(host, port,
    {timeout = limit, tls = connects and context})
  if not server then return print(peer, "cannot connect to " .. message) end
  print(peer, forward(client, server))
end

local context, problem = net.tls {
  ca_file = options["-a"], cert_file = words[4], key_file = words[5],
  server_name = options["-n"], verify = connects or options["-a"] ~= nil,
}
if not context then fail(problem) end
local listener <close>, message = net.listen(options["-l"], listen_port,
  {tls = not connects and context or nil})
if not listener then fail("cannot listen on ", message) end
io.stdout:setvbuf "line"
print(string.format("listening on %s for %s:%d", listener:address(), host, port))

listener:serve({max = max}, function(conn) serve(conn, context) end)
