-- The interactive mode on a real terminal (tests/support/on_terminal.c), typed at and read as a person would.

local net = require "moonlet.net"
local support = dofile("tests/spec/support.lua")
local it = support.limited(it)

local CTRL_C, CTRL_D, UP, LEFT, ERASE = "\3", "\4", "\27[A", "\27[D", "\r\27[J"

local function shell(command) assert(os.execute(command)) end

-- What a terminal would show, without the sequences that colour or move: for looking for texts.
local function plain(text) return (text:gsub("\27%[[%d;]*%a", ""):gsub("\r", "")) end

local session = {}
session.__index = session

-- Starts it; closed by <close>.
local function open(options)
  options = options or {}
  local directory = os.tmpname()
  os.remove(directory)
  shell("mkdir " .. directory)
  local listener <close> = assert(net.listen("unix:" .. directory .. "/socket"))
  local environment = ("XDG_STATE_HOME=%s TERM=xterm HOME=%s %s"):format(
    options.state or directory, directory, options.environment or "")
  local program = support.start(("env -u LUA_INIT %s %s/on_terminal %s/socket %s %s"):format(
    environment, os.getenv("MOONLET_TESTS"), directory, os.getenv("MOONLET"),
    options.arguments or ""))
  local conn = assert(listener:accept(support.patience))
  conn:set_timeout(support.patience)
  return setmetatable({ conn = conn, program = program, directory = directory, seen = "", at = 1 },
    session)
end

function session:__close()
  self.conn:close()
  getmetatable(self.program).__close(self.program)
  shell("rm -rf " .. self.directory)
end

-- Waits until the pattern is printed, behind what was waited for before; gives back what came up to its end.
function session:expect(pattern)
  while true do
    local _, last = self.seen:find(pattern, self.at)
    if last then
      local text = self.seen:sub(self.at, last)
      self.at = last + 1
      return text
    end
    local more, message = self.conn:read_some()
    if not more then
      error(("%s: expected %q, got %q"):format(message or "end", pattern, self.seen:sub(self.at)), 2)
    end
    self.seen = self.seen .. more
  end
end

function session:type(text) self.conn:write(text) end

-- Types an entry at the prompt; gives back what it prints, up to the next prompt.
function session:run(entry)
  self:type(entry .. "\n")
  self:expect("\n")
  self.at = self.at - 1
  return (plain(self:expect("\n> ")):match("^\n?(.-)\n?> $"))
end

-- An entry that starts a task, which runs the statement after tell(s).
local function when_told(s, statement)
  return ("task.spawn(function() while not os.rename('%s/told', '%s/heard') do task.sleep(0.01) end %s end)\n"):format(
    s.directory, s.directory, statement)
end

local function tell(s) shell("touch " .. s.directory .. "/told") end

local function started(options)
  local s = open(options)
  s:expect("> ")
  return s
end

