--- thread.call: a function in a runtime of its own. Values are copied both ways.

-- luacheck: globals seen_by_threads

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task = require "moonlet.task"
local thread = require "moonlet.thread"
local json = require "moonlet.json"

local function echo(...) return ... end

describe("a call on a thread", function()
  it("gives the function its arguments and the caller its results", function()
    assert.are.equal(3, thread.call(function(a, b) return a + b end, 1, 2))
    assert.are.equal(0, select("#", thread.call(function() end)))
    local results = table.pack(thread.call(echo, nil, false, true, "", nil))
    assert.are.same({ nil, false, true, "", nil, n = 5 }, results)
  end)

  it("finds a function by the name of its module", function()
    assert.are.equal("ababab", thread.call("string.rep", "ab", 3))
    assert.has_error(function() thread.call "rep" end, "bad argument #1 to 'call' (a function or "
      .. '"module.function" expected)')
    local ok, message = pcall(thread.call, "string.nothing")
    assert.is_false(ok)
    assert.matches("module 'string' has no 'nothing' in this thread", message)
  end)

  it("does not see the caller's globals", function()
    _G.seen_by_threads = 1
    assert.is_nil(thread.call(function() return seen_by_threads end))
    _G.seen_by_threads = nil
  end)

  it("lets the other tasks run", function()
    local runs = 0
    local counter = task.spawn(function() while true do task.yield() runs = runs + 1 end end)
    thread.call(function()
      local stop = os.clock() + 0.05
      while os.clock() < stop do end
    end)
    counter:cancel()
    assert.is_true(runs > 0)
  end)

  it("raises the function's error, with the calls on both sides", function()
    local output = support.run [[
      local thread = require "moonlet.thread"
      local function inner() error "went wrong" end
      local function outer() thread.call({name = "worker one"}, function() inner() end) end
      outer()
    ]]
    assert.matches("went wrong\nin thread 'worker one':\nstack traceback:.-upvalue 'inner'.-"
      .. "raised again in task 'main' .-local 'outer'", output)
  end)

  it("raises an error value as it was raised, if it can be copied", function()
    local ok, err = pcall(thread.call, function() error({ code = 7, list = { 1, 2 } }) end)
    assert.is_false(ok)
    assert.are.same({ code = 7, list = { 1, 2 } }, err)
    ok, err = pcall(thread.call, function() error(io.stdout) end)
    assert.is_false(ok)
    assert.matches("^file %(0x", err)
    ok, err = pcall(thread.call, function() error(nil) end)
    assert.is_false(ok)
    assert.is_nil(err)
  end)
end)

