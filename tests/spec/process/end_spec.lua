-- How children end with their scope, their runtime and their program, and what is left of them: nothing.

local process = require "moonlet.process"
local channel = require "moonlet.channel"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local function state_of(pid)
  local status = support.read_file("/proc/" .. math.tointeger(pid) .. "/stat")
  return status and status:match "%) (%a)"
end

local function is_alive(pid)
  local state = state_of(pid)
  return state ~= nil and state ~= "Z"
end

local function eventually_gone(pid)
  return support.eventually(function() return not is_alive(pid) end)
end

-- The numbers of this process's children.
local function children()
  local pid = support.read_file("/proc/self/stat"):match "^%d+"
  return support.read_file(("/proc/%s/task/%s/children"):format(pid, pid)) or ""
end

-- How many of them are zombies.
local function zombies()
  local count = 0
  for pid in children():gmatch "%d+" do
    if state_of(tonumber(pid)) == "Z" then count = count + 1 end
  end
  return count
end

describe("children", function()
  it("leave no zombie, many short ones at once", function()
    local count = os.getenv "MOONLET_SOAK" and 10000 or 300
    local statuses = task.map((function()
      local list = {}
      for i = 1, count do list[i] = i end
      return list
    end)(), function(i)
      local p <close> = assert(process.spawn { "/bin/sh", "-c", "exit " .. i % 200 })
      return p:wait().status
    end, 20)
    for i = 1, count do assert.equal(i % 200, statuses[i]) end
    assert.equal(0, zombies())
  end)

  it("are waited for though no task waits", function()
    local p <close> = assert(process.spawn { "true" })
    local pid = p.pid
    support.eventually(function() return state_of(pid) == nil end)
    assert.same({ status = 0 }, p:wait(0))
  end)

  -- Each of them may have ended before the next call here: all of these calls say so, and what it wrote is there.
  it("may die at once, with whatever they were given", function()
    local text = ("x"):rep(1 << 20)
    for i = 1, 20 do
      local p <close> = assert(process.spawn { "sh", "-c", "echo last words; kill -KILL $$",
        stdin = "pipe", stdout = "pipe", stderr = "pipe" })
      if i % 2 == 0 then support.eventually(function() return not is_alive(p.pid) end) end
      assert.same({ nil, "EPIPE" }, { p.stdin:write(text), (select(3, p.stdin:write "x")) })
      assert.equal("last words\n", p.stdout:read_all())
      assert.is_nil(p.stderr:read_some())
      assert.same({ signal = "KILL" }, p:wait(support.patience))
      assert.same({ nil, "ESRCH" }, { p:kill "TERM", (select(3, p:kill "TERM")) })
      p:close()
    end
    assert.same({ signal = "KILL", stdout = "", stderr = "" },
      process.run { "sh", "-c", "kill -KILL $$", input = text })
    assert.equal(0, process.run { "true", input = text }.status)
    local p <close> = assert(process.spawn { "true", pty = {} })
    assert.equal("", p.pty:read_all())
    assert.same({ status = 0 }, p:wait(support.patience))
    assert.equal(0, zombies())
  end)

  it("may stop themselves, which is no end, and go on", function()
    local p <close> = assert(process.spawn { "sh", "-c", "echo one; kill -STOP $$; echo two; exit 3",
      stdout = "pipe" })
    assert.equal("one", p.stdout:read_line())
    support.eventually(function() return state_of(p.pid) == "T" end)
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0.01) })
    assert.is_true(p:kill "CONT")
    assert.equal("two\n", p.stdout:read_all())
    assert.same({ status = 3 }, p:wait(support.patience))
    local _, _, code, result = process.run { "sh", "-c", "kill -STOP $$", timeout = 0.05 }
    assert.same({ "ETIMEDOUT", "TERM" }, { code, result.signal })
  end)

  it("may close their pipes and live on", function()
    local p <close> = assert(process.spawn { "sh", "-c", "exec 0<&- 1>&- 2>&-; exec sleep 1000",
      stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    assert.is_nil(p.stdout:read_some())
    assert.is_nil(p.stderr:read_some())
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0.01) })
    local _, _, code = p.stdin:write "x"
    assert.equal("EPIPE", code)
    p:close()
    p:wait()
  end)

  it("tell that other code has waited for them, or how they have ended all the same", function()
    local p <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "null" })
    local reaped = support.run(([[
      local process = require "moonlet.process"
      local p = process.spawn { "sh", "-c", "exit 5" }
      local result, message, code = p:wait(%d)
      print(result and result.status == 5 or code == "ECHILD" and message)]]):format(support.patience))
    assert.equal("true\n", reaped)
    p.stdin:close()
    assert.same({ status = 0 }, p:wait())
  end)

  it("have a status though the program was started with SIGCHLD ignored, or say that they have none", function()
    local output = support.shell(([[trap '' CHLD; exec '%s' -e '
      local result, message, code = require "moonlet.process".run { "sh", "-c", "exit 5" }
      print(result and result.status or code)']]):format(os.getenv "MOONLET"))
    assert.truthy(output == "5\n" or output == "ECHILD\n", output)
  end)
end)

describe("a cancelled scope", function()
  it("ends the child that was started in it and is waited for", function()
    local p
    assert.equal("EDEADLINE", select(3, task.timeout(0.02, function()
      p = assert(process.spawn { "sleep", "1000" })
      p:wait()
    end)))
    assert.same({ signal = "TERM" }, p:wait(support.patience))
  end)

  it("ends it also if it was cancelled before the wait began", function()
    local p
    local waiting = task.spawn(function()
      p = assert(process.spawn { "sleep", "1000" })
      task.current():cancel()
      p:wait()
    end)
    assert.equal("ECANCELED", select(3, waiting:join(support.patience)))
    assert.same({ signal = "TERM" }, p:wait(support.patience))
  end)

  -- Only a p:wait that was cancelled took the child along.
  it("ends it whatever the task waits for, or does", function()
    local p
    local function start() p = assert(process.spawn { "sleep", "1000" }) end
    local ways = {
      ["in a sleep"] = function()
        task.timeout(0.02, function() start() task.sleep(1000) end)
      end,
      ["caught"] = function()
        task.timeout(0.02, function() start() pcall(task.sleep, 1000) return 1 end)
      end,
      ["in an inner scope that was left"] = function()
        task.timeout(0.02, function() task.timeout(1000, start) task.sleep(1000) end)
      end,
      ["in the body of a group that was cancelled"] = function()
        pcall(task.group, function(g) start() g:cancel() task.sleep(1000) end)
      end,
      ["in a member of a group that failed"] = function()
        pcall(task.group, function(g)
          g:spawn(function() start() task.sleep(1000) end)
          g:spawn(function() task.yield() error "over" end)
        end)
      end,
      ["in a task that was cancelled"] = function()
        local t = support.parked(task.spawn(function() start() task.sleep(1000) end))
        t:cancel()
        t:join()
      end,
      ["in a coroutine"] = function()
        task.timeout(0.02, function() coroutine.wrap(start)() task.sleep(1000) end)
      end,
    }
    for name, way in pairs(ways) do
      way()
      local result, message = p:wait(support.patience)
      assert.same({ signal = "TERM" }, result, name .. ": " .. tostring(message))
    end
  end)

  it("leaves detached ones, and those that were started in a scope that ended well", function()
    local kept, detached
    task.timeout(1000, function() kept = assert(process.spawn { "sleep", "1000" }) end)
    task.timeout(0.02, function()
      detached = assert(process.spawn { "sleep", "1000", detached = true })
      task.sleep(1000)
    end)
    task.spawn(function() task.group(function() end) end):join()
    for _, p in ipairs { kept, detached } do
      assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0.02) })
      p:kill "KILL"
      assert.same({ signal = "KILL" }, p:wait(support.patience))
      p:close()
    end
  end)

  it("leaves one that was started outside of it", function()
    local p <close> = assert(process.spawn { "sleep", "1000" })
    assert.equal("EDEADLINE", select(3, task.timeout(0.02, p.wait, p)))
    assert.is_true(is_alive(p.pid))
    p:close()
    p:wait()
  end)

  it("is noticed in each wait: on entry, for the end, for output, for room, in select", function()
    local p <close> = assert(process.spawn { "sleep", "1000", stdin = "pipe", stdout = "pipe" })
    local waits = {
      function() p:wait() end,
      function() p.stdout:read_some() end,
      function() p.stdin:write(("x"):rep(1024 * 1024)) end,
      function() channel.select { { p, "wait" }, { p.stdout, "readable" } } end,
    }
    for _, wait in ipairs(waits) do
      local waiting = support.parked(task.spawn(wait))
      waiting:cancel()
      assert.equal("ECANCELED", select(3, waiting:join(support.patience)))
    end
    assert.same({ nil, "timeout", "ETIMEDOUT" }, { p:wait(0) })
    p:close()
    p:wait()
  end)

  it("ends a run in whatever it does", function()
    local runs = {
      { "sleep", "1000" },
      { "sleep", "1000", input = ("x"):rep(1024 * 1024) },
      { "cat", input = function() task.sleep(1000) end },
      { "sh", "-c", "trap '' TERM; echo; sleep 1000", kill_after = 0.01 },
      { "sh", "-c", "trap '' TERM; sleep 1000", timeout = 0.01, kill_after = 0.1 },
    }
    for _, opts in ipairs(runs) do
      local running = support.parked(task.spawn(process.run, opts))
      running:cancel()
      assert.equal("ECANCELED", select(3, running:join(support.patience)))
    end
    support.eventually(function() return children() == "" end)
  end)
end)

