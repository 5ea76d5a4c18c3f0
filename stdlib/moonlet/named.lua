--- Pools and queues that a program has given a name, for metrics: name -> object, of equal names
-- the last. For moonlet's own modules.
-- @module moonlet.named

local setmetatable = setmetatable

local function weak() return setmetatable({}, { __mode = "v" }) end

return {
  pools = weak(), queues = weak(),
  metrics = {}, -- functions of moonlet's own modules that add families to moonlet.inspect's
}
