-- Producers and consumers around a queue of limited room.
--
--     moonlet scripts/producer_consumer.lua [PRODUCERS] [CONSUMERS] [ITEMS] [ROOM]     (3 2 20 4)
--
-- Each producer makes ITEMS items and puts them into the queue, which has room for ROOM. Consumers
-- work off what they get. Ctrl-C ends the producers; what is in the queue is still worked off. Exit
-- status: 0; 130 after Ctrl-C; 1 if an item was lost.
local queue = require "moonlet.queue"
local task = require "moonlet.task"

local MAKES, WORKS = 0.010, 0.015 -- seconds, at most
local GRACE = 10 -- seconds to work off what is left after Ctrl-C

local function usage()
  io.stderr:write("usage: moonlet producer_consumer.lua [PRODUCERS] [CONSUMERS] [ITEMS] [ROOM]\n")
  os.exit(1)
end

local numbers = {3, 2, 20, 4}
if #arg > #numbers then usage() end
for i, text in ipairs(arg) do
  numbers[i] = math.tointeger(tonumber(text))
  if not numbers[i] or numbers[i] < 1 then usage() end
end
local producer_count, consumer_count, items_each, room = table.unpack(numbers)

local items = queue.new {capacity = room}
local put, worked_off, producing = {}, {}, producer_count

local function total(counts)
  local sum = 0
  for _, n in pairs(counts) do sum = sum + n end
  return sum
end

-- A value to be closed at the end of its block, however that is left.
local function finally(fn) return setmetatable({}, {__close = fn}) end

local function produce(number)
  put[number] = 0
  -- The last one to leave closes the queue: that ends the consumers once it is empty.
  local _ <close> = finally(function()
    producing = producing - 1
    if producing == 0 then items:close() end
  end)
  for i = 1, items_each do
    task.sleep(math.random() * MAKES)
    items:put {producer = number, number = i}
    put[number] = put[number] + 1
  end
end

local function work_on(number, item)
  task.sleep(math.random() * WORKS)
  worked_off[number] = worked_off[number] + 1
  print(string.format("consumer %d: item %d of producer %d", number, item.number, item.producer))
end

-- An item that was taken out is worked off to the end, even if Ctrl-C comes meanwhile.
local function work_off(number)
  local item = items:get()
  while item do
    task.shield(GRACE, work_on, number, item)
    item = items:get()
  end
end

local function consume(number)
  worked_off[number] = 0
  local _ <close> = finally(function() task.shield(GRACE, work_off, number) end)
  work_off(number)
end

local function summarize()
  local lost = total(put) - total(worked_off)
  print(string.format("%d put, %d worked off, %d lost", total(put), total(worked_off), lost))
  return lost == 0
end

io.stdout:setvbuf "line"

-- Returns, or goes on with the cancellation, when all have ended.
local function run()
  local _ <close> = finally(function(_, err) if err then summarize() end end)
  task.group(function(group)
    for i = 1, producer_count do group:spawn(produce, i) end
    for i = 1, consumer_count do group:spawn(consume, i) end
  end)
end

run()
os.exit(summarize())
