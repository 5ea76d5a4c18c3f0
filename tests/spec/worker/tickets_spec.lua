-- TLS sessions that any worker resumes: their keys change in time, and survive a reload and a new binary.

local workers = dofile "tests/spec/worker/workers.lua"
local tls_support = dofile "tests/spec/tls_support.lua"
local it = workers.support.limited(it)

local net = require "moonlet.net"

setup(tls_support.make)
teardown(tls_support.remove)

local function start(options)
  local program = workers.start(([[
    serve { tls = { cert_file = %q, key_file = %q } }
  ]]):format(tls_support.file "good.pem", tls_support.file "good.key"), options)
  return program:await_ready()
end

local function new_client()
  return assert(net.tls(tls_support.trusts { alpn = { "http/1.1" } }))
end

-- Asks once with what the client has kept. Returns whether the session was resumed, and the answer.
local function ask(program, client, path)
  local conn <close> = assert(net.connect("127.0.0.1", program.port, { tls = client }))
  assert(conn:write(("GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(path or "who")))
  local text = assert(conn:read "a")
  return conn:tls_info().resumed, text:match "\r\n\r\n(.*)"
end

-- How many keys there were so far.
local function keys(program)
  local _, body = ask(program, new_client(), "status")
  return require "moonlet.json".decode(body).tickets
end

local function await_keys(program, number)
  workers.eventually(function() return keys(program) >= number end)
end

describe("TLS sessions of workers", function()
  it("are resumed while their key encrypts, and until the one after it has encrypted", function()
    local program <close> = start { count = "2,tickets=2" }
    local was_resumed
    repeat -- on a machine so slow that two changes have passed, once more
      local client = new_client()
      local before = keys(program)
      ask(program, client)
      local number = keys(program)
      await_keys(program, number + 1)
      was_resumed = ask(program, client)
    until keys(program) <= before + 1
    assert.is_true(was_resumed)
    assert.are.equal(0, program:stop())
  end)

  it("are not resumed later", function()
    local program <close> = start { count = "2,tickets=0.2" }
    local client = new_client()
    ask(program, client)
    await_keys(program, keys(program) + 2)
    assert.is_false((ask(program, client)))
    assert.are.equal(0, program:stop())
  end)

  it("survive a new binary, whose workers have the same keys", function()
    local program <close> = start()
    local client = new_client()
    ask(program, client)
    program:signal "USR2"
    program:await "generation 2 serves"
    workers.eventually(function()
      local resumed, body = ask(program, client)
      assert.is_true(resumed)
      return body:find "^%d+ 2 "
    end)
    assert.are.equal(1, keys(program))
    assert.are.equal(0, program:stop())
  end)

  it("are not resumed by another program with the same certificate", function()
    local program <close> = start()
    local other <close> = start()
    local client = new_client()
    ask(program, client)
    assert.is_true((ask(program, client)))
    local stranger = { port = other.port }
    assert.is_false((ask(stranger, client)))
    assert.are.equal(0, program:stop())
    assert.are.equal(0, other:stop())
  end)

  it("of TLS 1.2 are resumed, too, each with a ticket that stays good", function()
    local program <close> = start()
    local file = os.tmpname()
    local command = "printf 'GET /who HTTP/1.0\\r\\n\\r\\n' | "
      .. "openssl s_client -tls1_2 -ign_eof -connect 127.0.0.1:%d %s %s"
    local output = workers.support.shell(command:format(program.port, "-sess_out", file))
    assert.is_truthy(output:find "New, TLSv1.2", output)
    for _ = 1, 3 do
      output = workers.support.shell(command:format(program.port, "-sess_in", file))
      assert.is_truthy(output:find "Reused, TLSv1.2", output)
    end
    os.remove(file)
    assert.are.equal(0, program:stop())
  end)
end)
