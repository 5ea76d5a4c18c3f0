--- Streams, servers, datagrams and names: over TCP, TLS, UDP and in the Unix domain.
-- @module moonlet.net

-- connect, listen, accept, read, write and the like are in runtime/bindings/net/; this file serves
-- the connections of a listener.

local error, getmetatable, next, pairs = error, getmetatable, next, pairs
local rawget, setmetatable, tostring, type = rawget, setmetatable, tostring, type
local math_type = math.type

local core = require "moonlet.net.core"
local is_callable = require("moonlet.argument").is_callable
local serving = require "moonlet.serving"
local task = require "moonlet.task"

local net = {}
for name, value in pairs(core) do net[name] = value end
net.listener_methods, net.accepted_from, net.serve_one = nil, nil, nil

local Listener = core.listener_methods

-- listener -> the call of serve() for it: listener, handler, on_error, guard; group, of the
-- handlers' tasks; waiting, a set of connections whose task has not begun yet; cancelled, how many
-- handlers stop() has cancelled.
local servers = setmetatable({}, { __mode = "k" })

-- Errors of a peer that leaves: no mistake of the program.
local RESETS = { ECONNRESET = true, EPIPE = true }

local function report(err, _, traceback)
  if type(err) == "table" and RESETS[rawget(err, "code")] then return end
  task.report(err, traceback)
end

-- Reports the failure of a handler, in its task.
local function tell(server, err, conn)
  local traceback = task.current():traceback():match "\n(.*)"
  local peer = core.accepted_from(conn)
  if peer then traceback = traceback .. "\nconnection from " .. peer end
  local ok, problem = task.pcall(server.on_error, err, conn, traceback)
  if ok or task.is_cancellation(problem) then return end
  task.report(problem)
  task.report(err, traceback)
end

-- The metatable of the list of one connection that its task owns, and closes as its last action.
local function new_guard(server)
  return {
    __close = function(guard, err)
      local conn = guard[1]
      if err ~= nil and not task.is_cancellation(err) then tell(server, err, conn) end
      conn:close()
    end,
  }
end

local function accept_all(server)
  local listener, group = server.listener, server.group
  while true do
    group:room()
    local conn, message, code = listener:accept()
    if not conn then
      if code == "CLOSED" then return true end
      return nil, message, code
    end
    server.waiting[conn] = true
    local handler
    handler, message, code = group:spawn(core.serve_one, server, conn)
    if not handler then return nil, message, code end
  end
end

local Server = {}

-- All handlers have ended. Those cancelled before their first step have left their connections.
function Server:__close()
  servers[self.listener] = nil
  for conn in pairs(self.waiting) do conn:close() end
end

local SERVING = { max = true, on_error = true }

-- Raises at the caller of the method that calls this.
local function check_self(self, name)
  if type(self) ~= "userdata" or (getmetatable(self) or {}).__index ~= Listener then
    local message = "calling '%s' on bad self (net.listener expected, got %s)"
    error(message:format(name, self == nil and "no value" or type(self)), 3)
  end
end

-- The first name that is no option, as text.
local function unknown_option(opts)
  for key in next, opts do
    if not SERVING[key] then return tostring(key) end
  end
end

local function check_arguments(opts, handler)
  local function refuse(number, text)
    error(("bad argument #%d to 'serve' (%s)"):format(number, text), 4)
  end
  if handler == nil and type(opts) ~= "table" then
    refuse(1, "function expected, got " .. (opts == nil and "no value" or type(opts)))
  elseif type(opts) ~= "table" then
    refuse(1, "table expected, got " .. type(opts))
  elseif unknown_option(opts) then
    refuse(1, ("unknown option '%s'"):format(unknown_option(opts)))
  elseif opts.max ~= nil and (math_type(opts.max) ~= "integer" or opts.max < 1) then
    refuse(1, "option 'max' must be a positive integer")
  elseif opts.on_error ~= nil and not is_callable(opts.on_error) then
    refuse(1, "option 'on_error' must be a function")
  elseif not is_callable(handler) then
    refuse(2, "function expected, got " .. type(handler))
  end
end

--- Serves each connection in a task of its own, until the listener is closed, by stop() or
-- otherwise, and every handler has ended. Cancelled, it cancels the handlers and waits for their
-- end; the listener stays open. May wait.
-- @function listener:serve
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.max connections at a time: while there are so many, further ones wait
-- in the backlog
-- @tparam[opt] function opts.on_error on_error(err, conn, traceback), called in the task of a
-- handler that has failed, while conn is open; may wait. Without it the error is reported as if no
-- task had joined the handler, unless it is a reset: a table whose code is "ECONNRESET" or "EPIPE"
-- @tparam function(stream) handler called with the stream, which is closed when it has returned or
-- failed, even if other code still has it. A handler that was cancelled has not failed.
-- @treturn boolean true; or nil, message, code
function Listener:serve(opts, handler)
  check_self(self, "serve")
  if handler == nil and is_callable(opts) then opts, handler = {}, opts end
  check_arguments(opts, handler)
  local address, message, code = Listener.address(self)
  if not address then return nil, message, code end
  if servers[self] then return nil, "another task serves this listener", "EBUSY" end
  local server <close> = setmetatable({
    listener = self, handler = handler, on_error = opts.on_error or report, waiting = {},
    cancelled = 0,
  }, Server)
  local group <close> = task.group { limit = opts.max, on_error = function() end }
  server.group, server.guard = group, new_guard(server)
  servers[self] = server
  serving.add(self, Listener.stop)
  return accept_all(server)
end

-- Waits for the handlers; after the grace it cancels them, and waits again.
local function finish(server, grace)
  local group = server.group
  if not group:join(grace) then
    server.cancelled = server.cancelled + #group
    group:cancel "the server has stopped"
    group:join()
  end
  return server.cancelled
end

--- Stops serving: closes the listener, waits for the handlers, and cancels those that have not
-- ended after the grace. serve() then returns true. Called by a handler it does not wait: the grace
-- passes while that one goes on. Harmless on a listener that is not served, and a second time. May
-- wait.
-- @function listener:stop
-- @tparam[opt] number grace seconds; 0: cancels at once; without it waits without a limit
-- @treturn integer how many handlers were cancelled, by this call of stop() or another
function Listener:stop(grace)
  check_self(self, "stop")
  if grace ~= nil and (type(grace) ~= "number" or grace ~= grace) then
    error(("bad argument #1 to 'stop' (number expected, got %s)"):format(type(grace)), 2)
  end
  Listener.close(self)
  local server = servers[self]
  if not server then return 0 end
  if not server.group:has(task.current()) then return finish(server, grace) end
  if grace then task.spawn({ daemon = true }, finish, server, grace) end
  return server.cancelled
end

return net
