--- The server of moonlet.http: what surrounds the connections, which are in runtime/http/.
-- @submodule moonlet.http

local error, getmetatable, next, pairs, pcall = error, getmetatable, next, pairs, pcall
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type
local huge, math_type = math.huge, math.type
local table = table

local access_log = require "moonlet.http.access_log"
local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local new_headers = require("moonlet.http.headers").new
local net = require "moonlet.net"
local serving = require "moonlet.serving"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local trusted = require "moonlet.http.trusted"
require "moonlet.http.files"
require "moonlet.http.request"
require "moonlet.http.response"

local server = {}

-- ---- errors that are answers ----

local Error = { __name = "http.error" }
Error.__index = Error
Error.__tostring = function(self) return self.status .. ": " .. self.message end

--- Makes an error that is an answer: `error(http.error(404))` in a handler answers 404, and so does
-- `return http.error(404)`. From 500 up it is reported, too.
-- @function error
-- @tparam integer status 400 to 599
-- @tparam[opt] string message the body's text
-- @tparam[opt] table headers
-- @treturn table with status, message, headers, to be raised
function server.error(status, message, headers)
  argument.check(math_type(status) == "integer" and status >= 400 and status <= 599, 1, "error",
    "a status from 400 to 599 expected")
  argument.check(message == nil or type(message) == "string", 2, "error", "string expected")
  local can_be_sent, problem = pcall(new_headers, headers or {})
  argument.check(can_be_sent, 3, "error", problem)
  return setmetatable({ status = status, message = message or "", headers = headers }, Error)
end

local function is_error(value) return getmetatable(value) == Error end

-- The answer for an error that http.error() made.
local function answer_error(err)
  local headers = { ["content-type"] = "text/plain; charset=utf-8" }
  for name, value in pairs(err.headers or {}) do headers[name:lower()] = value end
  return err.status, headers, err.message .. "\n"
end

-- The message and the code of a handler's error; nil: it has none. Where assert() has lost the code
-- of a failure of the request's body, the request knows it.
local function failure_of(req, err)
  if type(err) == "string" then return core.failure_of(req, err) end
  if type(err) ~= "table" or is_error(err) then return nil end
  return err.message, type(err.code) == "string" and err.code or nil
end

-- A peer that leaves in the middle of its request, or of the answer, is no fault of the handler.
local function is_broken(code)
  return code == "EPIPE" or code == "ECONNRESET" or code == "EEOF"
end

local LONGEST = 300 -- bytes of a request's line in a report

-- Reports an error of a request's handler. Where it is found after the handler has returned, the
-- traceback has nothing of the program: the request's line leads there.
local function report(req, err, traceback)
  local line = access_log.line_of(req)
  if #line > LONGEST then line = line:sub(1, LONGEST) .. "..." end
  task.report(err, ("%s\n\tin the answer to %s"):format(traceback, line))
end

-- The answer of on_error: a table of results, none of them if it fails itself, which is reported.
local function ask_on_error(on_error, err, req, traceback)
  local results = table.pack(pcall(on_error, err, req, traceback))
  if task.is_cancellation(results[2]) then error(results[2], 0) end
  if not results[1] then
    report(req, results[2], traceback)
    return { n = 0 }
  end
  if is_error(results[2]) then return table.pack(answer_error(results[2])) end
  return table.pack(table.unpack(results, 2, results.n))
end

-- Whether on_error has left the answer to the server: where it only logs, and returns what its
-- logger did, the failure must not become a success.
local function is_no_answer(results)
  return results.n == 0 or results.n == 1 and (results[1] == nil or results[1] == true)
end

-- A function of a failed request: what it answers; once the head is out nothing is.
local function make_settle(on_error)
  return function(req, res, problem)
    local err, traceback = problem[1], problem[2]
    if is_error(err) and err.status < 500 and not res:sent() then return answer_error(err) end
    local message, code = failure_of(req, err)
    local is_blamed = code and core.blamed(req, code)
    if is_blamed and not res:sent() then return nil, message, code end
    if on_error then
      local results = ask_on_error(on_error, err, req, traceback)
      if not (is_no_answer(results) or res:sent()) then
        return table.unpack(results, 1, results.n)
      end
    elseif not is_blamed and not is_broken(code) then
      report(req, is_error(err) and tostring(err) or err, traceback)
    end
    if res:sent() then error(err, 0) end
    if is_error(err) then return answer_error(err) end
    return 500, "internal server error\n"
  end