describe("the end of the program", function()
  -- Runs a program that prints the pid of a child and ends somehow; the child's pid.
  local function child_of(source)
    local output = support.run(source)
    return assert(tonumber(output:match "%d+"), output), output
  end

  it("ends the children", function()
    eventually_gone((child_of [[print(require "moonlet.process".spawn { "sleep", "1000" }.pid)]]))
  end)

  it("ends them at os.exit, too", function()
    eventually_gone((child_of [[
      print(require "moonlet.process".spawn { "sleep", "1000" }.pid)
      os.exit(0)]]))
  end)

  it("ends them after an error", function()
    eventually_gone((child_of [[
      print(require "moonlet.process".spawn { "sleep", "1000" }.pid)
      error "over"]]))
  end)

  it("kills those that ignore that they are asked, with their groups", function()
    local pid, output = child_of [[
      local p = require "moonlet.process".spawn { "sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; wait",
        stdout = "pipe", kill_after = 0.05 }
      print(p.pid, p.stdout:read_line())]]
    eventually_gone(pid)
    eventually_gone(tonumber(output:match "%d+%s+(%d+)"))
  end)

  it("leaves the detached ones", function()
    local pid = child_of [[
      local p = require "moonlet.process".spawn { "sleep", "1000", detached = true,
        stdout = "null", stderr = "null" }
      p:close()
      print(p.pid)]]
    assert.is_true(is_alive(pid))
    assert.is_true((support.shell("ps -o sid= -p " .. pid)):match "%d+" == tostring(pid))
    os.execute("kill -KILL " .. pid)
  end)

  it("does not come from a child that is waited for alone", function()
    local output = support.run [[
      local process, channel = require "moonlet.process", require "moonlet.channel"
      local p = process.spawn { "sleep", "0.1" }
      print(channel.select { { p, "wait" } })]]
    assert.truthy(output:find "^1\ttable")
  end)
end)

describe("a child that nobody keeps", function()
  it("is ended, with a warning", function()
    local output = support.run([[
      do
        local p = require "moonlet.process".spawn { "sleep", "1000" }
        print(p.pid)
      end
      collectgarbage() collectgarbage()]], "-W")
    eventually_gone(tonumber(output:match "%d+"))
    assert.truthy(output:find("sleep 1000 (runs) was never closed; made at script:2", 1, true), output)
  end)
end)
