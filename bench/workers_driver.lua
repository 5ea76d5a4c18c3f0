-- Beside the benchmark of workers, prints a line of JSON:
--
--     workers_driver.lua kill PID SECONDS         kills a worker of the master PID each second
--     workers_driver.lua websockets PID PORT N    N WebSockets through a reload
local json = require "moonlet.json"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"

local what, pid = arg[1], math.tointeger(tonumber(arg[2]))

local function status()
  local conn <close> = assert(net.connect("unix:@moonlet.workers." .. pid))
  return json.decode(assert(conn:read_all()))
end

local function send_signal(name, to)
  assert(process.run { "kill", "-" .. name, tostring(to) })
end

-- Pids of those that serve.
local function ready()
  local list = {}
  for _, w in ipairs(status().workers) do
    if w.state == "ready" then list[#list + 1] = w.pid end
  end
  return list
end

local function replace_one(count, victim)
  local start = task.now()
  send_signal("KILL", victim)
  repeat
    task.sleep(0.002)
    local list, is_there = ready(), false
    for _, other in ipairs(list) do is_there = is_there or other == victim end
  until #list == count and not is_there
  return task.now() - start
end

local function kill(seconds)
  local count, longest, kills = #ready(), 0, 0
  local stop = task.now() + seconds
  while task.now() < stop do
    task.sleep(1)
    longest = math.max(longest, replace_one(count, ready()[1 + kills % count]))
    kills = kills + 1
  end
  return { kills = kills, replacement = longest }
end

local function websockets(port, count)
  local websocket = require "moonlet.websocket"
  local url = ("ws://127.0.0.1:%d/ws"):format(port)
  local told, back, opened, sockets = 0, 0, 0, {}
  for i = 1, count do
    sockets[i] = websocket.connect(url)
    if not sockets[i] then break end
    opened = i
  end
  local start = task.now()
  local longest = 0
  local function come_back(ws)
    ws:receive(60)
    if ws:closed() == 1012 then told = told + 1 end
    ws:close()
    local again <close>, problem = websocket.connect(url)
    if again then
      back = back + 1
    else
      io.stderr:write("not back: ", problem, "\n")
    end
    longest = math.max(longest, task.now() - start)
  end
  send_signal("HUP", pid)
  task.group(function(group)
    for i = 1, opened do group:spawn(come_back, sockets[i]) end
  end)
  return { opened = opened, told = told, back = back, seconds = longest }
end

local result
if what == "kill" then
  result = kill(tonumber(arg[3]))
else
  result = websockets(tonumber(arg[3]), tonumber(arg[4]))
end
print(json.encode(result))
