--- A view inside the running program: its tasks, metrics, profiles and traces.
-- @module moonlet.inspect

-- Each function is in a module of its own, which is loaded at the first use.

local rawset, require = rawset, require

-- Function -> the module that has it.
local parts = {
  tasks = "tasks",
  waits = "tasks",
  listen = "listen",
  counter = "metrics",
  gauge = "metrics",
  histogram = "metrics",
  metrics = "metrics",
  profile = "profile",
  mark = "trace",
  span = "trace",
  trace = "trace",
  trace_last = "trace",
  trace_start = "trace",
  trace_stop = "trace",
}

return setmetatable({}, {
  __index = function(self, name)
    local part = parts[name]
    if not part then return nil end
    local value = require("moonlet.inspect." .. part)[name]
    rawset(self, name, value)
    return value
  end,
})
