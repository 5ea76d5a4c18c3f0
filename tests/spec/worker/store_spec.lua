--- Shared stores: each call is atomic, also between threads and processes, and a full one says so.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
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

-- The clock of the program, which jumps.
local function clock()
  return setmetatable({ pass = task.sleep }, getmetatable(test.virtual_clock()))
end

describe("a shared store", function()
  dofile "tests/spec/worker/store_behaviour.lua" {
    it = it, assert = assert, open = open, clock = clock,
    open_again = function() return assert(worker.store("store " .. opened)) end,
  }

  it("keeps a table that contains itself", function()
    local store = open()
    local circle = {}
    circle.self = circle
    store:set("circle", circle)
    local copy = store:get "circle"
    assert.are.equal(copy, copy.self)
    assert.are_not.equal(circle, copy)
    assert.error_matches(function() store:set("key", { thread.channel() }) end, "a channel is of this process")
    assert.is_true(store:cas("circle", circle, nil))
    assert.are.equal(0, store:usage().used)
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

end)
