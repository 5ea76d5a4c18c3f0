--- Other programs: run to their end, or kept running in the background until stopped. Plain Lua
-- and a shell; a command is a list of words. What cannot be run is returned as nil and a reason,
-- so that a report can go on without it.
local process = {}

local running = {} -- pid -> started program; what the guard has to stop

local POLL_SECONDS = 0.05

--- @tparam string word
-- @treturn string the word as a shell has to see it
function process.quote(word)
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

local function quote_all(command)
  local words = {}
  for i, word in ipairs(command) do words[i] = process.quote(word) end
  return table.concat(words, " ")
end

local function read_file(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text or ""
end

local function shell(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  local _, _, code = pipe:close()
  return output, code
end

local function sleep(seconds)
  os.execute("sleep " .. seconds)
end

process.sleep = sleep

local cpus = tonumber((shell("nproc"))) or 1

-- The words that bind a command to a CPU. On a machine with one all share it.
local function pinned(command, cpu)
  if not cpu then return quote_all(command) end
  return string.format("taskset -c %d %s", cpu % cpus, quote_all(command))
end

-- The line that says what is wrong: Python puts it last, everybody else first.
local function essence(text)
  local pattern = text:find("^Traceback") and "([^\n]*)\n*$" or "^%s*([^\n]*)"
  return text:match(pattern)
end

local function failure(command, code, errors)
  if code == 127 then
    local own = command[1]:find("/", 1, true)
    return command[1]:match("[^/]*$") .. (own and " is not built" or " is not installed")
  end
  if code == 124 or code == 137 then return "failed: too slow" end
  local line = essence(errors)
  return "failed: " .. (line ~= "" and line or "exit status " .. tostring(code))
end

--- Runs a command to its end.
-- @tparam {string,...} command
-- @tparam[opt] table options `cpu` to run on, `limit` in seconds (60)
-- @treturn ?string what it printed, or nil and a reason
function process.capture(command, options)
  options = options or {}
  local errors = os.tmpname()
  local line = string.format("timeout --foreground -k 2 %d %s </dev/null 2>%s", options.limit or 60,
    pinned(command, options.cpu), errors)
  local output, code = shell(line)
  local reason = code ~= 0 and failure(command, code, read_file(errors)) or nil
  os.remove(errors)
  if reason then return nil, reason end
  return output
end

--- @tparam string program
-- @treturn boolean
function process.installed(program)
  return (os.execute("command -v " .. process.quote(program) .. " >/dev/null 2>&1")) == true
end

-- A process nobody reaped yet has a directory in /proc, but is not alive.
local function alive(pid)
  local state = read_file("/proc/" .. pid .. "/stat"):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

-- Waits until the program has printed the pattern; returns what it captures.
local function wait_ready(program, pattern, limit)
  for _ = 1, limit // POLL_SECONDS do
    local living = alive(program.pid)
    local found = (read_file(program.output) .. read_file(program.errors)):match(pattern)
    if found then return found end
    if not living then return nil, failure(program.command, nil, read_file(program.errors)) end
    sleep(POLL_SECONDS)
  end
  return nil, "failed: not ready in time"
end

--- Starts a command in the background and waits until it has printed something.
-- @tparam {string,...} command
-- @tparam table options `ready`: the pattern to wait for; `cpu` to run on; `limit` for the wait in
--   seconds (10)
-- @treturn ?table with `pid` and `ready` (what the pattern captured), or nil and a reason
function process.start(command, options)
  if not process.installed(command[1]) then return nil, failure(command, 127) end
  local program = {command = command, output = os.tmpname(), errors = os.tmpname()}
  -- exec: the pid must be the program's, not that of a shell around it.
  local line = string.format("exec %s </dev/null >%s 2>%s & echo $!",
    pinned(command, options.cpu), program.output, program.errors)
  program.pid = tonumber((shell(line)))
  running[program.pid] = program
  local ready, reason = wait_ready(program, options.ready, options.limit or 10)
  if not ready then
    process.stop(program)
    return nil, reason
  end
  program.ready = ready
  return program
end

local function ended_within(pid, seconds)
  for _ = 1, seconds // POLL_SECONDS do
    if not alive(pid) then return true end
    sleep(POLL_SECONDS)
  end
  return not alive(pid)
end

--- Asks a started program to end, and after two seconds no longer asks.
-- @tparam table program
-- @treturn string what it had printed
function process.stop(program)
  if not running[program.pid] then return "" end
  running[program.pid] = nil
  os.execute("kill " .. program.pid .. " 2>/dev/null")
  if not ended_within(program.pid, 2) then
    os.execute("kill -9 " .. program.pid .. " 2>/dev/null")
  end
  local output = read_file(program.output)
  os.remove(program.output)
  os.remove(program.errors)
  return output
end

local function stop_all()
  local programs = {}
  for _, program in pairs(running) do programs[#programs + 1] = program end
  for _, program in ipairs(programs) do process.stop(program) end
end

--- A value for a `<close>` variable: when its scope is left, by an error or an interrupt too,
-- whatever was started and is not stopped yet is stopped.
-- @treturn table
function process.guard()
  return setmetatable({}, {__close = stop_all})
end

return process
