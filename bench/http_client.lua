-- An HTTP client that asks for one URL over and over, by several tasks. Prints one line of JSON:
-- the microseconds of its CPU for a request.
-- Usage: moonlet http_client.lua URL COUNT TASKS
local http = require "moonlet.http"
local task = require "moonlet.task"

local url, count, tasks = arg[1], assert(math.tointeger(arg[2])), assert(math.tointeger(arg[3]))

local client = http.client { pool = { per_host = tasks, idle_per_host = tasks } }

local function ask(times)
  for _ = 1, times do
    local reply, message = client:get(url)
    assert(reply and reply.status == 200 and #reply.body > 0, message)
  end
end

local function ask_all(times)
  task.group(function(group)
    for _ = 1, tasks do group:spawn(ask, times // tasks) end
  end)
end

ask_all(tasks)
local start = os.clock()
ask_all(count)
print(('{"cpu_us_per_request": %.2f}'):format((os.clock() - start) / count * 1e6))
client:close()
