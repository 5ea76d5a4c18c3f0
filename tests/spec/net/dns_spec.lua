-- net.resolve, net.resolver, and how net.connect chooses among addresses, with a name server of our own
-- (tests/support/dns_server.c): the first label of a name says what the server does with it.

local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)
local is_failure = support.is_failure

-- What a call may take beyond its time limit, in seconds, on a busy machine.
local slack = 0.5

local server, port

setup(function()
  local tests = assert(os.getenv("MOONLET_TESTS"), "MOONLET_TESTS names the directory of dns_server")
  server = assert(io.popen("'" .. tests .. "/dns_server' </dev/null", "r"))
  port = server:read("n")
end)

teardown(function()
  local resolver <close> = net.resolver { servers = { "127.0.0.1:" .. port } }
  resolver:resolve("quit.test", { timeout = 1 })
  server:close()
end)

--- A resolver that asks our server, and no hosts file unless told.
local function open(options)
  options = options or {}
  options.servers = options.servers or { "127.0.0.1:" .. port }
  if options.hosts == nil then options.hosts = false end
  return assert(net.resolver(options))
end

local function texts(list, ...)
  if not list then error(..., 2) end
  local result = {}
  for i, value in ipairs(list) do result[i] = tostring(value) end
  return result
end

--- Runs body(path) with a hosts file of these lines.
local function with_hosts(lines, body)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
  local ok, message = pcall(body, path)
  os.remove(path)
  if not ok then error(message, 0) end
end

--- fn(...)'s results, after checking that it took about so long.
local function lasts(seconds, fn, ...)
  local start = task.now()
  local results = table.pack(fn(...))
  local span = task.now() - start
  if span < seconds or span > seconds + slack then
    error(("took %.3f s instead of %.3f s"):format(span, seconds), 2)
  end
  return table.unpack(results, 1, results.n)
end

describe("net.resolve", function()
  it("gives the addresses of a name with the port asked for", function()
    local resolver <close> = open()
    local list = assert(net.resolve("four.test", { resolver = resolver, port = 80 }))
    assert.same({ "192.0.2.1:80" }, texts(list))
    assert.equal("192.0.2.1", list[1].host)
    assert.equal(80, list[1].port)
    assert.equal("inet", list[1].family)
  end)

  it("gives those of both families, or of one", function()
    local resolver <close> = open()
    local both = texts(resolver:resolve("one.test"))
    table.sort(both)
    assert.same({ "192.0.2.1:0", "[2001:db8::1]:0" }, both)
    assert.same({ "[2001:db8::1]:0" }, texts(resolver:resolve("one.test", { family = "inet6" })))
    assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("one.test", { family = "inet" })))
  end)

  it("follows an alias", function()
    local resolver <close> = open()
    assert.same({ "one.test" }, resolver:resolve("alias.test", { type = "CNAME" }))
  end)

  it("takes a number for itself and asks nobody", function()
    assert.same({ "127.0.0.1:5" }, texts(net.resolve("127.0.0.1", { port = 5 })))
    assert.same({ "[::1]:0" }, texts(net.resolve("::1")))
    assert.same({ "127.0.0.1:0" }, texts(net.resolve("127.0.0.1", { type = "A" })))
    is_failure("ENOTFOUND", "no such record", net.resolve("::1", { family = "inet" }))
    is_failure("ENOTFOUND", "no such record", net.resolve("127.0.0.1", { type = "MX" }))
  end)

  it("answers localhost and names under .invalid itself (RFC 6761)", function()
    local resolver <close> = open { servers = { "127.0.0.1:1" } }
    assert.same({ "[::1]:0", "127.0.0.1:0" }, texts(resolver:resolve("a.LocalHost")))
    assert.same({ "127.0.0.1:0" }, texts(resolver:resolve("localhost.", { type = "A" })))
    is_failure("ENOTFOUND", "no such record", resolver:resolve("localhost", { type = "TXT" }))
    is_failure("ENOTFOUND", "host not found", resolver:resolve("a.invalid"))
    is_failure("ENOTFOUND", "host not found", resolver:resolve("invalid.", { type = "MX" }))
    is_failure("ENOTFOUND", "host not found", resolver:resolve(""))
    is_failure("EDNS", "no name server gave an answer",
      resolver:resolve("notlocalhost", { family = "inet" }))
  end)

  it("names the argument and the function when one is wrong", function()
    local function wrong(number, text, ...)
      local message = support.message_of(net.resolve, ...)
      assert.matches("bad argument #" .. number .. " to '[%w.]*resolve'", message)
      assert.matches(text, message, 1, true)
    end
    wrong(1, "string expected")
    wrong(1, "zero byte", "a\0b")
    wrong(2, "table expected", "a", 5)
    wrong(2, "option 'type'", "a", { type = "B" })
    wrong(2, "option 'type'", "a", { type = {} })
    wrong(2, "option 'port'", "a", { port = 65536 })
    wrong(2, "option 'port'", "a", { port = "http" })
    wrong(2, "option 'family'", "a", { family = "unix" })
    wrong(2, "option 'timeout'", "a", { timeout = "soon" })
    wrong(2, "option 'resolver'", "a", { resolver = "a" })
  end)
