--- worker.store over a real Redis: the calls of a shared store, for programs of several machines.

local support = dofile "tests/spec/support.lua"
local servers = dofile "tests/spec/redis/server.lua"
local programs = servers.programs
local it = support.limited(it)
local redis = require "moonlet.redis"
local task = require "moonlet.task"
local worker = require "moonlet.worker"

if not servers.is_installed() then
  describe("a store in Redis", function() pending "needs redis-server" end)
  return
end

local server, r -- the server, and a client of it

local opened = 0

local function open()
  opened = opened + 1
  return assert(worker.store { redis = server.url, name = "store " .. opened })
end

-- Lets time pass for the keys of the server: it cannot jump, so what is left for each key gets less.
local function clock()
  local function pass(seconds)
    for key in r:scan() do
      local left = r:pttl(key)
      if left >= 0 then r:pexpire(key, left - math.floor(seconds * 1000)) end -- 0 or less removes it
    end
  end
  return setmetatable({ pass = pass }, { __close = function() end })
end

describe("a store in Redis", function()
  setup(function()
    server = servers.start()
    r = assert(redis.open(server.url))
  end)
  teardown(function()
    r:close()
    servers.stop_all()
  end)

  dofile "tests/spec/worker/store_behaviour.lua" {
    it = it, assert = assert, open = open, clock = clock,
    open_again = function() return assert(worker.store("store " .. opened, { redis = server.url })) end,
  }

  it("keeps integers as Redis counts them, under the store's name and the key", function()
    local store = assert(worker.store("a:b%c", { redis = r }))
    store:incr("hits", 41)
    assert.are.equal("41", r:get "a%3Ab%25c:hits")
    r:incr "a%3Ab%25c:hits"
    assert.are.equal(42, store:get "hits")
    assert.are.equal(1, worker.store({ redis = r }):incr "n")
    assert.are.equal("1", r:get "store:n")
  end)

  it("says that a value is none of its own, or of another version", function()
    local store = assert(worker.store("foreign", { redis = r }))
    for _, text in ipairs { "", "x", "p", "pjunk", "p\2\1\0\0\0t", "fx", "12x", "99999999999999999999", "-" } do
      r:set("foreign:key", text)
      local value, message, code = store:get "key"
      assert.is_nil(value)
      assert.are.equal("EPROTO", code, text)
      assert.match("^the value of 'key' is not one that this version", message)
      assert.are.equal("EPROTO", select(3, store:cas("key", 1, 2)))
    end
    r:del "foreign:key"
    r:lpush("foreign:key", 1)
    assert.are.equal("WRONGTYPE", select(3, store:get "key"))
    assert.are.equal("WRONGTYPE", select(3, store:incr "key"))
    assert.are.equal("WRONGTYPE", select(3, store:incr("key", 0.5)))
    assert.is_true(store:delete "key")
  end)

  it("refuses tables that contain themselves, and functions", function()
    local store = open()
    local circle = {}
    circle.self = circle
    assert.error_matches(function() store:set("a", circle) end, "value.self contains itself")
    assert.error_matches(function() store:add("a", print) end, "bad argument #2 to 'add' %(value is a function%)")
    assert.error_matches(function() store:cas("a", nil, { print }) end, "value%[1%] is a function")
    assert.is_nil(store:get "a")
  end)

  it("is full when the server is, and then still counts, reads and removes", function()
    local store = open()
    store:set("key", "value")
    store:set("n", 1)
    r:config("SET", "maxmemory", 1)
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:set("more", "x") })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:add("more", "x") })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:incr "more" })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:incr("more", 0.5) })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:cas("more", nil, "x") })
    assert.are.same({ nil, "the store is full", "ENOSPC" }, { store:cas("key", "value", "x") })
    assert.are.equal("value", store:get "key")
    assert.are.equal(1, store:usage().size)
    assert.is_true(store:delete "key")
    r:config("SET", "maxmemory", 0)
    assert.is_true(store:set("more", "x"))
    assert.is_nil(store:usage().size)
    assert.is_true(store:usage().used > 1000)
  end)

  it("goes on after the server has lost its connections and its scripts", function()
    local store = open()
    assert.are.equal(1.5, store:incr("n", 1.5))
    r:script "FLUSH"
    assert.are.equal(2.5, store:incr("n", 1))
    for _ = 1, 5 do
      r:client("KILL", "TYPE", "normal", "SKIPME", "yes")
      support.eventually(function() return store:get "n" == 2.5 end)
    end
    assert.is_true(store:cas("n", 2.5, 3))
  end)

  it("says that the server is gone, and finds it again", function()
    local own = servers.start()
    local store = assert(worker.store { redis = redis.open(own.url, { attempts = 1 }) })
    store:set("key", 1)
    own.program:kill "KILL"
    own.program:wait()
    support.eventually(function() return select(3, store:get "key") == "ECONNREFUSED" end) -- the connection has ended
    for name, call in pairs {
      get = function() return store:get "key" end, set = function() return store:set("key", 2) end,
      remove = function() return store:set("key", nil) end, add = function() return store:add("other", 1) end,
      incr = function() return store:incr "key" end, float = function() return store:incr("key", 0.5) end,
      delete = function() return store:delete "key" end, cas = function() return store:cas("key", 1, 2) end,
      usage = function() return store:usage() end,
    } do
      local value, message, code = call()
      assert.is_nil(value, name)
      assert.is_string(message, name)
      assert.are.equal("ECONNREFUSED", code, name)
    end
    local ok, failure = pcall(function() for _ in store:keys() do error "a key" end end)
    assert.is_false(ok)
    assert.are.equal("ECONNREFUSED", failure.code)
    local again = programs.start(("redis-server --port %d --bind 127.0.0.1 --save ''"):format(own.port))
    support.eventually(function() return store:set("key", 3) end)
    assert.are.equal(3, store:get "key")
    again:kill "KILL"
    again:wait()
  end)

  it("says at the start that there is no server", function()
    local port = support.free_port()
    local store, message, code = worker.store { redis = "redis://127.0.0.1:" .. port }
    assert.is_nil(store)
    assert.is_string(message)
    assert.are.equal("ECONNREFUSED", code)
    assert.are.equal("EURL", select(3, worker.store { redis = "http://127.0.0.1" }))
  end)

  it("shares one connection among the stores of an address, also if they are opened at once", function()
    local url = server.url .. "/7"
    task.group(function(group)
      for i = 1, 5 do
        group:spawn(function() assert(worker.store("n" .. i, { redis = url })):incr "x" end)
      end
    end)
    local _, count = r:client "LIST":gsub(" db=7 ", "")
    assert.are.equal(1, count)
  end)

  it("refuses wrong names and options", function()
    for _, name in ipairs { "", ("x"):rep(64), "a\0b", 1, true } do
      assert.has_error(function() worker.store(name, { redis = r }) end)
      assert.has_error(function() worker.store { redis = r, name = name } end)
    end
    for _, where in ipairs { 1, true, {}, io.stdout } do
      assert.has_error(function() worker.store { redis = where } end)
      assert.has_error(function() worker.store("x", { redis = where }) end)
    end
    assert.has_error(function() worker.store { redis = r, size = 65536 } end,
      "bad argument #1 to 'store' (unknown option 'size')")
    assert.has_error(function() worker.store("x", { redis = r, evict = true }) end)
    assert.has_error(function() worker.store {} end)
  end)

  it("is one for workers, and for a program beside them", function()
    local store = assert(worker.store("workers", { redis = server.url }))
    local output, status = support.run(([[
      local task, worker = require "moonlet.task", require "moonlet.worker"
      local store = assert(worker.store("workers", { redis = %q }))
      worker.ready()
      for _ = 1, 200 do
        store:incr "n"
        store:incr("half", 0.5)
        local list, new
        repeat
          list = store:get "list"
          new = { (list and list[1] or 0) + 1 }
        until store:cas("list", list, new)
      end
      if store:add("last", worker.id) then task.sleep(60) end
      worker.stop()
      task.sleep(60)
    ]]):format(server.url), "--workers 2")
    assert.are.equal(0, status, output)
    assert.are.equal(400, store:get "n")
    assert.are.equal(200, store:get "half")
    assert.are.same({ 400 }, store:get "list")
  end)
end)
