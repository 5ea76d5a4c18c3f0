-- What can be shown in a network of one's own only: /etc/resolv.conf with a name server on port 53, link-local
-- addresses, a range of few ports. Each test runs a script in namespaces that it makes, and that end with it.

local support = dofile("tests/spec/support.lua")
local it = support.limited(it)

local can_make = {}

--- The command that runs a shell command in namespaces of its own: as root, or as a user who plays root there.
local function command_of()
  for _, flags in ipairs { "-nm", "-rnm" } do
    if can_make[flags] == nil then
      can_make[flags] = select(2, support.shell(("unshare %s sh -c 'ip link set lo up'"):format(flags))) == 0
    end
    if can_make[flags] then return "unshare " .. flags end
  end
  pending("no namespaces can be made here")
end

local prelude = [[
local net, task = require "moonlet.net", require "moonlet.task"

local function rr(kind, data) return "\xc0\x0c" .. string.pack(">I2I2I4s2", kind, 1, 60, data) end

-- A name server: answer(name, kind) -> code, records. What it was asked stands in `asked`.
local function serve(host, answer)
  local asked, socket = {}, assert(net.udp { host = host, port = 53 })
  task.spawn({ daemon = true }, function()
    while true do
      local data, from = socket:receive_from()
      local at, labels = 13, {}
      while data:byte(at) > 0 do
        labels[#labels + 1] = data:sub(at + 1, at + data:byte(at))
        at = at + 1 + data:byte(at)
      end
      local name, kind = table.concat(labels, "."), string.unpack(">I2", data, at + 1)
      asked[#asked + 1] = name .. "/" .. kind
      local code, records = answer(name, kind)
      if code then
        socket:send_to(string.pack(">I2I2I2I2I2I2", string.unpack(">I2", data), 0x8180 | code, 1, #records, 0, 0)
          .. data:sub(13, at + 4) .. table.concat(records), from)
      end
    end
  end)
  return asked
end

-- What a server says of names: those of the table have the address 10.0.0.N, or a code; others do not exist.
local function knows(names)
  return function(name, kind)
    local what = names[name] or "3"
    if type(what) == "string" then return tonumber(what), {} end
    return 0, kind == 1 and { rr(1, string.char(10, 0, 0, what)) } or {}
  end
end

local function show(list, _, code) print(list and list[1].host or code) end
]]

--- The output of a script, run after shell commands; what it says as /etc/resolv.conf.
local function run(options, source)
  local in_namespaces = command_of()
  local command, script = support.command(prelude .. source)
  local conf, shell = os.tmpname(), os.tmpname()
  local file <close> = assert(io.open(conf, "w"))
  file:write(options.conf or "")
  file:close()
  local lines <close> = assert(io.open(shell, "w"))
  lines:write("set -e\nip link set lo up\n", "mount --bind ", conf, " /etc/resolv.conf\n", options.before or "",
    "\nexec ", command, " ", conf, "\n")
  lines:close()
  local output = support.shell(("ulimit -n %d; %s sh %s"):format(options.descriptors or 1024, in_namespaces, shell))
  for _, path in ipairs { conf, shell, script } do os.remove(path) end
  return output
end

describe("the search list of /etc/resolv.conf", function()
  it("may be the root alone: then a short name is asked as it is, once", function()
    assert.equal("10.0.0.5\ndb/1 db/28\n", run({ conf = "nameserver 127.0.0.1\nsearch .\n" }, [[
      local asked = serve("127.0.0.1", knows { db = 5 })
      show(net.resolve "db")
      print(table.concat(asked, " "))
    ]]))
  end)

  it("is gone through in its order, on behind a server's failure", function()
    assert.equal("10.0.0.7\ndb.one.test/1 db.two.test/1 db.three.test/1\nEDNS\n10.0.0.9\n", run({
      conf = "nameserver 127.0.0.1\nsearch one.test two.test three.test\n",
    }, [[
      local asked = serve("127.0.0.1", knows { ["db.two.test"] = "2", ["db.three.test"] = 7, ["www.test"] = 9,
        ["no.two.test"] = "2" })
      show(net.resolve("db", { family = "inet" }))
      local once = {}
      for i, name in ipairs(asked) do -- after a failure the server is asked again
        if name ~= asked[i - 1] then once[#once + 1] = name end
      end
      print(table.concat(once, " "))
      show(net.resolve("no", { type = "A" })) -- in one of the domains it might exist
      show(net.resolve("www.test", { type = "A" })) -- has a dot: first as it is
    ]]))
  end)

  it("is not for names that end in a dot, nor for servers that were given", function()
    assert.equal("ENOTFOUND\nENOTFOUND\ndb/1 db/1\n", run({ conf = "nameserver 127.0.0.1\nsearch one.test\n" }, [[
      local asked = serve("127.0.0.1", knows { ["db.one.test"] = 7 })
      show(net.resolve("db.", { type = "A" }))
      local resolver <close> = net.resolver { servers = { "127.0.0.1" } }
      show(net.resolve("db", { type = "A", resolver = resolver }))
      print(table.concat(asked, " "))
    ]]))
  end)

  it("is followed when the file changes", function()
    assert.equal("10.0.0.7\n10.0.0.8\n", run({ conf = "nameserver 127.0.0.1\nsearch one.test\n" }, [[
      serve("127.0.0.1", knows { ["db.one.test"] = 7 })
      serve("127.0.0.2", knows { ["db.two.test"] = 8 })
      show(net.resolve "db")
      local file <close> = io.open(arg[1], "w")
      file:write("nameserver 127.0.0.2\nsearch two.test\n")
      file:close()
      show(net.resolve "db")
    ]]))
  end)
end)

describe("the options of /etc/resolv.conf", function()
  it("timeout and attempts say how long a server is waited for", function()
    assert.equal("ETIMEDOUT\n1 second\n1 question\n", run({
      conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    }, [[
      local asked = serve("127.0.0.1", function() end)
      local start = task.now()
      show(net.resolve("db.test.", { type = "A" }))
      print(math.floor(task.now() - start) .. " second")
      print(#asked .. " question")
    ]]))
  end)

  it("rotate spreads questions over the servers, without it the first is asked", function()
    for option, expected in pairs { rotate = "4 4\n", ["ndots:1"] = "8 0\n" } do
      assert.equal(expected, (run({
        conf = "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions " .. option .. "\n",
      }, [[
        local first = serve("127.0.0.1", knows { ["db.test"] = 5 })
        local second = serve("127.0.0.2", knows { ["db.test"] = 5 })
        for _ = 1, 8 do assert(net.resolve("db.test.", { type = "A" })) end
        print(#first, #second)
      ]]):gsub("\t", " ")))
    end
  end)
end)

describe("/etc/resolv.conf", function()
  it("that could not be opened for want of descriptors is read the next time", function()
    assert.equal("EMFILE\n10.0.0.5\n", run({ conf = "nameserver 127.0.0.3\n", descriptors = 64 }, [[
      serve("127.0.0.3", knows { ["db.test"] = 5 })
      local held = {}
      repeat
        local file = io.open("/dev/null")
        held[#held + 1] = file
      until not file
      show(net.resolve("db.test", { type = "A" }))
      for _, file in ipairs(held) do file:close() end
      show(net.resolve("db.test", { type = "A" }))
    ]]))
  end)
end)

describe("a name server at a link-local address", function()
  it("is asked through its interface, given as an option or in the file", function()
    local before = [[
ip link add veth0 type veth peer name veth1
ip link set veth0 up
ip link set veth1 up
ip -6 addr add fe80::53/64 dev veth0 nodad]]
    assert.equal("10.0.0.5\n10.0.0.5\n", run({ before = before, conf = "nameserver fe80::53%veth0\n" }, [[
      serve("fe80::53%veth0", knows { ["db.test"] = 5 })
      local resolver <close> = net.resolver { servers = { "fe80::53%veth0" }, tries = 1 }
      show(net.resolve("db.test", { type = "A", resolver = resolver }))
      show(net.resolve("db.test", { type = "A" }))
    ]]))
  end)
end)

describe("the addresses of a name", function()
  it("come in the order of RFC 6724: those without a way to them last, IPv6 before IPv4", function()
    assert.equal("::1 127.0.0.1 2001:db8::1 192.0.2.1\n", run({ conf = "nameserver 127.0.0.1\n" }, [[
      serve("127.0.0.1", function(_, kind)
        if kind == 1 then return 0, { rr(1, "\xc0\0\2\1"), rr(1, "\x7f\0\0\1") } end
        return 0, { rr(28, "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\1"), rr(28, ("\0"):rep(15) .. "\1") }
      end)
      local hosts = {}
      for i, address in ipairs(assert(net.resolve "db.test")) do hosts[i] = address.host end
      print(table.concat(hosts, " "))
    ]]))
  end)
end)

-- A range of so few ports that each is met soon.
local function ports(first, last)
  return ("echo '%d %d' >/proc/sys/net/ipv4/ip_local_port_range"):format(first, last)
end

describe("net.connect where nobody listens", function()
  it("is refused each time, although its own port may be the one it connects to", function()
    for _, host in ipairs { "127.0.0.1", "::1" } do
      assert.equal("ECONNREFUSED\n", run({ before = ports(40000, 40003) }, ([[
        local first
        for _ = 1, 100 do
          local s, _, code = net.connect(%q, 40000, { timeout = 5 })
          assert(not s, s)
          first = first or code
          assert(code == first, code)
        end
        print(first)
        assert(net.listen(%q, 40000)):close()
      ]]):format(host, host)))
    end
  end)
end)

describe("net.connect with bind and no port", function()
  it("may use one port for several destinations, as without bind", function()
    for _, hosts in ipairs { { "127.0.0.1", "127.0.0.2" }, { "::1", "::1" } } do
      assert.equal("32\n", run({ before = ports(40000, 40019) }, ([[
        local listeners, streams = {}, {}
        for i = 0, 3 do listeners[i] = assert(net.listen(%q, 5000 + i)) end
        for i = 1, 32 do
          streams[i] = assert(net.connect(%q, 5000 + i %% 4, { bind = %q, timeout = 5 }))
        end
        print(#streams)
        for _, stream in ipairs(streams) do stream:close() end
        for i = 0, 3 do listeners[i]:close() end
      ]]):format(hosts[1], hosts[1], hosts[2])))
    end
  end)
end)
