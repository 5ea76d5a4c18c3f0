--- Runs busted's specs in this very interpreter: `moonlet --test [PATHS]`. The body of each `it`
-- runs in a task of its own; tasks that it leaves behind are cancelled before the next one begins.
-- @module moonlet.test.specs

local task = require "moonlet.task"

local specs = {}

local error, ipairs, pcall, select, tostring = error, ipairs, pcall, select, tostring
local package, require, stderr, exit = package, require, io.stderr, os.exit
local pack, unpack = table.pack, table.unpack

-- Debian keeps busted under each version of Lua. Where it is under 5.1 alone, it is pure Lua and
-- serves as well.
local PATHS = ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"

-- How long a task that was left behind may take to clean up, in seconds.
local PATIENCE = 5

--- Busted's own main function; the program ends with status 1 and a message if it is not installed.
-- @treturn function
function specs.runner()
  package.path = package.path .. PATHS
  local found, run = pcall(require, "busted.runner")
  if found then return run end
  stderr:write("moonlet: --test needs busted (the package lua-busted, or: ",
    "luarocks install busted)\n", tostring(run), "\n")
  exit(1)
end

local function end_tasks(known)
  for _, t in ipairs(task.list()) do
    if not known[t] then t:cancel("the test is over") end
  end
  for _, t in ipairs(task.list()) do
    if not known[t] then t:join(PATIENCE) end
  end
end

-- Calls busted's `safe` for an `it` in a task. If the task is cancelled, the test has failed.
local function in_task(busted, safe, element, run)
  local known, context = {}, busted.context.get()
  for _, t in ipairs(task.list()) do known[t] = true end
  local t = task.spawn({ name = element.name, quiet = true }, safe, "it", run, element)
  local results = pack(t:join())
  end_tasks(known)
  if results[1] then return unpack(results, 2, results.n) end
  while busted.context.get() ~= context do busted.context.pop() end
  local message = "the test was cancelled: " .. tostring(results[2])
  return safe("it", function() error(message, 0) end, element)
end

-- Makes every instance of busted run its tests in tasks.
local function patch_core()
  local new = require "busted.core"
  package.loaded["busted.core"] = function(...)
    local busted = new(...)
    local safe = busted.safe
    function busted.safe(descriptor, run, element, ...)
      if descriptor == "it" and select("#", ...) == 0 and element.run == run then
        return in_task(busted, safe, element, run)
      end
      return safe(descriptor, run, element, ...)
    end
    return busted
  end
end

--- Runs the specs that the global `arg` names, with busted's options; without a name those in the
-- directory `spec`. Does not return: the program ends with status 0 if all passed.
function specs.run()
  local run = specs.runner()
  patch_core()
  run { standalone = false }
end

return specs
