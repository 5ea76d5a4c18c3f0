--- Who answers the calls of C libraries: the program, a host that links the names or has them preloaded, nobody.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local TESTS = assert(os.getenv "MOONLET_TESTS")

-- Prints whether another task ran while this one slept in a C library, what status() says of it, and calls made
-- by moonlet itself.
local script = [[
  package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
  local libc, task, net = require "libc", require "moonlet.task", require "moonlet.net"
  local patch = require "moonlet.patch"
  local ticks = 0
  task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
  repeat task.yield() until ticks > 0
  ticks = 0
  libc.nanosleep(0.05)
  local status = patch.status()
  print(ticks > 0, status.available, status.on, status.calls.nanosleep.waited)
  local here, there = net.pair()
  task.spawn(function() for line in there:lines() do there:write(line, "\n") end end)
  for i = 1, 100 do here:write(i, "\n") assert(here:read() == tostring(i)) task.sleep(0) end
  here:close()
  local listener = net.listen("127.0.0.1", 0)
  local server = task.spawn(function() listener:accept():write "hello\n" end)
  assert(net.connect("localhost", listener:address().port):read() == "hello")
  local own = 0
  for name, call in pairs(patch.status().calls) do
    if name ~= "nanosleep" then own = own + call.waited + call.blocked end
  end
  print("of moonlet's own calls waited", own)
]]

-- host: nil: the program itself
local function run(host, options)
  local command, path = support.command(script, options, host)
  local output, status = support.shell(command)
  os.remove(path)
  return output, status
end

describe("calls of C libraries", function()
  local answered = "true\ttrue\ttrue\t1\nof moonlet's own calls waited\t0\n"

  it("are answered in the program, and its own never wait twice", function()
    assert.same({ answered, 0 }, { run() })
  end)

  it("are left alone with --no-interpose", function()
    assert.same({ "false\ttrue\tfalse\t0\nof moonlet's own calls waited\t0\n", 0 },
      { run(nil, "--no-interpose") })
  end)

  it("are answered in a host that links the names", function()
    assert.same({ answered, 0 }, { run(TESTS .. "/interposing_host") })
  end)

  it("are left alone in a host that does not", function()
    assert.same({ "false\tfalse\tfalse\t0\nof moonlet's own calls waited\t0\n", 0 },
      { run(TESTS .. "/plain_host") })
  end)

  it("are answered in a host that has them preloaded", function()
    -- A sanitizer's library wants to be the first itself.
    local library = io.popen("ldd " .. TESTS .. "/plain_host"):read "a"
    local first = library:match "(%S+/libasan%.so%S*)"
    local preload = (first and first .. ":" or "") .. assert(os.getenv "MOONLET_PRELOAD")
    assert.same({ answered, 0 }, { run("LD_PRELOAD=" .. preload .. " " .. TESTS .. "/plain_host") })
  end)

  it("can be switched off and on, and excluded by name and by library", function()
    local output = support.run([[
      package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
      local libc, task = require "libc", require "moonlet.task"
      local patch = require "moonlet.patch"
      local ticks = 0
      task.spawn({ daemon = true }, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)
      repeat task.yield() until ticks > 0
      local function try(name, fn, ...) ticks = 0 fn(...) print(name, ticks > 0) end
      try("on", libc.poll, {}, 20)
      patch.disable() try("off", libc.poll, {}, 20) print(patch.status().on)
      patch.enable() try("on", libc.poll, {}, 20) print(patch.status().on)
      patch.exclude "ppoll" patch.exclude "pol?" try("excluded", libc.poll, {}, 20)
      try("another", libc.nanosleep, 0.02)
      patch.exclude "libc.s*" try("library", libc.nanosleep, 0.02)
      print(table.concat(patch.status().excluded, " "), patch.status().calls.poll.blocked)
      print(pcall(patch.exclude, ""))
    ]], "-W")
    assert.match("poll%(%) in libc.so makes every task wait: it is excluded", output)
    output = output:gsub("Lua warning: [^\n]+\n", "")
    assert.match("on\ttrue\noff\tfalse\nfalse\non\ttrue\ntrue\nexcluded\tfalse\nanother\ttrue\nlibrary\tfalse\n" ..
      "libc.s%* pol%? ppoll\t1\nfalse\tbad argument #1 to '%S+' %(a pattern is not empty%)\n", output)
  end)
end)
