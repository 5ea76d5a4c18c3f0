-- A watch of a tree that changes, for tests/faults/sweep.lua: whatever call fails once, the watch opens or says why
-- not, each event comes or a message does, and what the reader knows at the end is what the disk has. Exit status 3:
-- it is not, or something is left.

local reader = dofile "tests/spec/fs/watch_reader.lua"
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local test = require "moonlet.test"

-- Of the waits for an event.
local QUIET, PATIENCE = 0.1, 20

-- Made while the watch is open, and not read before they are over.
local CHANGES = [[
  cd %s || exit 1
  mkdir -p a/b/c d; echo x > a/b/c/f; sleep 0.05; mv a d/e; sleep 0.05; mkdir -p d/e/b/g; rm -r d/e/b/c; mv d h
  for i in 1 2 3; do mkdir $i; echo x > $i/f; done; rm -r 2; echo done > last
]]

local function fail(what)
  io.stderr:write(what, "\n")
  os.exit(3)
end

local function is_want_of_memory(err) return tostring(err):find("not enough memory", 1, true) end

-- The next event; nil after a message that says why there is none, true as the second result for silence.
local function next_event(w)
  local ok, event, message, code = pcall(w.next, w, QUIET)
  if not ok then
    if not is_want_of_memory(event) then fail(tostring(event)) end
    return nil
  elseif not event then
    assert(type(message) == "string" and type(code) == "string", "a failure without a message")
    return nil, code == "ETIMEDOUT"
  end
  return event
end

local function open(path)
  local ok, w, message, code = pcall(fs.watch, path, { recursive = true, initial = true })
  if ok then
    assert(w or (type(message) == "string" and type(code) == "string"), "a failure without a message")
    return w
  end
  if not is_want_of_memory(w) then fail(tostring(w)) end
end

-- ENOSPC: a directory is not watched, as the reader was told; the picture stays behind the disk.
local may_differ = (os.getenv "ML_FAULT" or ""):find ",28$" ~= nil

-- Whether the picture becomes that of the disk, or may stay behind.
local function follows(w, root)
  local picture, deadline = { [root] = "directory" }, task.now() + PATIENCE
  local differences, is_silent
  repeat
    local event
    event, is_silent = next_event(w)
    if event then reader.apply(picture, event) end
    differences = is_silent and reader.differences(picture, reader.disk(root))
  until differences == "" or is_silent and may_differ or task.now() > deadline
  return differences == "" or may_differ, differences
end

local function run(root)
  local w <close> = open(root) or open(root)
  if not w then fail "it cannot be opened again" end
  local changes = assert(io.popen(CHANGES:format(root) .. " >&2", "w"))
  changes:close()
  local ok, differences = follows(w, root)
  if not ok then fail(tostring(differences)) end
end

local root <close> = reader.directory()
local leaks = test.leaks()
run(root.path)
collectgarbage()
local left = leaks()
if #left > 0 then fail(table.concat(left, ", ")) end
