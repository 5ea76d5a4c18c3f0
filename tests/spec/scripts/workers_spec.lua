-- The programs for workers: each with two of them, and with a Redis server between two programs.

local http = require "moonlet.http"
local programs = dofile "tests/spec/programs.lua"
local servers = dofile "tests/spec/redis/server.lua"
local support = dofile "tests/spec/support.lua"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

-- Starts a script with two workers, and waits until both serve. Returns its port and the master.
local function start(...)
  local command = programs.command_line(...):gsub("^'[^']*'", "%0 --workers 2", 1)
  local server = programs.start(command)
  local port = tonumber(server:printed "listening on %S+:(%d+)[^\n]*\n")
  programs.eventually("two workers", function() return server:errors():find("2 workers ready", 1, true) end)
  return port, server
end

local function stop(server)
  server:kill "TERM"
  assert.equal(0, server:wait())
end

local function get(port, path)
  local client <close> = http.client()
  return assert(client:get(("http://127.0.0.1:%d%s"):format(port, path)))
end

-- Asks until condition(reply) is true.
local function ask_until(port, path, condition)
  programs.eventually("an answer of " .. path, function() return condition(get(port, path)) end)
end

local function enter(port, room)
  return assert(websocket.connect(("ws://127.0.0.1:%d/%s"):format(port, room)))
end

-- Receives up to a line that has the pattern, and returns what that captures.
local function hear(ws, pattern)
  while true do
    local line, message = ws:receive(support.patience)
    if not line then error(("no '%s': %s"):format(pattern, message), 2) end
    local found = line:match(pattern)
    if found then return found end
  end
end

-- Readers of a room at two different workers, each of which has heard the other.
local function two_readers(port, room)
  local one = enter(port, room)
  local first = hear(one, "has come %(worker (%d)%)")
  local other, second
  repeat
    if other then other:finish() end
    other = enter(port, room)
    second = hear(one, "has come %(worker (%d)%)")
  until second ~= first
  return one, other
end

describe("programs for workers", function()
  setup(function() programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  it("counter.lua counts over all workers, lists the largest, and limits an address", function()
    local port, server = start("counter.lua", "-p", 0, "-l", 50)
    local seen, count = {}, 0
    ask_until(port, "/a", function(reply)
      count = count + 1
      local answer = reply:json()
      assert.equal(count, answer.count)
      seen[answer.worker] = true
      return seen[1] and seen[2] or count == 30 -- the kernel may prefer one
    end)
    assert.equal(1, get(port, "/b"):json().count)
    assert.same({ { path = "/a", count = count }, { path = "/b", count = 1 } }, get(port, "/top"):json())
    local refused
    ask_until(port, "/a", function(reply) refused = reply return reply.status == 429 end)
    assert.equal("60", refused.headers["retry-after"])
    stop(server)
  end)

  it("counter.lua without workers, with a Redis server, counts for two programs", function()
    if not servers.is_installed() then pending "needs redis-server" end
    local redis = servers.start()
    local one = programs.start_server("counter.lua", "-p", 0, "-r", redis.url)
    local other = programs.start_server("counter.lua", "-p", 0, "-r", redis.url)
    for i = 1, 10 do assert.equal(i, get(i % 2 == 0 and one or other, "/x"):json().count) end
    assert.same({ { path = "/x", count = 10 } }, get(one, "/top"):json())
    servers.stop_all()
  end)

  it("chat_cluster.lua tells readers at other workers, keeps rooms apart, and the last lines", function()
    local port, server = start("chat_cluster.lua", "-p", 0)
    local one, other = two_readers(port, "lua")
    local elsewhere = enter(port, "c")
    hear(elsewhere, "has come")
    assert(one:send "hello")
    assert.truthy(hear(other, "guest %d+: hello"))
    assert.truthy(hear(one, "guest %d+: hello"))
    assert(elsewhere:send "only here")
    assert.truthy(hear(elsewhere, "guest %d+: only here"))
    for i = 1, 30 do assert(other:send("line " .. i)) end
    hear(one, "line 30")
    local late = enter(port, "lua")
    assert.truthy(hear(late, "line (%d+)") == "11")
    hear(late, "line 30")
    assert.is_true(late:finish())
    hear(other, "has gone")
    one:finish()
    elsewhere:finish()
    server:kill "TERM"
    while other:receive(support.patience) do end -- the program has told it
    assert.equal(1001, (other:closed()))
    assert.equal(0, server:wait())
  end)

  it("chat_cluster.lua sends its readers to the new workers of a reload", function()
    local port, server = start("chat_cluster.lua", "-p", 0)
    local one = enter(port, "lua")
    assert(one:send "before")
    hear(one, "before")
    server:kill "HUP"
    local text, message
    repeat text, message = one:receive(support.patience) until not text
    assert.same({ 1012 }, { (one:closed()), message, message and server:errors() })
    local again
    programs.eventually("a reader of a new worker", function() -- another old one may take a connection yet
      again = enter(port, "lua")
      return pcall(hear, again, "before") and pcall(hear, again, "guest %d has come")
    end)
    again:finish()
    stop(server)
  end)

  it("chat_cluster.lua has a page for each room, and leads to the lobby", function()
    local port, server = start("chat_cluster.lua", "-p", 0)
    assert.truthy(get(port, "/lobby").body:find("new WebSocket", 1, true))
    assert.truthy(get(port, "/").body:find("new WebSocket", 1, true))
    stop(server)
  end)

  it("chat_cluster.lua, with a Redis server, connects two programs", function()
    if not servers.is_installed() then pending "needs redis-server" end
    local redis = servers.start()
    local port, server = start("chat_cluster.lua", "-p", 0, "-r", redis.url)
    local far = programs.start_server("chat_cluster.lua", "-p", 0, "-r", redis.url)
    local one = enter(port, "lua")
    hear(one, "guest 1 has come") -- its number is given after the handshake
    local other = enter(far, "lua")
    hear(one, "guest 2 has come")
    assert(one:send "over there")
    assert.truthy(hear(other, "guest 1: over there"))
    one:finish()
    stop(server)
    servers.stop_all()
  end)

  it("say how they are called", function()
    for _, script in ipairs { "counter.lua", "chat_cluster.lua" } do
      programs.refuse_words(script, { { "-p" }, { "-p", "70000" }, { "-x", "1" }, { "8080" }, { "-p", "x" } })
    end
    programs.refuse_words("counter.lua", { { "-l", "0" }, { "-r" } })
  end)
end)
