--- Workflows whose steps are remembered. durable.test calls each again from its beginning at every wait.

local durable = require "moonlet.durable"
local support = dofile "tests/spec/support.lua"
local own = dofile "tests/spec/durable_support.lua"
local task = require "moonlet.task"

-- Runs a workflow under durable.test: its results, and the database's view of the run.
local function run(fn, input, opts)
  local d <close> = durable.test()
  d:workflow("w", opts or {}, fn)
  local started = assert(d:start("w", input))
  local results = table.pack(started:result(1e8))
  return results, assert(d:get(started.id))
end

describe("a workflow", function()
  it("returns what it returns: nil, binary strings, integers and floats", function()
    local results = run(function(_, input) return nil, input.text, 1, 1.0, { 5 } end, { text = "\0\255" })
    assert.same({ n = 5, nil, "\0\255", 1, 1.0, { 5 } }, results)
    assert.equal("float", math.type(results[4]))
  end)

  it("fails with the error it raises, or the failure it returns", function()
    local results, row = run(function() error({ reason = "bad" }, 0) end)
    assert.same({ n = 3, nil, { reason = "bad" }, "EFAILED" }, results)
    assert.equal("failed", row.status)
    assert.same({ n = 3, nil, "no stock", "ESTOCK" }, (run(function() return nil, "no stock", "ESTOCK" end)))
    assert.same({ n = 3, nil, "text", "EFAILED" }, (run(function() error("text", 0) end)))
  end)

  it("gets a copy of its input each time it is called", function()
    local results = run(function(ctx, input)
      local before = #input
      input[#input + 1] = "more"
      ctx:sleep("wait", 10)
      return before
    end, { 1 })
    assert.equal(1, results[1])
  end)
end)

describe("a step", function()
  it("runs once, and gives copies of what it returned also the first time", function()
    local calls, original = 0, { 1 }
    local results = run(function(ctx)
      local first = ctx:step("one", function(...)
        calls = calls + 1
        return original, ...
      end, "a", nil)
      assert(first ~= original)
      ctx:sleep("wait", 1000)
      return first[1], select("#", ctx:step("two", function() end))
    end)
    assert.same({ n = 2, 1, 0 }, results)
    assert.equal(1, calls)
  end)

  it("is told by its name and how many of that name", function()
    local seen = {}
    local _, row = run(function(ctx)
      for i = 1, 3 do ctx:step("s", function() seen[#seen + 1] = i end) end
      ctx:step("other", function() seen[#seen + 1] = "other" end)
    end)
    assert.same({ 1, 2, 3, "other" }, seen)
    local keys = {}
    for i, s in ipairs(row.steps) do keys[i] = s.key end
    assert.same({ "s", "s#2", "s#3", "other" }, keys)
  end)

  it("is retried after errors and failures, with the same key, and pauses that grow", function()
    local attempts, keys, times = {}, {}, {}
    local results = run(function(ctx)
      return ctx:step("s", { retry = { attempts = 5, backoff = { 10, 30 }, jitter = 0 } }, function()
        attempts[#attempts + 1], keys[ctx.key], times[#times + 1] = ctx.attempt, true, task.now()
        if ctx.attempt < 3 then error "not yet" end
        if ctx.attempt < 5 then return nil, "not yet", "ELATER" end
        return "done"
      end)
    end)
    assert.equal("done", results[1])
    assert.same({ 1, 2, 3, 4, 5 }, attempts)
    local count = 0
    for _ in pairs(keys) do count = count + 1 end
    assert.equal(1, count)
    for i, pause in ipairs { 10, 20, 30, 30 } do
      assert(math.abs(times[i + 1] - times[i] - pause) < 0.5, times[i + 1] - times[i])
    end
  end)

  it("without options has three attempts, each with its arguments and number, and no key afterwards", function()
    local seen = {}
    local results, row = run(function(ctx)
      local function try(fails, ...)
        seen[#seen + 1] = ctx.attempt .. ":" .. ctx.key:match "[^:]*$" .. ":" .. select("#", ...)
        if ctx.attempt <= fails then error("not yet", 0) end
        return ...
      end
      local a, b = ctx:step("late", try, 2, "x", nil)
      assert(ctx.key == nil and ctx.attempt == nil)
      local ok, err = pcall(ctx.step, ctx, "never", try, 3)
      assert(ctx.key == nil and ctx.attempt == nil)
      ctx:sleep("wait", 1000)
      return a, b, ok, err
    end)
    assert.same({ n = 4, "x", nil, false, "not yet" }, results)
    assert.same({ "1:late:2", "2:late:2", "3:late:2", "1:never:0", "2:never:0", "3:never:0" }, seen)
    assert.equal(3, row.steps[1].attempt)
  end)

  it("remembers the last failure, as it was", function()
    local calls = 0
    local results = run(function(ctx)
      local ok, err = pcall(ctx.step, ctx, "raises", { retry = 2 }, function()
        calls = calls + 1
        error({ code = "EX", n = calls }, 0)
      end)
      ctx:sleep("wait", 5)
      local a, b, c = ctx:step("returns", { retry = false }, function()
        calls = calls + 1
        return nil, "message", "ECODE"
      end)
      ctx:sleep("wait", 5)
      return ok, err, a, b, c
    end)
    assert.same({ n = 5, false, { code = "EX", n = 2 }, nil, "message", "ECODE" }, results)
    assert.equal(3, calls)
  end)

  it("has a time limit for each attempt", function()
    local calls = 0
    local results = run(function(ctx)
      return ctx:step("slow", { timeout = 2, retry = { attempts = 2, backoff = 0 } }, function()
        calls = calls + 1
        task.sleep(100)
      end)
    end)
    assert.same({ n = 3, nil, "deadline passed", "EDEADLINE" }, results)
    assert.equal(2, calls)
  end)

  it("whose results cannot be written down fails, once", function()
    local calls = 0
    local results = run(function(ctx)
      return ctx:step("s", function()
        calls = calls + 1
        return { f = print }
      end)
    end)
    assert.matches("value.f is a function", results[2])
    assert.equal(1, calls)
  end)

  it("does not let ctx be used inside, nor by another task", function()
    local results = run(function(ctx)
      local _, inside = pcall(ctx.step, ctx, "s", { retry = false }, function() ctx:step("t", print) end)
      local other = task.spawn({ quiet = true }, pcall, ctx.step, ctx, "u", print)
      local _, _, elsewhere = other:join()
      return inside, elsewhere
    end)
    assert.matches("a step or transaction is running", results[1])
    assert.matches("belongs to another task", results[2])
  end)

  it("refuses wrong arguments by the line of the caller", function()
    local results = run(function(ctx)
      local messages = {}
      for i, arguments in ipairs { { 5 }, { "s" }, { "s", { x = 1 }, print }, { "s", { retry = 0 }, print },
        { "s", { retry = { attempts = 0 } }, print }, { "s", { at_most_once = true, retry = 3 }, print } } do
        local _, message = pcall(ctx.step, ctx, table.unpack(arguments))
        messages[i] = type(message) == "string" and message or tostring(message)
      end
      return table.concat(messages, "\n")
    end)
    local text = results[1]
    assert.matches("#1 to 'step' %(string expected", text)
    assert.matches("'step' %(function expected", text)
    assert.matches("unknown option 'x'", text)
    assert.matches("'attempts' must be", text)
    assert.matches("at most once cannot be retried", text)
  end)
end)

describe("a transaction", function()
  it("commits with its record, and rolls back with its failure", function()
    local d <close> = durable.test()
    d.db:execute "CREATE TABLE book (n INTEGER)"
    local attempts = 0
    d:workflow("w", function(ctx)
      return ctx:transaction("enter", { retry = { attempts = 3, backoff = 1 } }, function(tx)
        attempts = attempts + 1
        tx:execute("INSERT INTO book VALUES (?)", attempts)
        if attempts == 1 then error "no" end
        if attempts == 2 then return nil, "no", "ENO" end
        return tx:value "SELECT count(*) FROM book"
      end)
    end)
    assert.equal(1, assert(d:start("w")):result(100))
    assert.equal(3, d.db:value "SELECT n FROM book")
    assert.equal(3, attempts)
  end)
end)

describe("waits", function()
  it("sleep for days", function()
    local before, slept
    run(function(ctx)
      before = before or task.now()
      ctx:sleep("long", 86400 * 30)
      slept = task.now() - before
    end)
    assert(slept >= 86400 * 30 and slept < 86400 * 30 + 10)
  end)

  it("receive messages in their order, each once, sent before or during the wait", function()
    local d <close> = durable.test()
    d:workflow("w", function(ctx)
      ctx:sleep("late", 5)
      local a, b = ctx:receive "t", ctx:receive "t"
      local other = ctx:receive("other", 10)
      return a, b, other, ctx:receive("t", 5)
    end)
    local r = assert(d:start("w"))
    assert.is_true(d:send(r.id, "t", 1))
    assert.is_true(d:send(r.id, "t", { 2 }))
    task.sleep(7)
    assert.is_true(d:send(r.id, "other", "\0"))
    assert.same({ n = 6, 1, { 2 }, "\0", nil, "timeout", "ETIMEDOUT" }, table.pack(r:result(100)))
    assert.same({ n = 3, nil, "the run has ended", "CLOSED" }, table.pack(d:send(r.id, "t", 1)))
    assert.equal("ENOENT", select(3, d:send("nobody", "t", 1)))
  end)

  it("of several branches for one topic get a message each, also when one of them was cancelled", function()
    local d <close> = durable.test()
    d:workflow("w", function(ctx)
      local both = ctx:map("both", { 1, 2 }, function(b) return b:receive "t" end)
      local i, value = ctx:race {
        function(b) return b:receive "u" end,
        function(b) return b:receive "u" end,
        function(b) b:sleep("long", 1e4) end,
      }
      return both[1] + both[2], i < 3 and value
    end)
    local r = assert(d:start("w"))
    task.sleep(1)
    assert(d:send(r.id, "t", 1))
    assert(d:send(r.id, "t", 2))
    task.sleep(1)
    assert(d:send(r.id, "u", "one"))
    assert.same({ n = 2, 3, "one" }, table.pack(r:result(100)))
  end)

  it("await events that were emitted before, and others", function()
    local d <close> = durable.test()
    d:workflow("w", function(ctx) return ctx:await "early", ctx:await "late", ctx:await("never", 3) end)
    assert.is_true(d:emit("early", 1))
    local r = assert(d:start("w"))
    task.sleep(3)
    assert.is_true(d:emit("late", 2))
    assert.equal("EEXIST", select(3, d:emit("late", 3)))
    assert.same({ n = 5, 1, 2, nil, "timeout", "ETIMEDOUT" }, table.pack(r:result(100)))
  end)

  it("are for children, whose failures are given as those of steps", function()
    local d <close> = durable.test()
    d:workflow("child", function(_, x)
      if x == 0 then return nil, "zero", "EZERO" end
      if x < 0 then error("negative", 0) end
      return x * 2, nil
    end)
    d:workflow("parent", function(ctx)
      local a = table.pack(ctx:child("child", 4))
      local b = table.pack(ctx:child("child", 0))
      return a, b, table.pack(pcall(ctx.child, ctx, "child", -1))
    end)
    local a, b, c = assert(d:start("parent", nil, { id = "p" })):result(100)
    assert.same({ n = 2, 8 }, a)
    assert.same({ n = 3, nil, "zero", "EZERO" }, b)
    assert.same({ n = 2, false, "negative" }, c)
    assert.equal("done", d:get("p/child:child").status)
  end)
end)

describe("branches", function()
  it("map a list, with names of their own, in order", function()
    local counts = {}
    local results, row = run(function(ctx)
      return ctx:map("items", { "a", "b", "c" }, function(branch, item)
        branch:sleep("wait", #counts)
        return branch:step("s", function()
          counts[item] = (counts[item] or 0) + 1
          return item:upper()
        end)
      end)
    end)
    assert.same({ n = 3, "A", "B", "C" }, results[1])
    assert.same({ a = 1, b = 1, c = 1 }, counts)
    local keys = {}
    for _, s in ipairs(row.steps) do keys[s.key] = true end
    assert.is_true(keys["items[2]/s"])
  end)

  it("fail with the first failure, which cancels the others", function()
    local results = run(function(ctx)
      return ctx:all {
        function(branch) branch:step("bad", { retry = false }, function() error("bad", 0) end) end,
        function(branch) branch:sleep("long", 1e5) end,
      }
    end)
    assert.same({ n = 3, nil, "bad", "EFAILED" }, results)
  end)

  it("race: the winner is remembered, the others are cancelled", function()
    local ended = {}
    local results = run(function(ctx)
      local i, value = ctx:race {
        function(branch) branch:sleep("long", 1e5) end,
        function(branch)
          local _ <close> = setmetatable({}, { __close = function() ended[#ended + 1] = 2 end })
          branch:sleep("short", 5)
          return "won"
        end,
      }
      ctx:sleep("after", 5)
      return i, value
    end)
    assert.same({ n = 2, 2, "won" }, results)
  end)

  it("may be empty, nested, and limited", function()
    local now, most = 0, 0
    local results = run(function(ctx)
      local none = ctx:map("none", {}, print)
      local nested = ctx:map("outer", { 1, 2 }, function(b, x)
        return b:map("inner", { 10, 20 }, function(bb, y)
          return bb:step("s", function() return x + y end)
        end)
      end)
      ctx:map("few", { 1, 2, 3, 4, 5 }, function(b)
        b:step("s", function()
          now = now + 1
          most = math.max(most, now)
          task.sleep(1)
          now = now - 1
        end)
      end, 2)
      return none.n, nested[2][1]
    end)
    assert.same({ n = 2, 0, 12 }, results)
    assert.equal(2, most)
  end)
end)

describe("values of a run", function()
  it("are the same whenever it is called again", function()
    local results = run(function(ctx)
      local now, random, uuid, dice = ctx:now(), ctx:random(), ctx:uuid(), ctx:random(6)
      local order = {}
      for k in ctx:pairs { z = 1, a = 2, [3] = 3, [true] = 4, [1.5] = 5 } do order[#order + 1] = tostring(k) end
      ctx:sleep("wait", 1000)
      return now, random, uuid, dice, table.concat(order, " ")
    end)
    assert.equal("1.5 3 a z true", results[5])
    assert.matches("^%x+%-%x+%-7%x+%-[89ab]%x+%-%x+$", results[3])
    assert.is_true(results[4] >= 1 and results[4] <= 6)
  end)

  it("that are not remembered are found out by durable.test", function()
    local count = 0
    local results, row = run(function(ctx)
      count = count + 1
      ctx:step("s" .. count, function() end)
      ctx:sleep("wait", 1)
    end)
    assert.equal("EDIVERGED", results[3])
    assert.equal("failed", row.status)
    local flips = 0
    results = run(function() flips = flips + 1 return flips end)
    assert.equal("EDIVERGED", results[3])
  end)
end)

describe("cancelling", function()
  it("interrupts the step, closes variables, and lets cleanups have steps, the last first", function()
    local d <close> = durable.test()
    local log = {}
    d:workflow("w", function(ctx)
      ctx:cleanup(function(c) c:step("undo", function() log[#log + 1] = "first" end) end)
      ctx:cleanup(function(c)
        c:sleep("wait", 5)
        c:step("undo", function() log[#log + 1] = "second" end)
      end)
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      ctx:step("long", function() task.sleep(1e6) end)
    end)
    local r = assert(d:start("w", nil, { id = "c" }))
    task.sleep(10)
    assert.is_true(d:cancel("c", "enough"))
    assert.same({ n = 3, nil, "enough", "ECANCELED" }, table.pack(r:result(100)))
    assert.same({ "closed", "second", "first" }, log)
    assert.equal("cancelled", d:get("c").status)
    assert.equal("CLOSED", select(3, d:cancel "c"))
    assert.equal("ENOENT", select(3, d:cancel "nobody"))
  end)

  it("cannot be caught by the workflow, and records nothing any more", function()
    local d <close> = durable.test()
    local after
    d:workflow("w", function(ctx)
      task.pcall(ctx.step, ctx, "long", function() task.sleep(1e6) end)
      after = { task.pcall(ctx.step, ctx, "again", function() end) }
    end)
    local r = assert(d:start("w", nil, { id = "c" }))
    task.sleep(10)
    d:cancel "c"
    assert.equal("ECANCELED", select(3, r:result(100)))
    assert.is_false(after[1])
    assert.same({}, d:get("c").steps)
  end)

  it("goes to children, and to runs that have not begun", function()
    local d <close> = durable.test()
    d:workflow("child", function(ctx) ctx:sleep("long", 1e5) end)
    d:workflow("parent", function(ctx) ctx:child("child") end)
    local r = assert(d:start("parent", nil, { id = "p" }))
    assert(d:start("parent", nil, { id = "later", delay = 1e5 }))
    task.sleep(10)
    assert.is_true(d:cancel "p")
    assert.is_true(d:cancel "later")
    r:result(100)
    support.eventually(function() return d:get("p/child:child").status == "cancelled" end)
    assert.equal("cancelled", d:get("later").status)
  end)

  it("comes by itself when the time limit of the workflow has passed", function()
    local cleaned
    local results = run(function(ctx)
      ctx:cleanup(function() cleaned = true end)
      ctx:sleep("long", 1e5)
    end, nil, { timeout = 60 })
    assert.same({ n = 3, nil, "deadline passed", "EDEADLINE" }, results)
    assert.is_true(cleaned)
  end)
end)

describe("runs", function()
  it("are started once under an id, or under a key until they end", function()
    local d <close> = durable.test()
    local calls = 0
    d:workflow("w", function(ctx) ctx:sleep("x", 10) calls = calls + (ctx:step("s", function() return 1 end)) end)
    local a, b = assert(d:start("w", 1, { id = "x" })), assert(d:start("w", 2, { id = "x" }))
    assert.equal(a.id, b.id)
    local c, e = assert(d:start("w", 1, { dedup = "k" })), assert(d:start("w", 1, { dedup = "k" }))
    assert.equal(c.id, e.id)
    assert.equal("EEXIST", select(3, d:start("other", 1, { id = "x" })))
    c:result(100)
    assert.not_equal(c.id, assert(d:start("w", 1, { dedup = "k" })).id)
  end)

  it("begin with a transaction of the user's, or not at all", function()
    local d <close> = durable.test()
    d:workflow("w", function() return "ran" end)
    d.db:transaction(function(tx)
      assert(d:start("w", 1, { id = "undone", tx = tx }))
      return nil, "no", "ENO"
    end)
    local r
    d.db:transaction(function(tx) r = assert(d:start("w", 1, { id = "done", tx = tx })) end)
    assert.equal("ran", r:result(100))
    assert.equal("ENOENT", select(3, d:get "undone"))
  end)

  it("that failed are kept, and go on from the failed step", function()
    local d <close> = durable.test()
    local works, calls = false, 0
    d:workflow("w", function(ctx)
      ctx:step("good", function() calls = calls + 1 end)
      return ctx:step("bad", { retry = false }, function()
        if not works then error("broken", 0) end
        return "fixed"
      end)
    end)
    local r = assert(d:start("w", nil, { id = "x" }))
    assert.same({ n = 3, nil, "broken", "EFAILED" }, table.pack(r:result(100)))
    assert.equal("x", d:list({ status = "failed" })[1].id)
    works = true
    assert.is_true(d:retry "x")
    assert.equal("fixed", r:result(100))
    assert.equal(1, calls)
    assert.equal("ENOENT", select(3, d:retry "x"))
  end)

  it("are forked from a step: what was before it is not run again", function()
    local d <close> = durable.test()
    local log = {}
    d:workflow("w", function(ctx, x)
      for _, name in ipairs { "a", "b", "c" } do ctx:step(name, function() log[#log + 1] = name end) end
      return x
    end)
    assert(d:start("w", 7, { id = "x" })):result(100)
    local r = assert(d:fork("x", "b"))
    assert.equal(7, r:result(100))
    assert.same({ "a", "b", "c", "b", "c" }, log)
    assert.equal("ENOENT", select(3, d:fork("x", "nothing")))
  end)

  it("wait with a delay, and the lowest priority comes first", function()
    local d <close> = durable.test()
    local order = {}
    d:queue("q", { concurrency = 1 })
    d:workflow("w", function(ctx, x) ctx:step("s", function() order[#order + 1] = x end) end)
    local last = {}
    for i, p in ipairs { 5, 1, 3 } do last[i] = assert(d:start("w", p, { queue = "q", priority = p, delay = 10 })) end
    for i = 1, 3 do last[i]:result(100) end
    assert.same({ 1, 3, 5 }, order)
  end)

  it("have results that time out, and that nobody has", function()
    local d <close> = durable.test()
    d:workflow("w", function(ctx) ctx:sleep("x", 1000) return 1 end)
    local r = assert(d:start("w"))
    assert.equal("ETIMEDOUT", select(3, r:result(5)))
    assert.equal(1, r:result(5000))
  end)
end)

describe("runs that are held", function()
  it("leave memory when all of their branches wait for long, and come back", function()
    local path <close> = own.path()
    local calls = 0
    local served <close> = own.serve(path.path, function(d)
      d:workflow("w", { hold = 0.05 }, function(ctx)
        calls = calls + 1
        ctx:map("m", { 0.3, 0.5 }, function(b, s) b:sleep("nap", s) end)
        return ctx:receive "go", ctx:await "ev"
      end)
    end)
    local d = served.d
    local r = assert(d:start("w", nil, { id = "x" }))
    support.eventually(function() return d:get("x").status == "waiting" end)
    support.eventually(function() return (d:get("x").waits or ""):find "receive" end)
    assert.same({}, task.list and (function()
      local found = {}
      for _, t in ipairs(task.list()) do if t.name == "durable x" then found[#found + 1] = t.name end end
      return found
    end)())
    d:send("x", "go", 1)
    support.eventually(function() return (d:get("x").waits or ""):find "await" end)
    d:emit("ev", 2)
    assert.same({ n = 2, 1, 2 }, table.pack(r:result(20)))
    assert.is_true(calls >= 3)
  end)
end)
