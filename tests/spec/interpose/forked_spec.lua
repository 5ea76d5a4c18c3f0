--- A process that a task forked owns nothing of its parent's: its end takes nothing away.

local support = dofile "tests/spec/support.lua"
local libc_support = dofile "tests/spec/interpose/libc_support.lua"
local tls_support = dofile "tests/spec/tls_support.lua"
local it = support.limited(it)

-- In a moonlet of its own: sets things up, forks a child that ends at once, waits for it, looks.
local function run(before, after)
  local source = libc_support.prelude .. [[
    local net, task = require "moonlet.net", require "moonlet.task"
  ]] .. before .. [[

    local pid = libc.plain_fork()
    if pid == 0 then return end
    libc.waitpid(pid)
  ]] .. after
  return support.run(source)
end

setup(tls_support.make)
teardown(tls_support.remove)

describe("the end of a process that a task has forked", function()
  it("leaves its parent's socket files, of listeners, streams and datagrams", function()
    local output, status = run([[
      local base = os.tmpname()
      local listener <close> = assert(net.listen("unix:" .. base .. ".l"))
      local peer <close> = assert(net.udp { host = "unix:" .. base .. ".d" })
      local client <close> = assert(net.connect("unix:" .. base .. ".l", { bind = "unix:" .. base .. ".c" }))
    ]], [[
      for _, name in ipairs { "l", "d", "c" } do
        print(name, os.rename(base .. "." .. name, base .. "." .. name))
      end
      print(net.connect("unix:" .. base .. ".l") ~= nil)
      listener:close() peer:close() client:close()
      for _, name in ipairs { "l", "d", "c" } do print(os.rename(base .. "." .. name, base) == nil) end
      os.remove(base)
    ]])
    assert.same({ "l\ttrue\nd\ttrue\nc\ttrue\ntrue\ntrue\ntrue\ntrue\n", 0 }, { output, status })
  end)

  it("says no goodbye on its parent's TLS connections, on either side", function()
    local output, status = run(([[
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = { cert_file = %q, key_file = %q } }))
      local accepting = task.spawn(function()
        local stream = assert(listener:accept())
        stream:handshake()
        return stream
      end)
      local client <close> = assert(net.connect("localhost", listener:address().port,
        { tls = { ca_file = %q, server_name = "good.example" } }))
      local _, server = accepting:join()
      client:write "one\n"
      print(server:read_line())
      server:write "two\n"
      print(client:read_line())
    ]]):format(tls_support.file "good.pem", tls_support.file "good.key", tls_support.file "root.pem"), [[
      assert(client:write "three\n")
      print(server:read_line())
      assert(server:write "four\n")
      print(client:read_line())
      server:close()
    ]])
    assert.same({ "one\ntwo\nthree\nfour\n", 0 }, { output, status })
  end)
end)
