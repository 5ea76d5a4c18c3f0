--- moonlet --attach: another program's tasks in the terminal.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local it = support.limited(it)
local http = require "moonlet.http"
local process = require "moonlet.process"

local MOONLET = os.getenv "MOONLET"

local BUSY = [[
  local task = require "moonlet.task"
  task.spawn({ name = "busy" }, function() while true do task.sleep(0.01) end end)
  task.spawn({ name = "burner" }, function()
    while true do
      local stop = os.clock() + 0.05
      while os.clock() < stop do end
      task.sleep(0.02)
    end
  end)
  task.spawn({ name = "idle\27[2J\n" }, task.sleep, 1000)
  task.sleep(1000)
]]

local function run(...)
  local words = { MOONLET, ... }
  words.timeout = support.patience
  local result = assert(process.run(words))
  return result.stdout .. result.stderr, result.status
end

describe("moonlet --attach", function()
  it("prints the tasks once where there is no terminal, the one that computes most first", function()
    local program <close> = inspected.start(BUSY)
    local output, status
    support.eventually(function() -- where many programs run, 100 ms may be too short for an answer
      output, status = run("--attach", "unix:" .. program.path)
      return status == 0
    end)
    -- The fifth is the one that answers; while another one computes, no task is needed for that.
    assert.matches("^[45] tasks, by cpu\n\n +id  name[^\n]-cpu %%  +runs/s[^\n]-\n"
      .. " +%d+  burner +%w+ +[%d.]+ s +%d+%.%d", output)
    assert.matches("idle%?%[2J%?", output) -- no control character of the program reaches the terminal
  end)

  it("asks a program once more that is in a C function for a while", function()
    local program <close> = inspected.start [[
      local task = require "moonlet.task"
      task.spawn({ name = "idle" }, task.sleep, 1000)
      print "begun"
      while true do -- the C function takes longer than the 0.1 s that the inspector waits for an answer
        (("a"):rep(11000)):find "a*b"
        task.sleep(0.1)
      end
    ]]
    program:line "begun"
    local output, status = run("--attach", "unix:" .. program.path)
    assert.equal(0, status, output)
    assert.matches("idle", output)
  end)

  it("shows them in a terminal, with keys, and leaves it as it was", function()
    local program <close> = inspected.start(BUSY)
    local child <close> = assert(process.spawn {
      MOONLET, "--attach", "unix:" .. program.path, pty = { rows = 20, cols = 100 },
    })
    local seen = ""
    local function shows(pattern)
      while not seen:find(pattern) do
        local more = child.pty:read_some()
        if not more then error("not shown: " .. pattern .. " in " .. seen, 2) end
        seen = seen .. more
      end
      seen = ""
    end
    child.pty:set_timeout(support.patience)
    shows "\27%[%?1049h.-busy"
    child.pty:write "/idle"
    shows "search: idle"
    child.pty:write "\r\r"
    shows "spawned at .-script%.lua:10"
    child.pty:write "\27"
    shows "with 'idle'"
    child.pty:write "s"
    shows "by rate"
    child.pty:write "q"
    shows "\27%[%?1049l"
    assert.are.equal(0, child:wait(support.patience).status)
  end)

  it("says that there is nothing to attach to", function()
    local output, status = run("--attach", "999999999")
    assert.are.equal(1, status)
    assert.matches("there is no process 999999999\n$", output) -- and no traceback of moonlet's own calls
    output, status = run("--attach", "1")
    assert.are.equal(1, status)
    assert.matches("process 1 has no inspector here: start it with %-%-inspect[^\n]*\n$", output)
    output, status = run("--attach", "unix:/nowhere/at.all")
    assert.are.equal(1, status)
    assert.matches("/nowhere/at.all.-No such file[^\n]*\n$", output)
    output, status = run("--attach", "nothing")
    assert.are.equal(1, status)
    assert.matches("'nothing' is no PID, unix:PATH or URL with a token\n$", output)
    assert.are.equal(1, (select(2, run("--attach"))))
  end)

  it("serves the page to a browser, with a token of its own", function()
    local program <close> = inspected.start(BUSY)
    local child <close> = assert(process.spawn {
      MOONLET, "--attach", "unix:" .. program.path, "--web", stdout = "pipe",
    })
    local url = child.stdout:read_line()
    local client <close> = http.client { cookies = true }
    assert.are.equal(403, assert(client:get((url:gsub("%?.*", "")))).status)
    assert.matches("<title>moonlet", assert(client:get(url)).body)
    local texts
    support.eventually(function() -- where many programs run, 100 ms may be too short for an answer
      texts = assert(client:post(url:gsub("%?.*", "") .. "evaluate", { json = { code = "1 + 1" } })):json().texts
      return texts
    end)
    assert.are.same({ "2" }, texts)
    child:kill "KILL"
    child:wait(support.patience)
  end)
end)
