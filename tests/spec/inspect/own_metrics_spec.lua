--- inspect.metrics: what the runtime counts and measures by itself.

local support = dofile "tests/spec/support.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local http = require "moonlet.http"
local inspect = require "moonlet.inspect"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"

local function same_labels(labels, wanted)
  for name, value in pairs(wanted or {}) do
    if labels[name] ~= value then return false end
  end
  return true
end

-- The series with these labels, and perhaps others.
local function series_of(name, labels)
  local metric = inspect.metrics()[name]
  for _, series in ipairs(metric and metric.series or {}) do
    if same_labels(series.labels, labels) then return series end
  end
  return nil
end

local function value_of(name, labels)
  local series = series_of(name, labels)
  return series and (series.value or series.count) or 0
end

-- By how much that grows while the function runs.
local function growth(name, labels, fn)
  local before = value_of(name, labels)
  fn()
  return value_of(name, labels) - before
end

-- A client whose connections lead to that server, and closes it.
local function client_of(server, version)
  return http.client {
    version = version,
    connect = function()
      local near, far = net.memory_pair()
      task.spawn({ daemon = true, quiet = true }, function() server:serve(far) end)
      return near
    end,
  }
end

local URL = "http://spec.test"

describe("the guide", function()
  it("lists every metric of the runtime, with its type, and no other", function()
    local families, known, types = {}, {}, {}
    require("moonlet.durable.metrics") -- is told with the others once durable runs are used
    require("moonlet.inspect.own_metrics").add(families, require "moonlet.inspect.metrics.core")
    for _, family in ipairs(families) do known[family.name] = family.type end
    for row in support.read_file "docs/guide-inspect.md":gmatch "\n(| `[mp][^\n]+)" do
      local names, kinds = row:match "^| ([^|]+) | ([^|]+) |"
      local all = {}
      for kind in kinds:gmatch "%a+" do all[#all + 1] = kind end
      local i = 0
      for name in names:gmatch "`([%w_]+)`" do
        i = i + 1
        types[name] = all[i] or all[#all]
      end
    end
    assert.same(known, types)
  end)
end)

describe("the runtime's metrics of tasks", function()
  it("count tasks that were spawned, and how they have ended", function()
    local before = inspect.metrics()
    local function grown(name, labels)
      local value = value_of(name, labels)
      for _, series in ipairs(before[name].series) do
        if same_labels(series.labels, labels) then return value - series.value end
      end
    end
    for _ = 1, 5 do task.spawn(function() end):join() end
    for _ = 1, 3 do task.spawn({ quiet = true }, error, "bad"):join() end
    local sleeping, unborn = task.spawn({ quiet = true }, task.sleep, 3600), task.spawn({ quiet = true }, print)
    unborn:cancel()
    task.yield()
    assert.equal(1, grown("moonlet_tasks", {}))
    sleeping:cancel()
    sleeping:join()
    unborn:join()
    assert.equal(10, grown("moonlet_tasks_spawned_total", {}))
    assert.equal(5, grown("moonlet_tasks_ended_total", { outcome = "done" }))
    assert.equal(3, grown("moonlet_tasks_ended_total", { outcome = "failed" }))
    assert.equal(2, grown("moonlet_tasks_ended_total", { outcome = "cancelled" }))
    assert.equal(0, grown("moonlet_tasks", {}))
  end)

  it("show how many can run", function()
    assert.equal(0, value_of("moonlet_tasks_ready"))
    for _ = 1, 7 do task.spawn(function() end) end
    assert.equal(7, value_of("moonlet_tasks_ready"))
    task.yield()
    assert.equal(0, value_of("moonlet_tasks_ready"))
  end)

  it("show how long a task that can run waited, beside one that computes", function()
    inspect.metrics()
    local before = series_of "moonlet_ready_delay_seconds"
    task.spawn(function() end)
    local until_ = os.clock() + 0.03
    while os.clock() < until_ do end
    task.yield()
    local after = series_of "moonlet_ready_delay_seconds"
    assert.is_true(after.count >= before.count + 1)
    assert.is_true(after.sum - before.sum >= 0.025, after.sum - before.sum)
    local slow, bounds = 0, inspect.metrics().moonlet_ready_delay_seconds.bounds
    for i, bound in ipairs(bounds) do
      if bound == 0.025 then slow = after.count - after.buckets[i] - (before.count - before.buckets[i]) end
    end
    assert.is_true(slow >= 1)
    assert.is_true(after.quantiles.max >= 0.025)
    assert.is_true(after.quantiles.p50 <= after.quantiles.p99 and after.quantiles.p99 <= after.quantiles.max)
  end)

  it("show how long tasks kept the thread, and how often they ran", function()
    inspect.metrics()
    local before, switches = series_of "moonlet_task_run_seconds", value_of "moonlet_switches_total"
    for _ = 1, 10 do task.yield() end
    task.spawn(function()
      local until_ = os.clock() + 0.03
      while os.clock() < until_ do end
    end):join()
    local after = series_of "moonlet_task_run_seconds"
    assert.is_true(after.sum - before.sum >= 0.025, after.sum - before.sum)
    assert.is_true(value_of "moonlet_switches_total" - switches >= 2)
  end)

  it("count slices that were over: preempted, postponed, and warned of", function()
    local output = support.run([[
      warn "@off"
      local inspect, task = require "moonlet.inspect", require "moonlet.task"
      local function overrun(outcome)
        for _, series in ipairs(inspect.metrics().moonlet_slices_overrun_total.series) do
          if series.labels.outcome == outcome then return series.value end
        end
      end
      -- Computes until so many more are counted.
      local function compute(outcome, count)
        local goal, deadline = overrun(outcome) + count, os.time() + 30
        while overrun(outcome) < goal do assert(os.time() < deadline, outcome) end
      end
      task.spawn({ daemon = true, preempt = false }, function() while true do task.yield() end end)
      compute("preempted", 3)
      task.no_switch(compute, "postponed", 2)
      task.no_switch(compute, "warned", 1)
      print "counted"]], "--preempt 2 --slow 50")
    assert.equal("counted\n", output)
  end)

  it("show how late sleepers wake", function()
    inspect.metrics()
    local before = series_of "moonlet_timer_lateness_seconds"
    local sleeper = task.spawn(task.sleep, 0.001)
    task.yield()
    local until_ = os.clock() + 0.03
    while os.clock() < until_ do end
    sleeper:join()
    local after = series_of "moonlet_timer_lateness_seconds"
    assert.equal(before.count + 1, after.count)
    assert.is_true(after.sum - before.sum >= 0.02, after.sum - before.sum)
  end)

  it("stay right in storms of spawned tasks that ask for them", function()
    local ended = 0
    local group <close> = task.group()
    local before = value_of "moonlet_tasks_spawned_total"
    for i = 1, 3000 do
      group:spawn(function()
        if i % 500 == 0 then inspect.metrics "prometheus" end
        task.yield()
        ended = ended + 1
      end)
    end
    group:join()
    assert.equal(3000, ended)
    assert.equal(3000, value_of "moonlet_tasks_spawned_total" - before)
    local ready = series_of "moonlet_ready_delay_seconds"
    assert.equal(ready.count, ready.buckets[#ready.buckets])
  end)
end)

describe("the runtime's metrics of the process", function()
  it("are what the kernel says", function()
    local shown = inspect.metrics()
    local function value(name) return shown[name].series[1].value end
    assert.is_true(value "process_resident_memory_bytes" > 1e6)
    assert.is_true(value "process_virtual_memory_bytes" >= value "process_resident_memory_bytes")
    assert.is_true(value "process_cpu_seconds_total" > 0)
    assert.is_true(value "process_threads" >= 1)
    assert.is_true(value "process_max_fds" > 3)
    assert.is_true(math.abs(value "process_start_time_seconds" - os.time()) < 86400)
    local file <close> = assert(io.open "/dev/null")
    assert.equal(value "process_open_fds" + 1, value_of "process_open_fds", tostring(file))
    assert.is_true(value "moonlet_lua_heap_bytes" > 1e5)
  end)

  it("count cycles of the collector", function()
    inspect.metrics()
    assert.is_true(growth("moonlet_gc_cycles_total", {}, function()
      for _ = 1, 3 do collectgarbage() end
    end) >= 2)
  end)

  it("count the time of the collector, also of finalizers, and no other", function()
    if not require("moonlet.inspect.profile.core").knows_collector() then return pending "needs the static liblua" end
    inspect.metrics()
    local keep = {}
    for i = 1, 20000 do keep[i] = { i } end
    local function compute(seconds)
      local stop = os.clock() + seconds
      while os.clock() < stop do end
    end
    collectgarbage "stop"
    local busy <const> = growth("moonlet_gc_seconds_total", {}, function() compute(0.2) end)
    local full <const> = growth("moonlet_gc_seconds_total", {}, function() for _ = 1, 5 do collectgarbage() end end)
    local final <const> = growth("moonlet_gc_seconds_total", {}, function()
      setmetatable({}, { __gc = function() compute(0.1) end })
      collectgarbage()
    end)
    collectgarbage "restart"
    local steps <const> = growth("moonlet_gc_seconds_total", {}, function()
      for i = 1, 200000 do keep[i % 1000 + 1] = { i } end
    end)
    assert.equal(20000, #keep)
    assert.is_true(busy < 0.1, busy)
    assert.is_true(full > 0.0005, full)
    assert.is_true(final >= 0.09, final)
    assert.is_true(steps > 0, steps)
  end)

  it("count children and the jobs of workers", function()
    local child <close> = process.spawn { "sleep", "60" }
    assert.equal(1, value_of "moonlet_children")
    child:kill "KILL"
    child:wait()
    assert.equal(0, value_of "moonlet_children")
    local path = os.tmpname()
    local jobs = growth("moonlet_worker_jobs_total", { kind = "disk" }, function()
      assert(fs.write(path, "x", { sync = true }))
    end)
    os.remove(path)
    assert.is_true(jobs >= 1)
    assert.is_true(value_of("moonlet_worker_threads", { kind = "disk" }) >= 1)
    assert.equal(0, value_of("moonlet_worker_jobs_queued", { kind = "disk" }))
  end)
end)

describe("the runtime's metrics of pools and queues", function()
  it("show those that have a name", function()
    local pool = require("moonlet.pool").new { name = "spec", max = 3, open = function() return {} end,
      close = function() end }
    local queue = require("moonlet.queue").new { name = "spec \"jobs\"" }
    require("moonlet.queue").new()
    for i = 1, 5 do queue:put(i) end
    local one, other = pool:lease(), pool:lease()
    other:close()
    assert.equal(1, value_of("moonlet_pool_leases", { pool = "spec" }))
    assert.equal(1, value_of("moonlet_pool_idle", { pool = "spec" }))
    local third = pool:lease()
    assert.equal(0, value_of("moonlet_pool_waiting", { pool = "spec" }))
    local fourth = pool:lease()
    local late = {}
    for i = 1, 2 do late[i] = task.spawn(function() pool:lease():close() end) end
    task.yield()
    assert.equal(2, value_of("moonlet_pool_waiting", { pool = "spec" }))
    late[1]:cancel()
    task.yield()
    assert.equal(1, value_of("moonlet_pool_waiting", { pool = "spec" }))
    third:close()
    fourth:close()
    late[2]:join()
    assert.equal(0, value_of("moonlet_pool_waiting", { pool = "spec" }))
    assert.equal(5, value_of("moonlet_queue_length", { queue = "spec \"jobs\"" }))
    assert.matches('moonlet_queue_length{queue="spec \\"jobs\\""} 5\n', inspect.metrics "prometheus", 1, true)
    one:close()
    assert.equal(0, value_of("moonlet_pool_leases", { pool = "spec" }))
    assert.error_matches(function() require("moonlet.queue").new { name = 5 } end, "option 'name'")
    assert.error_matches(function() require("moonlet.pool").new { open = print, name = {} } end, "option 'name'")
  end)

  it("forget those that are gone", function()
    require("moonlet.queue").new { name = "gone" }
    collectgarbage()
    collectgarbage()
    assert.is_nil(series_of("moonlet_queue_length", { queue = "gone" }))
  end)
end)

describe("the runtime's metrics of TLS", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  it("count handshakes by role, those that resumed, and those that failed", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = assert(net.tls(credentials.shows "good")) }))
    local port = listener:address().port
    local context = assert(net.tls(credentials.trusts { server_name = "good.example" }))
    local function shake(tls)
      local serving = task.spawn({ quiet = true }, function()
        local conn <close> = listener:accept()
        conn:write "hello\n"
        conn:read_line()
      end)
      local conn, message = net.connect("127.0.0.1", port, { tls = tls })
      if conn then
        assert.equal("hello", conn:read_line())
        conn:close()
      end
      serving:join()
      return conn, message
    end
    local function counts()
      return { value_of("moonlet_tls_handshakes_total", { role = "server" }),
        value_of("moonlet_tls_handshakes_total", { role = "client" }), value_of "moonlet_tls_resumed_total",
        value_of "moonlet_tls_failures_total" }
    end
    local server, client, resumed, failed = table.unpack(counts())
    for _ = 1, 3 do assert(shake(context)) end
    assert.same({ server + 3, client + 3, resumed + 4, failed }, counts())
    assert.is_nil((shake(credentials.trusts { server_name = "other.example" })))
    assert.is_true(counts()[4] > failed)
  end)
end)

describe("the runtime's metrics of HTTP", function()
  local function ask(client, method, path, options)
    options = options or {}
    options.method, options.url = method, URL .. path
    return assert(client:request(options))
  end

  local function count(method, route, status)
    return value_of("moonlet_http_requests_total", { method = method, route = route, status = status })
  end

  for _, version in ipairs { "1.1", "2" } do
    it("count requests by method, route and status, over HTTP/" .. version, function()
      inspect.metrics()
      local prefix = "/v" .. version:sub(1, 1)
      local router, inner, innermost = http.router(), http.router(), http.router()
      router:get(prefix .. "/users/{id}", function() return "hi" end)
      router:post(prefix .. "/users/{id}", function(req) return 201, req:body() end)
      router:get(prefix .. "/bad", function() return 503, "later" end)
      innermost:get("/deep/{x...}", function() return "deep" end)
      inner:mount("/b", innermost)
      router:mount(prefix .. "/a", inner)
      local server = http.server(router)
      local client <close> = client_of(server, version)
      for i = 1, 20 do ask(client, "GET", prefix .. "/users/" .. i) end
      ask(client, "HEAD", prefix .. "/users/1")
      ask(client, "POST", prefix .. "/users/1", { body = "12345" })
      ask(client, "GET", prefix .. "/bad")
      ask(client, "GET", prefix .. "/a/b/deep/1/2")
      local users = prefix .. "/users/{id}"
      assert.equal(20, count("GET", users, "2xx"))
      assert.equal(1, count("HEAD", users, "2xx"))
      assert.equal(1, count("POST", users, "2xx"))
      assert.equal(1, count("GET", prefix .. "/bad", "5xx"))
      assert.equal(1, count("GET", prefix .. "/a/b/deep/{x...}", "2xx"))
      assert.equal(5, value_of("moonlet_http_request_bytes_total", { route = users }))
      assert.equal(45, value_of("moonlet_http_response_bytes_total", { route = users }))
      local durations = series_of("moonlet_http_request_duration_seconds", { route = users })
      assert.equal(22, durations.count)
      assert.equal(22, durations.buckets[#durations.buckets])
      server:stop()
    end)
  end

  it("put paths and methods for which there is no route under one name", function()
    inspect.metrics()
    local router = http.router()
    router:get("/only", function() return "x" end)
    local server = http.server(router)
    local client <close> = client_of(server)
    local missing, refused = count("GET", "none", "4xx"), count("DELETE", "none", "4xx")
    local other = count("other", "none", "4xx")
    local before = #inspect.metrics().moonlet_http_requests_total.series
    for i = 1, 50 do ask(client, "GET", "/missing/" .. i) end
    ask(client, "DELETE", "/only")
    for _, method in ipairs { "BREW", "PROPFIND", "X1" } do ask(client, method, "/missing") end
    assert.equal(50, count("GET", "none", "4xx") - missing)
    assert.equal(1, count("DELETE", "none", "4xx") - refused)
    assert.equal(3, count("other", "none", "4xx") - other)
    assert.is_true(#inspect.metrics().moonlet_http_requests_total.series <= before + 3)
    server:stop()
  end)

  it("go on when a server is gone and another one opens", function()
    local function serve_once()
      local server = http.server(function() return "x" end)
      local client <close> = client_of(server)
      ask(client, "GET", "/")
      client:close()
      server:stop()
    end
    local before = value_of "moonlet_http_requests_received_total"
    local connections = value_of "moonlet_http_connections_total"
    for i = 1, 3 do
      serve_once()
      for _ = 1, 3 do collectgarbage() end
      assert.equal(before + i, value_of "moonlet_http_requests_received_total")
      assert.equal(connections + i, value_of "moonlet_http_connections_total")
    end
  end)

  it("count requests under way, and those that are none", function()
    local release = require "moonlet.sync".event()
    local server = http.server(function() release:wait() return "x" end)
    local client <close> = client_of(server)
    local before = value_of "moonlet_http_requests_in_flight"
    local asking = task.spawn(function() ask(client, "GET", "/") end)
    support.eventually(function() return value_of "moonlet_http_requests_in_flight" == before + 1 end)
    release:set()
    asking:join()
    support.eventually(function() return value_of "moonlet_http_requests_in_flight" == before end)
    local wrong = growth("moonlet_http_requests_refused_total", { reason = "wrong" }, function()
      local near <close>, far = net.memory_pair()
      task.spawn({ daemon = true, quiet = true }, function() server:serve(far) end)
      near:write "no request at all\r\n\r\n"
      near:read_all()
    end)
    assert.equal(1, wrong)
    server:stop()
  end)

  it("count the client's requests by host, and its connections", function()
    inspect.metrics()
    local name = "moonlet_http_client_requests_total"
    local host = "client-metrics.test"
    local server = http.server(function(req) return req.path == "/bad" and 500 or 200, "x" end)
    local client <close> = client_of(server)
    local open = value_of "moonlet_http_client_connections"
    for _ = 1, 3 do assert(client:get("http://" .. host .. "/")) end
    assert(client:get("http://" .. host .. "/bad"))
    assert.equal(open + 1, value_of "moonlet_http_client_connections")
    assert.is_true(value_of "moonlet_http_client_connections_idle" >= 1)
    assert.equal(3, value_of(name, { host = host, status = "2xx" }))
    assert.equal(1, value_of(name, { host = host, status = "5xx" }))
    assert.equal(4, series_of("moonlet_http_client_duration_seconds", { host = host }).count)
    local broken <close> = http.client { connect = function()
      local near, far = net.memory_pair()
      far:close()
      return near
    end }
    assert.is_nil((broken:get("http://broken.test/")))
    assert.is_true(value_of(name, { host = "broken.test", status = "failed" }) >= 1)
    server:stop()
  end)

  it("bound the hosts that a client asks", function()
    local output = support.run [[
      local http, inspect = require "moonlet.http", require "moonlet.inspect"
      inspect.metrics()
      local net, task = require "moonlet.net", require "moonlet.task"
      local server = http.server(function() return "x" end)
      local client = http.client { connect = function()
        local near, far = net.memory_pair()
        task.spawn({ daemon = true, quiet = true }, function() server:serve(far) end)
        return near
      end }
      for i = 1, 300 do assert(client:get("http://h" .. i .. ".test/")) end
      local total, series = 0, inspect.metrics().moonlet_http_client_requests_total.series
      for _, one in ipairs(series) do total = total + one.value end
      print(#series, total)
    ]]
    assert.equal("201\t300\n", output)
  end)

  it("count a WebSocket as a request, without a duration", function()
    inspect.metrics()
    local router = http.router()
    router:get("/ws", function(req, res)
      local ws = websocket.upgrade(req, res)
      if ws then ws:send((ws:receive())) end
    end)
    local server = http.server(router)
    local listener = assert(net.listen("127.0.0.1", 0))
    local serving = task.spawn({ daemon = true, quiet = true }, function() server:serve(listener) end)
    local ws = assert(websocket.connect(("ws://127.0.0.1:%d/ws"):format(listener:address().port)))
    ws:send "x"
    assert.equal("x", (ws:receive()))
    ws:finish()
    server:stop()
    serving:join()
    assert.equal(1, count("GET", "/ws", "1xx"))
    assert.equal(0, series_of("moonlet_http_request_duration_seconds", { route = "/ws" }).count)
  end)

  it("are served to curl by a program's own router", function()
    if not os.execute "command -v curl >/dev/null" then
      pending "needs curl"
      return
    end
    local router = http.router()
    router:get("/metrics", function()
      return 200, { ["content-type"] = "text/plain; version=0.0.4; charset=utf-8" }, inspect.metrics "prometheus"
    end)
    local server, listener = http.server(router), assert(net.listen("127.0.0.1", 0))
    local serving = task.spawn({ daemon = true, quiet = true }, function() server:serve(listener) end)
    local result = process.run { "curl", "-sSi", ("http://127.0.0.1:%d/metrics"):format(listener:address().port) }
    server:stop()
    serving:join()
    assert.equal(0, result.status, result.stderr)
    assert.matches("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n", result.stdout:lower(), 1, true)
    assert.matches("\nmoonlet_tasks %d+\n", result.stdout)
  end)

  -- The last one here: later routes would be too many, too.
  it("bound the routes that a program makes up", function()
    inspect.metrics()
    local server = http.server(function(req)
      req.route = req.path
      return "x"
    end)
    local client <close> = client_of(server)
    for i = 1, 1100 do ask(client, "GET", "/made/" .. i) end
    local routes = {}
    for _, series in ipairs(inspect.metrics().moonlet_http_requests_total.series) do
      routes[series.labels.route] = true
    end
    local number = 0
    for _ in pairs(routes) do number = number + 1 end
    assert.is_true(number <= 1002, number)
    assert.is_true(routes.other)
    server:stop()
  end)
end)
