--- Tasks, and what several of them do together: groups, all, map, race, every, supervise.
-- @module moonlet.task
-- spawn, sleep, timeout, shield and the like are described in runtime/bindings/task.c.

local core = require "moonlet.task.core"
local sync = require "moonlet.sync"

local task = {}
for name, value in pairs(core) do task[name] = value end
task.scope = nil

local function is_callable(value)
  return type(value) == "function" or (getmetatable(value) or {}).__call ~= nil
end

-- Splits (opts, fn, ...) or (fn, ...).
local function take_options(first, ...)
  if type(first) == "table" and not is_callable(first) then return first, ... end
  return {}, first, ...
end

local Group = {}
Group.__index = Group
Group.__name = "task.group"

local function new_group(opts)
  if opts.limit ~= nil and (math.type(opts.limit) ~= "integer" or opts.limit < 1) then
    error("option 'limit' must be a positive integer", 3)
  end
  local on_error = opts.on_error
  if on_error ~= nil and on_error ~= "cancel" and on_error ~= "report" and not is_callable(on_error) then
    error("option 'on_error' must be \"cancel\", \"report\" or a function", 3)
  end
  return setmetatable({
    children = {}, count = 0, failures = {}, on_error = on_error or "cancel",
    places = opts.limit and sync.semaphore(opts.limit), empty = sync.condition(),
  }, Group)
end

local function cancel_children(self, reason)
  for child in pairs(self.children) do child:cancel(reason) end
end

