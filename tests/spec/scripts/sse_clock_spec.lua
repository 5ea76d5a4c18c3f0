-- scripts/sse_clock.lua, with a client of ours, curl, and its page in Chromium, which is asked over DevTools.

local http = require "moonlet.http"
local json = require "moonlet.json"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

describe("scripts/sse_clock.lua", function()
  local directory

  setup(function() directory = programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  local function start()
    local port, server = programs.start_server("sse_clock.lua", "-p", 0, "-i", 0.05)
    return "http://127.0.0.1:" .. port, server
  end

  it("ticks for every reader, whoever leaves", function()
    local url = start()
    local client <close> = http.client()
    local one <close> = assert(client:stream(url .. "/events"))
    assert.equal("text/event-stream", one.headers["content-type"])
    local other = assert(client:stream(url .. "/events"))
    local next_event, last, most = one:events(), -1, 0
    other:events()()
    repeat
      local event = next_event()
      local tick = json.decode(event.data)
      assert.equal("tick", event.event)
      assert.matches("^%d%d:%d%d:%d%d$", tick.time)
      assert(tonumber(event.id) > last, event.id)
      last, most = tonumber(event.id), math.max(most, tick.readers)
      if most == 2 then other:close() end
    until most == 2 and tick.readers == 1
  end)

  it("tells a browser that comes again how many ticks it has missed", function()
    local url = start()
    local client <close> = http.client()
    local before <close> = assert(client:stream(url .. "/events"))
    local event
    repeat event = before:events()() until tonumber(event.id) >= 3
    local r <close> = assert(client:stream(url .. "/events", { headers = { ["last-event-id"] = event.id - 3 } }))
    local next_event = r:events()
    assert(json.decode(next_event().data).missed >= 3)
    assert.is_nil(json.decode(next_event().data).missed)
  end)

  it("shows curl its events as they come", function()
    if not programs.installed "curl" then pending "curl is not installed" end
    local curl = programs.start("curl -sSN --noproxy '*' " .. start() .. "/events")
    curl:printed 'event: tick\nid: %d+\nretry: 2000\ndata: {[^\n]*}\n\nevent: tick\n'
  end)

  -- Asks the page for the value of an expression.
  local function evaluate(ws, text)
    assert(ws:send(json.encode { id = 1, method = "Runtime.evaluate", params = { expression = text } }))
    local answer
    repeat answer = json.decode((assert(ws:receive(support.patience)))) until answer.id == 1
    return answer.result.result.value
  end

  it("moves its page in a browser", function()
    if not programs.installed "chromium" then pending "chromium is not installed" end
    local url = start()
    local profile = directory .. "/profile"
    local browser = programs.start(("timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir=%s "
      .. "--remote-debugging-port=0 %s/"):format(profile, url))
    local address = programs.eventually("DevTools", function()
      return browser:errors():match "DevTools listening on ws://([%d.:]+)/"
    end)
    local client <close> = http.client()
    local page
    support.eventually(function()
      for _, target in ipairs(assert(client:get("http://" .. address .. "/json/list")):json()) do
        if target.url == url .. "/" then page = target.webSocketDebuggerUrl end
      end
      return page
    end)
    local ws <close> = assert(websocket.connect(page))
    local text
    support.eventually(function()
      text = evaluate(ws, "document.body.innerText")
      return text:find "Connected"
    end)
    support.eventually(function()
      text = evaluate(ws, "document.body.innerText")
      return text:find "^%d%d:%d%d:%d%d%s+Readers of this clock: 1. Connected"
    end)
    local first = text:match "^%S+"
    support.eventually(function()
      task.sleep(0.05)
      return evaluate(ws, "document.body.innerText"):match "^%S+" ~= first
    end)
  end)

  it("ends at Ctrl-C though browsers look, and says what is wrong with its arguments", function()
    local url, server = start()
    local client <close> = http.client()
    local r <close> = assert(client:stream(url .. "/events"))
    r:events()()
    server:kill "INT"
    assert.equal(130, server:wait())
    assert.equal("", server:errors())
    programs.refuse_words("sse_clock.lua", { { "x" }, { "-p", "x" }, { "-i", "0" }, { "-i" } })
  end)
end)
