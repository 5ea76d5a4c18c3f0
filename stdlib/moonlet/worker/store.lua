--- @submodule moonlet.worker

local require, type = require, type
local math_type = math.type

local argument = require "moonlet.argument"
local cas_of = require "moonlet.worker.cas"
local core = require "moonlet.worker.store.core"
package.loaded["moonlet.worker.store.core"] = nil

local Store = core.methods
local check, collect = argument.check, core.collect

--- Stores a value in place of another one, if that is still there.
-- @function Store:cas
-- @tparam string key
-- @param old the value that must be there; nil: none. Tables are compared by what is in them
-- @param new nil removes the key
-- @tparam[opt] table opts
-- @tparam[opt] number opts.ttl as for set; without opts the value keeps its time
-- @treturn boolean true; or false and the value that is there; or nil, message, code
Store.cas = cas_of(core.read, core.swap)

--- Iterates over keys. Meanwhile all workers may write: a key that is there all the time is met
-- exactly once, one that comes or goes once or not at all.
-- @function Store:keys
-- @tparam[opt=""] string prefix of the keys that are wanted
-- @treturn function an iterator; over Redis it raises a failure { message=, code= }
-- @usage for key in store:keys "session:" do print(key) end
function Store:keys(prefix)
  check(prefix == nil or type(prefix) == "string", 1, "keys", "string expected")
  local list, position = collect(self, prefix or "", 0)
  local i = 0
  return function()
    i = i + 1
    while not list[i] and position do
      list, position = collect(self, prefix or "", position)
      i = 1
    end
    return list[i]
  end
end

local OPTIONS = { size = true, evict = true }
local SMALLEST, LARGEST = core.smallest, core.largest

-- Documented in moonlet/worker.lua.
return function(name, opts)
  if type(name) == "table" or type(opts) == "table" and opts.redis ~= nil then
    return require "moonlet.worker.redis_store"(name, opts)
  end
  argument.string(name, 1, "store")
  check(#name > 0 and #name <= 63 and not name:find("\0", 1, true), 1, "store",
    "name must have from 1 to 63 bytes, without zeros")
  if opts == nil then return core.open(name) end
  argument.options(opts, 2, "store", OPTIONS)
  local size, evict = opts.size, opts.evict
  check(size == nil or math_type(size) == "integer" and size >= SMALLEST and size <= LARGEST, 2,
    "store", "option 'size' must be bytes, from 65536 to 1099511627776")
  check(evict == nil or type(evict) == "boolean", 2, "store", "option 'evict' must be a boolean")
  return core.open(name, size, evict)
end
