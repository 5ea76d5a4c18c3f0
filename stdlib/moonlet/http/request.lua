--- Requests: what of them is written in Lua.
-- @submodule moonlet.http

local ipairs, setmetatable = ipairs, setmetatable
local concat = table.concat

local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local json = require "moonlet.json"
local parameter = require("moonlet.http.multipart.core").parameter
local parts = require "moonlet.http.parts"
local queries = require("moonlet.http.headers").query
local reader = require "moonlet.http.reader"
local saving = require "moonlet.http.saving"
local encode = require("moonlet.url").encode

local check_path, save = saving.check_path, saving.save
local Request = core.request_methods
local read_piece = Request.read_some

-- Requests whose body is read in other portions than it comes in -> their readers.
local readers = setmetatable({}, { __mode = "k" })

local function reader_of(self)
  local own = readers[self]
  if not own then
    own = reader.new(function(max) return read_piece(self, max) end)
    readers[self] = own
  end
  return own
end

--- The next bytes of the body, whatever is there. May wait.
-- @function Request:read_some
-- @tparam[opt] integer max bytes at most
-- @treturn string or nil at the end; or nil, message, code
function Request:read_some(max)
  local own = readers[self]
  if not own then return read_piece(self, max) end
  argument.count(max, 1, "read_some", "size")
  return own:read_some(max)
end

--- Reads of the body as io's files read. May wait.
-- @function Request:read
-- @param[opt="l"] ... a count of bytes (fewer only at the end), "n" (a number), "l" (a line without
-- its "\n"), "L" (with it), "a" (all)
-- @return for each format a string or number, or nil at the end, or for what is no number, and none
-- after it; or nil, message, code, and then what was read before is there for the next read
function Request:read(...) return reader_of(self):read(...) end

--- Iterates over the lines of the body, without their ends; raises a failure `{message=, code=}`.
-- May wait.
-- @function Request:lines
-- @param[opt="l"] ... formats of read()
-- @treturn function():string an iterator
function Request:lines(...) return reader_of(self):lines(...) end

--- An iterator over the pieces of the body, as they come. Ends at its end, raises a failure
-- `{message=, code=}`. May wait.
-- @function Request:chunks
-- @tparam[opt] integer max bytes of a piece at most
-- @treturn function():string an iterator
function Request:chunks(max)
  argument.count(max, 1, "chunks", "size")
  return reader.iterator(function() return self:read_some(max) end)
end

--- The body as JSON; it stays, as that of body(). May wait.
-- @function Request:json
-- @tparam[opt] integer max bytes at most
-- @return the value, json.null for null; or nil, message, code: as body(), and "EJSON": a handler
-- that returns that answers 400
function Request:json(max)
  local body, message, code = self:body(max)
  if not body then return nil, message, code end
  local value
  value, message, code = json.decode(body)
  if value ~= nil then return value end
  core.blame(self, code, 400, message)
  return nil, message, code
end

-- ---- forms ----

-- The body is no such form, or too large a one.
local function blame(self, code, message)
  core.blame(self, code, code == "EMSGSIZE" and 413 or 400, message)
end

-- The fields and files of a multipart form that was read: two values; or nil, message, code.
local function read_parts(body, boundary)
  local fields, files, is_read = {}, {}, false
  local next_part = parts.reader(boundary, function()
    if is_read then return nil end
    is_read = true
    return body
  end)
  if not next_part then return nil, "the boundary of the form is none", "EPROTO" end
  while true do
    local part, message, code = next_part()
    if message then return nil, message, code end
    if not part then return queries(concat(fields, "&")), files end
    local data
    data, message, code = part:body()
    if not data then return nil, message, code end
    if part.filename then
      files[#files + 1] = {
        name = part.name, filename = part.filename, type = part.type, data = data,
      }
    else
      fields[#fields + 1] = encode(part.name) .. "=" .. encode(data)
    end
  end
end

--- The body as a form, of the type application/x-www-form-urlencoded or multipart/form-data; it
-- stays, as that of body(). May wait.
-- @function Request:form
-- @tparam[opt] integer max bytes at most
-- @treturn Headers the fields, names keep their case; or nil, message, code: as body(), and
-- "EPROTO": the body is no form: a handler that returns that answers 400
-- @treturn {table} the files of a multipart form: `name filename type data`
function Request:form(max)
  local body, message, code = self:body(max)
  if not body then return nil, message, code end
  local kind = self.headers["content-type"] or ""
  local essence = kind:match "^[^;%s]*":lower()
  if essence == "application/x-www-form-urlencoded" then return queries(body), {} end
  local fields, files
  local boundary = essence == "multipart/form-data" and parameter(kind, "boundary")
  if boundary then fields, files, code = read_parts(body, boundary)
  else files, code = "the body is no form", "EPROTO" end
  if fields then return fields, files end
  blame(self, code, files)
  return nil, files, code
end

--- The parts of a multipart/form-data body in turn, each read as it comes; the rest of a part is
-- skipped when the next is asked for. The iterator raises a failure `{message=, code=}`, which
-- answers 400 (or 408, 413) if the handler lets it through. May wait.
-- @function Request:parts
-- @treturn function():Part an iterator; or nil, message, code: "EPROTO": the body is no such form
function Request:parts()
  local kind = self.headers["content-type"] or ""
  local is_form = kind:match "^[^;%s]*":lower() == "multipart/form-data"
  local boundary = is_form and parameter(kind, "boundary")
  local next_part = boundary and parts.reader(boundary, function() return self:read_some() end,
    function(...) blame(self, ...) end)
  if not next_part then
    local message = "the body is no multipart form"
    blame(self, "EPROTO", message)
    return nil, message, "EPROTO"
  end
  return reader.iterator(next_part)
end

--- Saves the rest of the body to a file, which appears when it is whole: a file that is there is
-- replaced then, and keeps its permissions. May wait.
-- @function Request:save
-- @tparam string path
-- @tparam[opt] integer max bytes at most, in place of the route's limit
-- @treturn integer its size; or nil, message, code
function Request:save(path, max)
  check_path(path, "save")
  argument.count(max, 2, "save", "size")
  if max then core.limit(self, { max_body = max }) end
  return save(path, nil, function() return self:read_some() end)
end

-- ---- cookies ----

--- The cookies that the peer has sent. Values are as they were sent, without quotes around them; of
-- several cookies of one name, the first counts. Never waits.
-- @function Request:cookies
-- @treturn table name -> value
function Request:cookies()
  local cookies = {}
  for _, line in ipairs(self.headers:all "cookie") do
    for pair in line:gmatch "[^;]+" do
      local name, value = pair:match "^[ \t]*([^=]-)[ \t]*=[ \t]*(.-)[ \t]*$"
      if name and name ~= "" and cookies[name] == nil then
        cookies[name] = value:match '^"(.*)"$' or value
      end
    end
  end
  return cookies
end

return {}
