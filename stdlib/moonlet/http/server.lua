--- The server of moonlet.http: what surrounds the connections, which are in runtime/http/.
-- @module moonlet.http.server

local error, math, pairs, setmetatable, type = error, math, pairs, setmetatable, type

local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local net = require "moonlet.net"
local task = require "moonlet.task"

local server = {}

local Server = { __name = "http.server" }
Server.__index = Server

-- The answer for a handler that has failed; problem: the error and its traceback.
local function settle(_, _, problem)
  task.report(problem[1], problem[2])
  return 500, "internal server error\n"
end

--- Makes a server of a handler.
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Server
function server.server(opts, handler)
  if handler == nil and argument.is_callable(opts) then opts, handler = {}, opts end
  argument.callable(handler, 2, "server")
  local self = setmetatable({ opts = opts, listeners = {} }, Server)
  self.core, self.connection = core.server(handler, settle)
  return self
end

--- Serves the connections of a listener until it is stopped, or one stream until its end. May wait.
-- @tparam listener|stream target
-- @treturn boolean true; or nil, message, code
function Server:serve(target)
  if type(target.read_some) == "function" then
    self.connection(target)
    return true
  end
  self.listeners[target] = true
  return target:serve(self.connection)
end

--- Stops: finishes the requests that are being answered, cuts those that last longer than the
-- grace. May wait.
-- @tparam[opt] number grace seconds; without it waits as long as it takes
-- @treturn integer how many were cut
function Server:stop(grace)
  local until_then = grace and task.now() + grace
  local cut = 0
  for listener in pairs(self.listeners) do listener:close() end
  core.stop(self.core)
  for listener in pairs(self.listeners) do
    cut = cut + listener:stop(until_then and math.max(0, until_then - task.now()))
  end
  return cut
end

--- Tells what the server has done so far. Never waits.
-- @treturn table connections, requests, errors, refused; open and in_flight: now
function Server:stats() return core.stats(self.core) end

--- Listens, and serves until stopped. May wait.
-- @tparam table opts
-- @tparam[opt] string opts.host
-- @tparam[opt] integer opts.port
-- @tparam[opt] listener opts.listener
-- @tparam function(Request,Response) handler
-- @treturn boolean true; or nil, message, code
function server.serve(opts, handler)
  if type(opts) ~= "table" then error("bad argument #1 to 'serve' (table expected)", 2) end
  local listener, message, code = opts.listener, nil, nil
  if not listener then
    listener, message, code = net.listen(opts.host or "127.0.0.1", opts.port or 0, {
      tls = opts.tls, reuseport = opts.reuseport, backlog = opts.backlog,
    })
    if not listener then return nil, message, code end
  end
  return server.server(opts, handler):serve(listener)
end

return server
