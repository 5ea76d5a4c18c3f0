-- Messages between workers. For each worker that it sends to, a worker has one connection, which
-- it asks the master for: frames go one way, credit comes back. So the order of messages of a
-- sender is that of its connection, and a topic that nobody reads holds up its own senders only.

local error, ipairs, pairs, setmetatable, tostring = error, ipairs, pairs, setmetatable, tostring
local math_type, string_pack, string_unpack, table_concat =
  math.type, string.pack, string.unpack, table.concat

local argument = require "moonlet.argument"
local core = require "moonlet.worker.core"
local passing = require "moonlet.worker.passing"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local topics = require "moonlet.worker.topics"

local frame_of, split, value_of = core.frame, core.split, core.value
local protected, yield = task.pcall, task.yield

local messages = {}

-- Of one sender and topic: so much is under way or waits to be taken, at most.
local MOST_MESSAGES, MOST_BYTES = 1024, 1024 * 1024

-- Credit goes back in such pieces, and when all has been taken.
local CREDIT = 256

-- Bytes that wait for one connection, over all topics, before its senders wait.
local MOST_WAITING = 4 * 1024 * 1024

-- Frames after which a sender lets the writer run.
local BATCH = 256

local CHUNK = 64 * 1024 -- bytes of a read

-- Runs fn(...) in a task that does not keep the program. However it ends, also cancelled before it
-- has run, on_end(task) is called.
local function start_daemon(name, on_end, fn, ...)
  task.spawn({ name = name, daemon = true }, fn, ...):on_exit(on_end)
end

-- ---- what came ----

-- A source is a topic of one connection: what of it waits, and what was taken without having been
-- given back as credit.
local function source_of(link, name)
  local source = link.sources[name]
  if not source then
    source = { link = link, name = name, waiting = 0, messages = 0, bytes = 0 }
    link.sources[name] = source
  end
  return source
end

local function deliver(link, name, body, objects)
  local source = source_of(link, name)
  source.waiting = source.waiting + 1
  topics.add(name, body, source, objects)
end

local function wake(link)
  if link.is_idle then
    link.is_idle = false
    link.wake:notify()
  end
end

-- Much credit is owed: the next receive() lets its writer run first. (Not this one: its message
-- would be lost by a cancellation.)
local is_turn_over = false

