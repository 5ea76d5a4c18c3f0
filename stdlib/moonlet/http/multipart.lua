--- Forms of several parts (multipart/form-data, RFC 7578), written as a stream. For moonlet's own
-- modules: `http.post(url, {multipart={...}})`.
-- @module moonlet.http.multipart

local table = table
local error, io_open, ipairs, pairs = error, io and io.open, ipairs, pairs
local tostring, type = tostring, type
local math_random = math.random

local multipart = {}

local PIECE = 64 * 1024

local FIELDS = { data = true, body = true, path = true, filename = true, type = true }

-- Raises for a part of the form.
local function refuse(name, problem)
  error(("part '%s' of the multipart form %s"):format(name, problem), 0)
end

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

local function is_plain(value)
  return type(value) == "string" or type(value) == "number" or type(value) == "boolean"
end

-- Raises for a table that is no part: what a misspelt field would leave out is never sent as less.
local function check_part(name, part)
  for field in pairs(part) do
    if not FIELDS[field] then refuse(name, ("has an unknown field '%s'"):format(field)) end
  end
  for _, field in ipairs { "path", "filename", "type" } do
    if part[field] ~= nil and type(part[field]) ~= "string" then
      refuse(name, ("has a %s as '%s', which must be a string"):format(type(part[field]), field))
    end
  end
  local sources = 0
  for _, field in ipairs { "data", "body", "path" } do
    if part[field] ~= nil then sources = sources + 1 end
  end
  if sources ~= 1 then refuse(name, "needs one of 'data', 'body' and 'path'") end
end

-- The parts of a field, behind those in the list.
local function add(list, name, value)
  if is_plain(value) then
    list[#list + 1] = { name, { data = value }, at = #list }
  elseif type(value) ~= "table" then
    refuse(name, ("must be a string, a number or a table such as {path=}, not a %s")
      :format(type(value)))
  elseif value[1] ~= nil then
    for _, one in ipairs(value) do add(list, name, one) end
  else
    check_part(name, value)
    list[#list + 1] = { name, value, at = #list }
  end
end

local function open_file(path)
  local file, message = io_open(path, "rb")
  if not file then error(message, 0) end
  return file
end

-- The content of a file that is opened for each reading.
local function from_path(path)
  local file <close> = open_file(path)
  local size, message = file:seek "end"
  if not size then error(path .. ": " .. message, 0) end
  return { length = size, can_replay = true, open = function()
    local again = open_file(path)
    return function()
      local piece, problem, code = again:read(PIECE)
      if not piece then again:close() end
      return piece, problem, code
    end
  end }
end

-- The content of a part: {data=}, or {open=, length=, can_replay=}.
local function source_of(name, part, from_value)
  if part.path then return from_path(part.path) end
  local value = part.data
  if value == nil then value = part.body end
  if is_plain(value) then return { data = tostring(value), can_replay = true } end
  local source = from_value(value)
  if not source then
    refuse(name, ("must be a string, a list, a function, a file or a stream, not a %s")
      :format(type(value)))
  end
  return source
end

-- All parts in the order of their names; those of one name as they were given.
local function list_of(fields)
  local list = {}
  for name, value in pairs(fields) do
    if type(name) ~= "string" then error("names in a multipart form must be strings", 0) end
    add(list, name, value)
  end
  table.sort(list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a.at < b.at
  end)
  return list
end

-- A reader of all parts.
local function read_all(list, boundary)
  local i, source = 0, nil
  return function()
    while source do
      local piece, message, code = source()
      if piece and piece ~= "" then return piece end
      if message then return nil, message, code end
      if not piece then
        source = nil
        return "\r\n"
      end
    end
    i = i + 1
    local entry = list[i]
    if not entry then return i == #list + 1 and "--" .. boundary .. "--\r\n" or nil end
    local content = entry.source
    if content.data then return entry.head .. content.data .. "\r\n" end
    source = content.open()
    return entry.head
  end
end

--- The content type, the length (nil if a part's is not known), and a function that makes a reader
-- of the whole body, as often as it is called; and whether it may be called again.
-- @tparam table fields name -> string, number, list, or {data=|path=|body=, filename=, type=}
-- @tparam function from_value gives the source of any other content, or nil
function multipart.encode(fields, from_value)
  if type(fields) ~= "table" then
    error(("option 'multipart' must be a table, not a %s"):format(type(fields)), 0)
  end
  local list, boundary = list_of(fields), new_boundary()
  local can_replay, length = true, #boundary + 6
  for _, entry in ipairs(list) do
    local name, part = entry[1], entry[2]
    entry.head = head_of(boundary, name, part)
    entry.source = source_of(name, part, from_value)
    local size = entry.source.data and #entry.source.data or entry.source.length
    length = length and size and length + #entry.head + size + 2
    can_replay = can_replay and entry.source.can_replay == true
  end
  return "multipart/form-data; boundary=" .. boundary, length,
    function() return read_all(list, boundary) end, can_replay
end

return multipart
