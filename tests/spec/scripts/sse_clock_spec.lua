-- scripts/sse_clock.lua, with a client of ours, curl, and its page in Chromium.

local browser = dofile "tests/spec/browser.lua"
local http = require "moonlet.http"
local json = require "moonlet.json"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
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

  it("moves its page in a browser", function()
    local page <close> = browser.open(programs, directory, start() .. "/")
    if not page then pending "chromium is not installed" end
    local time = page:shows "^(%d%d:%d%d:%d%d)%s+Readers of this clock: 1. Connected"
    support.eventually(function() return page:shows "^%S+" ~= time end)
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
