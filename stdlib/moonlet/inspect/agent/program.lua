-- What the inspector asks of the program as a whole.

local pairs, rawget, require, tostring, type = pairs, rawget, require, tostring, type
local math_min = math.min

local accounts = require "moonlet.inspect.tasks.core"
local core = require "moonlet.inspect.agent.core"
local inspect = require "moonlet.inspect"
local task = require "moonlet.task"

local program = {}

-- The longest name that is told, in bytes, and the longest other text.
local NAME, TEXT = 200, 1000

local function cut(text, length)
  if type(text) ~= "string" or #text <= length then return text end
  return text:sub(1, length) .. "..."
end

local function cut_fields(entry, length)
  for key, value in pairs(entry) do
    if type(value) == "string" then entry[key] = cut(value, length) end
  end
end

--- Tells that the program answers. Never waits.
-- @treturn string the name of the task in whose time the answer is given: "inspector" if that is
-- one for the request alone
function program.ping()
  local current = task.current()
  return cut(current.name or tostring(current.id), NAME)
end

--- Whether moonlet.inspect has a function.
function program.has(name) return inspect[name] ~= nil end

local function cut_entry(entry)
  cut_fields(entry, NAME)
  for _, key in pairs { "on", "stack" } do
    local value = rawget(entry, key)
    if type(value) == "table" then
      cut_fields(value, TEXT)
      for _, item in pairs(value) do
        if type(item) == "table" then cut_fields(item, NAME) end
      end
    end
  end
  if entry.locals then
    local locals = {}
    for key, value in pairs(entry.locals) do
      locals[cut(tostring(key), NAME)] = cut(tostring(value), TEXT)
    end
    entry.locals = locals
  end
end

local is_accounting = false -- for the inspector

--- Has the accounts of tasks kept, or not any more. Never waits.
function program.account(on)
  if on == is_accounting then return end
  accounts.account(on)
  is_accounting = on
end

-- So many entries are cut and copied at a time: one takes 10 us or more.
local PART = 32

-- Lets other tasks run, where that is allowed.
local function rest()
  if core.may_wait() then task.yield() end
end

--- inspect.tasks(opts), without texts of any length, in parts: nobody else is late.
-- @tparam ThreadChannel parts gets lists of entries; it has room for all
-- @treturn integer how many entries there are in all
function program.tasks(opts, parts)
  local list, count = inspect.tasks(opts)
  for first = 1, #list, PART do
    local part = {}
    for i = first, math_min(first + PART - 1, #list) do
      cut_entry(list[i])
      part[#part + 1] = list[i]
    end
    parts:put(part, 0)
    rest()
  end
  return count
end

-- The most members of circles that are told.
local MOST_MEMBERS = 1000

local function circle_of(deadlock)
  local ids = {}
  for i, entry in pairs(deadlock.tasks) do ids[i] = entry.id end
  return ids
end

--- inspect.waits(opts), without texts of any length.
-- @treturn table {edges=, count=, circles=, circle_count=}; a circle is a list of ids
function program.waits(opts)
  local graph = inspect.waits(opts)
  local circles, members = {}, 0
  for i, edge in pairs(graph.edges) do
    cut_fields(edge, NAME)
    if i % PART == 0 then rest() end
  end
  for _, deadlock in pairs(graph.deadlocks) do
    members = members + #deadlock.tasks
    if members <= MOST_MEMBERS then circles[#circles + 1] = circle_of(deadlock) end
  end
  return { edges = graph.edges, count = graph.count, circles = circles,
    circle_count = graph.deadlock_count }
end

function program.metrics(format) return inspect.metrics(format) end

--- Cancels a task.
-- @treturn boolean whether there is one of that number
function program.cancel(id, reason)
  for _, other in pairs(task.list()) do
    if other.id == id then
      other:cancel(reason)
      return true
    end
  end
  return false
end

return program
