---@meta moonlet.fs

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
