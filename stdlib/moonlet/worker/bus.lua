--- @submodule moonlet.worker

local error, getmetatable, ipairs, next, pairs = error, getmetatable, ipairs, next, pairs
local require, select, setmetatable, tonumber, type = require, select, setmetatable, tonumber, type
local math_type, table_sort, table_unpack = math.type, table.sort, table.unpack

local argument = require "moonlet.argument"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

-- Of one topic of one member: so much waits to be taken, at most.
local MOST_MESSAGES, MOST_BYTES = 1024, 1024 * 1024

-- Seconds: a member that has not been heard of for so long is gone, and how often it is heard.
local LIFE, BEAT = 15, 5

-- Seconds between two looks of a sender for which there is no room.
local FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.2

local BATCH = 256 -- messages that are read at once
local PATIENCE = 5 -- seconds for which a read waits in the server

-- ---- what runs in the server ----
-- KEYS[1]: what the names of all keys begin with; they lie in one slot. ":ids" counts members,
-- ":members" is the set of them, ":alive:ID" lives as long as one is heard of, ":in:ID" is the
-- stream of what was sent to it, ":room:ID" a hash: how many messages and bytes of each topic wait.

-- The id of a new member. ARGV: LIFE in ms.
local JOIN = [[
local base = KEYS[1]
local id = redis.call('INCR', base .. ':ids')
redis.call('SADD', base .. ':members', id)
redis.call('SET', base .. ':alive:' .. id, 1, 'PX', ARGV[1])
return id
]]

-- ARGV: LIFE in ms, the member. It is one again if it was given up, or the server has forgotten it.
local BE_HEARD = [[
local base, id = KEYS[1], ARGV[2]
redis.call('SADD', base .. ':members', id)
redis.call('SET', base .. ':alive:' .. id, 1, 'PX', ARGV[1])
if tonumber(redis.call('GET', base .. ':ids') or 0) < tonumber(id) then
  redis.call('SET', base .. ':ids', id)
end
]]

local LEAVE = [[
local base, id = KEYS[1], ARGV[1]
redis.call('SREM', base .. ':members', id)
redis.call('DEL', base .. ':alive:' .. id, base .. ':in:' .. id, base .. ':room:' .. id)
]]

