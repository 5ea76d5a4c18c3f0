-- Signals, for tests/faults/sweep.lua: whatever call fails, a listener works or is refused; afterwards the signals
-- do what they did before. Exit status 3: they do not, or something is left.

local channel = require "moonlet.channel"
local signal = require "moonlet.signal"
local task = require "moonlet.task"
local terminal = require "moonlet.terminal"
local test = require "moonlet.test"

local PATIENCE = 0.2

local step = dofile "tests/faults/step.lua" {}

local function send(name) return os.execute("kill -" .. name .. " $PPID") end

local function everything()
  step("listeners", function()
    local one <close>, message, code = signal.open("USR1", "RTMIN+1")
    if not one then return nil, message, code end
    local two <close>, other_message, other_code = signal.open("USR1", "HUP")
    if not two then return nil, other_message, other_code end
    local sent = send "USR1" and send "HUP"
    local name = one:wait(PATIENCE)
    if sent and name ~= "USR1" then error "a signal is lost" end
    return channel.select { { two, "wait" }, { one, "wait" }, timeout = PATIENCE }
  end)
  step("a queue that grows", function()
    local s <close>, message, code = signal.open "RTMIN+2"
    if not s then return nil, message, code end
    os.execute "for i in 1 2 3 4 5 6 7 8 9 10; do for k in 1 2 3 4 5 6 7 8 9 10; do kill -36 $PPID; done; done"
    local count = s:lost()
    while s:wait(0) do count = count + 1 end
    return count
  end)
  step("functions", function()
    local handler <close>, message, code = signal.on("USR2", function() end)
    if not handler then return nil, message, code end
    send "USR2"
    return task.sleep(0.001)
  end)
  step("a terminal", function()
    local file <close> = assert(io.open("/dev/ptmx", "r+"))
    local raw <close>, message, code = terminal.raw(file)
    return raw and true, message, code
  end)
  step("no terminal", function() return terminal.raw(io.stdin) end)
end

local left = test.leaks()
step("warm", function() -- what is kept to the end
  local s, message, code = signal.open "USR1"
  if not s then return nil, message, code end
  return s:close()
end)
everything()
dofile "tests/faults/end.lua"(left)
