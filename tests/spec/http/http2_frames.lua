--- Frames of HTTP/2 as a test writes and reads them, with every liberty that a bad peer takes.
-- Loaded with dofile("tests/spec/http/http2_frames.lua").
local frames = {}

frames.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

local TYPES = {
  DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5, PING = 6,
  GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9,
}
local NAMES = {}
for name, number in pairs(TYPES) do NAMES[number] = name end

frames.END_STREAM, frames.ACK, frames.END_HEADERS, frames.PADDED = 1, 1, 4, 8

--- A frame as bytes; the type is a name or a number.
function frames.frame(kind, flags, stream, payload)
  payload = payload or ""
  return string.pack(">I3 B B I4", #payload, TYPES[kind] or kind, flags, stream) .. payload
end

local function hpack_string(text)
  assert(#text < 127 + 128)
  if #text < 127 then return string.char(#text) .. text end
  return string.char(127, #text - 127) .. text
end

--- A header block: fields in order, each literal and without Huffman's code.
function frames.block(fields)
  local out = {}
  for i, field in ipairs(fields) do out[i] = "\0" .. hpack_string(field[1]) .. hpack_string(field[2]) end
  return table.concat(out)
end

--- The block of a request; `more` are fields after the four that start it.
function frames.request(method, path, more)
  local fields = { { ":method", method }, { ":scheme", "http" }, { ":authority", "a.example" }, { ":path", path } }
  for _, field in ipairs(more or {}) do fields[#fields + 1] = field end
  return frames.block(fields)
end

--- The next frame: name, flags, stream, payload; nil at the end of the connection.
function frames.read(conn)
  local head = conn:read_exactly(9)
  if not head then return nil end
  local size, kind, flags, stream = string.unpack(">I3 B B I4", head)
  local payload = size > 0 and conn:read_exactly(size) or ""
  return NAMES[kind] or kind, flags, stream, payload
end

--- Reads up to a GOAWAY, a RST_STREAM of the stream, or the end: "GOAWAY", "RST_STREAM" or "end",
-- and the error code.
function frames.verdict(conn, stream)
  while true do
    local kind, _, id, payload = frames.read(conn)
    if not kind then return "end" end
    if kind == "GOAWAY" then return kind, (string.unpack(">I4", payload, 5)) end
    if kind == "RST_STREAM" and id == stream then return kind, (string.unpack(">I4", payload)) end
    if kind == "DATA" and id == stream then return kind end
  end
end

return frames
