--- inspect.counter, gauge, histogram: what programs count, and how it is shown.

package.cpath = assert(os.getenv "MOONLET_TESTS") .. "/?.so;" .. package.cpath

local support = dofile "tests/spec/support.lua"
local faults = require "memory_faults"
local it = support.limited(it)
local inspect = require "moonlet.inspect"
local json = require "moonlet.json"
local task = require "moonlet.task"

-- A name that no other test has used.
local names = 0
local function fresh(ending)
  names = names + 1
  return ("spec_%d%s"):format(names, ending or "")
end

-- The lines of a text format that are about that name.
local function lines_of(name, format)
  local lines = {}
  for line in inspect.metrics(format or "prometheus"):gmatch "[^\n]+" do
    if line:find(name, 1, true) then lines[#lines + 1] = line end
  end
  return lines
end

local function error_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("a counter", function()
  it("counts what is added, 1 by default", function()
    local counter = inspect.counter(fresh())
    assert.equal(0, counter:value())
    counter:add()
    counter:add(4)
    counter:inc()
    assert.equal("integer", math.type(counter:value()))
    assert.equal(6, counter:value())
    counter:add(0.5)
    assert.equal(6.5, counter:value())
    counter:add(0.5)
    assert.equal(7, counter:value())
    assert.is_nil(counter:add(0))
  end)

  it("counts one by one beyond 2^53, and goes on as a float beyond the integers", function()
    local counter = inspect.counter(fresh())
    counter:add(2^53)
    counter:add(1)
    assert.equal(2^53 | 0, counter:value() - 1)
    counter:add(math.maxinteger)
    counter:add(math.maxinteger)
    assert.is_true(math.abs(counter:value() / 2^64 - 1) < 0.001)
    counter:add(math.maxinteger)
    counter:add(math.maxinteger)
    assert.is_true(math.abs(counter:value() / 2^65 - 1) < 0.001)
    counter:add(1e300)
    assert.is_true(counter:value() >= 1e300)
  end)

  it("refuses to decrease, and numbers that are none", function()
    local counter = inspect.counter(fresh())
    for _, n in ipairs { -1, -0.5, math.mininteger, 0/0, 1/0, -1/0 } do
      assert.matches("bad argument #1 to 'add'", error_of(function() counter:add(n) end), 1, true)
    end
    assert.matches("number expected", error_of(counter.add, counter, "many"), 1, true)
    assert.matches("number expected", error_of(counter.add, counter, {}), 1, true)
    assert.matches("inspect.counter expected", error_of(counter.add, inspect.gauge(fresh())), 1, true)
    assert.equal(0, counter:value())
  end)
end)

describe("a gauge", function()
  it("is set and goes up and down", function()
    local gauge = inspect.gauge(fresh())
    gauge:set(5)
    gauge:add(2)
    gauge:inc()
    gauge:dec()
    gauge:dec(10)
    assert.equal(-3, gauge:value())
    gauge:set(0.25)
    assert.equal(0.25, gauge:value())
    assert.has_error(function() gauge:set() end)
    assert.has_error(function() gauge:set "x" end)
  end)

  it("takes values that are infinite or no number, and shows them as the format has them", function()
    local name = fresh()
    inspect.gauge(name, { v = "a" }):set(1/0)
    inspect.gauge(name, { v = "b" }):set(-1/0)
    inspect.gauge(name, { v = "c" }):set(0/0)
    inspect.gauge(name, { v = "d" }):set(-0.0)
    inspect.gauge(name, { v = "e" }):set(1e300)
    inspect.gauge(name, { v = "f" }):set(0.1)
    assert.same({ "# TYPE " .. name .. " gauge", name .. '{v="a"} +Inf', name .. '{v="b"} -Inf', name .. '{v="c"} NaN',
      name .. '{v="d"} 0', name .. '{v="e"} 1e+300', name .. '{v="f"} 0.1' }, lines_of(name))
    local series = json.decode(inspect.metrics "json")[name].series
    assert.equal("+Inf", series[1].value)
    assert.equal("-Inf", series[2].value)
    assert.equal("NaN", series[3].value)
    assert.equal(0.1, series[6].value)
  end)

  it("may get its value from a function", function()
    local gauge, jobs = inspect.gauge(fresh()), { 1, 2, 3 }
    gauge:set_function(function() return #jobs end)
    assert.equal(3, gauge:value())
    jobs[4] = 4
    assert.equal(4, gauge:value())
    assert.matches("comes from its function", error_of(gauge.set, gauge, 1), 1, true)
    assert.matches("comes from its function", error_of(gauge.add, gauge), 1, true)
    gauge:set_function(nil)
    gauge:set(1)
    assert.equal(1, gauge:value())
    gauge:set_function(setmetatable({}, { __call = function() return 9 end }))
    assert.equal(9, gauge:value())
    assert.has_error(function() gauge:set_function(5) end)
  end)

  it("whose function fails, waits or returns no number is left out alone", function()
    local name = fresh()
    inspect.gauge(name, { v = "fails" }):set_function(function() error "no" end)
    inspect.gauge(name, { v = "waits" }):set_function(function() task.sleep(0.001) return 1 end)
    inspect.gauge(name, { v = "text" }):set_function(function() return "1" end)
    inspect.gauge(name, { v = "good" }):set_function(function() return 1 end)
    assert.same({ "# TYPE " .. name .. " gauge", name .. '{v="good"} 1' }, lines_of(name))
    for _, v in ipairs { "fails", "waits", "text" } do inspect.gauge(name, { v = v }):remove() end
  end)
end)

describe("a histogram", function()
  it("counts each value in the first bucket that is not below it", function()
    local name = fresh()
    local histogram = inspect.histogram(name, nil, { buckets = { -1, 0, 2.5 } })
    for _, value in ipairs { -2, -1, -0.5, 0, 1, 2.5, 2.6, 100 } do histogram:observe(value) end
    assert.same({ "# TYPE " .. name .. " histogram", name .. '_bucket{le="-1"} 2', name .. '_bucket{le="0"} 4',
      name .. '_bucket{le="2.5"} 6', name .. '_bucket{le="+Inf"} 8', name .. "_sum 102.6", name .. "_count 8" },
      lines_of(name))
    local count, sum = histogram:value()
    assert.equal(8, count)
    assert.is_true(math.abs(sum - 102.6) < 1e-9)
  end)

  it("has the usual bounds for durations by default", function()
    local name = fresh()
    inspect.histogram(name):observe(0.3)
    local shown = inspect.metrics()[name]
    assert.same({ 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }, shown.bounds)
    assert.same({ 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1 }, shown.series[1].buckets)
  end)

  it("refuses values that are no finite number", function()
    local histogram = inspect.histogram(fresh())
    for _, value in ipairs { 0/0, 1/0, -1/0, "x", false } do
      assert.matches("bad argument #1 to 'observe'", error_of(function() histogram:observe(value) end), 1, true)
    end
    assert.has_error(function() histogram:observe() end)
    assert.equal(0, (histogram:value()))
  end)

  it("refuses bounds that are no ascending list of finite numbers", function()
    local bad = { {}, { 2, 1 }, { 1, 1 }, { 0/0 }, { 1/0 }, { 1, "2" }, { 1, nil, 3 }, { x = 1 }, "1", { 1, x = 2 }, 5 }
    local many = {}
    for i = 1, 201 do many[i] = i end
    bad[#bad + 1] = many
    for i, buckets in ipairs(bad) do
      local name = fresh()
      local message = error_of(inspect.histogram, name, nil, { buckets = buckets })
      assert.matches("bad argument #3 to 'histogram' (option 'buckets'", message, 1, true, i)
      assert.is_nil(inspect.metrics()[name])
    end
  end)

  it("estimates quantiles inside the bucket in which they lie, of a million observations", function()
    local bounds, values = {}, {}
    for i = 1, 100 do bounds[i] = 1.1 ^ (i - 50) end
    local histogram = inspect.histogram(fresh(), nil, { buckets = bounds })
    math.randomseed(42)
    for i = 1, 1000000 do
      local value = -math.log(math.random() + 1e-12) -- exponential
      values[i] = value
      histogram:observe(value)
    end
    table.sort(values)
    for _, q in ipairs { 0.01, 0.1, 0.5, 0.9, 0.99, 0.999 } do
      local exact, found = values[math.ceil(q * #values)], histogram:quantile(q)
      local bucket = 1
      while bounds[bucket] < exact do bucket = bucket + 1 end
      assert.is_true(found >= (bounds[bucket - 1] or 0) and found <= bounds[bucket],
        ("%g: %g, exactly %g"):format(q, found, exact))
    end
    assert.equal(1000000, (histogram:value()))
  end)

  it("knows no quantile of nothing, and none above its last bound", function()
    local histogram = inspect.histogram(fresh(), nil, { buckets = { 1, 2 } })
    assert.is_nil(histogram:quantile(0.5))
    histogram:observe(50)
    assert.equal(2, histogram:quantile(0.5))
    histogram:observe(1.5)
    histogram:observe(1.5)
    assert.equal(1, histogram:quantile(0))
    assert.equal(2, histogram:quantile(1))
    for _, q in ipairs { -0.1, 1.1, 0/0, "x" } do
      assert.has_error(function() histogram:quantile(q) end)
    end
  end)

  it("times a function, also one that fails or is cancelled, and returns its results", function()
    local histogram = inspect.histogram(fresh())
    assert.same({ 1, nil, 3, n = 3 }, table.pack(histogram:time(function(...) return ... end, 1, nil, 3)))
    assert.equal("bad", error_of(histogram.time, histogram, function() error("bad", 0) end))
    local t = task.spawn({ quiet = true }, function() histogram:time(task.sleep, 3600) end)
    task.yield()
    t:cancel()
    t:join()
    assert.equal(3, (histogram:value()))
    histogram:time(task.sleep, 0.02)
    local _, sum = histogram:value()
    assert.is_true(sum >= 0.02)
    assert.has_error(function() histogram:time(5) end)
  end)
end)

describe("a metric", function()
  it("is the same object for the same name and labels", function()
    local name = fresh()
    local first = inspect.counter(name, { a = "1", b = true })
    assert.equal(first, inspect.counter(name, { b = "true", a = 1 }))
    assert.equal(first, inspect.counter(name, { b = true, a = "1" }, { help = "h" }))
    assert.not_equal(first, inspect.counter(name, { a = "2", b = true }))
    local plain = fresh()
    assert.equal(inspect.gauge(plain), inspect.gauge(plain, {}))
    assert.equal(("inspect.counter %s{a=\"1\",b=\"true\"}"):format(name), tostring(first))
    assert.equal("inspect.gauge " .. plain, tostring(inspect.gauge(plain)))
  end)

  it("does not mistake labels whose texts look alike for one another", function()
    local name = fresh()
    local one = inspect.counter(name, { a = 'x",b="y', b = "" })
    local other = inspect.counter(name, { a = "x", b = 'y",b="' })
    assert.not_equal(one, other)
    assert.not_equal(inspect.counter(name, { a = "\\", b = "n" }), inspect.counter(name, { a = "\n", b = "n" }))
  end)

  it("of another kind or with other names of labels is an error", function()
    local name = fresh()
    inspect.counter(name, { a = "1" })
    assert.matches(("bad argument #1 to 'gauge' ('%s' is a counter)"):format(name),
      error_of(inspect.gauge, name, { a = "1" }), 1, true)
    for _, labels in ipairs { {}, { b = "1" }, { a = "1", b = "1" } } do
      assert.matches(("bad argument #2 to 'counter' (the labels of '%s' are: a)"):format(name),
        error_of(inspect.counter, name, labels), 1, true)
    end
    assert.matches("metrics_spec.lua:%d+: bad argument", error_of(function() inspect.gauge(name) end))
  end)

  it("refuses names that no program for metrics takes", function()
    for _, name in ipairs { "", "a b", "1a", "a-b", "ä", "a\0", "a\n", "moonlet_mine", "process_mine" } do
      assert.matches("bad argument #1 to 'counter'", error_of(inspect.counter, name), 1, true)
    end
    assert.matches("string expected", error_of(inspect.counter), 1, true)
    for _, name in ipairs { "", "a b", "1a", "a:b", "__a", "ä", 1 } do
      assert.matches("bad argument #2 to 'counter'", error_of(inspect.counter, fresh(), { [name] = "x" }), 1, true)
    end
    assert.matches("'le' is reserved", error_of(inspect.histogram, fresh(), { le = "x" }), 1, true)
    assert.is_not_nil(inspect.counter(fresh(), { le = "x" }))
    assert.is_not_nil(inspect.counter(":a:" .. fresh()))
  end)

  it("refuses values of labels that are no text", function()
    for _, value in ipairs { "\xff", "\xed\xa0\x80", "a\xc3", {}, print } do
      assert.matches("bad argument #2 to 'counter'", error_of(inspect.counter, fresh(), { a = value }), 1, true)
    end
    local name = fresh()
    inspect.counter(name, { a = "x" })
    assert.matches("not UTF-8", error_of(inspect.counter, name, { a = "\xff" }), 1, true)
    assert.matches("options are the next argument", error_of(inspect.histogram, fresh(), { buckets = { 1 } }), 1, true)
  end)

  it("refuses options that are wrong, or other than before", function()
    local name = fresh "_bytes_total"
    inspect.counter(name, nil, { help = "Sent.", unit = "bytes" })
    for _, options in ipairs { { help = "Other." }, { help = 5 }, { unit = "seconds" }, { unit = "" }, { limit = 0 },
        { limit = 1.5 }, { buckets = { 1 } }, { x = 1 }, 5 } do
      assert.matches("bad argument #3 to 'counter'", error_of(inspect.counter, name, nil, options), 1, true)
    end
    assert.matches("must end with '_seconds'", error_of(inspect.gauge, fresh(), nil, { unit = "seconds" }), 1, true)
    local histogram = fresh()
    inspect.histogram(histogram, nil, { buckets = { 1, 2 } })
    local message = error_of(inspect.histogram, histogram, nil, { buckets = { 1, 3 } })
    assert.matches("has other buckets: 1, 2", message, 1, true)
    assert.is_not_nil(inspect.histogram(histogram))
  end)

  it("refuses names that another one's samples have", function()
    local histogram, counter = fresh(), fresh()
    inspect.histogram(histogram)
    inspect.counter(counter .. "_total")
    for _, ending in ipairs { "_bucket", "_sum", "_count" } do
      assert.matches("stands for a part of the histogram", error_of(inspect.gauge, histogram .. ending), 1, true)
    end
    assert.matches("stands for a part of the counter", error_of(inspect.gauge, counter), 1, true)
    local other = fresh()
    inspect.gauge(other .. "_sum")
    assert.matches("stands for a part of the gauge", error_of(inspect.histogram, other), 1, true)
  end)

  it("can be removed, and made anew", function()
    local name = fresh()
    local metrics = {}
    for i = 1, 10 do
      metrics[i] = inspect.counter(name, { i = i })
      metrics[i]:add(i)
    end
    metrics[3]:remove()
    metrics[10]:remove()
    metrics[3]:remove()
    metrics[3]:add(1)
    local left = {}
    for _, one in ipairs(inspect.metrics()[name].series) do left[tonumber(one.labels.i)] = one.value end
    assert.same({ 1, 2, nil, 4, 5, 6, 7, 8, 9 }, left)
    local again = inspect.counter(name, { i = 3 })
    assert.not_equal(metrics[3], again)
    assert.equal(0, again:value())
    for i = 1, 9 do inspect.counter(name, { i = i }):remove() end
    assert.is_nil(inspect.metrics()[name])
    assert.same({}, lines_of(name))
    assert.has_error(function() again.remove(inspect.gauge(fresh())) end)
    assert.has_error(function() again.remove(nil) end)
  end)

  it("beyond its limit of combinations warns once", function()
    local output = support.run([[
      local inspect = require "moonlet.inspect"
      for i = 1, 1200 do inspect.counter("spec_total", { peer = i }):add() end
    ]], "-W")
    local _, count = output:gsub("'spec_total' has 1000 combinations of labels", "")
    assert.equal(1, count, output)
  end)

  it("beyond the limit of combinations is counted as 'other', and is room again after remove", function()
    local name = fresh()
    local first = inspect.counter(name, { a = 1, b = 1 }, { limit = 3 })
    for i = 2, 3 do inspect.counter(name, { a = i, b = 1 }):add() end
    local fourth, fifth = inspect.counter(name, { a = 4, b = 1 }), inspect.counter(name, { a = 5, b = 1 })
    assert.equal(fourth, fifth)
    fourth:add(7)
    assert.same({ name .. '{a="other",b="other"} 7' }, { lines_of(name)[5] })
    for i = 6, 2000 do inspect.counter(name, { a = i, b = 1 }):add() end
    assert.equal(4, #inspect.metrics()[name].series)
    assert.equal(first, inspect.counter(name, { a = 1, b = 1 }))
    first:remove()
    inspect.counter(name, { a = 2, b = 1 }):remove()
    assert.not_equal(fourth, inspect.counter(name, { a = 9, b = 1 }))
  end)
end)

describe("inspect.metrics", function()
  it("escapes quotes, backslashes and line breaks, and nothing else", function()
    local name = fresh()
    inspect.gauge(name, { v = 'a"b\\c\nd\te é 𝄞\r' }, { help = 'One "two"\\\nthree' }):set(1)
    assert.same({ "# HELP " .. name .. ' One "two"\\\\\\nthree', "# TYPE " .. name .. " gauge",
      name .. '{v="a\\"b\\\\c\\nd\te é 𝄞\r"} 1' }, lines_of(name))
    assert.same({ "# TYPE " .. name .. " gauge", "# HELP " .. name .. ' One \\"two\\"\\\\\\nthree',
      name .. '{v="a\\"b\\\\c\\nd\te é 𝄞\r"} 1' }, lines_of(name, "openmetrics"))
    assert.equal('a"b\\c\nd\te é 𝄞\r', json.decode(inspect.metrics "json")[name].series[1].labels.v)
  end)

  it("writes OpenMetrics: names of counters, units, bounds that are floats, the end", function()
    local counter, plain, histogram = fresh "_bytes_total", fresh(), fresh "_seconds"
    inspect.counter(counter, nil, { unit = "bytes" }):add(2)
    inspect.counter(plain):add(1)
    inspect.histogram(histogram, { a = "b" }, { buckets = { 1, 2.5 }, unit = "seconds" }):observe(2)
    local family = counter:gsub("_total$", "")
    assert.same({ "# TYPE " .. family .. " counter", "# UNIT " .. family .. " bytes", counter .. " 2" },
      lines_of(family, "openmetrics"))
    assert.same({ "# TYPE " .. plain .. " counter", plain .. "_total 1" }, lines_of(plain, "openmetrics"))
    assert.same({ "# TYPE " .. histogram .. " histogram", "# UNIT " .. histogram .. " seconds",
      histogram .. '_bucket{a="b",le="1.0"} 0', histogram .. '_bucket{a="b",le="2.5"} 1',
      histogram .. '_bucket{a="b",le="+Inf"} 1', histogram .. '_sum{a="b"} 2', histogram .. '_count{a="b"} 1' },
      lines_of(histogram, "openmetrics"))
    assert.matches("\n# EOF\n$", inspect.metrics "openmetrics")
  end)

  it("gives a table that is the caller's", function()
    local name = fresh()
    inspect.counter(name, { a = "x" }, { help = "h" }):add(3)
    local shown = inspect.metrics()[name]
    assert.same({ type = "counter", help = "h", series = { { labels = { a = "x" }, value = 3 } } }, shown)
    shown.series[1].labels.a = "y"
    shown.type = "z"
    assert.equal("x", inspect.metrics()[name].series[1].labels.a)
  end)

  it("is one step: it works where waiting is refused, and switches to no other task", function()
    inspect.counter(fresh()):add()
    local ran = false
    task.spawn(function() ran = true end)
    for _, format in ipairs { false, "prometheus", "openmetrics", "json" } do
      task.no_switch(inspect.metrics, format or nil)
    end
    assert.is_false(ran)
    task.yield()
    local text
    setmetatable({}, { __gc = function() text = inspect.metrics "prometheus" end })
    collectgarbage()
    collectgarbage()
    assert.equal("string", type(text))
  end)

  it("refuses formats that it does not know", function()
    for _, format in ipairs { "", "xml", 5, {} } do
      assert.matches("bad argument #1 to 'metrics'", error_of(inspect.metrics, format), 1, true)
    end
  end)

  it("satisfies promtool", function()
    if not os.execute "command -v promtool >/dev/null" then
      pending "needs promtool (Debian: prometheus)"
      return
    end
    inspect.counter("promtool_total", { v = 'a"b\\c\nd' }, { help = "Odd \\ \n \"labels\"." }):add(0.5)
    inspect.histogram("promtool_seconds", { v = "x" }, { help = "Times." }):observe(0.2)
    inspect.gauge("promtool_level", nil, { help = "Not a number." }):set(0/0)
    local path = os.tmpname()
    local copy = assert(io.open(path, "w"))
    copy:write(inspect.metrics "prometheus")
    copy:close()
    local pipe = assert(io.popen("promtool check metrics <" .. path .. " 2>&1"))
    local output = pipe:read "a"
    pipe:close()
    os.remove(path)
    assert.is_nil(output:match "error while linting[^\n]*", output)
    for _, name in ipairs { "promtool_", "moonlet_", "process_" } do
      assert.is_nil(output:match(name .. "[^\n]*"), output)
    end
  end)
end)

describe("without memory", function()
  -- Calls the function with one of its allocations failing after the other, each step-th; check(n) comes after each.
  local function sweep(step, fn, check)
    local n, calls, ok, result = 1
    repeat
      pcall(pcall, pcall, type, n) -- so that Lua has the frames for the call below
      faults.lua(n)
      ok, result = pcall(fn, n)
      calls = faults.lua(0)
      assert.is_true(ok or tostring(result):find "not enough memory" ~= nil, result)
      check(n)
      n = n + step
    until ok and calls < n
    return n
  end

  for _, kind in ipairs { "counter", "gauge", "histogram" } do
    it("a " .. kind .. " is made whole or not at all", function()
      local prefix = fresh()
      local count = sweep(1, function(n)
        inspect[kind](prefix .. "_" .. n, { a = "x" .. n, b = n }, { help = "Help " .. n })
      end, function(n)
        local name = prefix .. "_" .. n
        local metric = inspect[kind](name, { a = "x" .. n, b = n })
        assert.equal(metric, inspect[kind](name, { a = "x" .. n, b = n }))
        assert.equal(1, #inspect.metrics()[name].series)
        metric:remove()
        assert.is_nil(inspect.metrics()[name])
      end)
      assert.is_true(count > 8, count)
    end)
  end

  it("metrics are an error, and whole the next time", function()
    local name = fresh()
    for i = 1, 3 do inspect.histogram(name, { i = i }):observe(i) end
    for _, format in ipairs { "prometheus", "json" } do
      local count = sweep(97, function() return inspect.metrics(format) end, function()
        assert.equal(3, #inspect.metrics()[name].series)
      end)
      assert.is_true(count > 50, count)
    end
  end)
end)