describe("the interactive mode on a terminal", function()
  it("prints the values of an expression, strings quoted and their escapes visible", function()
    local s <close> = started()
    assert.equal('2\t"a\\nb\\0"\tnil', (s:run([[1 + 1, "a\nb\0", nil]]):gsub("\\x00", "\\0")))
    assert.equal("7", s:run("=3 + 4"))
    assert.equal("", s:run("local x = 1"))
    assert.equal("nil", s:run("x"))
  end)

  it("prints tables with sorted keys, bounded, and knows cycles and metatables", function()
    local s <close> = started()
    assert.equal('{ 1, 2, a = { ["b c"] = true }, z = "s" }',
      s:run([[{ 1, z = "s", a = { ["b c"] = true }, 2 }]]))
    s:run("t = { n = 1 } t.t = t")
    assert.equal("{ n = 1, t = {cycle} }", s:run("t"))
    assert.equal("{ { { { {...} } } } }", s:run("{{{{{1}}}}}"))
    s:run("meta = { __tostring = function(p) return 'point ' .. p[1] end }")
    assert.equal("point 1", s:run("setmetatable({ 1 }, meta)"))
    assert.equal("kind { 1 }", s:run("setmetatable({1}, { __name = 'kind' })"))
    assert.match("__tostring fails", s:run("setmetatable({}, { __tostring = error })"))
    s:run("t = {} for i = 1, 1e5 do t[i] = i end")
    assert.match("%.%.%. 99950 more", s:run("t"))
  end)

  it("asks on with the second prompt while an entry is incomplete", function()
    local s <close> = started()
    s:type("function f(a)\n")
    s:expect(">> ")
    s:type("return a end\n")
    s:expect("\n> ")
    assert.equal("5", s:run("f(5)"))
  end)

  it("Ctrl-C and Ctrl-D at the second prompt end that entry, and nothing else", function()
    local s <close> = started()
    s:type("for i = 1, 2 do\n")
    s:expect(">> ")
    s:type("print(i)\n")
    s:expect(">> ")
    s:type(CTRL_C)
    s:expect("\n> ")
    assert.equal("7", s:run("3 + 4"))
    s:type("for i = 1, 2 do\n")
    s:expect(">> ")
    s:type(CTRL_D)
    s:expect("'end' expected near <eof>")
    s:expect("> ")
    assert.equal("9", s:run("4 + 5"))
  end)

  it("takes a line of 20,000 characters", function()
    local s <close> = started()
    s:type(("x = '%s' print(#x)\n"):format(("a"):rep(20000)))
    s:expect("\n\r?20000\r")
    s:expect("> ")
    assert.equal("20000", s:run("#x"))
  end)

  it("takes its prompts from _PROMPT and _PROMPT2", function()
    local s <close> = started()
    s:type("_PROMPT, _PROMPT2 = '\\27[1mlua\\27[0m: ', 'more: '\n")
    s:expect("lua[^\n]*: ")
    s:type("for i = 1, 2 do\n")
    s:expect("more: ")
  end)

  it("prints an error with its traceback and goes on", function()
    local s <close> = started()
    local text = s:run("error('oops')")
    assert.match("^stdin:1: oops\nstack traceback:\n", text)
    assert.not_match("moonlet.repl", text)
    assert.match("^stdin:1: .*near", s:run("x x"))
    assert.equal("1", s:run("1"))
  end)

  it("completes keywords, globals, fields, methods and names of modules", function()
    local s <close> = started()
    local function completes(typed, expected)
      s:type(typed .. "\t")
      local _ = expected ~= "" and s:expect(expected)
      s:type("\21") -- clears the line
    end
    s:run("words = { alpha = { beta = 1 } } object = setmetatable({}, { __index = { method = print } })")
    completes("whi", "le")
    completes("tostr", "ing")
    completes("words.alp", "ha")
    completes("x = words.alpha.be", "ta")
    completes("object:me", "thod")
    completes("('x' .. wor", "ds")
    completes("require 'moonlet.chan", "nel")
    s:run("text = 'x'")
    completes("text:rever", "se")
  end)

  it("lists what fits when it is several", function()
    local s <close> = started()
    s:run("words = { alpha = 1, alpine = 2 }")
    s:type("words.al\t")
    s:expect("p")
    s:type("\t")
    s:expect("alpha +alpine")
    s:expect("> words.alp")
  end)

  it("offers no field whose name is a keyword or no name", function()
    local s <close> = started()
    s:run("words = { ['end'] = 1, ['a b'] = 2, enough = 3 }")
    s:type("words.\t")
    s:expect("enough")
    s:type("\n")
    s:expect("> ")
  end)

  it("keeps a history from session to session, which is bounded", function()
    local first <close> = started()
    first:run("'from the first session'")
    first:type(CTRL_D)
    first:expect("<exit 0>")
    local path = first.directory .. "/moonlet/history"
    local file = assert(io.open(path))
    assert.equal("'from the first session'\n", file:read("a"))
    file:close()
    do
      local second <close> = started { state = first.directory }
      second:type(UP .. "\n")
      second:expect('"from the first session"')
    end
    file = assert(io.open(path, "w"))
    for i = 1, 2500 do file:write("x = ", i, "\n") end
    file:close()
    local third <close> = started { state = first.directory }
    third:type(UP .. "\n")
    third:expect("x = 2500")
    local count = 0
    for _ in io.lines(path) do count = count + 1 end
    assert.is_true(count <= 1001)
  end)

  it("keeps an entry of several lines as one, from session to session", function()
    local first <close> = started()
    first:type("for i = 1, 2 do\n")
    first:expect(">> ")
    first:type("print('turn ' .. i)\n")
    first:expect(">> ")
    first:type("end\n")
    first:expect("turn 2\r\n> ")
    first:type(UP .. "\n")
    first:expect("\nturn 1\r\nturn 2\r\n> ")
    first:type(CTRL_D)
    first:expect("<exit 0>")
    local second <close> = started { state = first.directory }
    second:type(UP .. "\n")
    second:expect("\nturn 1\r\nturn 2\r\n> ")
    second:type(UP .. "\n")
    second:expect("\nturn 1\r\nturn 2\r\n> ")
  end)

  it("remembers an entry that Ctrl-C broke off", function()
    local s <close> = started()
    s:type("function unfinished()\n")
    s:expect(">> ")
    s:type(CTRL_C)
    s:expect("\n> ")
    s:type(UP .. "\n")
    s:expect(">> ")
    s:type("return 'finished' end\n")
    s:expect("\n> ")
    assert.equal('"finished"', s:run("unfinished()"))
  end)

  it("lays out an error that is no text, and tells where it was raised", function()
    local s <close> = started()
    assert.match("^{ code = 7 }\nstack traceback:\n.*stdin:1: in main chunk", s:run("error { code = 7 }"))
    assert.match("^kind { 1 }\nstack traceback:\n", s:run("error(setmetatable({ 1 }, { __name = 'kind' }))"))
    assert.match("^speaks\nstack traceback:\n",
      s:run("error(setmetatable({}, { __tostring = function() return 'speaks' end }))"))
    assert.match("^nil\nstack traceback:\n", s:run("error()"))
  end)

  it("tells where another task raised an error, and no calls of moonlet's own modules", function()
    local s <close> = started()
    s:run("task = require 'moonlet.task'")
    s:run("function fail() error 'oops' end")
    local text = s:run("task.race { function() fail() return 1 end }")
    assert.match("^stdin:1: oops\nin task #%d+:\nstack traceback:\n.*'fail'.*spawned at stdin:1\nraised again", text)
    assert.not_match("[moonlet", text, 1, true)
    text = s:run("task.every(0.001, fail)")
    assert.match("^stdin:1: oops\nstack traceback:\n", text)
    assert.not_match("[moonlet", text, 1, true)
  end)

  it("tells the error of a closing variable that Ctrl-C ran", function()
    local s <close> = started()
    -- It prints once the entry waits: one that computes gets the error of lua5.4.
    s:type("do local c <close> = setmetatable({}, { __close = function() error 'clean-up broke' end }) "
      .. "local task = require 'moonlet.task' task.spawn(print, 'begun') task.sleep(1000) end\n")
    s:expect("\nbegun\r\n")
    s:type(CTRL_C)
    s:expect("stdin:1: clean%-up broke\r\nstack traceback:.*interrupted!\r\n> ")
  end)

  it("does without a history where it cannot be written", function()
    local s <close> = started { state = "/proc/none" }
    assert.equal("1", s:run("1"))
    s:type(UP .. "\n")
    s:expect("1\r*\n> ")
  end)

  it("edits the line, in any alphabet", function()
    local s <close> = started()
    s:type("'añc'" .. LEFT .. LEFT .. "\127" .. "ü\n")
    s:expect('"aüc"')
  end)
end)

