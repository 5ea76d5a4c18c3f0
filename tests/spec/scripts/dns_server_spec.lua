-- scripts/dns_server.lua, asked by dig and by packets that nobody should send.

local support = dofile("tests/spec/support.lua")
local net = require "moonlet.net"
local it = support.limited(it)

local PATIENCE = support.patience
local SCRIPT = (os.getenv "MOONLET_SOURCE" or ".") .. "/scripts/dns_server.lua"

local HOSTS = [[
# a comment
10.0.0.1   one ONE.Example   # the rest is a comment
10.0.0.2   one
::1        one six
2001:db8::5 six
999.1.1.1  nonsense
bad line
]] .. ("10.9.9.9 many\n"):rep(100)

local hosts, output, pid, address

setup(function()
  hosts, output = os.tmpname(), os.tmpname()
  local file = assert(io.open(hosts, "w"))
  file:write(HOSTS)
  file:close()
  local command = ("exec %s %s %s 127.0.0.1 0 >%s 2>&1 & echo $!"):format(os.getenv "MOONLET", SCRIPT, hosts, output)
  local pipe <close> = assert(io.popen(command))
  pid = pipe:read("n")
  local port = support.eventually(function() return support.read_file(output):match("listening on %S+:(%d+)\n") end)
  address = { host = "127.0.0.1", port = tonumber(port) }
end)

teardown(function()
  os.execute("kill " .. pid)
  os.remove(hosts)
  os.remove(output)
end)

local function dig(question)
  local command = "dig @%s -p %d +tries=1 +time=20 +nocookie %s"
  return (support.shell(command:format(address.host, address.port, question)))
end

-- A query with one question for a name given as labels.
local function query(labels, kind, id, flags, class)
  local name = ""
  for _, label in ipairs(labels) do name = name .. string.pack("s1", label) end
  return string.pack(">HHHHHH", id or 7, flags or 0x0100, 1, 0, 0, 0) .. name .. "\0"
    .. string.pack(">HH", kind or 1, class or 1)
end

-- The head of the answer to a packet.
local function ask(packet)
  local client <close> = assert(net.udp { host = "127.0.0.1" })
  assert(client:connect(address.host, address.port))
  assert(client:send(packet))
  local reply = assert(client:receive(PATIENCE))
  local id, flags, questions, answers = string.unpack(">HHHH", reply)
  return { id = id, code = flags & 15, flags = flags, questions = questions, answers = answers, size = #reply }
end

-- The server answers this client's good question next, and so nothing that came before it.
local function stays_silent(packet)
  local client <close> = assert(net.udp { host = "127.0.0.1" })
  assert(client:connect(address.host, address.port))
  assert(client:send(packet))
  assert(client:send(query({ "one" }, 1, 4711)))
  assert.equal(4711, (string.unpack(">H", (assert(client:receive(PATIENCE))))))
end

describe("dns_server", function()
  it("answers dig with all addresses of a name, in any case", function()
    if not support.shell("command -v dig"):find("dig") then pending("dig is not installed") end
    assert.same({ "10.0.0.1", "10.0.0.2" }, (function()
      local list = {}
      for line in dig("+short one"):gmatch("[^\n]+") do list[#list + 1] = line end
      table.sort(list)
      return list
    end)())
    assert.equal("10.0.0.1\n", dig("+short oNe.eXamPle."))
    assert.equal("::1\n2001:db8::5\n", dig("+short six AAAA"))
    local all = dig("one ANY +notcp")
    assert.matches("status: NOERROR", all)
    assert.matches("ANSWER: 3", all)
    assert.matches("flags: qr aa rd", all)
  end)

  it("tells dig what does not exist", function()
    if not support.shell("command -v dig"):find("dig") then pending("dig is not installed") end
    assert.matches("status: NXDOMAIN", dig("three"))
    assert.matches("status: NXDOMAIN", dig("nonsense"))
    assert.matches("status: NXDOMAIN", dig("."))
    local nothing = dig("one MX")
    assert.matches("status: NOERROR", nothing)
    assert.matches("ANSWER: 0", nothing)
    assert.matches("status: REFUSED", dig("one CH"))
  end)

  it("says when not all fits into an answer", function()
    local reply = ask(query { "many" })
    assert.is_true(reply.flags & 0x0200 ~= 0)
    assert.is_true(reply.answers > 0 and reply.size <= 512)
  end)

  it("answers malformed questions with FORMERR, and other requests with NOTIMP", function()
    assert.equal(1, ask(query { ("x"):rep(64) }).code)
    assert.equal(1, ask(query { "\xC0" }:gsub("\1\xC0", "\xC0\x0C")).code)
    assert.equal(1, ask(string.pack(">HHHHHH", 7, 0, 1, 0, 0, 0)).code)
    assert.equal(1, ask(string.pack(">HHHHHH", 7, 0, 2, 0, 0, 0) .. query({ "one" }):sub(13)).code)
    local long = {}
    for i = 1, 100 do long[i] = "xxx" end
    assert.equal(1, ask(query(long)).code)
    assert.equal(4, ask(query({ "one" }, 1, 9, 0x2800)).code)
    assert.equal(9, ask(query({ "one" }, 1, 9, 0x2800)).id)
    local good = query { "one" }
    for size = 12, #good - 1 do assert.equal(1, ask(good:sub(1, size)).code) end
    assert.equal(2, ask(good .. "something behind it").answers)
  end)

  it("says nothing to what is no question", function()
    stays_silent("")
    stays_silent("hello")
    stays_silent(("\0"):rep(11))
    stays_silent(query({ "one" }, 1, 7, 0x8180)) -- an answer, perhaps of a server like this one
  end)

  it("survives two thousand packets of noise", function()
    local client <close> = assert(net.udp { host = "127.0.0.1" })
    assert(client:connect(address.host, address.port))
    local state = 12345
    local function random(n)
      state = (state * 1103515245 + 12345) % 2147483648
      return state // 65536 % n
    end
    for i = 1, 2000 do
      local bytes = {}
      for k = 1, random(60) do bytes[k] = string.char(random(256)) end
      if #bytes > 3 and i % 2 == 0 then bytes[3] = "\1" end -- looks like a query
      client:send(table.concat(bytes))
      if i % 50 == 0 then stays_silent("") end -- it has caught up
    end
    assert.equal(2, ask(query { "one" }).answers)
    assert.equal("listening on 127.0.0.1:" .. address.port .. "\n", support.read_file(output))
  end)

  it("prints its usage, and says what it cannot read or listen on", function()
    local run = os.getenv "MOONLET" .. " " .. SCRIPT
    local function fails(arguments, message)
      local text, status = support.shell(run .. " " .. arguments)
      assert.matches(message, text)
      assert.equal(1, status)
    end
    fails("", "^usage: moonlet dns_server.lua")
    fails(hosts .. " 127.0.0.1 http", "^usage: moonlet dns_server.lua")
    fails("/nowhere/hosts", "^dns_server: cannot read /nowhere/hosts")
    fails(("%s 127.0.0.1 %d"):format(hosts, address.port), "^dns_server: cannot listen on 127.0.0.1:%d+: Address")
  end)
end)
