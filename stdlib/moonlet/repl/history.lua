--- The entries typed in earlier sessions: a file with one to a line, the latest last; a byte 1
-- stands where one goes on in a new line. `$XDG_STATE_HOME/moonlet/history`, or
-- `~/.local/state/moonlet/history`. If it cannot be read or written, there is no history, without a
-- message. Internal.
-- @module moonlet.repl.history

local io, ipairs, math, os, pcall, table = io, ipairs, math, os, pcall, table

local session = require "moonlet.repl.session"

local history = {}

local MOST = 1000 -- entries that are kept
local LONGEST = 16384 -- bytes of an entry that is kept

local function path_of_file()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/moonlet/history" end
  return home and home ~= "" and home .. "/.local/state/moonlet/history" or nil
end

local function make_directories(path)
  for at in path:gmatch("()/") do
    if at > 1 then session.make_directory(path:sub(1, at - 1)) end
  end
end

local function read_lines(path)
  local lines = {}
  local file <close> = io.open(path)
  if not file then return lines end
  pcall(function()
    for line in file:lines() do lines[#lines + 1] = line end
  end)
  return lines
end

-- Another session may add lines meanwhile: those are lost, the file never is.
local function rewrite(path, lines)
  local new = ("%s.%d"):format(path, math.random(1 << 30))
  local file = io.open(new, "w")
  if not file then return end
  local is_written = file:write(table.concat(lines, "\n"), "\n")
  if not file:close() or not is_written or not os.rename(new, path) then os.remove(new) end
end

--- Reads the file; if it has grown to twice the entries that are kept, cuts it.
-- @treturn {string,...} the latest entries
function history.load()
  local path = path_of_file()
  local lines = path and read_lines(path) or {}
  local latest = table.move(lines, math.max(#lines - MOST + 1, 1), #lines, 1, {})
  if #lines > 2 * MOST then rewrite(path, latest) end
  for i, line in ipairs(latest) do latest[i] = line:gsub("\1", "\n") end
  return latest
end

--- Adds an entry.
-- @string entry
function history.add(entry)
  local path = path_of_file()
  if not path or #entry > LONGEST then return end
  local file = io.open(path, "a")
  if not file then
    make_directories(path)
    file = io.open(path, "a")
  end
  if not file then return end
  file:write((entry:gsub("\n", "\1")), "\n")
  file:close()
end

return history
