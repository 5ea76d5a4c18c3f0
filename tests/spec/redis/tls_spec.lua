--- moonlet.redis over TLS, and what lies on it, with a real server.

local credentials = dofile "tests/spec/tls_support.lua"
local servers = dofile "tests/spec/redis/server.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local redis = require "moonlet.redis"
local worker = require "moonlet.worker"

local function knows_tls()
  if not servers.is_installed() then return false end
  local pipe = assert(io.popen "ldd \"$(command -v redis-server)\" 2>&1")
  local text = pipe:read "a"
  pipe:close()
  return text:find("libssl", 1, true) ~= nil
end

if not knows_tls() then
  describe("redis over TLS", function() pending "needs redis-server with TLS" end)
  return
end

local url

describe("redis over TLS", function()
  setup(function()
    credentials.make()
    local port = support.free_port()
    local options = "--tls-port %d --tls-cert-file %s --tls-key-file %s --tls-ca-cert-file %s --tls-auth-clients no"
    servers.start(options:format(port, credentials.file "good.pem", credentials.file "good.key",
      credentials.file "root.pem"))
    url = "rediss://127.0.0.1:" .. port
  end)
  teardown(function()
    servers.stop_all()
    credentials.remove()
  end)

  it("asks, subscribes and waits, each over a connection that is verified", function()
    local r <close> = assert(redis.open(url, { tls = credentials.trusts() }))
    assert.are.equal("OK", r:set("a", "b"))
    local large = ("0123456789"):rep(200000)
    assert.are.equal("OK", r:set("large", large))
    assert.are.equal(large, r:get "large")
    local news <close> = assert(r:subscribe "news")
    assert.are.equal(1, r:publish("news", "x"))
    assert.are.same({ "news", "x" }, { news:receive(support.patience) })
    r:lpush("list", 1)
    assert.are.same({ "list", "1" }, r:blpop("list", 5))
  end)

  it("refuses a server that is not the one that is asked for, or that nobody vouches for", function()
    local r, message, code = redis.open(url, { tls = credentials.trusts { server_name = "other.example" } })
    assert.is_nil(r)
    assert.is_string(message)
    assert.are.equal("ETLS", code)
    assert.are.equal("ETLS", select(3, redis.open(url)))
  end)

  it("connects again after it has lost the connection", function()
    local r <close> = assert(redis.open(url, { tls = credentials.trusts() }))
    r:client("KILL", "TYPE", "normal", "SKIPME", "no")
    support.eventually(function() return r:set("a", "c") end)
    assert.are.equal("c", r:get "a")
  end)

  it("carries a store and a bus", function()
    local r <close> = assert(redis.open(url, { tls = credentials.trusts() }))
    local store = assert(worker.store("tls", { redis = r }))
    assert.are.equal(1.5, store:incr("n", 1.5))
    assert.is_true(store:cas("n", 1.5, { "table" }))
    assert.are.same({ "table" }, store:get "n")
    local bus <close> = assert(worker.bus { redis = r, name = "tls" })
    assert.is_true(bus:send(bus.id, "t", "hello"))
    assert.are.equal("hello", bus:receive("t", support.patience))
  end)
end)
