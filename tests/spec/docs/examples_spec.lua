--- The programs of examples/ do what their heads say. Those whose library is missing were not built.

local http = require "moonlet.http"
local net = require "moonlet.net"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local EXAMPLES = assert(os.getenv "MOONLET_EXAMPLES")

local function is_built(name)
  local file = io.open(EXAMPLES .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end

local function run(name)
  local output, status = support.shell(EXAMPLES .. "/" .. name)
  return output, status
end

-- Output, or nil: the test is pending. tries: what depends on the real clock gets other chances on a busy machine (1).
local function prints(name, expected, tries)
  if not is_built(name) then return pending("examples/" .. name .. " was not built") end
  local output, status
  for _ = 1, tries or 1 do
    output, status = run(name)
    if output == expected then break end
  end
  assert.equal(expected, output)
  assert.equal(0, status)
end

describe("of the examples", function()
  it("hello runs a script whose tasks wait in the host's function", function()
    prints("hello", "both are greeted at once\nhello, world\nhello, moon\nstatus 0\n")
  end)

  it("game has actors that follow its clock", function()
    prints("game", [[
frame   0, 0.02 s: the guard walks round 1
frame  30: pause
frame 120, 1.02 s: the guard walks round 2
frame 150, 1.52 s: the thief is bored
frame 180: slow motion
frame 183, 2.02 s: the guard opens the door
frame 183, 2.02 s: the thief slips in
frame 233, 2.53 s: the thief is gone
after frame 234 all actors are done
]], 20) -- of each frame 5 ms of the real clock are the actors'
  end)

  it("expat_elements reads a parser's callbacks in order", function()
    prints("expat_elements", "menu\ndish 1\ndish 2\ndrink\n")
  end)

  it("sqlite_progress shares the thread with a query, and ends one", function()
    prints("sqlite_progress", [[
query: done
sum 200010000, with many turns for others
query: interrupted
endless: cancelled
]])
  end)

  it("glib_loop runs tasks beside GLib's timers", function()
    prints("glib_loop", "task\t1\ntask\t2\ntask\t3\nGLib's timer went on\n", 20)
  end)

  it("exceptions keeps each task's own", function()
    prints("exceptions", "a: guard\nb: guard\nc: guard\na: thrown by a\nb: thrown by b\nc: thrown by c\n")
  end)

  it("tcp_server serves connections side by side", function()
    local pipe <close> = assert(io.popen(EXAMPLES .. "/tcp_server 3"))
    local port = tonumber(pipe:read "l":match "port (%d+)")
    local conns = {}
    for i = 1, 3 do
      conns[i] = assert(net.connect("127.0.0.1", port))
      assert.equal("who are you?", conns[i]:read_line())
    end
    for i = 3, 1, -1 do
      assert(conns[i]:write("guest ", i, "\n"))
      assert.equal("good day, guest " .. i, conns[i]:read_line())
      assert.is_nil(conns[i]:read_line())
      conns[i]:close()
    end
    assert.equal("", pipe:read "a")
  end)

  it("workers serves from several processes, reloads, and stops", function()
    local port = support.free_port()
    local program <close> = assert(process.spawn { EXAMPLES .. "/workers", tostring(port), "3", stderr = "pipe",
      kill_after = 20 })
    local lines = program.stderr:lines()
    local function await(pattern)
      for line in lines do
        if line:find(pattern) then return end
      end
      error("it has not said " .. pattern)
    end
    local function ask()
      local client <close> = http.client()
      return assert(client:get(("http://127.0.0.1:%d/"):format(port))).body
    end
    await "^workers: 3 workers ready"
    assert.truthy(ask():find "^worker [123] of 3, generation 1\n$")
    program:kill "HUP"
    await "generation 2 serves"
    support.eventually(function() return ask():find "^worker [123] of 3, generation 2\n$" end)
    program:kill "TERM"
    assert.equal(0, assert(program:wait(support.patience)).status)
  end)

  it("workers says how it is called, and why it cannot begin", function()
    local output, status = support.shell(EXAMPLES .. "/workers 2>&1")
    assert.equal("usage: workers PORT [COUNT]\n", output)
    assert.equal(1, status)
    output, status = support.shell(EXAMPLES .. "/workers 8080 2000 2>&1")
    assert.truthy(output:find "^workers: .*[Ii]nvalid", output)
    assert.equal(1, status)
  end)
end)
