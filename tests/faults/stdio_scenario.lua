-- Files of io and commands, for tests/faults/sweep.lua: whatever call fails, each step gives what is in the file, or
-- says why it does not, and no descriptor, no process and no temporary file is left. Exit status 3: something is.

local fs = require "moonlet.fs"
local task = require "moonlet.task"
local test = require "moonlet.test"

local STEP = 20 -- seconds for each

local function fail(...)
  io.stderr:write(...)
  io.stderr:write "\n"
  os.exit(3)
end

-- Messages of Lua's own functions that tell of failures by raising.
local RAISED = { "not enough memory", "Cannot allocate memory", "Input/output error", "Too many open files",
  "Permission denied", "No space left", "Resource temporarily unavailable", "cannot read", "cannot open" }

local function is_told(message)
  for _, text in ipairs(RAISED) do
    if tostring(message):find(text, 1, true) then return true end
  end
  return false
end

-- `expected`: what it gives if it does not fail.
local function step(name, expected, fn)
  local ok, first, message, code = task.pcall(task.timeout, STEP, fn)
  if not ok then
    if not is_told(first) then fail(name, " raised ", tostring(first)) end
  elseif code == "EDEADLINE" then
    fail(name, " hangs")
  elseif first == nil then
    if type(message) ~= "string" then fail(name, " returned nil, ", tostring(message)) end
  elseif first ~= expected then
    fail(name, ": ", tostring(first))
  end
end

local place = assert(os.tmpname())
os.remove(place)
assert(fs.mkdir(place))
local function at(name) return place .. "/" .. name end
local LINES <const> = ("a line\n"):rep(2000)
assert(fs.write(at "text", LINES))
assert(fs.write(at "module.lua", "return 'loaded'"))

-- Calls fn with an open file, and closes it.
local function with(path, mode, fn)
  local file <close>, message = io.open(path, mode)
  if not file then return nil, message end
  return fn(file)
end

local function everything()
  step("read", #LINES, function()
    return with(at "text", "r", function(file)
      local text, message = file:read "a"
      return text and #text, message
    end)
  end)
  step("seek", "line\na l", function()
    return with(at "text", "r", function(file)
      local place_of_it, message = file:seek("set", 7002)
      if not place_of_it then return nil, message end
      return file:read(8)
    end)
  end)
  step("unbuffered", "a", function()
    return with(at "text", "r", function(file)
      file:setvbuf "no"
      return file:read(1)
    end)
  end)
  step("lines", 2000, function()
    local count = 0
    for _ in io.lines(at "text") do count = count + 1 end
    return count
  end)
  step("write", true, function()
    return with(at "new", "w+", function(file)
      local ok, message = file:write(LINES)
      if not ok then return nil, message end
      ok, message = file:seek "set"
      if not ok then return nil, message end
      local text, why = file:read "a"
      return text and text == LINES, why
    end)
  end)
  step("dofile", "loaded", function() return dofile(at "module.lua") end)
  step("rename", true, function() return os.rename(at "new", at "other") end)
  step("remove", true, function() return os.remove(at "other") end)
  step("popen", "text\n", function()
    local pipe <close>, message = io.popen "echo text"
    if not pipe then return nil, message end
    return pipe:read "a", "nothing was read"
  end)
  step("popen for writing", true, function()
    local pipe, message = io.popen("cat >" .. at "piped", "w")
    if not pipe then return nil, message end
    local ok, why = pipe:write "text"
    pipe:close()
    return ok and true, why
  end)
  step("execute", 7, function()
    local _, how, status = os.execute "exit 7"
    if how ~= "exit" then return nil, "no process" end
    return status
  end)
end

local left = test.leaks()
everything()
collectgarbage()
collectgarbage()
dofile "tests/faults/end.lua"(left, STEP)
fs.remove(place, { recursive = true })
