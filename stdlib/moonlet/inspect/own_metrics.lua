--- The runtime's own metrics: their names and meanings. C code counts.
-- @module moonlet.inspect.own_metrics

local ipairs, pairs, setmetatable, type = ipairs, pairs, setmetatable, type
local sort = table.sort
local utf8_length = utf8.len

local client_metrics = require "moonlet.inspect.client_metrics"
local named = require "moonlet.named"

local own_metrics = {}

-- Each: name, type, unit or false, help, then its samples: a field of core.runtime(), or a table:
-- label, and value of the label -> field.
local DEFINITIONS = {
  { "moonlet_tasks", "gauge", false, "Tasks that have not ended.", "tasks" },
  { "moonlet_tasks_ready", "gauge", false, "Tasks that can run and wait for their turn.",
    "tasks_ready" },
  { "moonlet_tasks_spawned_total", "counter", false, "Tasks that were spawned.", "tasks_spawned" },
  { "moonlet_tasks_ended_total", "counter", false, "Tasks that have ended, by their outcome.",
    { "outcome", done = "tasks_done", failed = "tasks_failed", cancelled = "tasks_cancelled" } },
  { "moonlet_slices_overrun_total", "counter", false,
    "Tasks that computed for longer than their slice, by what happened then.",
    { "outcome", preempted = "slices_preempted", postponed = "slices_postponed",
      warned = "slices_slow" } },
  { "moonlet_timers", "gauge", false, "Deadlines under way.", "timers" },
  { "moonlet_children", "gauge", false, "Processes that run as children.", "children" },
  { "moonlet_lua_heap_bytes", "gauge", "bytes", "Memory of the Lua state.", "lua_heap" },
  { "moonlet_gc_cycles_total", "counter", false,
    "Cycles of the garbage collector since metrics are on.", "gc_cycles" },
  { "moonlet_gc_seconds_total", "counter", "seconds",
    "Time in the garbage collector and in finalizers, since metrics are on.", "gc_seconds" },
  { "moonlet_stacks", "gauge", false, "Shared C stacks that are mapped.", "stacks" },
  { "moonlet_stack_copies_total", "counter", false,
    "How often frames of a task were moved off a shared stack.", "stack_copies" },
  { "moonlet_stack_copied_bytes_total", "counter", "bytes",
    "Bytes of frames that were moved off shared stacks.", "stack_copied" },
  { "moonlet_dns_questions_total", "counter", false, "Questions sent to name servers.",
    "dns_questions" },
  { "moonlet_dns_failures_total", "counter", false,
    "Questions without records: the name or record does not exist, or there was no good answer.",
    { "reason", absent = "dns_absent", failed = "dns_failed" } },
  { "moonlet_tls_handshakes_total", "counter", false, "TLS handshakes that came to their end.",
    { "role", server = "tls_accepted", client = "tls_connected" } },
  { "moonlet_tls_resumed_total", "counter", false,
    "TLS handshakes that resumed an earlier connection.", "tls_resumed" },
  { "moonlet_tls_failures_total", "counter", false, "TLS handshakes that failed.", "tls_failed" },
  { "moonlet_http_connections_total", "counter", false, "Connections to HTTP servers.",
    "http_connections" },
  { "moonlet_http_connections", "gauge", false, "Open connections to HTTP servers.", "http_open" },
  { "moonlet_http_requests_in_flight", "gauge", false, "Requests to HTTP servers under way.",
    "http_in_flight" },
  { "moonlet_http_requests_received_total", "counter", false,
    "Requests that came to HTTP servers, also those that no handler saw.", "http_requests" },
  { "moonlet_http_requests_refused_total", "counter", false,
    "Requests answered without a handler: they were wrong, or too many were under way.",
    { "reason", wrong = "http_errors", busy = "http_refused" } },
  { "process_cpu_seconds_total", "counter", "seconds", "Processor time of all threads.", "cpu" },
  { "process_resident_memory_bytes", "gauge", "bytes", "Memory of the process that is in RAM.",
    "resident" },
  { "process_virtual_memory_bytes", "gauge", "bytes", "Address space of the process.", "virtual" },
  { "process_threads", "gauge", false, "Threads of the process.", "threads" },
  { "process_open_fds", "gauge", false, "Open descriptors of the process.", "open_fds" },
  { "process_max_fds", "gauge", false, "The most descriptors that may be open.", "max_fds" },
  { "process_start_time_seconds", "gauge", "seconds", "When the process began, since 1970.",
    "start" },
}

local WORKERS = {
  { "moonlet_worker_jobs_total", "counter", "Jobs given to worker threads, by kind.", "jobs" },
  { "moonlet_worker_jobs_queued", "gauge", "Jobs that no worker thread has taken yet.", "queued" },
  { "moonlet_worker_threads", "gauge", "Worker threads.", "workers" },
  { "moonlet_worker_threads_idle", "gauge", "Worker threads that wait for a job.", "idle" },
}

local TIMES = {
  { "moonlet_ready_delay_seconds", "ready",
    "How long tasks that could run waited for their turn, since metrics are on." },
  { "moonlet_task_run_seconds", "run",
    "How long tasks kept the thread at a time, since metrics are on." },
  { "moonlet_timer_lateness_seconds", "late",
    "How late tasks woke from sleeps and deadlines, since metrics are on." },
}

-- ---- garbage collection ----

local gc_cycles = 0

