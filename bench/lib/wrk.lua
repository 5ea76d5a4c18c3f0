--- Load by wrk, and what the server paid for it.
local process = require "process"

local wrk = {}

local LOAD_CPU = 1
local TICKS_PER_SECOND = 100 -- of /proc/PID/stat: the kernel's USER_HZ

-- Seconds of CPU that the process has used, itself and in the kernel.
local function cpu_seconds(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  local user, system = text:match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) / TICKS_PER_SECOND
end

local UNITS = { us = 1, ms = 1e3, s = 1e6 }

local function microseconds(text, percent)
  local number, unit = text:match(percent .. "%%%s+([%d.]+)(%a+)")
  return number and tonumber(number) * (UNITS[unit] or 0)
end

--- Asks for one URL on many connections, for some seconds.
-- @tparam table server `pid` and `port`
-- @tparam table plan `path`, `connections`, `seconds`; `fields`: lines of the request's head;
-- `is_tls`
-- @treturn ?table `requests_per_second`, `server_cpu_us_per_request`, `p50_us`, `p99_us`; or nil
-- and a reason
function wrk.load(server, plan)
  local command = {"wrk", "--latency", "-t1", "-c" .. plan.connections, "-d" .. plan.seconds .. "s",
    "--timeout", "10s"}
  for _, line in ipairs(plan.fields or {}) do
    table.insert(command, "-H")
    table.insert(command, line)
  end
  local scheme = plan.is_tls and "https" or "http"
  table.insert(command, scheme .. "://127.0.0.1:" .. server.port .. plan.path)
  local before = cpu_seconds(server.pid)
  local output, reason = process.capture(command, {cpu = LOAD_CPU, limit = plan.seconds + 30})
  local after = cpu_seconds(server.pid)
  if not output then return nil, reason end
  local bad = output:match("Non%-2xx or 3xx responses: %d+")
    or output:match("Socket errors: [^\n]+")
  if bad then return nil, "failed: " .. bad end
  local count = tonumber(output:match("(%d+) requests in"))
  if not before or not after or not count or count == 0 then return nil, "failed: no requests" end
  return {
    requests_per_second = tonumber(output:match("Requests/sec:%s+([%d.]+)")),
    server_cpu_us_per_request = (after - before) / count * 1e6,
    p50_us = microseconds(output, "50"), p99_us = microseconds(output, "99"),
  }
end

return wrk
