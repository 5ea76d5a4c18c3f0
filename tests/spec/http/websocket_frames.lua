--- Frames of WebSockets as bytes, for specs that play one end by hand.
local core = require "moonlet.websocket.core"
local net = require "moonlet.net"

local frames = {}

frames.KEY = "\x01\x82\x03\xf4"
frames.FINAL, frames.RSV1 = 0x80, 0x40

-- Eight bytes at a time: long messages would take seconds otherwise.
local function mask(payload, key)
  local unpack, pack, word = string.unpack, string.pack, string.unpack("<I8", key .. key)
  local out, whole = {}, #payload // 8 * 8
  for i = 1, whole, 8 do out[#out + 1] = pack("<I8", unpack("<I8", payload, i) ~ word) end
  for i = whole + 1, #payload do out[#out + 1] = string.char(payload:byte(i) ~ key:byte((i - 1) % 4 + 1)) end
  return table.concat(out)
end

--- A frame of that first byte, masked as clients do if there is a key.
function frames.frame(first, payload, key)
  local bit = key and 0x80 or 0
  local size = #payload
  local head = size < 126 and string.pack("BB", first, bit | size)
    or size < 65536 and string.pack(">BBI2", first, bit | 126, size)
    or string.pack(">BBI8", first, bit | 127, size)
  return key and head .. key .. mask(payload, key) or head .. payload
end

--- The same as a client sends it.
function frames.masked(first, payload) return frames.frame(first, payload, frames.KEY) end

--- Reads one frame from a stream: its first byte and the payload without the mask; nil at the end.
function frames.read(stream)
  local start = stream:read_exactly(2)
  if not start then return end
  local first, second = start:byte(1, 2)
  local size = second & 0x7f
  if size == 126 then
    size = string.unpack(">I2", stream:read_exactly(2))
  elseif size == 127 then
    size = string.unpack(">I8", stream:read_exactly(8))
  end
  local key = second >= 0x80 and stream:read_exactly(4) or nil
  local payload = size > 0 and stream:read_exactly(size) or ""
  return first, key and mask(payload, key) or payload
end

--- A Close, as payload.
function frames.code(code, reason) return string.pack(">I2", code) .. (reason or "") end

--- A WebSocket over one end of a pair in memory, and the raw other end. `extensions`: the answer of
-- the handshake.
function frames.raw(is_client, opts, extensions)
  local a, b = net.memory_pair()
  return core.open(a, opts or {}, is_client or false, extensions), b
end

--- Two WebSockets over such a pair: a client, a server.
function frames.pair(opts, extensions)
  local a, b = net.memory_pair()
  return core.open(a, opts or {}, true, extensions), core.open(b, opts or {}, false, extensions)
end

--- Ends a WebSocket whose peer is raw.
function frames.leave(ws, peer)
  peer:close()
  ws:receive()
  ws:finish()
end

return frames