-- A failure: the first one of a group that cancels is kept to be raised, later ones only listed.
local function fail(self, err)
  if self.has_failed then
    self.failures[#self.failures + 1] = err
    return
  end
  self.has_failed, self.failure = true, err
  self.is_cancelled = true
  if self.scope then self.scope:cancel() end
  cancel_children(self)
end

-- Called when a child has ended; may not wait.
local function on_exit(self, child)
  self.children[child] = nil
  self.count = self.count - 1
  if self.places then self.places:release() end
  if self.count == 0 then self.empty:notify_all() end
  local ok, err, code = child:join(0)
  if ok or code ~= "EFAILED" then return end
  if self.on_error == "cancel" then
    fail(self, err)
  elseif self.on_error ~= "report" then
    self.on_error(child, err)
  end
end

--- Starts a child: the group does not end before it. With a limit, waits for a place.
-- @tparam[opt] table opts as for task.spawn
-- @tparam function fn
-- @param ... its arguments
-- @treturn Task
function Group:spawn(...)
  local opts, fn = take_options(...)
  if self.places then self.places:acquire() end
  local options = { quiet = self.on_error ~= "report" }
  for key, value in pairs(opts) do options[key] = value end
  local child, message, code
  if fn == (...) then
    child, message, code = task.spawn(options, ...)
  else
    child, message, code = task.spawn(options, select(2, ...))
  end
  if not child then
    if self.places then self.places:release() end
    return nil, message, code
  end
  self.children[child] = true
  self.count = self.count + 1
  child:on_exit(function(ended) on_exit(self, ended) end)
  if self.is_cancelled then child:cancel() end
  return child
end

--- Cancels every child, and the body. Never waits.
-- @param[opt] reason
function Group:cancel(reason)
  self.is_cancelled, self.reason = true, reason
  if self.scope then self.scope:cancel() end
  cancel_children(self, reason)
end

--- The failures after the first.
-- @treturn {any,...}
function Group:errors()
  return self.failures
end

function Group:__len()
  return self.count
end

function Group:__tostring()
  return ("task.group (%d running)"):format(self.count)
end

local function wait_for_all(self)
  while self.count > 0 do self.empty:wait() end
end

-- Waits for all, whatever cancels the caller meanwhile: that cancels them, too.
local function wait_to_the_end(self)
  local ok, err = task.pcall(wait_for_all, self)
  if not ok then
    cancel_children(self)
    task.shield(nil, wait_for_all, self)
  end
  return ok, err
end

--- Waits until all children have ended.
-- @tparam[opt] number timeout seconds
-- @return true; or nil, the first failure, "EFAILED"; or nil, "timeout", "ETIMEDOUT"
function Group:join(timeout)
  local deadline = timeout and task.now() + timeout
  while self.count > 0 do
    local ok, message, code = self.empty:wait(deadline and math.max(0, deadline - task.now()))
    if not ok and self.count > 0 then return nil, message, code end
  end
  if self.has_failed then
    self.is_told = true
    return nil, self.failure, "EFAILED"
  end
  return true
end

function Group:__close(err)
  if err ~= nil then cancel_children(self) end
  local ok, cancellation = wait_to_the_end(self)
  if err ~= nil then return end
  if not ok then error(cancellation, 0) end
  if self.has_failed and not self.is_told then error(self.failure, 0) end
end

local function run_body(self, fn)
  self.scope = core.scope()
  local results = table.pack(self.scope:run(fn, self))
  local cut = results[1] == nil
  if results[1] == false then
    if task.is_cancellation(results[2]) then cancel_children(self) else fail(self, results[2]) end
  end
  local ok, cancellation = wait_to_the_end(self)
  if self.has_failed then error(self.failure, 0) end
  if not ok then error(cancellation, 0) end
  if results[1] == false then error(results[2], 0) end
  if cut then return nil, self.reason, "ECANCELED" end
  return table.unpack(results, 2, results.n)
end

--- Runs fn(g), whose children (g:spawn) end before it returns; the first failure, of the body or a child,
-- cancels the rest and is raised unchanged. Without fn: makes a group that its maker closes
-- (`local g <close> = task.group()`) or joins, and that never interrupts him.
-- @tparam[opt] table opts limit (children at a time), on_error ("cancel", "report" or function(task, err))
-- @tparam[opt] function fn
-- @return fn's results; or nil, reason, "ECANCELED" if g:cancel(reason) cut it
function task.group(...)
  local opts, fn = take_options(...)
  local self = new_group(opts)
  if fn == nil then return self end
  if not is_callable(fn) then error("bad argument to 'group' (function expected)", 2) end
  return run_body(self, fn)
end

-- Runs call(i, item) for each item of a list in a group; collects results and errors in their order.
local function collect(list, limit, call)
  local results, errors = { n = #list }, { n = #list }
  task.group({ limit = limit, on_error = function() end }, function(group)
    for i = 1, #list do
      group:spawn(function()
        local ok, value = pcall(call, list[i])
        if ok then results[i] = value else errors[i] = value end
      end)
    end
  end)
  return results, errors
end

--- Calls all functions at once.
-- @tparam {function,...} list
-- @treturn table the first result of each, with n
-- @treturn table the error of each that failed, with n
function task.all(list)
  return collect(list, nil, function(fn) return fn() end)
end

--- Calls fn(item) for all items of a list at once.
-- @tparam table list
-- @tparam function fn
-- @tparam[opt] integer limit how many at a time
-- @treturn table results, @treturn table errors, as all()
function task.map(list, fn, limit)
  return collect(list, limit, fn)
end

--- Calls all functions at once and cancels the others when the first has ended.
-- @tparam {function,...} list
-- @treturn integer which was the first; if it failed its error is raised
-- @return its results
function task.race(list)
  local first
  task.group(function(group)
    for i, fn in ipairs(list) do
      group:spawn(function()
        local results = table.pack(fn())
        if not first then
          first = { i, table.unpack(results, 1, results.n) }
          first.n = results.n + 1
          group:cancel()
        end
      end)
    end
  end)
  if not first then return nil, "no function given", "EINVAL" end
  return table.unpack(first, 1, first.n)
end

--- Calls fn every s seconds in the calling task, until it raises an error or is cancelled. Calls never
-- overlap; ticks missed meanwhile are skipped, and the rest does not drift.
-- @tparam number s
-- @tparam function fn
function task.every(s, fn)
  if type(s) ~= "number" or not (s > 0) then
    error("bad argument #1 to 'every' (positive number expected)", 2)
  end
  local start, tick = task.now(), 0
  while true do
    tick = math.max(tick + 1, math.ceil((task.now() - start) / s))
    task.sleep_until(start + tick * s)
    fn()
  end
end

--- Calls fn until it ends well, again after each failure, with growing pauses.
-- @tparam table opts fn; backoff {shortest, longest} pause in seconds, the shortest again after a longer run; intensity {n, s}: more than n failures
-- within s seconds are too many
-- @return fn's results; raises the last error when there were too many
function task.supervise(opts)
  local fn = opts.fn
  if not is_callable(fn) then error("option 'fn' must be a function", 2) end
  local shortest, longest = table.unpack(opts.backoff or { 0.1, 10 })
  local most, span = table.unpack(opts.intensity or { math.huge, 1 })
  local pause, failures = shortest, {}
  while true do
    local started = task.now()
    local results = table.pack(pcall(fn))
    if results[1] then return table.unpack(results, 2, results.n) end
    local now = task.now()
    failures[#failures + 1] = now
    while failures[1] < now - span do table.remove(failures, 1) end
    if #failures > most then error(results[2], 0) end
    if now - started > longest then pause = shortest end
    task.sleep(pause)
    pause = math.min(pause * 2, longest)
  end
end

return task
