-- Follows the links of a web site: HTTP/1.0 over plain TCP.
--
--     moonlet scripts/crawler.lua [-n PAGES] [-c AT_ONCE] [-p PER_HOST] [-t SECONDS] [-a] URL
--
-- PAGES: how many at most (100); AT_ONCE: how many at a time (10), PER_HOST: of these from one host
-- (4); SECONDS: for each page (10). It stays on host and port of URL; with -a it goes everywhere.
-- Prints status, bytes, milliseconds and new links of each page as it ends. A redirect counts as a
-- page with one link. Exit status: 1 if a page could not be fetched completely or its status is 400
-- or more.
local net = require "moonlet.net"
local queue = require "moonlet.queue"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local LARGEST_PAGE = 2 * 1024 * 1024 -- bytes
local MOST_FIELDS = 200 -- in the head of an answer

local function usage()
  io.stderr:write("usage: moonlet crawler.lua [-n PAGES] [-c AT_ONCE] [-p PER_HOST] ",
    "[-t SECONDS] [-a] URL\n")
  os.exit(1)
end

local function read_arguments()
  local options, names, i = {n = 100, c = 10, p = 4, t = 10}, "^%-([ncpt])$", 1
  while arg[i] and arg[i]:find "^%-" do
    local name, value = arg[i]:match(names), tonumber(arg[i + 1])
    if arg[i] == "-a" then
      options.a, i = true, i + 1
    elseif name and value and value > 0 then
      options[name], i = name == "t" and value or math.tointeger(value) or usage(), i + 2
    else
      usage()
    end
  end
  if i ~= #arg then usage() end
  return options, arg[i]
end

local options, start_url = read_arguments()

-- ---- URLs ----

