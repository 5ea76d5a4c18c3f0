-- Fetches URLs, as curl does, with a progress bar on a terminal's standard error.
--
--     moonlet scripts/http_get.lua [-i] [-L] [-s] [-o FILE] [-X METHOD] [-d DATA] [-H 'NAME: VALUE']... URL...
--
-- -i: the head, too; -L: follow redirects; -s: no progress bar; -o: write to FILE, going on with what an earlier
-- try left; -d: send DATA (POST unless -X says otherwise). Exit status: 1 if a fetch failed, 22 if its status
-- is 400 or more.
local http = require "moonlet.http"

local function usage()
  io.stderr:write("usage: moonlet http_get.lua [-iLs] [-o FILE] [-X METHOD] [-d DATA] [-H 'NAME: VALUE'] URL...\n")
  os.exit(2)
end

local function add_header(headers, text)
  local name, value = text:match "^([^:]+):%s*(.*)$"
  if not name then usage() end
  headers[name] = headers[name] or {}
  table.insert(headers[name], value)
end

local function read_arguments()
  local opts, headers, urls, i = {}, {}, {}, 1
  while arg[i] do
    local option = arg[i]
    if option == "-i" or option == "-L" or option == "-s" then
      opts[option] = true
    elseif option == "-o" or option == "-X" or option == "-d" or option == "-H" then
      i = i + 1
      local value = arg[i] or usage()
      if option == "-H" then add_header(headers, value) else opts[option] = value end
    elseif option:find "^%-" then
      usage()
    else
      table.insert(urls, option)
    end
    i = i + 1
  end
  if #urls == 0 then usage() end
  return opts, headers, urls
end

local function size_text(size)
  local unit = 1
  while size >= 1024 and unit < 4 do size, unit = size / 1024, unit + 1 end
  return ("%.4g %s"):format(size, ({ "B", "KiB", "MiB", "GiB" })[unit])
end

local function show_progress(sum, total)
  local done = total and total > 0 and math.floor(30 * sum / total) or 0
  io.stderr:write(("\r[%s%s] %s"):format(("#"):rep(done), (" "):rep(30 - done), size_text(sum)))
end

local function print_head(r)
  io.write(("HTTP/%s %d %s\n"):format(r.version, r.status, r.reason))
  for name, value in pairs(r.headers) do io.write(name, ": ", value, "\n") end
  io.write "\n"
end

local function fetch(url, opts, headers)
  local request = {
    method = opts["-X"] or (opts["-d"] and "POST" or "GET"), headers = headers, body = opts["-d"],
    redirects = opts["-L"] and 10 or 0, timeout = { connect = 10, head = 30, idle = 30 },
  }
  if opts["-o"] then
    request.resume = true
    if not opts["-s"] then request.progress = show_progress end
    local r, message, code, answer = http.download(url, opts["-o"], request)
    if request.progress then io.stderr:write "\n" end
    if opts["-i"] and (r or answer) then print_head(r or answer) end
    return r or answer, message, code
  end
  local r <close>, message = http.stream(url, request)
  if not r then return nil, message end
  if opts["-i"] then print_head(r) end
  for piece in r:chunks() do io.write(piece) end
  return r
end

local opts, headers, urls = read_arguments()
local status = 0
for _, url in ipairs(urls) do
  local ok, r, message = pcall(fetch, url, opts, headers)
  if not ok then r, message = nil, tostring(r) end
  if not r then
    io.stderr:write(("http_get: %s\n"):format(message))
    status = 1
  elseif r.status >= 400 then
    status = math.max(status, 22)
  end
end
os.exit(status, true)