local function give_back(source, size)
  local link = source.link
  source.waiting = source.waiting - 1
  if link.take_back then return link.take_back(source, size) end
  source.messages = source.messages + 1
  source.bytes = source.bytes + size
  if source.waiting == 0 or source.messages % CREDIT == 0 or source.bytes > MOST_BYTES // 4 then
    if not source.is_owed then
      source.is_owed = true
      link.owed[#link.owed + 1] = source
    end
    wake(link)
    is_turn_over = source.messages >= CREDIT
  end
end

-- ---- a connection that others have asked for ----

local function credit_text(link)
  local parts = {}
  for i, source in ipairs(link.owed) do
    parts[i] = string_pack("=s1I4I4", source.name, source.messages, source.bytes)
    source.messages, source.bytes, source.is_owed = 0, 0, false
    if source.waiting == 0 then link.sources[source.name] = nil end
  end
  link.owed = {}
  return table_concat(parts)
end

-- Waits until there is something to write. False: the connection has ended. (What was queued
-- before is written all the same: it may be that only this end's reader was cancelled.)
local function await_work(link, list)
  while #link[list] == 0 and not link.has_ended do
    link.is_idle = true
    local ok, problem = protected(link.wake.wait, link.wake)
    if not ok and #link[list] == 0 then error(problem, 0) end -- else it is written first
  end
  link.is_idle = false
  return #link[list] > 0
end

-- What has been queued is written, also when the program ends meanwhile.
local function write(link, text)
  return task.shield(nil, link.stream.write, link.stream, text)
end

-- It ends when the sender has closed, of which frames may be here yet: the reader closes.
local function return_credit(link)
  while await_work(link, "owed") and write(link, credit_text(link)) do end
end

-- The sender waits for the word, and sends nothing more before the descriptors.
local function receive_objects(link, count)
  link.owed[#link.owed + 1] = { name = "", messages = passing.GO, bytes = 0, waiting = 1 }
  wake(link)
  return passing.receive(link.stream, count)
end

-- Sorts the frames in a chunk into the topics; returns the rest, completed.
local function sort_chunk(link, chunk)
  local position, size = 1, #chunk
  while position <= size do
    local name, body, behind, count = split(chunk, position)
    if not body then
      local more = link.stream:read_exactly(name)
      return more and chunk:sub(position) .. more
    end
    deliver(link, name, body, count and receive_objects(link, count))
    position = behind
  end
  return ""
end

local function read_frames(link)
  local stream = link.stream
  if stream:read_exactly(#core.format) ~= core.format then return end
  local chunk = ""
  while chunk do
    if chunk == "" then chunk = stream:read_some(CHUNK) end
    chunk = chunk and sort_chunk(link, chunk)
  end
end

-- Those who wait for the connection go on, and the next send opens another one.
local function end_link(link)
  if link.has_ended then return end
  link.has_ended = true
  link.wake:notify_all()
  if link.go then link.go:set() end
  if link.on_end then link.on_end(link) end
end

local function accept(stream, id)
  local link = { stream = stream, id = id, sources = {}, owed = {}, wake = sync.condition() }
  local is_credit_over = false
  local function close()
    stream:close()
    end_link(link)
  end
  start_daemon("credit of worker " .. tostring(id), function(ended)
    is_credit_over = true
    if link.has_ended or ended:status() ~= "done" then close() end -- else the reader does
  end, return_credit, link)
  start_daemon("messages from worker " .. tostring(id), function()
    end_link(link) -- the other task writes what is owed, and closes
    if is_credit_over then close() end
  end, read_frames, link)
end

-- ---- a connection to send over ----

local links = {}   -- id -> the connection to the worker that serves there now
local opening = {} -- id -> a mutex, while one is opened
local lost = {}    -- id -> topics of which messages were lost when the worker ended

local function fits(link, credit, size)
  return credit.messages < MOST_MESSAGES and link.bytes <= MOST_WAITING
    and (credit.bytes + size <= MOST_BYTES or credit.bytes == 0)
end

local function wake_senders(link)
  for _, credit in pairs(link.credits) do
    if credit.waiting > 0 then credit.change:notify_all() end
  end
end

-- Returns the bytes; nil: the connection has failed.
local function write_out(link)
  local out, handed = link.out, link.handed
  link.out, link.handed = {}, nil
  if handed then return passing.write(link, out, handed, write) end
  local text = table_concat(out)
  return write(link, text) and #text
end

-- Writes what has been queued, all of it at once each time; also when the program ends.
local function write_frames(link)
  while await_work(link, "out") do
    local size = write_out(link)
    if not size then break end
    local was_full = link.bytes > MOST_WAITING
    link.bytes = link.bytes - size
    if was_full then wake_senders(link) end
  end
end

local function add_credit(link, name, count, bytes)
  if count == passing.GO then return link.go:set() end
  local credit = link.credits[name]
  if not credit then return end
  credit.messages, credit.bytes = credit.messages - count, credit.bytes - bytes
  if credit.waiting > 0 then
    credit.change:notify_all()
  elseif credit.messages == 0 then
    link.credits[name] = nil
  end
end

local function read_credit(link)
  local stream = link.stream
  while true do
    local length = stream:read_exactly(1)
    local text = length and stream:read_exactly(length:byte() + 8)
    if not text then return end
    add_credit(link, string_unpack("=s1I4I4", length .. text))
  end
end

-- The next message of each topic of which some were not taken fails.
local function note_lost(link)
  for name, credit in pairs(link.credits) do
    if credit.messages > 0 and credit.waiting == 0 then
      lost[link.id] = lost[link.id] or {}
      lost[link.id][name] = true
    end
  end
end

local function outgoing_ended(link)
  if links[link.id] == link then links[link.id] = nil end
  note_lost(link)
  wake_senders(link)
end

local function open_link(id)
  local stream, generation, serial = core.connect(id)
  if not stream then return nil, generation, serial end
  local link = { stream = stream, id = id, serial = serial, out = { core.format },
    bytes = #core.format, credits = {}, wake = sync.condition(), go = sync.event(),
    on_end = outgoing_ended }
  links[id] = link
  start_daemon("messages to worker " .. tostring(id), function()
    stream:close()
    end_link(link)
  end, write_frames, link)
  start_daemon("credit from worker " .. tostring(id), function() end_link(link) end, read_credit,
    link)
  yield() -- the two run: what is queued now is written, also when the program ends at once
  return link
end

-- Without workers "all" is this process: what it sends to itself needs no connection.
local own_link = { sources = {}, credits = {}, bytes = 0, sent = 0 }

function own_link.take_back(source, size)
  if source.waiting == 0 then own_link.sources[source.name] = nil end
  add_credit(own_link, source.name, 1, size)
end

-- The connection to a worker, which is opened by one task only; or nil, message, code.
local function link_to(id)
  if id == "self" then return own_link end
  if links[id] then return links[id] end
  opening[id] = opening[id] or sync.mutex()
  local _ <close> = opening[id]:lock()
  if links[id] then return links[id] end
  return open_link(id)
end

-- ---- the other workers ----

local count = 0 -- of workers
local is_started = false

local function take_notices()
  while true do
    local id, _, serial, stream = core.next_notice()
    if not id then return end
    if stream then
      accept(stream, id)
    else
      if id > count then count = id end
      local link = links[id]
      if link and link.serial < serial then links[id] = nil end -- it was replaced
    end
  end
end

local function start()
  if is_started then return end
  is_started = true
  local id
  id, count = core.place()
  if id then
    start_daemon("word of other workers", function(ended)
      is_started = ended:status() == "done"
    end, take_notices)
  end
  messages.is_worker = id ~= nil
end

-- ---- sending ----

local function has_ended(id)
  return nil, ("worker %s has ended, and what it had not read is lost"):format(id), "EPIPE"
end

local leaving = {
  __close = function(guard)
    local credit, link, name = guard[1], guard[2], guard[3]
    credit.waiting = credit.waiting - 1
    if credit.waiting == 0 and credit.messages == 0 then link.credits[name] = nil end
  end,
}

-- Waits, first come first served, until the topic has credit. False: the worker has ended.
local function await_credit(link, name, credit, size)
  credit.mutex, credit.change = credit.mutex or sync.mutex(), credit.change or sync.condition()
  credit.waiting = credit.waiting + 1
  local _ <close> = setmetatable({ credit, link, name }, leaving)
  local _ <close> = credit.mutex:lock()
  while not link.has_ended and not fits(link, credit, size) do credit.change:wait() end
  if link.has_ended then return false end
  credit.messages, credit.bytes = credit.messages + 1, credit.bytes + size
  return true
end

local function credit_of(link, name)
  local credit = link.credits[name]
  if not credit then
    credit = { messages = 0, bytes = 0, waiting = 0 }
    link.credits[name] = credit
  end
  return credit
end

local function queue_frame(link, frame, size, descriptors)
  if link == own_link then
    local name, body = split(frame, 1)
    link.sent = link.sent + 1
    deliver(link, name, body, descriptors and passing.of_own(descriptors))
    return true
  end
  local list, message, code
  if descriptors then
    list, message, code = passing.double(descriptors)
    if not list then return nil, message, code end
    link.handed = link.handed or {}
    link.handed[#link.out + 1] = list
  end
  link.out[#link.out + 1] = frame
  link.bytes = link.bytes + size
  if link.is_idle then wake(link) end
  return true
end

-- may_wait: else false if it would have to wait for credit.
local function send_frame(id, name, frame, overhead, may_wait, descriptors)
  if lost[id] and lost[id][name] then
    lost[id][name] = nil
    return has_ended(id)
  end
  local link, message, code = link_to(id)
  if not link then return nil, message, code end
  if (link.sent or #link.out) % BATCH == BATCH - 1 then
    yield() -- the turn of the writer, or the receiver
  end
  if link.has_ended then return has_ended(id) end
  local credit, size = credit_of(link, name), #frame - overhead
  if credit.waiting == 0 and fits(link, credit, size) then
    credit.messages, credit.bytes = credit.messages + 1, credit.bytes + size
  elseif not may_wait then
    return false
  elseif not await_credit(link, name, credit, size) then
    return has_ended(id)
  end
  local ok
  ok, message, code = queue_frame(link, frame, size + overhead, descriptors)
  if not ok then add_credit(link, name, 1, size) end
  return ok, message, code
end

-- Those without credit come last, so that one that does not read holds up no other.
local function send_to_all(name, frame, overhead, descriptors)
  local ids, late, sent, failed = {}, {}, 0, 0
  for id = 1, count or 0 do ids[id] = id end
  if not messages.is_worker then ids[1] = "self" end
  for _, id in ipairs(ids) do
    local ok, _, code = send_frame(id, name, frame, overhead, false, descriptors)
    if ok then
      sent = sent + 1
    elseif ok == false then
      late[#late + 1] = id
    elseif code == "ESRCH" and id == count then
      count = count - 1 -- the master has one fewer now
    else
      failed = failed + 1
    end
  end
  for _, id in ipairs(late) do
    if send_frame(id, name, frame, overhead, true, descriptors) then
      sent = sent + 1
    else
      failed = failed + 1
    end
  end
  return sent, failed
end

-- Sends a value in which there are descriptors.
local function send_passing(to, name, value, overhead, reason)
  local frame, descriptors, code = passing.frame(name, value, reason)
  if not frame then return nil, descriptors, code end
  local _ <close> = descriptors
  if to == "all" then return send_to_all(name, frame, overhead, descriptors) end
  return send_frame(to, name, frame, overhead, true, descriptors)
end

local function check_topic(name, position, fn)
  argument.string(name, position, fn)
  argument.check(#name <= 255, position, fn, "topic is longer than 255 bytes")
end

-- Documented in moonlet/worker.lua.
function messages.send(to, name, value)
  argument.check(to == "all" or math_type(to) == "integer" and to >= 1 and to <= 0xffffffff, 1,
    "send", "id of a worker or \"all\" expected")
  check_topic(name, 2, "send")
  argument.check(value ~= nil, 3, "send", "value expected")
  start()
  local overhead, frame, reason = 5 + #name, frame_of(name, value)
  if not frame then return send_passing(to, name, value, overhead, reason) end
  if to == "all" then return send_to_all(name, frame, overhead) end
  return send_frame(to, name, frame, overhead, true)
end

-- ---- receiving ----

local function receive(name, timeout)
  if is_turn_over then
    is_turn_over = false
    yield()
  end
  local topic = topics.of(name)
  local take = topic.head <= topic.tail and topics.take or topics.await
  local body, source, objects = take(name, topic, timeout)
  if not body then return nil, source, objects end -- message, code
  give_back(source, #body)
  if not objects then return value_of(body), source.link.id end
  local value, message, code = passing.join(value_of(body), objects)
  if value == nil then return nil, message, code end
  return value, source.link.id
end

-- Documented in moonlet/worker.lua.
function messages.receive(name, timeout)
  check_topic(name, 1, "receive")
  if timeout ~= nil then argument.number(timeout, 2, "receive") end
  start()
  return receive(name, timeout)
end

-- Documented in moonlet/worker.lua.
function messages.messages(name)
  check_topic(name, 1, "messages")
  start()
  return function() return receive(name) end
end

return messages
