-- A chat server and a thousand clients in one process, each a task, each written as if it were
-- alone: it calls, it waits, it goes on. Every tenth client talks to the server from inside a
-- comparator of table.sort and a replacement function of string.gsub.
--
--     moonlet scripts/demo.lua [--serve [PORT]]
--
-- With --serve it prints the address of a page that shows it at work, and goes on, round after
-- round, until Ctrl-C. Exit status: 0 when every client got every reply, 1 otherwise.
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"

local CLIENTS = 1000
local ROOM_SIZE = 10 -- clients that hear each other
local ROOMS = CLIENTS // ROOM_SIZE
local MESSAGES = 20 -- that each client sends, beside those of the sort and the gsub
local SECONDS = 2 -- about how long all of it shall take
local OTHER_FILES = 25 -- open beside the connections: listeners, standard output, browsers
local PATIENCE = 30 -- seconds without a reply that make a client give up

local page_port = arg[1] == "--serve" and math.tointeger(tonumber(arg[2] or 0))
if #arg > 2 or (#arg > 0 and not page_port) or (page_port or 0) < 0 or (page_port or 0) > 65535 then
  io.stderr:write("usage: moonlet demo.lua [--serve [PORT]]\n")
  os.exit(1)
end

local function read_file(path)
  local file <close> = io.open(path)
  return file and file:read "a" or ""
end

-- The limit on open files, see `ulimit -n`.
local function open_file_limit()
  return tonumber(read_file("/proc/self/limits"):match "Max open files%s+(%d+)") or 256
end

-- The memory of the process in KB; that of Lua where there is no /proc.
local function memory_kb()
  return tonumber(read_file("/proc/self/status"):match "VmRSS:%s*(%d+)") or collectgarbage "count"
end

---- The server: a line comes back with "= " before it, and "/say ..." goes to the room, too. ------

local rooms -- of this round: name -> {members = {conn, ...}, said = {line, ...}}

local function enter(room, conn)
  table.insert(room.members, conn)
  conn:write(room.said) -- for who comes later
end

local function say(room, line)
  table.insert(room.said, line .. "\n")
  for _, member in ipairs(room.members) do member:write(line, "\n") end
end

local function serve(conn)
  local name = conn:read_line()
  rooms[name] = rooms[name] or {members = {}, said = {}}
  enter(rooms[name], conn)
  for line in conn:lines() do
    local text = line:match "^/say (.*)"
    if text then say(rooms[name], text) end
    conn:write("= ", line, "\n")
  end
end

---- A client. -------------------------------------------------------------------------------------

local connected, most_connected, replies, heard = 0, 0, 0, 0

local function read_line(client)
  local line, message = client.conn:read_line()
  return line or error(message or "the server hung up", 0)
end

-- What the server answers to this client; what others said meanwhile is counted.
local function read_reply(client)
  while true do
    local line = read_line(client)
    local reply = line:match "^= (.*)"
    if reply then return reply end
    client.heard = client.heard + 1
  end
end

-- One round trip.
local function ask(client, text)
  assert(client.conn:write(text, "\n"))
  local reply = read_reply(client)
  replies = replies + 1
  return reply
end

local function expect(what, expected, got)
  if got ~= expected then
    error(string.format("%s: expected '%s', got '%s'", what, expected, got), 0)
  end
end

-- The server is asked about each number whenever two of them are compared.
local function sort_remotely(client)
  local numbers = {5, 3, 8, 1, 7, 2, 6, 4}
  table.sort(numbers, function(a, b)
    return tonumber(ask(client, a)) < tonumber(ask(client, b))
  end)
  expect("table.sort", "1 2 3 4 5 6 7 8", table.concat(numbers, " "))
end

-- The server gives the replacement of each word.
local function replace_remotely(client)
  local text = string.gsub("ten green bottles", "%a+", function(word)
    return ask(client, word:upper())
  end)
  expect("string.gsub", "TEN GREEN BOTTLES", text)
end

-- Stays until everybody in the room has said hello.
local function listen_to_room(client)
  while client.heard < ROOM_SIZE do
    read_line(client)
    client.heard = client.heard + 1
  end
end

-- Ends the output and waits until the server has closed: then its descriptor is free again.
local function hang_up(client)
  client.conn:shutdown()
  expect("after the last reply", nil, client.conn:read_line())
end

