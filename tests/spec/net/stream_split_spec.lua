-- moonlet.net, streams: where the input is split makes no difference to what is read.

local support = dofile("tests/spec/support.lua")
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local TEXT = "GET /a HTTP/1.1\r\nhost: x\r\n\r\nab--bo--bound--\0\n\n\r\r\n12 0x1F tail\nlast"

-- Ways to read TEXT to its end; each returns the pieces.
local WAYS = {}

--- One after the other, to the end.
local function all(s, step)
  local got = {}
  repeat
    local values = table.pack(step(s))
    for i = 1, values.n do got[#got + 1] = tostring(values[i]) end
  until values[1] == nil
  return got
end

function WAYS.read_line(s) return all(s, s.read_line) end

function WAYS.read_short_lines(s)
  return all(s, function()
    local line, message, code = s:read_line(10)
    if code == "EMSGSIZE" then return code, s:read_exactly(4) end
    return line, message, code
  end)
end

function WAYS.read_until(s)
  local got = {}
  for i, delimiter in ipairs { "\r\n\r\n", "--bound--", "\0", "\n\r\r\n", "\r", "absent" } do
    got[i] = table.concat({ tostring(s:read_until(delimiter)), tostring(select(3, s:read_until("absent"))) }, "|")
  end
  got[#got + 1] = s:read_all()
  return got
end

function WAYS.read_exactly(s) return all(s, function() return s:read_exactly(7) end) end
function WAYS.read(s) return all(s, function() return s:read("l", 3, "L", "n") end) end
function WAYS.read_numbers(s) return all(s, function() return s:read("n", 1) or s:read(1) end) end
function WAYS.read_blocks(s) return all(s, function() return s:read(5) end) end
function WAYS.read_all(s) return { s:read("a") } end
function WAYS.peek(s)
  return all(s, function() return s:peek(9), s:peek(2), s:read_exactly(1) end)
end

local function text_of(values) return table.concat(values, "\1") end

--- What is read when all of it is there at once.
local function expected_of(way)
  local a, other = net.memory_pair()
  local b <close> = other
  a:write(TEXT)
  a:close()
  return text_of(WAYS[way](b))
end

describe("splitting the input", function()
  for way in pairs(WAYS) do
    it("in two at every byte makes no difference to " .. way, function()
      local expected = expected_of(way)
      for at = 0, #TEXT do
        local a, other = net.memory_pair()
        local b <close> = other
        local reader = task.spawn(function() return WAYS[way](b) end)
        a:write(TEXT:sub(1, at))
        support.parked(reader)
        a:write(TEXT:sub(at + 1))
        a:close()
        assert.equal(expected, text_of(support.finish(reader)), "split at byte " .. at)
      end
    end)

    it("into chunks of every size makes no difference to " .. way, function()
      local expected = expected_of(way)
      for chunk = 1, #TEXT do
        local a, other = net.memory_pair { chunk = chunk, capacity = chunk }
        local b <close> = other
        local reader = task.spawn(function() return WAYS[way](b) end)
        a:write(TEXT)
        a:close()
        assert.equal(expected, text_of(support.finish(reader)), "chunks of " .. chunk)
      end
    end)
  end
end)
