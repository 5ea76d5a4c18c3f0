--- A client for Redis and servers that speak its protocol (RESP 2 and 3), over TCP, TLS and Unix
-- sockets, alone or in a cluster. Any number of tasks share a client: what they ask goes out
-- together, and each gets its own answer.
-- @module moonlet.redis

local error, getmetatable, ipairs = error, getmetatable, ipairs
local next, pairs, setmetatable, type = next, pairs, setmetatable, type
local table_unpack = table.unpack

local Node = require "moonlet.redis.node"
local address_of = require "moonlet.redis.address"
local argument = require "moonlet.argument"
local batch = require "moonlet.redis.batch"
local commands = require "moonlet.redis.commands"
local execute = require "moonlet.redis.execute"
local resp = require "moonlet.redis.resp"
local subscription = require "moonlet.redis.subscription"

local Cluster = require "moonlet.redis.cluster"

local redis = {
  --- No value, in a list or a map. The same as `json.null`.
  null = require("moonlet.json").null,
  --- Stands for a channel where messages of a subscription may be missing.
  lost = subscription.lost,
}

local null, Refusal = redis.null, resp.Refusal

--- A client. Every command of Redis is a method, in small letters: `r:set("name", "value")`,
-- `r:zadd(key, 1, "member")`, `r:config("GET", "maxmemory")`. Arguments are strings and numbers.
-- The result is the reply: a string, an integer, a number, a boolean, a list, or a table of keys
-- and values (of HGETALL, also with older servers); nil for no value; or nil, message, code if
-- Redis has refused: the code is the first word of its message, such as "WRONGTYPE". Failures of
-- the network have codes such as "ECONNREFUSED" and "ETIMEDOUT". A command that waits in the
-- server, such as BLPOP, has a connection of its own; if its task is cancelled, that is closed.
-- `<close>` closes the client.
-- @object Redis
local Redis = { __name = "redis" }

-- A client -> what is in it: any field of a client's own would hide a command.
local inside = setmetatable({}, { __mode = "k" })

local OPTIONS = { timeout = true, protocol = true, tls = true, pool = true, attempts = true,
  retry = true, cluster = true, name = true }

local function check_options(opts)
  argument.options(opts, 2, "open", OPTIONS)
  local timeout = opts.timeout
  argument.check(timeout == nil or type(timeout) == "number" and timeout > 0, 2, "open",
    "option 'timeout' must be a positive number")
  argument.check(opts.protocol == nil or opts.protocol == 2 or opts.protocol == 3, 2, "open",
    "option 'protocol' must be 2 or 3")
  argument.count(opts.pool, 2, "open", "option 'pool'")
  argument.count(opts.attempts, 2, "open", "option 'attempts'")
  argument.check(opts.name == nil or type(opts.name) == "string", 2, "open",
    "option 'name' must be a string")
end

local function options_of(opts, target)
  return {
    timeout = opts.timeout or 5, protocol = opts.protocol or 3, pool = opts.pool or 10,
    attempts = opts.attempts or 3, retry = opts.retry, name = opts.name, user = target.user,
    password = target.password, db = target.db, tls = opts.tls or target.is_tls or nil,
  }
end

local function close(self)
  if self.cluster then self.cluster:close() end
  self.node:close()
  for sub in next, self.subscriptions do sub:close() end
end

--- Connects to a server. Waits. A connection that is lost later is made again at the next command,
-- with pauses between the attempts.
-- @tparam string where "redis://user:password@host:port/db", "rediss://..." with TLS, or
-- "unix:/path", with "?db=1"; what is missing is the default user, no password, 127.0.0.1, 6379 and
-- 0
-- @tparam[opt] table opts
-- @tparam[opt=5] number opts.timeout seconds that one attempt to connect, and one reply, may take
-- @tparam[opt=3] integer opts.protocol 2 or 3; with 3 older servers are spoken to in 2
-- @tparam[opt] boolean|table|Context opts.tls as for `net.connect`
-- @tparam[opt=10] integer opts.pool connections for single tasks: commands that wait, and WATCH
-- @tparam[opt=3] integer opts.attempts to connect, and to send what was not sent
-- @tparam[opt=false] boolean opts.retry commands whose reply was lost are sent again, even if they
-- may have been carried out; without it only those are that change nothing
-- @tparam[opt=false] boolean opts.cluster the server belongs to a cluster; without it a client
-- finds out when it is sent on to another server
-- @tparam[opt] string opts.name of the connections, for CLIENT LIST
-- @treturn Redis or nil, message, code: "EURL"; "WRONGPASS", "NOAUTH"; or of the network
-- @usage local r <close> = assert(redis.open "redis://127.0.0.1")
-- assert(r:set("name", "value"))
function redis.open(where, opts)
  argument.check(type(where) == "string", 1, "open", "string expected")
  opts = opts or {}
  check_options(opts)
  local target, message, code = address_of(where)
  if not target then return nil, message, code end
  local options = options_of(opts, target)
  local node = Node.new({ host = target.host, port = target.port, path = target.path }, options)
  local self = { node = node, options = options, subscriptions = {} }
  if opts.cluster then self.cluster = Cluster.new(node, options) end
  local ok
  if self.cluster then
    ok, message, code = self.cluster:load()
  else
    ok, message, code = node:connection()
  end
  if ok then
    local client = setmetatable({}, Redis)
    inside[client] = self
    return client
  end
  close(self)
  return nil, message, code
