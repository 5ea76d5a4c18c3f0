--- The terminal of the program: size, raw mode, colours.
-- @module moonlet.terminal

local pcall, type = pcall, type
local os_getenv = os.getenv
local io_stdout = io.stdout
local table_concat = table.concat
local string_gmatch = string.gmatch

local argument = require "moonlet.argument"
local core = require "moonlet.terminal.core"
-- Errors and tracebacks name its functions after this module.
package.loaded["moonlet.terminal.core"] = nil

local terminal = { is = core.is, size = core.size, raw = core.raw }

-- What a terminal is told: select graphic rendition, ECMA-48.
local codes = {
  bold = 1, dim = 2, italic = 3, underline = 4, reverse = 7,
  black = 30, red = 31, green = 32, yellow = 33, blue = 34, magenta = 35, cyan = 36, white = 37,
  grey = 90,
}

local NO_FILE = "file or stream expected"

-- Whether the argument is a file, standard output without one; and whether that is a terminal.
local function try_file(file)
  return pcall(core.is, file == nil and io_stdout or file)
end

local function has_colours(is_terminal)
  if (os_getenv "NO_COLOR" or "") ~= "" then return false end
  local force = os_getenv "CLICOLOR_FORCE"
  if force and force ~= "" and force ~= "0" then return true end
  local kind = os_getenv "TERM" or ""
  return is_terminal and kind ~= "" and kind ~= "dumb"
end

--- Whether what is written to a file should have colours. Not if NO_COLOR is set; else if
-- CLICOLOR_FORCE is, to anything but 0; else if the file is a terminal and TERM does not say
-- "dumb". Never waits.
-- @function colours
-- @tparam[opt] file|stream file default: standard output
-- @treturn boolean
function terminal.colours(file)
  local is_file, is_terminal = try_file(file)
  argument.check(is_file, 1, "colours", NO_FILE)
  return has_colours(is_terminal)
end

--- Returns a text in a style, or as it is if the file should have no colours. Never waits.
-- @function style
-- @tparam string text
-- @tparam string style words: bold, dim, italic, underline, reverse; black, red, green, yellow,
-- blue, magenta, cyan, white, grey
-- @tparam[opt] file|stream file where it is written to; default: standard output
-- @treturn string
function terminal.style(text, style, file)
  argument.check(type(text) == "string", 1, "style", "a text expected")
  argument.check(type(style) == "string", 2, "style", "words expected")
  local numbers = {}
  for word in string_gmatch(style, "%S+") do
    argument.check(codes[word], 2, "style", "there is no style '" .. word .. "'")
    numbers[#numbers + 1] = codes[word]
  end
  local is_file, is_terminal = try_file(file)
  argument.check(is_file, 3, "style", NO_FILE)
  if #numbers == 0 or not has_colours(is_terminal) then return text end
  return "\27[" .. table_concat(numbers, ";") .. "m" .. text .. "\27[0m"
end

return terminal
