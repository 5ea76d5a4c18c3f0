-- Talks to a Redis server.
--
--     moonlet scripts/redis_client.lua [-s SERVER] [COMMAND [ARGUMENT...]]
--
-- SERVER: HOST:PORT or unix:/PATH (127.0.0.1:6379). Prints the reply; exit status 1 when the server
-- refuses. Without a command it shows what a client in tasks is good for: many tasks on one
-- connection, a pipeline, and a subscriber in a task of its own.
local redis = require "moonlet.redis"
local task = require "moonlet.task"

local TASKS, CALLS = 100, 100
local PIPELINE = 10000
local MESSAGES = 1000

local function usage()
  io.stderr:write "usage: moonlet redis_client.lua [-s HOST:PORT|unix:/PATH] [COMMAND...]\n"
  os.exit(1)
end

local server, first = "127.0.0.1:6379", 1
if arg[1] == "-s" then
  server, first = arg[2], 3
end
if not server or arg[first] and arg[first]:find "^%-" then usage() end

local function url()
  if server:find "^unix:" then return server end
  local port = server:match "^%[?.-%]?:(%d+)$"
  if not port or tonumber(port) > 65535 then usage() end
  return "redis://" .. server
end

local function connect()
  local client, message = redis.open(url(), { timeout = 10, attempts = 1 })
  if client then return client end
  io.stderr:write("redis_client: ", message, "\n")
  os.exit(1)
end

local function show(reply, indent)
  if reply == redis.null then return print "(nil)" end
  if type(reply) ~= "table" or getmetatable(reply) then return print(tostring(reply)) end
  if next(reply) == nil then return print "(empty list)" end
  if #reply == 0 then -- a map
    local list = {}
    for key, value in pairs(reply) do
      list[#list + 1] = key
      list[#list + 1] = value
    end
    reply = list
  end
  for i, element in ipairs(reply) do
    io.write(i > 1 and indent or "", i, ") ")
    show(element, indent .. (" "):rep(#tostring(i) + 2))
  end
end

local function run_command(client, ...)
  local reply, message = client:call(...)
  if message then
    io.stderr:write("redis_client: ", message, "\n")
    os.exit(1)
  end
  if reply == nil then reply = redis.null end
  show(reply, "")
end

---- The demonstration. ----------------------------------------------------------------------------

local function timed(what, count, fn)
  local start = task.now()
  fn()
  print(("%-40s %9.0f/s"):format(what, count / (task.now() - start)))
end

-- Each task waits for its own reply; what all of them ask travels together.
local function call_in_tasks(client, key)
  task.group(function(group)
    for _ = 1, TASKS do
      group:spawn(function()
        for _ = 1, CALLS do assert(client:call("INCR", key)) end
      end)
    end
  end)
  assert(client:call("GET", key) == tostring(TASKS * CALLS))
end

local function run_pipeline(client, key)
  local requests = {}
  for i = 1, PIPELINE do requests[i] = {"RPUSH", key, i} end
  local replies = assert(client:pipeline(requests))
  assert(#replies == PIPELINE and replies[PIPELINE] == PIPELINE)
end

-- A subscriber in a second task, on a connection of its own.
local function publish_and_subscribe(client, name)
  local subscriber <close> = connect()
  local messages <close> = assert(subscriber:subscribe(name))
  local sum = 0
  task.group(function(group)
    group:spawn(function()
      for _, payload in messages do
        if payload == "end" then return end
        sum = sum + tonumber(payload)
      end
    end)
    for i = 1, MESSAGES do assert(client:call("PUBLISH", name, i) == 1) end
    assert(client:call("PUBLISH", name, "end"))
  end)
  assert(sum == MESSAGES * (MESSAGES + 1) // 2)
end

local function demonstrate(client)
  local prefix = ("moonlet:demo:%d:"):format(math.random(1 << 40))
  timed(TASKS .. " tasks on one connection, calls", TASKS * CALLS, function()
    call_in_tasks(client, prefix .. "counter")
  end)
  timed("a pipeline, requests", PIPELINE, function() run_pipeline(client, prefix .. "list") end)
  timed("published and received, messages", MESSAGES, function()
    publish_and_subscribe(client, prefix .. "channel")
  end)
  assert(client:call("DEL", prefix .. "counter", prefix .. "list") == 2)
end

local client <close> = connect()
if arg[first] then
  run_command(client, table.unpack(arg, first))
else
  demonstrate(client)
end
