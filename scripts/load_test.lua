-- Measures a web server, as wrk does.
--
--     moonlet scripts/load_test.lua [-c CONNECTIONS] [-d SECONDS] [-r RATE] [-t SECONDS]
--                                   [-X METHOD] [-b BODY] [-H 'NAME: VALUE']... URL
--
-- -c: connections, each with one request at a time (10)       -d: how long (10)
-- -r: requests a second in all; without it as many as the server answers
-- -t: seconds for each request (10)    -X, -b, -H: method, body, fields of the request
--
-- With a rate the latency is counted from when a request was due, not from when a connection was
-- free for it: a server that stalls is not asked less in the meantime. Exit status: 1 if a request
-- failed, or its status was 400 or more. Ctrl-C shows what was measured so far.
local http = require "moonlet.http"
local task = require "moonlet.task"
local url_parse = require("moonlet.url").parse

local USAGE = [[
usage: moonlet load_test.lua [-c CONNECTIONS] [-d SECONDS] [-r RATE] [-t SECONDS]
                             [-X METHOD] [-b BODY] [-H 'NAME: VALUE']... URL
]]

local STEP = 1.05 -- latencies within this factor are one: percentiles are off by 2.5 %
local ROW = 2 -- between the rows that are printed
local PAUSE = 0.05 -- seconds before another try, when there was no connection

local function refuse()
  io.stderr:write(USAGE)
  os.exit(1)
end

local function add_header(headers, text)
  local name, value = text:match "^([^:%s]+):%s*(.-)%s*$"
  if not name then refuse() end
  headers[name] = value
end

local function read_arguments()
  local opts, headers, i = { c = 10, d = 10, t = 10 }, {}, 1
  while arg[i] and arg[i]:find "^%-" do
    local letter, value = arg[i]:match "^%-(%a)$", arg[i + 1]
    if arg[i] == "-h" or arg[i] == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif letter == "H" and value then
      add_header(headers, value)
    elseif (letter == "X" or letter == "b") and value then
      opts[letter] = value
    elseif letter and ("cdrt"):find(letter) and (tonumber(value) or 0) > 0 then
      opts[letter] = tonumber(value)
    else
      refuse()
    end
    i = i + 2
  end
  opts.c = math.tointeger(opts.c)
  if i ~= #arg or not opts.c then refuse() end
  return opts, headers, arg[i]:find "^%a[%w+.-]*://" and arg[i] or "http://" .. arg[i]
end

local opts, headers, url = read_arguments()
local is_url, why = url_parse(url)
if not is_url then
  io.stderr:write("load_test: ", why, "\n")
  os.exit(1)
end

-- ---- the book ----

-- Answers and bytes so far; problem -> how often; a latency's class -> how many.
local answers, bytes, problems, latencies = 0, 0, {}, {}

local function add_problem(kind)
  problems[kind] = (problems[kind] or 0) + 1
end

local function add_answer(r, seconds)
  answers, bytes = answers + 1, bytes + #r.body
  local class = math.log(math.max(seconds, 1e-6), STEP) // 1 | 0
  latencies[class] = (latencies[class] or 0) + 1
  if r.status >= 400 then add_problem("status " .. r.status) end
end

-- ---- the load ----

-- HTTP/1.1: with HTTP/2 all would share one connection.
local client = http.client {
  version = "1.1", pool = { max = opts.c, per_host = opts.c }, redirects = 0, decode = false,
  headers = headers, timeout = opts.t,
}

local asked = 0 -- requests so far

-- When the next request is due.
local function next_due(started)
  if not opts.r then return task.now() end
  local due = started + asked / opts.r
  asked = asked + 1
  task.sleep_until(due)
  return due
end

local function use_connection(started)
  local request = { url = url, method = opts.X or opts.b and "POST", body = opts.b }
  while true do
    local due = next_due(started)
    local r, message, code = client:request(request)
    if r then
      add_answer(r, task.now() - due)
    else
      add_problem(code or message)
      task.sleep(PAUSE)
    end
  end
end

-- Returns how long it took. Ctrl-C only ends it sooner.
local function run()
  local started = task.now()
  local ok, problem = task.pcall(task.timeout, opts.d, task.group, function(group)
    for _ = 1, opts.c do group:spawn(use_connection, started) end
  end)
  if not ok and not task.is_cancellation(problem) then error(problem, 0) end
  return task.now() - started
end

-- ---- the report ----

-- The latency, in ms, that this part of the answers has at most.
local function percentile(classes, part)
  local left = part * answers
  for _, class in ipairs(classes) do
    left = left - latencies[class]
    if left <= 0 then return 1000 * STEP ^ (class + 0.5) end
  end
  return 1000 * STEP ^ (classes[#classes] + 0.5)
end

-- Rows whose limits are a factor of ROW apart, each with a bar.
local function print_histogram(classes)
  local rows, most, first, last = {}, 0, nil, nil
  for _, class in ipairs(classes) do
    local row = math.log(1000 * STEP ^ (class + 0.5), ROW) // 1 | 0
    rows[row] = (rows[row] or 0) + latencies[class]
    most, first, last = math.max(most, rows[row]), first or row, row
  end
  for row = first, last do
    local count = rows[row] or 0
    local bar = ("#"):rep(math.ceil(40 * count / most))
    local part = 100 * count / answers
    print(("  < %9.3f ms %9d %6.2f %%  %s"):format(ROW ^ (row + 1), count, part, bar))
  end
end

local function print_latencies()
  local classes, texts = {}, {}
  for class in pairs(latencies) do table.insert(classes, class) end
  table.sort(classes)
  for i, part in ipairs { 0.5, 0.9, 0.99, 0.999, 1 } do
    texts[i] = ("%g %% %.3g"):format(100 * part, percentile(classes, part))
  end
  print("latency, ms       " .. table.concat(texts, "   "))
  print_histogram(classes)
end

local function print_problems()
  local kinds, texts = {}, {}
  for kind in pairs(problems) do table.insert(kinds, kind) end
  table.sort(kinds)
  for i, kind in ipairs(kinds) do texts[i] = kind .. " " .. problems[kind] end
  print("errors            " .. (texts[1] and table.concat(texts, ", ") or "none"))
end

print(("%d connections for %g s%s: %s"):format(opts.c, opts.d,
  opts.r and (", %g requests/s"):format(opts.r) or "", url))
local seconds = run()
print(("answers           %d, %.1f/s, %.3f MB/s"):format(answers, answers / seconds,
  bytes / seconds / 1e6))
if answers > 0 then print_latencies() end
print_problems()
if next(problems) or answers == 0 then os.exit(1) end
