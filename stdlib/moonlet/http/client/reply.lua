--- Responses as the HTTP client gives them: their heads, and ways to read their bodies.
-- @submodule moonlet.http

local math = math
local error, pcall, rawget, setmetatable = error, pcall, rawget, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local math_huge, math_max, math_type = math.huge, math.max, math.type
local table_concat = table.concat

local argument = require "moonlet.argument"
local deadline = require "moonlet.http.client.deadline"
local upload = require "moonlet.http.client.upload"
local saving = require "moonlet.http.saving"
local json = require "moonlet.json"

local left = deadline.left

local PIECE = 64 * 1024

--- What a server answered.
-- @object Reply
-- @tfield integer status
-- @tfield string reason may be empty
-- @tfield table headers
-- @tfield string version "1.0", "1.1" or "2"
-- @tfield string url after redirects
-- @tfield boolean reused whether the connection had carried another request
-- @tfield ?string body nil of a stream
local Response = {}
Response.__index = Response
Response.__name = "http.reply"

function Response:__tostring() return ("http.response %d %s"):format(self.status, self.url) end

-- Seconds for which the server keeps an idle connection, as it says, less one for what is under way
-- when they are over; infinite: it does not say.
local function idle_limit(field)
  local seconds = field and field:lower():match "%f[%w]timeout%s*=%s*(%d+)"
  return seconds and math_max(tonumber(seconds) - 1, 0) or math_huge
end

-- The connection goes back; whether it is good says the exchange. A request that is not whole yet
-- keeps it until then.
local function finish(self, is_whole)
  local conn = self.conn
  if not conn then return end
  self.conn = nil
  self.trailer_fields = conn.x:trailers()
  conn.lasts = idle_limit(self.headers["keep-alive"])
  local sending = is_whole and conn.upload
  if sending then return sending:inherit(conn) end
  if is_whole and upload.is_left(conn.x, self.status) then return upload.leave(conn, self.times) end
  conn:release(is_whole and conn.x:finish())
end

-- Why reading has failed: message, code.
local function explain(conn, message, code)
  if not conn.upload then return message, code end
  local better, better_code = conn.upload:reason()
  if code ~= "CLOSED" or not better then return message, code end
  return better, better_code
end

local function read_piece(self, max)
  if self.is_closed then return nil, "closed", "CLOSED" end
  if self.failure then return nil, self.failure[1], self.failure[2] end
  local conn = self.conn
  if not conn then return nil end
  local piece, message, code = conn.x:read(max or PIECE, left(self.times, self.times.idle))
  if piece then return piece end
  if message then
    message, code = explain(conn, message, code)
    self.failure = { message, code }
    finish(self, false)
    return nil, message, code
  end
  finish(self, true)
  return nil
end

local function need_body(self)
  if self.body ~= nil and not self.rest then self.rest = self.body end
end

-- Reads until the buffer has what `find` looks for.
local function read_until(self, find, max)
  need_body(self)
  local rest = self.rest or ""
  while true do
    local stop, next_at = find(rest)
    if stop then
      self.rest = rest:sub(next_at)
      return rest:sub(1, stop)
    end
    if #rest > max then
      self.rest = rest
      return nil, "line too long", "EMSGSIZE"
    end
    local piece, message, code
    if self.body == nil then piece, message, code = read_piece(self) end
    if not piece then
      self.rest = rest
      if message then return nil, message, code end
      if rest == "" then return nil end
      self.rest = ""
      return rest
    end
    rest = rest .. piece
  end
end

local Failure = { __tostring = function(failure) return failure.message end, __name = "failure" }

local function raise(message, code)
  error(setmetatable({ message = message, code = code }, Failure), 0)
end

--- Decodes the body as JSON.
-- @function Reply:json
-- @return the value; or nil, message, code
function Response:json()
  local text, message, code = self.body, nil, nil
  if text == nil then text, message, code = self:read_all() end
  if not text then return nil, message, code end
  return json.decode(text)
end

