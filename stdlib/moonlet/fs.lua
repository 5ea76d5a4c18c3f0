--- Files and directories. Every function makes only its task wait, and is a cancellation point.
-- Failures are nil, "path: reason", code.
-- @module moonlet.fs

-- The functions for single files, and watch(), are in runtime/bindings/file/.

local pairs = pairs

local core = require "moonlet.fs.core"

local fs = {}

local function refuse(path) return nil, path .. ": not a file of a disk", "EINVAL" end
core.whole(refuse, refuse)
core.whole = nil

for name, value in pairs(core) do fs[name] = value end
fs.watch = require("moonlet.fs.watch.core").watch

return fs
