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

---A directory that is removed, with all that is in it, by `close()`, or at the end of its block.
---@class moonlet.fs.directory
---@field path string
local directory = {}

---Removes the directory with all that is in it, also if the task is cancelled. Idempotent. May
---wait.
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function directory:close() end

---An open file. It is read and written as streams of `moonlet.net` are, from its position, or, if it
---appends, written at its end. It prints as its path and state; `<close>` closes it.
---@class moonlet.fs.file
---@field path string by which it was opened
local file = {}

---Iterates over the content, as read_some() returns it. Failures raise {message=, code=}.
---@param max? integer bytes of each
---@return fun(): string # an iterator
function file:chunks(max) end

---Closes at once: tasks that wait in the file get nil, message, "CLOSED"; what a worker writes is
---finished. Idempotent, never waits.
---@return boolean # true
function file:close() end

---Iterates over the lines, as `stream:lines`. Waits as read_line() does; failures raise
---{message=, code=}.
---@param ... any formats of read()
---@return fun(): string # an iterator
function file:lines(...) end

---Locks the file against others that lock it: other programs (flock(2)), and other file objects of
---this one, whichever task has them. Only the task waits, and a cancelled one has no lock. Closing the
---file unlocks it. A task that has locked the file itself, by this object or by another one, and not
---given it up, would wait for ever: that is an error.
---
---local file <close> = assert(fs.open("counter", "r+"))
---local lock <close> = assert(file:lock())
---@param mode? string "exclusive", or "shared": with others that share it
---@param timeout? number seconds; 0 never waits
---@return moonlet.fs.lock|nil # or nil, message, code: "ETIMEDOUT"; "EDEADLK": this task has locked it already
---@return string|nil # message
---@return string|nil # code
function file:lock(mode, timeout) end

---Reads by formats, as io's files do, and as `stream:read`. May wait.
---@param ... any a count of bytes, "n", "l", "L" or "a"
---@return any ... # for each format a string or number; the last is nil at the end, and where there is no number. Or nil, message, code
function file:read(...) end

---Reads all up to the end. May wait.
---@param max? integer bytes
---@return string|nil # "" at the end already; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:read_all(max) end

---Reads n bytes. May wait.
---@param n integer
---@return string|nil # or nil at the end; the end in the middle is nil, message, "EEOF", the bytes kept
---@return string|nil # message
---@return string|nil # code
function file:read_exactly(n) end

---Reads a line and strips its "\n" or "\r\n"; the last one may lack it. May wait.
---@param max? integer bytes, the end of the line included
---@return string|nil # or nil at the end; a longer one is nil, "line too long", "EMSGSIZE", the bytes kept
---@return string|nil # message
---@return string|nil # code
function file:read_line(max) end

---Reads what is at hand, at least one byte. May wait.
---@param max? integer bytes at most
---@return string|nil # or nil at the end of the file; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:read_some(max) end

---Reads up to a delimiter, as `stream:read_until`. May wait.
---@param delimiter string
---@param max? integer bytes, the delimiter included
---@return string|nil # with the delimiter, or nil at the end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:read_until(delimiter, max) end

---Moves the position, and tells it, as io's files do. May wait, for "end".
---@param whence? string "set", "cur" or "end"
---@param offset? integer
---@return integer|nil # the position, from the begin of the file; or nil, message, code: "ESPIPE" for what has no positions
---@return string|nil # message
---@return string|nil # code
function file:seek(whence, offset) end

---The size in bytes. May wait.
---@return integer|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:size() end

---Waits until the disk has all that was written. May wait.
---@param what? string "data": without times and the like, where that is faster
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:sync(what) end

---Cuts the file, or extends it by zeros. The position stays. May wait.
---@param size? integer
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function file:truncate(size) end

---Writes all values, contiguous even if other tasks write. A cancelled task has written all or nothing
---of up to 8 MB. May wait.
---@param ... any strings, numbers, or lists of them
---@return boolean|nil # true; or nil, message, code, bytes written
---@return string|nil # message
---@return string|nil # code
function file:write(...) end

---A lock on a file; `<close>` gives it up. It prints as the file's path and whether it is held.
---@class moonlet.fs.lock
local lock = {}

---Gives the lock up. Idempotent, never waits.
function lock:close() end

---A walk, as `walk` returns it for the loop; `<close>` closes it. It prints as its path and state.
---@class moonlet.fs.walk
local walk = {}

---Ends the walk. Idempotent, never waits.
function walk:close() end

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

---Iterates over the paths that fit a pattern, in the order of their names. `*` stands for any
---number of characters of a name, `?` for one, `[a-z]` and `[!a-z]` for one of a set; `**` for any
---number of directories, also none, but not for links; a backslash takes the next character as it
---is. A dot at the begin of a name is only found by a dot. With a slash at the end only directories
---are found. What cannot be read is passed over. May wait, in each step.
---
---for path in fs.glob "src/**/*.c" do print(path) end
---@param pattern string
---@return fun(): string # an iterator
function fs.glob(pattern) end

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

---@class moonlet.fs.open.options
---@field mode? any permissions of a new file, less the umask

---Opens a file. A FIFO waits for its other end, and only its task. May wait.
---@param path string
---@param mode? string "r", "w", "a", "r+", "w+", "a+", as in io.open; with "x" at the end it is an error, "EEXIST", if the file is there
---@param opts? moonlet.fs.open.options
---@return moonlet.fs.file|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.open(path, mode, opts) end

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

---Makes a directory, which only its owner may enter, and which is removed when it is closed, with
---all that is in it. May wait.
---
---local dir <close> = assert(fs.temp_dir())
---fs.write(dir.path .. "/data", "text")
---@param opts? table as for `temp_file`
---@return moonlet.fs.directory|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.temp_dir(opts) end

---@class moonlet.fs.temp_file.options
---@field dir? string where; by default the environment's TMPDIR, or /tmp
---@field prefix? string what its name begins with
---@field suffix? string what its name ends with

---Makes and opens a file for reading and writing, which only its owner may open, and which is
---removed when it is closed. May wait.
---@param opts? moonlet.fs.temp_file.options
---@return moonlet.fs.file|nil # its field `path` is the path; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function fs.temp_file(opts) end

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
---@return moonlet.fs.walk # for the iterator
function fs.walk(dir, opts) end

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
---the old file is as it was; only when the disk then fails to keep the new name is the new file there,
---and the failure returned. Only files are replaced: a device, FIFO or socket is "ENOTSUP", a
---directory "EISDIR", a file that is mounted "EBUSY".
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
