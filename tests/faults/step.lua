-- The steps of a scenario. One that hangs, raises what it may not, or fails without a message and a code ends the
-- program with status 3: with status 1 a program may end that could not begin.
--
--     local step = dofile "tests/faults/step.lua" { raised = { "closed" }, failures = true }
--     local result = step("read", function() return fs.read(path) end)
local task = require "moonlet.task"

-- Seconds that no step takes, on a busy machine and under a sanitizer either.
local PATIENCE <const> = 20

local function fail(...)
  io.stderr:write(...)
  io.stderr:write "\n"
  os.exit(3)
end

-- Whether a step may raise this: for want of memory, or one of the texts.
local function is_known(err, options)
  if type(err) == "table" and type(err.code) == "string" then return options.failures end
  local text = tostring(err)
  for _, known in ipairs(options.raised or {}) do
    if text:find(known, 1, true) then return true end
  end
  return text:find("not enough memory", 1, true) ~= nil
end

local function is_told(message, code) return type(message) == "string" and type(code) == "string" end

-- raised: texts of errors that a step may raise besides that of memory; failures: whether it may raise
-- {message=, code=}, as iterators do; is_told(message, code): whether nil, message, code says why; deadlines: whether
-- its calls have time limits of their own, which may end.
return function(options)
  local is_failure = options.is_told or is_told
  return function(name, fn)
    local begun = task.now()
    local ok, first, message, code = task.pcall(task.timeout, PATIENCE, fn)
    if not ok then
      if not is_known(first, options) then fail(name, " raised ", tostring(first)) end
    elseif code == "EDEADLINE" and (not options.deadlines or task.now() - begun >= PATIENCE) then
      fail(name, " hangs")
    elseif first == nil and message ~= nil and not is_failure(message, code) then
      fail(name, " returned nil, ", tostring(message), ", ", tostring(code))
    end
    return ok and first
  end
end
