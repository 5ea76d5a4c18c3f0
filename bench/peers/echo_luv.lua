-- TCP echo with callbacks.
local uv = require "luv"

local BACKLOG = 4096

local function serve(client)
  client:nodelay(true)
  client:read_start(function(err, data)
    if err or not data then
      client:close()
    else
      client:write(data)
    end
  end)
end

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", tonumber(arg[1]) or 0))
assert(server:listen(BACKLOG, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  server:accept(client)
  serve(client)
end))
print("listening " .. server:getsockname().port)
io.stdout:flush()
uv.run()
