--- Failures as they are remembered: an error with its value, or `nil, message, code`.
-- @module moonlet.durable.failure

local error, getmetatable, pcall = error, getmetatable, pcall
local tostring, type = tostring, type
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local len = utf8.len

local encoding = require "moonlet.durable.encoding"

local failure = {}

-- The most bytes of a text whose error is too large to be written down as it is.
local LONGEST = 8192

-- The most bytes of a message where runs are listed.
local SHOWN = 2000

local function is_plain(value) return (pcall(encoding.pack, "raised", value)) end

local function shortened(text, most)
  return #text <= most and text or sub(text, 1, most) .. "..."
end

-- As tostring(), whose __tostring may raise.
local function words(err)
  local ok, shown = pcall(tostring, err)
  return ok and shown or "an error that has no text"
end

-- An error as a value that can be written down: `{message=, code=}` stays such a table.
local function plain(err)
  if is_plain(err) then return err end
  if type(err) == "table" and getmetatable(err) ~= nil and type(err.message) == "string" then
    return { message = shortened(err.message, LONGEST),
      code = type(err.code) == "string" and shortened(err.code, LONGEST) or nil }
  end
  return shortened(words(err), LONGEST)
end

local function escaped(sign) return format("\\x%02x", byte(sign)) end

--- A text for a column that people read: a database may refuse zero bytes and what is no UTF-8.
function failure.shown(text)
  text = shortened(text, SHOWN)
  if not find(text, "%z") and len(text) then return text end
  return (text:gsub("[%z\128-\255]", escaped))
end

local function code_of(err)
  return type(err) == "table" and type(err.code) == "string" and err.code or "EFAILED"
end

local function text_of(err)
  return type(err) == "table" and type(err.message) == "string" and err.message or words(err)
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
  message, code = plain(message), shortened(tostring(code), LONGEST)
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
