-- Walks all that a script reaches from its globals, by what a script can do: fields, metatables, methods, modules by
-- require, results of constructors. Calls found(path) for each function, once. Run by
-- tests/unit/vm/test_host_sandbox.c,
-- which gives the globals `found` and `names`, a text of all names that a method might have.

local next, type, getmetatable, pcall, tostring = next, type, getmetatable, pcall, tostring
local require, gmatch, remove, unpack, sort = require, string.gmatch, table.remove, table.unpack, table.sort
local found, names = _G.found, _G.names
_G.found, _G.names = nil, nil

local seen, queue = {}, {}

local function add(path, value)
  local kind = type(value)
  if kind ~= "function" and kind ~= "table" and kind ~= "userdata" and kind ~= "thread" and kind ~= "string" then
    return
  end
  if kind == "string" then value, path = getmetatable(value), "string metatable" end
  if value == nil or seen[value] then return end
  seen[value] = true
  if type(value) == "function" then found(path) end
  queue[#queue + 1] = { path, value }
end

-- In an order that does not change from run to run.
local function fields(value)
  local list = {}
  for key, field in next, value do list[#list + 1] = { tostring(key), key, field } end
  sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function index(value, key) return value[key] end

local function walk_all()
  while #queue > 0 do
    local path, value = unpack(remove(queue, 1))
    if type(value) == "table" then
      for _, entry in ipairs(fields(value)) do
        add(path .. "[key]", entry[2])
        add(path .. "." .. entry[1], entry[3])
      end
    end
    add(path .. " metatable", getmetatable(value))
    if type(value) == "userdata" or (type(value) == "table" and getmetatable(value)) then
      for name in gmatch(names, "[%w_]+") do
        local ok, field = pcall(index, value, name)
        if ok then add(path .. "." .. name, field) end
      end
    end
  end
end

add("_G", _G)
add("string metatable", "")
walk_all()

local modules = {}
for name in next, package.preload do modules[#modules + 1] = name end
table.sort(modules)
for _, name in ipairs(modules) do
  local module = require(name)
  add(name, module)
  walk_all()
end
add("package.loaded", package.loaded)

local task, sync = require "moonlet.task", require "moonlet.sync"
local channel, queue_module, pool = require "moonlet.channel", require "moonlet.queue", require "moonlet.pool"
local greenlet = require "moonlet.greenlet"

local function make(path, fn, ...)
  local results = table.pack(pcall(fn, ...))
  for i = 2, results.n do add(path .. "()", results[i]) end
  walk_all()
end

make("moonlet.task.spawn", task.spawn, function() end)
make("moonlet.task.locals", task.locals)
make("moonlet.task.group", task.group)
make("moonlet.task.all", task.all, { error })
make("coroutine.create", coroutine.create, function() end)
make("coroutine.running", coroutine.running)
make("moonlet.sync.mutex", sync.mutex)
make("moonlet.sync.mutex:lock", function() return sync.mutex():lock() end)
make("moonlet.sync.semaphore", sync.semaphore, 1)
make("moonlet.sync.semaphore:hold", function() return sync.semaphore(1):hold() end)
make("moonlet.sync.event", sync.event)
make("moonlet.sync.condition", sync.condition)
make("moonlet.sync.condition", function() return sync.condition(sync.mutex()) end)
make("moonlet.sync.future", sync.future)
make("moonlet.channel.new", channel.new, 1)
make("moonlet.channel.values", function() return channel.new(1):values() end)
make("moonlet.queue.new", queue_module.new)
make("moonlet.queue.new", queue_module.new, { order = "priority" })
make("moonlet.pool.new", pool.new, { open = function() return {} end })
make("moonlet.pool:lease", function() return pool.new({ open = function() return {} end }):lease() end)
make("moonlet.greenlet.new", greenlet.new, function() end)
make("moonlet.greenlet.current", greenlet.current)

-- Errors of the library's own.
local function cancelled()
  local t = task.spawn({ quiet = true }, function()
    make("a cancellation", function() return select(2, task.pcall(task.sleep, 1000)) end)
  end)
  task.yield()
  t:cancel()
  t:join()
end
cancelled()
