--- Where the inspector listens.
-- @submodule moonlet.inspect

local setmetatable, type = setmetatable, type

local agent = require "moonlet.inspect.agent"
local argument = require "moonlet.argument"

local listen = {}

local OPTIONS = { write = true, remote = true }

--- A place where the inspector listens. It prints as its address.
-- @object InspectListener
-- @tfield string address "unix:/run/user/1000/moonlet/4711.sock" or "127.0.0.1:9229"
-- @tfield ?string url where a browser opens the page, with a token that is good for one visit; nil
-- for a Unix socket
local InspectListener = { __name = "inspect.inspectlistener" }
InspectListener.__index = InspectListener

--- Starts the inspector, on a thread of its own, and has it listen. It may listen in several
-- places.
-- @function listen
-- @tparam[opt] string address "HOST:PORT", ":PORT" for this machine alone, or "unix:PATH"; without:
-- a Unix socket that `moonlet --attach PID` finds
-- @tparam[opt] table opts
-- @tparam[opt=false] boolean opts.write also visitors over TCP may evaluate code, cancel tasks and
-- use the debugger
-- @tparam[opt=false] boolean opts.remote an address that other machines reach is allowed
-- @treturn InspectListener or nil, message, code
function listen.listen(address, opts)
  argument.check(address == nil or type(address) == "string", 1, "listen", "string expected")
  opts = opts == nil and {} or opts
  argument.options(opts, 2, "listen", OPTIONS)
  local rights = { write = opts.write and true or false, remote = opts.remote and true or false }
  local place, message, code = agent.ask("listen", address or "", rights)
  if not place then return nil, message, code end
  return setmetatable(place, InspectListener)
end

--- Listens there no more; who visits the inspector stays. Harmless on a closed one.
-- @function InspectListener:close
function InspectListener:close() agent.tell("close", self.address) end

InspectListener.__close = InspectListener.close
InspectListener.__tostring = function(self) return "inspect.listener " .. self.address end

return listen
