--- Forms of several parts (multipart/form-data, RFC 7578), written as a stream. For moonlet's own
-- modules: `http.post(url, {multipart={...}})`.
-- @module moonlet.http.multipart

local table = table
local error, io_open, ipairs, next, pairs = error, io and io.open, ipairs, next, pairs
local tostring, type = tostring, type
local math_random = math.random

local multipart = {}

local PIECE = 64 * 1024

local function quote(text)
  if text:find "[%z\r\n]" then
    error("a name in a multipart form must not contain CR, LF or NUL", 0)
  end
  return (text:gsub('"', "%%22"))
end

local function new_boundary()
  return ("moonlet%016x%016x"):format(math_random(0), math_random(0))
end

-- A part's head: name, file's name, type.
local function head_of(boundary, name, part)
  local lines = { "--", boundary, '\r\ncontent-disposition: form-data; name="', quote(name), '"' }
  local filename = part.filename or (part.path and part.path:match "[^/]*$")
  if filename then lines[#lines + 1] = '; filename="' .. quote(filename) .. '"' end
  local kind = part.type or (filename and "application/octet-stream")
  if kind then
    if kind:find "[%z\r\n]" then
      error("a type in a multipart form must not contain CR, LF or NUL", 0)
    end
    lines[#lines + 1] = "\r\ncontent-type: " .. kind
  end
  lines[#lines + 1] = "\r\n\r\n"
  return table.concat(lines)
end

local function add(list, name, value)
  if type(value) == "table" and value[1] ~= nil then
    for _, one in ipairs(value) do add(list, name, one) end
  elseif type(value) == "table" then
    list[#list + 1] = { name, value }
  elseif type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
    list[#list + 1] = { name, { data = tostring(value) } }
  else
    error(("part '%s' of the multipart form must be a string, a number or a table"):format(name), 0)
  end
end

local function open_part(part)
  if part.data ~= nil then return tostring(part.data) end
  if part.path then
    local file, message = io_open(part.path, "rb")
    if not file then error(message, 0) end
    return file, file:seek("end"), file:seek("set")
  end
  return part.body
end

--- The content type, the length (nil if a part's is not known), and a function that makes a reader
-- of the whole body, as often as it is called.
-- @tparam table fields name -> string, number, list, or {data=|path=|body=, filename=, type=}
function multipart.encode(fields)
  local list, boundary = {}, new_boundary()
  for name, value in pairs(fields) do
    if type(name) ~= "string" then error("names in a multipart form must be strings", 0) end
    add(list, name, value)
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  local can_replay, length = true, #boundary + 6
  for _, entry in ipairs(list) do
    entry.head = head_of(boundary, entry[1], entry[2])
    local part = entry[2]
    if part.data ~= nil then
      length = length and length + #entry.head + #tostring(part.data) + 2
    elseif part.path then
      local file, size = open_part(part)
      file:close()
      length = length and length + #entry.head + size + 2
    else
      length, can_replay = nil, false
    end
  end
  local function reader()
    local i, source = 0, nil
    return function()
      while true do
        if source == nil then
          i = i + 1
          local entry = list[i]
          if not entry then
            if i == #list + 1 then return "--" .. boundary .. "--\r\n" end
            return nil
          end
          source = open_part(entry[2]) or ""
          return entry.head
        end
        local piece, message, code
        if type(source) == "string" then
          piece, source = source, nil
          return piece .. "\r\n"
        elseif type(source) == "function" then
          piece, message, code = source()
        elseif type(source) == "userdata" or source.read then
          local read = source.read_some or source.read
          piece, message, code = read(source, PIECE)
          if not piece and list[i][2].path then source:close() end
        end
        if piece and piece ~= "" then return piece end
        if not piece then
          source = nil
          if message then return nil, message, code end
          return "\r\n"
        end
      end
    end
  end
  return "multipart/form-data; boundary=" .. boundary, length, reader, can_replay
end

multipart.is_empty = function(fields) return next(fields) == nil end

return multipart
