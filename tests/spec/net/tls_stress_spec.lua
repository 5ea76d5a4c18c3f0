-- Random conversations over TLS: several tasks write, read, time out, are cancelled, end and close at any moment. What
-- arrives is what was written; a clean end comes after all of it or not at all; nobody waits for ever.
--
-- TLS_STRESS=rounds,seed runs more of them, or others.

local support = dofile("tests/spec/support.lua")
local credentials = dofile "tests/spec/tls_support.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it, virtual = support.limited(it), support.virtual(it)

local rounds, first_seed = (os.getenv("TLS_STRESS") or "10,1"):match("^(%d+),(%d+)$")
rounds, first_seed = tonumber(rounds), tonumber(first_seed)

local server_context, client_context

setup(function()
  credentials.make()
  server_context = assert(net.tls(credentials.shows "good"))
  client_context = assert(net.tls(credentials.trusts()))
end)

teardown(credentials.remove)

-- ---- frames: who wrote, the number, the size, and bytes that follow from them ----

local HEADER = ">I1I2I4"
local HEADER_SIZE = string.packsize(HEADER)
local BY_FILE = 9 -- as a writer, the one that sends a file, always the same frame

local function body(writer, number, size)
  return (string.char(writer * 20 + number % 20) .. "moonlet"):rep(size // 8 + 1):sub(1, size)
end

local function frame(writer, number, size)
  return string.pack(HEADER, writer, number, size) .. body(writer, number, size)
end

-- ---- one end of a conversation ----

--- What may become of a call when streams are closed and tasks cancelled at any moment.
local allowed = { ETLS = true, ECONNRESET = true, EPIPE = true, CLOSED = true, ETIMEDOUT = true, EDEADLINE = true }

local function check_failure(what, ok, message, code)
  if ok == nil and message ~= nil and not allowed[code] then
    error(("%s: %s (%s)"):format(what, message, code), 0)
  end
end

--- Reads as read_exactly does, with time limits on the way that lose nothing.
local function read_patiently(self, size)
  while true do
    local limit = math.random(4) == 1 and math.random() * 0.003 or nil
    local data, message, code = task.timeout(limit, self.stream.read_exactly, self.stream, size)
    if data or (code ~= "EDEADLINE" and code ~= "ETIMEDOUT") then return data, message, code end
    if math.random(2) == 1 then task.yield() end
  end
end

local function read_frames(self)
  while true do
    local header, message, code = read_patiently(self, HEADER_SIZE)
    if not header then
      self.is_clean = message == nil
      return check_failure("reading a header", header, message, code)
    end
    local writer, number, size = string.unpack(HEADER, header)
    local data = ""
    if size > 0 then data, message, code = read_patiently(self, size) end
    if not data then return check_failure("reading a frame", data, message or "an end in its middle", code) end
    assert(data == body(writer, number, size), "a frame is not what was written")
    local last = self.received[writer] or 0
    assert(number == (writer == BY_FILE and 1 or last + 1), "frames are lost or out of order")
    self.received[writer] = last + 1
  end
end

--- The bytes in some pieces.
local function write_in_pieces(self, data)
  local a, b = math.random(0, #data), math.random(0, #data)
  if a > b then a, b = b, a end
  return self.stream:write(data:sub(1, a), { data:sub(a + 1, b) }, data:sub(b + 1))
end

local function write_frames(self, writer, count)
  for number = 1, count do
    local limit = math.random(60) == 1 and math.random() * 0.003 or nil
    local ok, message, code
    if writer == BY_FILE then
      ok, message, code = task.timeout(limit, self.stream.sendfile, self.stream, credentials.file "frame")
    else
      local size = math.random(3) == 1 and math.random(0, self.largest) or math.random(0, 100)
      ok, message, code = task.timeout(limit, write_in_pieces, self, frame(writer, number, size))
    end
    if not ok then return check_failure("writing", nil, message, code) end
    self.sent[writer] = number
    if math.random(3) == 1 then task.yield() end
  end
end

local function write_and_end(self)
  task.group(function(group)
    for writer = 1, math.random(3) do group:spawn(write_frames, self, writer, math.random(0, 8)) end
    if math.random(3) == 1 then group:spawn(write_frames, self, BY_FILE, math.random(2)) end
  end)
  if math.random(4) > 1 then check_failure("ending", self.stream:shutdown()) end
end

--- An end that begins TLS at its first use.
local function open_end(stream, largest)
  return { stream = stream, largest = largest, sent = {}, received = {} }
end

-- ---- conversations ----

local function disturb(ends, tasks)
  for _ = 1, math.random(0, 3) do
    task.sleep(math.random() * 0.01)
    local what, self = math.random(6), ends[math.random(2)]
    if what == 1 then self.stream:close()
    elseif what == 2 then tasks[math.random(#tasks)]:cancel("a disturbance")
    elseif what == 3 then check_failure("ending", self.stream:shutdown())
    elseif what == 4 then self.stream:set_timeout(math.random() * 0.02)
    elseif what == 5 then collectgarbage()
    else check_failure("the handshake", self.stream:handshake(math.random() * 0.01)) end
  end
end

local function complete(ends)
  for i, self in ipairs(ends) do
    local other = ends[3 - i]
    for writer, count in pairs(other.sent) do
      local received = self.received[writer] or 0
      assert(not self.is_clean or received == count,
        ("a clean end after %d of %d frames"):format(received, count))
    end
  end
end

--- Lets both ends speak until they are done or disturbed.
local function converse(here, there, largest, handshake)
  local ends = { open_end(here, largest), open_end(there, largest) }
  local tasks = {}
  local function spawn(fn, ...)
    tasks[#tasks + 1] = task.spawn({ quiet = true }, fn, ...)
  end
  for i, self in ipairs(ends) do
    local ready = task.spawn({ quiet = true }, handshake, self.stream, i)
    tasks[#tasks + 1] = ready
    spawn(function() if ready:join() then read_frames(self) end end)
    spawn(function() if ready:join() then write_and_end(self) end end)
  end
  spawn(disturb, ends, tasks)
  -- Who lost its partner waits until the streams are closed.
  local deadline = task.now() + (math.random(3) > 1 and 0.03 or 0.2)
  for _, t in ipairs(tasks) do t:join(math.max(deadline - task.now(), 0)) end
  for _, self in ipairs(ends) do self.stream:close() end
  for _, t in ipairs(tasks) do
    local ok, message, code = t:join(support.patience)
    assert(ok or code == "ECANCELED", message)
  end
  complete(ends)
end

--- Runs fn for each seed; an error names that.
local function for_each_seed(fn)
  local source <close> = assert(io.open(credentials.file "frame", "wb"))
  source:write(frame(BY_FILE, 1, 50000))
  source:close()
  for seed = first_seed, first_seed + rounds - 1 do
    math.randomseed(seed)
    local ok, message = pcall(fn)
    if not ok then error(("TLS_STRESS=1,%d: %s"):format(seed, message), 0) end
  end
end

--- Begins TLS on one end of a pair.
local function start(stream, number)
  local options = number == 1 and credentials.trusts { role = "client" }
    or credentials.shows("good", { verify = false, role = "server" })
  local ok, message, code = stream:starttls(options, math.random(10) == 1 and 0.001 or nil)
  check_failure("starttls", ok, message, code)
  return ok
end

describe("TLS with several tasks at each end", function()
  it("carries what was written, whole and in order, over sockets", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = server_context }))
    local address = listener:address()
    for_each_seed(function()
      local client = task.spawn(net.connect, address, { tls = client_context, timeout = support.patience })
      local there <close> = assert(listener:accept(support.patience))
      -- The server's side shakes hands in whichever task comes first.
      assert(there:handshake(support.patience))
      local here <close> = assert(support.finish(client))
      converse(here, there, 60000, function() return true end)
    end)
  end)

  it("carries it over sockets that are paired, in Unix's domain", function()
    for_each_seed(function()
      local here, there = assert(net.pair())
      converse(here, there, 60000, start)
      here:close()
      there:close()
    end)
  end)

  virtual("carries it over a bad network", function()
    for_each_seed(function()
      local chunk = math.random(3) == 1 and math.random(1, 50) or math.random(1000, 70000)
      local here, there = net.memory_pair {
        chunk = chunk,
        latency = math.random(2) == 1 and math.random() * 0.005 or 0,
        capacity = math.random(3000, 70000),
        a_to_b = math.random(3) == 1 and { reset_after = math.random(0, 20000) } or nil,
        b_to_a = math.random(3) == 1 and { reset_after = math.random(0, 20000) } or nil,
      }
      converse(here, there, chunk < 1000 and 1000 or 60000, start)
      here:close()
      there:close()
    end)
  end)
end)

describe("TLS over a network that fails", function()
  -- Far longer than any conversation takes here.
  local LIMIT = 0.02

  --- What an end got: "done", or the code of its first failure, "an early end".
  local function talk(stream, options)
    stream:set_timeout(LIMIT)
    local ok, _, code = stream:starttls(options, LIMIT)
    if ok then ok, _, code = stream:write("hello\n") end
    if ok then ok, _, code = stream:read_line() end
    if ok then ok, _, code = stream:finish(LIMIT) end
    stream:close()
    return ok and "done" or code or "an early end"
  end

  local function attempt(network)
    local here, there = net.memory_pair(network)
    local server = task.spawn(talk, there, credentials.shows("good", { role = "server", verify = false }))
    local client = talk(here, credentials.trusts { role = "client" })
    return client, support.finish(server)
  end

  --- Lets the network fail after some number of bytes, then after more, until nobody notices.
  local function sweep(network, direction, failure, expected)
    local stride = rounds > 100 and 1 or 17
    local count, size = 0, math.random(0, stride - 1)
    repeat
      network[direction] = { [failure] = size }
      local client, server = attempt(network)
      local is_done = client == "done" and server == "done"
      for _, result in ipairs { client, server } do
        assert(result == "done" or expected[result],
          ("%s=%d %s: %s, %s"):format(failure, size, direction, client, server))
      end
      count, size = count + 1, size + stride
    until is_done
    -- A handshake takes some hundred bytes each way.
    assert.is_true(count * stride > 300)
  end

  virtual("ends in an error at both ends, whichever byte the connection is reset at", function()
    local expected = { ECONNRESET = true, EPIPE = true }
    for _, direction in ipairs { "a_to_b", "b_to_a" } do
      sweep({ chunk = 1 }, direction, "reset_after", expected)
      sweep({ latency = 0.001 }, direction, "reset_after", expected)
    end
  end)

  virtual("is ended by its time limits, whichever byte is the last that arrives", function()
    -- One of the two gives up first, and the other may hear of that.
    local expected = { ETIMEDOUT = true, ECONNRESET = true, EPIPE = true, ETLS = true, ["an early end"] = true }
    for _, direction in ipairs { "a_to_b", "b_to_a" } do
      sweep({ latency = 0.001 }, direction, "stall_after", expected)
    end
  end)
end)
