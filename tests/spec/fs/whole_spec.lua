-- Whole files: read, write, append, and the descriptions that stat gives.
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("moonlet.fs: whole files", function()
  local place

  before_each(function()
    place = os.tmpname()
    os.remove(place)
    assert(os.execute("mkdir " .. place))
  end)

  after_each(function() os.execute("chmod -R u+rwx " .. place .. "; rm -rf " .. place) end)

  local function at(name) return place .. "/" .. name end

  local function list() return support.shell("ls -A " .. place) end

  it("what is written is read again, whatever bytes and however many", function()
    for _, text in ipairs { "", "a", "zero\0byte\n", ("x"):rep(65535), ("y"):rep(65536), ("z"):rep(1000003) } do
      assert.is_true(fs.write(at "file", text))
      assert.equal(text, fs.read(at "file"))
      assert.equal(text, fs.read(at "file")) -- now its disk is known
    end
  end)

  it("a shorter text leaves nothing of the longer one", function()
    fs.write(at "file", "a long text")
    fs.write(at "file", "short")
    assert.equal("short", fs.read(at "file"))
  end)

  it("append makes a file, and adds to one", function()
    assert.is_true(fs.append(at "log", "one\n"))
    assert.is_true(fs.append(at "log", "two\n"))
    assert.equal("one\ntwo\n", fs.read(at "log"))
  end)

  it("read takes files that say they are empty, as those of /proc", function()
    assert.matches("^Name:", fs.read "/proc/self/status")
  end)

  it("read refuses more than max, and takes exactly max", function()
    for _, size in ipairs { 10, 70000 } do
      fs.write(at "file", ("x"):rep(size))
      for _ = 1, 2 do
        assert.same({ nil, at "file" .. ": larger than " .. size - 1 .. " bytes", "EMSGSIZE" },
          { fs.read(at "file", size - 1) })
        assert.equal(size, #fs.read(at "file", size))
        assert.equal(size, #fs.read(at "file", math.maxinteger))
      end
    end
    fs.write(at "file", "")
    assert.equal("", fs.read(at "file", 0))
  end)

  it("failures name the path and the reason", function()
    assert.same({ nil, at "none" .. ": No such file or directory", "ENOENT" }, { fs.read(at "none") })
    assert.same({ nil, place .. ": Is a directory", "EISDIR" }, { fs.read(place) })
    assert.same({ nil, place .. ": Is a directory", "EISDIR" }, { fs.write(place, "x") })
    assert.same({ nil, place .. ": Is a directory", "EISDIR" }, { fs.write(place, "x", { atomic = true }) })
    assert.same({ nil, at "a/b" .. ": No such file or directory", "ENOENT" }, { fs.write(at "a/b", "x") })
    assert.same({ nil, at "a/b" .. ": No such file or directory", "ENOENT" },
      { fs.write(at "a/b", "x", { atomic = true }) })
    assert.same({ nil, at "none" .. ": No such file or directory", "ENOENT" }, { fs.stat(at "none") })
    local long = at(("n"):rep(256))
    assert.same({ nil, long .. ": File name too long", "ENAMETOOLONG" }, { fs.stat(long) })
    assert.same({ nil, ": No such file or directory", "ENOENT" }, { fs.read "" })
    assert.same({ nil, ": No such file or directory", "ENOENT" }, { fs.write("", "", { atomic = true }) })
  end)

  it("wrong arguments raise, and name the argument", function()
    assert.error_matches(function() fs.read() end, "bad argument #1 to '[%w.]*read' %(string expected")
    assert.error_matches(function() fs.read(12) end, "bad argument #1 to '[%w.]*read' %(string expected")
    assert.error_matches(function() fs.read "a\0b" end, "bad argument #1.*the path has a zero byte")
    assert.error_matches(function() fs.read("a", -1) end, "bad argument #2.*must not be negative")
    assert.error_matches(function() fs.write("a") end, "bad argument #2.*string expected")
    assert.error_matches(function() fs.write("a", "b", 3) end, "bad argument #3.*table expected")
    assert.error_matches(function() fs.write("a", "b", { atomc = true }) end, "#3.*unknown option 'atomc'")
    assert.error_matches(function() fs.write("a", "b", { mode = "98" }) end, "#3.*option 'mode' must be")
    assert.error_matches(function() fs.write("a", "b", { mode = 4096 }) end, "#3.*option 'mode' must be")
    assert.error_matches(function() fs.append("a", "b", { atomic = true }) end, "#3.*unknown option 'atomic'")
    assert.error_matches(function() fs.stat "a\0" end, "bad argument #1.*the path has a zero byte")
    assert.is_nil((fs.stat "a"))
  end)

  it("a new file gets its mode, less the umask; an old one keeps its own", function()
    for _, atomic in ipairs { false, true } do
      assert(fs.write(at "file", "x", { mode = "640", atomic = atomic }))
      assert.equal(tonumber("640", 8), fs.stat(at "file").mode)
      assert(fs.write(at "file", "y", { mode = 384, atomic = atomic }))
      assert.equal(tonumber("640", 8), fs.stat(at "file").mode)
      os.remove(at "file")
    end
  end)

  it("an atomic write leaves no other file, and follows links also to what is not there", function()
    assert(os.execute("cd " .. place .. " && mkdir dir && ln -s dir/file link && ln -s link again && ln -s loop loop"))
    assert(fs.write(at "again", "new", { atomic = true }))
    assert.equal("new", fs.read(at "dir/file"))
    assert(fs.write(at "link", "newer", { atomic = true }))
    assert.equal("newer", fs.read(at "dir/file"))
    assert.equal("link", fs.lstat(at "link").type)
    assert.equal("again\ndir\nlink\nloop\n", (list()))
    assert.equal("file\n", (support.shell("ls -A " .. at "dir")))
    assert.same({ nil, at "loop" .. ": Too many levels of symbolic links", "ELOOP" },
      { fs.write(at "loop", "x", { atomic = true }) })
  end)

  it("an atomic write replaces the file: who has the old one open reads the old text", function()
    fs.write(at "file", "old")
    local file <close> = assert(io.open(at "file"))
    assert(fs.write(at "file", "new", { atomic = true }))
    assert.equal("old", file:read "a")
    assert.equal("new", fs.read(at "file"))
  end)

  -- It said "File exists", which is no reason.
  it("an atomic write of what is no file says why it is not replaced", function()
    local function fails(path, reason, code)
      assert.same({ nil, path .. ": " .. reason, code }, { fs.write(path, "x", { atomic = true }) })
    end
    local special = "neither file nor directory, and not replaced by a file"
    fails("/dev/full", special, "ENOTSUP")
    assert(os.execute("mkfifo " .. at "fifo" .. " && ln -s fifo " .. at "to_fifo"))
    fails(at "fifo", special, "ENOTSUP")
    fails(at "to_fifo", special, "ENOTSUP")
    fails(at "", "Is a directory", "EISDIR")
    fails(at "none/", "Is a directory", "EISDIR")
    assert(os.execute("ln -s none/file " .. at "into_none; ln -s " .. place .. " " .. at "to_dir"))
    fails(at "into_none", "No such file or directory", "ENOENT")
    fails(at "to_dir", "Is a directory", "EISDIR")
    fails(at "fifo/x", "Not a directory", "ENOTDIR")
    assert.equal("fifo\ninto_none\nto_dir\nto_fifo\n", (list()))
    assert.equal("ENOTSUP", select(3, fs.copy("/proc/self/status", "/dev/full")))
  end)

  it("an atomic write to a link of /proc to a pipe says why it is not replaced", function()
    local process = require "moonlet.process"
    local command, script = support.command [[
      local fs = require "moonlet.fs"
      io.stderr:write(tostring(select(3, fs.write("/dev/stdout", "x", { atomic = true }))))
    ]]
    local result = assert(process.run(process.shell(command)))
    os.remove(script)
    assert.equal("ENOTSUP", result.stderr)
  end)

  it("a name of 255 bytes and a path of nearly 4096 can be written atomically", function()
    local name = ("n"):rep(255)
    assert(fs.write(at(name), "x", { atomic = true }))
    assert.equal("x", fs.read(at(name)))
    local path = place .. ("/."):rep((4095 - #place - 6) // 2) .. "/file"
    assert(fs.write(path, "y", { atomic = true }))
    assert.equal("y", fs.read(path))
    assert.equal("ENAMETOOLONG", select(3, fs.read(path .. ("/."):rep(3) .. "/x")))
  end)

  it("stat tells what a file is", function()
    fs.write(at "file", "12345")
    assert(os.execute("ln -s file " .. at "link" .. "; mkfifo " .. at "fifo" .. "; chmod 751 " .. place))
    local s = fs.stat(at "link")
    assert.equal("file", s.type)
    assert.equal(5, s.size)
    assert.equal("integer", math.type(s.mtime_ns))
    assert.equal("float", math.type(s.mtime))
    assert.is_true(math.abs(s.mtime - s.mtime_ns / 1e9) < 1e-3)
    assert.is_true(math.abs(s.mtime - os.time()) < 100)
    assert.equal("link", fs.lstat(at "link").type)
    assert.equal("fifo", fs.stat(at "fifo").type)
    assert.equal("char", fs.stat "/dev/null".type)
    s = fs.stat(place)
    assert.equal("directory", s.type)
    assert.equal(tonumber("751", 8), s.mode)
    local expected = support.shell("stat -c '%u %g %i %h %b %Y' " .. place)
    assert.equal(expected, ("%d %d %d %d %d %d\n"):format(s.uid, s.gid, s.ino, s.nlink, s.blocks, s.mtime // 1))
  end)

  it("exists follows links, and is false for what is not there", function()
    fs.write(at "file", "")
    assert(os.execute("ln -s none " .. at "dangling"))
    assert.is_true(fs.exists(at "file"))
    assert.is_false(fs.exists(at "none"))
    assert.is_false(fs.exists(at "file/none"))
    assert.is_false(fs.exists(at "dangling"))
  end)

  it("every call raises when its scope is cancelled on entry, and does nothing", function()
    local calls = {
      { fs.read, at "file" }, { fs.stat, at "file" }, { fs.lstat, at "file" }, { fs.exists, at "file" },
      { fs.write, at "file", "no" }, { fs.write, at "file", "no", { atomic = true } }, { fs.append, at "file", "no" },
    }
    fs.write(at "file", "yes")
    fs.read(at "file")
    for _, call in ipairs(calls) do
      local reached = false
      assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, function()
        local _ = call[1](table.unpack(call, 2))
        reached = true
      end) })
      assert.is_false(reached)
    end
    assert.equal("yes", fs.read(at "file"))
    assert.equal("file\n", (list()))
  end)

  it("other tasks go on while a task reads and writes", function()
    local steps, done = 0, false
    local other = task.spawn(function()
      while not done do
        steps = steps + 1
        task.yield()
      end
    end)
    local text = ("x"):rep(3000000)
    for _ = 1, 3 do
      assert(fs.write(at "file", text, { sync = true }))
      assert.equal(#text, #fs.read(at "file"))
    end
    done = true
    other:join()
    assert.is_true(steps > 10)
  end)
end)
