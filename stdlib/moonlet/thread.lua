--- Work that computes, on other cores: functions that run in runtimes of their own, each on a thread
-- of its own, and channels between them. Values are copied.
-- @module moonlet.thread

local pairs = pairs
local core = require "moonlet.thread.core"
-- Tracebacks name its functions after this module.
package.loaded["moonlet.thread.core"] = nil

local thread = {}
for name, value in pairs(core) do thread[name] = value end
thread.cores = nil

return thread
