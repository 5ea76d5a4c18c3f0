--- Files that the HTTP client keeps for downloads, through moonlet.fs: a slow disk holds up no
-- other task. For moonlet's own modules.
-- @module moonlet.http.client.file

local pcall, require, setmetatable = pcall, require, setmetatable
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

-- Bytes that are written at a time: a write costs a worker's call.
local ENOUGH = 64 * 1024

local Held = {}

-- Writes the pieces that have come. true; or nil, message, code.
function Held:flush()
  if self.size == 0 then return true end
  local pieces = self.pieces
  self.pieces, self.size = {}, 0
  return self.handle:write(pieces)
end

-- What came before a failure is kept: a later download goes on behind it.
function Held:__close() shield(5, self.flush, self) end

Held.__index = Held

--- Writes what `chunks` gives into a file: bytes; or nil, message, code.
function file.save_chunks(path, mode, chunks)
  if not has_files then return nil, "this program may not write files", "EPERM" end
  local handle <close>, message, code = fs.open(path, mode)
  if not handle then return nil, message, code end
  local held <close> = setmetatable({ handle = handle, pieces = {}, size = 0 }, Held)
  local size = 0
  for piece in chunks do
    held.pieces[#held.pieces + 1] = piece
    held.size, size = held.size + #piece, size + #piece
    if held.size >= ENOUGH then
      local ok, problem, number = held:flush()
      if not ok then return nil, problem, number end
    end
  end
  local ok, problem, number = held:flush()
  if not ok then return nil, problem, number end
  return size
end

return file
