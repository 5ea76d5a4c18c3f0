-- A clock in the browser: a page, and server-sent events that move it.
--
--     moonlet scripts/sse_clock.lua [-l HOST] [-p PORT] [-i SECONDS]
--
-- Listens on HOST and PORT (127.0.0.1, 8080): open the address that it prints, or look at the
-- events with `curl -N http://127.0.0.1:8080/events`. SECONDS: between two of them (1). A browser
-- that comes again tells by itself which event it saw last, and hears how many it has missed.
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local USAGE = "usage: moonlet sse_clock.lua [-l HOST] [-p PORT] [-i SECONDS]\n"

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Clock</title>
<style>
body { font: 20px sans-serif; margin: 4em auto; max-width: 20em }
time { font-size: 4em }
</style>
<time id="time">--:--:--</time>
<p>Readers of this clock: <span id="readers">0</span>. <span id="state">Connecting.</span></p>
<script>
const show = (id, text) => document.getElementById(id).textContent = text;
const source = new EventSource("/events");
source.addEventListener("tick", e => {
  const tick = JSON.parse(e.data);
  show("time", tick.time);
  show("readers", tick.readers);
});
source.onopen = () => show("state", "Connected.");
source.onerror = () => show("state", "Waiting for the server.");
</script>
]]

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local function read_arguments()
  local host, port, seconds, i = "127.0.0.1", 8080, 1, 1
  while arg[i] do
    local word, value = arg[i], arg[i + 1]
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif word == "-l" and value then
      host = value
    elseif word == "-p" and math.tointeger(tonumber(value)) then
      port = math.tointeger(tonumber(value))
    elseif word == "-i" and (tonumber(value) or 0) > 0 then
      seconds = tonumber(value)
    else
      fail(USAGE)
    end
    i = i + 2
  end
  if port < 0 or port > 65535 then fail(USAGE) end
  return host, port, seconds
end

local host, port, seconds = read_arguments()

local started, readers = task.now(), 0

-- Sends a tick, and waits for the next. nil: the browser has left.
local function tell(events, last)
  local tick = (task.now() - started) // seconds | 0
  local ok = events:send {
    event = "tick", id = tick, retry = 2, -- seconds
    data = { time = os.date "%H:%M:%S", readers = readers, missed = last and tick - last },
  }
  task.sleep_until(started + (tick + 1) * seconds)
  return ok
end

local Reader = { __close = function() readers = readers - 1 end }

-- Runs as long as the browser stays: when it leaves, the task of this request is cancelled.
local function stream(req, res)
  local events = assert(res:events())
  readers = readers + 1
  local _ <close> = setmetatable({}, Reader)
  local ok = tell(events, math.tointeger(tonumber(req.headers["last-event-id"])))
  while ok do ok = tell(events) end
end

local router = http.router()
router:get("/", function() return 200, { ["content-type"] = "text/html; charset=utf-8" }, PAGE end)
router:get("/events", stream)

local listener, message = net.listen(host, port)
if not listener then fail(("sse_clock: cannot listen on %s\n"):format(message)) end
io.stdout:setvbuf "line"
print(("listening on %s: open http://%s/"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 1 }, router)