local function converse(client, number, pause)
  client.conn:write("room ", (number - 1) // ROOM_SIZE, "\n")
  local hello = "/say hello from client " .. number
  expect("the room", hello, ask(client, hello))
  for i = 1, MESSAGES - 1 do
    task.sleep(pause * 2 * math.random())
    local text = string.format("message %d of client %d", i, number)
    expect("a reply", text, ask(client, text))
  end
  if number % 10 == 0 then
    sort_remotely(client)
    replace_remotely(client)
  end
end

local function run_client(address, number, pause)
  local conn <close> = assert(net.connect(address))
  connected = connected + 1
  most_connected = math.max(most_connected, connected)
  conn:set_timeout(PATIENCE)
  local client = {conn = conn, heard = 0}
  converse(client, number, pause)
  listen_to_room(client)
  hang_up(client)
  heard = heard + client.heard
  connected = connected - 1
end

---- The page. -------------------------------------------------------------------------------------

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>moonlet</title>
<style>
body { font: 18px sans-serif; margin: 3em auto; max-width: 32em }
b { font-size: 2em } svg { width: 100%; height: 10em; background: #f4f4f4 }
polyline { fill: none; stroke: #36c; stroke-width: 2 }
</style>
<h1>A thousand clients, a chat server, one process</h1>
<p><b id="connected">-</b> connected, <b id="tasks">-</b> tasks, <b id="replies">-</b> replies,
round <span id="round">-</span>, <span id="mb">-</span> MB</p>
<svg viewBox="0 0 100 40" preserveAspectRatio="none"><polyline id="line" points=""
  vector-effect="non-scaling-stroke"/></svg>
<p>Replies in a quarter of a second.</p>
<script>
let before = 0, counts = [];
new EventSource("/events").onmessage = e => {
  const now = JSON.parse(e.data), top = () => Math.max(1, ...counts);
  for (const name in now) document.getElementById(name).textContent = now[name];
  counts.push(Math.max(0, now.replies - before));
  counts = counts.slice(-100);
  before = now.replies;
  document.getElementById("line").setAttribute("points",
    counts.map((n, i) => i + "," + (39 - 38 * n / top())).join(" "));
};
</script>
]]

local round = 1

-- Tells a browser how far the demo is, four times a second, until it leaves.
local function tell(_, res)
  local events = assert(res:events())
  repeat
    local ok = events:send { data = {
      connected = connected, tasks = #task.list(), replies = replies, round = round,
      mb = memory_kb() // 1024,
    } }
    task.sleep(0.25)
  until not ok
end

local function serve_page()
  local listener, message = net.listen("127.0.0.1", page_port)
  if not listener then
    io.stderr:write("demo: cannot listen on ", message, "\n")
    os.exit(1)
  end
  local router = http.router()
  local headers = { ["content-type"] = "text/html; charset=utf-8" }
  router:get("/", function() return 200, headers, PAGE end)
  router:get("/events", tell)
  print(("open http://%s/"):format(listener:address()))
  task.spawn({ daemon = true, name = "page" }, http.serve, { listener = listener }, router)
end

---- All of them together. -------------------------------------------------------------------------

-- A connection takes two descriptors, one at each end, so there may not be enough for everybody at
-- once. Then each client waits for one that came earlier to have ended.
local function client_places()
  local rooms_at_once = (open_file_limit() - OTHER_FILES) // (2 * ROOM_SIZE)
  if rooms_at_once < 1 then
    io.stderr:write("demo: too few open files allowed (ulimit -n): ", open_file_limit(), "\n")
    os.exit(1)
  end
  return math.min(rooms_at_once, ROOMS) * ROOM_SIZE
end

local function client_task(clients, number, places, ...)
  if number > places then clients[number - places]:join() end
  local ok, problem = pcall(run_client, ...)
  if not ok then
    task.yield() -- goes no further after Ctrl-C, which ends the server's side, too
    io.stderr:write("demo: client ", number, " failed: ", tostring(problem), "\n")
    os.exit(1)
  end
end

local function spawn_clients(address, places)
  local pause = SECONDS / MESSAGES / math.ceil(CLIENTS / places)
  local clients = {}
  for number = 1, CLIENTS do
    clients[number] = task.spawn({name = "client " .. number}, client_task, clients, number, places,
      address, number, pause)
  end
  return clients
end

-- Prints a line now and then, and keeps the memory that was in use when there were most tasks.
local function watch(start, peak)
  while true do
    task.sleep(0.3)
    local tasks = #task.list()
    if tasks > peak.tasks then peak.tasks, peak.kb = tasks, memory_kb() end
    print(string.format("%5.1f s   %4d connected   %6d replies", task.now() - start, connected,
      replies))
  end
end

local function print_row(name, form, ...)
  print(string.format("%-18s" .. form, name, ...))
end

-- Runs all clients once, and prints what came of it. kb_before: the memory before the first round.
local function run(address, places, kb_before)
  local start, peak = task.now(), {tasks = 0, kb = 0}
  rooms, most_connected, replies, heard = {}, 0, 0, 0
  local watcher = task.spawn({daemon = true, name = "watch"}, watch, start, peak)
  for _, client in ipairs(spawn_clients(address, places)) do client:join() end
  watcher:cancel()
  local seconds, messages = task.now() - start, replies + heard

  print()
  print_row("connections", "%d, at most %d at once", CLIENTS, most_connected)
  print_row("messages", "%d replies, %d heard from others", replies, heard)
  print_row("time", "%.2f s", seconds)
  print_row("messages/s", "%.0f", messages / seconds)
  print_row("memory per task", "%.1f KB (%d tasks)", (peak.kb - kb_before) / peak.tasks, peak.tasks)
end

io.stdout:setvbuf "line"
local listener <close> = assert(net.listen("127.0.0.1", 0, {backlog = CLIENTS}))
task.spawn({daemon = true, name = "server"}, listener.serve, listener, serve)

local places = client_places()
print(string.format("a chat server on %s and %d clients", listener:address(), CLIENTS))
if places < CLIENTS then
  print(string.format("(open files are limited to %d: %d clients are connected at a time)",
    open_file_limit(), places))
end

if page_port then serve_page() end
local kb_before = memory_kb()
run(listener:address(), places, kb_before)
while page_port do
  round = round + 1
  print("\nround " .. round .. ", until Ctrl-C")
  run(listener:address(), places, kb_before)
end
