-- The debugged program of `moonlet --debug`: a session of the Debug Adapter Protocol, served by
-- tasks of its own, with the adapter that started it.

local os_exit = os.exit

local dap = require "moonlet.inspector.dap"
local mistake = require "moonlet.inspector.mistake"
local debugger = require "moonlet.inspect.debugger"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local debuggee = {}

--- Connects to the adapter, and returns when the client has set its breakpoints, or has gone.
-- @tparam string path of the adapter's socket
function debuggee.run(path)
  local stream, message = net.connect("unix:" .. path)
  if not stream then mistake("cannot connect to the debugger: " .. message) end
  local configured, main = sync.event(), task.current().id
  task.spawn({ name = "debugger", daemon = true }, function()
    dap.serve(stream, {
      main = main,
      engine = debugger,
      configured = function() configured:set() end,
      finish = function(ends) if ends then os_exit(143, true) end end,
    })
    configured:set()
    stream:close()
  end)
  configured:wait()
end

return debuggee
