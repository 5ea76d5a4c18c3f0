--- @submodule moonlet.worker

local getmetatable, next, rawequal, type = getmetatable, next, rawequal, type

local argument = require "moonlet.argument"
local core = require "moonlet.worker.store.core"
package.loaded["moonlet.worker.store.core"] = nil

local Store = core.methods
local check, collect, read, swap = argument.check, core.collect, core.read, core.swap

-- Whether two values are copies of each other. pairs: tables that are being compared, so that
-- tables within themselves come to an end.
local function is_equal(a, b, pairs_seen)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" or getmetatable(a) ~= getmetatable(b) then
    return a ~= a and b ~= b -- not-a-number is a copy of itself
  end
  if rawequal(pairs_seen[a], b) then return true end
  pairs_seen[a] = b
  for key, value in next, a do
    if b[key] == nil or not is_equal(value, b[key], pairs_seen) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

--- Stores a value in place of another one, if that is still there.
-- @function Store:cas
-- @tparam string key
-- @param old the value that must be there; nil: none. Tables are compared by what is in them
-- @param new nil removes the key
-- @tparam[opt] table opts
-- @tparam[opt] number opts.ttl as for set; without opts the value keeps its time
-- @treturn boolean true; or false and the value that is there; or nil, message, code
function Store:cas(key, old, new, opts)
  check(opts == nil or type(opts) == "table", 4, "cas", "table expected")
  while true do
    local value, version = read(self, key)
    if not is_equal(value, old, {}) then return false, value end
    local is_done, message, code
    if value ~= nil then
      is_done, message, code = swap(self, key, new, version, opts)
    elseif new ~= nil then
      is_done, message, code = self:add(key, new, opts)
    else
      is_done = true
    end
    if is_done ~= false then return is_done, message, code end
  end
end

--- Iterates over keys. Meanwhile all workers may write: a key that is there all the time is met
-- exactly once, one that comes or goes once or not at all.
-- @function Store:keys
-- @tparam[opt=""] string prefix of the keys that are wanted
-- @treturn function an iterator
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

return core.open
