-- Files, for tests/faults/sweep.lua: whatever call fails, each step either works or says why; an atomic write leaves
-- the old file or the new one, a copy all or nothing, and no temporary file and no descriptor is left. Exit status 3:
-- something is.

local fs = require "moonlet.fs"
local task = require "moonlet.task"

local function fail(...)
  io.stderr:write(...)
  io.stderr:write "\n"
  os.exit(3)
end

-- An iterator raises its failure; each message names a path.
local step = dofile "tests/faults/step.lua" { failures = true, is_told = function(message, code)
  return type(message) == "string" and type(code) == "string" and message:find(": ", 1, true)
end }

-- All that is in a directory, by stock means, which no fault strikes.
local function shell(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return text
end

local place = os.tmpname()
os.remove(place)
shell("mkdir -p " .. place .. "/tree/sub; cd " .. place
  .. "; echo one > tree/one; echo two > tree/sub/two; ln -s one tree/link; mkfifo tree/fifo; echo old > old")

local function at(name) return place .. "/" .. name end

local function everything()
  step("write", function() return fs.write(at "plain", "text") end)
  step("append", function() return fs.append(at "plain", "more") end)
  step("read", function() return fs.read(at "old") end)
  step("read again", function() return fs.read(at "old") end)
  step("read of /proc", function() return fs.read "/proc/self/status" end)
  local is_new = step("atomic write", function() return fs.write(at "old", "new\n", { atomic = true }) end)
  local now = shell("cat " .. at "old")
  if now ~= "old\n" and now ~= "new\n" or (is_new and now ~= "new\n") then fail("the file is ", now) end
  step("stat", function() return fs.stat(at "old") end)
  step("list", function() return fs.list(at "tree") end)
  step("walk", function()
    for _ in fs.walk(place) do end
    return true
  end)
  step("glob", function()
    for _ in fs.glob(at "**/t*") do end
    return true
  end)
  local is_copied = step("copy", function() return fs.copy(at "tree", at "copy", { recursive = true, keep = true }) end)
  local entries = shell("find " .. at "copy" .. " 2>/dev/null | wc -l"):match "%d+"
  if is_copied and entries ~= "6" then fail("the copy has ", entries) end
  step("copy of a file", function() return fs.copy(at "tree/one", at "one") end)
  local is_removed = step("remove", function() return fs.remove(at "copy", { recursive = true }) end)
  if is_removed and shell("ls -d " .. at "copy" .. " 2>/dev/null") ~= "" then fail "it was not removed" end
  step("mkdir", function() return fs.mkdir(at "a/b/c", { parents = true }) end)
  step("rename", function() return fs.rename(at "plain", at "other") end)
  step("file", function()
    local f <close>, message, code = fs.open(at "file", "w+")
    if not f then return nil, message, code end
    local ok
    ok, message, code = f:write(("line\n"):rep(3000))
    if not ok then return nil, message, code end
    ok, message, code = f:sync()
    if not ok then return nil, message, code end
    ok, message, code = f:seek "set"
    if not ok then return nil, message, code end
    ok, message, code = f:read "a"
    if not ok then return nil, message, code end
    ok, message, code = f:truncate(3)
    if not ok then return nil, message, code end
    return f:lock()
  end)
  step("temporary", function()
    local dir <close>, message, code = fs.temp_dir { dir = place, prefix = "temporary-" }
    if not dir then return nil, message, code end
    local f <close>, problem, number = fs.temp_file { dir = dir.path }
    if not f then return nil, problem, number end
    return f:write "x"
  end)
end

local before = #fs.list "/proc/self/fd"
everything()
collectgarbage()
collectgarbage()
local parts = shell("find " .. place .. " -name '*.part'")
local after = shell "ls /proc/$PPID/fd | wc -l"
shell("rm -rf " .. place)
if parts ~= "" then fail("left behind: ", parts) end
if before and tonumber(after) > before + 8 then fail("descriptors: ", before, " before, ", after, " after") end
