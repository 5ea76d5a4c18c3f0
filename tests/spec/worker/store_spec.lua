--- Shared stores: each call is atomic, also between threads and processes, and a full one says so.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local json = require "moonlet.json"
local task = require "moonlet.task"
local test = require "moonlet.test"
local thread = require "moonlet.thread"
local worker = require "moonlet.worker"

local opened = 0

-- A store of its own for each test.
local function open(opts)
  opened = opened + 1
  return assert(worker.store("store " .. opened, opts or { size = 1 << 16 }))
end

local function sorted_keys(store, prefix)
  local list = {}
  for key in store:keys(prefix) do list[#list + 1] = key end
  table.sort(list)
  return list
end

describe("a shared store", function()
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
    local circle = {}
    circle.self = circle
    store:set("circle", circle)
    local copy = store:get "circle"
    assert.are.equal(copy, copy.self)
    assert.are_not.equal(circle, copy)
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
    assert.has_error(function() store:set(1, 1) end)
    assert.has_error(function() store:incr {} end)
  end)

  it("refuses what cannot be copied, and keeps what was there", function()
    local store = open()
    store:set("key", "old")
    assert.error_matches(function() store:set("key", coroutine.create(print)) end, "value is a coroutine")
    assert.error_matches(function() store:set("key", { a = { thread.channel() } }) end, "a channel is of this process")
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
    assert.are.equal(0, store:usage().used)
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
      local clock <close> = test.virtual_clock()
      local store = open()
      store:set("a", 1, { ttl = 10 })
      store:add("b", 1, { ttl = 10 })
      store:incr("c", 1, { ttl = 10 })
      store:incr("c", 1, { ttl = 1000 })
      store:set("d", 1)
      task.sleep(9.9)
      assert.are.same({ "a", "b", "c", "d" }, sorted_keys(store))
      assert.are.equal(2, store:get "c")
      assert.is_true(store:cas("a", 1, 2))
      task.sleep(0.2)
      assert.are.same({ "d" }, sorted_keys(store))
      assert.is_nil(store:get "a")
      assert.is_true(store:add("b", 2))
      assert.are.equal(1, store:incr "c")
      store:set("e", 1, { ttl = 1 })
      store:set("e", 1)
      task.sleep(20)
      assert.are.equal(1, store:get "e")
      store:set("far", 1, { ttl = math.huge })
      task.sleep(30)
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

  it("refuses a write when it is full, and goes on when something is deleted", function()
    local store = open()
    local count = 0
    while store:set("key" .. count, ("x"):rep(1000)) do count = count + 1 end
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:set("more", ("x"):rep(1000)) })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:add("more", ("x"):rep(1000)) })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:cas("more", nil, ("x"):rep(1000)) })
    assert.are.equal(("x"):rep(1000), store:get "key0")
    store:delete "key0"
    assert.is_true(store:set("more", ("x"):rep(1000)))
    while store:set("count" .. count, 0) do count = count + 1 end
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:incr "another" })
    assert.are.equal(1, store:incr("count" .. count - 1))
  end)

  it("lets what is unused go if it evicts", function()
    local store = open { size = 1 << 16, evict = true }
    store:set("used", "value")
    for i = 1, 1000 do
      assert.is_true(store:set("key" .. i, ("x"):rep(500)))
      assert.are.equal("value", store:get "used")
    end
    assert.is_nil(store:get "key1")
    assert.are.equal(500, #store:get "key1000")
  end)

  it("is one by its name, and told apart by its options", function()
    local store = open { size = 1 << 17 }
    local name = "store " .. opened
    store:set("a", 1)
    assert.are.equal(1, worker.store(name):get "a")
    assert.are.equal(1, worker.store(name, { size = 1 << 17, evict = false }):get "a")
    assert.are.same({ nil, ("store '%s' has size=131072, not 65536"):format(name), "EINVAL" },
      { worker.store(name, { size = 1 << 16 }) })
    assert.are.same({ nil, ("store '%s' has evict=false, not true"):format(name), "EINVAL" },
      { worker.store(name, { evict = true }) })
    for _, size in ipairs { 65535, 0, -1, 1.5, "65536", 1 << 41 } do
      assert.has_error(function() worker.store("x", { size = size }) end)
    end
    for _, bad in ipairs { "", ("x"):rep(64), "a\0b" } do
      assert.has_error(function() worker.store(bad) end)
    end
    assert.has_error(function() worker.store("x", { sizes = 1 }) end)
    assert.has_error(function() worker.store("x", { evict = 1 }) end)
    assert.has_error(function() worker.store("x", 65536) end)
    assert.has_error(function() worker.store() end)
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

  it("is shared with the threads of the process, and each call is atomic", function()
    local store = open()
    local name = "store " .. opened
    local function work(store_name)
      local shared = require "moonlet.worker".store(store_name)
      for i = 1, 20000 do
        shared:incr "n"
        if i % 10 == 0 then
          repeat
            local list = shared:get "list" or {}
            local before = list[1] and { table.unpack(list) } or nil
            list[1] = (list[1] or 0) + 1
          until shared:cas("list", before, list)
        end
      end
    end
    local a, b = thread.spawn(work, name), thread.spawn(work, name)
    assert.is_true(a:join())
    assert.is_true(b:join())
    assert.are.equal(40000, store:get "n")
    assert.are.same({ 4000 }, store:get "list")
  end)

  it("is one for all workers of a master, whichever asks first", function()
    local output, status = support.run([[
      local task, worker = require "moonlet.task", require "moonlet.worker"
      local store = assert(worker.store("shared", { size = 1 << 17 }))
      worker.ready()
      for i = 1, 5000 do store:incr "n" end
      store:set("from " .. worker.id, { worker.id })
      store:incr "done"
      while store:get "done" < 2 do task.sleep(0.01) end
      local _, message, code = worker.store("shared", { size = 1 << 18 })
      if worker.id == 1 then
        print(store:get "n", store:get("from 2")[1], message, code)
        worker.stop()
      end
      task.sleep(30)
    ]], "--workers 2")
    assert.match("10000\t2\tstore 'shared' has size=131072, not 262144\tEINVAL", output)
    assert.are.equal(0, status)
  end)

  it("says what it is not called on", function()
    local store = open()
    assert.has_error(function() store.get("a", "b") end)
    assert.has_error(function() store.keys "a" end)
    assert.has_error(function() store:keys(1) end)
  end)
end)
