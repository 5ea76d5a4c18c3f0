-- Traces, for tests/faults/sweep.lua: whatever allocation fails, a trace is taken or refused, and what it says is
-- whole; afterwards none is recorded. Exit status 3: that is not so, or something is left.

local inspect = require "moonlet.inspect"
local json = require "moonlet.json"
local task = require "moonlet.task"
local test = require "moonlet.test"
local core = require "moonlet.inspect.trace.core"

local function is_memory(err) return tostring(err):find("not enough memory", 1, true) end

local step = dofile "tests/faults/step.lua" {
  is_told = function(_, code) return code == "ENOMEM" or code == "EINVAL" end,
}

-- Each begin has its end.
local function check(text)
  local open = 0
  for _, event in ipairs(json.decode(text).traceEvents) do
    open = open + (event.ph == "B" and 1 or event.ph == "E" and -1 or 0)
  end
  if open ~= 0 then error("a begin without an end", 0) end
end

local function work()
  local t = task.spawn({name = "worker"}, function()
    inspect.span("a span", task.sleep, 0.001)
    inspect.mark "a mark"
  end)
  t:join(5)
  coroutine.wrap(function() inspect.span("dropped", coroutine.yield) end)()
  task.timeout(0.001, task.sleep, 5)
end

local function everything()
  step("trace", function()
    local ok, message, code = inspect.trace_start {size = 8192, on_error = function(text) check(text) end,
      on_deadline = function(text) check(text) end, every = 0}
    if not ok then return nil, message, code end
    local worked, err = pcall(work)
    if not worked and not is_memory(err) then error(err, 0) end
    local text, text_message, text_code = inspect.trace_last()
    if text then check(text) end
    return text, text_message, text_code
  end)
  inspect.trace_stop()
  step("a short one", function()
    local text, message, code = inspect.trace(0.001)
    if text then check(text) end
    return text, message, code
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
task.on_error(before)
dofile "tests/faults/end.lua"(left, 0, { core.is_open() and "a trace" or nil })
