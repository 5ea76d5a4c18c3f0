-- Fetches URLs, as curl does.
--
--     moonlet scripts/http_get.lua [-iILsfk] [-o FILE] [-X METHOD] [-d DATA] [-H 'NAME: VALUE']...
--                                  [-m SECONDS] URL...
--
-- -i: prints the head, too          -I: asks for the head alone       -L: follows redirects
-- -o: writes to FILE, and goes on where an earlier try was cut; on a terminal with a progress bar,
--     unless -s is given
-- -d: sends DATA, of the type of a form unless -H says otherwise; @FILE: what is in the file, @-:
--     standard input
-- -X: the method, otherwise GET, or POST with -d                      -m: seconds for each URL
-- -f: prints no body of an error    -k: believes any certificate
-- Exit status: 1 if a fetch failed, 22 if an answer's status was 400 or more.
local http = require "moonlet.http"
local task = require "moonlet.task"

local USAGE = [[
usage: moonlet http_get.lua [-iILsfk] [-o FILE] [-X METHOD] [-d DATA] [-H 'NAME: VALUE']...
                            [-m SECONDS] URL...
]]
local WITH_VALUE = "[oXdHm]"

local function refuse()
  io.stderr:write(USAGE)
  os.exit(1)
end

-- ---- arguments ----

local function add_header(headers, text)
  local name, value = text:match "^([^:%s]+):%s*(.-)%s*$"
  if not name then refuse() end
  name = name:lower()
  headers[name] = headers[name] or {}
  table.insert(headers[name], value)
end

-- The options that stand in one word, such as -iL, -oFILE or -o FILE. Returns the index of the last
-- word.
local function read_option(opts, headers, i)
  local letters = arg[i]:sub(2)
  while letters ~= "" do
    local letter, rest = letters:sub(1, 1), letters:sub(2)
    if letter:find(WITH_VALUE) then
      if rest == "" then i = i + 1 end
      local value = rest ~= "" and rest or arg[i] or refuse()
      if letter == "H" then add_header(headers, value) else opts[letter] = value end
      return i
    end
    if not letter:find "[iILsfk]" then refuse() end
    opts[letter], letters = true, rest
  end
  return i
end

local function read_arguments()
  local opts, headers, urls, i = {}, {}, {}, 1
  while arg[i] do
    if arg[i] == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif arg[i]:find "^%-." then
      i = read_option(opts, headers, i)
    else
      table.insert(urls, arg[i]:find "^%a[%w+.-]*://" and arg[i] or "http://" .. arg[i])
    end
    i = i + 1
  end
  if #urls == 0 or (opts.o and #urls > 1) or (opts.m and not tonumber(opts.m)) then refuse() end
  return opts, headers, urls
end

-- As assert(), but the message does not begin with a line of this script.
local function check(value, message)
  return value or error(message, 0)
end

-- What -d gives: text, or an open file, which is sent as it is read.
local function read_data(text)
  if text == "@-" then return io.read "a" end
  if not text:find "^@" then return text end
  return check(io.open(text:sub(2), "rb"))
end

local function prepare(opts, headers)
  if opts.d and not headers["content-type"] then
    headers["content-type"] = "application/x-www-form-urlencoded"
  end
  return {
    method = opts.X or opts.I and "HEAD" or opts.d and "POST" or "GET", headers = headers,
    body = opts.d and read_data(opts.d), redirects = opts.L and 10 or 0,
    tls = opts.k and { verify = false } or nil,
    timeout = { connect = 10, head = 30, idle = 30, total = tonumber(opts.m) },
  }
end

-- ---- progress ----

local function size_text(size)
  local unit = 1
  while size >= 1024 and unit < 4 do size, unit = size / 1024, unit + 1 end
  return ("%.4g %s"):format(size, ({ "B", "KiB", "MiB", "GiB" })[unit])
end

-- Returns a function that shows how much has come, ten times a second, and at last.
local function progress_bar()
  local shown_at = 0
  return function(sum, total)
    if task.now() - shown_at < 0.1 and sum ~= total then return end
    shown_at = task.now()
    local done = total and total > 0 and math.floor(30 * sum / total) or 0
    local bar = ("#"):rep(done) .. (" "):rep(30 - done)
    io.stderr:write(("\r[%s] %-10s"):format(bar, size_text(sum)))
  end
end

-- ---- one URL ----

local function print_head(r)
  io.write(("HTTP/%s %d %s\n"):format(r.version, r.status, r.reason))
  for name, value in pairs(r.headers) do io.write(name, ": ", value, "\n") end
  io.write "\n"
end

local function save(url, opts, request)
  request.resume = request.method == "GET"
  local shows_progress = not opts.s and os.execute "test -t 2"
  if shows_progress then request.progress = progress_bar() end
  local r, message, _, answer = http.download(url, opts.o, request)
  if shows_progress then io.stderr:write "\n" end
  if opts.i and (r or answer) then print_head(r or answer) end
  return r or answer, message
end

local function show(url, opts, request)
  local r <close>, message = http.stream(url, request)
  if not r then return nil, message end
  if opts.i or opts.I then print_head(r) end
  if opts.f and r.status >= 400 then return r, ("%s answered %d"):format(url, r.status) end
  for piece in r:chunks() do check(io.write(piece)) end
  check(io.stdout:flush())
  return r
end

-- Returns the exit status.
local function fetch(url, opts, headers)
  local ok, r, message = pcall(function()
    local request = prepare(opts, headers)
    if opts.o and opts.o ~= "-" then return save(url, opts, request) end
    return show(url, opts, request)
  end)
  if not ok then r, message = nil, tostring(r) end
  if message then io.stderr:write(("http_get: %s\n"):format(message)) end
  if not r then return 1 end
  return r.status >= 400 and 22 or 0
end

local opts, headers, urls = read_arguments()
local status = 0
for _, url in ipairs(urls) do status = math.max(status, fetch(url, opts, headers)) end
os.exit(status, true)