end

-- ---- servers ----

local SERVER_OPTIONS = {
  on_error = true, max_body = true, max_head = true, max_target = true, max_requests = true,
  head_timeout = true, read_timeout = true, write_timeout = true, keep_alive = true,
  max_age = true, timeout = true, on_gone = true, trusted = true, log = true, version = true,
  grace = true, max = true, compress = true,
}

local SERVE_OPTIONS = {
  host = true, port = true, tls = true, reuseport = true, backlog = true, listener = true,
}
for name in pairs(SERVER_OPTIONS) do SERVE_OPTIONS[name] = true end

--- A server: it serves any number of listeners and streams.
-- @object Server

local Server = { __name = "http.server" }
Server.__index = Server

-- Servers by what core.server() gave of them; each has its open WebSockets in `sockets`.
local servers = setmetatable({}, { __mode = "k" })

-- The handler under a time limit: 503 when that is over before the head is out.
function server.limited(handler, seconds)
  return function(req, res)
    local results = table.pack(task.timeout(seconds, handler, req, res))
    if results[1] == nil and results[3] == "EDEADLINE" then
      if res:sent() then error("the handler took longer than " .. seconds .. " s", 0) end
      return 503, { ["retry-after"] = 1 }, "the answer takes too long\n"
    end
    return table.unpack(results, 1, results.n)
  end
end

local ON_ERROR = "option 'on_error' must be a function"

local function is_handler_or_nil(value) return value == nil or argument.is_callable(value) end

local Scope = { __close = function(scope) scope.server.scopes[scope.task] = nil end }

-- Serves a stream in the running task, held off from cancellations from outside: stop() cuts it by
-- a scope of its own.
local function serve_shielded(self, conn)
  local current = task.current()
  if self.scopes[current] then return self.connection(conn) end
  task.shield(huge, task.group, function(group)
    local _ <close> = setmetatable({ server = self, task = current }, Scope)
    self.scopes[current] = group
    self.connection(conn)
  end)
end

-- What serves a stream in the running task, so that stop() can cut it.
local function connection_of(self)
  if not self.grace then return self.connection end
  return function(conn) serve_shielded(self, conn) end
end

-- The options may be left out. Behind a handler there may be more: `http.server(require "app")`
-- hands over the file's name, too.
local function arguments(opts, handler)
  if argument.is_callable(opts) and not argument.is_callable(handler) then return {}, opts end
  return opts, handler
end

--- Makes a server of a handler.
-- @function server
-- @tparam[opt] table opts as serve() has them, but those of listening
-- @tparam function(Request,Response) handler
-- @treturn Server
function server.server(opts, handler)
  opts, handler = arguments(opts, handler)
  argument.options(opts, 1, "server", SERVER_OPTIONS)
  argument.check(is_handler_or_nil(opts.on_error), 1, "server", ON_ERROR)
  argument.callable(handler, 2, "server")
  local self = setmetatable({
    listeners = {}, open = {}, scopes = {}, idle = sync.event(),
    sockets = setmetatable({}, { __mode = "k" }), grace = opts.grace, max = opts.max,
  }, Server)
  if opts.timeout then handler = server.limited(handler, opts.timeout) end
  self.core, self.connection = core.server(handler, make_settle(opts.on_error), self.open,
    function() self.idle:set() end)
  servers[self.core] = self
  core.configure(self.core, opts, opts.trusted and trusted.new(opts.trusted),
    opts.log and access_log.new(opts.log))
  return self
end

-- For moonlet.websocket: a WebSocket that was the connection of `req` is told when its server
-- stops.
function core.note_socket(req, ws)
  local self = servers[core.server_of(req)]
  if self then self.sockets[ws] = true end
end

