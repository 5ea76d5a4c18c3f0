-- C libraries that call back into Lua, LPeg and expat, as Debian builds them: the callback waits in another C
-- library (LuaSystem's sleep is nanosleep) and leaves its task by yield, too. Libraries that only compute.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local task = require "moonlet.task"
local lpeg = libraries.need("lpeg", "lua-lpeg")
local lxp = libraries.need("lxp", "lua-expat")
local system = libraries.need("system", "lua-system")
local cjson = libraries.need("cjson", "lua-cjson")
local lyaml = libraries.need("lyaml", "lua-yaml")
local it = support.limited(it)

local STEPS = 4 -- in a task: together they last for libraries.SPAN

--- Runs body(i, step) in many tasks at once; step(), called STEPS times in callbacks, waits in C and in Lua.
-- Fails unless all of them were between their first and their last step at the same time, and their waits overlap.
local function inside_together(body)
  local inside, most = 0, 0
  libraries.overlap(function(i)
    local steps = 0
    body(i, function()
      steps = steps + 1
      if steps == 1 then inside = inside + 1 end
      most = math.max(most, inside)
      system.sleep(libraries.SPAN / STEPS)
      task.yield()
      if steps == STEPS then inside = inside - 1 end
    end)
    assert.equal(STEPS, steps)
  end)
  assert.equal(libraries.TASKS, most)
end

-- A list of numbers, for each of which step(number) is called in the middle of the match.
local function numbers(step)
  local number = lpeg.Cmt(lpeg.C(lpeg.R "09" ^ 1), function(_, at, digits) return at, step(tonumber(digits)) end)
  return lpeg.Ct(number * ("," * number) ^ 0) * -1
end

-- A parser that calls back on_event(name, ...) from expat.
local function parser(on_event)
  local function event(name)
    return function(_, ...) on_event(name, ...) end
  end
  return lxp.new { StartElement = event "start", EndElement = event "end", CharacterData = event "text" }
end

local function finish(p)
  assert(p:parse())
  p:close()
end

describe("a callback of a C library can wait", function()
  it("in LPeg, in the middle of a match", function()
    inside_together(function(i, step)
      local list = numbers(function(number)
        step()
        return number * i
      end)
      assert.same({ i, 2 * i, 3 * i, 4 * i }, list:match "1,2,3,4")
    end)
  end)

  it("in LPeg, in a pattern that all tasks share", function()
    local steps = {}
    local list = numbers(function(number)
      steps[task.current()]()
      return number
    end)
    inside_together(function(i, step)
      steps[task.current()] = step
      assert.same({ i, i + 1, i + 2, i + 3 }, list:match(("%d,%d,%d,%d"):format(i, i + 1, i + 2, i + 3)))
    end)
  end)

  it("in expat, while a text comes piece by piece", function()
    inside_together(function(i, step)
      local seen = {}
      local p = parser(function(name, what)
        if what ~= "root" then step() end
        seen[#seen + 1] = name .. " " .. what
      end)
      for piece in ("<root><a>%d</a><b/></root>"):format(i):gmatch "..?" do
        if piece:find "%d" then piece = piece:gsub("%d", "") .. "" end
        assert(p:parse(piece))
      end
      finish(p)
      assert.same({ "start root", "start a", "end a", "start b", "end b", "end root" }, seen)
    end)
  end)

  it("in LPeg inside of expat inside of table.sort", function()
    inside_together(function(i, step)
      local seen = {}
      local list = numbers(function(number)
        step()
        return number + i
      end)
      table.sort({ 2, 1 }, function(a, b)
        if #seen == 0 then
          local p = parser(function(name, text)
            if name == "text" then seen = list:match(text) end
          end)
          assert(p:parse "<a>1,2,3,4</a>")
          finish(p)
        end
        return a < b
      end)
      assert.same({ i + 1, i + 2, i + 3, i + 4 }, seen)
    end)
  end)

  it("and raise after that: the error comes out of the library, others are not disturbed", function()
    inside_together(function(i, step)
      local list = numbers(function(number)
        step()
        if number == 4 then error("number " .. i, 0) end
        return number
      end)
      assert.equal("number " .. i, support.message_of(list.match, list, "1,2,3,4"))
    end)
    inside_together(function(i, step)
      local count = 0
      local p = parser(function()
        step()
        count = count + 1
        if count == STEPS then error("event " .. i, 0) end
      end)
      assert.equal("event " .. i, support.message_of(p.parse, p, "<a><b/></a>"))
      p:close()
    end)
  end)

  -- As after any error in its callback, the parser has lost the rest of the piece that it was given.
  it("and is cancelled there: the pattern can be used again, the parser can be finished and closed", function()
    local seconds = 20
    local list = numbers(function(number)
      system.sleep(seconds)
      return number
    end)
    libraries.cancels(function() list:match "1,2,3" end, function()
      seconds = 0
      assert.same({ 1, 2 }, list:match "1,2")
    end)
    local parsers = {}
    seconds = 20
    libraries.cancels(function()
      local p = parser(function() system.sleep(seconds) end)
      parsers[#parsers + 1] = p
      p:parse "<a>"
    end, function()
      seconds = 0
      assert.equal(2, #parsers)
      for _, p in ipairs(parsers) do
        assert(p:parse "</a>")
        finish(p)
      end
    end)
  end)

  it("blocks every task with --no-interpose, and works otherwise", function()
    local output = libraries.without [[
      local lpeg, lxp, system = require "lpeg", require "lxp", require "system"
      local seconds, ticks = overlapping(function(i)
        local count = 0
        local number = lpeg.Cmt(lpeg.C(lpeg.R "09" ^ 1), function(_, at, digits)
          system.sleep(0.05)
          return at, digits * i
        end)
        local p = lxp.new { StartElement = function(_, name) count = count + number:match(name:sub(2)) end }
        assert(p:parse "<a1/>")
        p:close()
        assert(count == i)
      end)
      assert(seconds >= 0.2, seconds)
      assert(ticks <= 5, ticks)
      print "right"
    ]]
    assert.equal("right\n", output)
  end)
end)

describe("a C library that only computes gives each of many tasks its own result", function()
  local function document(i)
    return { number = i, list = { 1, 2, { 3, i } }, text = ("\u{20ac} %d"):format(i):rep(50), yes = true }
  end

  it("lua-cjson", function()
    task.group(function(g)
      for i = 1, libraries.TASKS do
        g:spawn(function()
          for _ = 1, 5 do
            local text = cjson.encode(document(i))
            task.yield()
            assert.same(document(i), cjson.decode(text))
            assert.is_false((pcall(cjson.decode, text:sub(1, -2))))
          end
        end)
      end
    end)
  end)

  it("lyaml, which also calls back", function()
    inside_together(function(i, step)
      local scalars = { ["tag:moonlet,2026:wait"] = function(value)
        step()
        return tonumber(value) * i
      end }
      local wait = "!<tag:moonlet,2026:wait> "
      local source = ("[%s1, %s2, {a: %s3}, %s4]"):gsub("%%s", wait)
      assert.same({ i, 2 * i, { a = 3 * i }, 4 * i }, lyaml.load(source, { explicit_scalar = scalars }))
      assert.same(document(i), lyaml.load(lyaml.dump { document(i) }))
    end)
  end)
end)
