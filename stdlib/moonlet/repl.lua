--- The interactive mode of the program: reads lines, runs them, prints their results. On a terminal
-- lines are edited (libedit, where it is installed), with a history and completion, values are laid
-- out, and Ctrl-C ends the entry alone. Elsewhere it behaves as lua5.4's does without line editing.
-- Other tasks go on while it waits for a line.
-- @module moonlet.repl

local debug, error, getmetatable, io, ipairs = debug, error, getmetatable, io, ipairs
local load, pcall, rawget, select, table = load, pcall, rawget, select, table
local tostring, type, xpcall = tostring, type, xpcall

local complete = require "moonlet.repl.complete"
local editor = require "moonlet.repl.editor"
local history = require "moonlet.repl.history"
local session = require "moonlet.repl.session"
local show_values = require "moonlet.repl.show"

local repl = {}

-- The end of a traceback: the calls below the line that was typed.
local OWN_LEVELS = "\n\t%[C%]: in function 'xpcall'\n\t%[moonlet%.repl%].*$"

local function prompt(name, default)
  local value = _G[name]
  return value == nil and default or tostring(value)
end

local function is_incomplete(message)
  return message:sub(-5) == "<eof>"
end

-- A whole statement, that may take further lines; nil at the end of the input.
local function load_statement(read_line, source)
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
local function load_entry(read_line)
  local line = read_line(prompt("_PROMPT", "> "))
  if not line then return nil end
  line = line:gsub("^=", "return ")
  local chunk = load("return " .. line, "=stdin", "t")
  if chunk then return chunk end
  local message
  chunk, message = load_statement(read_line, line)
  return chunk or function() error(message, 0) end, not chunk
end

-- The name of the error's type, or nil.
local function name_of(err)
  local meta = debug.getmetatable(err)
  return type(meta) == "table" and rawget(meta, "__name") or nil
end

-- The text of an error and its traceback, without the calls of moonlet's own modules.
local function with_traceback(err, text)
  local traceback = debug.traceback(nil, 3):gsub(OWN_LEVELS, "\n\t[C]: in ?")
  return text .. "\n" .. session.complete(err, traceback):gsub("\n\t%[moonlet[^\n]*", "")
end

-- Shows errors as lua5.4 does; but an iterator's failure has its line, too. (No tail calls:
-- levels.)
local function add_traceback(err)
  if type(err) == "string" then return (with_traceback(err, err)) end
  local meta = getmetatable(err)
  if type(meta) == "table" and meta.__tostring then
    if name_of(err) ~= "moonlet.failure" then return tostring(err) end
    return (with_traceback(err, tostring(err)))
  end
  local text = type(err) == "number" and tostring(err)
    or ("(error object is a %s value)"):format(type(err))
  return (with_traceback(err, text))
end

local function complain(message)
  io.stdout:flush()
  io.stderr:write(tostring(message), "\n")
end

-- An error that comes from no entry; its text may fail, too.
local function complain_safely(err)
  local ok, text = pcall(tostring, err)
  complain(ok and text or ("(error object is a %s value)"):format(type(err)))
end

-- ---- not on a terminal ----

local function read_plainly(text)
  io.stdout:write(text)
  io.stdout:flush()
  return io.stdin:read("l")
end

local function print_results(ok, ...)
  if not ok then return complain((...)) end
  if select("#", ...) == 0 then return end
  local printed, message = pcall(_G.print, ...)
  if not printed then complain(("error calling 'print' (%s)"):format(message)) end
end

local function run_plainly()
  for chunk, is_syntax_error in load_entry, read_plainly do
    print_results(xpcall(chunk, is_syntax_error and tostring or add_traceback))
  end
end

-- ---- on a terminal ----

local function lay_out_results(ok, ...)
  if not ok then return complain((...)) end
  if select("#", ...) > 0 then io.stdout:write(show_values(editor.columns(), ...), "\n") end
end

-- The last error of the running entry, as text: a closing variable's, if it was interrupted.
local last_failure

-- Errors that are no text are laid out as values are.
local function lay_out_error(err)
  if name_of(err) == "moonlet.cancellation" then return err end
  local text = type(err) == "string" and err or show_values(editor.columns(), err)
  last_failure = with_traceback(err, text)
  return last_failure
end

local function run_entry(chunk, is_syntax_error)
  lay_out_results(xpcall(chunk, is_syntax_error and tostring or lay_out_error))
end

-- Escape sequences between the marks that tell the editor that they take no room.
local function mark_sequences(text)
  return (text:gsub("[\1\2]", ""):gsub("\27%[[%d;]*m", "\1%0\1"))
end

-- Reads a line; and the function that stores the lines read since, which are one entry.
local function edit_lines(line_editor)
  local lines = {}
  for _, entry in ipairs(history.load()) do line_editor:add(entry) end
  return function(text)
    io.stdout:flush()
    local line = line_editor:read(mark_sequences(text))
    lines[#lines + 1] = line
    return line
  end, function()
    local entry = table.concat(lines, "\n")
    lines = {}
    if entry:find("%S") then
      line_editor:add(entry)
      history.add(entry)
    end
  end
end

-- One entry. False at the end of the input.
local function take_turn(read_line, remember)
  local is_read, chunk, is_syntax_error = session.ask(load_entry, read_line)
  remember()
  if not is_read then return true end
  if not chunk then return false end
  last_failure = nil
  local is_done, is_shown = pcall(session.run, run_entry, chunk, is_syntax_error)
  if not is_done then
    complain_safely(is_shown)
  elseif not is_shown then
    if last_failure then complain(last_failure) end
    complain("interrupted!")
  end
  return true
end

-- Says so if tasks that are no daemons keep the program running.
local function tell_of_others()
  local others = session.others()
  if others > 0 then
    complain(("waiting for %d task%s (Ctrl-C ends)"):format(others, others == 1 and "" or "s"))
  end
end

local function run_on_terminal()
  local line_editor <close> = editor.open(complete)
  local read_line, remember = read_plainly, function() end
  if line_editor then read_line, remember = edit_lines(line_editor) end
  session.hold(function()
    while take_turn(read_line, remember) do end
  end)
end

--- Runs the loop until the end of standard input.
function repl.run()
  local on_terminal = session.is_terminal()
  if on_terminal then run_on_terminal() else run_plainly() end
  io.stdout:write("\n")
  if on_terminal then tell_of_others() end
end

return repl