end

-- A reply as a caller gets it.
local function result_of(reply, message, code)
  if getmetatable(reply) == Refusal then return nil, reply.message, reply.code end
  if reply == nil then return nil, message, code end
  if reply == null then return nil end
  return reply
end

local function carry_out(self, request)
  local ask = commands.does_wait(request) and execute.waiting or execute.one
  return result_of(ask(self, request))
end

-- The methods that are no commands. They get what is in the object.
local methods = {}

--- Sends a command and waits for the reply.
-- @function Redis:call
-- @tparam string name
-- @tparam string|number ... its arguments
-- @return the reply; nil: no value; or nil, message, code
-- @usage r:call("OBJECT", "ENCODING", "name")
function methods:call(...) return carry_out(self, batch.request(2, ...)) end

--- Sends many commands at once and waits for all replies.
-- @function Redis:pipeline
-- @tparam function|table fn called with an object whose methods are the commands, which are
-- collected and not sent yet; or a list of lists, each with a command and its arguments
-- @treturn table the replies in their order: `redis.null` for no value, and for what was refused an
-- object with `message` and `code`; or nil, message, code
-- @usage local replies = assert(r:pipeline(function(p)
--   p:set("a", 1)
--   p:incr("a")
-- end))
function methods:pipeline(fn)
  local is_good = argument.is_callable(fn) or type(fn) == "table"
  argument.check(is_good, 1, "pipeline", "function expected")
  return execute.many(self, batch.collect(fn))
end

