-- Shows the ends of files, and goes on as they grow, as tail -F does.
--
--     moonlet scripts/tail.lua [-n LINES] FILE...
--
-- -n: how many lines to begin with (10)
--
-- A FILE that does not exist yet, or is renamed (as log files are when they rotate), or is cut
-- short, is followed all the same: by its name. With several files, each text has its file's name
-- above.
-- Ctrl-C ends it. Exit status: 0; 1 if the arguments were wrong.
local fs = require "moonlet.fs"
local task = require "moonlet.task"

local USAGE = "usage: moonlet tail.lua [-n LINES] FILE...\n"
local BLOCK = 64 * 1024
local LOOK = 1 -- seconds until the next look, whatever is reported: on network disks nothing is

local function refuse()
  io.stderr:write(USAGE)
  os.exit(1)
end

local function read_arguments()
  local count, first = 10, 1
  if arg[1] == "-h" or arg[1] == "--help" then
    io.write(USAGE)
    os.exit(0)
  elseif arg[1] == "-n" then
    count, first = math.tointeger(tonumber(arg[2])), 3
  end
  if arg[first] == "--" then first = first + 1 end
  local is_option = arg[first] and arg[first]:find "^%-." and arg[first - 1] ~= "--"
  if not count or count < 0 or not arg[first] or is_option then refuse() end
  return count, table.move(arg, first, #arg, 1, {})
end

local count, paths = read_arguments()

-- ---- output ----

local shown -- the path whose text came last

local function show(path, text)
  if text == "" then return end
  if #paths > 1 and shown ~= path then
    io.write(shown and "\n" or "", "==> ", path, " <==\n")
    shown = path
  end
  io.write(text)
  io.flush()
end

local function say(path, what)
  io.stderr:write("tail: ", path, ": ", what, "\n")
end

-- ---- one file ----

-- The offset at which the last `count` lines of a file begin. A line that has not ended counts.
local function last_lines(file)
  local size = file:seek "end"
  local at, missing = size, count
  if missing == 0 then return size end
  while at > 0 do
    local start = math.max(0, at - BLOCK)
    file:seek("set", start)
    local block = file:read(at - start) or ""
    for i = #block, 1, -1 do
      if block:byte(i) == 10 and start + i ~= size then
        missing = missing - 1
        if missing == 0 then return start + i end
      end
    end
    at = start
  end
  return 0
end

-- f: path; file, the open one, with its inode, device and offset; or nil.
local function is_same(f, stat) return f.ino == stat.ino and f.dev == stat.dev end

local function open(f, stat)
  local file, message, code = io.open(f.path, "rb")
  if not file then return nil, message, code end
  f.file, f.ino, f.dev, f.offset = file, stat.ino, stat.dev, 0
  return true
end

-- Shows what has come since the last look.
local function show_rest(f)
  f.file:seek("set", f.offset)
  local block = f.file:read(BLOCK)
  while block do
    f.offset = f.offset + #block
    show(f.path, block)
    block = f.file:read(BLOCK)
  end
end

local function close(f)
  if f.file then f.file:close() end
  f.file = nil
end

-- Under the name there is another file, or none: the old one is shown to its end.
local function leave(f, stat)
  show_rest(f)
  close(f)
  local what = stat and "has been replaced; following the new file"
  say(f.path, what or "has gone; waiting for a new one")
end

-- Looks at the file once.
local function look(f)
  local stat = fs.stat(f.path)
  if f.file and not (stat and is_same(f, stat)) then leave(f, stat) end
  if not stat then return end
  if stat.type == "directory" then
    if not f.is_refused then say(f.path, "is a directory") end
    f.is_refused = true
    return
  end
  if not f.file then
    local ok, message = open(f, stat)
    if not ok and f.message ~= message then say(f.path, message) end
    f.message = message
    if not ok then return end
  end
  if stat.size < f.offset then
    say(f.path, "has been cut short; starting at its begin")
    f.offset = 0
  end
  show_rest(f)
end

local function begin(f)
  local stat, message = fs.stat(f.path)
  if not stat then
    say(f.path, message:match ": (.*)" .. "; waiting for it")
  elseif stat.type ~= "directory" and open(f, stat) then
    f.offset = last_lines(f.file)
  end
  look(f)
end

-- A watch of the file's directory, in which it may come and go. nil: there is none to watch.
local function watch(f)
  local directory = f.path:match "^(.*)/[^/]*$"
  return (fs.watch(directory == "" and "/" or directory or "."))
end

-- Waits until the file may have changed. Closes a watch whose directory has gone.
local function wait(f, w)
  local name = f.path:match "[^/]*$"
  local deadline = task.now() + LOOK
  repeat
    local event, _, code = w:next(math.max(deadline - task.now(), 0))
    if not event then
      if code ~= "ETIMEDOUT" then w:close() end
      return code == "ETIMEDOUT"
    end
  until event.kind == "overflow" or event.path:match "[^/]*$" == name
  return true
end

local function follow(path)
  local f = { path = path }
  begin(f)
  while true do
    local w <close> = watch(f)
    look(f)
    if w then
      while wait(f, w) do look(f) end
    else
      task.sleep(LOOK)
    end
  end
end

task.group(function(g)
  for _, path in ipairs(paths) do g:spawn(follow, path) end
end)
