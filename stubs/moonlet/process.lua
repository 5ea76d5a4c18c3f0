---@meta moonlet.process

---A child.
---@class moonlet.process.Process
---@field pid integer
---@field stdin moonlet.net.stream|nil what is written here the child reads; nil unless it is a pipe
---@field stdout moonlet.net.stream|nil what the child writes; nil unless it is a pipe
---@field stderr moonlet.net.stream|nil the same
---@field pty moonlet.net.stream|nil the other side of the child's terminal, with the option pty
local Process = {}

---Closes its streams, and asks the process to end: TERM to it and its group, then KILL to those
---that live on after the option kill_after. A detached one lives on. Idempotent, never waits.
function Process:close() end

---Sends a signal to the process, and to all of its group if it has one. Never waits.
---@param signal? string its name
---@return boolean|nil # true; or nil, message, code ("ESRCH": it has ended)
---@return string|nil # message
---@return string|nil # code
function Process:kill(signal) end

---Sets the size of its terminal; the child gets the signal WINCH. Never waits.
---@param rows integer
---@param cols integer
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Process:resize(rows, cols) end

---Waits until the process has ended. May wait.
---@param timeout? number seconds
---@return table # {status=} or {signal=}, the name of the signal that has killed it; or nil, message, code: "ETIMEDOUT"; "ECHILD": other code of this program has waited for it
function Process:wait(timeout) end

---Other programs as children: started from lists of arguments, without a shell, with streams,
---files and terminals.
---@class moonlet.process
local process = {}

---The environment of this program, for the option env.
---@param changes? table names to texts; false: without that name
---@return table # names to texts, a new one
function process.env(changes) end

---@class moonlet.process.run.options
---@field input? string|table|function what the program reads: a text, a list of texts, or a function that returns one after the other, then nil
---@field timeout? number seconds: then it is asked to end as by close()
---@field max_output? integer bytes of both outputs: beyond it is asked to end
---@field check? boolean whether it is a failure if the status is not 0

---Runs a program to its end, and collects what it writes. However much it reads or writes, nothing
---blocks: input and both outputs go at the same time. May wait; a cancellation ends the program.
---@param opts moonlet.process.run.options as for spawn, but that stdin is "null" and both outputs are collected unless something else is given for them, and these fields:
---@return table|nil # {status=, stdout=, stderr=}, with signal= instead of status= if it was killed; or nil, message, code and, if it ran, that table: "ETIMEDOUT", "EMSGSIZE" (too much output), "EEXIT" (by check), "ECHILD" (as for wait)
---@return string|nil # message
---@return string|nil # code
function process.run(opts) end

---The list that has a shell run a text: for spawn and run, with options added to it.
---@param text string
---@return table # {"/bin/sh", "-c", "--", text}
function process.shell(text) end

---@class moonlet.process.spawn.options
---@field stdin? string|moonlet.fs.file|moonlet.net.stream "pipe": the field stdin of the result; "inherit": as this program's; "null"; an open file; or a stream, which is closed here
---@field stdout? string|moonlet.fs.file|moonlet.net.stream the same
---@field stderr? string|moonlet.fs.file|moonlet.net.stream the same; or "stdout": goes where that goes
---@field cwd? string the directory in which the program runs, and from which a relative command is looked for
---@field env? table all of its environment, names to texts; process.env() gives this program's, with changes
---@field group? boolean it leads a process group of its own: close(), kill() and Ctrl-C concern the group, and what is left of the group when it has ended is killed
---@field detached? boolean it lives on by itself, in a session of its own, when the Process is closed or this program ends
---@field pty? table {rows=, cols=} (24 by 80): its standard files are a terminal of its own
---@field kill_after? number seconds between the signals TERM and KILL when it is to end
---@field limit? table {memory=, cpu=, files=}: bytes of address space, seconds of computing (then it gets XCPU, a second later KILL), open descriptors
---@field user? string|integer a name or a number, with the groups of that user; or "user:group", and no other group

---Starts a program. Waits only to look for the option user.
---@param opts moonlet.process.spawn.options the command and its arguments as a list, and these fields. A command without "/" is looked for in the PATH of the option env, if it has one, or in this program's.
---@return moonlet.process.Process|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function process.spawn(opts) end

---Looks for a command as the system does. Never waits but for the disk.
---@param name string of a command; one with a "/" is a path
---@return string|nil # the path; or nil, message, "ENOENT"
---@return string|nil # message
---@return string|nil # code
function process.which(name) end

return process