end)

describe("records", function()
  it("of type SRV come by priority, with all their fields", function()
    local resolver <close> = open()
    local list = assert(resolver:resolve("_service._tcp.test", { type = "SRV" }))
    assert.equal(5, #list)
    assert.same({ priority = 5, weight = 0, port = 4, host = "first.test", ttl = 60 }, list[1])
    assert.same({ 10, 10, 20, 30 },
      { list[2].priority, list[3].priority, list[4].priority, list[5].priority })
    assert.equal(".", list[5].host)
  end)

  it("of type SRV and one priority come in random order, the heavy ones mostly first", function()
    local resolver <close> = open()
    local first = { ["heavy.test"] = 0, ["light.test"] = 0 }
    for _ = 1, 100 do
      local list = assert(resolver:resolve("_service._tcp.test", { type = "SRV" }))
      first[list[2].host] = first[list[2].host] + 1
    end
    assert.equal(100, first["heavy.test"] + first["light.test"])
    assert.is_true(first["heavy.test"] > 80) -- 98 or so: below 81 once in 10^20 runs
  end)

  it("of type MX come by priority", function()
    local resolver <close> = open()
    assert.same({
      { priority = 10, host = "first.test", ttl = 60 },
      { priority = 20, host = "second.test", ttl = 60 },
    }, resolver:resolve("mail.test", { type = "MX" }))
  end)

  it("of type TXT are strings of any bytes, their pieces joined", function()
    local resolver <close> = open()
    local list = assert(resolver:resolve("text.test", { type = "TXT" }))
    table.sort(list)
    assert.same({ "", "a\0b", "hello" }, list)
  end)

  it("of type NS are hosts, of type A and AAAA addresses", function()
    local resolver <close> = open()
    local list = assert(resolver:resolve("zone.test", { type = "NS" }))
    table.sort(list)
    assert.same({ "ns1.test", "ns2.test" }, list)
    assert.same({ "192.0.2.1:7" }, texts(resolver:resolve("one.test", { type = "A", port = 7 })))
    assert.same({ "[2001:db8::1]:0" }, texts(resolver:resolve("one.test", { type = "AAAA" })))
  end)

  it("of type PTR are found for a name and for a numeric address", function()
    local resolver <close> = open()
    local function ptr(name) return resolver:resolve(name, { type = "PTR" })[1] end
    assert.equal("some.test", ptr("some.test"))
    assert.equal("4.3.2.10.in-addr.arpa", ptr("10.2.3.4"))
    assert.equal("8.b.d.0.1.0.0.2.ip6.arpa", ptr("2001:db8::1"):sub(-24))
    assert.equal("1.0.0.0.0.", ptr("2001:db8::1"):sub(1, 10))
  end)

  it("that do not exist are told from names that do not exist", function()
    local resolver <close> = open()
    is_failure("ENOTFOUND", "none.test: host not found", resolver:resolve("none.test"))
    is_failure("ENOTFOUND", "none.test: host not found",
      resolver:resolve("none.test", { type = "TXT" }))
    is_failure("ENOTFOUND", "empty.test: host has no such record", resolver:resolve("empty.test"))
    is_failure("ENOTFOUND", "empty.test: host has no such record",
      resolver:resolve("empty.test", { type = "SRV" }))
    is_failure("ENOTFOUND", "host has no such record",
      resolver:resolve("alias.test", { type = "MX" }))
  end)
end)

describe("a bad name server", function()
  it("that never answers is given up at the time limit", function()
    local resolver <close> = open()
    is_failure("ETIMEDOUT", "silent.test: timeout",
      lasts(0.1, resolver.resolve, resolver, "silent.test", { timeout = 0.1 }))
    is_failure("ETIMEDOUT", "timeout",
      lasts(0.1, resolver.resolve, resolver, "silent.test", { timeout = 0.1, type = "MX" }))
    is_failure("ETIMEDOUT", "silent.test:80: timeout", lasts(0.1, net.connect, "silent.test", 80,
      { timeout = 0.1, resolver = resolver }))
    is_failure("ETIMEDOUT", nil, lasts(0, resolver.resolve, resolver, "silent.test", { timeout = 0 }))
    local value, _, code = lasts(0.1, task.timeout, 0.1, resolver.resolve, resolver, "silent.test")
    assert.is_nil(value)
    assert.equal("EDEADLINE", code)
  end)

  it("that never answers is given up after the last try, which wait twice as long each", function()
    local resolver <close> = open { timeout = 0.05, tries = 3 }
    is_failure("ETIMEDOUT", nil, lasts(0.05 + 0.1 + 0.2, resolver.resolve, resolver, "silent.test"))
  end)

  it("that lost a question is asked again", function()
    local resolver <close> = open { timeout = 0.05 }
    assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("lossy.test", { type = "A" })))
  end)

  it("whose answer has a wrong number is waited for until the right one comes", function()
    local resolver <close> = open()
    for i = 1, 5 do
      assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("wrong-" .. i .. ".test", { family = "inet" })))
    end
    is_failure("ETIMEDOUT", nil, resolver:resolve("wrongest.test", { timeout = 0.1 }))
  end)

  it("that sends garbage, half a record or a failure is told with EDNS, or not listened to", function()
    local resolver <close> = open { timeout = 0.05, tries = 2 }
    for _, kind in ipairs { false, "A", "TXT", "SRV" } do
      local options = { type = kind or nil, timeout = 5 }
      is_failure("EDNS", "broken.test: bad answer", resolver:resolve("broken.test", options))
      is_failure("EDNS", "fail.test: no name server gave an answer", resolver:resolve("fail.test", options))
      is_failure("EDNS", "refuse.test: no name server gave an answer", resolver:resolve("refuse.test", options))
      assert.is_nil((resolver:resolve("garbage.test", options)))
    end
  end)

  it("that cuts its answers short is asked over TCP", function()
    local resolver <close> = open()
    local list = assert(resolver:resolve("big.test", { port = 9 }))
    assert.equal(1000, #list)
    local seen = {}
    for _, address in ipairs(list) do seen[address.host] = true end
    for i = 1, 1000 do assert.is_true(seen[("10.0.%d.%d"):format(i // 256, i % 256)]) end
    assert.equal(1000, #assert(resolver:resolve("big.test", { type = "A" })))
  end)

  it("that cuts its answers short and says nothing over TCP is a failure within the time limit", function()
    local resolver <close> = open { timeout = 0.05, tries = 2 }
    local values = table.pack(resolver:resolve("cut.test", { timeout = 5 }))
    assert.is_nil(values[1])
    assert.is_true(values[3] == "EDNS" or values[3] == "ETIMEDOUT")
  end)

  it("that breaks a connection does no harm to other questions, also if the first server is down", function()
    local resolver <close> = open { servers = { "127.0.0.1:1", "127.0.0.1:" .. port }, tries = 1 }
    local cut = {}
    for i = 1, 20 do
      cut[i] = support.parked(task.spawn(resolver.resolve, resolver, ("cut-%d.test"):format(i), { type = "A" }))
    end
    for i = 1, 4 do
      assert.equal(2, #assert(resolver:resolve(("late-%d.test"):format(i))))
    end
    for i = 1, 20 do
      local result = table.pack(cut[i]:join(support.patience))
      assert.is_nil(result[2])
    end
  end)

  it("does no harm when the next one is good", function()
    local resolver <close> = open { servers = { "127.0.0.1:1", "127.0.0.1:" .. port }, timeout = 0.05 }
    assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("four.test")))
  end)

  it("that is down, as its machine says, costs no time, whatever is asked of it at once", function()
    local down = "127.0.0.1:1"
    local alone <close> = open { servers = { down } }
    for _, family in ipairs { false, "inet" } do
      is_failure("EDNS", "no name server gave an answer",
        lasts(0, alone.resolve, alone, "one.test", { family = family or nil }))
    end
    local both <close> = open { servers = { down, "127.0.0.1:" .. port } }
    lasts(0, function()
      local names = {}
      for i = 1, 50 do names[i] = ("one-%d.test"):format(i) end
      local results = task.map(names, function(name) return #assert(both:resolve(name)) end)
      for i = 1, 50 do assert.equal(2, results[i]) end
    end)
  end)

  it("that gives records of other names is not believed, with and without a type", function()
    local resolver <close> = open()
    is_failure("ENOTFOUND", "host has no such record", resolver:resolve("stranger.test"))
    for _, kind in ipairs { "A", "AAAA", "MX" } do
      is_failure("ENOTFOUND", "host has no such record", resolver:resolve("stranger.test", { type = kind }))
    end
  end)

  it("that sends a question for an answer is waited for until the answer comes", function()
    local resolver <close> = open()
    for _, options in ipairs { { family = "inet" }, { type = "A" } } do
      assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("asking.test", options)))
    end
  end)

  it("whose answer has a code that says nothing of the name has failed", function()
    local resolver <close> = open { tries = 1 }
    is_failure("EDNS", "no name server gave an answer", resolver:resolve("odd.test"))
    is_failure("EDNS", "no name server gave an answer", resolver:resolve("odd.test", { type = "A" }))
  end)

  it("that leads in a circle gives a bad answer", function()
    local resolver <close> = open()
    is_failure("EDNS", "bad answer", resolver:resolve("circle.test", { type = "A" }))
    is_failure("EDNS", "bad answer", resolver:resolve("circle.test"))
  end)
end)

describe("an answer", function()
  it("leads by aliases to the records of another name, in whatever order they stand", function()
    local resolver <close> = open()
    assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("chain.test", { type = "A" })))
    assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("CHAIN.test", { family = "inet" })))
    assert.same({ "middle.TEST" }, resolver:resolve("chain.test", { type = "CNAME" }))
  end)

  it("holds times to live up to 2^31 - 1; larger ones are zero (RFC 2181, section 8)", function()
    local resolver <close> = open()
    local times = {}
    for i, record in ipairs(assert(resolver:resolve("times.test", { type = "MX" }))) do times[i] = record.ttl end
    assert.same({ 0, 60, 2147483647, 0, 0 }, times)
  end)

  it("comes to another port each time, also while questions are under way", function()
    local resolver <close> = open()
    local waiting = support.parked(task.spawn(resolver.resolve, resolver, "silent.test", { type = "A" }))
    local seen, count = {}, 0
    for i = 1, 20 do
      local number = assert(resolver:resolve(("port-%d.test"):format(i), { type = "TXT" }))[1]
      count = count + (seen[number] and 0 or 1)
      seen[number] = true
    end
    waiting:cancel()
    waiting:join(support.patience)
    assert.is_true(count > 10)
  end)

  it("that one family got is given when the time limit comes and the other one is silent", function()
    local resolver <close> = open()
    assert.same({ "127.0.0.1:0" },
      texts(lasts(0.1, resolver.resolve, resolver, "silent6.test", { timeout = 0.1 })))
    assert.same({ "[::1]:0" },
      texts(lasts(0.1, resolver.resolve, resolver, "silent4.test", { timeout = 0.1 })))
  end)
