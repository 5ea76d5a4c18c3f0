-- The chat for browsers: with WebSockets of ours, with node's, and with its page in Chromium.

local http = require "moonlet.http"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

local LONG = ("a sentence that is worth compressing; "):rep(20)

local NODE = [[env NODE_PATH=/usr/share/nodejs node -e '
const w = new (require("ws"))("ws://127.0.0.1:%d/chat", { perMessageDeflate: { threshold: 0 } });
w.on("open", () => w.send("from node: %s"));
w.on("message", m => console.log(m.toString()))']]

-- A port of the chat, which runs until the test ends.
local function start_chat()
  local server = programs.start(programs.command_line("websocket_chat.lua", "0"))
  return tonumber(server:printed "http://127.0.0.1:(%d+)/\n")
end

local function enter(port)
  return assert(websocket.connect(("ws://127.0.0.1:%d/chat"):format(port), { compression = { min_size = 0 } }))
end

-- Receives up to a line that has the text.
local function hear(ws, text)
  repeat
    local line, message = ws:receive(support.patience)
    if not line then error(("no '%s': %s"):format(text, message), 2) end
  until line:find(text, 1, true)
end

describe("the chat for browsers", function()
  setup(function() programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  it("tells everybody what one says, and who comes and goes", function()
    local port = start_chat()
    local one, other = enter(port), enter(port)
    hear(one, "guest 2 has come")
    assert(one:send("hello " .. LONG))
    hear(other, "guest 1: hello " .. LONG)
    hear(one, "guest 1: hello " .. LONG)
    assert.is_true(other:finish())
    hear(one, "guest 2 has gone")
    assert(one:send(("x"):rep(5000))) -- beyond its max_message
    local line, message
    repeat line, message = one:receive(support.patience) until not line
    assert.is_nil(message)
    assert.equal(1009, (one:closed()))
    one:finish()
  end)

  it("has a page, and nothing else", function()
    local port = start_chat()
    local address = ("http://127.0.0.1:%d/"):format(port)
    local client <close> = http.client()
    local res = assert(client:get(address))
    assert.equal(200, res.status)
    assert.truthy(res.body:find("new WebSocket", 1, true))
    assert.equal(404, assert(client:get(address .. "other")).status)
    assert.equal(426, assert(client:get(address .. "chat")).status)
  end)

  it("talks with node's ws", function()
    if not os.execute "NODE_PATH=/usr/share/nodejs node -e 'require(\"ws\")' 2>/dev/null" then
      pending "node has no library for WebSockets here"
    end
    local port = start_chat()
    local ws = enter(port)
    local node = programs.start(NODE:format(port, LONG))
    hear(ws, "guest 2: from node: " .. LONG)
    assert(ws:send("from moonlet: " .. LONG))
    node:printed("guest 1: from moonlet: " .. LONG)
    ws:finish()
  end)

  it("talks with its page in a browser, which compresses", function()
    if not programs.installed "chromium" then pending "chromium is not installed" end
    local port = start_chat()
    local ws = enter(port)
    local words = LONG:gsub(" ", "%%20")
    local profile = os.tmpname()
    os.remove(profile)
    -- It shows the page as it is once its virtual time is over, which goes on while nothing is loading.
    local browser = programs.start(("timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir=%s "
      .. "--virtual-time-budget=5000 --dump-dom 'http://127.0.0.1:%d/#%s'"):format(profile, port, words))
    hear(ws, "guest 2: " .. LONG)
    browser:printed("guest 2: " .. LONG)
    hear(ws, "guest 2 has gone")
    browser:wait()
    os.execute("rm -rf " .. programs.quote(profile))
    ws:finish()
  end)
end)
