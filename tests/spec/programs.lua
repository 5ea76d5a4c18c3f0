--- Runs example programs as their reader would: in the foreground or in the background, with their output,
-- complaints and exit status.
-- Loaded with dofile("tests/spec/programs.lua").

local support = dofile "tests/spec/support.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local programs = {}

local MOONLET = os.getenv "MOONLET" or arg[-1]
local SCRIPTS = (os.getenv "MOONLET_SOURCE" or ".") .. "/scripts/"
local PATIENCE = 60 -- seconds for what takes a fraction of one; sanitizers are slow
programs.patience, programs.scripts = PATIENCE, SCRIPTS

local directory -- of this run's files
local running = {} -- programs to be stopped after the test

function programs.quote(word)
  return "'" .. tostring(word):gsub("'", [['\'']]) .. "'"
end

--- What is in a file, "" when there is none yet.
function programs.read_file(path)
  return support.read_file(path) or ""
end

function programs.write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

--- Waits until the condition is true, and returns its value.
function programs.eventually(what, condition)
  local deadline = task.now() + PATIENCE
  repeat
    local value = condition()
    if value then return value end
    task.sleep(0.01)
  until task.now() > deadline
  error("in vain: " .. what, 2)
end

function programs.installed(program)
  return (os.execute("command -v " .. program .. " >/dev/null 2>&1"))
end

--- Runs a shell command to its end. Returns what it printed, what it complained of, its exit status. It has
-- the processor for itself: the tasks of this program stand still meanwhile.
function programs.run(command)
  local errors = directory .. "/errors"
  local pipe = assert(io.popen(string.format("timeout %d sh -c %s 2>%s", PATIENCE, programs.quote(command),
    errors)))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, programs.read_file(errors), status
end

--- The command that runs a script, without warnings of a machine that is slow today.
function programs.command_line(script, ...)
  local words = {programs.quote(MOONLET), "--slow", "0", programs.quote(SCRIPTS .. script)}
  for i = 1, select("#", ...) do words[#words + 1] = programs.quote((select(i, ...))) end
  return table.concat(words, " ")
end

function programs.run_script(...)
  return programs.run(programs.command_line(...) .. " </dev/null")
end

--- Runs a script with each of the lists of words; fails unless it prints its usage, and that alone, and exits 1.
-- script: its name, or nil when each list begins with one.
function programs.refuse_words(script, lists)
  for _, words in ipairs(lists) do
    words = { script or words[1], table.unpack(words, script and 1 or 2) }
    local output, errors, status = programs.run_script(table.unpack(words))
    local usage = errors:match "^usage: moonlet %S+"
    if output ~= "" or usage ~= "usage: moonlet " .. words[1] or status ~= 1 then
      error(("%s: exit status %s, %q, %q"):format(table.concat(words, " "), status, output, errors), 2)
    end
  end
end

local Program = {}
Program.__index = Program

--- Starts a shell command in the background. The pid is that of the command itself; its exit status
-- goes into a file when it has ended. It heeds SIGINT, which a shell has what it starts in the background ignore.
function programs.start(command)
  local base = os.tmpname()
  os.remove(base)
  base = directory .. "/" .. base:match "[^/]*$"
  os.execute(string.format([[{ sh -c %s </dev/null >%s.out 2>%s.err &
    echo $! >%s.pid; wait $!; echo $? >%s.ended; } >/dev/null 2>&1 &]],
    programs.quote("exec env --default-signal=INT " .. command), base, base, base, base))
  local program = setmetatable({base = base}, Program)
  program.pid = programs.eventually("the pid of " .. command, function()
    return tonumber(programs.read_file(base .. ".pid"):match "^(%d+)\n")
  end)
  table.insert(running, program)
  return program
end

function Program:output() return programs.read_file(self.base .. ".out") end

function Program:errors() return programs.read_file(self.base .. ".err") end

function Program:status() return tonumber(programs.read_file(self.base .. ".ended"):match "^(%d+)\n") end

function Program:wait()
  return programs.eventually("the end of a program", function() return self:status() end)
end

--- Waits until it has printed the pattern, and returns what that captures.
function Program:printed(pattern)
  return programs.eventually("'" .. pattern .. "' from a program", function()
    return self:output():match(pattern) or
      self:status() and error("it ended: " .. self:output() .. self:errors(), 0)
  end)
end

--- Waits until it sleeps, for events: Ctrl-C before is an error where its code stands.
function Program:await_sleep()
  programs.eventually("a program that sleeps", function()
    return programs.read_file(("/proc/%d/stat"):format(self.pid)):find "%) S " or self:status()
  end)
end

--- Starts a script that is a server, with its arguments. Returns its port and the program.
function programs.start_server(...)
  local server = programs.start(programs.command_line(...))
  local port = tonumber(server:printed "listening on %S+:(%d+)[^\n]*\n")
  server:await_sleep()
  return port, server
end

local NGINX = [[
  daemon off; master_process off; pid nginx.pid; error_log stderr;
  events { worker_connections 1024; }
  http {
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    server { listen 127.0.0.1:%d%s; root html; %s }
  }]]

--- Starts nginx in this run's directory. Its files come from a table, names to texts; `server`: what its server block
-- has besides; `listens`: more words of `listen`. Returns its port and the program.
function programs.start_nginx(files, server, listens)
  local port, prefix = support.free_port(), directory .. "/nginx"
  os.execute("mkdir -p " .. programs.quote(prefix .. "/html"))
  for name, text in pairs(files) do programs.write_file(prefix .. "/html/" .. name, text) end
  programs.write_file(prefix .. "/nginx.conf", NGINX:format(port, listens or "", server))
  local nginx = programs.start(("env PATH=\"$PATH:/usr/sbin\" timeout 110 nginx -p %s -c nginx.conf"):format(
    programs.quote(prefix .. "/")))
  programs.eventually("nginx", function()
    if nginx:status() then error("nginx ended: " .. nginx:errors(), 0) end
    local conn <close> = net.connect("127.0.0.1", port)
    return conn ~= nil
  end)
  return port, nginx
end

function Program:kill(signal)
  if self:status() then return end
  os.execute(string.format("kill -%s %d 2>/dev/null", signal, self.pid))
end

--- Makes the directory of this run's files.
function programs.open_directory()
  local pipe = assert(io.popen "mktemp -d")
  directory = pipe:read "l"
  pipe:close()
  return directory
end

function programs.remove_directory()
  os.execute("rm -rf " .. programs.quote(directory))
end

--- Ends every program that was started.
function programs.stop_all()
  for _, program in ipairs(running) do program:kill "KILL" end
  for _, program in ipairs(running) do program:wait() end
  running = {}
end

return programs
