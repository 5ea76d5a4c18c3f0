-- Stands before web servers and balances over them.
--
--     moonlet scripts/reverse_proxy.lua [-l HOST] [-p PORT] [-q] UPSTREAM...
--
-- -l, -p: where it listens (127.0.0.1, 8080); -q: no access log on standard output; UPSTREAM: such
-- as http://127.0.0.1:9000. A request goes to the upstream that has the fewest at the moment. An
-- upstream that fails comes last for ten seconds; the request goes to another one if it is safe, or
-- if nothing of it was sent. Bodies pass in streams, both ways, and so do WebSockets. Upstreams
-- see the client in X-Forwarded-For, -Host and -Proto. Ctrl-C: answers under way get ten seconds.
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local url = require "moonlet.url"

local USAGE = "usage: moonlet reverse_proxy.lua [-l HOST] [-p PORT] [-q] UPSTREAM...\n"
local TIMEOUTS = { connect = 5, head = 60, idle = 60 } -- seconds
local REST = 10 -- seconds for an upstream that has failed
local SMALL = 64 * 1024 -- bytes of a body that is read before it is sent, so that it can be again
local MOST_FIELDS = 200 -- in the head of an answer to a WebSocket's request

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

-- ---- upstreams ----

local upstreams = {}

local function add_upstream(text)
  local u = url.parse(text:find "://" and text or "http://" .. text)
  if not u or not u.host or (u.scheme ~= "http" and u.scheme ~= "https") then
    fail("reverse_proxy: not an upstream: " .. text .. "\n")
  end
  local is_tls = u.scheme == "https"
  table.insert(upstreams, {
    base = tostring(u):match "^%a+://[^/?#]*", host = u.host, is_tls = is_tls,
    port = u.port or (is_tls and 443 or 80), busy = 0, rests_until = 0,
  })
end

-- The one with the fewest requests that was not tried yet; of equals, the one that waits longest.
local function choose(tried)
  local best -- its place in the list
  local function cost(u) return (u.rests_until > task.now() and 1e9 or 0) + u.busy end
  for i, u in ipairs(upstreams) do
    if not tried[u] and (not best or cost(u) < cost(upstreams[best])) then best = i end
  end
  if not best then return nil end
  local upstream = table.remove(upstreams, best)
  table.insert(upstreams, upstream)
  tried[upstream] = true
  return upstream
end

-- Counts a request while it lasts: `local _ <close> = enter(upstream)`.
local function enter(upstream)
  upstream.busy = upstream.busy + 1
  return setmetatable({}, { __close = function() upstream.busy = upstream.busy - 1 end })
end

-- ---- fields ----

-- What the upstream is to know of the client. The fields of the connection itself, and those that
-- Connection names, are dropped by moonlet.http where it takes these headers.
local function add_forwarded(req)
  local h, peer = req.headers, req.peer and req.peer.host or "unknown"
  local before = h["x-forwarded-for"]
  h["x-forwarded-for"] = before and before .. ", " .. peer or peer
  h["x-forwarded-host"], h["x-forwarded-proto"] = req.host, req.scheme
  h.host, h.forwarded, h.expect, h["proxy-authorization"] = req.host, nil, nil, nil
end

-- Path and query, also of a request that names a whole URL.
local function target_of(req)
  local target = req.target:gsub("^%a[%w+.-]*://[^/?#]*", "")
  return target:find "^/" and target or "/" .. target
end

-- ---- requests ----

local SAFE = { GET = true, HEAD = true, OPTIONS = true }
local UNSENT = { ECONNREFUSED = true, EHOSTUNREACH = true, ENETUNREACH = true, ENOTFOUND = true }
local UNWELL = { [502] = true, [503] = true, [504] = true }

local client = http.client {
  pool = { max = 1000, idle = 5 }, redirects = 0, decode = false, proxy = false, timeout = TIMEOUTS,
}

-- Of the request: nil, a string, or what reads it piece by piece; or nil, message, code.
local function body_of(req)
  local length = tonumber(req.headers["content-length"])
  if length and length <= SMALL then return req:body() end
  local is_usual = req.method == "POST" or req.method == "PUT" or req.method == "PATCH"
  if not length and not req.headers["transfer-encoding"] and not is_usual then return nil end
  return function()
    local piece, message, code = req:read_some()
    if message then error({ message = message, code = code }, 0) end
    return piece
  end
end

-- Sends the answer on as it comes.
local function answer(req, res, r)
  res.status, res.headers = r.status, r.headers
  res.headers["content-length"] = r.headers["content-length"]
  if req.method == "HEAD" or r.status == 204 or r.status == 304 then return true end
  for piece in r:chunks() do
    if not (res:write(piece) and res:flush()) then return true end -- the client has left
  end
  return true
end

-- One try. Returns the answer; or nil, message, code.
local function ask(req, upstream, body)
  return client:stream {
    url = upstream.base .. target_of(req), method = req.method, headers = req.headers, body = body,
  }
