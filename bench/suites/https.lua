--- HTTP over TLS by wrk: what the server pays for a request over a connection that is there, beside
-- the same server without TLS. nginx, with the same OpenSSL, says what the ratio is elsewhere.
local certificate = require "certificate"
local columns = require "columns"
local process = require "process"
local rounds = require "rounds"
local wrk = require "wrk"

local https = {}

local SETTLE_SECONDS, CONNECTIONS = 0.3, 64
local FILE_BYTES = 64 * 1024

local PLANS = {
  { title = "HTTP over TLS, a short request, 64 connections", path = "/" },
  { title = "HTTP over TLS, a file of 64 KB, 64 connections", path = "/file" },
}

local medians = {
  requests_per_second = "requests_per_second", cpu_us_per_request = "server_cpu_us_per_request",
  p99_us = "p99_us",
}

local function measure(entries, plan, quick)
  for _, entry in ipairs(entries) do entry.rounds = {} end
  rounds.alternate(entries, quick and 1 or 5, function(entry)
    local result, reason = wrk.load(entry.server, {
      path = plan.path, connections = CONNECTIONS, seconds = quick and 1 or 3,
      is_tls = entry.contestant.is_tls,
    })
    process.sleep(SETTLE_SECONDS)
    return result, reason
  end)
  local records = rounds.summaries(entries, medians, {})
  for i = 2, #records, 2 do
    local plain, over_tls = records[i - 1].cpu_us_per_request, records[i].cpu_us_per_request
    records[i].cpu_ratio = plain and over_tls and over_tls / plain
  end
  return records
end

local function show(title, records)
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = {
      record.name, columns.cell(record.requests_per_second, "%.0f"),
      columns.cell(record.cpu_us_per_request), columns.cell(record.cpu_ratio),
      columns.cell(record.p99_us, "%.0f"),
    }
  end
  local header = {"", "requests/s", "CPU us/request", "to its plain one", "p99 us"}
  columns.print(title, header, rows, columns.failures(records))
end

-- A directory with the file that is asked for, and one with it for each nginx.
local function make_directory()
  local directory = os.tmpname()
  os.remove(directory)
  for _, path in ipairs { directory, directory .. "/plain", directory .. "/tls" } do
    os.execute("mkdir " .. process.quote(path))
    local file <close> = assert(io.open(path .. "/file", "wb"))
    file:write(("0123456789abcdef"):rep(FILE_BYTES // 16))
  end
  return directory
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} for each kind of request `title` and `servers`: a record each
function https.run(all, quick)
  local credentials <close>, reason = certificate.make()
  if not credentials or not process.installed("wrk") then
    print("\nHTTP over TLS: " .. (reason or "wrk is not installed"))
    return {}
  end
  local directory = make_directory()
  local entries = rounds.start(all:https_servers(directory, credentials))
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

return https
