-- What reading and writing JSON costs: moonlet.json beside lua-cjson, if that is installed (Debian
-- has it), in alternating rounds. Prints one line of JSON for each document, way and library:
-- microseconds, the least of the rounds.
-- Usage: moonlet documents.lua [--quick]
local json = require "moonlet.json"

local cpath = package.cpath
package.cpath = cpath .. ";/usr/lib/x86_64-linux-gnu/lua/5.4/?.so"
local has_cjson, cjson = pcall(require, "cjson")
package.cpath = cpath

local ROUNDS, BYTES_A_ROUND = 7, arg[1] == "--quick" and 1e6 or 1e7

local function user(i)
  return {
    id = i, name = "User number " .. i, email = "user" .. i .. "@example.org", active = i % 2 == 0,
    score = i * 1.25, tags = {"a", "bb", "ccc"},
    address = {street = "Main Street " .. i, city = "Springfield", zip = tostring(10000 + i)},
  }
end

local function list(count, make)
  local items = {}
  for i = 1, count do items[i] = make(i) end
  return items
end

math.randomseed(1)
local documents = {
  {"API answer of 1 KB", {ok = true, page = 1, total = 1812, items = list(5, user)}},
  {"objects of 100 KB", list(500, user)},
  {"random floats of 100 KB", list(5000, function() return math.random() end)},
  {"prices of 70 KB", list(10000, function() return math.random(0, 100000) / 100 end)},
  {"integers of 60 KB", list(10000, function(i) return i * 7919 % 1000003 end)},
  {"strings of 140 KB", list(1000, function(i)
    local text = ("The quick brown fox jumps over the lazy dog. "):rep(3)
    return i % 4 == 0 and text .. 'a "b"\n' or text
  end)},
  {"strings beyond ASCII of 110 KB", list(1000, function() return ("Grüße aus Köln, "):rep(6) end)},
}

local function time(fn, value, calls)
  collectgarbage()
  local start = os.clock()
  for _ = 1, calls do fn(value) end
  return (os.clock() - start) / calls * 1e6
end

local libraries = {{"moonlet", json}, has_cjson and {"lua-cjson", cjson} or nil}

for _, document in ipairs(documents) do
  local text = json.encode(document[2])
  local calls = math.max(1, math.floor(BYTES_A_ROUND / #text))
  for _, way in ipairs {"decode", "encode"} do
    local least = {}
    for _ = 1, ROUNDS do
      for i, library in ipairs(libraries) do
        local cost = time(library[2][way], way == "decode" and text or document[2], calls)
        least[i] = math.min(least[i] or cost, cost)
      end
    end
    for i, library in ipairs(libraries) do
      print(json.encode({document = document[1], way = way, library = library[1],
        bytes = #text, us = least[i]}, {sort_keys = true}))
    end
  end
end