describe("at the prompt", function()
  -- With a daemon that waits for work.
  local function with_worker(s)
    s:run("task, channel = require 'moonlet.task', require 'moonlet.channel'")
    s:run("c = channel.new()")
    s:run("t = task.spawn({ daemon = true }, function() for fn in c:values() do fn() end end)")
    s:run("main = task.current()")
    s:run("function tell() while main:status() ~= 'waiting' do task.yield() end print('waits') end")
  end

  -- Starts a daemon that prints again and again.
  local function with_printer(s, statement)
    s:run("task = require 'moonlet.task'")
    s:type("task.spawn({ daemon = true }, task.every, 0.05, function() " .. statement .. " end)\n")
    s:expect("\n.-> ")
  end

  it("other tasks go on, and what they print does not tear the line", function()
    local s <close> = started()
    with_printer(s, "print('tick')")
    s:type("12 +")
    s:expect("12 %+\r\27%[Jtick\r\n> 12 %+")
    s:type(" 30\n")
    s:expect("\n42\r\n")
  end)

  it("what goes to stderr does not tear it, nor warnings, nor text without a newline", function()
    local s <close> = started { arguments = "-W -i" }
    with_printer(s, "io.stderr:write('to stderr\\n') warn('of it') io.write('half') io.flush()")
    s:type("12 +")
    s:expect("12 %+\r\27%[Jto stderr\r\nLua warning: of it\r\nhalf\r\n> 12 %+")
  end)

  it("a line that stands in several rows is taken away as a whole", function()
    local s <close> = started()
    with_printer(s, "if is_long then print('now') end")
    s:run("is_long = true")
    s:type(("x"):rep(200))
    s:expect("\r\27%[2A\27%[Jnow\r\n> x+")
  end)

  it("the error of a task is told above the line, and the session goes on", function()
    local s <close> = started()
    s:run("task = require 'moonlet.task'")
    s:type(when_told(s, "error('in a task')"))
    s:expect("> ")
    s:type("1 +")
    s:expect("1 %+")
    tell(s)
    s:expect("failed: [^\n]*in a task")
    s:expect("> 1 %+")
    s:type("1\n")
    s:expect("\n2\r\n> ")
  end)

  it("Ctrl-C clears the line, as often as one likes", function()
    local s <close> = started()
    for _ = 1, 3 do
      s:type("1 + ")
      s:expect("1 %+ ")
      s:type(CTRL_C)
      s:expect("%^C\r\n> ")
    end
    s:type("function f()\n")
    s:expect(">> ")
    s:type(CTRL_C)
    s:expect("%^C\r\n> ")
    assert.equal("3", s:run("3"))
  end)

  it("Ctrl-C cancels an entry that waits, and nothing else", function()
    local s <close> = started()
    with_worker(s)
    for _ = 1, 2 do
      s:type("c:put(tell) task.sleep(1000)\n")
      s:expect("\nwaits\r\n")
      s:type(CTRL_C)
      s:expect("interrupted!\r\n> ")
    end
    assert.equal('"waiting"', s:run("t:status()"))
  end)

  it("Ctrl-C runs the clean-up of what it cancels", function()
    local s <close> = started()
    with_worker(s)
    s:type("do local x <close> = setmetatable({}, { __close = function() print('closed') end }) " ..
      "c:put(tell) pcall(task.sleep, 1000) print('never') end\n")
    s:expect("\nwaits\r\n")
    s:type(CTRL_C)
    assert.not_match("never\r\n", s:expect("closed\r\n.*interrupted!\r\n> "))
  end)

  it("Ctrl-C ends an entry that computes, and nothing else", function()
    local s <close> = started()
    with_worker(s)
    s:type("print('computes') while true do end\n")
    s:expect("\ncomputes\r\n")
    s:type(CTRL_C)
    s:expect("interrupted!\r\nstack traceback:")
    s:expect("> ")
    assert.equal('"waiting"', s:run("t:status()"))
  end)

  it("a second Ctrl-C ends the program when the entry does not end", function()
    local s <close> = started()
    s:run("function body() if not told then told = true print('once') end while true do end end")
    s:type("while true do pcall(body) print('caught') end\n")
    s:expect("\nonce\r\n")
    s:type(CTRL_C)
    s:expect("caught\r\n")
    s:type(CTRL_C)
    s:expect("<exit %-2>")
  end)

  it("an entry that nothing can wake is told as a deadlock, and the session goes on", function()
    local s <close> = started()
    local text = s:run("require 'moonlet.channel'.new():get()")
    assert.match("deadlock: 1 task", text)
    assert.equal("1", s:run("1"))
  end)

  it("a task survives the entry that spawned it", function()
    local s <close> = started()
    with_worker(s)
    s:run("c:put(function() done = 'yes' end)")
    assert.equal('"yes"', s:run("done"))
  end)

  it("tasks get their turns between lines that are pasted", function()
    local s <close> = started()
    with_worker(s)
    s:type("c:put(function() done = 'yes' end)\ndone\n")
    s:expect("\n\"yes\"\r\n> ")
  end)

  it("Ctrl-D ends the program, and daemons with it", function()
    local s <close> = started()
    with_worker(s)
    s:type(CTRL_D)
    s:expect("<exit 0>")
  end)

  it("Ctrl-D waits for other tasks, and says so", function()
    local s <close> = started()
    s:run("task = require 'moonlet.task'")
    s:run("task.spawn(task.sleep, 1000)")
    s:type(CTRL_D)
    s:expect("waiting for 1 task")
    s:type(CTRL_C)
    s:expect("<exit 130>")
  end)

  it("os.exit works, also while a line is edited", function()
    local s <close> = started()
    s:type("os.exit(3)\n")
    s:expect("<exit 3>")
    local other <close> = started { arguments = "-i -e 'shell = io.popen'" }
    other:run("task = require 'moonlet.task'")
    other:type(when_told(other, "os.exit(4)"))
    other:expect("> ")
    other:type("1 +")
    other:expect("1 %+")
    tell(other)
    other:expect("<exit 4>")
  end)

  it("a line is shown anew when the terminal has another size", function()
    local s <close> = started()
    s:type("abc")
    s:expect("abc")
    s:type("\255\40")
    s:expect("\27%[J.-> abc")
  end)

  it("a script given with -i runs first", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("from_script = ...")
    file:close()
    local s <close> = started { arguments = "-i " .. path .. " 17" }
    os.remove(path)
    assert.equal('"17"', s:run("from_script"))
  end)

  it("a plain terminal gets a plain prompt", function()
    local s <close> = started { environment = "TERM=dumb" }
    s:type("{}\n")
    s:expect("table: 0x")
  end)
end)
