-- SIGTERM and SIGINT while the program is inside a C library's loop: it ends as in any call, with its clean-up and
-- the signal's status.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local it = support.limited(it)

for module, package_name in pairs { luv = "lua-luv", cqueues = "lua-cqueues", copas = "lua-copas" } do
  libraries.need(module, package_name)
end
assert(package.searchpath("luaevent.core", package.cpath), "the Debian package lua-event is needed")

local prelude = [[
  io.stdout:setvbuf "line"
  package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua"
  local task = require "moonlet.task"
  local _ <close> = setmetatable({}, { __close = function()
    task.shield(1, task.sleep, 0.01)
    print "cleaned up"
  end })
  local told
  local function ready()
    if not told then print "ready" end
    told = true
  end
]]

-- Each calls ready() from inside of its loop, which would never end.
local loops = {
  ["libuv's, between timers"] = [[
    local uv = require "luv"
    uv.new_timer():start(10, 500, ready)
    uv.run()
  ]],
  ["libuv's, without a timer"] = [[
    local uv = require "luv"
    local pipe = uv.pipe({ nonblock = true }, { nonblock = true })
    local stream = uv.new_pipe()
    stream:open(pipe.read)
    stream:read_start(function() end)
    local timer = uv.new_timer()
    timer:start(1, 0, function() timer:close() ready() end)
    uv.run()
  ]],
  ["libuv's, which never waits"] = [[
    local uv = require "luv"
    uv.new_idle():start(ready)
    uv.run()
  ]],
  ["libuv's, in a coroutine"] = [[
    local uv = require "luv"
    uv.new_timer():start(10, 500, ready)
    coroutine.wrap(uv.run)()
  ]],
  ["libuv's, in a task beside others"] = [[
    local uv = require "luv"
    task.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() print "cleaned up, too" end })
      uv.new_timer():start(10, 500, ready)
      uv.run()
    end)
    task.sleep(1000)
  ]],
  -- It was held off once, and nobody asked again.
  ["libuv's, whose task is cancelled already"] = [[
    local uv = require "luv"
    local loop = task.spawn({ quiet = true }, function()
      uv.new_timer():start(10, 10, function() end)
      uv.run()
    end)
    task.sleep(0.05)
    loop:cancel()
    task.sleep(0.05)
    ready()
    task.sleep(1000)
  ]],
  ["cqueues'"] = [[
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    queue:wrap(function() while true do ready() cqueues.sleep(0.5) end end)
    queue:loop()
  ]],
  ["cqueues', which never waits"] = [[
    local cqueues = require "cqueues"
    local queue = cqueues.new()
    queue:wrap(function() while true do cqueues.sleep(0) ready() end end)
    queue:loop()
  ]],
  ["copas'"] = [[
    local copas = require "copas"
    copas.addthread(ready)
    copas.loop()
  ]],
  ["libevent's"] = [[
    local event = require "luaevent.core"
    local base = event.new()
    base:addevent(nil, event.EV_TIMEOUT, function() ready() return 0 end, 0.3)
    base:loop()
  ]],
}

-- What the program printed, and its status.
local function signalled(source, signal)
  local command, path = support.command(prelude .. source)
  local output = support.shell(([[
    out=%s.out
    : >$out
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 # luaevent's
    export ASAN_OPTIONS
    env --default-signal=INT %s >$out 2>&1 & # sh has it ignored for what runs in the background
    pid=$!
    tries=0
    until grep -q ready $out || ! kill -0 $pid || [ $((tries += 1)) -gt 3000 ]; do sleep 0.01; done
    tries=0
    until grep -q '^State:.S' /proc/$pid/status 2>/dev/null || [ $((tries += 1)) -gt 20 ]; do sleep 0.01; done
    kill -%s $pid
    wait $pid
    echo status $? >>$out
    cat $out
    rm -f $out]]):format(path, command, signal))
  os.remove(path)
  return output
end

for name, source in pairs(loops) do
  for signal, status in pairs { TERM = 143, INT = 130 } do
    -- Code that computes gets lua5.4's error at SIGINT, which libuv takes for the end of the program.
    if signal == "INT" and name:find "never waits" then goto next end
    it(("SIG%s ends a program in a loop of %s"):format(signal, name), function()
      local output = signalled(source, signal)
      assert.matches("^ready\n", output)
      assert.matches("\ncleaned up\n", output)
      assert.matches("\nstatus " .. status .. "\n$", output)
      if name:find "beside others" then assert.matches("\ncleaned up, too\n", output) end
    end)
    ::next::
  end
end

-- Signals that the program listens to: the library does not see them, and they do not wait for the end of its loop.
-- Not in the one loop that makes no call of the system: tasks wait for what computes.
for name, source in pairs(loops) do
  if name == "libuv's, which never waits" then goto next end
  it(("signals that are listened to arrive in a loop of %s, which goes on"):format(name), function()
    local command, path = support.command([[
      local signal = require "moonlet.signal"
      local counts = { USR1 = 0, RTMIN = 0 }
      local function count(word)
        counts[word] = counts[word] + 1
        print(word, counts[word])
      end
      local on_usr1 <close> = signal.on("USR1", count)
      local on_real_time <close> = signal.on("RTMIN", count)
      local on_usr2 <close> = signal.on("USR2", function() os.exit(7) end)
    ]] .. prelude .. source)
    local output = support.shell(([[
      out=%s.out
      : >$out
      ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 # luaevent's
      export ASAN_OPTIONS
      %s >$out 2>&1 &
      pid=$!
      await() {
        tries=0
        until grep -q "$1" $out || ! kill -0 $pid || [ $((tries += 1)) -gt 3000 ]; do sleep 0.01; done
      }
      await ready
      for i in 1 2 3; do kill -USR1 $pid; await "USR1.$i"; done
      for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do kill -RTMIN $pid; done; done
      await 'RTMIN.50'
      kill -USR2 $pid
      wait $pid
      echo status $? >>$out
      cat $out
      rm -f $out]]):format(path, command))
    os.remove(path)
    assert.matches("^ready\nUSR1\t1\nUSR1\t2\nUSR1\t3\n.*RTMIN\t50\nstatus 7\n$", output)
  end)
  ::next::
end