-- The replies of MULTI ... EXEC: the list of results; false: a watched key was changed; or nil,
-- message, code.
local function outcome_of(replies)
  local last = replies[#replies]
  if getmetatable(last) == Refusal then
    for _, reply in ipairs(replies) do -- the first refusal is the reason
      if getmetatable(reply) == Refusal and (last.code ~= "EXECABORT" or reply ~= last) then
        return nil, reply.message, last.code
      end
    end
    return nil, last.message, last.code
  end
  if last == null then return false end
  return last
end

local function wrapped(requests)
  local all = { { "MULTI" } }
  for i, request in ipairs(requests) do all[i + 1] = request end
  all[#all + 1] = { "EXEC" }
  return all
end

local function node_of(self, requests, keys)
  if not self.cluster then return self.node end
  local key = keys and keys[1]
  for i = 1, #requests do key = key or commands.key_of(requests[i]) end
  return self.cluster:node_for(key)
end

local function transact(self, requests)
  if #requests == 0 then return {} end
  local node, message, code = node_of(self, requests)
  if not node then return nil, message, code end
  local replies
  replies, message, code = execute.on_node(self, node, wrapped(requests))
  if not replies then return nil, message, code end
  return outcome_of(replies)
end

-- The client inside a transaction that watches: its commands go to the watching connection.
local Now = {}

function Now.__index(_, name)
  return function(this, ...)
    local request = name == "call" and batch.request(2, ...) or batch.request(2, name, ...)
    local replies, message, code = this.connection:send({ request }):get(this.timeout)
    if not replies then return nil, message, code end
    local reply = replies[1]
    if this.connection.protocol == 2 then reply = commands.as_map(request, reply) end
    return result_of(reply)
  end
end

-- One attempt. False: a key was changed meanwhile.
local function attempt(self, connection, loan, keys, fn)
  loan.is_spoiled = true -- it watches until EXEC was answered
  local now = setmetatable({ connection = connection, timeout = self.options.timeout }, Now)
  local replies, message, code =
    connection:send({ { "WATCH", table_unpack(keys) } }):get(self.options.timeout)
  if not replies then return nil, message, code end
  if getmetatable(replies[1]) == Refusal then return result_of(replies[1]) end
  local requests = batch.collect(fn, now)
  replies, message, code = connection:send(wrapped(requests)):get(self.options.timeout)
  if not replies then return nil, message, code end
  loan.is_spoiled = false
  return outcome_of(replies)
end

local function watch(self, keys, attempts, fn)
  local node, message, code = node_of(self, {}, keys)
  if not node then return nil, message, code end
  for _ = 1, attempts do
    local result
    result, message, code = node:with_own(function(connection, loan)
      return attempt(self, connection, loan, keys, fn)
    end)
    if result ~= false then return result, message, code end
  end
  return nil, "the watched keys were changed again and again", "EAGAIN"
end

local WATCH_OPTIONS = { watch = true, attempts = true }

--- Has commands carried out as one, with nothing of others in between (MULTI and EXEC).
-- @function Redis:transaction
-- @tparam[opt] table opts
-- @tparam[opt] {string,...} opts.watch keys: if another client changes one of them, nothing is
-- carried out, and fn is called again
-- @tparam[opt=10] integer opts.attempts calls of fn
-- @tparam function fn called with an object that collects commands, as for pipeline; with `watch`
-- also with a client for what has to be read first
-- @treturn table the replies, as for pipeline; or nil, message, code: "EXECABORT" if Redis refuses
-- one of the commands, "EAGAIN" if the keys were changed each time
-- @usage r:transaction({ watch = { "stock" } }, function(tx, now)
--   local stock = tonumber(now:get "stock")
--   if stock > 0 then tx:set("stock", stock - 1) end
-- end)
function methods:transaction(opts, fn)
  if fn == nil then opts, fn = {}, opts end
  argument.options(opts, 1, "transaction", WATCH_OPTIONS)
  argument.check(argument.is_callable(fn), 2, "transaction", "function expected")
  argument.count(opts.attempts, 1, "transaction", "option 'attempts'")
  local keys = opts.watch
  if not keys then return transact(self, batch.collect(fn)) end
  argument.check(type(keys) == "table" and #keys > 0, 1, "transaction",
    "option 'watch' must be a list of keys")
  return watch(self, keys, opts.attempts or 10, fn)
end

-- ---- subscriptions ----

local function subscribe(verb)
  return function(self, ...)
    local function find(name)
      if not self.cluster or verb ~= "ssubscribe" then return self.node.address end
      local node, message, code = self.cluster:node_for(name)
      return node and node.address, message, code
    end
    return subscription.open(verb, self.options, find, self.subscriptions, ...)
  end
end

--- Subscribes to channels, on a connection of its own. Waits until Redis has confirmed it. When the
-- connection is lost, it is made again, and an item whose channel is `redis.lost` tells that
-- messages may be missing. A subscriber that does not read keeps 1,000 messages; then the server
-- has to wait.
-- @function Redis:subscribe
-- @tparam string ... names of channels
-- @treturn Subscription an iterator over channel and message; or nil, message, code
-- @usage for channel, message in assert(r:subscribe("news", "weather")) do print(channel, message)
-- end
methods.subscribe = subscribe "subscribe"

--- The same with patterns, such as "news.*". The iterator gives channel, message and pattern.
-- @function Redis:psubscribe
-- @tparam string ... patterns
-- @treturn Subscription or nil, message, code
methods.psubscribe = subscribe "psubscribe"

--- The same for channels that a cluster keeps with the keys of their slot (Redis 7).
-- @function Redis:ssubscribe
-- @tparam string ... names of channels of one slot
-- @treturn Subscription or nil, message, code
methods.ssubscribe = subscribe "ssubscribe"

-- ---- scripts and iterators ----

for name, method in pairs(require "moonlet.redis.scan") do methods[name] = method end
for name, method in pairs(require "moonlet.redis.script") do methods[name] = method end

--- Closes all connections: tasks that wait get nil, "closed", "CLOSED". Never waits.
-- @function Redis:close
methods.close = close

for name, method in pairs(methods) do
  methods[name] = function(self, ...)
    argument.self(self, Redis, name)
    return method(inside[self], ...)
  end
end

Redis.__close = methods.close

function Redis:__tostring()
  local address = inside[self].node.address
  return ("redis (%s)"):format(address.path or address.host .. ":" .. address.port)
end

local known = {} -- commands that were asked for

-- Any other name is a command.
function Redis.__index(_, name)
  local method = methods[name] or known[name]
  if method then return method end
  if type(name) ~= "string" then return nil end
  method = function(this, ...)
    if getmetatable(this) ~= Redis then error(("calling '%s' on a bad self"):format(name), 2) end
    return carry_out(inside[this], batch.request(2, name, ...))
  end
  known[name] = method
  return method
end

return redis
