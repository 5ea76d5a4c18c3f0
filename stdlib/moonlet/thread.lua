--- Work that computes, on other cores: functions that run in runtimes of their own, each on a
-- thread of its own, and channels between them. Values are copied.
-- @module moonlet.thread

-- call, spawn and channel are in runtime/bindings/thread/.

local error, ipairs, pcall, setmetatable, type = error, ipairs, pcall, setmetatable, type
local math_min, math_type = math.min, math.type

local argument = require "moonlet.argument"
local core = require "moonlet.thread.core"
-- Tracebacks name its functions after this module.
package.loaded["moonlet.thread.core"] = nil
local leases = require "moonlet.pool"
local task = require "moonlet.task"

local thread = { call = core.call, channel = core.channel, spawn = core.spawn }

--- Threads that wait for calls, each with a runtime that lives as long as the pool. `<close>`
-- closes it. It prints as its name and state.
-- @object ThreadPool
local ThreadPool = {}
ThreadPool.__index = ThreadPool
ThreadPool.__name = "thread.threadpool"

local OPTIONS = { memory = true, name = true, setup = true, size = true }

-- One thread of a pool, from its owner's side.
local Worker = {}
Worker.__index = Worker

-- Never waits. Its runtime ends when the call that it carries out has ended.
function Worker:close() self.calls:close() end

-- Its runtime ends now: a call is still being carried out.
function Worker:kill()
  self.calls:close()
  self.task:cancel()
end

local function open_worker(options)
  local calls, outcomes = core.channel(1), core.channel(1)
  local opts = { name = options.name, memory = options.memory, daemon = true, quiet = true }
  local t, message, code =
    core.spawn(opts, "moonlet.thread.worker.serve", calls, outcomes, options.setup)
  if not t then return nil, message, code end
  t:on_exit(function() outcomes:close() end)
  return setmetatable({ calls = calls, outcomes = outcomes, task = t }, Worker)
end

local function is_alive(worker) return worker.task:status() == "waiting" end

--- Makes a pool of threads. They are started when there are calls for them.
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.size how many threads at most; as many as there are processors without
-- @tparam[opt] function opts.setup called in each runtime before its first call; copied, as
-- functions of calls are
-- @tparam[opt] integer opts.memory bytes that the Lua state of each may have, 262144 at least
-- @tparam[opt="pool"] string opts.name of the threads, shown in reports
-- @treturn ThreadPool
function thread.pool(opts)
  opts = opts == nil and {} or opts
  argument.options(opts, 1, "pool", OPTIONS)
  argument.count(opts.size, 1, "pool", "option 'size'")
  argument.check(opts.setup == nil or type(opts.setup) == "function", 1, "pool",
    "option 'setup' must be a function")
  local memory = opts.memory
  argument.check(memory == nil or math_type(memory) == "integer" and memory >= 262144, 1, "pool",
    "option 'memory' must be an integer, 262144 or more")
  argument.check(opts.name == nil or type(opts.name) == "string", 1, "pool",
    "option 'name' must be a string")
  local options = { name = opts.name or "pool", memory = memory, setup = opts.setup }
  local workers = leases.new {
    open = function() return open_worker(options) end, max = opts.size or core.cores(),
    check = is_alive,
  }
  return setmetatable({ workers = workers, name = options.name }, ThreadPool)
end

-- A thread that is carrying out a call: killed if the caller does not get the outcome.
local Job = {}

function Job:__close()
  if self.is_done then self.lease:close() return end
  self.lease.value:kill()
  self.lease:discard()
end

-- Returns true and the results, or false, error, traceback.
local function carry_out(self, fn, ...)
  local lease, message = self.workers:lease()
  if not lease then error(("%s: %s"):format(self.name, message), 0) end
  local worker = lease.value
  local job <close> = setmetatable({ lease = lease, is_done = true }, Job)
  core.send(worker.calls, fn, ...)
  job.is_done = false
  local function settle(ok, ...)
    job.is_done = ok ~= nil
    if ok ~= nil then return ok, ... end
    local _, err = worker.task:join()
    return false, err
  end
  return settle(core.receive(worker.outcomes))
end

local function results_of(self, ok, ...)
  if ok then return ... end
  local err, traceback = ...
  core.raise(err, traceback, self.name)
end

-- A function, or that of an object's __call and the object: nil for anything else.
local function_of = core.function_of
local FUNCTION = 'a function or "module.function" expected'

-- Raises if the function cannot be copied: for the whole map, and not for each item.
local function check_copyable(fn, name)
  local probe = core.channel(2)
  for _, value in ipairs { function_of(fn) } do
    local ok, message = pcall(probe.put, probe, value, 0)
    if not ok then
      error(("bad argument #2 to '%s' (%s)"):format(name, (message:gsub("^value", "fn"))), 3)
    end
  end
end

--- Has a thread call fn(...), as thread.call() does; waits for a thread that has nothing to do. If
-- the caller is cancelled, that runtime ends, and the pool opens another one when it needs it.
-- @tparam function|string fn or "module.function"
-- @param ... its arguments
-- @return its results; raises its error
function ThreadPool:call(fn, ...)
  argument.self(self, ThreadPool, "call")
  local call, object = function_of(fn)
  argument.check(call ~= nil, 1, "call", FUNCTION)
  if object ~= nil then return results_of(self, carry_out(self, call, object, ...)) end
  return results_of(self, carry_out(self, call, ...))
end

--- Calls fn(item) for all items of a list, on all threads of the pool, and waits for all.
-- @tparam table list
-- @tparam function|string fn or "module.function"
-- @treturn table results, as task.map()
-- @treturn table errors, as task.map()
-- @treturn table tracebacks, as task.map()
function ThreadPool:map(list, fn)
  argument.self(self, ThreadPool, "map")
  argument.table(list, 1, "map")
  argument.check(function_of(fn) ~= nil, 2, "map", FUNCTION)
  check_copyable(fn, "map")
  return task.map(list, function(item) return self:call(fn, item) end)
end

--- Ends the threads that have nothing to do, and the others when their call has ended. Never waits.
function ThreadPool:close()
  argument.self(self, ThreadPool, "close")
  self.workers:close()
end

function ThreadPool:__tostring()
  return ("thread.pool %s (%s)"):format(self.name, self.workers.is_closed and "closed" or "open")
end

ThreadPool.__close = ThreadPool.close
ThreadPool.__gc = ThreadPool.close

--- Calls fn(item) for all items of a list, on as many threads as there are processors, and waits
-- for all. A thread carries out one call after the other in the same runtime.
-- @tparam table list
-- @tparam function|string fn or "module.function"
-- @tparam[opt] integer limit how many threads at most
-- @treturn table results, as task.map()
-- @treturn table errors, as task.map()
-- @treturn table tracebacks, as task.map()
function thread.map(list, fn, limit)
  argument.table(list, 1, "map")
  argument.check(function_of(fn) ~= nil, 2, "map", FUNCTION)
  check_copyable(fn, "map")
  argument.count(limit, 3, "map", "the limit")
  if #list == 0 then return { n = 0 }, { n = 0 }, { n = 0 } end
  local pool <close> = thread.pool { size = math_min(limit or core.cores(), #list), name = "map" }
  return pool:map(list, fn)
end

return thread
