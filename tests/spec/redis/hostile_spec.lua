--- moonlet.redis with a server that does what no server should: replies one byte at a time, cut off, of wrong kinds,
-- of huge lengths; and one that says nothing.

local support = dofile "tests/spec/support.lua"
local servers = dofile "tests/spec/redis/server.lua"
local it = support.limited(it)
local redis = require "moonlet.redis"
local task = require "moonlet.task"

-- What a client gets from a server that answers the first command with these bytes.
local function answer(bytes, ends)
  local listener <close>, url = servers.play(function(conn)
    servers.request(conn)
    conn:write(bytes)
    if ends then return end
    while servers.request(conn) do conn:write "+more\r\n" end
  end)
  local r <close> = servers.client(url, { timeout = 20 })
  return table.pack(r:call "ANY")
end

local values = {
  { "+OK\r\n", "OK" }, { "+\r\n", "" }, { ":0\r\n", 0 }, { ":-9223372036854775808\r\n", math.mininteger },
  { ":+5\r\n", 5 }, { "$0\r\n\r\n", "" }, { "$2\r\n\r\n\r\n", "\r\n" }, { "*0\r\n", {} },
  { "*2\r\n$-1\r\n*-1\r\n", { redis.null, redis.null } }, { "_\r\n", nil }, { "$-1\r\n", nil }, { "*-1\r\n", nil },
  { "#t\r\n", true }, { "#f\r\n", false }, { "*2\r\n#f\r\n#t\r\n", { false, true } }, { ",1.5\r\n", 1.5 },
  { ",inf\r\n", math.huge }, { ",-inf\r\n", -math.huge }, { ",1e3\r\n", 1000.0 },
  { "(12345678901234567890123\r\n", "12345678901234567890123" }, { "=8\r\ntxt:text\r\n", "text" },
  { "%1\r\n+a\r\n*1\r\n:1\r\n", { a = { 1 } } }, { "~2\r\n+a\r\n+b\r\n", { "a", "b" } },
  { "|1\r\n+ttl\r\n:3600\r\n+text\r\n", "text" }, { "%1\r\n+a\r\n#f\r\n", { a = false } },
  { "*1\r\n|1\r\n+x\r\n+y\r\n:7\r\n", { 7 } },
}

local bad = { "", "\r\n", "x\r\n", ":\r\n", ":x\r\n", ":1.5\r\n", ":9223372036854775808\r\n", ":0x10\r\n", ": 1\r\n",
  "$\r\n", "$x\r\n", "$-2\r\n", "$99999999999999999999\r\n", "$600000000\r\n", "$3\r\nabcd\r\n", "*-2\r\n", "*x\r\n",
  "#\r\n", "#x\r\n", "#true\r\n", ",\r\n", ",x\r\n", ",0x10\r\n", "(\r\n", "(x\r\n", "(1.5\r\n", "=3\r\nabc\r\n",
  "=-1\r\n", "%-5\r\n", ("*1\r\n"):rep(40) .. ":1\r\n", ("%1\r\n+a\r\n"):rep(40) .. ":1\r\n",
  ("|1\r\n+a\r\n+b\r\n"):rep(40) .. ":1\r\n", "HTTP/1.1 400 Bad Request\r\n", "*1\r\n>1\r\n+x\r\n",
  "%1\r\n,nan\r\n:1\r\n", "!3\r\nERRx\r\n", "+" .. ("x"):rep(100000) .. "\r\n" }

