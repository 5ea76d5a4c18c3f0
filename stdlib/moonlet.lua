--- moonlet: green threads for Lua 5.4.
-- The table that `require "moonlet"` returns: each field is a module, loaded at its first use, so
-- that `moonlet.net` is `require "moonlet.net"`.
-- @module moonlet

local rawset, require = rawset, require

local modules = {
  channel = true, crypto = true, durable = true, fs = true, greenlet = true, http = true,
  inspect = true, json = true, net = true, patch = true, pool = true, postgres = true,
  process = true, queue = true, redis = true, signal = true, sql = true, sqlite = true,
  sync = true, task = true, terminal = true, test = true, thread = true, url = true,
  websocket = true, worker = true,
}

return setmetatable({}, {
  __index = function(self, name)
    if not modules[name] then return nil end
    local module = require("moonlet." .. name)
    rawset(self, name, module)
    return module
  end,
})
