-- An error that leaves the task in which it was raised: its value goes unchanged, and whoever is told of it in the end
-- is also told where it came from.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local task = require "moonlet.task"

-- What every script begins with: handle() fails on line 3, in two frames.
local HEAD = [[
local task, net = require "moonlet.task", require "moonlet.net"
local function inner(request) local user = request.user.name return user end
local function handle(request) local user = inner(request) return user end
local function closing(text) return setmetatable({}, { __close = function() error(text) end }) end
]]

local function run(source, options) return support.run(HEAD .. source, options) end

-- The frames of handle(), which any traceback of it has.
local FRAMES = "stack traceback:\n\tscript:2: in [^\n]*'inner'\n\tscript:3: in [^\n]*\n"

local function tells(output, ...)
  for _, pattern in ipairs { "script:2: attempt to index a nil value %(field 'user'%)", ... } do
    assert.matches(pattern, output)
  end
end

describe("the error of a task that reaches the top by way of another", function()
  local function child(name) return "in task '" .. name .. "' %(#%d+%):\n" .. FRAMES end

  it("is told with the frames, the name and the place of spawning, from a group", function()
    local output, status = run [[
      task.group(function(g)
        g:spawn({ name = "request 7" }, handle, {})
      end)
    ]]
    tells(output, child "request 7" .. "spawned at script:6\nraised again in task 'main' %(#1%):\nstack traceback:\n")
    assert.matches("script:5: in main chunk", output)
    assert.equal(1, status)
  end)

  it("is told so from a group without a body, from join and from errors", function()
    tells(run [[
      local g <close> = task.group()
      g:spawn({ name = "c" }, handle, {})
    ]], child "c" .. "spawned at script:6\n")
    tells(run [[
      local g = task.group()
      g:spawn({ name = "c" }, handle, {})
      local _, err = g:join()
      error(err, 0)
    ]], child "c" .. "spawned at script:6\n")
    tells(run [[
      local group
      pcall(task.group, function(g)
        group = g
        g:spawn({ name = "c" }, function() task.pcall(task.sleep, 30) handle {} return 1 end)
        task.yield()
        g:spawn(error, "first")
      end)
      error(group:errors()[1], 0)
    ]], child "c" .. "[^\n]*\nspawned at script:8\n")
  end)

  it("is told so from assert(t:join()) and select", function()
    for _, wait in ipairs { "t:join()", "select(2, require 'moonlet.channel'.select { { t, 'join' } })" } do
      tells(run([[
        local t = task.spawn({ name = "c", quiet = true }, function() handle {} return 1 end)
        assert(]] .. wait .. ")"), "in task 'c' %(#2%):\n" .. FRAMES, "\nspawned at script:5\n", "script:6: in main")
    end
  end)

  it("is told so from race, all and map", function()
    tells(run [[
      task.race { function() handle {} return 1 end }
    ]], "in task #2:\n" .. FRAMES, "\nspawned at script:5\n")
    tells(run [[
      local _, errors = task.all { function() handle {} return 1 end }
      error(errors[1], 0)
    ]], "in task #2:\n" .. FRAMES, "\nspawned at script:5\n")
    tells(run [[
      local _, errors = task.map({ {}, {} }, handle)
      error(errors[2], 0)
    ]], "in task #%d:\n" .. FRAMES, "\nspawned at script:5\n")
  end)

  it("is told so from supervise, every, timeout, shield and no_switch", function()
    for _, call in ipairs {
      "task.supervise { fn = f, intensity = { 0, 1 } }", "task.every(0.001, f)", "task.timeout(10, f)",
      "task.shield(10, f)", "task.no_switch(f)", "task.group(f)", "task.timeout(10, task.group, f)",
    } do
      tells(run("local function f() handle {} return 1 end\n" .. call), FRAMES, "script:6: in main chunk")
    end
  end)

  it("is told through several tasks, the innermost first, and each once", function()
    local output = run [[
      task.group(function(g)
        g:spawn({ name = "outer" }, task.timeout, 10, task.group, function(h)
          h:spawn({ name = "inner one" }, handle, {})
        end)
      end)
    ]]
    tells(output, child "inner one" .. "spawned at script:7\nraised again in task 'outer' %(#2%):.*"
      .. "spawned at script:6\nraised again in task 'main' %(#1%):")
    assert.equal(2, select(2, output:gsub("raised again", "")))
    output = run [[
      local function nest(depth)
        if depth == 0 then handle {} return 1 end
        return task.group(function(g) g:spawn(nest, depth - 1) end)
      end
      nest(5)
    ]]
    tells(output, "in task #6:\n" .. FRAMES)
    for id = 2, 5 do assert.equal(1, select(2, output:gsub("raised again in task #" .. id .. ":", ""))) end
    assert.equal(1, select(2, output:gsub("in task #6", "")))
  end)

  it("is told so in the report of a task that nobody joins, and to on_error", function()
    local source = [[
      task.spawn({ name = "p" }, function()
        task.group(function(g) g:spawn({ name = "c" }, handle, {}) end)
      end)
    ]]
    tells(run(source), "task 'p' %(#2%) failed: [^\n]*\n" .. child "c")
    tells(run("task.on_error(function(_, err, traceback) print(err) print(traceback) end) " .. source), child "c")
  end)

  it("is told so if its value is a table, which stays the same", function()
    local output = run [[
      local mine = setmetatable({ code = 7 }, { __tostring = function(e) return "code " .. e.code end })
      local ok, err = pcall(task.group, function(g) g:spawn({ name = "c" }, error, mine) end)
      assert(err == mine and getmetatable(err).__tostring)
      error(err)
    ]]
    assert.matches("moonlet: code 7\nin task 'c' %(#2%):\nstack traceback:\n.*script:8: in main chunk", output)
  end)

  it("is not told of another error with another text", function()
    local output = run [[
      pcall(task.group, function(g) g:spawn({ name = "c" }, handle, {}) end)
      error "something else"
    ]]
    assert.not_matches("task 'c'", output)
    assert.not_matches("raised again", output)
  end)

  it("does not grow by being caught and raised again", function()
    local output = run [[
      local t = task.spawn({ quiet = true }, function() handle {} return 1 end)
      for _ = 1, 100 do
        pcall(task.timeout, 10, function() error(select(2, t:join()), 0) end)
        pcall(task.timeout, 10, handle, {})
      end
      task.timeout(10, handle, {})
    ]]
    assert.is_true(#output < 2000, output)
  end)
end)

it("task.map returns where each item failed", function()
  local function fail(item) if item > 1 then error("item " .. item) end return item end
  local results, errors, tracebacks = task.map({ 1, 2, 3 }, fail)
  assert.same({ 1, n = 3 }, results)
  assert.is_nil(tracebacks[1])
  for i = 2, 3 do
    assert.matches("item " .. i, errors[i])
    assert.matches("^in task #%d+:\nstack traceback:\n.*story_spec.lua:%d+: in .*"
      .. "spawned at tests/spec/core/story_spec.lua",
      tracebacks[i])
  end
end)

it("a task that failed says where, whoever joins it", function()
  local t = task.spawn({ name = "mine", quiet = true }, function() error "oops" end)
  t:join()
  assert.matches("^task 'mine' %(#%d+%)\nstack traceback:\n.*story_spec.*\nspawned at ", t:traceback())
end)

it("the failure of an iterator is told with its place", function()
  local output = run [[
    local a, b = net.pair()
    a:set_timeout(0.001)
    for line in a:lines() do print(line) end
  ]]
  assert.matches("moonlet: timeout\nstack traceback:\n.*script:7: in main chunk", output)
end)

describe("the error of a closing variable", function()
  it("is told when SIGTERM unwinds the main chunk, and the program dies of the signal all the same", function()
    local output, status = run [[
      local _ <close> = closing "clean-up broke"
      task.spawn(function()
        local f <close> = io.popen("kill -TERM $PPID")
        f:read "a"
      end)
      task.sleep(30)
    ]]
    assert.matches("moonlet: script:4: clean%-up broke\nstack traceback:\n.*script:4: in", output)
    assert.equal(143, status)
  end)

  it("is told of a cancelled task, which then has failed", function()
    local output, status = run [[
      local t = task.spawn({ name = "c" }, function()
        local _ <close> = closing "clean-up broke"
        pcall(task.sleep, 30)
      end)
      task.yield()
      t:cancel()
      task.yield()
      print(t:status())
    ]]
    assert.matches("task 'c' %(#2%) failed: script:4: clean%-up broke\nin a closing variable, "
      .. "after the cancellation of the task\nspawned at script:5\n", output)
    assert.matches("failed\n", output)
    assert.equal(1, status)
  end)

  it("is told beside the error that it takes the place of", function()
    local output = run [[
      task.spawn({ name = "c" }, function()
        local _ <close> = closing "clean-up broke"
        handle {}
        return 1
      end)
    ]]
    tells(output, "task 'c' %(#2%) failed: script:2: .-" .. FRAMES)
    assert.matches("task 'c' %(#2%) failed: script:4: clean%-up broke\nin a closing variable, after script:2: ", output)
  end)

  it("is not told twice if a closing variable lets the error be", function()
    local output = run [[
      task.spawn({ name = "c" }, function()
        local _ <close> = setmetatable({}, { __close = function() task.yield() end })
        error "once"
      end)
    ]]
    assert.equal(1, select(2, output:gsub("once", "")))
  end)

  it("does not lose the error to a cancellation that cuts the clean-up short", function()
    local t
    t = task.spawn({ quiet = true }, function()
      local _ <close> = setmetatable({}, { __close = function() t:cancel() task.sleep(30) end })
      error("the first", 0)
    end)
    support.is_failure("EFAILED", "the first", t:join())
  end)

  it("is told when os.exit closes the tasks", function()
    local output, status = run [[
      task.spawn({ name = "c" }, function()
        local _ <close> = closing "clean-up of a task broke"
        os.exit(3, true)
      end)
      local _ <close> = closing "clean-up of main broke"
      task.sleep(30)
    ]]
    assert.matches("task 'c' %(#2%) failed: script:4: clean%-up of a task broke\nin a closing variable, at", output)
    assert.matches("clean%-up of main broke", output)
    assert.equal(3, status)
    -- lua5.4 is silent here.
    output = run([[
      local _ <close> = closing "clean-up of main broke"
      os.exit(3, true)
    ]], "-W")
    assert.matches("warning: error in a closing variable, at the end of the program: script:4: clean%-up", output)
  end)

  it("of a child is told if another error leaves the group, and raised if a cancellation does", function()
    local source = [[
      local t = task.spawn({ name = "p", quiet = true }, function()
        local g <close> = task.group()
        g:spawn({ name = "c" }, function()
          local _ <close> = closing "clean-up broke"
          task.sleep(30)
        end)
        task.yield()
        ]]
    local output = run(source .. "error 'mine' end) print(t:join())")
    assert.matches("task 'c' %(#3%) failed: script:4: clean%-up broke", output)
    assert.matches("nil\tscript:%d+: mine\tEFAILED", output)
    output = run(source .. "task.sleep(30) end) task.yield() task.yield() t:cancel() print(t:join())")
    assert.matches("nil\tscript:4: clean%-up broke\tEFAILED", output)
  end)

  it("of an item is told when task.map is cancelled", function()
    local output = run [[
      print(select(3, task.timeout(0.3, task.map, { 1 }, function()
        local _ <close> = closing "clean-up broke"
        task.sleep(30)
      end)))
    ]]
    assert.matches("failed: script:4: clean%-up broke", output)
    assert.matches("EDEADLINE\n", output)
  end)
end)

describe("the error of a function called at a task's end", function()
  it("is told with what it is, the task, and its frames", function()
    for _, call in ipairs { "t:on_exit(late) task.yield()", "task.yield() t:on_exit(late)" } do
      local output, status = run([[
        local t = task.spawn({ name = "c" }, function() end)
        local function late(ended) handle {} return ended end
      ]] .. call .. " print 'goes on'")
      tells(output, "an on_exit function of task 'c' %(#2%) failed: [^\n]*\n" .. FRAMES, "script:6: in", "goes on\n")
      assert.equal(1, status)
    end
  end)

  it("is told so for errors of any type", function()
    local output = run [[
      local t = task.spawn(function() end)
      t:on_exit(function() error(setmetatable({}, { __tostring = function() return "speaks" end })) end)
      t:on_exit(function() error(setmetatable({}, { __tostring = function() error "in vain" end })) end)
      t:on_exit(function() error() end)
    ]]
    assert.matches("task #2 failed: speaks\n", output)
    assert.matches("an on_exit function of task #2 failed: .*an on_exit function of task #2 failed: ", output)
    assert.matches("task #2 failed: %(error object is a nil value%)\n", output)
  end)

  it("does not hide the task's own, of a group's on_error function", function()
    local output = run [[
      task.group({ on_error = function() error "handler broke" end }, function(g)
        g:spawn({ name = "c" }, handle, {})
      end)
    ]]
    tells(output, "on_error function of a group, called for task 'c' %(#2%) failed: script:5: handler broke\n",
      "task 'c' %(#2%) failed: script:2: [^\n]*\n" .. FRAMES)
  end)
end)

it("the error of a connection's handler is told with the peer, also after a reset or a close", function()
  for _, before in ipairs { "", "conn:close() ", "conn:read_all() " } do
    local output = run([[
      local listener = assert(net.listen("127.0.0.1", 0))
      local client <close> = assert(net.connect(listener:address()))
      local port = client:address().port
      local begun = require "moonlet.sync".event()
      task.spawn(listener.serve, listener, function(conn)
        begun:set()
        ]] .. before .. [[ handle {}
        return 1
      end)
      client:write "unread"
      client:close()
      begun:wait()
      listener:stop()
      print("peer 127.0.0.1:" .. port)
    ]])
    local port = output:match "peer 127.0.0.1:(%d+)\n"
    tells(output, "stack traceback:\n\tscript:2: in ", "\nconnection from 127%.0%.0%.1:" .. port .. "\n")
  end
end)

it("the error that leaves a greenlet is told with the frames of the greenlet", function()
  for _, source in ipairs {
    "task.spawn(function() greenlet.new(handle):switch {} return 1 end)",
    "greenlet.new(handle):switch {}",
    "greenlet.new(function(...) greenlet.new(handle):switch(...) return 1 end):switch {}",
  } do
    local output = run('local greenlet = require "moonlet.greenlet"\n' .. source)
    tells(output, FRAMES .. "resumed from stack traceback:\n\t%[C%]: in method 'switch'\n")
  end
end)
