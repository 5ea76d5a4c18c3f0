--- Programs with workers, as specs of moonlet.worker run them.
-- Loaded with dofile("tests/spec/worker/workers.lua").

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local process = require "moonlet.process"
local task = require "moonlet.task"

local workers = { support = support, patience = 3 * support.patience }

local MOONLET = os.getenv "MOONLET" or arg[-1]

local Program = {}
Program.__index = Program

-- What the scripts of the specs begin with: `port`, and `serve()`, which answers "ID GENERATION PID" and what else the
-- specs ask for.
local prelude = [[
local moonlet = require "moonlet"
local http, net, task, worker = moonlet.http, moonlet.net, moonlet.task, moonlet.worker
local port = tonumber(arg[1])
local pid = tonumber((io.open "/proc/self/stat":read "n"))
local routes = {}
function routes.who() return ("%s %s %d"):format(worker.id, worker.generation, pid) end
function routes.slow() task.sleep(0.5) return routes.who() end
function routes.status() return worker.status() end
function routes.reload()
  local ok, message, code = worker.reload()
  return { ok = ok, message = message, code = code }
end
function routes.stop() return tostring(worker.stop()) end
local function answer(req)
  local route, began = routes[req.path:match "^/(%w+)"], req.headers["x-began"]
  if not route then return 404 end
  if began then io.stderr:write(began, " has begun\n") end
  return route(req)
end
local function serve(opts)
  opts = opts or {}
  opts.port, opts.grace = opts.port or port, opts.grace or 5
  assert(http.serve(opts, answer))
end
]]

-- Reads what the program writes, line by line, into self.log.
local function read_log(self)
  for line in self.process.stderr:lines() do self.log[#self.log + 1] = line end
  self.has_ended = true
end

--- Starts `moonlet --workers N script PORT`. opts: count (2; a string may have more behind the number), port, env,
-- options (a list), program, path (of the script, which is written otherwise).
function workers.start(source, opts)
  opts = opts or {}
  local path = opts.path or os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(prelude, source))
  file:close()
  local self = setmetatable({ log = {}, path = path, port = opts.port or support.free_port() }, Program)
  local command = { opts.program or MOONLET, "--slow", "0", "--workers", tostring(opts.count or 2) }
  for _, option in ipairs(opts.options or {}) do command[#command + 1] = option end
  command[#command + 1], command[#command + 2] = path, tostring(self.port)
  command.stderr, command.stdout, command.kill_after = "pipe", "inherit", 30
  command.env = process.env(opts.env or {})
  self.process = assert(process.spawn(command))
  self.reader = task.spawn({ daemon = true }, read_log, self)
  return self
end

--- Replaces the script of a program.
function Program:rewrite(source)
  local file <close> = assert(io.open(self.path, "w"))
  assert(file:write(prelude, source))
end

function Program:text() return table.concat(self.log, "\n") end

--- Waits until a line of the log matches, after line number `after`; returns its captures.
function Program:await(pattern, after)
  local deadline = task.now() + workers.patience
  repeat
    for i = (after or 0) + 1, #self.log do
      local found = table.pack(self.log[i]:match(pattern))
      if found[1] then return table.unpack(found, 1, found.n) end
    end
    task.sleep(0.002)
  until self.has_ended and self.reader:status() ~= "waiting" or task.now() > deadline
  error(("the program has not said %q, but:\n%s"):format(pattern, self:text()), 2)
end

function Program:await_ready() self:await "worker.* ready after" return self end

function Program:url(path) return ("http://127.0.0.1:%d/%s"):format(self.port, path) end

--- Asks over a connection of its own; returns the body, or nil and why.
function Program:get(path, headers)
  local client <close> = http.client {}
  local r, message = client:get(self:url(path or "who"), { headers = headers })
  if not r then return nil, message end
  return r.body, r
end

--- Asks in a task, which gives what get() gives; returns it as soon as a worker answers the request.
function Program:begin(path)
  self.began = (self.began or 0) + 1
  local name = ("request %d"):format(self.began)
  local asking = task.spawn(function() return self:get(path, { ["x-began"] = name }) end)
  self:await(name .. " has begun")
  return asking
end

function Program:json(path) return select(2, assert(self:get(path))):json() end

function Program:status() return self:json "status" end

--- "id", "generation", "pid" of the worker that answers.
function Program:who()
  local id, generation, pid = assert(self:get "who"):match "^(%S+) (%S+) (%d+)$"
  return tonumber(id), tonumber(generation), tonumber(pid)
end

--- Waits until that generation answers: the one before takes connections until the word has reached it.
function Program:await_generation(number)
  workers.eventually(function() return select(2, self:who()) == number end)
end

--- Waits until condition() is true.
function workers.eventually(condition)
  local deadline = task.now() + workers.patience
  repeat
    local value = condition()
    if value then return value end
    task.sleep(0.005)
  until task.now() > deadline
  error("waited in vain for an event", 2)
end

--- Waits until the program has ended: its status, or the name of the signal.
function Program:wait()
  local result = assert(self.process:wait(workers.patience))
  self.reader:join(workers.patience)
  return result.status or result.signal
end

--- Asks it to stop, and waits: 0 if all went well.
function Program:stop(signal)
  self.process:kill(signal or "TERM")
  return self:wait()
end

function Program:signal(name)
  assert(os.execute(("kill -%s %d"):format(name, self.process.pid)))
end

--- Waits until the master has taken each signal that was sent to it.
function Program:await_signals_taken()
  local path = ("/proc/%d/status"):format(self.process.pid)
  workers.eventually(function() return support.read_file(path):find "ShdPnd:%s*0+\n" end)
end

function Program:__close()
  self.process:close()
  self.process:wait()
  self.reader:cancel()
  self.reader:join()
  self.process.stderr:close()
  os.remove(self.path)
end

local Gate = {}
Gate.__index = Gate

--- What a script waits for with `while not io.open(path) do task.sleep(0.01) end`, until open() is called.
function workers.gate()
  local path = os.tmpname()
  os.remove(path)
  return setmetatable({ path = path }, Gate)
end

function Gate:open() assert(io.open(self.path, "w")):close() end

function Gate:__close() os.remove(self.path) end

--- Whether there is a process of that number, which is no zombie.
function workers.lives(pid)
  local text = support.read_file(("/proc/%d/stat"):format(pid))
  return text ~= nil and not text:match "%) Z "
end

return workers