-- "/a/./b/../c" -> "/a/c"
local function without_dots(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      table.remove(parts)
    elseif part ~= "." then
      table.insert(parts, part)
    end
  end
  local is_directory = path:find "/%.?%.?$"
  return "/" .. table.concat(parts, "/") .. (is_directory and #parts > 0 and "/" or "")
end

-- The parts of an http URL, whose text is the same for the same page; nil for what is none.
local function parse_url(text)
  local authority, path, query = text:match "^[Hh][Tt][Tt][Pp]://([^/?#%s]+)([^?#%s]*)(%??[^#%s]*)"
  if not authority then return nil end
  authority = authority:lower():gsub(":80$", "")
  local host, port = authority:match "^%[([%x:.]+)%]:?(%d*)$"
  if not host then host, port = authority:match "^([^:@]+):?(%d*)$" end
  port = port == "" and 80 or tonumber(port)
  if not host or not port or port > 65535 then return nil end
  local url = {authority = authority, host = host, port = port, path = without_dots(path),
    query = query}
  url.text = "http://" .. authority .. url.path .. query
  return url
end

-- What a link on a page points to; nil if it is nothing that can be fetched here.
local function resolve(base, link)
  if link:find "^%a[%w+.-]*:" then return parse_url(link) end
  if link:find "^//" then return parse_url("http:" .. link) end
  local site = "http://" .. base.authority
  if link:find "^/" then return parse_url(site .. link) end
  if link:find "^%?" then return parse_url(site .. base.path .. link) end
  if link == "" or link:find "^#" then return nil end
  return parse_url(site .. base.path:match "^.*/" .. link)
end

local entities = {amp = "&", quot = '"', apos = "'", lt = "<", gt = ">"}

local function links_of(page)
  local links = {}
  local function add(link)
    local text = link:match "^%s*(.-)%s*$":gsub("&(%a+);", entities)
    table.insert(links, (text:gsub("%s", "%%20")))
  end
  for tag in page:gsub("<!%-%-.-%-%->", ""):gmatch "<[Aa]%s([^>]*)>" do
    local attributes = " " .. tag
    local value = attributes:match "%s[Hh][Rr][Ee][Ff]%s*=%s*(.*)"
    local quote = value and value:match "^[\"']"
    if quote then value = value:match("^" .. quote .. "([^" .. quote .. "]*)") end
    if value then add(quote and value or value:match "^[^%s]*") end
  end
  return links
end

-- ---- one page ----

-- Reads the status line and the header fields, their names in lower case.
local function read_head(conn)
  local line, message = conn:read_line()
  if not line then return nil, message or "no answer" end
  local status = tonumber(line:match "^HTTP/%d%.%d (%d%d%d)")
  if not status then return nil, "not an HTTP answer" end
  local fields = {}
  for _ = 1, MOST_FIELDS do
    line, message = conn:read_line()
    if not line then return nil, message or "cut short in the header" end
    if line == "" then return status, fields end
    local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
    if name then fields[name:lower()] = value end
  end
  return nil, "too long a header"
end

local function read_body(conn, fields)
  local length = tonumber(fields["content-length"])
  if length and length > LARGEST_PAGE then return nil, "too large" end
  if not length then
    local body, message = conn:read_all(LARGEST_PAGE)
    return body, message
  end
  local body, message = conn:read(length)
  if message then return nil, message end
  body = body or ""
  if #body < length then return nil, ("cut short: %d of %d bytes"):format(#body, length) end
  return body
end

-- Returns status, bytes of the body and its links; or nil and what went wrong.
local function fetch(url)
  local conn <close>, message = net.connect(url.host, url.port)
  if not conn then return nil, message end
  conn:write("GET ", url.path, url.query, " HTTP/1.0\r\nHost: ", url.authority,
    "\r\nUser-Agent: moonlet\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
  local status, fields = read_head(conn)
  if not status then return nil, fields end
  if status == 204 or status == 304 then return status, 0, {} end
  local is_html = (fields["content-type"] or "text/html"):lower():find("text/html", 1, true)
  if status == 200 and not is_html then return status, 0, {} end -- nothing to follow: not read
  local body, reason = read_body(conn, fields)
  if not body then return nil, reason end
  if status >= 300 and status < 400 then return status, #body, {fields.location} end
  return status, #body, status == 200 and links_of(body) or {}
end

-- ---- the site ----

local start = parse_url(start_url)
if not start then
  io.stderr:write("crawler: not an http:// URL: ", start_url, "\n")
  os.exit(1)
end

local at_once = sync.semaphore(options.c)
local hosts = {} -- authority -> its pages to come, and how many tasks work on them
local seen, found, failed, total_bytes = {}, 0, 0, 0

local function report(url, began, status, result, new_links)
  if not status or status >= 400 then failed = failed + 1 end
  if status then total_bytes = total_bytes + result end
  print(string.format("%6s %8s %7.0f %5s  %s%s", status or "-", status and result or "-",
    (task.now() - began) * 1000, status and new_links or "-", url.text,
    status and "" or ": " .. tostring(result)))
end

local function is_wanted(url)
  return url and not seen[url.text] and found < options.n and
    (options.a or url.authority == start.authority)
end

local add

local function visit(group, url)
  local began = task.now()
  local status, result, links = task.timeout(options.t, fetch, url)
  local new_links = 0
  for _, link in ipairs(links or {}) do
    local target = resolve(url, link)
    if is_wanted(target) then
      add(group, target)
      new_links = new_links + 1
    end
  end
  report(url, began, status, result, new_links)
end

-- Works on one host until there is nothing left to do.
local function work_on(group, host)
  while #host.pages > 0 do
    local _ <close> = at_once:hold()
    local url = host.pages:get(0) -- somebody else may have taken it meanwhile
    if url then visit(group, url) end
  end
  host.workers = host.workers - 1
end

function add(group, url)
  seen[url.text] = true
  found = found + 1
  local host = hosts[url.authority] or {pages = queue.new(), workers = 0}
  hosts[url.authority] = host
  host.pages:put(url)
  if host.workers == options.p then return end
  host.workers = host.workers + 1
  group:spawn(work_on, group, host)
end

io.stdout:setvbuf "line"
print(string.format("%6s %8s %7s %5s", "status", "bytes", "ms", "links"))
local began = task.now()
task.group(function(group) add(group, start) end)
print(string.format("%d pages, %d failed, %d bytes, %.2f s", found, failed, total_bytes,
  task.now() - began))
os.exit(failed == 0)
