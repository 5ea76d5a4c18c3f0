--- require in tasks: a module is loaded once, and whatever ends the loading, nobody waits for ever.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local task = require "moonlet.task"

-- Defines a module for the length of a block: `local _ <close> = define("name", loader)`.
local function define(name, loader)
  package.preload[name] = loader
  return setmetatable({}, { __close = function()
    package.preload[name], package.loaded[name] = nil, nil
  end })
end

local function requiring(name)
  return function() return require(name) end
end

describe("two tasks that require one module", function()
  it("get the same one, which is loaded once", function()
    local loads = 0
    local _ <close> = define("spec.slow", function()
      loads = loads + 1
      task.sleep(1)
      return { loads }
    end)
    local results = task.all { requiring "spec.slow", requiring "spec.slow", requiring "spec.slow" }
    assert.are.equal(1, loads)
    assert.are.equal(results[1], results[2])
    assert.are.equal(results[1], results[3])
    assert.are.equal(results[1], require "spec.slow")
  end)

  it("get it at once where it has said what it is before it is loaded", function()
    local _ <close> = define("spec.early", function(name)
      package.loaded[name] = "early"
      task.sleep(1)
    end)
    local loader = support.parked(task.spawn(require, "spec.early"))
    local start = task.now()
    assert.are.equal("early", require "spec.early")
    assert.are.equal(start, task.now())
    support.finish(loader)
  end)

  it("each try: if it fails in the first, the second loads it", function()
    local loads = 0
    local _ <close> = define("spec.flaky", function()
      loads = loads + 1
      task.sleep(1)
      if loads == 1 then error("the first fails", 0) end
      return loads
    end)
    local results, errors = task.all { requiring "spec.flaky", requiring "spec.flaky" }
    assert.are.same({ "the first fails", n = 2 }, errors)
    assert.are.same({ nil, 2, n = 2 }, results)
  end)

  it("do not wait for one that was cancelled, or that gives up waiting", function()
    local _ <close> = define("spec.cut", function() task.sleep(1) return "loaded" end)
    local loader = support.parked(task.spawn(require, "spec.cut"))
    local hasty = support.parked(task.spawn(require, "spec.cut"))
    assert.are.equal("EDEADLINE", (select(3, task.timeout(0.1, require, "spec.cut"))))
    hasty:cancel()
    assert.are.equal("ECANCELED", (select(3, hasty:join())))
    local patient = support.parked(task.spawn(require, "spec.cut"))
    loader:cancel()
    assert.are.equal("loaded", (support.finish(patient)))
  end)

  it("do not wait for a coroutine that was dropped as it loaded", function()
    local loads = 0
    local _ <close> = define("spec.dropped", function()
      loads = loads + 1
      if loads == 1 then coroutine.yield() end
      return loads
    end)
    task.spawn(function() coroutine.resume(coroutine.create(requiring "spec.dropped")) end):join()
    local waiting = support.parked(task.spawn(require, "spec.dropped"))
    collectgarbage()
    collectgarbage()
    assert.are.equal(2, (support.finish(waiting)))
  end)
end)

describe("a loop of modules", function()
  it("over several tasks is an error in each of them", function()
    local names = { "spec.a", "spec.b", "spec.c" }
    local guards = {}
    for i, name in ipairs(names) do
      guards[i] = define(name, function() task.sleep(1) require(names[i % 3 + 1]) end)
    end
    local results, errors = task.map(names, require)
    for i = 1, 3 do
      getmetatable(guards[i]).__close()
      assert.is_nil(results[i])
      assert.is_truthy(errors[i]:find("loop in require: module '" .. names[i % 3 + 1] .. "'", 1, true))
    end
  end)

  it("in one task is as in stock Lua: it loads again, to the end of the stack", function()
    local loads = 0
    local _ <close> = define("spec.self", function()
      loads = loads + 1
      return require "spec.self"
    end)
    assert.is_truthy(support.message_of(require, "spec.self"):find "stack overflow")
    assert.is_true(loads > 10)
    local _ <close> = define("spec.again", function()
      loads = -1
      return package.loaded["spec.other"] or require "spec.other"
    end)
    local _ <close> = define("spec.other", function()
      package.loaded["spec.again"] = "half"
      return require "spec.again"
    end)
    assert.are.equal("half", require "spec.again")
  end)

  it("is none where nobody may wait", function()
    local _ <close> = define("spec.quiet", function() task.sleep(1) return 1 end)
    local loader = support.parked(task.spawn(require, "spec.quiet"))
    assert.is_truthy(support.message_of(task.no_switch, require, "spec.quiet"):find "no_switch")
    assert.are.equal(1, (support.finish(loader)))
  end)
end)
