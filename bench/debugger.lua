--- Costs of a debugger: the same work without one and with a breakpoint that it never comes to, in
-- turns, in one process. Prints a line of JSON for each round. Arguments: the work, rounds, and
-- where the breakpoint is: "elsewhere", in a function that is never called; "small", in one that
-- has no more registers than those that are; or "below", in the function that has called the work.
local debugger = require "moonlet.inspect.debugger"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local task = require "moonlet.task"

local work = {}

function work.fib()
  local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
  end
  return fib(29)
end

function work.loop()
  local x = 0
  for i = 1, 2e7 do x = x + i % 7 end
  return x
end

function work.sort()
  local list, seed = {}, 1
  for i = 1, 1e5 do
    seed = seed * 1103515245 + 12345 & 0x7fffffff
    list[i] = seed
  end
  table.sort(list, function(a, b) return a < b end)
end

function work.generators()
  local next_one = coroutine.wrap(function() for i = 1, 5e5 do coroutine.yield(i) end end)
  for _ = 1, 5e5 do next_one() end
end

function work.gsub()
  local text = ("word and word "):rep(2e4)
  for _ = 1, 3 do text:gsub("%a+", function(word) return #word end) end
end

function work.byte()
  local byte, text, x = string.byte, "hello", 0
  for i = 1, 4e6 do x = x + byte(text, i % 5 + 1) end
  return x
end

function work.switches()
  local function turn() for _ = 1, 2e5 do task.yield() end end
  local a, b = task.spawn(turn), task.spawn(turn)
  a:join()
  b:join()
end

-- A service that decodes, changes and encodes a document.
function work.json()
  local document = { items = {} }
  for i = 1, 200 do document.items[i] = { id = i, name = "name " .. i, tags = { "a", "b" } } end
  local text = json.encode(document)
  for _ = 1, 100 do
    local items = json.decode(text).items
    for i, item in ipairs(items) do
      item.label = ("%d: %s"):format(i, item.name:upper())
      item.tags[#item.tags + 1] = "seen"
    end
    table.sort(items, function(a, b) return a.name < b.name end)
    json.encode(items)
  end
end

-- Requests to a router, by a client in the same process.
function work.http()
  local router = http.router()
  router:get("/items/:id", function(req)
    local item = { id = req.params.id, at = os.time(), labels = {} }
    for i = 1, 10 do item.labels[i] = "label " .. i end
    return 200, { ["content-type"] = "application/json" }, json.encode(item)
  end)
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local server = http.server(router)
  local serving = task.spawn({ daemon = true }, function()
    listener:serve(function(conn) server:serve(conn) end)
  end)
  local client <close> = http.client {}
  local url = "http://127.0.0.1:" .. listener:address().port .. "/items/"
  for i = 1, 2000 do assert(assert(client:get(url .. i)).body) end
  serving:cancel()
end

local CALLER = [[
local fn, others = ...
local function small()
  return others
end
local function usual(list, name)
  local found, count = nil, 0
  for i, one in ipairs(list) do
    if one.name == name then found, count = one, count + i end
  end
  return found, count
end
if others then
  small(usual(others))
end
fn()
return others
]]
local LINES <const> = { elsewhere = 9, small = 3, below = 13 }

local path = os.tmpname()
local file <close> = assert(io.open(path, "w"))
file:write(CALLER)
file:flush()
local call = assert(loadfile(path))

local function seconds(fn)
  collectgarbage()
  local began = os.clock()
  assert(task.spawn(call, fn):join())
  return os.clock() - began
end

local fn, line = work[arg[1]], LINES[arg[3]]
for _ = 1, tonumber(arg[2]) do
  local off = seconds(fn)
  debugger.attach(function() end)
  assert(debugger.set_breakpoints({ path = path }, { { line = line } })[1].verified)
  local on = seconds(fn)
  debugger.detach()
  print(('{"off": %.6f, "on": %.6f}'):format(off, on))
end
os.remove(path)
os.exit(0)
