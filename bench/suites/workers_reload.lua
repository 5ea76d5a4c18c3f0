--- Workers in motion: reloads under load, a worker killed each second, WebSockets through a
-- reload. The environment variable BENCH_SECONDS is the time of each load (60; --quick: 4);
-- for a million requests it has to be long enough. BENCH_WEBSOCKETS: how many (10000; 500).
local columns = require "columns"
local json = require "json"
local process = require "process"

local workers_reload = {}

local PORT = 18991
local CONNECTIONS = 64
local WORKERS = 2

local function shell(command, limit)
  return process.capture({"sh", "-c", command}, {limit = limit}) or ""
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function start(all)
  local log = os.tmpname()
  local line = "ulimit -n $(ulimit -Hn); "
    .. "exec %s --workers %d %s %d </dev/null >/dev/null 2>%s & echo $!"
  local pipe = assert(io.popen(line:format(process.quote(all.settings.moonlet), WORKERS,
    process.quote(all:script("workers.lua")), PORT, log)))
  local self = {pid = pipe:read("n"), log = log}
  pipe:close()
  for _ = 1, 500 do
    if read_file(log):find("ready after", 1, true) then return self end
    shell("sleep 0.02", 10)
  end
  return nil, "failed: it has not become ready"
end

local function stop(self)
  shell(("kill -TERM %d; while kill -0 %d 2>/dev/null; do sleep 0.05; done"):format(self.pid,
    self.pid), 60)
  os.remove(self.log)
end

local function sum_of(text)
  local sum = 0
  for number in (text or ""):gmatch("%d+") do sum = sum + tonumber(number) end
  return sum
end

-- wrk's load for so many seconds, and a command beside it: requests, failed ones, its output.
local function load_it(seconds, beside)
  local other = os.tmpname()
  local line = "(%s) >%s 2>&1 & wrk -t1 -c%d -d%ds --timeout 10s http://127.0.0.1:%d/; wait"
  local output = shell(line:format(beside, other, CONNECTIONS, seconds, PORT), seconds + 60)
  local said = read_file(other)
  os.remove(other)
  return {
    requests = tonumber(output:match("(%d+) requests in")) or 0, said = said,
    lost = sum_of(output:match("Socket errors: ([^\n]+)"))
      + (tonumber(output:match("Non%-2xx or 3xx responses: (%d+)")) or 0),
  }
end

local function driver(all, ...)
  local words = {process.quote(all.settings.moonlet)}
  words[2] = process.quote(all:script("workers_driver.lua"))
  for _, word in ipairs {...} do words[#words + 1] = tostring(word) end
  return "ulimit -n $(ulimit -Hn); " .. table.concat(words, " ")
end

local function reloads(self, seconds, times)
  local pause = math.max(seconds / (times + 2), 0.05)
  local result = load_it(seconds,
    ("for i in $(seq %d); do kill -HUP %d; sleep %.3f; done"):format(times, self.pid, pause))
  local _, count = read_file(self.log):gsub("generation %d+ serves", "")
  return {name = ("reloads: %d"):format(count), requests = result.requests, lost = result.lost}
end

local function kills(all, self, seconds)
  local result = load_it(seconds, driver(all, "kill", self.pid, seconds - 2))
  local said = json.decode_lines(result.said)[1] or {}
  return {
    name = ("kill -9: %d"):format(said.kills or 0), requests = result.requests, lost = result.lost,
    seconds = said.replacement, most = (said.kills or 0) * CONNECTIONS,
  }
end

local function sockets(all, self, count)
  local output = shell(driver(all, "websockets", self.pid, PORT, count), 300)
  local said = json.decode_lines(output)[1] or {}
  return {
    name = ("WebSockets through a reload: %d"):format(said.opened or 0), requests = said.back,
    lost = said.opened and said.opened - math.min(said.told, said.back), seconds = said.seconds,
  }
end

local function each(all, run, ...)
  local self, reason = start(all)
  if not self then return {name = "workers", failed = reason} end
  local record = run(self, ...)
  stop(self)
  return record
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn {table,...} a record for each
function workers_reload.run(all, quick)
  if not process.installed("wrk") then
    return {{name = "workers_reload", failed = "wrk is not installed"}}
  end
  local seconds = tonumber(os.getenv("BENCH_SECONDS")) or (quick and 4 or 60)
  local count = tonumber(os.getenv("BENCH_WEBSOCKETS")) or (quick and 500 or 10000)
  local records = {
    each(all, function(self) return reloads(self, seconds, quick and 10 or 100) end),
    each(all, function(self) return kills(all, self, seconds) end),
    each(all, function(self) return sockets(all, self, count) end),
  }
  local rows = {}
  for i, record in ipairs(records) do
    rows[i] = {record.name, columns.cell(record.requests, "%.0f"),
      columns.cell(record.lost, "%.0f"), columns.cell(record.most, "%.0f"),
      columns.cell(record.seconds, "%.3f")}
  end
  columns.print("Workers in motion: hello over HTTP, 64 connections, two workers",
    {"", "requests", "failed", "at most", "longest s"}, rows, columns.failures(records))
  return records
end

return workers_reload
