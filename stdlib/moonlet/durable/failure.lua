--- Failures as they are remembered: an error with its value, or `nil, message, code`.
-- @module moonlet.durable.failure

local error, getmetatable, pcall = error, getmetatable, pcall
local tostring, type = tostring, type

local encoding = require "moonlet.durable.encoding"

local failure = {}

local function is_plain(value) return (pcall(encoding.pack, value)) end

-- An error as a value that can be written down: `{message=, code=}` stays such a table.
local function plain(err)
  if is_plain(err) then return err end
  if type(err) == "table" and getmetatable(err) ~= nil and type(err.message) == "string" then
    return { message = err.message, code = type(err.code) == "string" and err.code or nil }
  end
  return tostring(err)
end

local function code_of(err)
  return type(err) == "table" and type(err.code) == "string" and err.code or "EFAILED"
end

local function text_of(err)
  return type(err) == "table" and type(err.message) == "string" and err.message or tostring(err)
end

--- A failure of an error that was raised.
-- @treturn table bytes, message, code, value
function failure.raised(err)
  local value = plain(err)
  return { bytes = encoding.pack("raised", value), message = text_of(value), code = code_of(value),
    value = value }
end

--- Whether results are a failure: nil, message, code, of which the last is a string.
function failure.is_one(first, message, code)
  return first == nil and message ~= nil and type(code) == "string"
end

--- A failure that a function has returned.
function failure.returned(_, message, code)
  message, code = plain(message), tostring(code)
  return { bytes = encoding.pack("returned", message, code), message = tostring(message),
    code = code, value = message }
end

--- Gives a remembered failure to the caller again: raises it, or returns nil, message, code.
function failure.give(bytes)
  local how, value, code = encoding.unpack(bytes)
  if how == "raised" then error(value, 0) end
  return nil, value, code
end

--- A failure without raising it: nil, the error or message, code.
function failure.read(bytes)
  local how, value, code = encoding.unpack(bytes)
  if how == "raised" then return nil, value, code_of(value) end
  return nil, value, code
end

return failure
