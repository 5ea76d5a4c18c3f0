-- Compare and swap of Lua values, for stores that can swap a value which nobody has changed.

local getmetatable, next, rawequal, type = getmetatable, next, rawequal, type

local check = require("moonlet.argument").check

-- Whether two values are copies of each other. pairs_seen: tables that are being compared, so that
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

-- Makes the method. read(store, key): the value and its version; or nil, nil, message, code.
-- swap(store, key, new, version, opts): whether that version was still there; or nil, message,
-- code.
return function(read, swap)
  return function(self, key, old, new, opts)
    check(opts == nil or type(opts) == "table", 4, "cas", "table expected")
    while true do
      local value, version, message, code = read(self, key)
      if code then return nil, message, code end
      if not is_equal(value, old, {}) then return false, value end
      local is_done = true
      if value ~= nil then
        is_done, message, code = swap(self, key, new, version, opts)
      elseif new ~= nil then
        is_done, message, code = self:add(key, new, opts)
      end
      if is_done ~= false then return is_done, message, code end
    end
  end
end
