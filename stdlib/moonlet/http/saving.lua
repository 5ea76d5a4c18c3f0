--- Saves what comes in pieces to a file. For moonlet's own modules.
-- @module moonlet.http.saving

local pcall, require = pcall, require
local concat = table.concat

local argument = require "moonlet.argument"
-- A program without io has none.
local has_files, files = pcall(require, "moonlet.http.files.core")

local saving = {}

--- Raises, at the caller's caller, for what is no path.
function saving.check_path(path, name) argument.string(path, 1, name) end

-- Bytes of small pieces that a worker writes at once.
local BLOCK = 128 * 1024

-- The pieces, gathered into strings of a block or more.
local function blocks(next_piece, max)
  local total, is_over = 0, false
  return function()
    local list, size = {}, 0
    while not is_over and size < BLOCK do
      local piece, message, code = next_piece()
      if message then return nil, message, code end
      is_over = piece == nil
      list[#list + 1] = piece
      size = size + #(piece or "")
      if max and total + size > max then return nil, "it is larger than allowed", "EMSGSIZE" end
    end
    total = total + size
    return size > 0 and concat(list) or nil, nil, total
  end
end

--- Writes pieces to a file, which appears at `path` when it is whole, or never. Workers do it, so
-- that a slow disk holds up this task only.
-- @tparam string path
-- @tparam ?integer max bytes at most
-- @tparam function next_piece gives a string, nil at the end, or nil, message, code
-- @treturn integer the size; or nil, message, code: "EMSGSIZE"
function saving.save(path, max, next_piece)
  if not has_files then return nil, "this program may not write files", "EPERM" end
  local file, message, code = files.create(path)
  if not file then return nil, path .. ": " .. message, code end
  local guard <close> = file
  local next_block = blocks(next_piece, max)
  local block
  while true do
    block, message, code = next_block()
    if not block then break end
    local ok, problem, number = file:write(block)
    if not ok then return nil, path .. ": " .. problem, number end
  end
  if message then return nil, message, code end
  local ok, problem, number = guard:commit()
  if not ok then return nil, path .. ": " .. problem, number end
  return code
end

return saving
