-- Fetches many URLs at once: HTTP/1.0 over plain TCP; redirects are not followed.
--
--     moonlet scripts/fetch_all.lua [-n LIMIT] [-t SECONDS] [URL...]
--
-- LIMIT: how many at a time (50); SECONDS: for each (10). Without URLs it reads them from standard
-- input, one per line. Prints status, bytes of the body and milliseconds of each as it ends. Exit
-- status: 1 if one could not be fetched completely or its status is 400 or more.
local net = require "moonlet.net"
local task = require "moonlet.task"

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

-- The parts of an http URL: what to put into the Host field, host, port, path with query.
local function parse_url(url)
  local authority, path = url:match "^[Hh][Tt][Tt][Pp]://([^/?#%s]+)([^#%s]*)"
  if not authority then return nil, "not an http:// URL" end
  local host, port = authority:match "^%[([%x:.]+)%]:?(%d*)$"
  if not host then host, port = authority:match "^([^:@]+):?(%d*)$" end
  port = port == "" and 80 or tonumber(port)
  if not host or port > 65535 then return nil, "bad host or port" end
  return {authority = authority, host = host, port = port,
    path = path:find "^/" and path or "/" .. path}
end

-- Reads the status line and the header fields, their names in lower case.
local function read_head(conn)
  local line, message = conn:read_line()
  if not line then return nil, message or "no answer" end
  local status = tonumber(line:match "^HTTP/%d%.%d (%d%d%d)")
  if not status then return nil, "not an HTTP answer" end
  local fields = {}
  while true do
    line, message = conn:read_line()
    if not line then return nil, message or "cut short in the header" end
    if line == "" then return status, fields end
    local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
    if name then fields[name:lower()] = value end
  end
end

-- Reads `length` bytes, or up to the end without a length. Returns how many there were.
local function read_body(conn, length)
  local bytes = 0
  while bytes < (length or math.huge) do
    local data, message = conn:read_some()
    if message then return nil, message end
    if not data then break end
    bytes = bytes + #data
  end
  if length and bytes < length then
    return nil, string.format("cut short: %d of %d bytes", bytes, length)
  end
  return bytes
end

-- Returns status and bytes; or nil and what went wrong.
local function fetch(url)
  local target, problem = parse_url(url)
  if not target then return nil, problem end
  local conn <close>, message = net.connect(target.host, target.port)
  if not conn then return nil, message end
  conn:write("GET ", target.path, " HTTP/1.0\r\nHost: ", target.authority,
    "\r\nUser-Agent: moonlet\r\nConnection: close\r\n\r\n")
  local status, fields = read_head(conn)
  if not status then return nil, fields end
  local has_body = status >= 200 and status ~= 204 and status ~= 304
  local bytes, reason = read_body(conn, has_body and tonumber(fields["content-length"]) or
    not has_body and 0 or nil)
  if not bytes then return nil, reason end
  return status, bytes
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
    local status, result = task.timeout(seconds, fetch, url)
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
