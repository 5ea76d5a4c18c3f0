--- Files and directories. Every function makes only its task wait, and is a cancellation point.
-- Failures are nil, "path: reason", code.
-- @module moonlet.fs

-- The functions for single files, and watch(), are in runtime/bindings/file/.

local pairs, require = pairs, require

local core = require "moonlet.fs.core"
local watch_core = require "moonlet.fs.watch.core"

local fs = {}

-- Whole files that are no files of a disk: FIFOs, terminals and other devices.

local function read_special(path, max)
  local file <close>, message, code = core.open(path)
  if not file then return nil, message, code end
  return file:read_all(max)
end

local function write_special(path, data)
  local file <close>, message, code = core.open(path, "w")
  if not file then return nil, message, code end
  local ok
  ok, message, code = file:write(data)
  if not ok then return nil, message, code end
  return true
end

core.whole(read_special, write_special)

for name, value in pairs(core) do fs[name] = value end
fs.whole, fs.remove_on_close, fs.random_name = nil, nil, nil
fs.glob = require("moonlet.fs.glob").glob
local temporary = require "moonlet.fs.temporary"
fs.temp_dir, fs.temp_file = temporary.temp_dir, temporary.temp_file
fs.watch = watch_core.watch

-- Errors and tracebacks name its functions after this module.
package.loaded["moonlet.fs.core"], package.loaded["moonlet.fs.watch.core"] = nil, nil

return fs
