---@meta moonlet.fs

---A watch of a directory or a file. `<close>` closes it. It prints as its path and state.
---
---A reader that applies every event has a picture of the directory that agrees with the disk once the
---disk is quiet, whatever happened in between: renames while a directory is listed, lost events, a
---directory that is replaced by another one.
---@class moonlet.fs.Watch
local Watch = {}

---Closes it at once; the task that reads it gets nil, "closed", "CLOSED". Idempotent, never waits.
function Watch:close() end

---Iterates over the events, until the watch is closed or the directory itself is gone. Waits as next()
---does; raises other failures, as {message=, code=}.
---@return fun(): table # an iterator
function Watch:events() end

---Waits for the next event. May wait. An event is a table:
---
---- `kind`: "created"; "changed": content or attributes; "removed"; "renamed"; or "overflow": events
---were lost, and the differences that a new listing shows come next;
---- `path`: begins with the path that was watched;
---- `from`: with "renamed", the old path. What was at the new one before is replaced;
---- `directory`: true if it is one.
---
---A directory that comes is reported as created, then all that is in it; one that goes, all that is in
---it as removed, then itself. A renamed one is reported once: the paths of all that is in it are new.
---Changes of one file are reported as one, as long as they wait to be read.
---@param timeout? number seconds; 0: never waits
---@return table|nil # the event; or nil, message, code: "ENOENT": the directory itself was removed or renamed, "ENODEV": unmounted, and nothing more will come; "ENOSPC": a new directory is not watched, since the user has too many watches; "CLOSED"; "EBUSY": another task reads it; "ETIMEDOUT"; a code of errno when a directory cannot be listed, which the next call tries again
---@return string|nil # message
---@return string|nil # code
function Watch:next(timeout) end

---Files and directories. Every function makes only its task wait, and is a cancellation point.
---Failures are nil, "path: reason", code.
---@class moonlet.fs
local fs = {}

---@class moonlet.fs.append.options
---@field sync? boolean the disk has it when append() returns
---@field mode? any permissions of a new file, less the umask

---Writes at the end of a file, which is made if it is not there. Other tasks and programs that append
---at the same time do not mix their bytes with these. May wait.
---@param path string
---@param data string
---@param opts? moonlet.fs.append.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.append(path, data, opts) end

---Whether there is anything under this name; a symbolic link that leads nowhere is nothing. May wait.
---@param path string
---@return boolean|nil # or nil, message, code, when it cannot be told, as in a directory that may not be searched
---@return string|nil # message
---@return string|nil # code
function fs.exists(path) end

---Describes a file as `stat` does, but a symbolic link itself. May wait.
---@param path string
---@return table|nil # as from stat(); or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.lstat(path) end

---Reads a whole file. May wait.
---@param path string
---@param max? integer bytes at most: a file that has more is an error, "EMSGSIZE"
---@return string|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.read(path, max) end

---Describes a file: follows symbolic links. May wait.
---@param path string
---@return table|nil # type ("file", "directory", "link", "fifo", "socket", "char", "block"), size, mode (its permissions), uid, gid, ino, dev, nlink, blocks (of 512 bytes that it has on the disk), mtime, atime, ctime (seconds since 1970), mtime_ns, atime_ns, ctime_ns (the same in nanoseconds, integers); or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.stat(path) end

---@class moonlet.fs.watch.options
---@field recursive? boolean with all directories below
---@field initial? boolean begin with a "created" for all that is there

---Watches a directory, or a file: what is created, changed, removed and renamed there. Of a file the
---events are those of its name: an editor that writes a new file and renames it is seen, and so is
---the new file. A link at `path` is followed, links below are not. All watches of a program share one
---inotify descriptor. May wait until all directories are listed; events count from then on.
---@param path string
---@param opts? moonlet.fs.watch.options
---@return moonlet.fs.Watch|nil # or nil, message, code: "ENOENT", "EACCES", ...; "ENOSPC": the user has too many watches (sysctl fs.inotify.max_user_watches); "EMFILE"
---@return string|nil # message
---@return string|nil # code
function fs.watch(path, opts) end

---@class moonlet.fs.write.options
---@field atomic? boolean
---@field sync? boolean the disk has it when write() returns; by default if it is atomic
---@field mode? any permissions of a new file, less the umask: an integer, or octal digits

---Writes a whole file: makes it, or replaces its content. A symbolic link is followed. May wait.
---
---With `atomic`, other programs see the old content or the new one, never a part: it is written to
---another file in the same directory, which takes the place of the first. After a loss of power the
---file has the old content or the new one; the new one if write() has returned. The file keeps its
---permissions, and its owner where that is allowed; hard links keep the old content. If anything fails
---the old file is as it was.
---
---A cancelled task has written nothing if the atomic write was not finished; a plain one that has
---begun is finished first.
---@param path string
---@param data string
---@param opts? moonlet.fs.write.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.write(path, data, opts) end

return fs
