--- moonlet.terminal, on a terminal of its own: what is typed at it, and how it is left.

local support = dofile "tests/spec/support.lua"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"
local terminal = require "moonlet.terminal"
local it = support.limited(it)

local PRELUDE = [[
local signal, task, terminal = require "moonlet.signal", require "moonlet.task", require "moonlet.terminal"
io.stdout:setvbuf "no"
local function mode() os.execute "stty -a | tr ' ' '\n' | grep -x -e '-*icanon' | sed s/^/mode:/" end
local function send(name) os.execute("kill -" .. name .. " $PPID") end
]]

-- A shell on a terminal of its own that runs commands; "$RUN" in them is moonlet with the script.
local Session = {}
Session.__index = Session

local function open(script, commands, env)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(PRELUDE, script)
  file:close()
  local run = ("'%s' %s"):format(os.getenv "MOONLET", path)
  local text = (commands or "$RUN; echo \"status $?\"; stty -a | grep -o -e '-*icanon'"):gsub("%$RUN", run)
  local child = assert(process.spawn { "env", "TERM=xterm", "NO_COLOR=", "CLICOLOR_FORCE=", env or "X=1", "sh", "-c",
    text, pty = { rows = 24, cols = 80 } })
  return setmetatable({ child = child, path = path, seen = "", at = 1 }, Session)
end

function Session:__close()
  self.child:close()
  self.child:wait(support.patience)
  os.remove(self.path)
end

-- Waits until the pattern is shown, behind what was waited for before.
function Session:expect(pattern)
  while true do
    local first, last = self.seen:find(pattern, self.at)
    if first then
      self.at = last + 1
      return self.seen:sub(first, last)
    end
    local more, message = self.child.pty:read_some(4096, support.patience)
    if not more then
      error(("%s: expected %q, got %q"):format(message or "end", pattern, self.seen:sub(self.at)), 2)
    end
    self.seen = self.seen .. more
  end
end

function Session:type(text) assert(self.child.pty:write(text)) end

-- Waits until the program has ended, and the terminal is as it was.
function Session:is_left(status)
  self:expect("status " .. status)
  self:expect "\nicanon"
end

describe("terminal.size", function()
  it("is that of the terminal, also after a change, which the signal WINCH tells", function()
    local t <close> = open [[
      local s <close> = signal.open "WINCH"
      print("size", terminal.size())
      print((s:wait(30)), terminal.size(io.stdin))]]
    t:expect "size\t24\t80"
    t.child:resize(50, 132)
    t:expect "WINCH\t50\t132"
    t:is_left(0)
  end)

  it("takes the first standard file that is a terminal", function()
    local t <close> = open("print('size', terminal.size())", "$RUN </dev/null | cat; $RUN 2>/dev/null | cat")
    t:expect "size\t24\t80"
    t:expect "size\t24\t80"
  end)

  it("fails for what is no terminal", function()
    local here, there = net.pair()
    local _ <close> = here
    assert.are.equal("ENOTTY", select(3, terminal.size(here)))
    there:close()
    assert.are.equal("EBADF", select(3, terminal.size(there)))
    local file <close> = assert(io.open "/dev/null")
    assert.are.equal("ENOTTY", select(3, terminal.size(file)))
    assert.has_error(function() terminal.size(1) end, "bad argument #1 to 'size' (file or stream expected, got number)")
  end)

  it("fails for a terminal that does not know its size", function()
    local t <close> = open("print(terminal.size())", "stty rows 0 cols 0; $RUN")
    t:expect "nil\t[^\t]+\tENODATA"
  end)
end)

describe("terminal.is", function()
  it("tells a terminal from other files and streams", function()
    local t <close> = open("print(terminal.is(io.stdin), terminal.is(io.stdout))\n"
      .. "local tty <close> = require 'moonlet.fs'.open('/dev/tty', 'r+')\n"
      .. "print(terminal.is(tty), terminal.size(tty)) tty:close() print(terminal.is(tty))", "$RUN; $RUN </dev/null")
    t:expect "true\ttrue"
    t:expect "true\t24\t80"
    t:expect "false"
    t:expect "false\ttrue"
    local file <close> = assert(io.open "/dev/null")
    assert.is_false(terminal.is(file))
    file:close()
    assert.is_false(terminal.is(file))
    assert.has_error(function() terminal.is() end, "bad argument #1 to 'is' (file or stream expected, got no value)")
    local child <close> = assert(process.spawn { "true", pty = {} })
    assert.is_true(terminal.is(child.pty))
    child:wait(support.patience)
  end)
end)

