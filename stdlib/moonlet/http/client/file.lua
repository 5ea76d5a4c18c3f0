--- Files that the HTTP client reads and writes. For moonlet's own modules.
-- @module moonlet.http.client.file

local io_open, setmetatable = io and io.open, setmetatable

local file = {}

--- All of a file; nil: there is none.
function file.read(path)
  local handle = io_open(path, "rb")
  if not handle then return nil end
  local text <const> = handle:read "a"
  handle:close()
  return text
end

--- Its bytes; 0: there is none.
function file.size(path)
  local handle = io_open(path, "rb")
  if not handle then return 0 end
  local size = handle:seek "end"
  handle:close()
  return size or 0
end

--- Makes a file of a text, if it can.
function file.put(path, text)
  local handle = io_open(path, "wb")
  if not handle then return end
  handle:write(text)
  handle:close()
end

--- Writes what `chunks` gives, for `path`, into the file beside it: bytes; or nil, message, code.
function file.save_chunks(path, mode, temporary, chunks)
  local handle, message, number = io_open(temporary, mode)
  if not handle then return nil, message, number end
  local guard <close> = setmetatable({}, { __close = function() handle:close() end })
  local size = 0
  for piece in chunks do
    local ok, problem = handle:write(piece)
    if not ok then return nil, problem, "EIO" end
    size = size + #piece
  end
  local _ = guard
  if not handle:flush() then return nil, "cannot write " .. path, "EIO" end
  return size
end

return file
