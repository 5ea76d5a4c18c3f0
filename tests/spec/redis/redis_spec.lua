--- moonlet.redis with a real server: every kind of reply in both protocols, pipelines, transactions, subscriptions,
-- scripts, iterators; and a server that goes away.

local support = dofile "tests/spec/support.lua"
local servers = dofile "tests/spec/redis/server.lua"
local programs = servers.programs
local it = support.limited(it)
local json = require "moonlet.json"
local redis = require "moonlet.redis"
local task = require "moonlet.task"

if not servers.is_installed() then
  describe("moonlet.redis", function() pending "needs redis-server" end)
  return
end

local server

describe("moonlet.redis", function()
  setup(function() server = servers.start() end)
  teardown(servers.stop_all)

  for _, protocol in ipairs { 2, 3 } do
    local function open(db)
      local r = assert(redis.open(server.url .. "/" .. (db or protocol), { protocol = protocol }))
      r:flushdb()
      return r
    end

    describe(("in protocol %d"):format(protocol), function()
      it("gives replies as values of Lua", function()
        local r <close> = open()
        assert.are.equal("PONG", r:ping())
        assert.are.equal("OK", r:set("a", "x\0y\r\n$5\r\n"))
        assert.are.equal("x\0y\r\n$5\r\n", r:get "a")
        assert.are.equal(1, select("#", r:get "a"))
        assert.is_nil(r:get "none")
        assert.are.equal(1, select("#", r:get "none"))
        assert.are.equal(math.mininteger, r:incrby("n", math.mininteger))
        assert.are.equal("", r:echo "")
        local large = ("0123456789"):rep(100000)
        assert.are.equal("OK", r:set("large", large))
        assert.are.equal(large, r:get "large")
        assert.are.same({}, r:lrange("none", 0, -1))
        assert.are.same({ "", redis.null }, r:set("e", "") and r:mget("e", "none"))
        assert.are.equal(json.null, redis.null)
        assert.are.equal(2, r:hset("h", "f", "v", "g", 1.5))
        assert.are.same({ f = "v", g = "1.5" }, r:hgetall "h")
        assert.are.same({}, r:hgetall "none")
        assert.is_string(r:config("GET", "maxmemory").maxmemory)
        assert.are.equal(1, r:zadd("z", 1.25, "m"))
        assert.are.equal("1.25", tostring(r:zscore("z", "m")))
      end)

      it("shows nothing of what is in it", function()
        local r <close> = open()
        assert.is_nil(r[1])
        assert.is_nil(next(r))
      end)

      it("gives refusals as nil, message and the first word", function()
        local r <close> = open()
        r:set("a", "text")
        assert.are.same({ nil, "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE" },
          { r:lpush("a", 1) })
        assert.are.equal("ERR", select(3, r:incr "a"))
        assert.are.equal("ERR", select(3, r:call "NOSUCHCOMMAND"))
        assert.are.equal("PONG", r:call "ping")
      end)

      it("sends a pipeline at once, and gives each its reply", function()
        local r <close> = open()
        local replies = assert(r:pipeline(function(p)
          p:set("a", 1):incr "a"
          p:get "none"
          p:lpush("a", 1)
          p:call("HSET", "h", "f", "v")
          p:hgetall "h"
        end))
        assert.are.equal(6, #replies)
        assert.are.same({ "OK", 2, redis.null }, { replies[1], replies[2], replies[3] })
        assert.are.equal("WRONGTYPE", replies[4].code)
        assert.are.equal(replies[4].message, tostring(replies[4]))
        assert.are.same({ f = "v" }, replies[6])
        assert.are.same({ "2", "PONG" }, r:pipeline { { "GET", "a" }, { "PING" } })
        assert.are.same({}, r:pipeline(function() end))
        assert.has_error(function() r:pipeline(function() error "own" end) end)
        assert.are.equal("PONG", r:ping())
        local many = {}
        for i = 1, 5000 do many[i] = { "RPUSH", "list", ("x"):rep(100) } end
        assert.are.equal(5000, r:pipeline(many)[5000])
      end)

      it("carries out transactions as one", function()
        local r <close> = open()
        assert.are.same({ "OK", 2, "2" }, r:transaction(function(tx)
          tx:set("n", 1)
          tx:incr "n"
          tx:get "n"
        end))
        local replies = r:transaction(function(tx) tx:lpush("n", 1) tx:incr "n" end)
        assert.are.equal("WRONGTYPE", replies[1].code)
        assert.are.equal(3, replies[2])
        local nothing, message, code = r:transaction(function(tx) tx:incr("n", 2, 3) end)
        assert.is_nil(nothing)
        assert.is_string(message)
        assert.are.equal("EXECABORT", code)
        assert.are.equal("3", r:get "n")
        assert.are.same({}, r:transaction(function() end))
      end)

      it("repeats a transaction whose watched key was changed", function()
        local r <close> = open()
        r:set("n", 10)
        local calls = 0
        local replies = r:transaction({ watch = { "n" } }, function(tx, now)
          calls = calls + 1
          local n = now:get "n"
          if calls == 1 then r:incr "n" end
          tx:set("n", n * 2)
        end)
        assert.are.same({ "OK" }, replies)
        assert.are.equal(2, calls)
        assert.are.equal("22", r:get "n")
        assert.are.same({ nil, "the watched keys were changed again and again", "EAGAIN" },
          { r:transaction({ watch = { "n" }, attempts = 2 }, function(tx)
            r:incr "n"
            tx:set("n", 0)
          end) })
        assert.has_error(function()
          r:transaction({ watch = { "n" } }, function() error "own" end)
        end)
        assert.are.same({ "OK" }, r:transaction({ watch = { "n" } }, function(tx) tx:set("n", 0) end))
      end)

      it("hands messages to subscribers, in order", function()
        local r <close> = open()
        local news <close> = assert(r:subscribe("news", "other"))
        local pattern <close> = assert(r:psubscribe "n*")
        for i = 1, 100 do assert.are.equal(2, r:publish("news", i)) end
        r:publish("other", "a\0b")
        for i = 1, 100 do
          assert.are.same({ "news", tostring(i) }, { news:receive(30) })
          assert.are.same({ "news", tostring(i), "n*" }, { pattern:receive(30) })
        end
        assert.are.same({ "other", "a\0b" }, { news:receive(30) })
        assert.are.same({ nil, "timeout", "ETIMEDOUT" }, { news:receive(0.01) })
        news:close()
        for _ in news do error "a message after the end" end
        assert.are.equal("CLOSED", select(3, news:receive()))
        assert.are.equal(1, r:publish("news", 1))
      end)

      it("tells a subscriber that messages were lost, and goes on", function()
        local r <close> = open()
        local news <close> = assert(r:subscribe "news")
        local ids = {}
        for id, line in r:client "LIST":gmatch "id=(%d+) ([^\n]*)" do
          if line:find "cmd=subscribe" then ids[#ids + 1] = id end
        end
        assert.are.equal(1, #ids)
        r:client("KILL", "ID", ids[1])
        assert.are.equal(redis.lost, (news:receive(30)))
        programs.eventually("a new subscription", function() return r:publish("news", "after") == 1 end)
        assert.are.same({ "news", "after" }, { news:receive(30) })
      end)

      it("waits in the server on a connection of its own, and discards it when cancelled", function()
        local r <close> = open()
        local waiting = task.spawn(function() return r:blpop("list", 0) end)
        programs.eventually("a client that waits", function() return r:client "LIST":find "cmd=blpop" end)
        local cancelled = task.spawn({ quiet = true }, function() return r:blpop("other", 0) end)
        programs.eventually("two", function() return r:client "LIST":find "cmd=blpop.*cmd=blpop" end)
        cancelled:cancel()
        cancelled:join()
        r:rpush("list", "item")
        assert.are.same({ true, { "list", "item" } }, { waiting:join() })
        assert.is_nil(r:blpop("none", 0.05))
        programs.eventually("the other has gone", function() return not r:client "LIST":find "cmd=blpop.*cmd=blpop" end)
        assert.are.equal(1, r:rpush("other", "kept"))
        assert.are.same({ "other", "kept" }, r:blpop("other", 1))
      end)

      it("runs scripts by their name, and sends them if the server does not know them", function()
        local r <close> = open()
        local add = r:script "return redis.call('INCRBY', KEYS[1], ARGV[1])"
        for i = 1, 3 do
          assert.are.equal(5 * i, add({ "n" }, 5))
          r:script "FLUSH"
        end
        assert.are.same({ "k", redis.null }, r:script "return {KEYS[1], false}" { "k" })
        assert.is_nil(r:script "return false" {})
        assert.are.equal("ERR", select(3, r:script "return redis.error_reply('ERR own')" {}))
      end)

      it("iterates over keys, hashes and sets", function()
        local r <close> = open()
        r:pipeline(function(p)
          for i = 1, 500 do p:set("key" .. i, i):hset("h", "f" .. i, i):sadd("s", i):zadd("z", i, "m" .. i) end
        end)
        local count = 0
        local function count_all(...)
          count = 0
          for _ in ... do count = count + 1 end
          return count
        end
        assert.are.equal(500, count_all(r:scan { match = "key*", count = 50 }))
        assert.are.equal(1, count_all(r:scan { type = "hash" }))
        assert.are.equal(500, count_all(r:sscan "s"))
        local sum = 0
        for field, value in r:hscan "h" do
          assert.are.equal("f" .. value, field)
          sum = sum + value
        end
        assert.are.equal(500 * 501 // 2, sum)
        for member, score in r:zscan("z", { match = "m7" }) do assert.are.same({ "m7", "7" }, { member, score }) end
        local _, failure = pcall(function() for _ in r:sscan "h" do error "one" end end)
        assert.are.equal("WRONGTYPE", failure.code)
      end)

      it("keeps the replies of many tasks apart, whoever is cancelled", function()
        local r <close> = open()
        task.group(function(group)
          for i = 1, 200 do
            local asking = group:spawn({ quiet = true }, function()
              for k = 1, 5 do assert.are.equal(i .. "." .. k, r:echo(i .. "." .. k)) end
            end)
            if i % 7 == 0 then group:spawn(function() asking:cancel() end) end
          end
        end)
        assert.are.equal("last", r:echo "last")
      end)
    end)
  end

  it("connects over a Unix socket, and with a password", function()
    local other = servers.start "--requirepass 'p@ss word'"
    assert.are.equal("NOAUTH", select(3, redis.open(other.url)))
    assert.are.equal("WRONGPASS", select(3, redis.open(("redis://:wrong@127.0.0.1:%d"):format(other.port))))
    for _, protocol in ipairs { 2, 3 } do
      local r <close> = assert(redis.open(("redis://:p%%40ss%%20word@127.0.0.1:%d/5"):format(other.port),
        { protocol = protocol, name = "spec" }))
      assert.are.equal("OK", r:set("a", 1))
      assert.are.equal("spec", r:client "GETNAME")
    end
    local r <close> = assert(redis.open("unix:" .. server.socket .. "?db=3"))
    assert.are.equal("OK", r:set("a", 1))
    assert.are.equal(("redis (%s)"):format(server.socket), tostring(r))
  end)

  it("connects again after the server has been away, and repeats only what changes nothing", function()
    local other = servers.start()
    local r <close> = assert(redis.open(other.url, { attempts = 20 }))
    r:set("n", 1)
    r:client("KILL", "TYPE", "normal", "SKIPME", "no")
    assert.are.equal("1", r:get "n")
    other.program:kill "KILL"
    other.program:wait()
    assert.are.equal("ECONNREFUSED", select(3, redis.open(other.url, { attempts = 1 })))
    local asking = task.spawn(function() return r:ping() end)
    task.sleep(0.05)
    programs.start(("redis-server --port %d --bind 127.0.0.1 --save '' --appendonly no --dir %s"):format(other.port,
      servers.directory))
    assert.are.same({ true, "PONG" }, { asking:join() })
  end)

  it("refuses what belongs to one connection, and what is no argument", function()
    local r <close> = assert(redis.open(server.url))
    for _, name in ipairs { "multi", "exec", "watch", "select", "auth", "hello", "monitor", "quit", "reset" } do
      assert.error_matches(function() r[name](r) end, "is not for a shared connection")
    end
    assert.has_error(function() r:set("a", nil) end)
    assert.has_error(function() r:set("a", true) end)
    assert.has_error(function() r:set("a", {}) end)
    assert.has_error(function() r:call() end)
    assert.has_error(function() r.get("a") end)
    assert.has_error(function() r:subscribe() end)
    assert.has_error(function() r:subscribe(1) end)
    assert.has_error(function() r:pipeline() end)
    assert.has_error(function() r:pipeline(function(p) p:blpop("a", 0) end) end)
    assert.has_error(function() r:transaction({ wach = {} }, print) end)
    assert.has_error(function() redis.open(server.url, { timeout = 0 }) end)
    assert.has_error(function() redis.open(server.url, { protocol = 4 }) end)
    assert.has_error(function() redis.open() end)
    for _, url in ipairs { "http://x", "redis://h/x", "redis://h:99999", "127.0.0.1", "unix:", "" } do
      local nothing, message, code = redis.open(url)
      assert.is_nil(nothing)
      assert.are.equal("EURL", code, message)
    end
    local _, message = redis.open "redis://:secret@h/x"
    assert.is_nil(message:find "secret")
  end)

  it("is closed for all tasks at once", function()
    local r = assert(redis.open(server.url))
    local waiting = task.spawn(function() return r:blpop("none", 0) end)
    local sub = assert(r:subscribe "news")
    local reading = task.spawn(function() for _ in sub do error "one" end return "ended" end)
    programs.eventually("a client that waits", function() return r:client "LIST":find "cmd=blpop" end)
    r:close()
    assert.are.equal("CLOSED", select(4, waiting:join()))
    assert.are.same({ true, "ended" }, { reading:join() })
    assert.are.same({ nil, "closed", "CLOSED" }, { r:get "a" })
    assert.are.same({ nil, "closed", "CLOSED" }, { r:blpop("a", 0) })
    r:close()
  end)
end)

describe("moonlet.redis in a cluster", function()
  local nodes = {}

  setup(function()
    for i = 1, 3 do
      nodes[i] = servers.start(("--cluster-enabled yes --cluster-config-file n%d.conf"):format(i))
      nodes[i].r = assert(redis.open(nodes[i].url))
    end
    for i, node in ipairs(nodes) do
      local first, last = (i - 1) * 5462, math.min(i * 5462 - 1, 16383)
      -- Epochs that are equal are told apart some time later, and a slot that moved comes back then.
      assert(node.r:cluster("SET-CONFIG-EPOCH", i))
      assert(node.r:cluster("ADDSLOTSRANGE", first, last))
      if i > 1 then assert(nodes[1].r:cluster("MEET", "127.0.0.1", node.port)) end
    end
    programs.eventually("the cluster", function()
      for _, node in ipairs(nodes) do
        if not node.r:cluster "INFO":find "cluster_state:ok" then return false end
        if #node.r:cluster "SLOTS" ~= 3 then return false end
      end
      return true
    end)
  end)

  teardown(function()
    for _, node in ipairs(nodes) do node.r:close() end
    servers.stop_all()
  end)

  for _, is_told in ipairs { true, false } do
    it(is_told and "finds the server of a key" or "learns that it is in one when it is sent on", function()
      local r <close> = assert(redis.open(nodes[2].url, { cluster = is_told }))
      for i = 1, 100 do assert.are.equal("OK", r:set("key" .. i, i)) end
      local replies = assert(r:pipeline(function(p) for i = 1, 100 do p:get("key" .. i) end end))
      for i = 1, 100 do assert.are.equal(tostring(i), replies[i]) end
      local count = 0
      for _ in r:scan { match = "key*" } do count = count + 1 end
      assert.are.equal(100, count)
      assert.are.equal("CROSSSLOT", select(3, r:mget("key1", "key2")))
      assert.are.same({ redis.null, redis.null }, r:mget("{a}1", "{a}2"))
      assert.are.same({ "OK", "x" }, r:transaction(function(tx) tx:set("{t}a", "x") tx:get "{t}a" end))
      assert.are.same({ "OK" }, r:transaction({ watch = { "{t}a" } }, function(tx) tx:set("{t}a", "y") end))
      assert.are.equal("key1", r:script "return KEYS[1]" { "key1" })
      local sub <close> = assert(r:ssubscribe "channel")
      assert.are.equal(1, r:spublish("channel", "text"))
      assert.are.same({ "channel", "text" }, { sub:receive(30) })
      for i = 1, 100 do r:del("key" .. i) end
    end)
  end

  it("follows a slot that moves, with ASK and then with MOVED", function()
    local r <close> = assert(redis.open(nodes[1].url, { cluster = true }))
    local key = "{moving}1"
    local slot = assert(nodes[1].r:cluster("KEYSLOT", key))
    local from = nodes[slot // 5462 + 1]
    local to = nodes[(slot // 5462 + 1) % 3 + 1]
    r:set(key, "old")
    local from_id, to_id = from.r:cluster "MYID", to.r:cluster "MYID"
    to.r:cluster("SETSLOT", slot, "IMPORTING", from_id)
    from.r:cluster("SETSLOT", slot, "MIGRATING", to_id)
    assert.are.equal("old", r:get(key))
    assert.are.equal("OK", r:set("{moving}2", "new"))
    assert.are.equal("new", r:get "{moving}2")
    from.r:migrate("127.0.0.1", to.port, key, 0, 5000)
    assert.are.equal("old", r:get(key))
    for _, node in ipairs { to, from } do assert(node.r:cluster("SETSLOT", slot, "NODE", to_id)) end
    assert.are.equal("old", r:get(key))
    assert.are.same({ "old", "new" }, r:mget(key, "{moving}2"))
  end)
end)
