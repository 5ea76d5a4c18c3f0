--- Identifiers: UUIDs of version 7, which sort by the time when they were made.
-- @module moonlet.durable.identity

local error, open = error, io.open
local floor = math.floor
local unpack = string.unpack

local identity = {}

-- Random bytes of the system, many at once.
local bytes, at = "", 1

local function take(count)
  if at + count > #bytes + 1 then
    local file <close> = open("/dev/urandom", "rb")
    bytes, at = file and file:read(4096) or "", 1
    if #bytes < count then error("the system has no random numbers", 0) end
  end
  at = at + count
  return bytes:sub(at - count, at - 1)
end

--- A new identifier.
-- @tparam number now seconds since 1970
-- @treturn string
function identity.new(now)
  local milliseconds = floor(now * 1000)
  local a, b, c = unpack(">I2I2I6", take(10))
  return ("%08x-%04x-7%03x-%04x-%012x"):format(milliseconds >> 16 & 0xffffffff,
    milliseconds & 0xffff, a & 0xfff, b & 0x3fff | 0x8000, c)
end

return identity