describe("values that are copied", function()
  local function same(value) return thread.call(echo, value) end

  it("are numbers to the last bit, of their subtype", function()
    for _, value in ipairs { 0, 1, -1, 127, 128, -128, -129, math.maxinteger, math.mininteger, 0.0, -0.0, 0.1,
      1e308, 2 ^ 53, math.huge, -math.huge } do
      local copy = same(value)
      assert.are.equal(math.type(value), math.type(copy))
      assert.are.equal(string.pack("n", value), string.pack("n", copy))
    end
    local nan = same(0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("are strings of any bytes and length", function()
    for _, length in ipairs { 0, 1, 39, 40, 41, 255, 256, 65536, 1000000 } do
      local text = ("\0\255a"):rep(length):sub(1, length)
      assert.are.equal(text, same(text))
      assert.are.same({ text, text, [text] = text }, same { text, text, [text] = text })
    end
  end)

  it("are tables with shared and cyclic references", function()
    local shared, cyclic = { 1 }, {}
    cyclic.me, cyclic[cyclic] = cyclic, shared
    local copy = same { shared, shared, cyclic, deep = { { shared } } }
    assert.are.equal(copy[1], copy[2])
    assert.are.equal(copy[1], copy.deep[1][1])
    assert.are.equal(copy[3], copy[3].me)
    assert.are.equal(copy[1], copy[3][copy[3]])
    assert.are_not.equal(shared, copy[1])
    assert.are.same({ 1 }, copy[1])
  end)

  it("are lists with holes, and keys of all kinds", function()
    local table = { 1, nil, 3, [0] = 0, [-1] = -1, [1.5] = "f", [true] = "t", [2 ^ 60] = "i", [{}] = { {} } }
    local copy = same(table)
    local count = 0
    for key, value in pairs(copy) do
      count = count + 1
      if type(key) ~= "table" then assert.are.same(table[key], value) else assert.are.same({ {} }, value) end
    end
    assert.are.equal(8, count)
  end)

  it("nest 200,000 deep", function()
    local top = {}
    local at = top
    for _ = 1, 200000 do at[1] = {} at = at[1] end
    at.last = "here"
    local function depth(t)
      local n = 0
      while t[1] do t, n = t[1], n + 1 end
      return n, t.last
    end
    local n, last = depth(same(top))
    assert.are.equal(200000, n)
    assert.are.equal("here", last)
    local keys = {}
    for _ = 1, 200000 do keys = { [keys] = true } end
    local copy
    copy, n = same(keys), 0
    while next(copy) do copy, n = next(copy), n + 1 end
    assert.are.equal(200000, n)
  end)

  it("leave metatables behind, and call no metamethod", function()
    local function refuse() error "a metamethod was called" end
    local object = setmetatable({ 1, a = 2 }, { __index = refuse, __pairs = refuse, __len = refuse, __gc = nil,
      __newindex = refuse, __metatable = false })
    local copy = same(object)
    assert.are.same({ 1, a = 2 }, copy)
    assert.is_nil(getmetatable(copy))
  end)

  it("are json's null and arrays", function()
    local copy = same { json.null, json.array {} }
    assert.are.equal(json.null, copy[1])
    assert.are.equal("[null,[]]", json.encode(copy))
    assert.are.equal("[null,[]]", thread.call(function(v) return require "moonlet.json".encode(v) end, copy))
  end)

  it("are functions with their upvalues, shared ones stay shared", function()
    local count, name = 0, "n"
    local function add() count = count + 1 end
    local function get() return name .. count end
    assert.are.equal("n2", thread.call(function(a, g) a() a() return g() end, add, get))
    assert.are.equal(0, count)
    local back_add, back_get = thread.call(function(a, g) a() return a, g end, add, get)
    back_add()
    assert.are.equal("n2", back_get())
  end)

  it("are functions that call themselves, and each other", function()
    local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
    assert.are.equal(55, thread.call(fib, 10))
    local is_even
    local function is_odd(n) return n > 0 and is_even(n - 1) end
    function is_even(n) return n == 0 or is_odd(n - 1) end
    assert.is_true(thread.call(is_even, 100))
  end)

  it("are modules, and what they contain, by name", function()
    local encode, format, lib = json.encode, string.format, json
    assert.are.equal("[1] 001 [2]", thread.call(function()
      return encode { 1 } .. " " .. format("%03d", 1) .. " " .. lib.encode { 2 }
    end))
    assert.are.equal(string.format, thread.call(function() return string.format end))
    assert.are.equal(json.decode, thread.call(echo, json.decode))
  end)

  it("are nothing else: an error names the path", function()
    local function refusal(...)
      local ok, message = pcall(thread.call, echo, ...)
      assert.is_false(ok)
      return (message:gsub("^[^ ]+:%d+: ", ""))
    end
    assert.are.equal("argument #2.users[3].f is a userdata",
      refusal { users = { 1, 2, { f = io.stdout } } })
    assert.are.equal("argument #3 is a coroutine", refusal(1, coroutine.create(echo)))
    assert.are.equal('argument #2["a b"] is a C function that no module has',
      refusal { ["a b"] = coroutine.wrap(echo) })
    assert.are.equal("argument #2.x has a key that is a userdata", refusal { x = { [io.stdout] = 1 } })
    local settings, file = {}, io.stdout
    assert.are.equal("argument #2, upvalue 'settings' is a table, which is not copied: make it an argument",
      refusal(function() return settings end))
    assert.are.equal("argument #2.f, upvalue 'file' is a userdata", refusal { f = function() return file end })
    local ok, message = pcall(thread.call, function() return { 1, { io.stdout } } end)
    assert.is_false(ok)
    assert.are.equal("result #1[2][1] is a userdata", message)
  end)
end)

describe("a call that is cancelled", function()
  local function ends_at_once(fn)
    local started = task.now()
    local _, _, code = task.timeout(0.05, thread.call, fn)
    assert.are.equal("EDEADLINE", code)
    assert.is_true(task.now() - started < support.patience)
  end

  it("ends while it waits", function() ends_at_once(function() require "moonlet.task".sleep(1000) end) end)

  it("ends while it computes", function() ends_at_once(function() while true do end end) end)

  it("ends although it catches errors", function()
    ends_at_once(function()
      while true do pcall(function() while true do end end) end
    end)
  end)

  -- Whatever computes there: plainly, behind what catches errors, in coroutines, in a finalizer of a block.
  it("does not keep the program, however that ends", function()
    local endings = {
      [""] = 0, ["error 'over'"] = 1, ["os.exit(3)"] = 3, ["os.exit(4, true)"] = 4,
      ["os.execute 'kill -TERM $PPID' task.sleep(1000)"] = 143,
    }
    for ending, expected in pairs(endings) do
      local started = task.now()
      local command, path = support.command([[
        local task, thread = require "moonlet.task", require "moonlet.thread"
        local begun = thread.channel()
        local function catches(ch)
          ch:put(true)
          while true do pcall(function() while true do end end) end
        end
        local pool = thread.pool { size = 1 }
        task.spawn({ daemon = true }, thread.call, function(ch) ch:put(true) while true do end end, begun)
        task.spawn({ daemon = true }, pool.call, pool, catches, begun)
        thread.spawn({ daemon = true }, function(ch)
          ch:put(true)
          local resume = coroutine.wrap(function() while true do end end)
          while true do pcall(resume) end
        end, begun)
        for _ = 1, 3 do begun:get() end
      ]] .. ending)
      local output, status = support.shell(command:gsub("\n", " "))
      os.remove(path)
      assert.are.equal(expected, status < 0 and 128 - status or status, ending .. ": " .. output)
      assert.is_true(task.now() - started < support.patience)
    end
  end)

  it("does not keep the program for long while C code computes, which cannot be ended", function()
    if not os.getenv "MOONLET_SOAK" then return end -- it is waited for: 6 s
    local started = task.now()
    local output, status = support.run [[
      local task, thread = require "moonlet.task", require "moonlet.thread"
      local begun = thread.channel()
      thread.spawn({ daemon = true }, function(ch)
        ch:put(true)
        return (("a"):rep(40)):find(("a?"):rep(40) .. ("a"):rep(40) .. "b") -- takes years
      end, begun)
      begun:get()
      print "over"
    ]]
    assert.are.equal("over\n", output)
    assert.are.equal(0, status)
    assert.is_true(task.now() - started < support.patience)
  end)
end)
