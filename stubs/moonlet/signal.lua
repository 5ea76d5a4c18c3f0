---@meta moonlet.signal

---What `signal.on` returns. `<close>` closes it.
---@class moonlet.signal.Handler
local Handler = {}

---Ends it; a call that runs goes on. Idempotent, never waits.
function Handler:close() end

---A listener to signals. `<close>` closes it; when the last one to a signal is closed, the signal does
---what it did before.
---@class moonlet.signal.Signals
local Signals = {}

---Closes it: tasks that wait get nil, "closed", "CLOSED", and what was not fetched is dropped.
---Idempotent, never waits.
function Signals:close() end

---Returns how many real-time signals it has missed because more came than the system would queue, or
---because there was no memory. Never waits.
---@return integer
function Signals:lost() end

---Waits for a signal that was not fetched yet. May wait.
---@param timeout? number seconds
---@return string|nil # the signal's name, as it was written, without "SIG"; or nil, message, code: "ETIMEDOUT", or "CLOSED"
---@return integer|string|nil # the value that the sender gave it (sigqueue, a timer); nil: none
---@return string|nil # code
function Signals:wait(timeout) end

---Signals of the process. A signal that is listened to does nothing by default any more; when the
---last listener is closed, it does what it did before.
---@class moonlet.signal
local signal = {}

---Calls a function for each signal of that name, in a task of its own, one after the other: a
---signal that comes while it runs calls it once more. An error in it is reported, as in any task.
---Does not keep the program alive. Never waits.
---@param name string as for signal.open
---@param fn function is called with the name and the value of the signal
---@return moonlet.signal.Handler|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function signal.on(name, fn) end

---Listens to signals from now on. They no longer do what they do by default: INT and TERM do not
---cancel the program's tasks. Each listener, in any runtime of the process, gets every signal. A
---signal that comes again before it was fetched is there once, as in the kernel; real-time signals are
---all queued, with their values. May fail in a forked child alone.
---@param ... string names of signals: "TERM" or "SIGTERM", "RTMIN+3", "RTMAX-1"
---@return moonlet.signal.Signals|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function signal.open(...) end

return signal
