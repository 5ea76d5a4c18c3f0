-- The server of the benchmark of workers: moonlet --workers N workers.lua PORT
local http = require "moonlet.http"
local worker = require "moonlet.worker"

http.serve({ host = "127.0.0.1", port = tonumber(arg[1]), grace = 10 }, function(req)
  if req.path == "/status" then return worker.status() end
  if req.path == "/pid" then return (io.open "/proc/self/stat":read "a"):match "^%d+" end
  return "hello\n"
end)