end)

describe("a name that is an address in brackets, or with a scope or a port", function()
  it("is asked of no server, which here would answer it", function()
    local resolver <close> = open()
    for _, name in ipairs { "[::1]", "[127.0.0.1]", "fe80::1%nowhere", "127.0.0.1:80", "[::1]:80", "::1::" } do
      is_failure("ENOTFOUND", "host not found", resolver:resolve(name))
      is_failure("ENOTFOUND", "host not found", resolver:resolve(name, { type = "A" }))
      is_failure("ENOTFOUND", "host not found", net.connect(name, 80, { resolver = resolver }))
    end
    for _, name in ipairs { "[::1]", "[127.0.0.1]", "fe80::1%nowhere", "127.0.0.1:80", "[::1]:80", "[fe80::1%x]" } do
      is_failure("ENOTFOUND", "host not found", resolver:resolve(name, { type = "PTR" }))
    end
    assert.equal(3, #assert(resolver:resolve("text-[1]: a%b.test", { type = "TXT" }))) -- a service's name
  end)

  it("is a number when the scope is there", function()
    assert.same({ "fe80::1%lo" }, { assert(net.resolve("fe80::1%lo"))[1].host })
  end)
end)

describe("names asked at the same time", function()
  it("do not delay one another: a good one beside 100 dead ones", function()
    local resolver <close> = open()
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = support.parked(task.spawn(function()
        return resolver:resolve(("silent-%d.test"):format(i))
      end))
    end
    for _ = 1, 10 do
      assert.same({ "192.0.2.1:0" }, texts(lasts(0, resolver.resolve, resolver, "four.test")))
    end
    for _, t in ipairs(tasks) do
      assert.equal("waiting", t:status())
      t:cancel()
      assert.is_nil((t:join(support.patience)))
    end
  end)

  it("are one question when they are one name", function()
    local resolver <close> = open()
    local function count() return tonumber(resolver:resolve("count.test", { type = "TXT" })[1]) end
    local before = count()
    local function ask() return #resolver:resolve("shared.test", { type = "A" }) end
    local functions = {}
    for i = 1, 50 do functions[i] = ask end
    local results = task.all(functions)
    for i = 1, 50 do assert.equal(1, results[i]) end
    assert.equal(before + 1, count())
    ask()
    assert.equal(before + 2, count())
  end)

  it("find their answers, 2,000 of them", function()
    local resolver <close> = open { timeout = 0.5, tries = 6 }
    local left = 2000
    local tasks = {}
    for i = 1, left do
      tasks[i] = task.spawn(function()
        assert(resolver:resolve(("four-%d.test"):format(i), { family = "inet" }))
        left = left - 1
      end)
    end
    for _, t in ipairs(tasks) do support.finish(t) end
    assert.equal(0, left)
  end)

  it("go on when one of those who ask is cancelled, or gives up", function()
    local resolver <close> = open()
    local first = support.parked(task.spawn(function() return resolver:resolve("late.test") end))
    local second = support.parked(task.spawn(function() return resolver:resolve("late.test") end))
    is_failure("ETIMEDOUT", nil, resolver:resolve("late.test", { timeout = 0.01 }))
    first:cancel()
    local _, _, code = first:join(support.patience)
    assert.equal("ECANCELED", code)
    assert.equal(2, #support.finish(second))
  end)

  it("are forgotten when nobody asks any more, and the answer comes late", function()
    local resolver <close> = open()
    for i = 1, 20 do
      is_failure("ETIMEDOUT", nil, resolver:resolve(("late-%d.test"):format(i), { timeout = 0.001 }))
    end
    assert.equal(2, #resolver:resolve("late-21.test"))
  end)
end)

describe("a resolver", function()
  it("says CLOSED to those who wait in it, and from then on", function()
    local resolver = open()
    assert.equal("net.resolver (open)", tostring(resolver))
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = support.parked(task.spawn(function()
        return resolver:resolve("silent.test", { type = i == 3 and "MX" or nil })
      end))
    end
    assert.is_true(resolver:close())
    assert.is_true(resolver:close())
    for i = 1, 3 do is_failure("CLOSED", "silent.test: closed", support.finish(tasks[i])) end
    is_failure("CLOSED", "closed", resolver:resolve("four.test"))
    is_failure("CLOSED", "closed", net.connect("four.test", 80, { resolver = resolver }))
    assert.equal("net.resolver (closed)", tostring(resolver))
  end)

  it("may be collected and closed while a task is just leaving it", function()
    local t
    do
      local resolver = open()
      t = support.parked(task.spawn(function()
        return net.resolve("silent.test", { resolver = resolver })
      end))
      resolver:close()
    end
    collectgarbage()
    is_failure("CLOSED", nil, support.finish(t))
    collectgarbage()
  end)

  it("takes servers with and without a port", function()
    for _, name in ipairs { "127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:5353" } do
      net.resolver({ servers = { name } }):close()
    end
  end)

  it("names the option that is wrong", function()
    local function wrong(text, options)
      local message = support.message_of(net.resolver, options)
      assert.matches("bad argument #1 to '[%w.]*resolver'", message)
      assert.matches(text, message, 1, true)
    end
    wrong("table expected")
    wrong("option 'servers'", { servers = "127.0.0.1" })
    wrong("option 'servers'", { servers = {} })
    for _, name in ipairs { "somewhere", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "[::1", "[::1]x" } do
      wrong("option 'servers'", { servers = { name } })
    end
    wrong("option 'servers'", { servers = { {} } })
    wrong("option 'timeout'", { timeout = 0 })
    wrong("option 'timeout'", { timeout = "soon" })
    wrong("option 'tries'", { tries = 0 })
    wrong("option 'hosts'", { hosts = true })
  end)
end)

describe("a hosts file", function()
  it("is looked at before any server is asked", function()
    with_hosts({
      "# comment", "", "192.0.2.7 one.test other.test # 192.0.2.8 no.test", "\t2001:db8::7\tOne.Test",
      "nonsense one.test", "192.0.2.9 one.test.more", "192.0.2.10 last.test",
    }, function(path)
      local resolver <close> = open { hosts = path }
      assert.same({ "192.0.2.7:80", "[2001:db8::7]:80" },
        texts(resolver:resolve("one.test", { port = 80 })))
      assert.same({ "192.0.2.7:0" }, texts(resolver:resolve("OTHER.test.")))
      assert.same({ "192.0.2.10:0" }, texts(resolver:resolve("last.test")))
      assert.same({ "[2001:db8::1]:0" }, texts(resolver:resolve("other.test", { family = "inet6" })))
      assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("one.test", { type = "A" })))
      is_failure("ENOTFOUND", nil, resolver:resolve("none.test"))
    end)
  end)

  it("is read again when it has changed, and may be missing", function()
    with_hosts({ "192.0.2.7 four.test" }, function(path)
      local resolver <close> = open { hosts = path }
      assert.same({ "192.0.2.7:0" }, texts(resolver:resolve("four.test")))
      local file <close> = io.open(path, "w")
      file:write("192.0.2.77 four.test")
      file:close()
      assert.same({ "192.0.2.77:0" }, texts(resolver:resolve("four.test")))
      os.remove(path)
      assert.same({ "192.0.2.1:0" }, texts(resolver:resolve("four.test")))
    end)
  end)
end)

describe("a hosts file that could not be opened for want of descriptors", function()
  it("is an error then, and is read the next time", function()
    with_hosts({ "192.0.2.7 db.test" }, function(path)
      local command, script = support.command(([[
        local net = require "moonlet.net"
        local resolver = assert(net.resolver { servers = { "127.0.0.1:1" }, hosts = %q })
        local held = {}
        repeat
          local file = io.open("/dev/null")
          held[#held + 1] = file
        until not file
        print((select(3, net.resolve("db.test", { resolver = resolver }))))
        for _, file in ipairs(held) do file:close() end
        print(assert(net.resolve("db.test", { resolver = resolver }))[1].host)
      ]]):format(path))
      local output = support.shell("ulimit -n 64; " .. command)
      os.remove(script)
      assert.equal("EMFILE\n192.0.2.7\n", output)
    end)
  end)
end)

-- Where there is IPv6: connects to a name within that many seconds.
local function connects_over_ipv6(name, seconds)
  local listener <close> = net.listen("::1", 0)
  if not listener then return end
  local resolver <close> = open()
  local s <close> = assert(lasts(seconds, net.connect, name, listener:address().port, { resolver = resolver }))
  assert.equal("::1", s:peer().host)
end

describe("net.connect to a name with several addresses", function()
  --- Calls body(listener, resolver): the listener is at 127.0.0.1, the last of the addresses of "many".
  local function with_addresses(others, body)
    local lines = {}
    for i, host in ipairs(others) do lines[i] = host .. " many" end
    lines[#lines + 1] = "127.0.0.1 many"
    with_hosts(lines, function(path)
      local resolver <close> = open { hosts = path }
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      body(listener, resolver)
    end)
  end

  --- A listener that answers nobody any more, and what fills it.
  local function black_hole(host, number)
    local listener = assert(net.listen(host, number, { backlog = 1 }))
    local streams = {}
    support.eventually(function()
      local s = net.connect(host, number, { timeout = 0.1 })
      streams[#streams + 1] = s
      return s == nil
    end)
    return setmetatable({}, { __close = function()
      listener:close()
      for _, s in ipairs(streams) do s:close() end
    end })
  end

  it("goes on at once when one refuses", function()
    with_addresses({ "127.0.0.8", "127.0.0.9" }, function(listener, resolver)
      local s <close> = assert(lasts(0, net.connect, "many", listener:address().port,
        { resolver = resolver }))
      assert.is_true(s:peer() == listener:address())
      local accepted <close> = assert(listener:accept(support.patience))
      s:write("hello\n")
      assert.equal("hello", accepted:read_line())
    end)
  end)

  it("goes on after 250 ms when one does not answer", function()
    with_addresses({ "127.0.0.8" }, function(listener, resolver)
      local hole <close> = black_hole("127.0.0.8", listener:address().port)
      local s <close> = assert(lasts(0.25, net.connect, "many", listener:address().port,
        { resolver = resolver }))
      assert.equal("127.0.0.1", s:peer().host)
    end)
  end)

  it("tries the families by turns", function()
    local hole_port
    with_addresses({ "127.0.0.8", "127.0.0.9", "::1" }, function(listener, resolver)
      hole_port = listener:address().port
      local other = net.listen("::1", hole_port)
      if not other then return end -- no IPv6 here
      local first <close> = black_hole("127.0.0.8", hole_port)
      local second <close> = black_hole("127.0.0.9", hole_port)
      local s <close> = assert(lasts(0.25, net.connect, "many", hole_port, { resolver = resolver }))
      assert.equal("::1", s:peer().host)
      other:close()
    end)
  end)

  it("ends all attempts at the time limit, and when it is cancelled", function()
    with_addresses({ "127.0.0.8", "127.0.0.9" }, function(listener, resolver)
      local number = listener:address().port
      listener:close()
      local first <close> = black_hole("127.0.0.8", number)
      local second <close> = black_hole("127.0.0.9", number)
      local third <close> = black_hole("127.0.0.1", number)
      local function connect(timeout)
        return net.connect("many", number, { resolver = resolver, timeout = timeout })
      end
      is_failure("ETIMEDOUT", "many:" .. number .. ": timeout", lasts(0.3, connect, 0.3))
      local t = task.spawn(connect)
      support.until_connecting(number, 3)
      t:cancel()
      local _, _, code = lasts(0, t.join, t, support.patience)
      assert.equal("ECANCELED", code)
      collectgarbage()
    end)
  end)

  it("tells the first failure, or the first that says more than that there is no way", function()
    with_addresses({ "127.0.0.8" }, function(listener, resolver)
      local number = listener:address().port
      listener:close()
      is_failure("ECONNREFUSED", "many:" .. number, net.connect("many", number, { resolver = resolver }))
      is_failure("ECONNREFUSED", nil,
        net.connect("many", number, { resolver = resolver, bind = "127.0.0.1" }))
      is_failure("EADDRNOTAVAIL", nil,
        net.connect("many", number, { resolver = resolver, bind = "192.0.2.1" }))
    end)
    with_addresses({ "::1" }, function(listener, resolver)
      local number = listener:address().port
      listener:close()
      is_failure("ECONNREFUSED", nil, -- not EAFNOSUPPORT, of the first
        net.connect("many", number, { resolver = resolver, bind = "127.0.0.1" }))
    end)
  end)

  it("gets through a thousand dead addresses to a good one", function()
    local others = {}
    for i = 1, 1000 do others[i] = ("127.0.%d.%d"):format(1 + i // 250, 1 + i % 250) end
    with_addresses(others, function(listener, resolver)
      local s <close> = assert(net.connect("many", listener:address().port,
        { resolver = resolver, timeout = support.patience }))
      assert.equal("127.0.0.1", s:peer().host)
    end)
  end)

  it("begins 50 ms after the answer for IPv4 when the one for IPv6 does not come (RFC 8305, section 3)", function()
    local resolver <close> = open()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local s <close> = assert(lasts(0.05, net.connect, "silent6.test", listener:address().port,
      { resolver = resolver }))
    assert.equal("127.0.0.1", s:peer().host)
  end)

  it("begins at once after the answer for IPv6", function()
    connects_over_ipv6("silent4.test", 0)
  end)

  it("tries addresses that come while it connects, when the first have failed", function()
    connects_over_ipv6("late6.test", 0.15)
  end)

  it("ends at the time limit, by a cancellation and by the resolver's end while it waits for more addresses", function()
    local resolver = open()
    local number = support.free_port()
    local function connect(timeout)
      return net.connect("silent6.test", number, { resolver = resolver, timeout = timeout })
    end
    is_failure("ETIMEDOUT", nil, lasts(0.2, connect, 0.2))
    local cancelled = support.parked(task.spawn(connect))
    task.sleep(0.1) -- beyond the 50 ms
    cancelled:cancel()
    assert.equal("ECANCELED", (select(3, cancelled:join(support.patience))))
    local left = support.parked(task.spawn(connect))
    task.sleep(0.1)
    resolver:close()
    is_failure("ECONNREFUSED", nil, support.finish(left))
  end)

  it("never waits when one takes the connection at once", function()
    local listener <close> = assert(net.listen("unix:@" .. os.tmpname()))
    local s <close> = assert(net.connect(listener:address(), { timeout = 0 }))
  end)
end)
