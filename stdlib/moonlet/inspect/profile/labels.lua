-- What a frame of a profile is called, for all formats. Internal.

local concat, format, gsub, utf8_len = table.concat, string.format, string.gsub, utf8.len

local labels = {}

local function escape(char)
  if char == "\n" then return "\\n" end
  return format("\\x%02X", char:byte())
end

-- Text without bytes that are no UTF-8.
local function as_utf8(text)
  local parts, at = {}, 1
  local _, bad = utf8_len(text, at)
  while bad do
    parts[#parts + 1] = text:sub(at, bad - 1)
    parts[#parts + 1] = format("\\x%02X", text:byte(bad))
    at = bad + 1
    _, bad = utf8_len(text, at)
  end
  parts[#parts + 1] = text:sub(at)
  return concat(parts)
end

--- One line of printable UTF-8: names of chunks and tasks may be any bytes.
function labels.printable(text)
  return as_utf8((gsub(text, "%c", escape)))
end

--- The name of a frame, without its place.
function labels.name(frame)
  if frame.name then return labels.printable(frame.name) end
  return frame.kind == "c" and "[C]" or "function"
end

--- The file and line of a frame, nil if it is no Lua function.
function labels.place(frame)
  if frame.kind ~= "lua" then return nil end
  local source = labels.printable(frame.source)
  return frame.line > 0 and ("%s:%d"):format(source, frame.line) or source
end

--- The name of a frame with its place: "f (file.lua:12)".
function labels.label(frame)
  local name, place = labels.name(frame), labels.place(frame)
  return place and ("%s (%s)"):format(name, place) or name
end

--- The labels of all frames of a profile.
function labels.all(measured)
  local all = {}
  for i = 1, #measured.frames do all[i] = labels.label(measured.frames[i]) end
  return all
end

return labels
