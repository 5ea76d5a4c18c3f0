--- Workers: from the start until they serve, requests with one and with two, how connections are
-- spread, and what is lost when workers are reloaded or killed under load.
local columns = require "columns"
local process = require "process"

local workers = {}

local PORT = 18990
local CONNECTIONS = 64

local function capture(...)
  local output, reason = process.capture({...}, {limit = 60})
  return output or "", reason
end

-- Starts a program; its log is a file, in which it says when it is ready. A table with pid, log,
-- ready (what the pattern has captured).
local function start(command, pattern)
  local log = os.tmpname()
  local pipe = assert(io.popen(("exec %s </dev/null >%s 2>&1 & echo $!"):format(command, log)))
  local self = {pid = pipe:read("n"), log = log}
  pipe:close()
  for _ = 1, 500 do
    local file <close> = assert(io.open(log))
    self.ready = file:read("a"):match(pattern)
    if self.ready then return self end
    capture("sleep", "0.02")
  end
  return nil, "failed: it has not become ready"
end

local function start_moonlet(all, count)
  local command = ("%s --workers %s %s %d"):format(process.quote(all.settings.moonlet), count,
    process.quote(all:script("workers.lua")), PORT)
  return start(command, "ready after (%d+) ms")
end

local function stop(self)
  os.execute("kill -TERM " .. self.pid)
  for _ = 1, 500 do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(self.pid)) then break end
    capture("sleep", "0.02")
  end
  os.remove(self.log)
end

local function pids(self)
  local list = {}
  local text = capture("cat", ("/proc/%d/task/%d/children"):format(self.pid, self.pid))
  for pid in text:gmatch("%d+") do list[#list + 1] = tonumber(pid) end
  return list
end

-- Seconds of CPU of all workers.
local function cpu(self)
  local sum = 0
  for _, pid in ipairs(pids(self)) do
    local file = io.open("/proc/" .. pid .. "/stat")
    if file then
      local user, system = file:read("a"):match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
      file:close()
      sum = sum + (user + system) / 100
    end
  end
  return sum
end

-- wrk's load; `meanwhile`: a shell command beside it; header: of each request.
local function load_it(self, seconds, meanwhile, header)
  local before = cpu(self)
  local command = ("%s wrk -t1 -c%d -d%ds --timeout 10s -H '%s' http://127.0.0.1:%d/"):format(
    meanwhile and "(" .. meanwhile .. ") >/dev/null 2>&1 &" or "", CONNECTIONS, seconds,
    header or "X: y", PORT)
  local output = capture("sh", "-c", command)
  local count = tonumber(output:match("(%d+) requests in")) or 0
  local failed = 0
  for number in (output:match("Socket errors: ([^\n]+)") or ""):gmatch("%d+") do
    failed = failed + tonumber(number)
  end
  failed = failed + (tonumber(output:match("Non%-2xx or 3xx responses: (%d+)")) or 0)
  return {
    requests = count, per_second = tonumber(output:match("Requests/sec:%s+([%d.]+)")),
    failed = failed, cpu_us = count > 0 and (cpu(self) - before) / count * 1e6 or nil,
  }
end

-- By how many per cent the busiest worker has more connections than the mean; nil: unknown.
local function spread(all, self)
  local text = capture(all.settings.moonlet, "--workers-status", tostring(self.pid))
  local most, sum, count = 0, 0, 0
  for number in text:gmatch("ready%s+%d+%s+%d+%s+(%d+)") do
    number = tonumber(number)
    most, sum, count = math.max(most, number), sum + number, count + 1
  end
  return count > 1 and sum > 0 and (most * count / sum - 1) * 100 or nil
end

local function measure(all, name, count, seconds, meanwhile, header)
  local self, reason = start_moonlet(all, count)
  if not self then return {name = name, failed = reason} end
  local result = load_it(self, seconds, meanwhile and meanwhile(self), header)
  capture("sleep", "1.2") -- a beat, which tells the connections
  result.spread = not meanwhile and spread(all, self) or nil
  stop(self)
  result.name, result.lost, result.failed = name, result.failed, nil
  result.ready_ms = tonumber(self.ready)
  return result
end

local function measure_peer(name, command, seconds, header)
  local self, reason = start(command, "listening (%d+)")
  if not self then return {name = name, failed = reason} end
  local result = load_it(self, seconds, nil, header)
  stop(self)
  result.name, result.lost, result.failed = name, result.failed, nil
  return result
end

-- What is installed of other programs with two processes behind one port.
local function add_peers(all, records, seconds)
  if all.settings.peers and process.installed("nginx") then
    local directory = os.tmpname()
    os.remove(directory)
    capture("mkdir", directory)
    records[#records + 1] = measure_peer("nginx, two workers", ("env NGINX_WORKERS=2 sh %s %d %s"):format(
      process.quote(all:script("peers/http_nginx.sh")), PORT, directory), seconds)
    capture("rm", "-r", directory)
  end
  if all.settings.peers and process.installed("node") then
    local command = ("node %s %d 2"):format(process.quote(all:script("peers/cluster.js")), PORT)
    records[#records + 1] = measure_peer("Node's cluster, two workers", command, seconds)
    records[#records + 1] = measure_peer("Node's cluster, a connection each", command, seconds,
      "Connection: close")
  end
end

local function reloads(times)
  return function(self)
    return ("for i in $(seq %d); do kill -HUP %d; sleep 0.1; done"):format(times, self.pid)
  end
end

-- Kills one worker each second.
local function kills(seconds)
  return function(self)
    local line = "for i in $(seq %d); do sleep 1; "
      .. "kill -KILL $(cut -d' ' -f1 /proc/%d/task/%d/children); done"
    return line:format(seconds - 1, self.pid, self.pid)
  end
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each program
function workers.run(all, quick)
  if not process.installed("wrk") then
    return {{name = "workers", failed = "wrk is not installed"}}
  end
  local seconds = quick and 3 or 12
  local records = {
    measure(all, "one worker", "1", seconds),
    measure(all, "two workers", "2", seconds),
    measure(all, "two workers, reuseport", "2,reuseport", seconds),
    measure(all, "two workers, a connection each", "2", seconds, nil, "Connection: close"),
    measure(all, "two workers, reloaded all the time", "2", seconds, reloads(seconds * 8)),
    measure(all, "two workers, one killed each second", "2", seconds, kills(seconds)),
  }
  add_peers(all, records, seconds)
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = {record.name, columns.cell(record.ready_ms, "%.0f"),
      columns.cell(record.per_second, "%.0f"), columns.cell(record.cpu_us, "%.1f"),
      columns.cell(record.requests, "%.0f"), columns.cell(record.lost, "%.0f"),
      columns.cell(record.spread, "%.0f")}
  end
  columns.print("Workers: hello over HTTP, 64 connections",
    {"", "ready ms", "requests/s", "CPU us each", "requests", "failed", "spread %"}, rows,
    columns.failures(records))
  return records
end

return workers
