--- Files that the HTTP client keeps for downloads, through moonlet.fs: a slow disk holds up no
-- other task. For moonlet's own modules.
-- @module moonlet.http.client.file

local pcall, require = pcall, require
-- A program without io or os has none.
local has_files, fs = pcall(require, "moonlet.fs")
local shield = require("moonlet.task").shield

local file = {}

--- All of a file; nil: there is none.
function file.read(path) return has_files and fs.read(path) or nil end

--- Its bytes; 0: there is none.
function file.size(path)
  local status = has_files and fs.stat(path)
  return status and status.size or 0
end

--- Makes a file of a text, if it can.
function file.put(path, text) return has_files and fs.write(path, text) end

--- Removes a file, if it is there, also for a task that is cancelled.
function file.remove(path) return has_files and shield(5, fs.remove, path) end

--- As fs.rename().
function file.rename(from, to) return fs.rename(from, to) end

--- Writes what `chunks` gives into a file, each piece as it comes: bytes; or nil, message, code.
function file.save_chunks(path, mode, chunks)
  if not has_files then return nil, "this program may not write files", "EPERM" end
  local handle <close>, message, code = fs.open(path, mode)
  if not handle then return nil, message, code end
  local size = 0
  for piece in chunks do
    local ok, problem, number = handle:write(piece)
    if not ok then return nil, problem, number end
    size = size + #piece
  end
  return size
end

return file
