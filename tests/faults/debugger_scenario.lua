-- The debugger, for tests/faults/sweep.lua: whatever allocation fails, tasks stop or go on, and after it is detached
-- the program has no hook. Exit status 3: that is not so, or something is left.

local task = require "moonlet.task"
local test = require "moonlet.test"
local debugger = require "moonlet.inspect.debugger"

local path = os.tmpname()
local file <close> = assert(io.open(path, "w"))
file:write [[
local function add(a, b)
  local c = a + b
  return c
end
local next_one = coroutine.wrap(function()
  for i = 1, 2 do coroutine.yield(add(i, i)) end
end)
return next_one() + next_one() + add(1, 2)
]]
file:flush()
local chunk = assert(loadfile(path))

local function is_memory(err) return tostring(err):find("not enough memory", 1, true) end

local function fail(...)
  io.stderr:write(...)
  io.stderr:write "\n"
  os.exit(3)
end

local function step(name, fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok and not is_memory(err) then fail(name, " raised ", tostring(err)) end
end

-- Lets every task that stops go on.
local function serve(run)
  for _ = 1, 1000 do
    local is_over = run:status() == "done" or run:status() == "failed"
    if is_over then return end
    for _, one in ipairs(debugger.tasks()) do
      if one.state == "stopped" then
        step("look", function()
          local frame = debugger.stack(one.id)[1].id
          debugger.variables(debugger.scopes(frame)[1].handle)
          debugger.evaluate(frame, "a + b")
        end)
        debugger.resume(one.id, one.stop % 2 == 0 and "over" or "continue")
      end
    end
    task.yield()
  end
  error("the task has not ended", 0)
end

local before = task.on_error(function(_, err)
  if not is_memory(err) then fail("reported: ", tostring(err)) end
end)
local left = test.leaks()
step("attach", debugger.attach, function() end)
step("own", debugger.own)
step("breakpoints", debugger.set_breakpoints, { path = path }, { { line = 2, condition = "a > 0" }, { line = 3 } })
step("errors", debugger.set_exceptions, true, true)
step("run", function()
  local run = task.spawn(chunk)
  local ok, err = pcall(serve, run)
  debugger.detach()
  local _, result = run:join()
  if not ok then error(err, 0) end
  if result ~= 9 and not is_memory(result) then error("the result is " .. tostring(result), 0) end
end)
debugger.detach()
task.on_error(before)
os.remove(path)
if debug.gethook() then fail "a hook is left" end
dofile "tests/faults/end.lua"(left, 0, {})
