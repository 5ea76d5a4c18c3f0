-- HTTP/1, HTTP/2 and WebSockets, for tests/faults/sweep.lua: whatever call fails, each step either works or says why, a
-- client never takes a broken answer for a whole one, and at the end nothing is left. Exit status 3: something is.

local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"
local websocket = require "moonlet.websocket"

-- Seconds: of one call, and for what is left at the end.
local PATIENCE, STEP = 0.5, 20

local BODY = ("0123456789"):rep(2000)

local step = dofile "tests/faults/step.lua" { deadlines = true }

local function handle(req, res)
  if req.path == "/ws" then
    local ws <close> = websocket.upgrade(req, res, { compression = true })
    if not ws then return end
    for data, kind in ws:messages() do
      if not ws:send(data, kind) then return end
    end
    return
  end
  if req.path == "/stream" then
    res.headers["content-type"] = "text/plain"
    for at = 1, #BODY, 5000 do
      local ok, message, code = res:write(BODY:sub(at, at + 4999))
      if not ok then return nil, message, code end
    end
    return
  end
  local body, message, code = req:body()
  if not body then return nil, message, code end
  return 200, { ["x-size"] = tostring(#body) }, body
end

-- A server and a client's function of its address, in one group; the client's results.
local function converse(ask, handler, compress)
  local listener <close>, message, code = net.listen("127.0.0.1", 0)
  if not listener then return nil, message, code end
  local address
  address, message, code = listener:address()
  if not address then return nil, message, code end
  local server = http.server({ on_error = function() return 500 end, read_timeout = PATIENCE,
    write_timeout = PATIENCE, compress = compress }, handler or handle)
  return task.group(function(group)
    local serving = group:spawn(function() return task.pcall(server.serve, server, listener) end)
    local results = table.pack(task.pcall(ask, tostring(address)))
    server:stop(PATIENCE)
    if serving then serving:cancel() end
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end)
end

-- A response that is there is whole: the answer, or a server's failure.
local function is_whole(r, expected)
  if r.status == 200 and r.body ~= expected then
    error(("an answer of %d bytes instead of %d"):format(#r.body, #expected), 0)
  end
end

local function requests(version)
  return converse(function(address)
    local c <close> = http.client { version = version, timeout = PATIENCE, retries = 0 }
    local first = c:get("http://" .. address .. "/")
    if first then is_whole(first, "") end
    local second = c:post("http://" .. address .. "/", { body = BODY })
    if second then is_whole(second, BODY) end
    local r, message, code = c:get("http://" .. address .. "/stream")
    if not r then return nil, message, code end
    is_whole(r, BODY)
    return true
  end)
end

-- Files as they are, in parts, and coded beside them; texts that are coded and decoded.
local function files_and_codings()
  local file = io.open "tests/faults/sweep.lua"
  local text = file and file:read "a"
  if file then file:close() end
  local ok, files = task.pcall(http.files, "tests/faults")
  if not text or not ok then return nil, tostring(files), "ENOMEM" end
  local app = http.router():mount("/files", files):get("/text", function() return BODY end)
  return converse(function(address)
    local c <close> = http.client { base = "http://" .. address, timeout = PATIENCE, retries = 0 }
    local r = c:get "/files/sweep.lua"
    if r then is_whole(r, text) end
    r = c:get("/files/sweep.lua", { headers = { range = "bytes=0-1,10-19" } })
    if r and r.status == 206 and not r.body:find(text:sub(11, 20), 1, true) then error("another part came", 0) end
    r = c:get "/files/none"
    if r and r.status ~= 404 and r.status ~= 500 then error("there is a file that is not there", 0) end
    local reply, message, code = c:get "/text"
    if not reply then return nil, message, code end
    is_whole(reply, BODY)
    return true
  end, app, true)
end

local function sockets()
  return converse(function(address)
    local ws <close>, message, code = websocket.connect("ws://" .. address .. "/ws",
      { compression = true, timeout = PATIENCE })
    if not ws then return nil, message, code end
    local ok
    for _, text in ipairs { "hello", BODY } do
      ok, message, code = ws:send(text)
      if not ok then return nil, message, code end
      local data
      data, message, code = ws:receive(PATIENCE)
      if not data then return nil, message, code end
      if data ~= text then error("another message came back", 0) end
    end
    ws:close()
    return ws:finish(PATIENCE)
  end)
end

local left = test.leaks()
step("HTTP/1", function() return requests "1.1" end)
step("HTTP/2", function() return requests "2" end)
step("a WebSocket", sockets)
step("files and codings", files_and_codings)

-- A WebSocket that was closed may still wait for its peer to close.
dofile "tests/faults/end.lua"(left, STEP)
