---@meta moonlet.patch

---What calls of C libraries wait for a task instead of the whole thread.
---
---libc's blocking calls (poll, recv, connect, sleep, getaddrinfo, ...) are answered by moonlet when a
---task makes them, from any C library. `docs/c-libraries.md` says which libraries were tried.
---@class moonlet.patch
local patch = {}

---Leaves all calls to libc, as the program does with `--no-interpose`. Tasks that wait in one go on
---waiting.
function patch.disable() end

---Answers the calls of C libraries, as the program does from the start.
---@return boolean # whether it can: true in the program `moonlet`
function patch.enable() end

---Leaves calls to libc from now on: they block the thread, and with it every task.
---@param pattern string with `*`, `?` and `[...]` as in a shell; matched against the name of the call ("getaddrinfo") and the file name of the library that makes it ("libodbc.so*", "core.so")
function patch.exclude(pattern) end

---Tells what is covered and what happened so far.
---@return table # `{available=, on=, calls=, excluded=}`: whether this program answers the calls at all, and does now; by the name of each call `{waited=, blocked=}`: how often a task waited in it, and how often it blocked the thread for want of a way not to; the patterns given to exclude()
function patch.status() end

return patch
