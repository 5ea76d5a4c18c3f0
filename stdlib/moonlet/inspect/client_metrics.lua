--- Metrics of the HTTP client: its requests by host, its connections.
-- @module moonlet.inspect.client_metrics

local ipairs, pairs, pcall, require = ipairs, pairs, pcall, require
local sort = table.sort

local client_metrics = {}

local BOUNDS = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

-- Programs may ask any number of hosts.
local MOST_HOSTS = 200

-- Host -> statuses (class -> count), durations.
local hosts, count = {}, 0

local core, bounds, pools

local function figures_of(host)
  if not hosts[host] then
    if count >= MOST_HOSTS then host = "other" end
    if not hosts[host] then
      hosts[host] = { statuses = {}, durations = core.histogram({}, "", {}, bounds) }
      count = count + 1
    end
  end
  return hosts[host]
end

local function tell(host, seconds, status)
  local figures = figures_of(host)
  local class = status and status // 100 .. "xx" or "failed"
  figures.statuses[class] = (figures.statuses[class] or 0) + 1
  figures.durations:observe(seconds)
end

--- From now on requests are counted, if this runtime may make any.
function client_metrics.begin(metrics_core)
  core, bounds = metrics_core, metrics_core.bounds(BOUNDS)
  local has_client, exchange = pcall(require, "moonlet.http.client.exchange")
  if not has_client then return end
  pools = require("moonlet.http.pool").all
  exchange.told = function(...) pcall(tell, ...) end -- without memory the request still succeeds
end

local function keys_of(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  sort(keys)
  return keys
end

local function add_hosts(list, family, labelled)
  local requests, durations = {}, {}
  for _, host in ipairs(keys_of(hosts)) do
    local figures = hosts[host]
    for _, class in ipairs(keys_of(figures.statuses)) do
      requests[#requests + 1] = labelled({ value = figures.statuses[class] }, "host", host,
        "status", class)
    end
    local total, sum = figures.durations:value()
    durations[#durations + 1] = labelled({ count = total, sum = sum,
      buckets = core.buckets(figures.durations) }, "host", host)
  end
  list[#list + 1] = family("moonlet_http_client_requests_total", "counter", nil,
    "Requests of HTTP clients, each redirect and retry for itself, since metrics are on.", requests)
  local histogram = family("moonlet_http_client_duration_seconds", "histogram", "seconds",
    "From sending a request to the head of its response, since metrics are on.", durations)
  histogram.buckets = BOUNDS
  list[#list + 1] = histogram
end

--- Adds the families; family, labelled: as own_metrics has them.
function client_metrics.add(list, family, labelled)
  local open, idle = 0, 0
  for pool in pairs(pools or {}) do open, idle = open + pool.open, idle + pool.count end
  list[#list + 1] = family("moonlet_http_client_connections", "gauge", nil,
    "Open connections of HTTP clients.", { labelled { value = open } })
  list[#list + 1] = family("moonlet_http_client_connections_idle", "gauge", nil,
    "Those of them that no request uses.", { labelled { value = idle } })
  add_hosts(list, family, labelled)
end

return client_metrics
