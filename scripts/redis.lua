--- A client for servers that speak Redis's protocol (RESP 2).
--
--     local redis = require "redis"
--     local client <close> = assert(redis.connect("127.0.0.1", 6379))
--     assert(client:call("SET", "name", "value"))
--     print(client:call("GET", "name"))
--
-- Any number of tasks may use one client: what they ask goes out at once, and each gets its own
-- answer. What Redis refuses is returned as nil, message and the first word of the message, such as
-- "WRONGTYPE"; "no value" is a plain nil.
local channel = require "moonlet.channel"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local redis = {}

-- Messages that wait for whoever has subscribed; then the server has to wait.
local MOST_UNREAD = 1000
local DEEPEST = 32 -- lists within lists

--- No value, as an element of a list.
redis.null = setmetatable({}, {__tostring = function() return "(nil)" end})

-- What Redis has refused, as an element of a list.
local Refusal = {__name = "redis.refusal", __tostring = function(self) return self.message end}

local Client = {__name = "redis.client"}
Client.__index = Client

---- The protocol. ---------------------------------------------------------------------------------

-- Appends a request, a list of strings and numbers, to a list of strings.
local function encode(request, pieces)
  pieces[#pieces + 1] = ("*%d\r\n"):format(#request)
  for _, word in ipairs(request) do
    word = tostring(word)
    pieces[#pieces + 1] = ("$%d\r\n%s\r\n"):format(#word, word)
  end
end

local read_reply

local readers = {} -- of a reply, by its first character; what follows it in that line

readers["+"] = function(_, text) return text end

readers["-"] = function(_, text)
  return setmetatable({message = text, code = text:match "^%S+" or "ERR"}, Refusal)
end

readers[":"] = function(_, text) return math.tointeger(tonumber(text)) end

readers["$"] = function(conn, text)
  local length = math.tointeger(tonumber(text))
  if length == -1 then return redis.null end
  if not length or length < 0 then return nil end
  local data, message, code = conn:read_exactly(length + 2)
  if not data then return nil, message, code end
  return data:sub(1, -3)
end

readers["*"] = function(conn, text, depth)
  local count = math.tointeger(tonumber(text))
  if count == -1 then return redis.null end
  if not count or count < 0 or depth > DEEPEST then return nil end
  local list = {}
  for i = 1, count do
    local element, message, code = read_reply(conn, depth + 1)
    if element == nil then return nil, message, code end
    list[i] = element
  end
  return list
end

function read_reply(conn, depth)
  local line, message, code = conn:read_line()
  if not line then return nil, message or "the server has hung up", code or "EEOF" end
  local read = readers[line:sub(1, 1)]
  local reply
  if read then reply, message, code = read(conn, line:sub(2), depth) end
  if reply == nil then return nil, message or "not a reply of Redis", code or "EPROTO" end
  return reply
end

---- Requests in flight, answered in their order. --------------------------------------------------

local function expect_reply(self)
  local reply = sync.future()
  self.last = self.last + 1
  self.expected[self.last] = reply
  return reply
end

local function next_expected(self)
  local reply = self.expected[self.first]
  if not reply then return nil end
  self.expected[self.first] = nil
  self.first = self.first + 1
  return reply
end

-- The connection is of no use any more: all that wait are told why.
local function break_off(self, message, code)
  if self.broken then return end
  self.broken = {message, code}
  self.conn:close()
  for reply in next_expected, self do reply:set(nil, message, code) end
  if self.messages then self.messages:close() end
end

local function is_message(self, reply)
  return self.messages and type(reply) == "table" and reply[1] == "message"
end

-- The task that reads everything that comes.
local function receive(self)
  while true do
    local reply, message, code = read_reply(self.conn, 1)
    if reply == nil then return break_off(self, message, code) end
    if is_message(self, reply) then
      if not self.messages:put(reply) then return end
    else
      local expected = next_expected(self)
      if not expected then return break_off(self, "a reply to nothing", "EPROTO") end
      expected:set(reply)
    end
  end
end

local Sending = {__close = function(self)
  if not self.is_done then break_off(self.client, "a request was cut short", "EPIPE") end
end}

-- Sends requests as one; the replies to come, `per_request` of each. One that is cut short would
-- leave the server waiting for its rest.
local function send(self, requests, per_request)
  local _ <close> = self.turn:lock()
  if self.broken then return nil, table.unpack(self.broken) end
  local sending <close> = setmetatable({client = self}, Sending)
  local pieces, replies = {}, {}
  for _, request in ipairs(requests) do
    encode(request, pieces)
    for _ = 1, per_request do replies[#replies + 1] = expect_reply(self) end
  end
  local ok, message, code = self.conn:write(pieces)
  if not ok then break_off(self, message, code) end
  sending.is_done = true
  return replies
end

-- Waits for one reply.
local function get(reply)
  local value, message, code = reply:get()
  if getmetatable(value) == Refusal then return nil, value.message, value.code end
  if value == redis.null then return nil end
  return value, message, code
end

---- What users call. ------------------------------------------------------------------------------

--- Connects. May wait.
-- @tparam string|Address host ... as for net.connect(): host, port and options; or "unix:/path"
-- @treturn Client or nil, message, code
function redis.connect(...)
  local conn, message, code = net.connect(...)
  if not conn then return nil, message, code end
  local self = setmetatable({conn = conn, turn = sync.mutex(), expected = {}, first = 1, last = 0},
    Client)
  task.spawn({daemon = true, name = "redis"}, receive, self)
  return self
end

--- Sends one request and waits for the reply.
-- @tparam string|number ... the command and its arguments
-- @return string, integer or list; nil: no value; or nil, message, code
function Client:call(...)
  local replies, message, code = send(self, {{...}}, 1)
  if not replies then return nil, message, code end
  return get(replies[1])
end

--- Sends many requests at once and waits for all replies.
-- @tparam {{string|number,...},...} requests
-- @treturn list as call() returns them, but redis.null for no value, and for what was refused an
-- object with `message` and `code`; or nil, message, code
function Client:pipeline(requests)
  local replies, message, code = send(self, requests, 1)
  if not replies then return nil, message, code end
  local values = {}
  for i, reply in ipairs(replies) do
    values[i], message, code = reply:get()
    if values[i] == nil then return nil, message, code end
  end
  return values
end

--- Subscribes; from then on the client serves for nothing else. May wait.
-- @tparam string ... names of channels
-- @treturn function an iterator: for channel, payload in assert(client:subscribe("news")) do; it
-- waits, and ends when the connection does. Or nil, message, code
function Client:subscribe(...)
  self.messages = self.messages or channel.new(MOST_UNREAD)
  local names = {...}
  local replies, message, code = send(self, {{"SUBSCRIBE", ...}}, #names)
  if not replies then return nil, message, code end
  for _, reply in ipairs(replies) do
    local confirmed, reason, why = get(reply)
    if not confirmed then return nil, reason, why end
  end
  return function()
    local received = self.messages:get()
    if received then return received[2], received[3] end
  end
end

--- Closes at once: whoever waits gets nil, "closed", "CLOSED".
function Client:close()
  break_off(self, "closed", "CLOSED")
end

Client.__close = Client.close

function Client:__tostring()
  return ("redis.client (%s)"):format(self.broken and self.broken[1] or tostring(self.conn))
end

return redis
