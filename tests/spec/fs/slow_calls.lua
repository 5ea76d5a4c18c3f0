-- Makes calls on a disk that answers late (tests/support/slow_disk.c), and looks whether another task runs meanwhile.
--
--     moonlet tests/spec/fs/slow_calls.lua FILES PLACE [WORDS]
--
-- FILES: the directory that the disk has its files in; PLACE: where it is mounted; WORDS: what a name of a call must
-- begin with. Each call is made once for each kind of request that it sends: the disk keeps requests of that kind
-- until another task of this program lets them go. Prints a line for each call that stopped that task, or whose result
-- was another one than on a fast disk; last the number of calls.
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local task = require "moonlet.task"

local FILES, PLACE, WORDS = arg[1], arg[2], arg[3] or ""
local HOLD, HELD, SEEN = FILES .. ".hold", FILES .. ".held", FILES .. ".seen"
local PATIENCE = 20 -- seconds
local BIG = ("x"):rep(20000)

local function path(name) return PLACE .. "/" .. name end

local function put(name, text)
  local file <close> = assert(io.open(name, "w"))
  assert(file:write(text))
end

local function get(name)
  local file <close> = io.open(name)
  return file and file:read "a"
end

local calls = {}
local function call(name, fn) calls[#calls + 1] = { name = name, fn = fn } end

-- ---- the calls ----

local function opened(name, mode, fn)
  local file <close> = assert(fs.open(path(name), mode))
  return fn(file)
end

call("fs.read", function() return #assert(fs.read(path "a")) end)
call("fs.write", function() return assert(fs.write(path "w", "x")) end)
call("fs.write atomic", function() return assert(fs.write(path "w", "x", { atomic = true })) end)
call("fs.append", function() return assert(fs.append(path "a", "x")) end)
call("fs.stat", function() return assert(fs.stat(path "a")).size end)
call("fs.lstat", function() return assert(fs.lstat(path "l")).type end)
call("fs.exists", function() return fs.exists(path "a") end)
call("fs.list", function() return #assert(fs.list(PLACE)) end)
call("fs.walk", function()
  local count = 0
  for _ in fs.walk(PLACE) do count = count + 1 end
  return count
end)
call("fs.walk that is left", function()
  for _ in fs.walk(PLACE) do return true end -- luacheck: ignore
end)
call("fs.glob", function()
  local count = 0
  for _ in fs.glob(path "*/*") do count = count + 1 end
  return count
end)
call("fs.mkdir", function() return assert(fs.mkdir(path "n/o", { parents = true })) end)
call("fs.remove", function() return assert(fs.remove(path "d", { recursive = true })) end)
call("fs.remove of a file", function() return assert(fs.remove(path "a")) end)
call("fs.rename", function() return assert(fs.rename(path "a", path "b")) end)
call("fs.copy", function() return assert(fs.copy(path "a", path "b")) end)
call("fs.copy of a tree", function()
  return assert(fs.copy(path "d", path "b", { recursive = true, keep = true }))
end)
call("fs.link", function() return assert(fs.link(path "a", path "b")) end)
call("fs.symlink", function() return assert(fs.symlink("a", path "b")) end)
call("fs.readlink", function() return assert(fs.readlink(path "l")) end)
call("fs.realpath", function() return assert(fs.realpath(path "l")) end)
call("fs.chmod", function() return assert(fs.chmod(path "a", "600")) end)
call("fs.utime", function() return assert(fs.utime(path "a", 1, 1)) end)
call("fs.temp_file", function()
  local file <close> = assert(fs.temp_file { dir = PLACE })
  return assert(file:write "x")
end)
call("fs.temp_dir", function()
  local dir <close> = assert(fs.temp_dir { dir = PLACE })
  return dir.path:sub(1, #PLACE) == PLACE
end)
call("fs.open for reading", function()
  return opened("a", "r", function(file) return #assert(file:read "a") end)
end)
call("fs.open for writing", function()
  return opened("a", "r+", function(file)
    assert(file:write(BIG))
    assert(file:sync())
    assert(file:truncate(3))
    return assert(file:seek "end")
  end)
end)
call("fs.open and lock", function()
  return opened("a", "r+", function(file)
    local lock <close> = assert(file:lock())
    return assert(file:size())
  end)
end)
call("fs.watch", function()
  local w <close> = assert(fs.watch(PLACE, { recursive = true, initial = true }))
  local count = 0
  while count < 6 do count = count + (assert(w:next(PATIENCE)).kind == "created" and 1 or 0) end
  return count
end)

call("io.open and read", function()
  local file <close> = assert(io.open(path "a"))
  local line, rest = file:read "l", file:read "a"
  assert(file:read(1) == nil and file:seek() == 20011)
  return line, #rest
end)
call("io.open and read a number", function()
  local file <close> = assert(io.open(path "a"))
  assert(file:read "l" == "one" and #file:read "l" == 20000)
  return file:read "n"
end)
call("io.open of no file", function() return select(3, io.open(path "none")) end)
call("io.lines", function()
  local size = 0
  for line in io.lines(path "a") do size = size + #line end
  return size
end)
call("io.open and write", function()
  local file = assert(io.open(path "w", "w"))
  assert(file:write "small")
  assert(file:write(BIG))
  assert(file:flush())
  assert(file:write "more")
  assert(file:close())
  return #get(FILES .. "/w")
end)
call("io.open for update", function()
  local file = assert(io.open(path "a", "r+"))
  local begin = file:read(2)
  assert(file:seek("set", 4) == 4 and file:write "yy" and file:seek("cur", 4994) == 5000)
  local middle = file:read(10)
  assert(file:seek("end", -4) == 20007)
  local rest = file:read "a"
  assert(file:seek("cur", -2) == 20009 and file:read(1) == "o")
  assert(file:close())
  return begin, middle, rest, get(FILES .. "/a"):sub(1, 8)
end)
call("io.open for appending", function()
  local file = assert(io.open(path "a", "a+"))
  assert(file:write "yy" and file:seek("set", 1) == 1)
  local two = file:read(2)
  assert(file:close())
  return two, get(FILES .. "/a"):sub(-4)
end)
call("io: os.rename", function() return assert(os.rename(path "a", path "b")) end)
call("io: os.remove", function() return assert(os.remove(path "a")) end)
call("io: dofile", function() return dofile(path "m.lua") end)
call("io: loadfile", function() return assert(loadfile(path "m.lua"))() end)
call("io: require", function()
  package.path = path "?.lua"
  package.loaded.m = nil
  return (require "m")
end)

call("process.run", function() return assert(process.run { path "true" }).status end)
call("process.run with a directory", function()
  return assert(process.run { "pwd", cwd = path "d" }).stdout
end)
call("process.run of a command that is looked for", function()
  return assert(process.run { "true", env = process.env { PATH = PLACE .. ":/bin" } }).status
end)
call("process.run of no command", function()
  return select(3, process.run { path "none" })
end)
call("process.run with a terminal", function()
  local p <close> = assert(process.spawn { path "true", pty = { rows = 24, cols = 80 } })
  return p.pty:read_all(), p:wait().status
end)
call("process.run with files", function()
  return assert(process.run { "cat", stdin = assert(io.open(path "m.lua")) }).stdout
end)
call("process.which", function() return (process.which(path "true")) end)

-- ---- a disk that answers late ----

local function prepare()
  assert(os.execute(("cd %q && rm -rf *; mkdir -p d/e; cp /bin/true true; ln -s a l"):format(FILES)))
  put(FILES .. "/a", "one\n" .. BIG .. "\n2 two\n")
  put(FILES .. "/m.lua", "return 'module'")
end

-- The call's results, and the requests that it has sent.
local function make_plainly(fn)
  prepare()
  put(SEEN, "")
  local results = table.pack(task.spawn({ quiet = true }, fn):join(PATIENCE))
  local kinds, known = {}, { OTHER = true }
  for kind in get(SEEN):gmatch "%u+" do
    if not known[kind] then kinds[#kinds + 1] = kind end
    known[kind] = true
  end
  os.remove(SEEN)
  return results, kinds
end

-- The call's results, and what the disk has said of the requests that it kept.
local function make_slowly(fn, kind)
  prepare()
  os.remove(HELD)
  put(HOLD, kind)
  local t = task.spawn({ quiet = true }, fn)
  local deadline = task.now() + PATIENCE
  local status
  repeat
    task.sleep(0.001)
    status = t:status()
  until get(HELD) or status == "done" or status == "failed" or task.now() > deadline
  os.remove(HOLD)
  local results = table.pack(t:join(PATIENCE))
  return results, get(HELD) or ""
end

local function differ(results, others)
  for i = 1, math.max(results.n, others.n) do
    if results[i] ~= others[i] then return true end
  end
  return false
end

local count = 0
for _, c in ipairs(calls) do
  if c.name:sub(1, #WORDS) == WORDS then
    count = count + 1
    local plain, kinds = make_plainly(c.fn)
    if plain[1] ~= true then print(c.name, table.unpack(plain, 1, plain.n)) end
    for _, kind in ipairs(kinds) do
      local results, held = make_slowly(c.fn, kind)
      if held:find "gave up" then print(c.name, "stops others in " .. kind) end
      if differ(results, plain) then print(c.name, kind, table.unpack(results, 1, results.n)) end
    end
  end
end
print(count)
