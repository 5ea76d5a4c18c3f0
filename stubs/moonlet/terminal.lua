---@meta moonlet.terminal

---A terminal in raw mode. `<close>` ends it. It also ends at the end of the program, however that
---comes about, and before a signal ends the process; while the process is stopped (Ctrl-Z) the old
---settings are in force.
---@class moonlet.terminal.mode
local mode = {}

---Ends raw mode; if the terminal was put into it several times, the last one does. Idempotent, never
---waits.
function mode:close() end

---The terminal of the program: size, raw mode, colours.
---@class moonlet.terminal
local terminal = {}

---Whether what is written to a file should have colours. Not if NO_COLOR is set; else if
---CLICOLOR_FORCE is, to anything but 0; else if the file is a terminal and TERM does not say
---"dumb". Never waits.
---@param file? moonlet.fs.file|moonlet.net.stream default: standard output
---@return boolean
function terminal.colours(file) end

---Whether a file is a terminal. Never waits.
---@param file moonlet.fs.file|moonlet.net.stream
---@return boolean # false also for a closed file
function terminal.is(file) end

---@class moonlet.terminal.raw.options
---@field signals? boolean Ctrl-C, Ctrl-Z and Ctrl-\ still send signals, Return is "\n", and what is printed is treated as before

---Puts a terminal into raw mode: each key is there at once, and nothing of it is shown. Never waits.
---@param file? moonlet.fs.file|moonlet.net.stream default: standard input
---@param opts? moonlet.terminal.raw.options
---@return moonlet.terminal.mode|nil # or nil, message, code: "ENOTTY"
---@return string|nil # message
---@return string|nil # code
function terminal.raw(file, opts) end

---Returns how large a terminal is. It may change at any time: then the signal WINCH comes
---(moonlet.signal). Never waits.
---@param file? moonlet.fs.file|moonlet.net.stream default: the first of standard output, error and input that is a terminal
---@return integer|nil # rows; or nil, message, code: "ENOTTY", or "ENODATA" if the terminal does not know
---@return integer|string|nil # columns
---@return string|nil # code
function terminal.size(file) end

---Returns a text in a style, or as it is if the file should have no colours. Never waits.
---@param text string
---@param style string words: bold, dim, italic, underline, reverse; black, red, green, yellow, blue, magenta, cyan, white, grey
---@param file? moonlet.fs.file|moonlet.net.stream where it is written to; default: standard output
---@return string
function terminal.style(text, style, file) end

return terminal
