-- Waiting anywhere: inside every call that Lua's library and C libraries make back into Lua. Each
-- case runs in many tasks at once; a shared log proves that they were inside at the same time.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local it = support.limited(it)

local TASKS = 20

--- Runs body(i, wait) in many tasks. wait() leaves the task, sometimes by the clock, sometimes by a
-- yield; fails unless at least two tasks were between the begin and the end of their bodies at once.
local function interleaved(body)
  local inside, most, tasks = 0, 0, {}
  for i = 1, TASKS do
    tasks[i] = task.spawn({ name = "case " .. i }, function()
      local first, turn = true, i
      local function wait()
        if first then
          first = false
          inside = inside + 1
          if inside > most then most = inside end
        end
        turn = turn + 1
        if turn % 3 == 0 then task.sleep(0.0005) else task.yield() end
      end
      body(i, wait)
      assert(not first, "the body never waited")
      inside = inside - 1
    end)
  end
  for _, t in ipairs(tasks) do support.finish(t) end
  assert.equal(0, inside)
  assert.is_true(most > TASKS / 2, "only " .. most .. " tasks waited at once")
end

local function with_meta(metatable) return setmetatable({}, metatable) end

describe("a task can wait inside", function()
  it("the comparator of table.sort", function()
    interleaved(function(i, wait)
      local list = {}
      for k = 1, 40 do list[k] = (k * 37 + i) % 41 end
      table.sort(list, function(a, b)
        wait()
        return a < b
      end)
      for k = 2, #list do assert(list[k - 1] <= list[k]) end
    end)
  end)

  it("the callback of string.gsub", function()
    interleaved(function(i, wait)
      local text = ("%d-%d-%d"):format(i, i + 1, i + 2)
      assert(text:gsub("%d+", function(number)
        wait()
        return number * 2
      end) == ("%d-%d-%d"):format(i * 2, i * 2 + 2, i * 2 + 4))
    end)
  end)

  it("__index and __newindex", function()
    interleaved(function(i, wait)
      local stored = {}
      local proxy = with_meta {
        __index = function(_, key)
          wait()
          return stored[key]
        end,
        __newindex = function(_, key, value)
          wait()
          stored[key] = value + i
        end,
      }
      proxy.x = 1
      proxy.x = proxy.x + 1
      assert(proxy.x == 2 + 2 * i)
      assert(select("#", table.unpack(proxy, 1, 3)) == 3)
    end)
  end)

  it("__tostring, called by tostring and by string.format's %s", function()
    interleaved(function(i, wait)
      local value = with_meta { __tostring = function()
        wait()
        return "value " .. i
      end }
      assert(tostring(value) == "value " .. i)
      assert(("%s, %s"):format(value, value) == ("value %d, value %d"):format(i, i))
    end)
  end)

  it("__lt, __le, __eq, __concat, __len, __call and arithmetic", function()
    interleaved(function(i, wait)
      local function waiting(result)
        return function()
          wait()
          return result
        end
      end
      local meta = { __lt = waiting(true), __le = waiting(false), __eq = waiting(true),
        __concat = waiting("joined " .. i), __len = waiting(i), __call = waiting(-i),
        __add = waiting(i + 1), __unm = waiting("minus"), __band = waiting(i * 3) }
      local a, b = setmetatable({}, meta), setmetatable({}, meta)
      assert(a < b and not (a <= b) and a == b)  -- luacheck: ignore 581
      assert(a .. b == "joined " .. i and #a == i and a() == -i)
      assert(a + b == i + 1 and -a == "minus" and a & 1 == i * 3)
    end)
  end)

  it("__close, at the end of a block, after an error and after a break", function()
    interleaved(function(i, wait)
      local closed = {}
      local function guard(name)
        return with_meta { __close = function(_, err)
          wait()
          closed[#closed + 1] = name .. tostring(err)
        end }
      end
      do local a <close> = guard "a" end
      assert(pcall(function()
        local b <close> = guard "b"
        error(i, 0)
      end) == false)
      for _ = 1, 2 do  -- luacheck: ignore 512
        local c <close> = guard "c"
        break
      end
      for _ in function() return nil end, nil, nil, guard "d" do end
      assert(table.concat(closed, " ") == ("anil b%d cnil dnil"):format(i))
    end)
  end)

  it("an iterator of a for loop, and __pairs", function()
    interleaved(function(i, wait)
      local sum = 0
      local proxy = with_meta { __pairs = function()
        wait()
        return function(_, k)
          wait()
          if (k or 0) < 3 then return (k or 0) + 1, i end
        end
      end }
      for k, v in pairs(proxy) do sum = sum + k * v end
      assert(sum == 6 * i)
    end)
  end)

  it("the reader of load", function()
    interleaved(function(i, wait)
      local pieces = { "return ", tostring(i), " + ", "1", nil }
      local at = 0
      local chunk = assert(load(function()
        wait()
        at = at + 1
        return pieces[at]
      end))
      assert(chunk() == i + 1)
    end)
  end)

  it("pcall, xpcall and xpcall's handler", function()
    interleaved(function(i, wait)
      assert(select(2, pcall(function()
        wait()
        return i
      end)) == i)
      local ok, message = xpcall(function()
        wait()
        error(i, 0)
      end, function(err)
        wait()
        return err + 1
      end)
      assert(not ok and message == i + 1)
    end)
  end)

  it("require", function()
    interleaved(function(i, wait)
      local name = "spec.module" .. i
      package.preload[name] = function()
        wait()
        return { number = i }
      end
      assert(require(name).number == i)
      package.preload[name], package.loaded[name] = nil, nil
    end)
  end)

  it("require of a file that sleeps while it loads", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    local file = assert(io.open(directory .. "/sleeping_module.lua", "w"))
    file:write('repeat require("moonlet.task").sleep(0.001) until package.loaded.ticks[1] return { loaded = ... }')
    file:close()
    local path = package.path
    package.path = directory .. "/?.lua;" .. path
    local ticks = {}
    package.loaded.ticks = ticks
    task.spawn(function()
      task.sleep(0.001)
      ticks[1] = true
    end)
    local module = require "sleeping_module"
    package.path, package.loaded.ticks = path, nil
    os.execute("rm -r " .. directory)
    assert.equal("sleeping_module", module.loaded)
  end)

  it("coroutine.wrap and coroutine.resume", function()
    interleaved(function(i, wait)
      local values = {}
      for value in coroutine.wrap(function()
        for k = 1, 4 do
          wait()
          coroutine.yield(k * i)
          wait()
        end
      end) do
        wait()
        values[#values + 1] = value
      end
      assert(table.concat(values, ",") == ("%d,%d,%d,%d"):format(i, 2 * i, 3 * i, 4 * i))
      local co = coroutine.create(function(a)
        wait()
        local b = coroutine.yield(a + 1)
        wait()
        return a + b
      end)
      assert(select(2, coroutine.resume(co, i)) == i + 1)
      assert(coroutine.status(co) == "suspended")
      assert(select(2, coroutine.resume(co, 10)) == i + 10)
      assert(coroutine.status(co) == "dead")
    end)
  end)

  it("generators in generators", function()
    interleaved(function(i, wait)
      local function walk(depth)
        return coroutine.wrap(function()
          wait()
          if depth > 0 then
            for value in walk(depth - 1) do
              wait()
              coroutine.yield(value)
            end
          end
          coroutine.yield(depth * i)
        end)
      end
      local sum = 0
      for value in walk(6) do sum = sum + value end
      assert(sum == 21 * i)
    end)
  end)

  it("calls within calls of all these", function()
    interleaved(function(i, wait)
      local result = ("3 1 2"):gsub("%S+", function(word)
        local list = { 9, tonumber(word), i }
        table.sort(list, function(a, b)
          local value = setmetatable({}, { __index = function()
            return coroutine.wrap(function()
              wait()
              coroutine.yield(a < b)
            end)()
          end })
          return value.less
        end)
        return list[1]
      end)
      local function least(n) return math.min(n, i) end
      assert(result == ("%d %d %d"):format(least(3), least(1), least(2)))
    end)
  end)

  it("a debug hook", function()
    interleaved(function(_, wait)
      local co = coroutine.running()
      debug.sethook(co, function()
        debug.sethook(co)
        wait()
      end, "l")
      local x = 1
      x = x + 1  -- luacheck: ignore 311
      debug.sethook(co)
    end)
  end)

  it("a match-time capture of LPeg", function()
    local lpeg = require "lpeg"
    interleaved(function(i, wait)
      local number = lpeg.Cmt(lpeg.C(lpeg.R "09" ^ 1), function(_, at, digits)
        wait()
        return at, digits * i
      end)
      local list = lpeg.Ct(number * ("," * number) ^ 0)
      assert(table.concat(list:match "1,2,3,4", " ") == ("%d %d %d %d"):format(i, 2 * i, 3 * i, 4 * i))
    end)
  end)

  it("a callback of expat", function()
    local lxp = require "lxp"
    interleaved(function(i, wait)
      local seen = {}
      local parser = lxp.new {
        StartElement = function(_, name, attributes)
          wait()
          seen[#seen + 1] = name .. (attributes.n or "")
        end,
        CharacterData = function(_, text)
          wait()
          seen[#seen + 1] = text
        end,
      }
      assert(parser:parse(("<a><b n='%d'>text</b>"):format(i)))
      assert(parser:parse("</a>"))
      assert(parser:parse())
      parser:close()
      assert(table.concat(seen, " ") == ("a b%d text"):format(i))
    end)
  end)
end)

describe("5,000 tasks", function()
  it("wait in comparators of table.sort at once and get the right results", function()
    local count, inside, go = 5000, 0, false
    local tasks = {}
    for i = 1, count do
      tasks[i] = task.spawn(function()
        local list, first = { i, i - 2, i + 2, i - 1, i + 1 }, true
        table.sort(list, function(a, b)
          if first then
            first = false
            inside = inside + 1
            if inside == count then go = true end
            while not go do task.sleep(0.005) end
          end
          return a < b
        end)
        return table.concat(list, " ")
      end)
    end
    for i = 1, count do
      local expected = ("%d %d %d %d %d"):format(i - 2, i - 1, i, i + 1, i + 2)
      if support.finish(tasks[i]) ~= expected then error("task " .. i .. " sorted wrongly") end
    end
    assert.equal(count, inside)
  end)
end)
