--- moonlet: green threads for Lua 5.4.
-- The table that `require "moonlet"` returns: each field is a module, loaded at its first use, so
-- that `moonlet.net` is `require "moonlet.net"`.
-- @module moonlet

local rawset, require = rawset, require

local modules = {
  task = true, net = true, greenlet = true, sync = true, channel = true, queue = true, pool = true,
  fs = true,
  signal = true,
  test = true, patch = true, http = true, url = true, json = true, crypto = true, websocket = true,
}

return setmetatable({}, {
  __index = function(self, name)
    if not modules[name] then return nil end
    local module = require("moonlet." .. name)
    rawset(self, name, module)
    return module
  end,
})
