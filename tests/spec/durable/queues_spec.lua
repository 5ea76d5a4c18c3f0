--- Queues: random runs against their limits, and schedules, under the virtual clock.

local durable = require "moonlet.durable"
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
