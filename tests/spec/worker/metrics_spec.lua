-- The metrics of all workers, from any of them.

local workers = dofile "tests/spec/worker/workers.lua"
local it = workers.support.limited(it)

local task = require "moonlet.task"

local SERVER = [[
  local inspect = require "moonlet.inspect"
  local hits = inspect.counter("hits_total", { path = 'a"b' }, { help = "Hits." })
  hits:add(worker.id * 10)
  local took = inspect.histogram("took_seconds", {}, { buckets = { 1, 2 } })
  took:observe(worker.id)
  inspect.gauge("level", { worker = "mine" }):set(0 / 0)
  function routes.metrics() return 200, { ["content-type"] = "text/plain" }, worker.metrics() end
  function routes.sums() return 200, { ["content-type"] = "text/plain" }, worker.metrics { sum = true } end
  function routes.code() return tostring(select(3, worker.metrics())) end
  function routes.hang() io.stderr:write "it hangs\n" while true do end end
  serve()
]]

-- The value of a series in the text; nil: it is not there.
local function value(text, series)
  for line in text:gmatch "[^\n]+" do
    if line:sub(1, #series + 1) == series .. " " then return line:sub(#series + 2) end
  end
end

describe("worker.metrics", function()
  it("has the series of each worker under its number", function()
    local program <close> = workers.start(SERVER, { count = 3 })
    program:await_ready()
    local text = assert(program:get "metrics")
    for id = 1, 3 do
      assert.are.equal(tostring(id * 10), value(text, ('hits_total{path="a\\"b",worker="%d"}'):format(id)))
      assert.are.equal(id <= 1 and "1" or "0", value(text, ('took_seconds_bucket{worker="%d",le="1"}'):format(id)))
      assert.are.equal("1", value(text, ('took_seconds_bucket{worker="%d",le="+Inf"}'):format(id)))
      assert.are.equal(tostring(id), value(text, ('took_seconds_sum{worker="%d"}'):format(id)))
      assert.are.equal("NaN", value(text, ('level{moonlet_worker="%d",worker="mine"}'):format(id)))
    end
    assert.are.equal(1, select(2, text:gsub("# TYPE hits_total counter", "")))
    assert.is_truthy(text:find("# HELP hits_total Hits.\n", 1, true))
    assert.are.equal("3", value(text, 'moonlet_workers{state="ready"}'))
    assert.are.equal("1", value(text, "moonlet_workers_generation"))
    assert.are.equal(0, program:stop())
  end)

  it("keeps what workers have counted that are gone, in the master's sums", function()
    local program <close> = workers.start(SERVER, { count = 2 })
    program:await_ready()
    for _ = 1, 20 do program:get "who" end
    workers.eventually(function() return program:status().requests >= 20 end)
    program:signal "HUP"
    program:await "generation 2 serves"
    program:await_generation(2)
    workers.eventually(function() return #program:status().workers == 2 end)
    local text = assert(program:get "metrics")
    assert.is_true(tonumber(value(text, "moonlet_workers_requests_total")) >= 20)
    assert.are.equal("2", value(text, "moonlet_workers_generation"))
    assert.are.equal("10", value(text, 'hits_total{path="a\\"b",worker="1"}'))
    assert.are.equal(0, program:stop())
  end)

  it("adds up counters and histograms, and not gauges", function()
    local program <close> = workers.start(SERVER, { count = 3 })
    program:await_ready()
    local text = assert(program:get "sums")
    assert.are.equal("60", value(text, 'hits_total{path="a\\"b"}'))
    assert.are.equal("1", value(text, 'took_seconds_bucket{le="1"}'))
    assert.are.equal("2", value(text, 'took_seconds_bucket{le="2"}'))
    assert.are.equal("3", value(text, 'took_seconds_bucket{le="+Inf"}'))
    assert.are.equal("6", value(text, "took_seconds_sum"))
    assert.are.equal("3", value(text, "took_seconds_count"))
    for id = 1, 3 do
      assert.are.equal("NaN", value(text, ('level{moonlet_worker="%d",worker="mine"}'):format(id)))
    end
    assert.is_nil(text:find('hits_total{path="a\\"b",worker', 1, true))
    assert.are.equal("3", value(text, 'moonlet_workers{state="ready"}'))
    assert.are.equal(0, program:stop())
  end)

  it("does not lose from its sums what workers have counted that are gone, however they have ended", function()
    local program <close> = workers.start(SERVER .. [[--]], { count = 2 })
    program:await_ready()
    local function hits() return tonumber(value(assert(program:get "sums"), 'hits_total{path="a\\"b"}')) end
    assert.are.equal(30, hits())
    for round = 1, 5 do -- more lines than are kept apart
      program:signal "HUP"
      program:await(("generation %d serves"):format(round + 1))
      workers.eventually(function() return hits() == 30 + 30 * round end)
    end
    workers.eventually(function() return #program:status().workers == 2 end)
    assert.are.equal(180, hits())
    assert.are.equal(180, hits())
    os.execute("kill -KILL " .. program:status().workers[1].pid)
    workers.eventually(function() return hits() >= 190 end) -- that of the one that has followed it
    assert.is_true(hits() <= 200)
    local before = hits()
    program:signal "USR2"
    program:await "generation 7 serves"
    workers.eventually(function()
      assert.is_true(hits() >= before)
      return hits() == before + 30
    end)
    assert.are.equal(0, program:stop())
  end)

  it("has in its sums what a worker counts between the last question and its end", function()
    local program <close> = workers.start([[
      local hits = require "moonlet.inspect".counter("hits_total")
      function routes.sums() return 200, {}, worker.metrics { sum = true } end
      function routes.hit() hits:add(1) return "hit" end
      serve()
    ]], { count = 2 })
    program:await_ready()
    assert(program:get "sums")
    for _ = 1, 30 do program:get "hit" end
    program:signal "HUP"
    program:await "generation 2 serves"
    workers.eventually(function() return value(assert(program:get "sums"), "hits_total") == "30" end)
    assert.are.equal(0, program:stop())
  end)

  it("refuses options that it does not know", function()
    local metrics = require "moonlet.worker".metrics
    assert.has_error(function() metrics { sums = true } end)
    assert.has_error(function() metrics(1) end)
    assert.is_truthy(metrics { sum = true }:find "# TYPE moonlet_")
  end)

  it("leaves out a worker that does not answer, and several ask at a time", function()
    local program <close> = workers.start(SERVER, { count = "2,stuck=20" })
    program:await_ready()
    local hung = task.spawn(function() program:get "hang" end)
    program:await "it hangs"
    local text = assert(program:get "metrics")
    assert.are_not.equal(text:find 'worker="1"' == nil, text:find 'worker="2"' == nil)
    local texts, asking = {}, {}
    for i = 1, 4 do asking[i] = task.spawn(function() texts[i] = assert(program:get "metrics") end) end
    for i = 1, 4 do
      asking[i]:join()
      assert.is_truthy(texts[i]:find "moonlet_workers_restarts_total 0")
    end
    hung:cancel()
    program:signal "TERM"
    program:signal "INT"
    program:wait()
  end)

  it("does not wait for ever if the master goes on as a new program meanwhile", function()
    local program <close> = workers.start(SERVER .. "\n", { count = "2,stuck=20,grace=0.2" })
    program:await_ready()
    local hung = task.spawn(function() program:get "hang" end) -- so that the collection lasts a second
    program:await "it hangs"
    local is_over = false
    local asking = task.spawn(function()
      repeat program:get "code" until is_over
      return "it has an answer"
    end)
    program:signal "USR2"
    program:await "generation 2 serves"
    is_over = true
    assert.are.equal("it has an answer", select(2, asking:join(workers.patience)))
    hung:cancel()
    program:signal "TERM"
    program:signal "INT"
    program:wait()
  end)

  it("is of this process without workers", function()
    local text = require "moonlet.worker".metrics()
    assert.is_truthy(text:find "# TYPE moonlet_")
    assert.is_nil(text:find "moonlet_workers_")
  end)
end)
