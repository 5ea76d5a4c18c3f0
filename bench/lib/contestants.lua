--- Who takes part in which benchmark: a name and the command that starts it.
local process = require "process"

-- The distribution's Python, which has gevent, even where another one comes first in the path.
local python = os.getenv("PYTHON") or "/usr/bin/python3"

local contestants = {}
contestants.__index = contestants

--- @tparam table settings `bench`, `bin` and `build`: directories; `moonlet`: the program;
--   `peers`: true to have them
function contestants.new(settings)
  return setmetatable({settings = settings}, contestants)
end

--- A C program of this directory.
-- @tparam string name
-- @treturn string path
function contestants:c(name)
  return self.settings.bin .. "/" .. name
end

--- @tparam string name of a script of this directory
-- @treturn string path
function contestants:script(name)
  return self.settings.bench .. "/" .. name
end

local function peer_script(self, name)
  return self:script("peers/" .. name)
end

-- A Go program has to be built first; without module mode that needs no network.
local function go(self, name)
  local directory = self.settings.build .. "/peers"
  local binary, source = directory .. "/" .. name, peer_script(self, name .. ".go")
  local quoted, from = process.quote(binary), process.quote(source)
  os.execute("mkdir -p " .. process.quote(directory))
  os.execute(string.format("[ %s -nt %s ] || GO111MODULE=off go build -o %s %s 2>/dev/null",
    quoted, from, quoted, from))
  return binary
end

