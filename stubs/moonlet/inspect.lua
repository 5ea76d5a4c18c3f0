---@meta moonlet.inspect

---A place where the inspector listens. It prints as its address.
---@class moonlet.inspect.InspectListener
---@field address string "unix:/run/user/1000/moonlet/4711.sock" or "127.0.0.1:9229"
---@field url string|nil where a browser opens the page, with a token that is good for one visit; nil for a Unix socket
local InspectListener = {}

---Listens there no more; who visits the inspector stays. Harmless on a closed one.
function InspectListener:close() end

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

---@class moonlet.inspect.listen.options
---@field write? boolean also visitors over TCP may evaluate code, cancel tasks and use the debugger
---@field remote? boolean an address that other machines reach is allowed

---Starts the inspector, on a thread of its own, and has it listen. It may listen in several places.
---@param address? string "HOST:PORT", ":PORT" for this machine alone, or "unix:PATH"; without: a Unix socket that `moonlet --attach PID` finds
---@param opts? moonlet.inspect.listen.options
---@return moonlet.inspect.InspectListener|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function inspect.listen(address, opts) end

return inspect
