-- Runs a command, and again whenever a file changes.
--
--     moonlet scripts/watch_run.lua [-c] [-d SECONDS] [-i PATTERN]... PATH... -- COMMAND [ARG]...
--
-- PATH: directories, watched with all below, or files. COMMAND runs at once; when something has
-- changed, and then nothing for a moment, it is ended with all that it started, and runs again.
--
-- -c: clears the screen before    -d: the moment of quiet (0.1)
-- -i: changes that do not count: a glob (* ? [a-z]) that is compared with each name in the path, or
-- with the path if it has a slash. Never count: .git, and what editors keep beside a file
--
-- A command that writes into a watched directory would start itself again: leave out by -i what it
-- writes. Ctrl-C ends both. Exit status: 1 if a PATH cannot be watched at the begin.
local channel = require "moonlet.channel"
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local task = require "moonlet.task"

local USAGE = [[
usage: moonlet watch_run.lua [-c] [-d SECONDS] [-i PATTERN]... PATH... -- COMMAND [ARG]...
]]
local IGNORED = { ".git", "*~", ".*.sw?", ".#*", "4913" }
local KILL_AFTER = 2 -- seconds from TERM to KILL
local RETRY = 0.5 -- seconds between tries to watch a path that has gone

local function refuse()
  io.stderr:write(USAGE)
  os.exit(1)
end

-- A glob as a pattern of Lua's. A bracket without its end is itself.
local function pattern_of(glob)
  local parts, at = {}, 1
  while at <= #glob do
    local class, char = glob:match("^%[!?[^%]]+%]", at), glob:sub(at, at)
    parts[#parts + 1] = class and class:gsub("%%", "%%%%"):gsub("^%[!", "[^")
      or char == "*" and ".*" or char == "?" and "." or char:gsub("%W", "%%%0")
    at = at + #(class or char)
  end
  return "^" .. table.concat(parts) .. "$"
end

local function read_arguments()
  local opts, i = { delay = 0.1, ignored = {}, paths = {}, command = {} }, 1
  for _, glob in ipairs(IGNORED) do table.insert(opts.ignored, glob) end
  while arg[i] and arg[i]:find "^%-." and arg[i] ~= "--" do
    if arg[i] == "-c" then
      opts.clears = true
    elseif arg[i] == "-d" and (tonumber(arg[i + 1]) or -1) >= 0 then
      opts.delay, i = tonumber(arg[i + 1]), i + 1
    elseif arg[i] == "-i" and arg[i + 1] then
      i = i + 1
      table.insert(opts.ignored, arg[i])
    elseif arg[i] == "-h" or arg[i] == "--help" then
      io.write(USAGE)
      os.exit(0)
    else
      refuse()
    end
    i = i + 1
  end
  while arg[i] and arg[i] ~= "--" do
    table.insert(opts.paths, arg[i])
    i = i + 1
  end
  table.move(arg, i + 1, #arg, 1, opts.command)
  if #opts.paths == 0 or #opts.command == 0 then refuse() end
  return opts
end

local opts = read_arguments()
local patterns = {}
for n, glob in ipairs(opts.ignored) do
  patterns[n] = { text = pattern_of(glob), is_path = glob:find "/" ~= nil }
end

-- ---- what counts ----

-- Whether a pattern is met by the path below what is watched, or by one of the names in it.
local function is_ignored(root, path)
  local below = path:sub(1, #root) == root and path:sub(#root + 1):gsub("^/+", "") or path
  for _, pattern in ipairs(patterns) do
    if pattern.is_path and (below:find(pattern.text) or path:find(pattern.text)) then
      return true
    end
    for name in below:gmatch "[^/]+" do
      if not pattern.is_path and name:find(pattern.text) then return true end
    end
  end
  return false
end

local function say(...)
  io.stderr:write("watch_run: ", string.format(...), "\n")
end

-- Paths that have changed. When it is full the watches wait: many changes are one.
local changes = channel.new(1000)

-- Puts what changes below `root` into the channel, until the root is gone; returns why.
local function follow(w, root)
  while true do
    local event, message, code = w:next()
    if event then
      local from = event.from or event.path
      local counts = not (is_ignored(root, event.path) and is_ignored(root, from))
      if counts then changes:put(event.path) end
    elseif code == "ENOENT" or code == "ENODEV" then
      return message
    else
      say("%s", message)
      task.sleep(RETRY)
    end
  end
end

local function watch(root)
  return fs.watch(root, { recursive = true })
end

-- A root that goes may come again: another branch is checked out.
local function keep_following(w, root)
  while true do
    say("%s", follow(w, root))
    w:close()
    repeat
      task.sleep(RETRY)
      w = watch(root)
    until w
    say("%s is there again", root)
    changes:put(root)
  end
end

-- ---- the command ----

local function run()
  if opts.clears then io.stderr:write "\27[H\27[2J\27[3J" end
  local command = table.move(opts.command, 1, #opts.command, 1, { kill_after = KILL_AFTER })
  local child, message = process.spawn(command)
  if not child then say("%s", message) end
  return child
end

local function tell_end(child, begun)
  local result, message = child:wait()
  local how = not result and message or result.signal and "killed by " .. result.signal
    or result.status == 0 and "done" or "exit status " .. result.status
  say("%s after %.1f s", how, task.now() - begun)
end

-- Waits for a change, and then for quiet; returns the first path, and how many others.
local function wait_for_change()
  local first = changes:get()
  local seen, others = { [first] = true }, 0
  local path = changes:get(opts.delay)
  while path do
    if not seen[path] then others = others + 1 end
    seen[path] = true
    path = changes:get(opts.delay)
  end
  return first, others
end

local watches = {}
for n, root in ipairs(opts.paths) do
  local w, message = watch(root)
  if not w then
    say("%s", message)
    os.exit(1)
  end
  watches[n] = w
end

task.group(function(g)
  for n, w in ipairs(watches) do g:spawn(keep_following, w, opts.paths[n]) end
  while true do
    local child <close> = run()
    local teller = child and g:spawn(tell_end, child, task.now())
    local path, others = wait_for_change()
    if child then
      teller:cancel()
      child:close()
      child:wait()
    end
    local more = others > 0 and (", and %d more"):format(others) or ""
    say("%s has changed%s, at %s", path, more, os.date "%H:%M:%S")
  end
end)
