--- What every store does, wherever it lies: a part of the specs of each form.
-- Loaded with dofile("tests/spec/worker/store_behaviour.lua").

local json = require "moonlet.json"
local task = require "moonlet.task"
local thread = require "moonlet.thread"

local function sorted_keys(store, prefix)
  local list = {}
  for key in store:keys(prefix) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- form: it, assert of the spec; open(opts), a store of its own at each call; open_again(): the last one; clock(): what
-- lets time pass until it is closed.
return function(form)
  local it, assert, open = form.it, form.assert, form.open

  it("gives back what was stored: any string, number, boolean or table", function()
    local store = open()
    local values = { "", "a\0b", ("x"):rep(5000), 0, -1, math.mininteger, math.maxinteger, 1.5, -0.0, 1 / 0,
      true, false, { 1, 2, { a = "b", [1.5] = true } }, json.null, {} }
    for i, value in ipairs(values) do assert.is_true(store:set("key" .. i, value)) end
    for i, value in ipairs(values) do
      assert.are.same(value, (store:get("key" .. i)))
      assert.are.equal(math.type(value), math.type(store:get("key" .. i)))
    end
    assert.is_nil(store:get "other")
    assert.are.equal(1, select("#", store:get "other"))
    assert.are.equal(1, select("#", store:get "key1"))
    store:set("nan", 0 / 0)
    assert.are_not.equal(store:get "nan", store:get "nan")
  end)

  it("takes keys of any bytes, up to 4,096", function()
    local store = open()
    for _, key in ipairs { "", "\0", "a\0", "a\0b", ("k"):rep(17), ("k"):rep(4096) } do
      assert.is_true(store:set(key, key))
      assert.are.equal(key, store:get(key))
    end
    assert.are.equal(6, #sorted_keys(store))
    assert.has_error(function() store:get(("k"):rep(4097)) end,
      "bad argument #1 to 'get' (key is longer than 4096 bytes)")
    local _, message = pcall(function() store:set(("k"):rep(4097), 1) end)
    assert.match("store_behaviour.lua:%d+: bad argument #1 to 'set'", message)
    assert.has_error(function() store:set(1, 1) end)
    assert.has_error(function() store:incr {} end)
  end)

  it("refuses what cannot be copied, and keeps what was there", function()
    local store = open()
    store:set("key", "old")
    assert.error_matches(function() store:set("key", coroutine.create(print)) end, "value is a ")
    assert.has_error(function() store:set("key", { a = { thread.channel() } }) end)
    assert.has_error(function() store:set "key" end)
    assert.are.equal("old", store:get "key")
  end)

  it("removes a key by delete, and by storing nil", function()
    local store = open()
    store:set("a", 1)
    assert.is_true(store:delete "a")
    assert.is_false(store:delete "a")
    store:set("a", 1)
    assert.is_true(store:set("a", nil))
    assert.is_nil(store:get "a")
    assert.are.equal(0, store:usage().keys)
  end)

  it("adds a key only if it is not there", function()
    local store = open()
    assert.is_true(store:add("a", "one"))
    assert.is_false(store:add("a", "two"))
    assert.are.equal("one", store:get "a")
    assert.has_error(function() store:add("a", nil) end)
  end)

  it("counts, as Lua adds numbers", function()
    local store = open()
    assert.are.equal(1, store:incr "n")
    assert.are.equal(11, store:incr("n", 10))
    assert.are.equal(1, store:incr("n", -10))
    assert.are.equal("integer", math.type(store:get "n"))
    assert.are.equal(1.5, store:incr("n", 0.5))
    assert.are.equal(2.5, store:incr("n", 1))
    assert.are.equal("float", math.type(store:get "n"))
    store:set("n", math.maxinteger)
    assert.are.same({ nil, "the sum of 'n' is too large for an integer", "ERANGE" }, { store:incr "n" })
    assert.are.equal(math.maxinteger, store:get "n")
    for _, value in ipairs { "1", true, {}, "" } do
      store:set("n", value)
      assert.are.same({ nil, "the value of 'n' is not a number", "EINVAL" }, { store:incr "n" })
      assert.are.same(value, (store:get "n"))
    end
    assert.has_error(function() store:incr("n", "1") end)
  end)

  it("swaps a value if the old one is there, tables by what is in them", function()
    local store = open()
    assert.are.same({ false }, { store:cas("a", 1, 2) })
    assert.is_true(store:cas("a", nil, { list = { 1, 2 }, x = "y" }))
    assert.are.same({ false, { list = { 1, 2 }, x = "y" } }, { store:cas("a", nil, 2) })
    assert.is_false(store:cas("a", { list = { 1, 2 } }, 2))
    assert.is_false(store:cas("a", { list = { 1, 2 }, x = "y", z = 1 }, 2))
    assert.is_true(store:cas("a", { x = "y", list = { 1, 2 } }, 2))
    assert.is_true(store:cas("a", 2.0, "text"))
    assert.is_false((store:cas("a", "tex", 1)))
    assert.is_true(store:cas("a", "text", false))
    assert.is_false((store:cas("a", nil, 1)))
    assert.is_true(store:cas("a", false, nil))
    assert.is_nil(store:get "a")
    assert.is_true(store:cas("a", nil, nil))
  end)

  it("forgets a value when its time has passed", function()
    do
      local clock <close> = form.clock()
      local store = open()
      store:set("a", 1, { ttl = 10 })
      store:add("b", 1, { ttl = 10 })
      store:incr("c", 1, { ttl = 10 })
      store:incr("c", 1, { ttl = 1000 })
      store:set("d", 1)
      clock.pass(9.9)
      assert.are.same({ "a", "b", "c", "d" }, sorted_keys(store))
      assert.are.equal(2, store:get "c")
      assert.is_true(store:cas("a", 1, 2))
      clock.pass(0.2)
      assert.are.same({ "d" }, sorted_keys(store))
      assert.is_nil(store:get "a")
      assert.is_true(store:add("b", 2))
      assert.are.equal(1, store:incr "c")
      store:set("e", 1, { ttl = 1 })
      store:set("e", 1)
      clock.pass(20)
      assert.are.equal(1, store:get "e")
      store:set("far", 1, { ttl = math.huge })
      clock.pass(30)
      assert.are.equal(1, store:get "far")
    end
    local store = open()
    for _, ttl in ipairs { 0, -1, 0 / 0, "1", true } do
      assert.error_matches(function() store:set("a", 1, { ttl = ttl }) end, "'ttl' must be a positive number")
    end
    assert.error_matches(function() store:set("a", 1, { tll = 1 }) end, "unknown option 'tll'")
    assert.has_error(function() store:set("a", 1, 10) end)
    assert.has_error(function() store:cas("a", nil, 1, 10) end)
  end)

  it("iterates over keys while they come and go", function()
    local store = open { size = 1 << 22 }
    for i = 1, 2000 do store:set("stay" .. i, i) end
    local seen, count = {}, 0
    for key in store:keys "stay" do
      assert.is_nil(seen[key])
      seen[key] = true
      count = count + 1
      store:set("new" .. count, 1)
      store:delete("new" .. count - 100)
      assert.is_true(key:find "^stay" ~= nil)
    end
    assert.are.equal(2000, count)
    for key in store:keys() do store:delete(key) end
    assert.are.same({}, sorted_keys(store))
    assert.are.equal(0, store:usage().keys)
    assert.are.same({}, sorted_keys(store, "x"))
  end)

  it("says what it is not called on", function()
    local store = open()
    assert.has_error(function() store.get("a", "b") end)
    assert.has_error(function() store.keys "a" end)
    assert.has_error(function() store.set() end)
    assert.has_error(function() store:keys(1) end)
  end)

  it("keeps the time of a value that is counted or swapped, and gives it another one if it is named", function()
    local clock <close> = form.clock()
    local store = open()
    for _, key in ipairs { "kept", "longer", "endless", "counted" } do store:set(key, 1, { ttl = 10 }) end
    assert.is_true(store:cas("kept", 1, 2))
    assert.is_true(store:cas("longer", 1, 2, { ttl = 100 }))
    assert.is_true(store:cas("endless", 1, 2, {}))
    assert.are.equal(1.5, store:incr("counted", 0.5))
    assert.are.equal(2.5, store:incr("counted", 1, { ttl = 100 }))
    clock.pass(11)
    assert.are.same({ "endless", "longer" }, sorted_keys(store))
    clock.pass(100)
    assert.are.same({ "endless" }, sorted_keys(store))
  end)

  it("counts numbers that have no end, and none", function()
    local store = open()
    store:set("n", 1 / 0)
    assert.are.equal(1 / 0, store:incr "n")
    local sum = store:incr("n", -1 / 0)
    assert.are_not.equal(sum, sum)
    sum = store:get "n"
    assert.are_not.equal(sum, sum)
    assert.is_true(store:cas("n", 0 / 0, -1 / 0))
    assert.are.equal(-1 / 0, store:incr("n", 1.5))
    store:set("n", math.maxinteger)
    assert.are.equal(math.maxinteger + 0.5, store:incr("n", 0.5))
    store:set("n", math.mininteger)
    assert.are.equal(-1, store:incr("n", math.maxinteger))
    assert.are.equal("ERANGE", select(3, store:incr("n", math.mininteger)))
    assert.are.equal(0.1 + 0.2, store:incr("float", 0.1) and store:incr("float", 0.2))
  end)

  it("is one for all that open its name, and another one by another name", function()
    local a, again = open(), form.open_again()
    local b = open()
    a:set("key", "a")
    b:set("key", "b")
    assert.are.equal("a", a:get "key")
    assert.are.equal("a", again:get "key")
    again:delete "key"
    assert.is_nil(a:get "key")
    assert.are.equal("b", b:get "key")
    assert.are.same({ "key" }, sorted_keys(b))
    assert.are.same({}, sorted_keys(a))
  end)

  it("finds keys by a prefix of any bytes", function()
    local store = open()
    local keys = { "*", "a*b", "a[b]c", "a?", "a\\b", "ab", "\0x" }
    for _, key in ipairs(keys) do store:set(key, true) end
    table.sort(keys)
    assert.are.same(keys, sorted_keys(store))
    assert.are.same({ "a*b" }, sorted_keys(store, "a*"))
    assert.are.same({ "a[b]c" }, sorted_keys(store, "a["))
    assert.are.same({ "a?" }, sorted_keys(store, "a?"))
    assert.are.same({ "a\\b" }, sorted_keys(store, "a\\"))
    assert.are.same({ "\0x" }, sorted_keys(store, "\0"))
    assert.are.same({ "*" }, sorted_keys(store, "*"))
  end)

  it("is atomic for tasks that count and swap at once", function()
    local store = open()
    task.group(function(group)
      for _ = 1, 8 do
        group:spawn(function()
          for _ = 1, 25 do
            store:incr "n"
            store:incr("half", 0.5)
            local list, new
            repeat
              list = store:get "list"
              new = { (list and list[1] or 0) + 1 }
            until store:cas("list", list, new)
          end
        end)
      end
    end)
    assert.are.equal(200, store:get "n")
    assert.are.equal(100, store:get "half")
    assert.are.same({ 200 }, store:get "list")
  end)
end
