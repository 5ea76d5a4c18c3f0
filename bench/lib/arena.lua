--- Echo servers on one CPU and their load on another.
local json = require "json"
local process = require "process"

local arena = {}

local SERVER_CPU, LOAD_CPU = 0, 1

--- Starts an echo server.
-- @tparam table contestant
-- @treturn ?table server with `pid` and `port`, or nil and a reason
function arena.start(contestant)
  local options = {cpu = SERVER_CPU, ready = "listening (%d+)"}
  local server, reason = process.start(contestant.command, options)
  if not server then return nil, reason end
  server.port = server.ready
  server.is_udp = contestant.is_udp
  return server
end

--- Runs the load against a server.
-- @tparam contestants all
-- @tparam table server
-- @tparam integer connections
-- @tparam number seconds
-- @tparam string ... more words for echo_load
-- @treturn ?table what echo_load printed, or nil and a reason
function arena.load(all, server, connections, seconds, ...)
  local command = {
    all:c("echo_load"), server.port, tostring(connections), tostring(seconds),
    "--pid", tostring(server.pid), ...,
  }
  if server.is_udp then command[#command + 1] = "--udp" end
  local output, reason = process.capture(command, {cpu = LOAD_CPU, limit = 120})
  if not output then return nil, reason end
  local result = json.decode_lines(output)[1]
  if not result then return nil, "failed: echo_load printed no result" end
  return result
end

--- Starts a server, calls `fn(server)` and stops the server.
-- @tparam table contestant
-- @tparam function fn
-- @return what fn returns, or nil and a reason
function arena.with_server(contestant, fn)
  local server, reason = arena.start(contestant)
  if not server then return nil, reason end
  local result, failed = fn(server)
  process.stop(server)
  return result, failed
end

return arena
