--- Stacks and C++ runtimes that C libraries bring along: their calls are left to libc, and nothing switches from there.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local it = support.limited(it)
local fibers = require "fibers"
local task = require "moonlet.task"
local greenlet = require "moonlet.greenlet"

local libc, TASKS = libc_support.libc, 200

-- Each task in turn, while the others' frames are on the same stacks.
local function in_many_tasks(fn)
  local done = 0
  task.group(function(g)
    for i = 1, TASKS do
      g:spawn(function()
        task.yield()
        fn(i)
        task.yield()
        done = done + 1
      end)
    end
  end)
  assert.equal(TASKS, done)
end

for _, kind in ipairs { "mapped", "allocated" } do
  local is_mapped = kind == "mapped"
  describe("on a stack of a C library's own, " .. kind, function()
    -- The stack pointer was taken for one of the task's stack when its frames were moved: the program crashed.
    it("a sleep is libc's", function()
      in_many_tasks(function() assert.equal(0, fibers.nap(is_mapped)) end)
    end)

    it("a wait for a child is libc's", function()
      for _ = 1, 3 do assert.equal(0, fibers.await_child(is_mapped)) end
    end)

    it("a read is libc's", function()
      local ends <close> = libc_support.pipe()
      in_many_tasks(function()
        libc.write(ends[2], "x")
        assert.equal(1, fibers.read_byte(is_mapped, ends[1]))
      end)
    end)

    it("a mutex is taken and given back", function()
      in_many_tasks(function() assert.equal(0, fibers.lock_and_nap(is_mapped)) end)
    end)
  end)
end

describe("Lua that a C library calls on a stack of its own", function()
  local function refused(pattern, fn)
    local ok, message = fibers.call(fn)
    assert.is_false(ok)
    assert.matches(pattern, message)
  end

  it("runs", function()
    assert.same({ true, 1, 2 }, { fibers.call(function(...) return ... end, 1, 2) })
  end)

  it("cannot wait, and is told so", function()
    refused("cannot wait here: a C library has called on a stack of its own",
      function() task.sleep(0.001) end)
    refused("cannot wait here: a C library has called on a stack of its own",
      function() task.timeout(1, task.sleep, 0.001) end)
    refused("cannot wait here: a C library has called on a stack of its own", task.yield)
  end)

  it("cannot yield", function()
    local co = coroutine.wrap(function()
      refused("attempt to yield across a C%-call boundary", coroutine.yield)
      return coroutine.yield("outside of it")
    end)
    assert.equal("outside of it", co())
  end)

  it("cannot switch greenlets", function()
    local g = greenlet.new(function()
      refused("cannot switch greenlets here", function() greenlet.current().parent:switch() end)
      return "well"
    end)
    assert.equal("well", g:switch())
  end)

  it("resumes coroutines as stock Lua does", function()
    local ok, first, second, status = fibers.call(function()
      local co = coroutine.create(function(a) return a + coroutine.yield(a + 1) end)
      local _, one = coroutine.resume(co, 1)
      local _, two = coroutine.resume(co, 10)
      return one, two, coroutine.status(co)
    end)
    assert.same({ true, 2, 11, "dead" }, { ok, first, second, status })
  end)

  it("cannot resume a coroutine that was begun elsewhere, which goes on there", function()
    local co = coroutine.create(function() return coroutine.yield(1) end)
    coroutine.resume(co)
    local _, ok, message = fibers.call(coroutine.resume, co)
    assert.is_false(ok)
    assert.matches("on a stack of a C library's own", message)
    assert.same({ true, "well" }, { coroutine.resume(co, "well") })
  end)

  it("counts as blocked, with a warning that says why", function()
    local output = support.run(libc_support.prelude .. [[
      warn "@on"
      local fibers = require "fibers"
      fibers.nap(true)
      fibers.nap(true)
    ]])
    local warnings = select(2, output:gsub("usleep%(%) in fibers.so makes every task wait: "
      .. "it is made on a stack of the library's own", ""))
    assert.equal(1, warnings)
  end)
end)

local has_cxx, cxx = pcall(require, "own_cxx")
if not has_cxx then
  pending("a C++ module: there is no C++ compiler")
  return
end

describe("a C++ library with a runtime of its own inside", function()
  -- The program looked for the guards of libstdc++.so, which was not there, and aborted.
  it("initialises static variables, inside of which calls make the thread wait", function()
    local rounds = 0
    local other = task.spawn(function()
      for _ = 1, 3 do
        rounds = rounds + 1
        task.yield()
      end
    end)
    local before
    assert.equal(0, cxx.with_static(function()
      before = rounds
      libc.usleep(1000)
      assert.equal(before, rounds)
    end))
    assert.equal(0, cxx.with_static(error)) -- once
    assert.is_not_nil(before)
    other:join()
  end)

  it("tries again a static variable whose initialiser has thrown", function()
    assert.equal("not yet", cxx.fails_once())
    assert.equal("made", cxx.fails_once())
    assert.equal("made", cxx.fails_once())
  end)

  it("has exceptions for each task", function()
    in_many_tasks(function(i)
      local text = "failure " .. i
      assert.equal(text, cxx.catching(text, function()
        for _ = 1, i % 3 do task.yield() end
        assert.equal("inner", cxx.catching("inner", task.yield))
        task.yield()
      end))
    end)
  end)
end)
