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

---Sets a file's permissions. May wait.
---@param path string
---@param mode any an integer, or octal digits as text: "755"
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.chmod(path, mode) end

---@class moonlet.fs.chown.options
---@field follow? boolean false: a symbolic link itself

---Gives a file to another user and group. A symbolic link is followed. May wait.
---@param path string
---@param uid integer|nil nil: as it is
---@param gid? integer nil: as it is
---@param opts? moonlet.fs.chown.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.chown(path, uid, gid, opts) end

---@class moonlet.fs.copy.options
---@field recursive? boolean
---@field keep? boolean times and permissions as they are, and owners where that is allowed

---Copies a file, which appears when it is whole, and may replace a file. It gets the permissions of
---the original, less the umask, unless it replaces a file, whose permissions stay. Holes stay holes. A
---symbolic link at the end of a path is followed. May wait.
---
---With `recursive` a directory is copied with all that is in it, to a place where nothing is. In it
---symbolic links are copied as links, FIFOs, sockets and devices as what they are; each name of a file
---becomes a file of its own. If something cannot be copied, nothing of the copy is left, nor if the
---task is cancelled meanwhile; the message names what it was.
---@param from string
---@param to string
---@param opts? moonlet.fs.copy.options
---@return boolean|nil # true; or nil, message, code: "EINVAL" for a directory into itself
---@return string|nil # message
---@return string|nil # code
function fs.copy(from, to, opts) end

---Whether there is anything under this name; a symbolic link that leads nowhere is nothing. May wait.
---@param path string
---@return boolean|nil # or nil, message, code, when it cannot be told, as in a directory that may not be searched
---@return string|nil # message
---@return string|nil # code
function fs.exists(path) end

---Gives a file one more name (a hard link). May wait.
---@param from string
---@param to string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.link(from, to) end

---The names in a directory, in the order of their bytes, without "." and "..". May wait.
---@param path string
---@return string[]|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.list(path) end

---Describes a file as `stat` does, but a symbolic link itself. May wait.
---@param path string
---@return table|nil # as from stat(); or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.lstat(path) end

---@class moonlet.fs.mkdir.options
---@field parents? boolean makes those above, too; it is no error if it is there already
---@field mode? any its permissions, less the umask: an integer, or octal digits

---Makes a directory. May wait.
---@param path string
---@param opts? moonlet.fs.mkdir.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.mkdir(path, opts) end

---Reads a whole file. May wait.
---@param path string
---@param max? integer bytes at most: a file that has more is an error, "EMSGSIZE"
---@return string|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.read(path, max) end

---Tells where a symbolic link leads. May wait.
---@param path string
---@return string|nil # or nil, message, code: "EINVAL" if it is no link
---@return string|nil # message
---@return string|nil # code
function fs.readlink(path) end

---The path from the root, without symbolic links, "." and "..". May wait.
---@param path string
---@return string|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.realpath(path) end

---@class moonlet.fs.remove.options
---@field recursive? boolean

---Removes a file, a symbolic link, or an empty directory. May wait.
---
---With `recursive` a directory is removed with all that is in it. Links in it are removed, not
---followed, also if somebody puts one in a directory's place meanwhile. If something cannot be
---removed, the rest stays, and the message names it.
---@param path string
---@param opts? moonlet.fs.remove.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.remove(path, opts) end

---Gives a file another name, which replaces a file that has it. May wait.
---@param from string
---@param to string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.rename(from, to) end

---Describes a file: follows symbolic links. May wait.
---@param path string
---@return table|nil # type ("file", "directory", "link", "fifo", "socket", "char", "block"), size, mode (its permissions), uid, gid, ino, dev, nlink, blocks (of 512 bytes that it has on the disk), mtime, atime, ctime (seconds since 1970), mtime_ns, atime_ns, ctime_ns (the same in nanoseconds, integers); or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.stat(path) end

---Makes a symbolic link. May wait.
---@param target string where it leads, as seen from its own directory
---@param path string its name
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.symlink(target, path) end

---Sets when a file was last read and changed. Without times: now. May wait.
---@param path string
---@param atime? any seconds since 1970, nil: now; or a table in place of both times, with `atime`, `mtime` in seconds, or exactly, `atime_ns`, `mtime_ns` in nanoseconds; what is not in it stays as it is; `follow` = false: a symbolic link itself
---@param mtime? number seconds since 1970, nil: now
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.utime(path, atime, mtime) end

---@class moonlet.fs.walk.options
---@field depth? integer levels at most: 1 is what is in the directory itself
---@field follow? boolean directories behind symbolic links are entered, too, unless they contain the link
---@field skip? table a list of names: what is called so is left out, with all that is in it
---@field on_error? function on_error(message, code, path), called for a directory that cannot be read; without it that is raised, as {message=, code=}

---Iterates over all that is below a directory, each directory before what is in it, in no other order.
---Links are told of, and not followed. What vanishes meanwhile is passed over, if it was not told of
---yet. The loop may be left at any time: the fourth value closes the walk. May wait, in each step.
---
---for path, type in fs.walk("src") do
---if type == "file" then print(path) end
---end
---@param dir string
---@param opts? moonlet.fs.walk.options
---@return function # the iterator, which returns a path, and a type as in `stat`
---@return object # the walk, with close()
function fs.walk(dir, opts) end

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