-- ARGV: "all" or a member, the topic, the text, the sender, the most messages and bytes. How many
-- were sent, how many members are gone, whether there ever was that member; those without room.
local SEND = [[
local base, topic, text = KEYS[1], ARGV[2], ARGV[3]
local most, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[6])
local result, sent, gone = { 0, 0, 0 }, 0, 0
local function has_room(room)
  local count = tonumber(redis.call('HGET', room, 'n' .. topic) or 0)
  local bytes = tonumber(redis.call('HGET', room, 'b' .. topic) or 0)
  return count < most and (bytes + #text <= most_bytes or bytes == 0)
end
local function send(id)
  local inbox, room = base .. ':in:' .. id, base .. ':room:' .. id
  if redis.call('EXISTS', base .. ':alive:' .. id) == 0 then
    redis.call('SREM', base .. ':members', id)
    redis.call('DEL', inbox, room)
    gone = gone + 1
  elseif has_room(room) then
    redis.call('XADD', inbox, '*', 't', topic, 'f', ARGV[4], 'b', text)
    redis.call('HINCRBY', room, 'n' .. topic, 1)
    redis.call('HINCRBY', room, 'b' .. topic, #text)
    sent = sent + 1
  else
    result[#result + 1] = tonumber(id)
  end
end
if ARGV[1] == 'all' then
  for _, id in ipairs(redis.call('SMEMBERS', base .. ':members')) do send(id) end
else
  send(ARGV[1])
  local ids = tonumber(redis.call('GET', base .. ':ids') or 0)
  result[3] = tonumber(ARGV[1]) <= ids and 1 or 0
end
result[1], result[2] = sent, gone
return result
]]

-- ARGV: the member; then topic, messages and bytes, any number of times.
local GIVE_BACK = [==[
local room = KEYS[1] .. ':room:' .. ARGV[1]
for i = 2, #ARGV, 3 do
  for field, by in pairs { ['n' .. ARGV[i]] = ARGV[i + 1], ['b' .. ARGV[i]] = ARGV[i + 2] } do
    if redis.call('HINCRBY', room, field, '-' .. by) <= 0 then redis.call('HDEL', room, field) end
  end
end
]==]

--- Messages between programs on many machines, over a Redis server: `worker.bus` returns one. Every
-- process that opens the bus is a member. `<close>` leaves it.
-- @object Bus
-- @tfield integer id of this member: from 1, and never used again
local Bus = { __name = "worker.bus" }
Bus.__index = Bus

-- ---- what came ----

local function queue_of(self, topic)
  local queue = self.queues[topic]
  if not queue then
    queue = { head = 1, tail = 0, waiting = 0, arrival = sync.condition() }
    self.queues[topic] = queue
  end
  return queue
end

local function forget_unused(self, topic, queue)
  if queue.head > queue.tail and queue.waiting == 0 then self.queues[topic] = nil end
end

local function deliver(self, fields)
  local message = {}
  for i = 1, #fields, 2 do message[fields[i]] = fields[i + 1] end
  if not (message.t and message.f and message.b) then return end
  local queue = queue_of(self, message.t)
  queue.tail = queue.tail + 1
  queue[queue.tail] = message
  if queue.waiting > 0 then queue.arrival:notify() end
end

-- The entries of a reply to XREAD, which is a map in RESP 3.
local function entries_of(reply)
  if reply[1] then return reply[1][2] end
  return select(2, next(reply))
end

-- Ends all that waits here.
local function shut(self)
  self.is_closed = true
  self.left:set()
  self.is_unsure:set()
  self.has_taken:set()
  for _, queue in pairs(self.queues) do queue.arrival:notify_all() end
end

-- Sorts entries into the topics. Returns the id of the last one.
local function sort_entries(self, entries, read)
  for _, entry in ipairs(entries) do
    read[#read + 1] = entry[1]
    deliver(self, entry[2])
  end
  return read[#read]
end

-- Reads what was sent to this member. An entry stays in the stream until it is here, so a lost
-- connection loses none.
local function read_all(self)
  local inbox = self.base .. ":in:" .. self.id
  local last, read, pause = "0-0", {}, FIRST_PAUSE
  while not self.is_closed do
    local reply, message, code = self.client:call("XREAD", "COUNT", BATCH, "BLOCK", PATIENCE * 1000,
      "STREAMS", inbox, last)
    if reply then
      last, pause = sort_entries(self, entries_of(reply), read), FIRST_PAUSE
      if self.client:xdel(inbox, table_unpack(read)) then read = {} end -- else with the next ones
    elseif code == "CLOSED" then
      shut(self)
    elseif message then
      self.is_unsure:set() -- the server may have forgotten this member
      self.left:wait(pause)
      pause = pause * 2 < LONGEST_PAUSE and pause * 2 or LONGEST_PAUSE
    end
  end
end

local function note_taken(self, message)
  local taken = self.taken[message.t]
  if not taken then
    taken = { 0, 0 }
    self.taken[message.t] = taken
  end
  taken[1], taken[2] = taken[1] + 1, taken[2] + #message.b
  self.has_taken:set()
end

-- Tells the senders what was taken: all of it at once each time.
local function give_back(self)
  while not self.is_closed do
    self.has_taken:wait()
    self.has_taken:clear()
    local words = { self.id }
    for topic, taken in pairs(self.taken) do
      local n = #words
      words[n + 1], words[n + 2], words[n + 3] = topic, taken[1], taken[2]
    end
    self.taken = {}
    while #words > 1 and not self.is_closed do
      local _, _, code = self.scripts.give_back({ self.base }, table_unpack(words))
      if not code then break end
      self.left:wait(LONGEST_PAUSE)
    end
  end
end

local function be_heard(self)
  while not self.is_closed do
    local _, _, code = self.scripts.be_heard({ self.base }, LIFE * 1000, self.id)
    if code then
      self.left:wait(LONGEST_PAUSE)
    else
      self.is_unsure:wait(BEAT)
      self.is_unsure:clear()
    end
  end
end

local waiting_mt = {
  __close = function(guard)
    local queue = guard.queue
    queue.waiting = queue.waiting - 1
    forget_unused(guard.bus, guard.topic, queue)
  end,
}

-- Waits until the topic has a message. true; or nil, message, code.
local function await_message(self, topic, queue, timeout)
  local deadline = timeout and task.now() + timeout
  queue.waiting = queue.waiting + 1
  local _ <close> = setmetatable({ bus = self, topic = topic, queue = queue }, waiting_mt)
  while queue.head > queue.tail do
    if self.is_closed then return nil, "closed", "CLOSED" end
    local left = deadline and deadline - task.now()
    local ok, message, code = queue.arrival:wait(left and (left > 0 and left or 0))
    if not ok and queue.head > queue.tail then return nil, message, code end
  end
  return true
end

local function receive(self, topic, timeout)
  if self.is_closed then return nil, "closed", "CLOSED" end
  local queue = queue_of(self, topic)
  if queue.head > queue.tail then
    local ok, message, code = await_message(self, topic, queue, timeout)
    if not ok then return nil, message, code end
  end
  local message = queue[queue.head]
  queue[queue.head], queue.head = nil, queue.head + 1
  forget_unused(self, topic, queue)
  note_taken(self, message)
  local value, code = self.values.value_of(message.b)
  if code then return nil, "a message that no moonlet of this version has sent", code end
  return value, tonumber(message.f)
end

-- ---- the calls ----

-- For methods: errors on the line that has called them.
local function demand(ok, position, name, message)
  if not ok then error(("bad argument #%d to '%s' (%s)"):format(position, name, message), 4) end
end

local function check_call(self, topic, position, name)
  if getmetatable(self) ~= Bus then
    error(("calling '%s' on bad self (worker.bus expected)"):format(name), 3)
  end
  demand(type(topic) == "string", position, name, "string expected")
  demand(#topic <= 255, position, name, "topic is longer than 255 bytes")
end

local function fail(message, code)
  if code == "OOM" then return nil, "the server is full", "ENOSPC" end
  return nil, message, code
end

-- One attempt: the reply of SEND; or nil, message, code.
local function attempt(self, to, topic, text)
  if self.is_closed then return nil, "closed", "CLOSED" end
  return self.scripts.send({ self.base }, to, topic, text, self.id, MOST_MESSAGES, MOST_BYTES)
end

local function outcome_of(reply, to)
  if reply[1] == 1 then return true end
  if reply[3] == 0 then return nil, ("there is no member %d"):format(to), "ESRCH" end
  return nil, ("member %d has ended, and what it had not read is lost"):format(to), "EPIPE"
end

local turn_mt = {
  __close = function(self)
    local turn = self.turn
    turn.waiting = turn.waiting - 1
    if turn.waiting == 0 then self.turns[self.key] = nil end
  end,
}

-- Sends when there is room, in the order of the calls.
local function send_later(self, key, ...)
  local turns = self.turns
  local turn = turns[key] or { mutex = sync.mutex(), waiting = 0 }
  turns[key], turn.waiting = turn, turn.waiting + 1
  local _ <close> = setmetatable({ turns = turns, key = key, turn = turn }, turn_mt)
  local _ <close> = turn.mutex:lock()
  local pause = FIRST_PAUSE
  while true do
    local reply, message, code = attempt(self, ...)
    if not reply or not reply[4] then return reply, message, code end
    self.left:wait(pause)
    pause = pause * 2 < LONGEST_PAUSE and pause * 2 or LONGEST_PAUSE
  end
end

local function send_to(self, to, topic, text)
  local key = to .. " " .. topic
  local reply, message, code
  if not self.turns[key] then
    reply, message, code = attempt(self, to, topic, text)
    if not reply then return fail(message, code) end
  end
  if not reply or reply[4] then
    reply, message, code = send_later(self, key, to, topic, text)
    if not reply then return fail(message, code) end
  end
  return outcome_of(reply, to)
end

--- Sends a message to a member, or to all. Messages of one task to one member on one topic arrive
-- in order, each once or, if that member ends before it has taken it, not at all. Of each topic and
-- member 1,024 messages or 1 MiB may wait to be taken; then this waits. Waits for the server.
-- @tparam integer|string to the id of a member; or "all": each of them, this one too
-- @tparam string topic up to 255 bytes
-- @param value not nil: a string, number, boolean, or a table as `worker.store` in Redis takes it
-- @treturn boolean true once it is queued; or nil, message, code: "EPIPE": the member has ended,
-- "ESRCH": there was none of that id, "ENOSPC", or of the network: then the message may have been
-- queued. For "all": two integers, how many were sent, and how many failed
function Bus:send(to, topic, value)
  check_call(self, topic, 2, "send")
  local is_one = math_type(to) == "integer" and to >= 1
  argument.check(is_one or to == "all", 1, "send", "id of a member or \"all\" expected")
  argument.check(value ~= nil, 3, "send", "value expected")
  local text, reason = self.values.text_of(value)
  argument.check(text, 3, "send", reason)
  if is_one then return send_to(self, to, topic, text) end
  local reply, message, code = attempt(self, "all", topic, text)
  if not reply then return fail(message, code) end
  local sent, failed = reply[1], reply[2]
  for i = 4, #reply do -- those without room come last: they hold up no other
    if send_to(self, reply[i], topic, text) then sent = sent + 1 else failed = failed + 1 end
  end
  return sent, failed
end

--- Receives the next message on a topic; several tasks share the messages. May wait.
-- @tparam string topic
-- @tparam[opt] number timeout seconds
-- @return the value, and the id of its sender; or nil, message, code: "ETIMEDOUT", "CLOSED"
function Bus:receive(topic, timeout)
  check_call(self, topic, 1, "receive")
  if timeout ~= nil then argument.number(timeout, 2, "receive") end
  return receive(self, topic, timeout)
end

--- Iterates over the messages on a topic, waiting for each, until the bus is closed.
-- @tparam string topic
-- @treturn function():any,integer an iterator: the value, and the id of its sender
-- @usage for text, from in bus:messages "news" do print(from, text) end
function Bus:messages(topic)
  check_call(self, topic, 1, "messages")
  return function()
    local value, from, code = receive(self, topic)
    if code and code ~= "CLOSED" then argument.raise(from, code) end
    if not code then return value, from end
  end
end

--- Lists the members. Waits for the server.
-- @treturn {integer,...} their ids, in order; or nil, message, code
function Bus:members()
  argument.self(self, Bus, "members")
  local ids, message, code = self.client:smembers(self.base .. ":members")
  if not ids then return nil, message, code end
  local list, requests = {}, {}
  for i, id in ipairs(ids) do requests[i] = { "EXISTS", self.base .. ":alive:" .. id } end
  local replies
  replies, message, code = self.client:pipeline(requests)
  if not replies then return nil, message, code end
  for i, id in ipairs(ids) do
    if replies[i] == 1 then list[#list + 1] = tonumber(id) end
  end
  table_sort(list)
  return list
end

--- Leaves the bus: what this member has not taken is lost, tasks that wait get nil, "closed",
-- "CLOSED". May wait, for the server to be told.
function Bus:close()
  argument.self(self, Bus, "close")
  if self.is_closed then return end
  shut(self)
  task.shield(nil, self.scripts.leave, { self.base }, self.id)
  if self.owns_client then self.client:close() end
end

Bus.__close = Bus.close

-- ---- opening ----

local WISHES = { redis = true, name = true }

local function scripts_of(client)
  return {
    join = client:script(JOIN), be_heard = client:script(BE_HEARD), leave = client:script(LEAVE),
    send = client:script(SEND), give_back = client:script(GIVE_BACK),
  }
end

-- A bus of which one task has ended, however that came, serves nobody any more.
local function start(name, run, self)
  task.spawn({ daemon = true, name = name }, run, self):on_exit(function() shut(self) end)
end

-- A bus of a client, joined; or nil, message, code.
local function join(client, name, owns_client)
  local self = setmetatable({
    client = client, owns_client = owns_client, scripts = scripts_of(client),
    values = require "moonlet.worker.redis_value",
    base = "{" .. name:gsub("[%%{}]", { ["%"] = "%25", ["{"] = "%7B", ["}"] = "%7D" }) .. "}",
    queues = {}, taken = {}, turns = {}, has_taken = sync.event(), left = sync.event(),
    is_unsure = sync.event(),
  }, Bus)
  local id, message, code = self.scripts.join({ self.base }, LIFE * 1000)
  if not id then return nil, message, code end
  self.id = id
  start("bus: reader", read_all, self)
  start("bus: room", give_back, self)
  start("bus: heartbeat", be_heard, self)
  return self
end

-- Documented in moonlet/worker.lua.
return function(opts)
  argument.options(opts, 1, "bus", WISHES)
  local name, client = opts.name == nil and "bus" or opts.name, opts.redis
  argument.check(type(name) == "string" and #name > 0 and #name <= 63, 1, "bus",
    "option 'name' must have from 1 to 63 bytes")
  local is_url, class = type(client) == "string", type(client) == "table" and getmetatable(client)
  argument.check(is_url or class and class.__name == "redis", 1, "bus",
    "option 'redis' must be a URL or a client of moonlet.redis")
  local bus, message, code
  if is_url then
    client, message, code = require "moonlet.redis".open(client)
    if not client then return nil, message, code end
  end
  bus, message, code = join(client, name, is_url)
  if not bus and is_url then client:close() end
  return bus, message, code
end
