-- Counts visits in a store that all workers share, and limits those of each address.
--
--   moonlet --workers 4 scripts/counter.lua [-p PORT] [-l LIMIT] [-r REDIS]
--
-- Every path is a counter: each GET adds one and answers with the sum; /top lists the largest.
-- LIMIT: requests a minute of one address, 1000 without it. REDIS: the URL of a server; then
-- programs on other machines count with it.

local http = require "moonlet.http"
local net = require "moonlet.net"
local worker = require "moonlet.worker"

local USAGE = "usage: moonlet counter.lua [-p PORT] [-l LIMIT] [-r REDIS]\n"

local function fail(text)
  io.stderr:write(text)
  os.exit(1)
end

local function read_arguments()
  local opts = { p = 8080, l = 1000 }
  for i = 1, #arg, 2 do
    local name, value = arg[i]:match "^%-([plr])$", arg[i + 1]
    if name ~= "r" then value = math.tointeger(tonumber(value)) end
    if not name or not value then fail(USAGE) end
    opts[name] = value
  end
  if opts.p < 0 or opts.p > 65535 or opts.l < 1 then fail(USAGE) end
  return opts
end

local opts = read_arguments()

-- With a Redis server a call may fail. A counter that is out of reach counts nothing, and says so.
local function open_store(name)
  local store, message = worker.store(name, opts.r and { redis = opts.r })
  if not store then fail(("counter: cannot open the store: %s\n"):format(message)) end
  return store
end

local hits, limits = open_store "hits", open_store "limits"

local function top(count)
  local list = {}
  for path in hits:keys() do list[#list + 1] = { path = path, count = hits:get(path) or 0 } end
  table.sort(list, function(a, b) return a.count > b.count end)
  return { table.unpack(list, 1, count) }
end

-- The first request of a minute makes the counter, which is gone a minute later.
local function is_allowed(address)
  local count = limits:incr(address, 1, { ttl = 60 })
  return not count or count <= opts.l
end

local function answer(req, res)
  if req.method ~= "GET" then return 405 end
  if not is_allowed(req.client and req.client.host or "local") then
    res.headers["retry-after"] = "60"
    return 429, "too many requests\n"
  end
  if req.path == "/top" then return top(10) end
  local count, message = hits:incr(req.path)
  if not count then return 503, message .. "\n" end
  return { path = req.path, count = count, worker = worker.id }
end

local listener, why = net.listen("127.0.0.1", opts.p)
if not listener then fail(("counter: cannot listen on %s\n"):format(why)) end
io.stdout:setvbuf "line"
print(("listening on %s, http://%s/"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 5 }, answer)
