-- Dumps, profiles, preemption and the inspector, for tests/faults/sweep.lua: whatever call fails, each is there or is
-- refused, and the program goes on. Exit status 3: that is not so, or something is left.

local inspect = require "moonlet.inspect"
local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"

local function is_memory(err) return tostring(err):find("not enough memory", 1, true) end

local function step(name, fn)
  local ok, first, message, code = task.pcall(task.timeout, 20, fn)
  if not ok and not is_memory(first) then
    error(("%s raised %s"):format(name, first), 0)
  elseif ok and first == nil and message ~= nil and (type(message) ~= "string" or type(code) ~= "string") then
    error(("%s returned nil, %s, %s"):format(name, message, code), 0)
  end
end

local function compute(seconds)
  local stop = os.clock() + seconds
  while os.clock() < stop do end
end

local function ask(path, request)
  local conn <close>, message, code = net.connect("unix:" .. path, { timeout = 10 })
  if not conn then return nil, message, code end
  local sent, send_message, send_code = conn:write(request, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
  if not sent then return nil, send_message, send_code end
  return conn:read_all()
end

local function everything()
  step("preemption", function()
    local t = task.spawn({ preempt = 1, quiet = true }, compute, 0.004)
    while t:status() ~= "done" and t:status() ~= "failed" do task.yield() end
    return t:join()
  end)
  step("a dump", function()
    os.execute "kill -QUIT $PPID"
    return task.sleep(0.002)
  end)
  step("a profile", function()
    local worker <close> = task.group()
    worker:spawn(compute, 0.01)
    return inspect.profile(0.015, { format = "folded" })
  end)
end

-- Its thread and its sockets stay to the end of the program.
local function be_inspected()
  step("the inspector", function()
    local path = os.tmpname()
    os.remove(path)
    local place, message, code = inspect.listen("unix:" .. path)
    if not place then return nil, message, code end
    for _, target in ipairs { "/tasks", "/metrics", "/trace?s=0.001" } do ask(path, "GET " .. target) end
    os.remove(path)
    return true
  end)
end

local before = task.on_error(function(_, err)
  if not is_memory(err) then
    io.stderr:write("reported: ", tostring(err), "\n")
    os.exit(3)
  end
end)
local left = test.leaks()
everything()
dofile "tests/faults/end.lua"(left, 1)
be_inspected()
task.on_error(before)
if debug.gethook() then
  io.stderr:write "a hook is left\n"
  os.exit(3)
end