end

local function refuse(code, message)
  io.stderr:write("reverse_proxy: ", message, "\n")
  return code == "ETIMEDOUT" and 504 or 502, "no upstream answers\n"
end

local function forward(req, res)
  local body, problem, code = body_of(req)
  if problem then return nil, problem, code end -- the client's fault: 400, 408
  local is_safe = SAFE[req.method] and type(body) ~= "function"
  local tried, message = {}, nil
  for try = 1, #upstreams do
    local upstream = choose(tried)
    local _ <close> = enter(upstream)
    local r <close>, why, what = ask(req, upstream, body)
    local is_last = try == #upstreams
    if r and (is_last or not is_safe or not UNWELL[r.status]) then return answer(req, res, r) end
    upstream.rests_until = task.now() + REST
    message, code = upstream.base .. ": " .. (why or "answered " .. r.status), what
    if is_last or not (is_safe or UNSENT[code]) then break end
  end
  return refuse(code, message)
end

-- ---- WebSockets ----

local function copy(from, to)
  repeat local bytes = from:read_some() until not bytes or not to:write(bytes)
end

-- An upstream that takes the connection, and the stream; or nil, message, code.
local function connect()
  local tried, message, code = {}, nil, nil
  for _ = 1, #upstreams do
    local upstream = choose(tried)
    local opts = { tls = upstream.is_tls, timeout = TIMEOUTS.connect }
    local server
    server, message, code = net.connect(upstream.host, upstream.port, opts)
    if server then return upstream, server end
    upstream.rests_until = task.now() + REST
  end
  return nil, message, code
end

-- Sends the request, and reads the head of the answer: its lines; or nil, message, code.
local function shake_hands(req, server)
  local lines = { "GET " .. target_of(req) .. " HTTP/1.1" }
  for name, value in pairs(req.headers) do
    if name ~= "connection" and name ~= "upgrade" then
      table.insert(lines, name .. ": " .. value)
    end
  end
  table.insert(lines, "connection: upgrade\r\nupgrade: websocket\r\n\r\n")
  local ok, message, code = server:write(table.concat(lines, "\r\n"))
  if not ok then return nil, message, code end
  local head = {}
  repeat
    local line
    line, message, code = server:read_line()
    if not line or #head > MOST_FIELDS then return nil, message or "no answer", code or "EPROTO" end
    table.insert(head, line)
  until line == ""
  return head
end

local function forward_websocket(req, res)
  local upstream, connected, why = connect()
  if not upstream then return refuse(why, connected) end
  local _ <close> = enter(upstream)
  local server <close> = connected
  server:set_timeout(TIMEOUTS.head)
  local head, message, code = shake_hands(req, server)
  if not head then return refuse(code, upstream.base .. ": " .. message) end
  local status = math.tointeger(tonumber(head[1]:match "^HTTP/1%.1 (%d%d%d)"))
  if status ~= 101 then
    local is_error = status and status >= 400 and status <= 599
    return is_error and status or 502, "the upstream refuses WebSockets here\n"
  end
  server:set_timeout(nil)
  local stream = assert(res:hijack()) -- closed when this function has returned
  stream:write(table.concat(head, "\r\n"), "\r\n")
  task.race {
    function() copy(stream, server) end,
    function() copy(server, stream) end,
  }
  server:finish(1)
  stream:finish(1)
end

local function is_websocket(req)
  return req.method == "GET" and req.version == "1.1" and
    (req.headers.upgrade or ""):lower() == "websocket" and
    (req.headers.connection or ""):lower():find("upgrade", 1, true)
end

-- ---- the server ----

local function handle(req, res)
  add_forwarded(req)
  if is_websocket(req) then return forward_websocket(req, res) end
  return forward(req, res)
end

local function read_arguments()
  local host, port, is_quiet, i = "127.0.0.1", 8080, false, 1
  while arg[i] do
    local word = arg[i]
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif word == "-q" then
      is_quiet = true
    elseif word == "-l" and arg[i + 1] then
      host, i = arg[i + 1], i + 1
    elseif word == "-p" and math.tointeger(tonumber(arg[i + 1])) then
      port, i = math.tointeger(tonumber(arg[i + 1])), i + 1
    elseif word:find "^%-" then
      fail(USAGE)
    else
      add_upstream(word)
    end
    i = i + 1
  end
  if #upstreams == 0 or port < 0 or port > 65535 then fail(USAGE) end
  return host, port, is_quiet
end

local host, port, is_quiet = read_arguments()
local listener, message = net.listen(host, port)
if not listener then fail(("reverse_proxy: cannot listen on %s\n"):format(message)) end
io.stdout:setvbuf "line"
print(("listening on %s for %d upstreams"):format(listener:address(), #upstreams))
http.serve({
  listener = listener, grace = 10, log = not is_quiet and io.stdout or nil, max_body = 1 << 40,
  on_gone = "cancel",
}, handle)
