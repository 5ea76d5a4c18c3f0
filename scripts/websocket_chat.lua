-- A chat for browsers: a page, and a WebSocket for each reader of it.
--
--   moonlet scripts/websocket_chat.lua [port]      then open the address that it prints
--
-- Each connection is a task that reads; whatever it reads is sent to all. A reader that is too slow
-- for its queue is left behind, so that nobody else waits.

local http = require "moonlet.http"
local net = require "moonlet.net"
local websocket = require "moonlet.websocket"

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<style>
body { font: 16px sans-serif; max-width: 40em; margin: 2em auto } #log { min-height: 20em }
</style>
<h1>Chat</h1>
<div id="log"></div>
<form id="form">
<input id="text" autocomplete="off" autofocus size="50"> <button>Send</button>
</form>
<script>
const log = document.getElementById("log"), text = document.getElementById("text");
function show(line) {
  const p = document.createElement("div"); p.textContent = line; log.append(p);
}
const ws = new WebSocket(location.href.replace(/^http/, "ws").replace(/[?#].*$/, "") + "chat");
ws.onmessage = e => show(e.data);
ws.onopen = () => { if (location.hash) ws.send(decodeURIComponent(location.hash.slice(1))); };
ws.onclose = e => show("closed (" + e.code + ")");
document.getElementById("form").onsubmit = e => {
  e.preventDefault();
  if (text.value) ws.send(text.value);
  text.value = "";
};
</script>
]]

local members, count = {}, 0

local function tell(line)
  for ws in pairs(members) do
    if not ws:send(line, "text", 0) then
      members[ws] = nil
      ws:close(1008, "too slow")
    end
  end
end

local function chat(req, res)
  local ws <close> = websocket.upgrade(req, res, {
    max_message = 4096, max_queue = 64 * 1024, compression = true,
  })
  if not ws then return true end -- upgrade has answered
  count = count + 1
  local name = "guest " .. count
  members[ws] = name
  tell(name .. " has come")
  local text = ws:receive()
  while text do
    tell(name .. ": " .. text)
    text = ws:receive() -- nil when the reader has left, in whatever way
  end
  members[ws] = nil
  tell(name .. " has gone")
  ws:finish(5)
end

local function handle(req, res)
  if req.path == "/chat" then return chat(req, res) end
  if req.path ~= "/" then return 404, "nothing is here\n" end
  return 200, { ["content-type"] = "text/html; charset=utf-8" }, PAGE
end

local port = math.tointeger(tonumber(arg[1] or 8080))
if #arg > 1 or not port or port < 0 or port > 65535 then
  io.stderr:write "usage: moonlet websocket_chat.lua [PORT]\n"
  os.exit(1)
end

local listener = assert(net.listen("127.0.0.1", port))
io.stdout:setvbuf "line"
print(("http://127.0.0.1:%d/"):format(listener:address().port))
assert(http.serve({ listener = listener }, handle))