--- Reads the whole body.
-- @function Reply:read_all
-- @tparam[opt] integer max bytes
-- @treturn string or nil, message, code
function Response:read_all(max)
  need_body(self)
  local parts, size = { self.rest or "" }, #(self.rest or "")
  self.rest = nil
  while self.body == nil do
    local piece, message, code = read_piece(self)
    if not piece then
      if message then return nil, message, code end
      break
    end
    size = size + #piece
    if max and size > max then
      finish(self, false)
      self.failure = { "the body is too large", "EMSGSIZE" }
      return nil, self.failure[1], self.failure[2]
    end
    parts[#parts + 1] = piece
  end
  if self.body ~= nil then self.rest = "" end
  return table_concat(parts)
end

--- Reads some of the body: a count of bytes (fewer only at the end), "l", "L" or "a".
-- @function Reply:read
-- @param[opt="l"] format
-- @treturn string or nil at the end; or nil, message, code
function Response:read(format)
  format = format or "l"
  if math_type(format) == "integer" then
    return read_until(self, function(rest)
      if #rest >= format then return format, format + 1 end
    end, math_huge)
  end
  format = tostring(format):gsub("^%*", "")
  if format == "a" then return self:read_all() end
  argument.check(format == "l" or format == "L", 1, "read", "invalid format")
  local line, message, code = read_until(self, function(rest)
    local at = rest:find("\n", 1, true)
    if at then return at, at + 1 end
  end, 64 * 1024)
  if line and format == "l" then line = line:gsub("\r?\n$", "") end
  return line, message, code
end

--- Iterates over the body as it comes. Raises if it ends short.
-- @function Reply:chunks
-- @treturn function
function Response:chunks()
  return function()
    if self.rest and self.rest ~= "" then
      local rest = self.rest
      self.rest = ""
      return rest
    end
    if self.body ~= nil and not self.rest then
      self.rest = ""
      return self.body ~= "" and self.body or nil
    end
    if self.body ~= nil then return nil end
    local piece, message, code = read_piece(self)
    if piece then return piece end
    if message and code ~= "CLOSED" then raise(message, code) end
  end
end

--- Iterates over the lines of the body.
-- @function Reply:lines
-- @treturn function
function Response:lines()
  return function()
    local line, message, code = self:read "l"
    if line then return line end
    if message and code ~= "CLOSED" then raise(message, code) end
  end
end

--- The fields behind the body, once it has been read.
-- @function Reply:trailers
-- @treturn ?table nil: there are none
function Response:trailers() return self.trailer_fields end

--- Iterates over server-sent events: tables of data, event, id, retry.
-- @function Reply:events
-- @treturn function
function Response:events()
  local id, is_first = nil, true
  return function()
    local data, kind, retry = nil, nil, nil
    while true do
      local line, message, code = self:read "l"
      if not line then
        if message and code ~= "CLOSED" then raise(message, code) end
        return nil
      end
      if is_first then line, is_first = line:gsub("^\xef\xbb\xbf", ""), false end
      if line == "" then
        if data then return { data = data, event = kind or "message", id = id, retry = retry } end
        kind = nil
      else
        local name, value = line:match "^([^:]*):? ?(.*)$"
        if name == "data" then data = data and data .. "\n" .. value or value
        elseif name == "event" then kind = value
        elseif name == "id" and not value:find "%z" then id = value
        elseif name == "retry" and value:find "^%d+$" then retry = tonumber(value) end
      end
    end
  end
end

--- Ends it: the connection goes back to the pool if the body has been read, else it is closed.
-- @function Reply:close
function Response:close()
  if self.conn then self.is_closed = true end
  finish(self, false)
end
Response.__close = Response.close

--- Saves the body to a file, which appears when it is whole.
-- @function Reply:save
-- @tparam string path
-- @treturn integer bytes; or nil, message, code
function Response:save(path)
  local ok, size, message, code = pcall(saving.save, path, nil, self:chunks())
  if ok then return size, message, code end
  if type(size) == "table" and rawget(size, "code") then return nil, size.message, size.code end
  error(size, 0)
end

local reply = {}

reply.finish = finish

-- A response of these fields: status headers reason version url reused conn times length.
function reply.new(fields) return setmetatable(fields, Response) end

-- Its content is to be decoded as the request says; one of an unknown coding stays as it is. The
-- response; or nil, message, code, and it is closed.
function reply.begin_content(self, request)
  local coding = self.headers["content-encoding"]
  if not request.decode or not coding or self.length == false then return self end
  coding = coding:match "^%s*(.-)%s*$"
  if coding:lower() == "identity" then return self end
  local ok, message, code = self.conn.x:decode(coding, request.max_body or math.maxinteger)
  if ok then
    self.headers["content-encoding"], self.headers["content-length"] = nil, nil
    self.length = nil
  elseif code ~= "EOPNOTSUPP" then
    self:close()
    return nil, message, code
  end
  return self
end

-- Reads the body, `max` bytes at most, which becomes a field. The response; or nil, message, code.
function reply.read_body(self, max, times)
  local response <close> = self
  local idle, total = left(times, times.idle), left(times, math_huge)
  local conn = response.conn
  local body, message, code = conn.x:read_all(max, idle, total)
  if body and conn.upload then
    local ok
    ok, message, code = conn.upload:settle()
    if not ok then body = nil end
  elseif body and upload.is_left(conn.x, response.status) then
    upload.see_off(conn.x, times)
  end
  if not body then
    message, code = explain(conn, message, code)
    return nil, deadline.failure(times, message, code)
  end
  finish(response, true)
  response.body = body
  return response
end

-- The body is of no interest: it is read if it is short, so that its connection serves again.
function reply.discard(self)
  local length = self.length
  if length and length > PIECE then return self:close() end
  self.conn.x:read_all(PIECE, 1, left(self.times, 1))
  finish(self, true)
end

return reply
