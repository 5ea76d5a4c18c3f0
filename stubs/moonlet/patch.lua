---@meta moonlet.patch

---Calls of C libraries that make a task wait instead of the whole thread.
---
---When a task makes one of libc's blocking calls (poll, recv, connect, sleep, getaddrinfo, ...), from
---any C library, moonlet answers it. `docs/c-libraries.md` lists the libraries that were tried.
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

---Returns the calls that are covered, and their counts.
---@return table # `{available=, on=, calls=, excluded=}`: whether this program can answer the calls, and whether it does now; by the name of each call `{waited=, blocked=}`: how often a task waited in it, and how often it had to block the thread; the patterns given to exclude()
function patch.status() end

return patch
