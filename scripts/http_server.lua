-- Serves the files below a directory, and a small JSON API beside them.
--
--     moonlet [--workers N] scripts/http_server.lua [-l HOST] [-p PORT] [-q] [DIRECTORY]
--
-- -l, -p: where it listens (127.0.0.1, 8080; port 0: any that is free); -q: no access log;
-- DIRECTORY: the current one unless given. Files are sent in ranges where the peer asks for them,
-- directories without an index.html are listed. GET /api/time answers with the time, POST /api/echo
-- with the JSON that it was sent. The access log is standard output. Ctrl-C stops the server;
-- answers that are under way get five seconds to end (exit status 130).
local http = require "moonlet.http"
local net = require "moonlet.net"

local USAGE = "usage: moonlet http_server.lua [-l HOST] [-p PORT] [-q] [DIRECTORY]\n"

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local function read_arguments()
  local host, port, is_quiet, directory, i = "127.0.0.1", 8080, false, nil, 1
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
    elseif word:find "^%-" or directory then
      fail(USAGE)
    else
      directory = word
    end
    i = i + 1
  end
  if port < 0 or port > 65535 then fail(USAGE) end
  return host, port, is_quiet, directory or "."
end

-- ---- the API ----

local api = http.router()

-- A table that a handler returns is sent as JSON.
api:get("/time", function()
  return { unix = os.time(), utc = os.date "!%Y-%m-%dT%H:%M:%SZ" }
end)

api:post("/echo", { max_body = 64 * 1024 }, function(req, res)
  local value, message, code = req:json()
  if value == nil then return nil, message, code end -- answers 400, or 413 if there is too much
  return res:json { you_sent = value, you_are = req.client and req.client.host }
end)

-- ---- the server ----

local host, port, is_quiet, directory = read_arguments()

local router = http.router()
router:mount("/api", api)
local ok, message = pcall(router.static, router, "", directory, { listing = true })
if not ok then
  fail(("http_server: cannot serve %s\n"):format(message:match "%((.*)%)" or message))
end

local listener, why = net.listen(host, port)
if not listener then fail(("http_server: cannot listen on %s\n"):format(why)) end

io.stdout:setvbuf "line"
print(("listening on %s, http://%s/"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 5, log = not is_quiet and io.stdout or nil }, router)