describe("moonlet.redis", function()
  it("reads every kind of reply", function()
    for _, case in ipairs(values) do
      local got = answer(case[1])
      assert.are.same({ case[2], n = 1 }, got, case[1])
      assert.are.equal(math.type(case[2]), math.type(got[1]))
    end
    assert.are.same({ nil, "WRONG text", "WRONG", n = 3 }, answer "-WRONG text\r\n")
    assert.are.same({ nil, "SYNTAX a\r\nb", "SYNTAX", n = 3 }, answer "!11\r\nSYNTAX a\r\nb\r\n")
    assert.are.same({ nil, "", "ERR", n = 3 }, answer "-\r\n")
  end)

  it("reads a reply that comes one byte at a time", function()
    local bytes = "*4\r\n$3\r\na\r\n\r\n:12\r\n%1\r\n+k\r\n$-1\r\n-ERR no\r\n"
    local listener <close>, url = servers.play(function(conn)
      servers.request(conn)
      for i = 1, #bytes do
        conn:write(bytes:sub(i, i))
        task.yield()
      end
      servers.request(conn)
    end)
    local r <close> = servers.client(url)
    local reply = r:call "ANY"
    assert.are.same({ "a\r\n", 12, { k = redis.null } }, { reply[1], reply[2], reply[3] })
    assert.are.equal("ERR", reply[4].code)
  end)

  it("gives up a connection whose bytes are no reply", function()
    for _, bytes in ipairs(bad) do
      local got = answer(bytes, bytes == "")
      assert.is_nil(got[1], bytes:sub(1, 50))
      assert.is_string(got[3], bytes:sub(1, 50))
      assert.are_not.equal("ETIMEDOUT", got[3], bytes:sub(1, 50))
    end
  end)

  it("survives a reply that is cut off at each byte", function()
    local whole = "*3\r\n$3\r\nabc\r\n:12\r\n%1\r\n+k\r\n,1.5\r\n"
    for length = 0, #whole - 1 do
      local got = answer(whole:sub(1, length), true)
      assert.is_nil(got[1])
      assert.is_string(got[3])
    end
  end)

  it("does not believe a huge count before the items come", function()
    for _, bytes in ipairs { "*2000000000\r\n:1\r\n", "%2000000000\r\n+a\r\n+b\r\n", "$500000000\r\nabc",
      "*9223372036854775807\r\n" } do
      local before = collectgarbage "count"
      assert.is_nil(answer(bytes, true)[1])
      assert.is_true(collectgarbage "count" - before < 20000)
    end
  end)

  it("gives up after a reply to nothing", function()
    local listener <close>, url = servers.play(function(conn, n)
      servers.request(conn)
      conn:write(n == 1 and "+one\r\n+two\r\n" or "+three\r\n")
      servers.request(conn)
    end)
    local r <close> = servers.client(url, { attempts = 3 })
    assert.are.equal("one", r:get "a")
    local reply = r:get "a"
    assert.is_true(reply == "three" or reply == nil)
  end)

  it("sends again what changes nothing, and nothing else", function()
    local asked = {}
    local listener <close>, url = servers.play(function(conn, n)
      local request = servers.request(conn)
      if not request then return end
      asked[#asked + 1] = request[1] .. n
      if n < 3 then return end
      conn:write "+OK\r\n"
      servers.request(conn)
    end)
    local r <close> = servers.client(url, { attempts = 3 })
    local reply, message, code = r:incr "n"
    assert.is_nil(reply)
    assert.match("the connection was lost before the reply", message)
    assert.is_string(code)
    assert.are.same({ "INCR1" }, asked)
    assert.are.equal("OK", r:get "n")
    assert.are.same({ "INCR1", "GET2", "GET3" }, asked)
  end)

  it("sends anything again if asked to", function()
    local listener <close>, url = servers.play(function(conn, n)
      if servers.request(conn) and n > 1 then conn:write ":1\r\n" servers.request(conn) end
    end)
    local r <close> = servers.client(url, { attempts = 3, retry = true })
    assert.are.equal(1, r:incr "n")
  end)

  it("waits for a reply no longer than its time limit, and then for a new connection", function()
    local listener <close>, url = servers.play(function(conn, n)
      servers.request(conn)
      if n > 1 then conn:write "+OK\r\n" end
      servers.request(conn)
    end)
    local r <close> = servers.client(url, { timeout = 0.1 })
    assert.are.equal("ETIMEDOUT", select(3, r:get "a"))
    support.eventually(function() return r:get "a" == "OK" end) -- a busy machine may be late again
  end)

  it("gives a late reply to nobody else", function()
    local event = require "moonlet.sync".event()
    local listener <close>, url = servers.play(function(conn)
      servers.request(conn)
      event:wait()
      conn:write "+first\r\n"
      servers.request(conn)
      conn:write "+second\r\n"
      servers.request(conn)
    end)
    local r <close> = servers.client(url)
    local first = task.spawn({ quiet = true }, function() return r:get "a" end)
    support.parked(first)
    first:cancel()
    first:join()
    local second = task.spawn(function() return r:get "b" end)
    support.parked(second)
    event:set()
    assert.are.same({ true, "second" }, { second:join() })
  end)

  it("speaks the older protocol to a server that knows no other", function()
    local hello
    local listener <close>, url = servers.play(function(conn)
      hello = servers.request(conn)
      conn:write "-NOPROTO unsupported protocol version\r\n"
      assert.are.same({ "AUTH", "secret" }, servers.request(conn))
      conn:write "+OK\r\n"
      assert.are.same({ "SELECT", "7" }, servers.request(conn))
      conn:write "+OK\r\n"
      servers.request(conn)
      conn:write "*2\r\n+f\r\n+v\r\n"
      servers.request(conn)
    end, { raw = true })
    local r <close> = servers.client((url:gsub("//", "//:secret@")) .. "/7")
    assert.are.same({ "HELLO", "3", "AUTH", "default", "secret" }, hello)
    assert.are.same({ f = "v" }, r:hgetall "h")
  end)

  it("follows redirections only so far", function()
    local asked = 0
    local listener <close>, url = servers.play(function(conn)
      while true do
        local request = servers.request(conn)
        if not request then return end
        asked = asked + (request[1] == "GET" and 1 or 0)
        local is_slots = request[1] == "CLUSTER"
        conn:write(is_slots and "*0\r\n" or ("-MOVED 1 127.0.0.1:%d\r\n"):format(conn:address().port))
      end
    end)
    local r <close> = servers.client(url)
    assert.are.equal("MOVED", select(3, r:get "a"))
    assert.is_true(asked < 20)
  end)

  it("takes a redirection that leads nowhere for a refusal", function()
    for _, text in ipairs { "MOVED", "MOVED x", "MOVED 1", "MOVED 1 :", "ASK", "ASK 1 x" } do
      assert.are.same({ nil, text, text:match "%u+", n = 3 }, answer("-" .. text .. "\r\n"))
    end
  end)
end)
