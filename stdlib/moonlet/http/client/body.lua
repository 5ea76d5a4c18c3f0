--- The bodies of requests, from what the options give. For moonlet's own modules.
-- @module moonlet.http.client.body

local error, getmetatable, ipairs, next, pcall = error, getmetatable, ipairs, next, pcall
local tostring, type = tostring, type
local io_type, math_tointeger, table_concat = io and io.type, math.tointeger, table.concat

local argument = require "moonlet.argument"
local json = require "moonlet.json"
local multipart = require "moonlet.http.multipart"
local url = require "moonlet.url"

local body = {}

local PIECE = 64 * 1024

local function is_stream(value)
  return type(value) == "userdata" and io_type(value) == nil
    and pcall(function() return value.read_some end)
end

-- A file of moonlet.fs.
local function is_file(value)
  return is_stream(value) and pcall(function() return value.seek end) and value.seek ~= nil
end

local function from_file(file)
  local at = file:seek "cur"
  local size = at and file:seek "end"
  if at then file:seek("set", at) end
  return { length = size and size - at, can_replay = size ~= nil, open = function()
    if at then file:seek("set", at) end
    return function() return file:read(PIECE) end
  end }
end

local function from_list(list)
  local texts = {}
  local key = next(list)
  if key ~= nil and list[1] == nil then
    local message = "a table as a body is a list of strings, and has no '%s'; see 'json' and 'form'"
    error(message:format(tostring(key)), 0)
  end
  for i, part in ipairs(list) do
    if type(part) ~= "string" and type(part) ~= "number" then
      error(("element %d of the body is a %s"):format(i, type(part)), 0)
    end
    texts[i] = part
  end
  return { data = table_concat(texts), can_replay = true }
end

local function from_stream(stream)
  return { open = function() return function() return stream:read_some(PIECE) end end }
end

-- nil: the value is no body.
local function from_value(value)
  if type(value) == "string" or type(value) == "number" then
    return { data = tostring(value), can_replay = true }
  end
  if io_type and io_type(value) == "file" or is_file(value) then return from_file(value) end
  if type(value) == "table" and getmetatable(value) == nil then return from_list(value) end
  if argument.is_callable(value) then return { open = function() return value end } end
  if is_stream(value) then return from_stream(value) end
  return nil
end

local function from_body(value)
  local self = from_value(value)
  if self then return self end
  local message = "option 'body' must be a string, a list, a function, a file or a stream, not a %s"
  error(message:format(type(value)), 0)
end

-- A body of the length that the caller says.
local function with_length(self, length)
  local bytes = math_tointeger(length)
  if not bytes or bytes < 0 then
    error("option 'length' must be a number of bytes, not " .. tostring(length), 0)
  end
  if self.data and #self.data ~= bytes then
    error(("option 'length' is %d, but the body has %d bytes"):format(bytes, #self.data), 0)
  end
  self.length = bytes
  return self
end

-- Raises for options of which all but one would be left out.
local function check_one(opts)
  local first
  for _, name in ipairs { "body", "json", "form", "multipart" } do
    if first and opts[name] ~= nil then
      error(("options '%s' and '%s': a request has one body"):format(first, name), 0)
    end
    if opts[name] ~= nil then first = name end
  end
end

--- Reads the options body, length, json, form and multipart: {data=} or {open=, length=,
-- can_replay=}, and its content type; nil: there is none.
function body.read(opts)
  check_one(opts)
  if opts.length ~= nil and opts.body == nil then
    error("option 'length' needs the option 'body'", 0)
  end
  if opts.json ~= nil then
    return { data = json.encode(opts.json), can_replay = true }, "application/json"
  end
  if opts.form then
    local kind = "application/x-www-form-urlencoded"
    return { data = url.query(opts.form), can_replay = true }, kind
  end
  if opts.multipart then
    local kind, length, open, can_replay = multipart.encode(opts.multipart, from_value)
    return { open = open, length = length, can_replay = can_replay }, kind
  end
  if opts.body == nil then return nil end
  local self = from_body(opts.body)
  return opts.length == nil and self or with_length(self, opts.length)
end

-- Bytes of a part of a body with `data`.
local PART = 256 * 1024

--- A reader of the whole, a body with `data`, too: parts, nil at the end; or nil, message, code.
function body.reader(self)
  if not self.data then return self.open() end
  local data, at = self.data, 1
  return function()
    local piece = data:sub(at, at + PART - 1)
    at = at + #piece
    return piece ~= "" and piece or nil
  end
end

return body