-- A port that is free now, for a server that cannot say which one it got.
local function free_port()
  local output = process.capture({python, "-c",
    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"})
  return output and output:match("%d+") or "18080"
end

local function append(list, more)
  return table.move(more, 1, #more, #list + 1, list)
end

--- Servers that print "listening PORT". The first is the yardstick.
-- @treturn {table,...} of `name` and `command`
function contestants:echo_servers()
  local list = {
    {name = "raw C epoll", command = {self:c("echo_epoll")}},
    {name = "moonlet", command = {self.settings.moonlet, self:script("echo.lua")}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Tarantool", command = {"tarantool", peer_script(self, "echo_tarantool.lua")}},
    {name = "Go", command = {go(self, "echo")}},
    {name = "luv", command = {"lua5.4", peer_script(self, "echo_luv.lua")}},
    {name = "Node", command = {"node", peer_script(self, "echo.js")}},
    {name = "gevent", command = {python, peer_script(self, "echo_gevent.py")}},
  })
end

--- What a WebSocket costs beside TCP: servers that print "listening PORT". The first is the
-- yardstick.
-- @treturn {table,...} of `name`, `command` and `is_websocket`
function contestants:websocket_servers()
  local moonlet = self.settings.moonlet
  local list = {
    {name = "raw C epoll, TCP", command = {self:c("echo_epoll")}},
    {name = "moonlet, TCP", command = {moonlet, self:script("echo.lua")}},
    {name = "moonlet", command = {moonlet, self:script("websocket.lua")}, is_websocket = true},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Node, ws", command = {"node", peer_script(self, "websocket.js")}, is_websocket = true},
  })
end

--- HTTP servers that print "listening PORT". The first is the yardstick.
-- @tparam string directory with the file `file` that they serve, and room for nginx's configuration
-- @treturn {table,...} of `name` and `command`
function contestants:http_servers(directory)
  local list = {
    {name = "raw C epoll", command = {self:c("http_epoll")}},
    {name = "moonlet", command = {self.settings.moonlet, self:script("http.lua"), directory}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "nginx", command = {peer_script(self, "http_nginx.sh"), free_port(), directory}},
    {name = "Go", command = {go(self, "http")}},
    {name = "Node", command = {"node", peer_script(self, "http.js")}},
  })
end

--- The same server without TLS and with it, of moonlet and of nginx. Plain and TLS take turns in
-- this order.
-- @tparam string directory as for http_servers(); nginx's own are below it
-- @tparam table credentials `cert` and `key`: files
-- @treturn {table,...} of `name`, `command` and `is_tls`
function contestants:https_servers(directory, credentials)
  local cert, key = credentials.cert, credentials.key
  local moonlet = {self.settings.moonlet, self:script("http.lua"), directory}
  local list = {
    {name = "moonlet, plain", command = moonlet},
    {name = "moonlet, TLS", is_tls = true, command = append({table.unpack(moonlet)}, {cert, key})},
  }
  if not self.settings.peers then return list end
  local script = peer_script(self, "http_nginx.sh")
  return append(list, {
    {name = "nginx, plain", command = {script, free_port(), directory .. "/plain"}},
    {name = "nginx, TLS", is_tls = true,
      command = {script, free_port(), directory .. "/tls", cert, key}},
  })
end

--- HTTP servers without the canned one, which keeps nothing of a connection, and without nginx,
-- which takes the memory of its connections before they come.
-- @treturn {table,...} of `name` and `command`
function contestants:http_programs()
  local list = {
    {name = "moonlet", command = {self.settings.moonlet, self:script("http.lua")}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Go", command = {go(self, "http")}},
    {name = "Node", command = {"node", peer_script(self, "http.js")}},
  })
end

--- HTTP clients that take a URL, a number of requests and of connections, and print their cost.
-- @treturn {table,...} of `name` and `command`
function contestants:http_clients()
  local list = {
    {name = "moonlet", command = {self.settings.moonlet, self:script("http_client.lua")}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Go", command = {go(self, "http_client")}},
    {name = "curl", command = {peer_script(self, "http_client_curl.sh")}},
  })
end

--- Servers that print "listening PORT": what LuaSocket is compared with, and LuaSocket.
-- @treturn {table,...} of `name` and `command`
function contestants:luasocket_servers()
  return {
    {name = "moonlet.net", command = {self.settings.moonlet, self:script("echo.lua")}},
    {name = "LuaSocket", command = {self.settings.moonlet, self:script("echo_luasocket.lua")}},
  }
end

--- Programs that take SECONDS and the command of a peer, which is to be given their port.
-- @treturn {table,...} of `name` and `command`
function contestants:readers()
  local script = self:script("flood.lua")
  local list = {
    {name = "moonlet", command = {self.settings.moonlet, script, "net"}},
    {name = "LuaSocket in moonlet", command = {self.settings.moonlet, script, "luasocket"}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Go", command = {go(self, "flood")}},
    {name = "gevent", command = {python, peer_script(self, "flood_gevent.py")}},
  })
end

--- UDP servers that print "listening PORT". The first is the yardstick.
-- @tparam integer clients of which each sends one datagram at a time
-- @treturn {table,...} of `name`, `command` and `is_udp`
function contestants:udp_servers(clients)
  local raw = {self:c("udp_epoll"), "0", clients == 1 and "one" or "all"}
  return {
    {name = "raw C epoll", command = raw, is_udp = true},
    {name = "moonlet", command = {self.settings.moonlet, self:script("udp.lua")}, is_udp = true},
  }
end

--- Servers of a line protocol. The first is the yardstick.
-- @treturn {table,...} of `name` and `command`
function contestants:line_servers()
  return {
    {name = "raw C epoll", command = {self:c("lines_epoll")}},
    {name = "moonlet", command = {self.settings.moonlet, self:script("lines.lua")}},
  }
end

--- Loops that copy from one connection to another. The first is the yardstick.
-- @treturn {table,...} of `name` and `command`
function contestants:relays()
  return {
    {name = "raw C", command = {self:c("relay")}},
    {name = "moonlet", command = {self.settings.moonlet, self:script("relay.lua")}},
  }
end

--- TLS echo servers. The first is the yardstick.
-- @tparam table credentials `cert` and `key`: files
-- @treturn {table,...} of `name` and `command`
function contestants:tls_servers(credentials)
  local cert, key = credentials.cert, credentials.key
  return {
    {name = "raw C epoll, OpenSSL", command = {self:c("tls_echo_epoll"), cert, key}},
    {name = "moonlet", command = {self.settings.moonlet, self:script("tls_echo.lua"), cert, key}},
  }
end

--- Servers that shake hands. The first is the yardstick: OpenSSL's own, one connection at a time.
-- @tparam table credentials `cert` and `key`: files
-- @treturn {table,...} of `name`, `command` and perhaps `ready`
function contestants:handshake_servers(credentials)
  local servers = self:tls_servers(credentials)
  -- -www: it waits for requests and does not read its standard input.
  table.insert(servers, 1, {name = "openssl s_server", ready = "ACCEPT %S+:(%d+)", command = {
    "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-tls1_3", "-cert", credentials.cert,
    "-key", credentials.key,
  }})
  return servers
end

--- Programs that take N and SECONDS; `most`: the largest N that is worth the wait.
-- @treturn {table,...} of `name`, `command` and perhaps `most`
function contestants:sleepers()
  local list = {{name = "moonlet", command = {self.settings.moonlet, self:script("sleepers.lua")}}}
  if not self.settings.peers then return list end
  return append(list, {
    {name = "gevent", command = {python, peer_script(self, "sleepers_gevent.py")}, most = 100000},
    {name = "Go", command = {go(self, "sleepers")}},
    {name = "Node", command = {"node", peer_script(self, "sleepers.js")}},
    {name = "Erlang", command = {"escript", peer_script(self, "sleepers.escript")}},
    {name = "cqueues, Lua 5.4", command = {"lua5.4", peer_script(self, "sleepers_cqueues.lua")}},
    {name = "cqueues, LuaJIT", command = {"luajit", peer_script(self, "sleepers_cqueues.lua")}},
  })
end

--- Programs that print the costs of their parts. The second is what the first is compared with.
-- @treturn {table,...} of `name` and `command`
function contestants:micro()
  local list = {
    {name = "moonlet", command = {self.settings.moonlet, self:script("micro.lua")}},
    {name = "lua5.4", command = {"lua5.4", self:script("micro_stock.lua")}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "Go", command = {go(self, "micro")}},
    {name = "Erlang", command = {"escript", peer_script(self, "micro.escript")}},
    {name = "Tarantool", command = {"tarantool", peer_script(self, "micro_tarantool.lua")}},
    {name = "cqueues, Lua 5.4", command = {"lua5.4", peer_script(self, "micro_cqueues.lua")}},
    {name = "gevent", command = {python, peer_script(self, "micro_gevent.py")}},
  })
end

--- Programs that do nothing.
-- @treturn {table,...} of `name` and `command`
function contestants:empty_programs()
  local list = {
    {name = "moonlet", command = {self.settings.moonlet, "-e", ""}},
    {name = "lua5.4", command = {"lua5.4", "-e", ""}},
    {name = "true (C)", command = {"true"}},
  }
  if not self.settings.peers then return list end
  return append(list, {
    {name = "LuaJIT", command = {"luajit", "-e", ""}},
    {name = "python3", command = {python, "-c", ""}},
    {name = "Node", command = {"node", "-e", ""}},
  })
end

return contestants
