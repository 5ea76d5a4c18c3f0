-- Where the inspector listens, and who may ask it for what.
--
-- A Unix socket is for processes of the same user (and root): file and directory keep others out,
-- and the peer's uid is looked at. A TCP port is for who knows the token of its URL, which is good
-- for one visit and buys a cookie. Pages from elsewhere are kept out by the cookie's SameSite, by
-- Host (a name that an attacker makes resolve to this machine) and by Origin.

local ipairs, math, os = ipairs, math, os
local pairs, setmetatable, tonumber = pairs, setmetatable, tonumber

local core = require "moonlet.inspector.core"
local fs = require "moonlet.fs"
local http = require "moonlet.http"
local net = require "moonlet.net"

local access = {}

-- The most connections of a place; more wait.
local CONNECTIONS = 64

local SERVER = {
  max = CONNECTIONS, max_body = 1024 * 1024, head_timeout = 10, read_timeout = 10,
  write_timeout = 20, keep_alive = 30, on_gone = "cancel",
}

local HEADERS = {
  ["cache-control"] = "no-store",
  ["cross-origin-opener-policy"] = "same-origin",
  ["cross-origin-resource-policy"] = "same-origin",
  ["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox",
  ["referrer-policy"] = "no-referrer",
  ["x-content-type-options"] = "nosniff",
  ["x-frame-options"] = "DENY",
}

-- ---- Unix sockets ----

-- The directory of the sockets that `moonlet --attach PID` finds.
function access.directory()
  local base = os.getenv "XDG_RUNTIME_DIR"
  if base and base:sub(1, 1) == "/" then return base .. "/moonlet" end
  return "/tmp/moonlet-" .. core.uid()
end

-- Makes the directory, or looks whether it is ours alone.
local function claim(directory)
  local is_made, message, code = fs.mkdir(directory, { mode = "700" })
  if not is_made and code ~= "EEXIST" then return nil, message, code end
  local stat
  stat, message, code = fs.lstat(directory)
  if not stat then return nil, message, code end
  local is_ours = stat.type == "directory" and stat.uid == core.uid() and stat.mode & 63 == 0
  if is_ours then return true end
  return nil, directory .. ": is not a directory for this user alone", "EPERM"
end

-- Removes sockets of programs that ended without a chance to.
local function remove_stale(directory)
  for _, name in ipairs(fs.list(directory) or {}) do
    local pid = name:match "^(%d+)%.sock$"
    if pid and not fs.exists("/proc/" .. pid) then
      local conn, _, code = net.connect("unix:" .. directory .. "/" .. name, { timeout = 0.1 })
      if conn then conn:close() end
      if code == "ECONNREFUSED" then fs.remove(directory .. "/" .. name) end
    end
  end
end

local function own_path()
  local directory = access.directory()
  local is_claimed, message, code = claim(directory)
  if not is_claimed then return nil, message, code end
  remove_stale(directory)
  return ("%s/%d.sock"):format(directory, core.pid())
end

local function is_friend(conn)
  local peer = conn:credentials()
  return peer and (peer.uid == core.uid() or peer.uid == 0)
end

local function listen_unix(path)
  local listener, message, code = net.listen("unix:" .. path)
  if not listener then return nil, message, code end
  if path:sub(1, 1) ~= "@" then
    local is_set
    is_set, message, code = fs.chmod(path, "600")
    if not is_set then listener:close() return nil, message, code end
  end
  return {
    listener = listener, address = "unix:" .. path, admits = is_friend,
    judge = function() return { how = "unix", may_write = true } end,
  }
end

-- ---- TCP ----

local function is_loopback(host)
  return host == "localhost" or host == "::1" or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

local function is_numeral(host) return host:find "^[%d.]+$" ~= nil or host:find ":" ~= nil end

-- Splits "host:port", as an address to listen on or a Host field; an IPv6 address is in brackets.
local function split(text)
  local host, port = text:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = text:match "^([^:]*):(%d+)$" end
  return host, math.tointeger(tonumber(port))
end

local function refuse(text) return nil, text .. "\n" end

-- Whether the request is meant for this place. A page of another site cannot choose Host and
-- Origin; it can only have a name of its own resolve to this machine.
local function is_meant_for(place, req)
  local host, port = split((req.host or ""):lower())
  local is_known = host and port == place.port
    and (is_loopback(host) or place.is_remote and is_numeral(host))
  if not is_known then return false end
  local origin, site = req.headers.origin, req.headers["sec-fetch-site"]
  return (origin == nil or origin == "http://" .. req.host)
    and (site == nil or site == "same-origin" or site == "none")
end

local function has_cookie(place, req)
  local cookie = req:cookies()[place.cookie]
  return cookie ~= nil and core.equal(cookie, place.session)
end

-- The token is good once: what sees the URL later, such as a history, cannot use it.
local function spend_token(place, token)
  if not token or not place.token or not core.equal(token, place.token) then return false end
  place.token = nil
  return true
end

local function bearer(req) return (req.headers.authorization or ""):match "^[Bb]earer +(%S+)$" end

local function judge_tcp(place, req)
  if not is_meant_for(place, req) then return refuse "a request from elsewhere" end
  local is_known = has_cookie(place, req) or core.equal(bearer(req) or "", place.session)
  local token = req.path == "/" and req.method == "GET" and req.query.token
  if not is_known and spend_token(place, token or bearer(req)) then
    return { how = "tcp", may_write = place.may_write, is_new = true }
  end
  if is_known then return { how = "tcp", may_write = place.may_write, is_repeated = token } end
  return refuse "open the URL that the program has printed: its token is good for one visit"
end

local function listen_tcp(address, rights)
  local host, port = split(address)
  if not port or port > 65535 then
    return nil, "'" .. address .. "' is no address to inspect at: HOST:PORT or unix:PATH", "EINVAL"
  end
  if host == "" then host = "127.0.0.1" end
  if not is_loopback(host) and not rights.remote then
    return nil, "'" .. host .. "' is reached from other machines, and nothing is encrypted: "
      .. "inspect at a loopback address, through a tunnel, or allow it (--inspect-remote)", "EACCES"
  end
  local listener, message, code = net.listen(host, port)
  if not listener then return nil, message, code end
  port = listener:address().port
  local name = (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, port)
  local token = core.secret()
  return {
    listener = listener, address = name, url = ("http://%s/?token=%s"):format(name, token),
    port = port, is_remote = rights.remote, may_write = rights.write, token = token,
    session = core.secret(), cookie = "moonlet_inspect_" .. port, judge = judge_tcp,
  }
end

-- ---- places ----

local Place = {}
Place.__index = Place

-- Answers a request: as `handle` does, if it is allowed.
local function answer(place, req, res)
  for name, value in pairs(HEADERS) do res.headers[name] = value end
  local visitor, why = place:judge(req)
  if not visitor then
    res.headers["content-type"] = "text/plain; charset=utf-8"
    return 403, why
  end
  if visitor.is_new then
    res:cookie(place.cookie, place.session, { same_site = "Strict" })
  end
  if req.path == "/" and (visitor.is_new or visitor.is_repeated) then
    return res:redirect("/", 303)
  end
  req.locals.visitor = visitor
  return place.handle(req, res)
end

--- Listens at an address.
-- @tparam string address "": a Unix socket of the default name
-- @tparam table rights write, remote: see inspect.listen()
-- @tparam function handle a handler of HTTP; its request has `locals.visitor`, with `how` ("unix",
-- "tcp") and `may_write`
-- @treturn table the place, with `address` and `url`; or nil, message, code
function access.listen(address, rights, handle)
  local place, path, message, code
  if address == "" then
    path, message, code = own_path()
    if not path then return nil, message, code end
  else
    path = address:match "^unix:(.+)$"
  end
  if path then place, message, code = listen_unix(path)
  else place, message, code = listen_tcp(address, rights) end
  if not place then return nil, message, code end
  core.hold(place.listener)
  place.handle = handle
  place.server = http.server(SERVER, function(req, res) return answer(place, req, res) end)
  return setmetatable(place, Place)
end

--- Serves until it is closed.
function Place:serve()
  local function serve_one(conn)
    if not self.admits or self.admits(conn) then self.server:serve(conn) end
  end
  self.listener:serve({ max = CONNECTIONS, on_error = function() end }, serve_one)
end

--- Takes no more connections.
function Place:close()
  core.let_go(self.listener)
  self.listener:close()
end

--- The same, and cuts those that are left after a while.
function Place:stop(grace)
  self:close()
  self.server:stop(grace)
end

return access
