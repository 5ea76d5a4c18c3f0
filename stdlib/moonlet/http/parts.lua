--- Multipart bodies of requests, part by part as they come.
-- @submodule moonlet.http

local setmetatable = setmetatable
local concat = table.concat

local argument = require "moonlet.argument"
local core = require "moonlet.http.multipart.core"
local reader = require "moonlet.http.reader"
local saving = require "moonlet.http.saving"

local check_path, save = saving.check_path, saving.save
local next_event, parameter = core.next, core.parameter

-- Parts of one body at most.
local MAX_PARTS = 1000

--- A part of a multipart body.
-- @object Part
-- @tfield string name of the form's field
-- @tfield ?string filename without directories, never "." or ".."; "": none was chosen, or it was
-- such a one; nil: it is no file
-- @tfield string type
-- @tfield Headers headers

local Part = { __name = "http.part" }
Part.__index = Part
Part.__tostring = function(self) return "http.part '" .. self.name .. "'" end

-- nil, message, code, of a body that is wrong.
local function fail(body, message, code)
  body.blame(code, message)
  return nil, message, code
end

-- The next event of the body: its name and value; or nil, message, code.
local function read_event(body)
  while true do
    local from, event, value = next_event(body.parser, body.bytes, body.from)
    if not from then
      return fail(body, value == "EMSGSIZE" and "the form has too many parts, or too long a head"
        or "malformed multipart body", value)
    end
    body.from = from
    if event then return event, value end
    local piece, message, code = body.source()
    if not piece then
      if message then return nil, message, code end
      return fail(body, "the multipart body ends short", "EPROTO")
    end
    body.bytes, body.from = body.bytes:sub(body.from) .. piece, 1
  end
end

-- The same; a failure stays, for every later call meets it.
local function step(body)
  if body.failure then return nil, body.failure[1], body.failure[2] end
  local event, value, code = read_event(body)
  if not event then body.failure = { value, code } end
  return event, value, code
end

-- The next bytes of a part: a string, nil at the end, or nil, message, code.
local function read_piece(self)
  local body = self.body_of
  if self.is_whole then return nil end
  if body.part ~= self then return nil, "the next part was asked for", "CLOSED" end
  local event, value, code = step(body)
  if event == "data" then return value end
  if not event then return nil, value, code end
  self.is_whole, body.part = true, nil
  return nil
end

--- The next bytes of the part, whatever is there. May wait.
-- @function Part:read_some
-- @tparam[opt] integer max bytes at most
-- @treturn string or nil at the end; or nil, message, code
function Part:read_some(max)
  argument.self(self, Part, "read_some")
  argument.count(max, 1, "read_some", "size")
  return self.reader:read_some(max)
end

--- Reads of the part as io's files read. May wait.
-- @function Part:read
-- @param[opt="l"] ... a count of bytes, "n", "l", "L", "a"
-- @return as Request:read
function Part:read(...)
  argument.self(self, Part, "read")
  return self.reader:read(...)
end

--- Iterates over the lines of the part; raises a failure. May wait.
-- @function Part:lines
-- @param[opt="l"] ... formats of read()
-- @treturn function():string an iterator
function Part:lines(...)
  argument.self(self, Part, "lines")
  return self.reader:lines(...)
end

--- The part's bytes, piece by piece; raises a failure. May wait.
-- @function Part:chunks
-- @tparam[opt] integer max bytes of a piece at most
-- @treturn function():string an iterator
function Part:chunks(max)
  argument.self(self, Part, "chunks")
  argument.count(max, 1, "chunks", "size")
  return self.reader:chunks(max)
end

-- Pieces until there is one too many: then nil, message, "EMSGSIZE", and the request is to blame.
local function limited(self, max)
  local size = 0
  return function()
    local piece, message, code = self.reader:read_some()
    size = size + (piece and #piece or 0)
    if max and size > max then
      return fail(self.body_of, "the part '" .. self.name .. "' is larger than allowed", "EMSGSIZE")
    end
    return piece, message, code
  end
end

--- The rest of the part as one string. May wait.
-- @function Part:body
-- @tparam[opt] integer max bytes at most
-- @treturn string or nil, message, code: "EMSGSIZE" (answered 413 if the handler returns it)
function Part:body(max)
  argument.self(self, Part, "body")
  argument.count(max, 1, "body", "size")
  local pieces, next_piece = {}, limited(self, max)
  while true do
    local piece, message, code = next_piece()
    if message then return nil, message, code end
    if not piece then return concat(pieces) end
    pieces[#pieces + 1] = piece
  end
end

--- Saves the rest of the part to a file, which appears when it is whole. May wait.
-- @function Part:save
-- @tparam string path
-- @tparam[opt] integer max bytes at most
-- @treturn integer its size; or nil, message, code
function Part:save(path, max)
  argument.self(self, Part, "save")
  check_path(path, "save")
  argument.count(max, 2, "save", "size")
  return save(path, nil, limited(self, max))
end

-- Some browsers sent whole paths; none of it is to be one here, nor a directory.
local function file_name(text)
  local name = text:match "[^/\\]*$"
  return name:find "^%.%.?$" and "" or name
end

-- What names the part; nil, message, code: it is none of a form.
local function new_part(body, headers)
  local disposition = headers["content-disposition"]
  local kind = disposition and disposition:match "^[^;%s]*"
  local name = kind and kind:lower() == "form-data" and parameter(disposition, "name")
  if not name then
    return fail(body, "a part of the form has no name", "EPROTO")
  end
  local filename = parameter(disposition, "filename")
  local part = setmetatable({
    name = name,
    filename = filename and file_name(filename),
    type = headers["content-type"] or (filename and "application/octet-stream" or "text/plain"),
    headers = headers,
    body_of = body,
  }, Part)
  part.reader = reader.new(function(max) return read_piece(part, max) end)
  return part
end

-- The next part, behind the rest of the one before; nil at the end; or nil, message, code.
local function next_part(body)
  if body.is_over then return nil end
  local event, value, code
  repeat
    event, value, code = step(body)
  until event ~= "data" and event ~= "part_end"
  body.part = nil
  if event == "part" then
    local part, message, number = new_part(body, value)
    if not part then
      body.failure = { message, number }
      return nil, message, number
    end
    body.part = part
    return part
  end
  body.is_over = event == "end"
  return nil, value, code
end

local parts = {}

-- A function that gives the parts of a body in turn, nil at the end, or nil, message, code. nil: it
-- is no boundary. source() gives the body's pieces, blame(code, message) is told that the body is
-- wrong.
function parts.reader(boundary, source, blame)
  local parser = core.parser(boundary, MAX_PARTS)
  if not parser then return nil end
  local body = {
    source = source, blame = blame or function() end, parser = parser, bytes = "", from = 1,
  }
  return function() return next_part(body) end
end

return parts
