--- Greenlets: the semantics of Python's, case by case.

local support = dofile "tests/spec/support.lua"
local it = support.virtual(it)
local greenlet = require "moonlet.greenlet"
local task = require "moonlet.task"

local new, current = greenlet.new, greenlet.current

-- A greenlet that is suspended in its parent's favour, and a table whose field `closed` gets what closes its variable.
local function suspended()
  local seen = {}
  local g = new(function()
    local _ <close> = setmetatable({}, { __close = function(_, e) seen.closed = e end })
    current().parent:switch()
  end)
  g:switch()
  return g, seen
end

describe("the classic programs", function()
  local out
  before_each(function() out = {} end)
  local function say(value) out[#out + 1] = value end

  it("two that switch to each other", function()
    local gr1, gr2
    gr1 = new(function() say(12) gr2:switch() say(34) end)
    gr2 = new(function() say(56) gr1:switch() say(78) end)
    gr1:switch()
    assert.are.same({ 12, 56, 34 }, out)
  end)

  it("the first is the child of the second, which goes on at its end", function()
    local gr1, gr2
    gr2 = new(function() say(56) gr1:switch() say(78) end)
    gr1 = new(function() say(12) gr2:switch() say(34) end, gr2)
    gr1:switch()
    assert.are.same({ 12, 56, 34, 78 }, out)
  end)

  it("with values", function()
    local gr1, gr2
    gr1 = new(function() say(12) local y = gr2:switch(56) say(y) end)
    gr2 = new(function(x) say(x) gr1:switch(34) say(78) end)
    gr1:switch()
    assert.are.same({ 12, 56, 34 }, out)
  end)
end)

describe("switch", function()
  it("passes none, one or many values both ways", function()
    local main = current()
    local g = new(function(...)
      local got = table.pack(...)
      while true do got = table.pack(main:switch(got.n, table.unpack(got, 1, got.n))) end
    end)
    assert.are.same({ 0 }, { g:switch() })
    assert.are.same({ 1, 7 }, { g:switch(7) })
    assert.are.same({ n = 4, 3, nil, false, nil }, table.pack(g:switch(nil, false, nil)))
  end)

  it("to itself returns its values", function()
    assert.are.same({ 1, 2 }, { current():switch(1, 2) })
  end)

  it("to a dead one goes to its nearest living ancestor", function()
    local g = new(function() return "over" end)
    assert.are.equal("over", g:switch())
    assert.is_true(g.dead)
    assert.are.same({ 5, 6 }, { g:switch(5, 6) })
  end)

  it("works inside a sort and a gsub callback", function()
    local main = current()
    local g = new(function()
      table.sort({ 3, 2, 1 }, function(a, b) main:switch(a, b) return a < b end)
      return "sorted"
    end)
    local switches = 0
    while type(g:switch()) == "number" do switches = switches + 1 end
    assert.is_true(switches >= 2)
  end)

  it("suspends the generators that its greenlet runs, and they go on with it", function()
    local main = current()
    local g = new(function()
      local seen = {}
      for i in coroutine.wrap(function()
        for i = 1, 3 do main:switch("from within", i) coroutine.yield(i) end
      end) do seen[#seen + 1] = i end
      return seen
    end)
    for i = 1, 3 do assert.are.same({ "from within", i }, { g:switch() }) end
    assert.are.same({ 1, 2, 3 }, g:switch())
  end)

  it("a wait inside one parks the whole task", function()
    local g = new(function() task.sleep(0.001) return current() end)
    local other = task.spawn(function() return greenlet.current().parent end)
    assert.are.equal(g, g:switch())
    assert.is_nil(support.finish(other))
  end)

  it("may be left off in a __close of a generator that is closed or has failed", function()
    local main, log = current(), {}
    local function say(value) log[#log + 1] = value end
    local function guarded()
      local _ <close> = setmetatable({}, { __close = function()
        say(main:switch("closing", 1))
        say(main:switch("closing", 2))
      end })
      coroutine.yield()
      error("failed", 0)
    end
    local closer = new(function()
      local generator = coroutine.create(guarded)
      coroutine.resume(generator)
      return coroutine.close(generator)
    end)
    local failer = new(function()
      local generator = coroutine.wrap(guarded)
      generator()
      return pcall(generator)
    end)
    assert.are.same({ "closing", 1 }, { closer:switch() })
    assert.are.same({ "closing", 1 }, { failer:switch() })
    assert.are.same({ "closing", 2 }, { closer:switch("a") })
    collectgarbage()
    assert.are.same({ "closing", 2 }, { failer:switch("b") })
    assert.are.same({ true }, { closer:switch("c") })
    assert.are.same({ false, "failed" }, { failer:switch("d") })
    assert.are.same({ "a", "b", "c", "d" }, log)
  end)

  -- A generator that a finalizer runs could switch away: the collector stayed off for everybody.
  it("is refused in a finalizer, and in generators that it runs", function()
    local main, messages = current(), {}
    local g = new(function()
      setmetatable({}, { __gc = function()
        messages[1] = support.message_of(main.switch, main)
        messages[2] = support.message_of(coroutine.wrap(function() main:switch() end))
      end })
      collectgarbage()
      return "ended"
    end)
    assert.are.equal("ended", g:switch())
    assert.is_truthy(messages[1]:find("inside a finalizer", 1, true))
    assert.is_truthy(messages[2]:find("inside a finalizer", 1, true))
    assert.is_number(collectgarbage "count")
  end)

  it("to another task's is an error, also once that task has ended", function()
    local g
    local other = support.parked(task.spawn(function()
      g = new(function() end)
      task.sleep(30)
    end))
    assert.is_truthy(support.message_of(g.switch, g):find "another task")
    other:cancel()
    other:join()
    assert.is_truthy(support.message_of(g.switch, g):find "another task")
  end)
end)

describe("the end of a greenlet", function()
  it("hands its results to the parent", function()
    assert.are.same({ 1, 2, 3 }, { new(function() return 1, 2, 3 end):switch() })
  end)

  it("hands its error to the parent, unchanged", function()
    local oops = {}
    local ok, err = pcall(function() new(function() error(oops) end):switch() end)
    assert.is_false(ok)
    assert.are.equal(oops, err)
  end)

  it("begins a parent that has not begun, with the results", function()
    local seen
    local parent = new(function(...) seen = { ... } return "parent" end)
    local child = new(function() return 1, 2 end, parent)
    assert.are.equal("parent", child:switch())
    assert.are.same({ 1, 2 }, seen)
  end)

  it("by GreenletExit is a value", function()
    local g = new(function() error(greenlet.GreenletExit) end)
    assert.are.equal(greenlet.GreenletExit, g:switch())
  end)
end)

describe("throw", function()
  it("raises at the suspend point, and closes what is pending", function()
    local g, seen = suspended()
    assert.are.equal(greenlet.GreenletExit, g:throw())
    assert.are.equal(greenlet.GreenletExit, seen.closed)
    assert.is_true(g.dead)
  end)

  it("may be caught there", function()
    local main = current()
    local g = new(function() local _, e = pcall(main.switch, main) return "caught " .. e end)
    g:switch()
    assert.are.equal("caught it", g:throw "it")
  end)

  it("kills one that has not begun, whose body never runs", function()
    local ran = false
    local g = new(function() ran = true end)
    assert.are.equal(greenlet.GreenletExit, g:throw())
    assert.is_true(g.dead)
    local other = new(function() ran = true end)
    assert.are.same({ false, "x" }, { pcall(other.throw, other, "x") })
    assert.is_false(ran)
  end)

  it("on a dead one goes to the parent", function()
    local g = new(function() end)
    g:switch()
    assert.are.equal(greenlet.GreenletExit, g:throw())
    assert.are.same({ false, "x" }, { pcall(g.throw, g, "x") })
  end)
end)

describe("the tree", function()
  it("has the task's body as root", function()
    local main = current()
    assert.is_nil(main.parent)
    assert.is_true(main.started)
    assert.is_false(main.dead)
    local g = new(function() return current().parent end)
    assert.are.equal(main, g.parent)
    assert.is_false(g.started)
    assert.are.equal(main, g:switch())
    assert.is_true(g.started)
  end)

  it("refuses cycles, wrong types and another parent for the root", function()
    local a = new(function() end)
    local b = new(function() end, a)
    assert.is_truthy(support.message_of(function() a.parent = b end):find "cyclic parent chain")
    assert.is_truthy(support.message_of(function() a.parent = a end):find "cyclic parent chain")
    assert.is_truthy(support.message_of(function() a.parent = 5 end):find "must be a greenlet")
    assert.is_truthy(support.message_of(function() current().parent = a end):find "root")
    assert.is_truthy(support.message_of(new, 5):find "function expected")
  end)

  it("may be changed while they run", function()
    local log = {}
    local main = current()
    local parent = new(function(v) log[#log + 1] = v return "from the new parent" end)
    local g = new(function() main:switch() return "result" end)
    g:switch()
    g.parent = parent
    assert.are.equal("from the new parent", g:switch())
    assert.are.same({ "result" }, log)
  end)
end)

describe("an unreferenced greenlet", function()
  it("that is suspended gets GreenletExit, so that its variables are closed", function()
    local seen = select(2, suspended())
    support.eventually(function() collectgarbage() return seen.closed end)
    assert.are.equal(greenlet.GreenletExit, seen.closed)
  end)

  it("dies in its own task, as a child of the one that runs there; its parent is the old one if it lives on", function()
    local main, out = current(), {}
    local hub = new(function() return "hub ran" end)
    local kept
    local g = new(function()
      local ok, e = pcall(main.switch, main)
      out.ok, out.exit, out.parent, out.task = ok, e, current().parent, task.current()
      kept = current()
      hub:switch()
    end, hub)
    g:switch()
    g = nil -- luacheck: ignore 311
    collectgarbage()
    assert.is_false(out.ok)
    assert.are.equal(greenlet.GreenletExit, out.exit)
    assert.are.equal(main, out.parent)
    assert.are.equal(task.current(), out.task)
    assert.is_true(hub.dead)
    assert.are.equal(hub, kept.parent)
    kept.parent = main
    kept:throw()
    assert.is_true(kept.dead)
  end)

  it("dies under the greenlet that runs, which goes on", function()
    local seen, parent
    local a = new(function()
      (function()
        local g = new(function()
          local _ <close> = setmetatable({}, { __close = function(_, e) seen, parent = e, current().parent end })
          current().parent:switch()
        end)
        g:switch()
      end)()
      collectgarbage()
      assert.are.equal(greenlet.GreenletExit, seen)
      return current()
    end)
    local itself = a:switch()
    assert.are.equal(itself, parent)
  end)

  it("of another task waits for a chance in that one", function()
    local died_in
    local owner = task.spawn(function()
      (function()
        new(function()
          local _ <close> = setmetatable({}, { __close = function() died_in = task.current() end })
          current().parent:switch()
        end):switch()
      end)()
      task.sleep(1)
      task.yield()
    end)
    task.yield()
    collectgarbage()
    assert.is_nil(died_in)
    owner:join()
    assert.are.equal(owner, died_in)
  end)

  it("of a task that has ended dies in one of its own", function()
    local died_in
    task.spawn(function()
      new(function()
        local _ <close> = setmetatable({}, { __close = function() died_in = task.current().name end })
        current().parent:switch()
      end):switch()
    end):join()
    support.eventually(function() collectgarbage() return died_in end)
    assert.are.equal("greenlet exit", died_in)
  end)

  it("is not collected before its task has had that chance", function()
    local closed
    local owner = task.spawn(function()
      (function()
        new(function()
          local _ <close> = setmetatable({}, { __close = function() closed = true end })
          current().parent:switch()
        end):switch()
      end)()
      coroutine.wrap(function() for _ = 1, 3 do collectgarbage "step" end end)()
      require "moonlet.sync".event():wait()
    end)
    task.yield()
    for _ = 1, 3 do collectgarbage() end
    owner:cancel()
    owner:join()
    support.eventually(function() return closed end)
  end)

  it("may wait while it dies, and its error is not its parent's", function()
    local steps = {}
    new(function()
      local _ <close> = setmetatable({}, { __close = function()
        task.sleep(1)
        steps[#steps + 1] = "waited"
        error "lost but for a warning"
      end })
      current().parent:switch()
    end):switch()
    collectgarbage()
    assert.are.same({ "waited" }, steps)
  end)

  it("stays alive while it runs, whoever collects", function()
    local main = current()
    local a = new(function()
      local b = new(function()
        collectgarbage()
        task.yield()
        for i in coroutine.wrap(function() collectgarbage() coroutine.yield(3) end) do
          main:switch(i)
        end
      end)
      b:switch()
    end)
    local value = a:switch()
    a = nil -- luacheck: ignore 311
    collectgarbage()
    assert.are.equal(3, value)
  end)
end)

describe("the trace function", function()
  after_each(function() greenlet.settrace(nil) end)

  it("is told of switches and throws, by the one switched to", function()
    local events, main = {}, current()
    local g = new(function() main:switch() end)
    assert.is_nil(greenlet.settrace(function(event, from, to)
      events[#events + 1] = { event, from == main and "main" or "g", to == main and "main" or "g" }
    end))
    g:switch()
    g:throw()
    assert.is_function(greenlet.settrace(nil))
    assert.are.same({ { "switch", "main", "g" }, { "switch", "g", "main" },
      { "throw", "main", "g" }, { "switch", "g", "main" } }, events)
  end)

  it("is told of one that a throw kills before it began", function()
    local events, main = {}, current()
    local g = new(function() end)
    greenlet.settrace(function(event, from, to)
      events[#events + 1] = { event, from == main and "main" or "g", to == main and "main" or "g" }
    end)
    assert.are.equal(greenlet.GreenletExit, g:throw())
    local other = new(function() end)
    pcall(other.throw, other, "x")
    greenlet.settrace(nil)
    assert.is_true(other.dead)
    assert.are.same({ { "throw", "main", "g" }, { "switch", "g", "main" },
      { "throw", "main", "g" }, { "throw", "g", "main" } }, events)
  end)

  it("that fails is removed, and its error raised in the one switched to", function()
    local g = new(function() return "never" end)
    greenlet.settrace(function() error "tracer" end)
    assert.is_truthy(support.message_of(g.switch, g):find "tracer")
    assert.is_nil(greenlet.gettrace())
  end)
end)

describe("cancellation", function()
  it("reaches a greenlet that waits, and goes on to its parent and out of the task", function()
    local log = {}
    local t = support.parked(task.spawn(function()
      local g = new(function()
        local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
        task.sleep(30)
      end)
      pcall(g.switch, g)
      log[#log + 1] = "swallowed"
    end))
    t:cancel()
    assert.are.equal("ECANCELED", (select(3, t:join())))
    assert.are.same({ "closed" }, log)
  end)
end)
