-- Keeps a list of commands alive.
--
--     moonlet scripts/supervisor.lua [-b SECONDS] [-B SECONDS] [-k SECONDS] [-l DIRECTORY] FILE
--
-- FILE has a line "NAME: COMMAND" for each; "#" begins a comment. A shell runs COMMAND, in a group
-- of its own. One that ends is started again after a pause, which doubles from -b (0.5) to -B (30)
-- seconds while it ends soon, and is the shortest again once it has run for -B seconds. Each line
-- that a command writes is printed with the time and the name, or appended to DIRECTORY/NAME.log.
-- INT or TERM asks all commands to end, kills after -k (5) seconds those that have not, and ends.
-- HUP reads FILE again: new commands begin, those that are gone or changed end.
local process = require "moonlet.process"
local signal = require "moonlet.signal"
local task = require "moonlet.task"

local USAGE = "usage: moonlet supervisor.lua [-b SECONDS] [-B SECONDS] [-k SECONDS] "
  .. "[-l DIRECTORY] FILE\n"
local LONGEST_LINE = 64 * 1024 -- bytes; a longer one is printed in pieces

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local OPTIONS = { ["-b"] = "shortest", ["-B"] = "longest", ["-k"] = "kill_after" }

local function read_arguments()
  local settings, i = { shortest = 0.5, longest = 30, kill_after = 5 }, 1
  while arg[i] and arg[i]:find "^%-" do
    local word, value = arg[i], arg[i + 1]
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif OPTIONS[word] and (tonumber(value) or -1) >= 0 then
      settings[OPTIONS[word]] = tonumber(value)
    elseif word == "-l" and value then
      settings.directory = value
    else
      fail(USAGE)
    end
    i = i + 2
  end
  settings.file = arg[i]
  if not arg[i] or arg[i + 1] then fail(USAGE) end
  return settings
end

-- The commands of the file by their names; or nil and what is wrong.
local function read_commands(path)
  local file <close>, message = io.open(path)
  if not file then return nil, message end
  local text, why = file:read "a"
  if not text then return nil, path .. ": " .. why end
  local commands, number = {}, 0
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    local name, command = line:match "^%s*([%w_.-]+)%s*:%s*(.-)%s*$"
    if name and command ~= "" then
      if commands[name] then
        return nil, ("%s:%d: two commands named %s"):format(path, number, name)
      end
      commands[name] = command
    elseif not line:find "^%s*#" and line:find "%S" then
      return nil, ("%s:%d: NAME: COMMAND expected"):format(path, number)
    end
  end
  return commands
end

-- ---- what is printed ----

local settings = read_arguments()

local function print_line(name, text)
  io.write(os.date "%H:%M:%S ", name, ": ", text, "\n")
  io.flush()
end

-- Where the lines of a command go, and how to close that. A log that cannot be written does not end
-- the command: its lines are printed.
local function open_log(name)
  if not settings.directory then return print_line, function() end end
  local log, message = io.open(settings.directory .. "/" .. name .. ".log", "a")
  if not log then
    print_line(name, message)
    return print_line, function() end
  end
  log:setvbuf "line"
  return function(_, text) log:write(os.date "%Y-%m-%d %H:%M:%S ", text, "\n") end,
    function() log:close() end
end

local function copy_lines(name, stream)
  local write, close = open_log(name)
  local line, _, code = stream:read_line(LONGEST_LINE)
  while line or code == "EMSGSIZE" do
    write(name, line or stream:read_exactly(LONGEST_LINE))
    line, _, code = stream:read_line(LONGEST_LINE)
  end
  close()
end

-- ---- the commands ----

-- Runs the command once. Returns how it has ended, for people. keeper.process is the last one. When
-- the task is cancelled, the command is asked to end; its last words are still copied.
local function run_once(name, keeper)
  local command = keeper.command
  local p, message = process.spawn {
    "/bin/sh", "-c", "--", command,
    stdout = "pipe", stderr = "stdout", kill_after = settings.kill_after,
  }
  if not p then return message end
  keeper.process = p
  print_line(name, ("started, process %d"):format(p.pid))
  local copying = task.spawn({ daemon = true }, copy_lines, name, p.stdout)
  local result, why = p:wait()
  copying:join(1) -- a process that has left the group may hold the pipe
  p:close()
  if not result then return why end
  return result.signal and "killed by " .. result.signal or "ended with status " .. result.status
end

-- The process of the name's former command, if there is one, may need time to end.
local function keep_alive(name, keeper)
  if keeper.process then keeper.process:wait() end
  local pause = settings.shortest
  while true do
    local begun = task.now()
    local how = run_once(name, keeper)
    if task.now() - begun >= settings.longest then pause = settings.shortest end
    print_line(name, ("%s; again in %g s"):format(how, pause))
    task.sleep(pause)
    pause = math.max(settings.shortest, math.min(2 * pause, settings.longest))
  end
end

local keepers = {} -- by name: the command, its task and its process

local function stop(name)
  keepers[name].task:cancel()
  keepers[name] = nil
end

-- Ends the commands that are not on the list as they are, begins those that are missing.
local function adjust(commands)
  local before = {}
  for name, keeper in pairs(keepers) do
    if commands[name] ~= keeper.command then
      before[name] = keeper.process
      stop(name)
    end
  end
  for name, command in pairs(commands) do
    if not keepers[name] then
      local keeper = { command = command, process = before[name] }
      keeper.task = task.spawn({ name = name }, keep_alive, name, keeper)
      keepers[name] = keeper
    end
  end
end

local commands, message = read_commands(settings.file)
if not commands then fail(message .. "\n") end
local signals <close> = assert(signal.open("TERM", "INT", "HUP"))
adjust(commands)
print_line("supervisor", "ready")
local name = signals:wait()
while name == "HUP" do
  commands, message = read_commands(settings.file)
  print_line("supervisor", commands and "read again" or message)
  if commands then adjust(commands) end
  name = signals:wait()
end
print_line("supervisor", ("%s: ending"):format(name))
-- Those that ignore that they are asked are killed.
local processes = {}
for keeper_name, keeper in pairs(keepers) do
  processes[#processes + 1] = keeper.process
  stop(keeper_name)
end
for _, p in ipairs(processes) do p:wait() end
