---@meta moonlet.redis

---A client. Every command of Redis is a method, in small letters: `r:set("name", "value")`,
---`r:zadd(key, 1, "member")`, `r:config("GET", "maxmemory")`. Arguments are strings and numbers.
---The result is the reply: a string, an integer, a number, a boolean, a list, or a table of keys
---and values (of HGETALL, also with older servers); nil for no value; or nil, message, code if
---Redis has refused: the code is the first word of its message, such as "WRONGTYPE". Failures of
---the network have codes such as "ECONNREFUSED" and "ETIMEDOUT". A command that waits in the
---server, such as BLPOP, has a connection of its own; if its task is cancelled, that is closed.
---`<close>` closes the client.
---@class moonlet.redis.Redis
local Redis = {}

---Sends a command and waits for the reply.
---@param name string
---@param ... string|number its arguments
---@return any ... # the reply; nil: no value; or nil, message, code
function Redis:call(name, ...) end

---Closes all connections: tasks that wait get nil, "closed", "CLOSED". Never waits.
function Redis:close() end

---Iterates over the fields and values of a hash (HSCAN), as scan does.
---@param key string
---@param opts? table `match`, `count`
---@return function # an iterator: field, value
function Redis:hscan(key, opts) end

---Sends many commands at once and waits for all replies.
---@param fn function|table called with an object whose methods are the commands, which are collected and not sent yet; or a list of lists, each with a command and its arguments
---@return table|nil # the replies in their order: `redis.null` for no value, and for what was refused an object with `message` and `code`; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Redis:pipeline(fn) end

---The same with patterns, such as "news.*". The iterator gives channel, message and pattern.
---@param ... string patterns
---@return moonlet.redis.Subscription|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Redis:psubscribe(...) end

---@class moonlet.redis.Redis.scan.options
---@field match? string a pattern, such as "user:*"
---@field count? integer about how many keys a step looks at
---@field type? string "string", "hash" or another one

---Iterates over keys (SCAN), in a cluster over those of all its servers. A key may come twice if
---others write meanwhile; one that is there all the time comes at least once. Each step may wait; a
---failure raises { message=, code= }.
---@param opts? moonlet.redis.Redis.scan.options
---@return function # an iterator
function Redis:scan(opts) end

---Makes a function of a script that runs in the server. Its text is sent once; then its name is
---enough.
---@param source string
---@return function # takes the list of keys and the arguments, and returns as call does
function Redis:script(source) end

---Iterates over the members of a set (SSCAN), as scan does.
---@param key string
---@param opts? table `match`, `count`
---@return function # an iterator
function Redis:sscan(key, opts) end

---The same for channels that a cluster keeps with the keys of their slot (Redis 7).
---@param ... string names of channels of one slot
---@return moonlet.redis.Subscription|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Redis:ssubscribe(...) end

---Subscribes to channels, on a connection of its own. Waits until Redis has confirmed it. When the
---connection is lost, it is made again, and an item whose channel is `redis.lost` tells that
---messages may be missing. A subscriber that does not read keeps 1,000 messages; then the server
---has to wait.
---@param ... string names of channels
---@return moonlet.redis.Subscription|nil # an iterator over channel and message; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Redis:subscribe(...) end

---@class moonlet.redis.Redis.transaction.options
---@field watch? string[] keys: if another client changes one of them, nothing is carried out, and fn is called again
---@field attempts? integer calls of fn

---Has commands carried out as one, with nothing of others in between (MULTI and EXEC).
---@param opts? moonlet.redis.Redis.transaction.options
---@param fn function called with an object that collects commands, as for pipeline; with `watch` also with a client for what has to be read first
---@return table|nil # the replies, as for pipeline; or nil, message, code: "EXECABORT" if Redis refuses one of the commands, "EAGAIN" if the keys were changed each time
---@return string|nil # message
---@return string|nil # code
---@overload fun(self: moonlet.redis.Redis, fn: function): table|nil, string|nil, string|nil
function Redis:transaction(opts, fn) end

---Iterates over the members of a sorted set (ZSCAN), as scan does.
---@param key string
---@param opts? table `match`, `count`
---@return function # an iterator: member, score as a string
function Redis:zscan(key, opts) end

---What a subscriber gets. It is an iterator, and `<close>` closes it.
---@class moonlet.redis.Subscription
local Subscription = {}

---Closes it: an iteration ends. Never waits.
function Subscription:close() end

---Waits for the next message.
---@param timeout? number seconds
---@return string|nil # channel; `redis.lost` if the connection was lost and made again: messages may be missing; or nil, message, code: "ETIMEDOUT", or "CLOSED"
---@return string|string|nil # message
---@return string|string|nil # the pattern, of `psubscribe`
function Subscription:receive(timeout) end

---A client for Redis and servers that speak its protocol (RESP 2 and 3), over TCP, TLS and Unix
---sockets, alone or in a cluster. Any number of tasks share a client: what they ask goes out
---together, and each gets its own answer.
---@class moonlet.redis
local redis = {}

---Stands for a channel where messages of a subscription may be missing.
redis.lost = {}

---No value, in a list or a map. The same as `json.null`.
redis.null = {}

---@class moonlet.redis.open.options
---@field timeout? number seconds that one attempt to connect, and one reply, may take
---@field protocol? integer 2 or 3; with 3 older servers are spoken to in 2
---@field tls? boolean|table|moonlet.net.Context as for `net.connect`
---@field pool? integer connections for single tasks: commands that wait, and WATCH
---@field attempts? integer to connect, and to send what was not sent
---@field retry? boolean commands whose reply was lost are sent again, even if they may have been carried out; without it only those are that change nothing
---@field cluster? boolean the server belongs to a cluster; without it a client finds out when it is sent on to another server
---@field name? string of the connections, for CLIENT LIST

---Connects to a server. Waits. A connection that is lost later is made again at the next command,
---with pauses between the attempts.
---@param where string "redis://user:password@host:port/db", "rediss://..." with TLS, or "unix:/path", with "?db=1"; what is missing is the default user, no password, 127.0.0.1, 6379 and 0
---@param opts? moonlet.redis.open.options
---@return moonlet.redis.Redis|nil # or nil, message, code: "EURL"; "WRONGPASS", "NOAUTH"; or of the network
---@return string|nil # message
---@return string|nil # code
function redis.open(where, opts) end

return redis
