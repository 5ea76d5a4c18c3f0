--- Other programs as children: started from lists of arguments, without a shell, with streams,
-- files and terminals.
-- @module moonlet.process

local error, pairs, setmetatable = error, pairs, setmetatable
local tostring, type = tostring, type
local os_getenv = os.getenv
local argument = require "moonlet.argument"
local core = require "moonlet.process.core"
local run = require "moonlet.process.run"
local start = require "moonlet.process.start"
require "moonlet.net" -- whose streams it returns

local process = {}

--- A child.
-- @object Process
-- @tfield integer pid
-- @tfield ?stream stdin what is written here the child reads; nil unless it is a pipe
-- @tfield ?stream stdout what the child writes; nil unless it is a pipe
-- @tfield ?stream stderr the same
-- @tfield ?stream pty the other side of the child's terminal, with the option pty
local Process = {}
Process.__index = Process
Process.__name = "process"

local SPAWN = {
  stdin = true, stdout = true, stderr = true, cwd = true, env = true, group = true, pty = true,
  kill_after = true, limit = true, detached = true, user = true,
}
local SPAWN_DEFAULTS = { stdin = "null", stdout = "inherit", stderr = "inherit" }

-- Starts the child: a Process; or nil, message, code.
local function launch(what)
  if what.user_name then
    local user, group, groups = core.find_user(what.user_name)
    if not user then
      return nil, ("user %s: no such user or group"):format(what.user_name), groups
    end
    what.user, what.user_group, what.user_groups = user, group, groups
  end
  local handle, pid, stdin, stdout, stderr, pty = start.spawn(what)
  if not handle then return start.failure(what, pid, stdin, stdout, stderr) end
  return setmetatable({
    pid = pid, stdin = stdin, stdout = stdout, stderr = stderr, pty = pty, handle = handle,
  }, Process)
end

--- Starts a program. Waits only to look for the option user.
-- @function spawn
-- @tparam table opts the command and its arguments as a list, and these fields. A command without
-- "/" is looked for in the PATH of the option env, if it has one, or in this program's.
-- @tparam[opt="null"] string|file|stream opts.stdin "pipe": the field stdin of the result;
-- "inherit": as this program's; "null"; an open file; or a stream, which is closed here
-- @tparam[opt="inherit"] string|file|stream opts.stdout the same
-- @tparam[opt="inherit"] string|file|stream opts.stderr the same; or "stdout": goes where that goes
-- @tparam[opt] string opts.cwd the directory in which the program runs, and from which a relative
-- command is looked for
-- @tparam[opt] table opts.env all of its environment, names to texts; process.env() gives this
-- program's, with changes
-- @tparam[opt=true] boolean opts.group it leads a process group of its own: close(), kill() and
-- Ctrl-C concern the group, and what is left of the group when it has ended is killed
-- @tparam[opt=false] boolean opts.detached it lives on by itself, in a session of its own, when the
-- Process is closed or this program ends
-- @tparam[opt] table opts.pty {rows=, cols=} (24 by 80): its standard files are a terminal of its
-- own
-- @tparam[opt=5] number opts.kill_after seconds between the signals TERM and KILL when it is to end
-- @tparam[opt] table opts.limit {memory=, cpu=, files=}: bytes of address space, seconds of
-- computing (then it gets XCPU, a second later KILL), open descriptors
-- @tparam[opt] string|integer opts.user a name or a number, with the groups of that user; or
-- "user:group", and no other group
-- @treturn Process or nil, message, code
function process.spawn(opts)
  local what = start.checked(2, "spawn", start.read, opts, SPAWN, SPAWN_DEFAULTS)
  return start.checked(2, "spawn", launch, what)
end

--- Runs a program to its end, and collects what it writes. However much it reads or writes, nothing
-- blocks: input and both outputs go at the same time. May wait; a cancellation ends the program.
-- @function run
-- @tparam table opts as for spawn, but that stdin is "null" and both outputs are collected unless
-- something else is given for them, and these fields:
-- @tparam[opt] string|table|function opts.input what the program reads: a text, a list of texts,
-- or a function that returns one after the other, then nil
-- @tparam[opt] number opts.timeout seconds: then it is asked to end as by close()
-- @tparam[opt=67108864] integer opts.max_output bytes of both outputs: beyond it is asked to end
-- @tparam[opt=false] boolean opts.check whether it is a failure if the status is not 0
-- @treturn table {status=, stdout=, stderr=}, with signal= instead of status= if it was killed; or
-- nil, message, code and, if it ran, that table: "ETIMEDOUT", "EMSGSIZE" (too much output),
-- "EEXIT" (by check), "ECHILD" (as for wait)
function process.run(opts)
  local what = start.checked(2, "run", run.read, opts, run.known)
  return run.run(what, opts, launch)
