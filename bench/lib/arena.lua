--- Servers on one CPU and their load on another.
local json = require "json"
local process = require "process"

local arena = {}

local SERVER_CPU, LOAD_CPU = 0, 1

--- Starts a server.
-- @tparam table contestant `name`, `command` and perhaps `ready`: the pattern that finds the port
--   in what it prints
-- @treturn ?table server with `pid` and `port`, or nil and a reason
function arena.start(contestant)
  local options = {cpu = SERVER_CPU, ready = contestant.ready or "listening (%d+)"}
  local server, reason = process.start(contestant.command, options)
  if not server then return nil, reason end
  server.port = server.ready
  server.is_udp, server.is_websocket = contestant.is_udp, contestant.is_websocket
  return server
end

--- Runs a program that loads a server.
-- @tparam contestants all
-- @tparam string name of the program
-- @tparam string ... its arguments
-- @treturn ?table what it printed, or nil and a reason
function arena.run_load(all, name, ...)
  local output, reason = process.capture({all:c(name), ...}, {cpu = LOAD_CPU, limit = 120})
  if not output then return nil, reason end
  local result = json.decode_lines(output)[1]
  if not result then return nil, "failed: " .. name .. " printed no result" end
  return result
end

--- Runs the load of messages that are answered against a server.
-- @tparam contestants all
-- @tparam table server
-- @tparam integer connections
-- @tparam number seconds
-- @tparam string ... more words for echo_load
-- @treturn ?table what echo_load printed, or nil and a reason
function arena.load(all, server, connections, seconds, ...)
  local words = {"--pid", tostring(server.pid), ...}
  if server.is_udp then words[#words + 1] = "--udp" end
  if server.is_websocket then words[#words + 1] = "--websocket" end
  return arena.run_load(all, "echo_load", server.port, tostring(connections), tostring(seconds),
    table.unpack(words))
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
