-- Streams, listeners and the like in messages between workers. Their descriptors cannot go with the
-- bytes, which the receiver reads in pieces of its own: it says when it has come to the message
-- that they belong to, and waits for them then. Until they are passed, second ones are kept here.

local error, getmetatable, ipairs, next, require = error, getmetatable, ipairs, next, require
local setmetatable, table_concat, type = setmetatable, table.concat, type

local core = require "moonlet.worker.core"
local task = require "moonlet.task"

local is_passable = core.is_passable

local passing = {}

-- So many may go with one message.
local MOST = 255

-- The number of messages in a credit that stands for "I have come to the message".
passing.GO = 0xffffffff

local function close_all(list)
  for _, descriptor in ipairs(list) do descriptor:close() end
end

local List = { __close = close_all }

-- Second descriptors of objects, or of the numbers of descriptors. Or nil, message, code.
local function double(objects)
  local list = setmetatable({}, List)
  for i, object in ipairs(objects) do
    local descriptor, message, code = core.descriptor(object)
    if not descriptor then
      close_all(list)
      return nil, message, code
    end
    list[i] = descriptor
  end
  return list
end

-- The same for such a list, once more.
function passing.double(list)
  local numbers = {}
  for i, descriptor in ipairs(list) do numbers[i] = descriptor:number() end
  return double(numbers)
end

-- Divides a value that cannot be copied: what of it can, with the names of the fields that cannot,
-- and the list of these. nil: there is nothing to be passed in it.
local function divide(value)
  if is_passable(value) then return {}, { value } end
  if type(value) ~= "table" then return nil end
  local copy, names, objects = setmetatable({}, getmetatable(value)), {}, {}
  for name, item in next, value do
    if type(item) == "userdata" and is_passable(item) then
      names[#names + 1], objects[#objects + 1] = name, item
    else
      copy[name] = item
    end
  end
  if #objects > 0 then return { value = copy, names = names }, objects end
end

-- The frame of such a value, and its descriptors, which the caller closes; or nil, message, code.
-- Raises if there is nothing to be passed: `reason` says why it cannot be copied.
function passing.frame(name, value, reason)
  local rest, objects = divide(value)
  if not rest then error(reason, 0) end
  if #objects > MOST then error(("more than %d descriptors"):format(MOST), 0) end
  local frame
  frame, reason = core.frame(name, rest, #objects)
  if not frame then error(reason, 0) end
  local descriptors, message, code = double(objects)
  if not descriptors then return nil, message, code end
  return frame, descriptors
end

-- The value again. An object that did not come is nil, and false in the list.
function passing.join(parts, objects)
  if not parts.names then
    local object = objects[1]
    if object then return object end
    return nil, "the descriptor of a message did not come: " .. objects.message, objects.code
  end
  for i, name in ipairs(parts.names) do parts.value[name] = objects[i] or nil end
  return parts.value
end

-- Writes what waits for a connection; handed: number of a frame -> its descriptors. write(link,
-- text): as for frames without. Returns the bytes; nil: the connection has failed.
function passing.write(link, out, handed, write)
  local first, size = 1, 0
  for i = 1, #out do
    local descriptors <close> = handed[i]
    if descriptors or i == #out then
      local text = table_concat(out, "", first, i)
      if not write(link, text) then return nil end
      first, size = i + 1, size + #text
    end
    if descriptors then
      task.shield(nil, link.go.wait, link.go)
      link.go:clear()
      if link.has_ended then return nil end
      for _, descriptor in ipairs(descriptors) do
        if not task.shield(nil, link.stream.send_fd, link.stream, descriptor:number()) then
          return nil
        end
      end
    end
  end
  return size
end

-- Receives the descriptors of a message: a list of objects.
function passing.receive(stream, count)
  local objects = {}
  for i = 1, count do
    local object, message, code = stream:recv_fd()
    if object == nil then
      objects.message, objects.code = message or "the worker has ended", code or "EPIPE"
    end
    objects[i] = object or false
  end
  return objects
end

-- The objects for a process that has sent to itself.
function passing.of_own(descriptors)
  local here, there = require "moonlet.net".pair()
  if not here then return { message = there, code = "EMFILE" } end
  local _ <close> = there
  task.spawn({ daemon = true, name = "descriptors to itself" }, function()
    local _ <close> = here
    for _, descriptor in ipairs(descriptors) do
      if not here:send_fd(descriptor:number()) then break end
    end
  end)
  return passing.receive(there, #descriptors)
end

return passing
