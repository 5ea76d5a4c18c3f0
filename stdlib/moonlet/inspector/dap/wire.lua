-- Messages of the Debug Adapter Protocol on a stream: heads with Content-Length, bodies in JSON.

local json = require "moonlet.json"

local tonumber, type = tonumber, type
local string_match = string.match

local wire = {}

-- Bytes of a head, and of a body, at most.
local LONGEST_HEAD <const>, LONGEST_BODY <const> = 4096, 16 * 1024 * 1024

--- Reads a message.
-- @param stream of moonlet.net
-- @treturn table the message; nil at the end; nil, message, and whether the next one can be read
function wire.read(stream)
  local head, message, code = stream:read_until("\r\n\r\n", LONGEST_HEAD)
  if not head then
    if code == nil or code == "EEOF" or code ~= "EMSGSIZE" then return nil end
    return nil, "head: " .. message, false
  end
  local fields = "\r\n" .. head:lower()
  local length = tonumber(string_match(fields, "\r\ncontent%-length:[ \t]*(%d+)[ \t]*\r\n"))
  if not length then return nil, "head without Content-Length", false end
  if length > LONGEST_BODY then return nil, "message too long", false end
  local body = stream:read_exactly(length)
  if not body then return nil end
  local decoded, what = json.decode(body, { nulls = "drop" })
  if type(decoded) ~= "table" then return nil, "body: " .. (what or "no object"), true end
  return decoded
end

--- Writes a message. nil, message on failure.
function wire.write(stream, message)
  local body, what = json.encode(message)
  if not body then return nil, what end
  return stream:write("Content-Length: ", #body, "\r\n\r\n", body)
end

return wire
