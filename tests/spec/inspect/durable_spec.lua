--- What the inspector tells of durable runs, and the spans of their steps in a trace.

local durable = require "moonlet.durable"
local inspect = require "moonlet.inspect"
local inspected = dofile "tests/spec/inspect_support.lua"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

local PROGRAM = [[
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local path = os.tmpname()
local d = assert(durable.open(path))
d:workflow("order", { hold = 0.1 }, function(ctx)
  ctx:step("pay", function() return "a secret" end)
  ctx:step("call", { retry = false }, function() return nil, "nobody is there", "ENOBODY" end)
  ctx:receive "note"
end)
task.spawn({ daemon = true }, d.serve, d)
assert(d:start("order", nil, { id = "order/1 <&>" }))
print "begun"
task.sleep(1000)
]]

describe("/durable", function()
  it("lists runs, and shows one with its steps, their times and its waits, but no values", function()
    local program <close> = inspected.start(PROGRAM)
    program:line "begun"
    local db = support.eventually(function()
      local list = program:get("/durable"):json().databases
      return list[1] and list[1].runs[1] and list[1].runs[1].waits and list[1]
    end)
    assert.equal("order/1 <&>", db.runs[1].id)
    assert.equal("waiting", db.runs[1].status)
    assert.matches("receive:note", db.runs[1].waits)
    assert.equal(0, #program:get("/durable?status=failed"):json().databases[1].runs)
    local url = require "moonlet.url"
    local reply = program:get("/durable?db=" .. url.encode(db.name) .. "&id=" .. url.encode(db.runs[1].id))
    local run = reply:json()
    assert.equal("pay", run.steps[1].key)
    assert.equal("done", run.steps[1].state)
    assert(run.steps[1].ended >= run.steps[1].began)
    assert.equal("ENOBODY", run.steps[2].code)
    assert.equal("waiting", run.steps[3].state)
    assert.is_nil(reply.body:find("secret", 1, true))
    assert.equal(404, program:get("/durable?db=x&id=y").status)
  end)

  it("is empty for a program without, which loads nothing for it", function()
    local program <close> = inspected.start [[
      print "begun"
      while not package.loaded["moonlet.inspect.agent.durable"] do require("moonlet.task").sleep(0.01) end
      print(package.loaded["moonlet.durable"], package.loaded["moonlet.durable.metrics"])
      require("moonlet.task").sleep(1000)
    ]]
    program:line "begun"
    assert.same({ databases = {} }, program:get("/durable"):json())
    program:line "nil\tnil"
  end)
end)

describe("a trace", function()
  it("has a span for each step and transaction, by its name", function()
    local path <close> = own.path()
    do
      local d <close> = assert(durable.open(path.path))
      d:workflow("w", function(ctx)
        for _ = 1, 2 do ctx:step("pay", function() task.sleep(0.001) end) end
        ctx:map("parcels", { 1 }, function(branch) branch:transaction("pack", function() end) end)
      end)
      local serving = task.spawn({ daemon = true }, d.serve, d)
      assert(inspect.trace_start {})
      d:start("w"):result()
      local text = inspect.trace_last()
      inspect.trace_stop()
      d:stop()
      serving:join()
      local _, count = text:gsub('"pay"', "")
      assert(count >= 2, count)
      assert.matches('"pack"', text, 1, true)
    end
  end)
end)