describe("terminal.raw", function()
  it("gives each key at once, while other tasks go on", function()
    local t <close> = open [[
      local raw <close> = assert(terminal.raw())
      local ticks = 0
      task.spawn({daemon = true}, task.every, 0.001, function()
        ticks = ticks + 1
        if ticks == 4 then print "others go on" end
      end)
      mode()
      for _ = 1, 3 do
        print("key", io.read(1):byte())
        ticks = 0
      end
      print(raw)]]
    t:expect "mode:%-icanon"
    t:type "a"
    t:expect "key\t97"
    t:expect "others go on"
    t:type "\3"
    t:expect "key\t3"
    t:type "\r"
    t:expect "key\t13"
    t:expect "terminal.mode raw %(open%)"
    t:is_left(0)
  end)

  it("ends with its block, with the last that the terminal has, and only once", function()
    local t <close> = open [[
      local one, two = assert(terminal.raw()), assert(terminal.raw(io.stdout, {signals = true}))
      one:close()
      one:close()
      mode()
      two:close()
      mode()
      do local three <close> = terminal.raw() end
      pcall(function() local four <close> = terminal.raw() error "x" end)
      mode()
      print(one, two)]]
    t:expect "mode:%-icanon"
    t:expect "mode:icanon"
    t:expect "mode:icanon"
    t:expect "terminal.mode raw %(closed%)\tterminal.mode raw %(closed%)"
    t:is_left(0)
  end)

  it("ends with the program, however that comes about", function()
    for script, status in pairs {
      ["terminal.raw()"] = 0,
      ["Kept = terminal.raw() os.exit(3)"] = 3,
      ["Kept = terminal.raw() os.exit(4, true)"] = 4,
      ["Kept = terminal.raw() error 'x'"] = 1,
      ["Kept = terminal.raw() send 'TERM' task.sleep(30)"] = 143,
      ["Kept = terminal.raw() send 'TERM' send 'TERM' task.sleep(30)"] = 143,
      ["Kept = terminal.raw() send 'HUP' task.sleep(30)"] = 129,
      ["Kept = terminal.raw() send 'USR1' task.sleep(30)"] = 138,
      ["Kept = terminal.raw() send 'ALRM' task.sleep(30)"] = 142,
      ["Kept = terminal.raw() send 'SEGV' task.sleep(30)"] = "13[94]", -- AddressSanitizer aborts
      ["Kept = terminal.raw() send 'ABRT' task.sleep(30)"] = 134,
      ["Kept = terminal.raw() local s = signal.open 'TERM' send 'TERM' print(s:wait()) os.exit(5)"] = 5,
    } do
      local t <close> = open(script, "ulimit -c 0; $RUN; echo \"status $?\"; stty -a | grep -o -e '-*icanon'")
      t:is_left(status)
    end
  end)

  it("ends before a second Ctrl-C ends a program that computes", function()
    local t <close> = open([[
      local raw <close> = assert(terminal.raw {signals = true})
      print(pcall(function() print "ready" while true do end end))
      mode()
      print "again"
      while true do end]], "trap : INT; $RUN; echo \"status $?\"; stty -a | grep -o -e '-*icanon'")
    t:expect "ready"
    t:type "\3"
    t:expect "interrupted!"
    t:expect "mode:%-icanon"
    t:expect "again"
    t:type "\3"
    t:is_left(130)
  end)

  it("is left while the program is stopped, and is back when it goes on", function()
    local t <close> = open([[
      local raw <close> = assert(terminal.raw {signals = true})
      mode()
      print("key", io.read(1))
      mode()]], "set -m; $RUN; stty -a | grep -o -e '-*icanon' | sed s/^/stopped:/; "
      .. "fg; echo \"status $?\"; stty -a | grep -o -e '-*icanon'")
    t:expect "mode:%-icanon"
    t:type "\26"
    t:expect "stopped:icanon"
    task.sleep(0.05)
    t:type "x"
    t:expect "key\tx"
    t:expect "mode:%-icanon"
    t:is_left(0)
  end)

  it("is no concern of a child that the program forks", function()
    local t <close> = open [[
      local raw <close> = assert(terminal.raw())
      os.execute "true"
      io.popen("true"):close()
      mode()]]
    t:expect "mode:%-icanon"
    t:is_left(0)
  end)

  it("fails for what is no terminal", function()
    local here, there = net.pair()
    local _ <close> = here
    assert.are.equal("ENOTTY", select(3, terminal.raw(here)))
    there:close()
    assert.are.equal("EBADF", select(3, terminal.raw(there)))
    assert.has_error(function() terminal.raw(io.stdin, { signal = true }) end,
      "bad argument #2 to 'raw' (unknown option 'signal')")
    assert.has_error(function() terminal.raw "x" end, "bad argument #1 to 'raw' (file or stream expected, got string)")
  end)

  it("refuses options that are no table", function()
    for _, value in ipairs { 5, "signals", true } do
      local expected = "bad argument #2 to 'raw' (table expected, got " .. type(value) .. ")"
      assert.has_error(function() terminal.raw(io.stdin, value) end, expected)
    end
    assert.has_error(function() terminal.raw { colour = 1 } end,
      "bad argument #2 to 'raw' (unknown option 'colour')")
  end)

  it("warns when it is forgotten", function()
    local t <close> = open("warn '@on' terminal.raw() collectgarbage() collectgarbage() mode()")
    t:expect "terminal.mode raw %(open%) was never closed; made at"
    t:expect "mode:icanon"
  end)
end)

