---@meta moonlet.pool

---A value that is leased: `local lease <close> = pool:lease()` gives it back at the end of the
---block, or discards it if an error ends the block.
---@class moonlet.pool.Lease
---@field value any nil once it was given back or discarded
local Lease = {}

---Gives the value back to the pool, or closes it if the pool is closed.
function Lease:close() end

---Closes the value instead of giving it back. Waits only if closing it does.
function Lease:discard() end

---Values that are leased. `<close>` closes it.
---@class moonlet.pool.Pool
local Pool = {}

---Closes the idle values; those that are leased when they come back. Never waits, unless closing
---one does: then up to 5 s for each, and a cancellation is held off meanwhile. All are closed even
---if some fail; the first error is raised.
function Pool:close() end

---Leases a value for the caller: an idle one, or a new one. Waits for a place,
---and as open() and check() do.
---@param timeout? number seconds to wait for a place
---@return moonlet.pool.Lease|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Pool:lease(timeout) end

---Pools of values that are expensive to open: connections, processes. Each is leased to one task
---at a time.
---@class moonlet.pool
local pool = {}

---@class moonlet.pool.new.options
---@field open function returns a value, or nil, message, code; may wait
---@field close? function called with the value; without it, the value's method close
---@field max? integer leases at a time
---@field check? function called with an idle value: returns whether it can still be used
---@field name? string under which `inspect.metrics` shows it

---Makes a pool.
---@param opts moonlet.pool.new.options
---@return moonlet.pool.Pool
function pool.new(opts) end

return pool