-- Seconds for which a worker that drains waits for requests of silent peers.
local LULL = 5

local stop_for_others

-- Serves until the listener is closed; a cancellation stops the server as stop(grace) does.
local function serve_gracefully(self, listener, opts)
  local over, results = sync.event(), nil
  task.group(function(group)
    group:spawn(function()
      if not task.pcall(over.wait, over) then
        task.shield(self.grace + 5, self.stop, self, self.grace)
      end
    end)
    results = table.pack(listener:serve(opts, connection_of(self)))
    over:set()
  end)
  return table.unpack(results, 1, results.n)
end

--- Serves the connections of a listener until it is stopped, or one stream until its end. May wait.
-- @function Server:serve
-- @tparam listener|stream target
-- @treturn boolean true; or nil, message, code
function Server:serve(target)
  argument.self(self, Server, "serve")
  argument.check(type(target) == "userdata", 1, "serve", "listener or stream expected")
  if target.read_some then
    local conn <close> = target
    connection_of(self)(conn)
    return true
  end
  self.listeners[target] = true
  serving.add(self, stop_for_others)
  local opts = { max = self.max }
  if self.grace then return serve_gracefully(self, target, opts) end
  return target:serve(opts, connection_of(self))
end

local function count_and_cut(self)
  local cut, current = 0, task.current()
  for _, runner in pairs(self.open) do
    if runner ~= current then
      (self.scopes[runner] or runner):cancel "the server has stopped"
      cut = cut + 1
    end
  end
  return cut
end

local function is_handler(self)
  local current = task.current()
  for _, runner in pairs(self.open) do
    if runner == current then return true end
  end
end

-- Waits until no connection is open, or some seconds; nil: as long as it takes.
local function await_idle(self, seconds)
  if next(self.open) == nil then return true end
  self.idle:clear()
  return self.idle:wait(seconds)
end

local function finish(self, grace)
  if await_idle(self, grace) then return 0 end
  local cut = count_and_cut(self)
  repeat await_idle(self) until next(self.open) == nil
  return cut
end

--- Stops: closes the listeners and the connections of silent peers, tells HTTP/2 peers and
-- WebSockets (1001), finishes what is being answered, cuts what lasts longer than the grace. Called
-- by a handler it does not wait: the grace passes while that one goes on. May wait.
-- @function Server:stop
-- @tparam[opt] number grace seconds; 0: at once; without it waits as long as it takes
-- @treturn integer how many connections were cut
function Server:stop(grace)
  argument.self(self, Server, "stop")
  if grace ~= nil then argument.number(grace, 1, "stop") end
  for listener in pairs(self.listeners) do listener:close() end
  core.stop(self.core)
  for ws in pairs(self.sockets) do ws:close(1001, "the server stops") end
  if not is_handler(self) then return finish(self, grace) end
  if grace then task.spawn({ daemon = true }, finish, self, grace) end
  return 0
end

-- For a worker that drains. Where another process goes on serving, WebSockets may come back (1012),
-- and a silent peer whose request may be on its way is told with its answer that the connection is
-- over. Only one that stays silent is closed without an answer.
stop_for_others = function(self, grace, is_replaced)
  if not is_replaced then return self:stop(grace) end
  local deadline = task.now() + grace
  for listener in pairs(self.listeners) do listener:close() end
  core.leave(self.core)
  for ws in pairs(self.sockets) do ws:close(1012, "the server restarts") end
  await_idle(self, grace / 2 < LULL and grace / 2 or LULL)
  return self:stop(deadline - task.now())
end

--- Tells what the server has done so far. Never waits.
-- @function Server:stats
-- @treturn table connections, requests, errors (heads that were none), refused (503 because of
-- max_requests): so far; open (connections), in_flight (requests): now
function Server:stats()
  argument.self(self, Server, "stats")
  return core.stats(self.core)
end

Server.__tostring = function(self)
  local stats = core.stats(self.core)
  return ("http.server (%d open, %d requests)"):format(stats.open, stats.requests)
end

-- ---- serve ----

