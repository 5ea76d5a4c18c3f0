--- Saves what comes in pieces to a file. For moonlet's own modules.
-- @module moonlet.http.saving

local error, pcall, require, type = error, pcall, require, type
-- A program without io has none.
local has_files, files = pcall(require, "moonlet.http.files.core")

local saving = {}

--- Raises, at the caller's caller, for what is no path.
function saving.check_path(path, name)
  if type(path) == "string" then return end
  local got = path == nil and "no value" or type(path)
  error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, got), 3)
end

--- Writes pieces to a file, which appears at `path` when it is whole, or never.
-- @tparam string path
-- @tparam ?integer max bytes at most
-- @tparam function next_piece gives a string, nil at the end, or nil, message, code
-- @treturn integer the size; or nil, message, code: "EMSGSIZE"
function saving.save(path, max, next_piece)
  if not has_files then return nil, "this program may not write files", "EPERM" end
  local file, message, code = files.create(path)
  if not file then return nil, path .. ": " .. message, code end
  local guard <close> = file
  local size = 0
  while true do
    local piece
    piece, message, code = next_piece()
    if not piece then break end
    size = size + #piece
    if max and size > max then return nil, "it is larger than allowed", "EMSGSIZE" end
    local ok, problem, number = file:write(piece)
    if not ok then return nil, path .. ": " .. problem, number end
  end
  if message then return nil, message, code end
  local ok, problem, number = guard:commit()
  if not ok then return nil, path .. ": " .. problem, number end
  return size
end

return saving