end

local function result_of(how, value)
  if how == "unknown" then
    return nil, "unknown: other code of this program has waited for the process", "ECHILD"
  end
  return { [how] = value }
end

--- Waits until the process has ended. May wait.
-- @function Process:wait
-- @tparam[opt] number timeout seconds
-- @treturn table {status=} or {signal=}, the name of the signal that has killed it; or nil,
-- message, code: "ETIMEDOUT"; "ECHILD": other code of this program has waited for it
function Process:wait(timeout)
  argument.self(self, Process, "wait")
  if timeout ~= nil then argument.number(timeout, 1, "wait") end
  local how, value, code = self.handle:wait(timeout)
  if not how then return nil, value, code end
  return result_of(how, value)
end

--- Sends a signal to the process, and to all of its group if it has one. Never waits.
-- @function Process:kill
-- @tparam[opt="TERM"] string signal its name
-- @treturn boolean true; or nil, message, code ("ESRCH": it has ended)
function Process:kill(signal)
  argument.self(self, Process, "kill")
  if signal == nil then signal = "TERM" end
  local number = type(signal) == "string" and core.signal_number(signal)
  if not number then
    local shown = type(signal) == "string" and ("unknown signal '%s'"):format(signal)
        or "string expected, got " .. type(signal)
    error(("bad argument #1 to 'kill' (%s)"):format(shown), 2)
  end
  return self.handle:signal(number)
end

--- Closes its streams, and asks the process to end: TERM to it and its group, then KILL to those
-- that live on after the option kill_after. A detached one lives on. Idempotent, never waits.
-- @function Process:close
function Process:close()
  argument.self(self, Process, "close")
  self.handle:close()
  for _, name in pairs { "stdin", "stdout", "stderr", "pty" } do
    if self[name] then self[name]:close() end
  end
  return true
end

--- Sets the size of its terminal; the child gets the signal WINCH. Never waits.
-- @function Process:resize
-- @tparam integer rows
-- @tparam integer cols
-- @treturn boolean true; or nil, message, code
function Process:resize(rows, cols)
  argument.self(self, Process, "resize")
  argument.check(self.pty, 1, "resize", "the process has no terminal")
  rows = start.checked(2, "resize", start.size, rows, "rows")
  cols = start.checked(2, "resize", start.size, cols, "cols")
  return core.resize(self.pty, rows, cols)
end

Process.__close = Process.close

function Process:__tostring()
  return tostring(self.handle)
end

-- For channel.select: {p, "wait"} waits for the handle.
Process.__select = { wait = { "handle", "wait", function(p) return p:wait(0) end } }

--- Looks for a command as the system does. Never waits but for the disk.
-- @function which
-- @tparam string name of a command; one with a "/" is a path
-- @treturn string the path; or nil, message, "ENOENT"
function process.which(name)
  if type(name) ~= "string" then argument.check(false, 1, "which", "string expected") end
  argument.check(not name:find("\0", 1, true), 1, "which", "the name contains a zero byte")
  for _, path in pairs(start.paths(name, os_getenv "PATH")) do
    if core.is_program(path) then return path end
  end
  return nil, name .. ": command not found", "ENOENT"
end

--- The environment of this program, for the option env.
-- @function env
-- @tparam[opt] table changes names to texts; false: without that name
-- @treturn table names to texts, a new one
function process.env(changes)
  local env = start.environment()
  if changes == nil then return env end
  argument.table(changes, 1, "env")
  for name, value in pairs(changes) do env[name] = value or nil end
  return env
end

--- The list that has a shell run a text: for spawn and run, with options added to it.
-- @function shell
-- @tparam string text
-- @treturn table {"/bin/sh", "-c", "--", text}
function process.shell(text)
  if type(text) ~= "string" then argument.check(false, 1, "shell", "string expected") end
  return { "/bin/sh", "-c", "--", text }
end

return process
