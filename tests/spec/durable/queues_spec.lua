--- Queues: random runs against their limits, and schedules, under the virtual clock.

local durable = require "moonlet.durable"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local test = require "moonlet.test"

describe("a queue", function()
  it("keeps its limits, whatever runs come and however long they take", function()
    for seed = 1, 3 do
      math.randomseed(seed)
      local d <close> = durable.test()
      local limits = {
        concurrency = math.random() < 0.6 and math.random(1, 4) or nil,
        per_worker = math.random() < 0.4 and math.random(1, 4) or nil,
        per_key = math.random() < 0.6 and math.random(1, 2) or nil,
        rate = math.random() < 0.5 and { math.random(2, 4), 6 } or nil,
      }
      d:queue("q", limits)
      local now, keys, begins, count = 0, {}, {}, 0
      d:workflow("w", function(ctx, input)
        ctx:step("s", function()
          now, count = now + 1, count + 1
          begins[#begins + 1] = task.now()
          local key = input.key or {}
          keys[key] = (keys[key] or 0) + 1
          assert(now <= (limits.concurrency or 99) and now <= (limits.per_worker or 99), "too many")
          assert(not input.key or keys[key] <= (limits.per_key or 99), "too many of a key")
          task.sleep(input.seconds)
          now, keys[key] = now - 1, keys[key] - 1
        end)
      end)
      local runs = {}
      for i = 1, 12 do
        local key = math.random(4)
        key = key < 4 and "k" .. key or nil
        runs[i] = assert(d:start("w", { key = key, seconds = math.random() * 8 }, { queue = "q", key = key,
          priority = math.random(3), delay = math.random() < 0.3 and math.random() * 20 or nil }))
      end
      for _, run in ipairs(runs) do
        local _, message = run:result(1e6)
        assert(message == nil, tostring(message))
      end
      assert.equal(12, count)
      for i = 1, #begins do
        local last = limits.rate and begins[i + limits.rate[1]]
        assert(not last or last - begins[i] >= limits.rate[2] - 0.01, "too fast")
      end
    end
  end)

  it("lets other keys begin behind very many runs of one key that has no room", function()
    local d <close> = durable.test()
    d:queue("q", { per_key = 1 })
    local begun = 0
    d:workflow("many", function(ctx)
      ctx:step("begin", function() begun = begun + 1 end)
      ctx:receive "go"
    end)
    d:workflow("few", function() return "ended" end)
    task.group({ limit = 100 }, function(group)
      for _ = 1, 900 do group:spawn(d.start, d, "many", nil, { queue = "q", key = "many" }) end
    end)
    for i = 1, 3 do assert.equal("ended", d:start("few", i, { queue = "q", key = "few" }):result(1e6)) end
    assert.equal(1, begun)
  end)
end)

own.on_both(_ENV, "a queue of two workers", function(place)
  -- Two databases that serve the queue, each with the workflow of its name.
  local function with_two(limits, workflow, fn)
    local path <close> = place()
    local function setup(name)
      return function(d)
        d:queue("q", limits)
        d:workflow("w", function(ctx, input) return workflow(ctx, input, name) end)
      end
    end
    local first <close> = own.serve(path.path, setup "first", nil, { queues = { "q" } })
    local second <close> = own.serve(path.path, setup "second", nil, { queues = { "q" } })
    fn(first.d, second.d)
  end

  it("keeps its limits, whatever runs come and however long they take", function()
    for seed = 1, 3 do
      math.randomseed(seed)
      local limits = {
        concurrency = seed ~= 1 and math.random(1, 4) or nil, per_worker = seed ~= 2 and math.random(1, 3) or nil,
        per_key = math.random(1, 2), rate = seed ~= 3 and { 4, 0.2 } or nil,
      }
      local now, most = {}, {}
      local function enter(what) -- counts one more until it is closed
        now[what] = (now[what] or 0) + 1
        most[what] = math.max(most[what] or 0, now[what])
        return setmetatable({}, { __close = function() now[what] = now[what] - 1 end })
      end
      local function workflow(ctx, input, worker)
        ctx:step("s", function()
          local _ <close> = enter "all"
          local _ <close> = enter(worker)
          local _ <close> = input.key and enter(input.key)
          task.sleep(input.seconds)
        end)
      end
      with_two(limits, workflow, function(d, other)
        local runs = {}
        for i = 1, 16 do
          local key = ({ "k1", "k2", "k3" })[math.random(4)]
          runs[i] = assert((i % 2 == 0 and d or other):start("w", { key = key, seconds = math.random() * 0.04 }, {
            queue = "q", key = key, priority = math.random(3), delay = i % 3 == 0 and math.random() * 0.1 or nil }))
        end
        for _, run in ipairs(runs) do assert.is_nil(select(2, run:result(support.patience))) end
        assert((most.all or 0) <= (limits.concurrency or 99), most.all)
        for _, worker in ipairs { "first", "second" } do
          assert((most[worker] or 0) <= (limits.per_worker or 99), worker)
        end
        for _, key in ipairs { "k1", "k2", "k3" } do assert((most[key] or 0) <= limits.per_key, key) end
        local claims = assert(d.db:all "SELECT claimed FROM moonlet_runs ORDER BY claimed")
        assert.equal(16, #claims)
        for i = 1, limits.rate and #claims - limits.rate[1] or 0 do
          -- Each worker's clock is a few milliseconds from the database's.
          assert(claims[i + limits.rate[1]].claimed - claims[i].claimed > limits.rate[2] - 0.05, "too fast")
        end
        assert.equal(0, d.db:value "SELECT count(*) FROM moonlet_runs WHERE epoch <> 1")
      end)
    end
  end)
end)

describe("a schedule", function()
  it("starts a run at each of its times, once", function()
    local d <close> = durable.test()
    local times = {}
    d:workflow("nightly", function(_, input) times[#times + 1] = input.time end)
    d:schedule("night", "30 2 * * *", "nightly", { tz = "UTC" })
    task.sleep(86400 * 3 + 10)
    local count = #d:list { workflow = "nightly" }
    assert(count == 3 or count == 4, count)
    for _, t in ipairs(times) do assert.equal(2.5 * 3600, t % 86400) end
  end)

  it("makes up for missed times as it is told", function()
    local schedules = require "moonlet.durable.schedules"
    local cron, zone = require "moonlet.durable.cron", require "moonlet.durable.zone"
    local function due(catch_up, last, now)
      local schedule = { cron = cron.parse "0 * * * *", zone = zone.open "UTC", catch_up = catch_up }
      return (schedules.due(schedule, last, now))
    end
    assert.same({}, due("none", 0, 3 * 3600 + 100))
    assert.same({ 3 * 3600 }, due("none", 0, 3 * 3600 + 10))
    assert.same({ 3 * 3600 }, due("last", 0, 3 * 3600 + 100))
    assert.same({ 3600, 2 * 3600, 3 * 3600 }, due("all", 0, 3 * 3600 + 100))
    assert.same({}, due("all", 0, 3599))
  end)

  it("is refused without data for its zone, or with a bad text", function()
    local d <close> = durable.test()
    assert.is_false(pcall(d.schedule, d, "s", "* * * * *", "w", { tz = "No/Where" }))
    assert.is_false(pcall(d.schedule, d, "s", "* * *", "w"))
    assert.is_false(pcall(d.schedule, d, "s", "* * * * *", "w", { catch_up = "some" }))
  end)

  it("brings the real clock back when the test is over", function()
    do local _ <close> = durable.test() end
    assert.is_not_nil(test)
    local before = os.time()
    task.sleep(0.01)
    assert(os.time() - before <= 5)
  end)
end)
