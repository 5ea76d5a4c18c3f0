-- A little of everything, for tests/faults/sweep.lua: whatever call fails, each step either works or says why, and
-- at the end nothing is left. Exit status 3: something is.

local task = require "moonlet.task"
local net = require "moonlet.net"
local channel = require "moonlet.channel"
local sync = require "moonlet.sync"
local test = require "moonlet.test"

-- Bytes of the long line that is sent: more than fits into the buffers of a connection, but in the hostile build.
local LONG = tonumber(arg[2] or 300000)

-- Of one call.
local PATIENCE = 0.5

local step = dofile "tests/faults/step.lua" {}

-- What a child of a group does: an error of its own is no reason to end the others.
local function child(group, fn)
  return group:spawn(function() return task.pcall(fn) end)
end

local function answer(listener, has_tls)
  local conn <close> = listener:accept(PATIENCE)
  if not conn then return end
  conn:set_timeout(PATIENCE)
  if has_tls then conn:handshake(PATIENCE) end
  for line in conn:lines("l") do
    if not conn:write("you said ", line, "\n") then return end
  end
end

local function ask(where, tls)
  local conn <close>, message, code = net.connect(where, { tls = tls, timeout = PATIENCE })
  if not conn then return nil, message, code end
  conn:set_timeout(PATIENCE)
  local ok, line
  ok, message, code = conn:write("hello\n")
  if not ok then return nil, message, code end
  line, message, code = conn:read_line()
  if not line then return nil, message, code end
  ok, message, code = conn:write(("x"):rep(LONG), "\n")
  if not ok then return nil, message, code end
  return conn:read_line(400000)
end

local function converse(host, port, options, tls)
  local listener <close>, message, code = net.listen(host, port, options)
  if not listener then return nil, message, code end
  local where
  where, message, code = listener:address()
  if not where then return nil, message, code end
  return task.group(function(group)
    child(group, function() answer(listener, tls) end)
    return ask(where, tls)
  end)
end

-- A name server for which every name is this machine; for IPv6 it says so late.
local function answer_names(socket)
  while true do
    local question, from = socket:receive_from(PATIENCE)
    if not question then return end
    local name_end = question:find("\0", 13, true)
    local kind = string.unpack(">I2", question, name_end + 1)
    if kind == 28 then task.sleep(0.06) end
    local data = kind == 1 and "\127\0\0\1" or ("\0"):rep(15) .. "\1"
    local head = string.pack(">c2I2I2I2I2I2", question:sub(1, 2), 0x8180, 1, 1, 0, 0)
    socket:send_to(head .. question:sub(13, name_end + 4)
      .. "\xc0\x0c" .. string.pack(">I2I2I4s2", kind, 1, 60, data), from)
  end
end

-- Connects to a name whose addresses come one after the other, the first of them in vain.
local function connect_by_name()
  local socket <close>, message, code = net.udp { host = "127.0.0.1", port = 0 }
  if not socket then return nil, message, code end
  local listener <close>, listener_message, listener_code = net.listen("::1", 0)
  if not listener then return nil, listener_message, listener_code end
  local server_address, resolver, address
  server_address, message, code = socket:address()
  if not server_address then return nil, message, code end
  resolver, message, code = net.resolver { servers = { tostring(server_address) }, hosts = false, tries = 1 }
  if not resolver then return nil, message, code end
  local closing <close> = resolver
  address, message, code = listener:address()
  if not address then return nil, message, code end
  local port = address.port
  return task.group(function(group)
    local server = child(group, function() answer_names(socket) end)
    local conn <close>, connect_message, connect_code = net.connect("name.test", port,
      { resolver = resolver, timeout = PATIENCE })
    if server then server:cancel() end
    if not conn then return nil, connect_message, connect_code end
    return resolver:resolve("name.test", { type = "A", timeout = 0.05 }) -- nobody answers
  end)
end

local function everything()
  step("tasks", function()
    local ch, event = channel.new(2), sync.event()
    return task.group(function(group)
      local t, message, code = group:spawn(function()
        for i = 1, 5 do ch:put(i) end
        ch:close()
        event:set()
      end)
      if not t then return nil, message, code end
      for _ in ch:values() do task.yield() end
      return event:wait()
    end)
  end)
  step("generators", function()
    local sum = 0
    for i = 1, 20 do
      for value in coroutine.wrap(function() table.sort({ 3, 1, 2 }, function(a, b)
        coroutine.yield(i)
        return a < b
      end) end) do sum = sum + value end
    end
    return sum
  end)
  step("private stack", function()
    local t, message, code = task.spawn({ stack = "private", quiet = true }, task.sleep, 0.001)
    if not t then return nil, message, code end
    return t:join()
  end)
  step("tcp", function() return converse("127.0.0.1", 0) end)
  step("names", function() return converse("localhost", 0) end)
  -- A name server nobody runs. It once was freed twice when c-ares had no memory for its address.
  step("resolver", function()
    local resolver, message, code = net.resolver { servers = { "127.0.0.1:1" }, tries = 1 }
    if not resolver then return nil, message, code end
    local closing <close> = resolver
    return resolver:resolve("name.test", { timeout = PATIENCE })
  end)
  step("name to connect to", connect_by_name)
  step("unix", function() return converse("unix:@moonlet-scenario-" .. tostring({}):match("0x%x+")) end)
  if arg[1] then
    step("tls", function()
      local server, message, code = net.tls { cert_file = arg[1] .. "/good.pem", key_file = arg[1] .. "/good.key" }
      if not server then return nil, message, code end
      return converse("127.0.0.1", 0, { tls = server }, { ca_file = arg[1] .. "/root.pem" })
    end)
  end
end

local left = test.leaks()
everything()
dofile "tests/faults/end.lua"(left)
