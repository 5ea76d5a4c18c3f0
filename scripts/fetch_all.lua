-- Fetches many URLs at once; redirects are not followed.
--
--     moonlet scripts/fetch_all.lua [-n LIMIT] [-t SECONDS] [URL...]
--
-- LIMIT: how many at a time (50); SECONDS: for each (10). Without URLs it reads them from standard
-- input, one per line. Prints status, bytes of the body and milliseconds of each as it ends. Exit
-- status: 1 if one could not be fetched completely or its status is 400 or more.
local http = require "moonlet.http"
local task = require "moonlet.task"

local PIECE = 64 * 1024 -- bytes

local function usage()
  io.stderr:write("usage: moonlet fetch_all.lua [-n LIMIT] [-t SECONDS] [URL...]\n")
  os.exit(1)
end

local function read_arguments()
  local limit, seconds, first = 50, 10, 1
  while arg[first] and arg[first]:find "^%-" do
    local value = tonumber(arg[first + 1])
    if not value or value <= 0 then usage() end
    if arg[first] == "-n" then
      limit = math.tointeger(value) or usage()
    elseif arg[first] == "-t" then
      seconds = value
    else
      usage()
    end
    first = first + 2
  end
  return limit, seconds, table.move(arg, first, #arg, 1, {})
end

local limit, seconds, urls = read_arguments()
if #urls == 0 then
  for line in io.lines() do
    if line:find "%S" then table.insert(urls, line:match "^%s*(.-)%s*$") end
  end
end

-- One client: connections are kept for the next URL of the same server.
local client = http.client {
  redirects = 0, decode = false, pool = { max = limit },
  timeout = { connect = seconds, head = seconds, idle = seconds, total = seconds },
}

-- Returns status and bytes of the body, which is not kept; or nil and what went wrong.
local function fetch(url)
  local r <close>, message = client:stream(url)
  if not r then return nil, message end
  local bytes = 0
  while true do
    local piece
    piece, message = r:read(PIECE)
    if message then return nil, message end
    if not piece then return r.status, bytes end
    bytes = bytes + #piece
  end
end

local failed, total_bytes, next_url = 0, 0, 1

local function report(url, status, result, started)
  local ok = status and status < 400
  if not ok then failed = failed + 1 end
  if status then total_bytes = total_bytes + result end
  print(string.format("%6s %10s %7.0f  %s%s", status or "-", status and result or "-",
    (task.now() - started) * 1000, url, status and "" or ": " .. result))
end

-- As many of these as may fetch at a time share the list.
local function fetch_next_ones()
  while next_url <= #urls do
    local url, started = urls[next_url], task.now()
    next_url = next_url + 1
    local status, result = fetch(url)
    report(url, status, result, started)
  end
end

print(string.format("%6s %10s %7s", "status", "bytes", "ms"))
local start, fetchers = task.now(), {}
for i = 1, math.min(limit, #urls) do fetchers[i] = task.spawn(fetch_next_ones) end
for _, fetcher in ipairs(fetchers) do assert(fetcher:join()) end
print(string.format("%d fetched, %d failed, %d bytes, %.2f s", #urls - failed, failed, total_bytes,
  task.now() - start))
os.exit(failed == 0)
