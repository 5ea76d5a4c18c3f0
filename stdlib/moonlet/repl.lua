--- The interactive mode of the program: reads lines, runs them, prints what they return.
-- It behaves as lua5.4's does without line editing. While it waits for a line nothing else runs.
-- @module moonlet.repl

local repl = {}

-- The end of a traceback: what calls the line that was typed.
local OWN_LEVELS = "\n\t%[C%]: in function 'xpcall'\n\t%[moonlet%.repl%].*$"

local function prompt(name, default)
  local value = _G[name]
  return value == nil and default or tostring(value)
end

local function read_line(text)
  io.stdout:write(text)
  io.stdout:flush()
  return io.stdin:read("l")
end

local function is_incomplete(message)
  return message:sub(-5) == "<eof>"
end

-- A whole statement, that may take further lines; nil at the end of the input.
local function load_statement(source)
  local chunk, message = load(source, "=stdin", "t")
  while not chunk and is_incomplete(message) do
    local line = read_line(prompt("_PROMPT2", ">> "))
    if not line then break end
    source = source .. "\n" .. line
    chunk, message = load(source, "=stdin", "t")
  end
  return chunk, message
end

-- An expression is tried first, so that its values are printed.
local function load_entry()
  local line = read_line(prompt("_PROMPT", "> "))
  if not line then return nil end
  line = line:gsub("^=", "return ")
  local chunk = load("return " .. line, "=stdin", "t")
  if chunk then return chunk end
  local message
  chunk, message = load_statement(line)
  return chunk or function() error(message, 0) end, not chunk
end

local function add_traceback(err)
  if type(err) ~= "string" then
    local meta = getmetatable(err)
    if type(meta) == "table" and meta.__tostring then return tostring(err) end
    err = type(err) == "number" and tostring(err)
      or ("(error object is a %s value)"):format(type(err))
  end
  return (debug.traceback(err, 2):gsub(OWN_LEVELS, "\n\t[C]: in ?"))
end

local function complain(message)
  io.stdout:flush()
  io.stderr:write(tostring(message), "\n")
end

local function show(ok, ...)
  if not ok then return complain((...)) end
  if select("#", ...) == 0 then return end
  local printed, message = pcall(_G.print, ...)
  if not printed then complain(("error calling 'print' (%s)"):format(message)) end
end

--- Runs the loop until the end of standard input.
function repl.run()
  for chunk, is_syntax_error in load_entry do
    show(xpcall(chunk, is_syntax_error and tostring or add_traceback))
  end
  io.stdout:write("\n")
end

return repl
