-- The server of the benchmark of workers: moonlet --workers N workers.lua PORT
local http = require "moonlet.http"
local websocket = require "moonlet.websocket"
local worker = require "moonlet.worker"

http.serve({ host = "127.0.0.1", port = tonumber(arg[1]), grace = 10 }, function(req, res)
  if req.path == "/status" then return worker.status() end
  if req.path == "/pid" then return (io.open "/proc/self/stat":read "a"):match "^%d+" end
  if req.path == "/ws" then
    local ws = websocket.upgrade(req, res)
    for message in ws:messages() do ws:send(message) end
    ws:finish(2)
    return
  end
  return "hello\n"
end)
