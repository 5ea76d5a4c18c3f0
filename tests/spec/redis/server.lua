--- Redis servers for the specs: real ones, in a directory of their own, and one that a spec plays.

local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local net = require "moonlet.net"
local redis = require "moonlet.redis"
local task = require "moonlet.task"

local server = { programs = programs }

function server.is_installed() return (os.execute "command -v redis-server >/dev/null 2>&1") end

--- Starts a redis-server on a free port and a Unix socket, and waits until it answers.
-- @treturn table port, socket, url, program
function server.start(options)
  server.directory = server.directory or programs.open_directory()
  local port = support.free_port()
  local path = ("%s/%d"):format(server.directory, port)
  os.execute("mkdir -p " .. path)
  local started = programs.start(("redis-server --port %d --bind 127.0.0.1 --unixsocket %s/s --save '' --appendonly no "
    .. "--dir %s %s"):format(port, path, path, options or ""))
  programs.eventually("redis-server", function()
    if started:status() then error("redis-server ended: " .. started:errors(), 0) end
    local conn <close> = net.connect("127.0.0.1", port)
    return conn ~= nil
  end)
  return { port = port, socket = path .. "/s", url = "redis://127.0.0.1:" .. port, program = started }
end

function server.stop_all()
  programs.stop_all()
  if server.directory then programs.remove_directory() end
  server.directory = nil
end

--- Plays a server: play(conn, n) for each connection, the n-th; HELLO is refused as an old one does, unless `opts.raw`.
-- @treturn listener to be closed
-- @treturn string URL
function server.play(play, opts)
  local listener = assert(net.listen("127.0.0.1", 0))
  local count = 0
  task.spawn({ quiet = true }, function()
    listener:serve(function(conn)
      count = count + 1
      if not (opts and opts.raw) then
        server.request(conn)
        conn:write "-ERR unknown command 'HELLO'\r\n"
      end
      play(conn, count)
    end)
  end)
  return listener, "redis://127.0.0.1:" .. listener:address().port
end

--- Reads one request.
-- @treturn {string,...} nil: the client has hung up
function server.request(conn)
  local line = conn:read_line()
  if not line then return nil end
  local words = {}
  for i = 1, tonumber(line:match "^%*(%d+)$") do
    local length = tonumber(conn:read_line():match "^%$(%d+)$")
    words[i] = conn:read_exactly(length + 2):sub(1, -3)
  end
  return words
end

--- A client of a server that is played, without a second attempt.
function server.client(url, opts)
  opts = opts or {}
  opts.attempts = opts.attempts or 1
  return assert(redis.open(url, opts))
end

return server
