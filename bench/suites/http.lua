--- HTTP over keep-alive by wrk: requests per second and what the server pays for each, beside a raw
-- C server that gives one canned answer, in alternating rounds.
local columns = require "columns"
local process = require "process"
local rounds = require "rounds"
local wrk = require "wrk"

local http = {}

local SETTLE_SECONDS = 0.3
local FILE_BYTES = 64 * 1024

-- What Firefox sends with the request of a page: 10 fields.
local BROWSER = {
  "Host: www.example.com",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Accept-Language: en-US,en;q=0.5",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
  "Referer: http://www.example.com/index.html",
  "Upgrade-Insecure-Requests: 1",
  "Sec-Fetch-Mode: navigate",
  "Cache-Control: max-age=0",
}

local PLANS = {
  { title = "HTTP, a short request, 64 connections", connections = 64, path = "/" },
  { title = "HTTP, a browser's request, 64 connections", connections = 64, path = "/",
    fields = BROWSER },
  { title = "HTTP, a short request, 1000 connections", connections = 1000, path = "/" },
  { title = "HTTP, JSON of 1 KB, 64 connections", connections = 64, path = "/json",
    only = "moonlet" },
  { title = "HTTP, the last of 1,000 routes, 64 connections", connections = 64,
    path = "/things/1000/parts/7", only = "moonlet" },
  { title = "HTTP, a file of 64 KB, 64 connections (raw C: the canned answer)", connections = 64,
    path = "/file", only = "nginx" },
}

local medians = {
  requests_per_second = "requests_per_second", cpu_us_per_request = "server_cpu_us_per_request",
  p50_us = "p50_us", p99_us = "p99_us",
}
local ratios = { requests_ratio = "requests_per_second", cpu_ratio = "server_cpu_us_per_request" }

-- `only`: raw C and moonlet alone, or nginx, too; the peers' programs answer nothing else than "/".
local function takes_part(entry, plan)
  if not plan.only then return true end
  return entry.name == "raw C epoll" or entry.name == "moonlet" or entry.name == plan.only
end

local function measure(entries, plan, quick)
  local chosen = {}
  for _, entry in ipairs(entries) do
    if takes_part(entry, plan) then
      chosen[#chosen + 1] = {
        name = entry.name, server = entry.server, failed = entry.failed, rounds = {},
      }
    end
  end
  local load = {
    path = plan.path, fields = plan.fields, connections = plan.connections,
    seconds = quick and 1 or 3,
  }
  rounds.alternate(chosen, quick and 1 or 5, function(entry)
    local result, reason = wrk.load(entry.server, load)
    process.sleep(SETTLE_SECONDS)
    return result, reason
  end)
  return rounds.summaries(chosen, medians, ratios)
end

local header = {
  "", "requests/s", "to raw C", "CPU us/request", "to raw C", "p50 us", "p99 us",
}

local function row(record)
  return {
    record.name, columns.cell(record.requests_per_second, "%.0f"),
    columns.cell(record.requests_ratio), columns.cell(record.cpu_us_per_request),
    columns.cell(record.cpu_ratio), columns.cell(record.p50_us, "%.0f"),
    columns.cell(record.p99_us, "%.0f"),
  }
end

local function show(title, records)
  local rows = {}
  for i, record in ipairs(records) do rows[i] = row(record) end
  columns.print(title, header, rows, columns.failures(records))
end

-- A directory with the file that is asked for.
local function make_directory()
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. process.quote(directory))
  local file = assert(io.open(directory .. "/file", "wb"))
  file:write(("0123456789abcdef"):rep(FILE_BYTES // 16))
  file:close()
  return directory
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} for each kind of request `title` and `servers`: a record each
function http.run(all, quick)
  if not process.installed("wrk") then
    print("\nHTTP: wrk is not installed")
    return {}
  end
  local directory = make_directory()
  local entries = rounds.start(all:http_servers(directory))
  local results = {}
  for i, plan in ipairs(PLANS) do
    local records = measure(entries, plan, quick)
    show(plan.title, records)
    results[i] = { title = plan.title, servers = records }
  end
  rounds.stop(entries)
  os.execute("rm -rf " .. process.quote(directory))
  return results
end

return http
