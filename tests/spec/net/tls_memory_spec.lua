-- TLS without memory: each allocation of OpenSSL's, and of Lua's, fails once.

package.cpath = assert(os.getenv "MOONLET_TESTS") .. "/?.so;" .. package.cpath
local faults = require "memory_faults"
faults.install() -- before support, which may use OpenSSL

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local net = require "moonlet.net"
local it = support.limited(it)
local credentials = dofile "tests/spec/tls_support.lua"
local shows, trusts = credentials.shows, credentials.trusts

setup(credentials.make)
teardown(credentials.remove)

local function answer(there, context)
  local conn <close> = there
  local ok, message, code = conn:starttls { context = context, role = "server" }
  if not ok then return nil, message, code end
  local line
  line, message, code = conn:read_line()
  if not line then return nil, message, code end
  ok, message, code = conn:write(line, "\n")
  if not ok then return nil, message, code end
  return conn:finish(support.patience)
end

local function ask(here, context)
  local ok, message, code = here:starttls { context = context, role = "client" }
  if not ok then return nil, message, code end
  ok, message, code = here:write "hello\n"
  if not ok then return nil, message, code end
  local line
  line, message, code = here:read_line()
  if not line then return nil, message, code end
  local info = here:tls_info()
  ok, message, code = here:finish(support.patience)
  if not ok then return nil, message, code end
  return line .. " " .. info.peer.subject .. " " .. table.concat(info.peer.names, " ")
end

-- Two contexts, a handshake, an echo, a question, the ends.
local function converse()
  local server, message, code = net.tls(shows "chained")
  if not server then return nil, message, code end
  local client
  client, message, code = net.tls(trusts())
  if not client then return nil, message, code end
  local here <close>, there = net.memory_pair()
  local answering = task.spawn({ quiet = true }, answer, there, server)
  local results = table.pack(pcall(ask, here, client))
  here:close()
  local ended = table.pack(answering:join(support.patience))
  local ok, problem = ended[1], ended[2]
  if not results[1] or not ok then error(results[1] and problem or results[2], 0) end
  if results[2] then return results[2] end
  -- The server's failure may come to the client as the end of the stream: one of them says why.
  if not results[3] then results = ended end
  return nil, results[3], results[4]
end

local WHOLE <const> = "hello CN=chained good.example localhost"

-- What a conversation may end with: it is whole, or says what was wrong, or raises for want of memory.
local function check(ok, result, message, code)
  if not ok then
    assert.matches("not enough memory", tostring(result), 1, true)
  elseif result == nil then
    assert.equal("string", type(message))
    assert.equal("string", type(code))
  else
    assert.equal(WHOLE, result)
  end
end

local function blocks_after_collection()
  collectgarbage()
  collectgarbage()
  return faults.blocks()
end

-- Makes room for calls, which the collector has taken away: the call of pcall itself must not fail.
local function deepen(levels)
  if levels > 0 then return 1 + deepen(levels - 1) end
  return 0
end

-- Makes the n-th allocation fail; how many blocks more OpenSSL has afterwards.
local function grown_by(n, fail, fn)
  local before = blocks_after_collection()
  deepen(20)
  fail(n)
  local ok, result, message, code = pcall(fn)
  fail(0)
  check(ok, result, message, code)
  return blocks_after_collection() - before
end

-- What is kept for later grows once; what is lost, each time.
local function leaks(n, fail, fn)
  local growth = 0
  for _ = 1, 3 do
    growth = grown_by(n, fail, fn)
    if growth <= 0 then return false end
  end
  return growth
end

-- Every STEP-th: all of them take a minute in the release build, and ten in the others.
local STEP <const> = tonumber(os.getenv "MOONLET_MEMORY_STEP" or 23)

local function each(step, fail, fn)
  fail(0)
  fn()
  local count, lost = fail(0), {}
  for n = 1, count, step do
    local growth = leaks(n, fail, fn)
    if growth then lost[#lost + 1] = ("%d: %d blocks"):format(n, growth) end
  end
  assert.equal("", table.concat(lost, ", "))
  assert.equal(WHOLE, fn())
  return count
end

-- Two ends after the handshake, the client's first.
local function pair()
  local here, there = net.memory_pair()
  local server = task.spawn(there.starttls, there, shows("chained", { role = "server" }))
  assert(here:starttls(trusts { role = "client" }))
  support.finish(server)
  return here, there
end

describe("an allocation that fails", function()
  it("in OpenSSL ends a conversation with an error that is told, and nothing is lost", function()
    for _ = 1, 3 do assert.equal(WHOLE, converse()) end
    assert.is_true(each(STEP, faults.openssl, converse) > 1000)
  end)

  -- What OpenSSL sets up only once may stay broken for the rest of the program; it must say so each time.
  it("in OpenSSL's first use is told, and not the end of the program", function()
    local script = [[
      package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
      local faults = require "memory_faults"
      faults.install()
      local net, task = require "moonlet.net", require "moonlet.task"

      local function converse()
        local server, message = net.tls { cert_file = "%s", key_file = "%s" }
        if not server then return message end
        local here <close>, there = net.memory_pair()
        local other = task.spawn({ quiet = true }, function()
          local conn <close> = there
          return conn:starttls { context = server, role = "server" }
        end)
        local ok
        ok, message = here:starttls { ca_file = "%s", server_name = "good.example", role = "client" }
        here:close()
        local _, _, why = other:join(30)
        return ok and "whole" or message or why
      end

      faults.openssl(%d)
      local _, first = pcall(converse)
      local calls = faults.openssl(0)
      local _, second = pcall(converse)
      print(type(first), type(second), calls)
    ]]
    local n, count = 0, 0 -- at first none fails, to count them
    while n <= count do
      local output, status = support.run(script:format(
        credentials.file "good.pem", credentials.file "good.key", credentials.file "root.pem", n))
      local calls = output:match "^string\tstring\t(%d+)\n$"
      assert(status == 0 and calls, output)
      count = math.max(count, tonumber(calls))
      n = n + 67 * STEP
    end
    assert.is_true(count > 10000)
  end)

  -- What OpenSSL had printed for Lua, and the certificate, were lost.
  it("in Lua ends tls_info with an error, and nothing is lost", function()
    local here <close>, peer = pair()
    local there <close> = peer
    local count = each(1, faults.lua, function()
      local info = here:tls_info()
      return "hello " .. info.peer.subject .. " " .. table.concat(info.peer.names, " ")
    end)
    assert.is_true(count > 5, count)
  end)
end)

describe("tls_info", function()
  -- A finalizer may run whenever Lua takes memory: what was asked was freed then.
  it("answers to its end when a finalizer closes the stream", function()
    local closed_within = 0

    -- Closes the stream at the end of the `count`-th cycle of the collector from now on.
    local function close_after(count, stream)
      setmetatable({}, { __gc = function()
        if count > 1 then close_after(count - 1, stream) else stream:close() end
      end })
    end

    for count = 1, 40 do
      local here <close>, peer = pair()
      local there <close> = peer
      collectgarbage("incremental", 200, 1000, 30)
      collectgarbage("setpause", 0) -- a cycle at each allocation
      collectgarbage()
      close_after(count, here)
      local info = here:tls_info()
      local is_closed = tostring(here):find("closed", 1, true) ~= nil
      collectgarbage("incremental", 200, 100, 13)
      if info then
        assert.equal("CN=chained", info.peer.subject)
        if is_closed then closed_within = closed_within + 1 end
      end
    end
    assert.is_true(closed_within > 3, closed_within)
  end)
end)