-- The options of TLS, with the protocols that are spoken unless they are given.
local function tls_options(tls, version)
  if type(tls) ~= "table" or tls.alpn then return tls end
  local copy = {}
  for name, value in pairs(tls) do copy[name] = value end
  copy.alpn = version and version < 2 and { "http/1.1" } or { "h2", "http/1.1" }
  return copy
end

local function listen(opts)
  if opts.listener then return opts.listener end
  local how = {
    tls = tls_options(opts.tls, opts.version), reuseport = opts.reuseport, backlog = opts.backlog,
  }
  local host = opts.host or "127.0.0.1"
  if type(host) == "string" and host:find "^unix:" then return net.listen(host, how) end
  if type(host) == "table" then return net.listen(host, how) end
  return net.listen(host, opts.port or 0, how)
end

local function check_place(opts)
  local host, port = opts.host, tonumber(opts.port)
  argument.check(host == nil or argument.is_text(host), 1, "serve",
    "option 'host' must be a text or an address")
  argument.check(opts.port == nil or port and port % 1 == 0 and port >= 0 and port <= 65535, 1,
    "serve", "option 'port' must be an integer from 0 to 65535")
end

--- Listens, and serves until stopped. May wait.
--
--     http.serve({ port = 8080 }, function(req, res) return "hello" end)
--
-- @function serve
-- @tparam[opt] table opts
-- @tparam[opt="127.0.0.1"] string opts.host an address, or "unix:/path"
-- @tparam[opt] integer opts.port
-- @tparam[opt] table opts.tls options or a context of net.tls; HTTP/2 is offered
-- @tparam[opt] boolean opts.reuseport
-- @tparam[opt] integer opts.backlog
-- @tparam[opt] listener opts.listener in place of the five above
-- @tparam[opt] number opts.grace seconds: SIGINT, SIGTERM and a cancellation stop as stop(grace)
-- @tparam[opt] function opts.on_error on_error(err, req, traceback): what it returns is the answer
-- @tparam[opt=1048576] integer opts.max_body bytes of a request's body: 413
-- @tparam[opt=32768] integer opts.max_head bytes of a head: 431
-- @tparam[opt=8192] integer opts.max_target bytes of a target: 414
-- @tparam[opt] integer opts.max_requests at a time: 503
-- @tparam[opt] integer opts.max connections at a time; further ones wait in the backlog
-- @tparam[opt] number opts.timeout seconds for a handler: 503
-- @tparam[opt=10] number opts.head_timeout seconds for a head: 408
-- @tparam[opt=30] number opts.read_timeout seconds for one wait for a body: 408
-- @tparam[opt=30] number opts.write_timeout seconds for one wait for the peer to read
-- @tparam[opt=75] number opts.keep_alive seconds that a connection may be idle
-- @tparam[opt=3600] number opts.max_age seconds that a connection lives
-- @tparam[opt] string opts.on_gone "cancel": a peer that leaves cancels the handler at any time,
-- "ignore": never; without it once the head is out
-- @tparam[opt=false] boolean opts.compress answers that are texts of 1 KiB and more, or streamed,
-- are sent as br or gzip to those that take it. Not for secrets beside what a stranger can choose:
-- the size tells of them (BREACH)
-- @tparam[opt] table opts.trusted addresses and networks of proxies whose Forwarded and
-- X-Forwarded-* fields count
-- @param[opt] opts.log true, a file, or function(line): the access log
-- @tparam[opt] number opts.version 1.1: no HTTP/2
-- @tparam function(Request,Response) handler
-- @treturn boolean true; or nil, message, code
function server.serve(opts, handler)
  opts, handler = arguments(opts, handler)
  argument.options(opts, 1, "serve", SERVE_OPTIONS)
  check_place(opts)
  argument.check(is_handler_or_nil(opts.on_error), 1, "serve", ON_ERROR)
  argument.callable(handler, 2, "serve")
  local own = {}
  for name in pairs(SERVER_OPTIONS) do own[name] = opts[name] end
  local self = server.server(own, handler)
  local listener, message, code = listen(opts)
  if not listener then return nil, message, code end
  local guard <close> = listener
  return self:serve(guard)
end

return server
