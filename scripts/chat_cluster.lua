-- A chat with rooms whose readers may be at any worker, or at any machine.
--
--   moonlet --workers 4 scripts/chat_cluster.lua [-p PORT] [-r REDIS]
--
-- Open the address that it prints; the path is the room: http://127.0.0.1:8080/lua. A worker tells
-- all workers what one of its readers says, and each tells its own. The last lines of a room lie in
-- a shared store. REDIS: the URL of a server, which connects programs on many machines. A reload
-- (kill -HUP) sends the readers to new workers, and their pages come back by themselves.

local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local worker = require "moonlet.worker"

local KEPT = 20 -- lines of a room

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<style>
body { font: 16px sans-serif; max-width: 40em; margin: 2em auto } #log { min-height: 20em }
</style>
<h1 id="room"></h1>
<div id="log"></div>
<form id="form">
<input id="text" autocomplete="off" autofocus size="50"> <button>Send</button>
</form>
<script>
const log = document.getElementById("log"), text = document.getElementById("text");
document.getElementById("room").textContent = decodeURIComponent(location.pathname.slice(1));
function show(line) {
  const p = document.createElement("div"); p.textContent = line; log.append(p);
}
let ws;
function connect() {
  ws = new WebSocket(location.href.replace(/^http/, "ws").replace(/[?#].*$/, ""));
  ws.onopen = () => log.replaceChildren();
  ws.onmessage = e => show(e.data);
  ws.onclose = () => setTimeout(connect, 500 + 500 * Math.random());
}
connect();
document.getElementById("form").onsubmit = e => {
  e.preventDefault();
  if (text.value) ws.send(text.value);
  text.value = "";
};
</script>
]]

local USAGE = "usage: moonlet chat_cluster.lua [-p PORT] [-r REDIS]\n"

local function fail(text)
  io.stderr:write(text)
  os.exit(1)
end

local function read_arguments()
  local opts = { p = 8080 }
  for i = 1, #arg, 2 do
    local name, value = arg[i]:match "^%-([pr])$", arg[i + 1]
    if name == "p" then value = math.tointeger(tonumber(value)) end
    if not name or not value then fail(USAGE) end
    opts[name] = value
  end
  if opts.p < 0 or opts.p > 65535 then fail(USAGE) end
  return opts
end

local function check(value, message)
  if not value then fail(("chat_cluster: %s\n"):format(message)) end
  return value
end

local opts = read_arguments()
local store = check(worker.store("chat", opts.r and { redis = opts.r } or { evict = true }))
local bus = opts.r and check(worker.bus { redis = opts.r, name = "chat" })

-- ---- rooms ----

local rooms = {} -- name -> the set of its readers at this worker

local function tell(room, line)
  for ws in pairs(rooms[room] or {}) do
    if not ws:send(line, "text", 0) then
      rooms[room][ws] = nil
      ws:close(1008, "too slow")
    end
  end
end

-- Tells the readers of this worker what comes from all workers, this one too.
local function listen()
  for message in bus and bus:messages "line" or worker.messages "line" do
    tell(message.room, message.line)
  end
end

-- Adds the line to those that the room keeps, unless others are faster each time.
local function keep(room, line)
  local lines, new
  repeat
    lines = store:get(room)
    new = table.move(lines or {}, lines and #lines >= KEPT and 2 or 1, KEPT, 1, {})
    new[#new + 1] = line
    local is_stored, _, code = store:cas(room, lines, new, { ttl = 86400 })
  until is_stored or code
end

local function say(room, line)
  keep(room, line)
  if bus then
    bus:send("all", "line", { room = room, line = line })
  else
    worker.send("all", "line", { room = room, line = line })
  end
end

-- A line that is said meanwhile may come twice, and is not missed.
local function enter(room, ws)
  rooms[room] = rooms[room] or {}
  rooms[room][ws] = true
  for _, line in ipairs(store:get(room) or {}) do ws:send(line) end
end

local function leave(room, ws)
  local readers = rooms[room]
  if not readers then return end
  readers[ws] = nil
  if not next(readers) then rooms[room] = nil end
end

-- ---- readers ----

local function chat(req, res, room)
  local ws <close> = websocket.upgrade(req, res, { max_message = 4096, max_queue = 64 * 1024 })
  if not ws then return true end -- upgrade has answered
  local name = ("guest %d"):format(store:incr "guests" or 0)
  enter(room, ws)
  say(room, ("%s has come (worker %s)"):format(name, worker.id or 1))
  local text = ws:receive()
  while text do
    say(room, name .. ": " .. text)
    text = ws:receive() -- nil when the reader has left, in whatever way
  end
  leave(room, ws)
  say(room, name .. " has gone")
  ws:finish(5)
end

local function answer(req, res)
  local room = req.path:match "^/([%w_%-%%]+)$"
  if not room then return res:redirect("/lobby") end
  if req.headers.upgrade then return chat(req, res, "room " .. room) end
  return 200, { ["content-type"] = "text/html; charset=utf-8" }, PAGE
end

task.spawn({ daemon = true, name = "lines of all workers" }, listen)
local listener = check(net.listen("127.0.0.1", opts.p))
io.stdout:setvbuf "line"
print(("listening on %s, http://%s/lobby"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 5 }, answer)
