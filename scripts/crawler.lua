-- Follows the links of a web site.
--
--     moonlet scripts/crawler.lua [-n PAGES] [-c AT_ONCE] [-p PER_HOST] [-t SECONDS] [-a] URL
--
-- PAGES: how many at most (100); AT_ONCE: how many at a time (10), PER_HOST: of these from one host
-- (4); SECONDS: for each page (10). It stays on host and port of URL; with -a it goes everywhere.
-- Prints status, bytes, milliseconds and new links of each page as it ends. A redirect counts as a
-- page with one link. Exit status: 1 if a page could not be fetched completely or its status is 400
-- or more.
local http = require "moonlet.http"
local queue = require "moonlet.queue"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local url = require "moonlet.url"

local LARGEST_PAGE = 2 * 1024 * 1024 -- bytes

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

-- The URL that has the same text whenever it is the same page, and its site; nil for what cannot be
-- fetched.
local function normal(text)
  local u = url.parse(text)
  local scheme = u and u.host and u.scheme
  if scheme ~= "http" and scheme ~= "https" then return nil end
  local is_usual = u.port == (scheme == "https" and 443 or 80)
  local site = ("%s://%s"):format(scheme, u.host:find ":" and "[" .. u.host .. "]" or u.host)
  if u.port and not is_usual then site = site .. ":" .. u.port end
  local query = tostring(u):match "^[^?#]*(%?[^#]*)" or ""
  return { text = site .. without_dots(u.path) .. query, site = site }
end

-- What a link on a page points to; nil if it is nothing that can be fetched here.
local function resolve(page, link)
  if link == "" or link:find "^#" then return nil end
  local target = url.join(page.text, link)
  return target and normal(tostring(target))
end

local entities = {amp = "&", quot = '"', apos = "'", lt = "<", gt = ">"}

local function links_of(page)
  local links = {}
  local function add(link)
    local text = link:match "^%s*(.-)%s*$":gsub("&(%a+);", entities)
    table.insert(links, (text:gsub('[%c "<>\\^`{|}\x7f-\xff]', function(byte)
      return ("%%%02X"):format(byte:byte())
    end)))
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

local client = http.client {
  redirects = 0, max_body = LARGEST_PAGE, headers = { accept = "text/html" },
  pool = { max = options.c },
  timeout = { connect = options.t, head = options.t, idle = options.t, total = options.t },
}

-- Returns status, bytes of the body and its links; or nil and what went wrong.
local function fetch(page)
  local r <close>, message = client:stream(page.text)
  if not r then return nil, message end
  local is_html = (r.headers["content-type"] or "text/html"):lower():find("text/html", 1, true)
  if r.status == 200 and not is_html then return 200, 0, {} end -- nothing to follow: not read
  local body, reason = r:read_all(LARGEST_PAGE)
  if not body then return nil, reason end
  if r.status >= 300 and r.status < 400 then return r.status, #body, { r.headers.location } end
  return r.status, #body, r.status == 200 and links_of(body) or {}
end

-- ---- the site ----

local start = normal(start_url)
if not start then
  io.stderr:write("crawler: not a URL of http or https: ", start_url, "\n")
  os.exit(1)
end

local at_once = sync.semaphore(options.c)
local hosts = {} -- site -> its pages to come, and how many tasks work on them
local seen, found, failed, total_bytes = {}, 0, 0, 0

local function report(page, began, status, result, new_links)
  if not status or status >= 400 then failed = failed + 1 end
  if status then total_bytes = total_bytes + result end
  print(string.format("%6s %8s %7.0f %5s  %s%s", status or "-", status and result or "-",
    (task.now() - began) * 1000, status and new_links or "-", page.text,
    status and "" or ": " .. tostring(result)))
end

local function is_wanted(page)
  return page and not seen[page.text] and found < options.n and
    (options.a or page.site == start.site)
end

local add

local function visit(group, page)
  local began = task.now()
  local status, result, links = fetch(page)
  local new_links = 0
  for _, link in ipairs(links or {}) do
    local target = resolve(page, link)
    if is_wanted(target) then
      add(group, target)
      new_links = new_links + 1
    end
  end
  report(page, began, status, result, new_links)
end

-- Works on one host until there is nothing left to do.
local function work_on(group, host)
  while #host.pages > 0 do
    local _ <close> = at_once:hold()
    local page = host.pages:get(0) -- somebody else may have taken it meanwhile
    if page then visit(group, page) end
  end
  host.workers = host.workers - 1
end

function add(group, page)
  seen[page.text] = true
  found = found + 1
  local host = hosts[page.site] or {pages = queue.new(), workers = 0}
  hosts[page.site] = host
  host.pages:put(page)
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