-- An object that nothing refers to is collected in each cycle.
local Sentinel = {}
function Sentinel.__gc()
  gc_cycles = gc_cycles + 1
  setmetatable({}, Sentinel)
end

-- ---- families, as moonlet.inspect.exposition takes them ----

local function family(name, kind, unit, help, samples)
  return { name = name, type = kind, unit = unit or nil, help = help, samples = samples }
end

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

-- The sample with these labels: names and values by turns.
local function labelled(sample, ...)
  local given, labels, text = { ... }, {}, ""
  for i = 1, #given, 2 do
    local value = utf8_length(given[i + 1]) and given[i + 1] or "not UTF-8"
    labels[given[i]] = value
    local escaped = value:gsub('[\\"\n]', ESCAPES)
    text = text .. (i > 1 and "," or "") .. given[i] .. '="' .. escaped .. '"'
  end
  sample.labels, sample.text = labels, text
  return sample
end

local function samples_of(source, figures)
  if type(source) == "string" then
    local value = figures[source]
    return value and { labelled { value = value } } or {}
  end
  local samples, values = {}, {}
  for value in pairs(source) do values[#values + 1] = value ~= 1 and value or nil end
  sort(values)
  for i, value in ipairs(values) do
    samples[i] = labelled({ value = figures[source[value]] }, source[1], value)
  end
  return samples
end

local function add_workers(list, work)
  local kinds = {}
  for kind in pairs(work) do kinds[#kinds + 1] = kind end
  sort(kinds)
  for _, one in ipairs(WORKERS) do
    local samples = {}
    for i, kind in ipairs(kinds) do
      samples[i] = labelled({ value = work[kind][one[4]] }, "kind", kind)
    end
    list[#list + 1] = family(one[1], one[2], nil, one[3], samples)
  end
end

local function add_times(list, times)
  list[#list + 1] = family("moonlet_switches_total", "counter", nil,
    "How often a task began to run or went on, since metrics are on.",
    { labelled { value = times.switches } })
  for _, one in ipairs(TIMES) do
    local sample = labelled(times[one[2]])
    local histogram = family(one[1], "histogram", "seconds", one[3], { sample })
    histogram.buckets = sample.bounds
    list[#list + 1] = histogram
  end
end

local function by_route(a, b) return a.route < b.route end

local function add_http(list, bounds, routes)
  local requests, received, sent, durations = {}, {}, {}, {}
  sort(routes, by_route)
  for _, one in ipairs(routes) do
    for _, count in ipairs(one.requests) do
      requests[#requests + 1] = labelled({ value = count[3] }, "method", count[1], "route",
        one.route, "status", count[2])
    end
    if #one.requests > 0 then
      received[#received + 1] = labelled({ value = one.received }, "route", one.route)
      sent[#sent + 1] = labelled({ value = one.sent }, "route", one.route)
      durations[#durations + 1] = labelled(one, "route", one.route)
    end
  end
  list[#list + 1] = family("moonlet_http_requests_total", "counter", nil,
    "Requests that handlers have answered, since metrics are on.", requests)
  list[#list + 1] = family("moonlet_http_request_bytes_total", "counter", "bytes",
    "Bytes of bodies of requests, since metrics are on.", received)
  list[#list + 1] = family("moonlet_http_response_bytes_total", "counter", "bytes",
    "Bytes of bodies of responses, since metrics are on.", sent)
  local histogram = family("moonlet_http_request_duration_seconds", "histogram", "seconds",
    "From the head of a request to the end of its response, since metrics are on.", durations)
  histogram.buckets = bounds
  list[#list + 1] = histogram
end

-- Pools and queues with names.
local function add_named(list, core)
  local leases, idle, waiting, lengths = {}, {}, {}, {}
  for name, pool in pairs(named.pools) do
    leases[#leases + 1] = labelled({ value = pool.max - #pool.places }, "pool", name)
    idle[#idle + 1] = labelled({ value = #pool.idle }, "pool", name)
    waiting[#waiting + 1] = labelled({ value = core.waiters(pool.places) }, "pool", name)
  end
  for name, queue in pairs(named.queues) do
    lengths[#lengths + 1] = labelled({ value = #queue }, "queue", name)
  end
  list[#list + 1] = family("moonlet_pool_leases", "gauge", nil,
    "Values of a pool that are leased, or being opened.", leases)
  list[#list + 1] = family("moonlet_pool_idle", "gauge", nil,
    "Values of a pool that wait to be leased.", idle)
  list[#list + 1] = family("moonlet_pool_waiting", "gauge", nil,
    "Tasks that wait for a place in a pool.", waiting)
  list[#list + 1] = family("moonlet_queue_length", "gauge", nil, "Values in a queue.", lengths)
end

local is_on = false

--- Adds the families. The first call begins what is measured only from then on.
function own_metrics.add(list, core)
  if not is_on then
    client_metrics.begin(core)
    setmetatable({}, Sentinel)
    is_on = true
  end
  local figures = core.runtime()
  figures.gc_cycles = gc_cycles
  for _, one in ipairs(DEFINITIONS) do
    local samples = samples_of(one[5], figures)
    list[#list + 1] = family(one[1], one[2], one[3], one[4], samples)
  end
  add_workers(list, figures.work)
  add_times(list, core.times())
  add_http(list, core.http())
  add_named(list, core)
  client_metrics.add(list, family, labelled)
  for _, add in ipairs(named.metrics) do add(list, family, labelled) end
end

return own_metrics
