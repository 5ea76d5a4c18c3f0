-- What has come from other workers: a queue for each topic. Knows no connection.

local setmetatable = setmetatable

local sync = require "moonlet.sync"
local task = require "moonlet.task"

local topics = {}

-- Name -> bodies, their sources, and what was passed along, from head to tail. A topic without
-- messages that nobody waits for is not there.
local by_name = {}

function topics.of(name)
  local topic = by_name[name]
  if not topic then
    topic = { head = 1, tail = 0, bodies = {}, sources = {}, objects = {}, waiting = 0 }
    by_name[name] = topic
  end
  return topic
end

local function forget_unused(name, topic)
  if topic.head > topic.tail and topic.waiting == 0 and by_name[name] == topic then
    by_name[name] = nil
  end
end

-- objects: what was passed along with the message; nil: nothing.
function topics.add(name, body, source, objects)
  local topic = topics.of(name)
  local tail = topic.tail + 1
  topic.tail, topic.bodies[tail], topic.sources[tail] = tail, body, source
  if objects then topic.objects[tail] = objects end
  if topic.waiting > 0 then topic.arrival:notify() end
end

-- Takes the next message of a topic, which has one: its body, its source, and the objects.
function topics.take(name, topic)
  local head = topic.head
  local body, source, objects = topic.bodies[head], topic.sources[head], topic.objects[head]
  topic.bodies[head], topic.sources[head], topic.head = nil, nil, head + 1
  if objects then topic.objects[head] = nil end
  forget_unused(name, topic)
  return body, source, objects
end

local waiting_mt = {
  __close = function(guard)
    local topic = guard[2]
    topic.waiting = topic.waiting - 1
    forget_unused(guard[1], topic)
  end,
}

-- Waits until the topic has a message, and takes it; or nil, message, code when the time is over.
function topics.await(name, topic, timeout)
  local deadline = timeout and task.now() + timeout
  topic.arrival = topic.arrival or sync.condition()
  topic.waiting = topic.waiting + 1
  local _ <close> = setmetatable({ name, topic }, waiting_mt)
  while topic.head > topic.tail do
    local left = deadline and deadline - task.now()
    local ok, message, code = topic.arrival:wait(left and (left > 0 and left or 0))
    if not ok and topic.head > topic.tail then return nil, message, code end
  end
  return topics.take(name, topic)
end

return topics