describe("the program of the guide that fills the screen", function()
  it("draws anew when the window has another size, and leaves the terminal as it was", function()
    local guide = support.read_file "docs/guide-system.md"
    local program
    for block in guide:gmatch "\n```lua\n(.-)\n```\n" do
      if block:find('signal.on("WINCH", draw)', 1, true) then program = block end
    end
    for _, key in ipairs { "q", "\3" } do
      local t <close> = open(program)
      t:expect "80 x 24, 0 s"
      t.child:resize(50, 132)
      t:expect "\27%[25;%d+H132 x 50"
      t:expect "132 x 50, 1 s"
      t:type("x" .. key)
      t:expect "\27%[%?1049l"
      t:is_left(0)
    end
  end)
end)

describe("colours", function()
  local SCRIPT = "print(terminal.colours(), (terminal.style('x', 'bold red'):gsub('\\27', 'ESC')))"

  it("are for terminals", function()
    local t <close> = open(SCRIPT, "$RUN; $RUN | cat")
    t:expect "true\tESC%[1;31mxESC%[0m"
    t:expect "false\tx"
  end)

  it("are off and on where the environment says so", function()
    for setting, result in pairs { ["NO_COLOR=1"] = "false", ["TERM=dumb"] = "false", ["TERM="] = "false",
      ["CLICOLOR_FORCE=0"] = "true" } do
      local t <close> = open(SCRIPT, nil, setting)
      t:expect(result .. "\t")
    end
    local t <close> = open(SCRIPT, "$RUN | cat; NO_COLOR=1 $RUN | cat", "CLICOLOR_FORCE=1")
    t:expect "true\t"
    t:expect "false\t"
  end)

  it("are refused for what is no file, in the line of the caller", function()
    local _, message = pcall(function() terminal.colours(5) end)
    assert.truthy(message:find "terminal_spec.lua:%d+: bad argument #1 to 'colours' %(file or stream expected%)$")
    _, message = pcall(function() terminal.style("a", "red", {}) end)
    assert.truthy(message:find "terminal_spec.lua:%d+: bad argument #3 to 'style' %(file or stream expected%)$")
  end)

  it("have names", function()
    assert.are.equal("x", terminal.style("x", ""))
    assert.has_error(function() terminal.style("x", "bold rad") end,
      "bad argument #2 to 'style' (there is no style 'rad')")
    assert.has_error(function() terminal.style(1, "red") end, "bad argument #1 to 'style' (a text expected)")
    assert.has_error(function() terminal.style("x") end, "bad argument #2 to 'style' (words expected)")
  end)
end)
