-- test.leaks(): what was left behind, named so that it can be found.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local net = require "moonlet.net"
local test = require "moonlet.test"

describe("test.leaks", function()
  it("says what each descriptor is", function()
    local check = test.leaks()
    local function is_told(pattern, first, second)
      local texts = table.concat(check(), "\n")
      assert.matches("descriptor %d+: " .. pattern, texts)
      first:close()
      if second then second:close() end
      assert.are.same({}, check())
    end
    local path = os.tmpname()
    is_told("file " .. path:gsub("%p", "%%%0"), assert(io.open(path)))
    os.remove(path)
    is_told("file /dev/null", assert(io.open "/dev/null"))
    is_told("directory /", assert(io.open "/"))
    is_told("pipe, the end to read from", assert(io.popen("true")))
    local listener = assert(net.listen("127.0.0.1", 0))
    local where = tostring(listener:address()):gsub("%p", "%%%0")
    local client = assert(net.connect(listener:address()))
    local both = "listening socket " .. where .. "\n.*descriptor %d+: socket 127%.0%.0%.1:%d+ <%- " .. where
    is_told(both, client, listener)
    is_told("datagram socket 127%.0%.0%.1:%d+", assert(net.udp { host = "127.0.0.1" }))
    local a, b = net.pair()
    is_told("socket ", a, b)
    local listening = assert(net.listen("unix:@moonlet-leaks"))
    is_told("listening socket .*@moonlet%-leaks", listening)
  end)end)
