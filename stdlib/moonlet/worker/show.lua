-- The program's option --workers-status: a table of the workers of a running program.

local io, ipairs, os, require, table = io, ipairs, os, require, table

local json = require "moonlet.json"
local net = require "moonlet.net"

local show = {}

local PATIENCE = 5 -- seconds

local LINE = "%4s %8s %-9s %10s %8s %10s %10s %6s %8s\n"

-- What the master of that process number says; or nil, message.
local function ask(pid)
  local conn <close>, message = net.connect("unix:@moonlet.workers." .. pid, { timeout = PATIENCE })
  if not conn then return nil, message end
  conn:set_timeout(PATIENCE)
  local text, problem = conn:read_all()
  if not text then return nil, problem end
  if text == "" then return nil, "it belongs to another user" end
  return json.decode(text)
end

-- The lines about all workers, in the order of their numbers.
function show.text(status)
  local first = "master %d: %d workers, generation %d, up %.0f s, %d requests, %d restarts%s%s\n"
  local lines = { first:format(status.pid, status.count, status.generation, status.uptime,
    status.requests, status.restarts, status.reloading and ", reloading" or "",
    status.stopping and ", stopping" or "") }
  lines[2] = LINE:format("id", "pid", "state", "generation", "age s", "connects", "requests",
    "open", "MB")
  table.sort(status.workers, function(a, b)
    if a.id ~= b.id then return a.id < b.id end
    return a.generation < b.generation
  end)
  for _, w in ipairs(status.workers) do
    lines[#lines + 1] = LINE:format(w.id, w.pid, w.state, w.generation, ("%.0f"):format(w.age),
      w.connections, w.requests, w.open, ("%.1f"):format(w.memory / 2 ^ 20))
  end
  for _, socket in ipairs(status.sockets) do
    lines[#lines + 1] = ("listens: %s (%s)\n"):format(socket.address, socket.kind)
  end
  return table.concat(lines)
end

function show.run(pid)
  local status, message = ask(pid)
  if not status then
    io.stderr:write("no workers of process ", pid, ": ", message, "\n")
    os.exit(1, true)
  end
  io.write(show.text(status))
end

return show
