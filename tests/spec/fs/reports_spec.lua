--- Files and children as users of other libraries have reported them to go wrong; each test names a report.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local task = require "moonlet.task"

local PATIENCE = support.patience

describe("a watch", function()
  -- Waits for an event with this kind and path; others before it are passed over. "there": renamed or created, since a
  -- listing may be quicker than the kernel's report of a rename.
  local function expect(w, kind, path)
    local event
    repeat
      event = assert(w:next(PATIENCE))
    until event.path == path and (event.kind == kind or kind == "there" and event.kind ~= "removed")
  end

  -- chokidar 331: no event at all for the second of two renames.
  it("sees a directory that is renamed there and back", function()
    local dir <close> = assert(fs.temp_dir())
    local a <const>, b <const> = dir.path .. "/a", dir.path .. "/b"
    assert(fs.mkdir(a))
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    for _ = 1, 3 do
      assert(os.execute(("mv %s %s"):format(a, b)))
      expect(w, "there", b)
      assert(os.execute(("mv %s %s"):format(b, a)))
      expect(w, "there", a)
    end
  end)

  -- chokidar 601, fsnotify 17: after an editor has put a new file in the place of the old one, nothing more is seen.
  it("of a file follows one that is put in its place, again and again", function()
    local dir <close> = assert(fs.temp_dir())
    local path <const> = dir.path .. "/f"
    assert(fs.write(path, "0"))
    local w <close> = assert(fs.watch(path))
    for i = 1, 3 do
      assert(fs.write(path, tostring(i), { atomic = true }))
      expect(w, "changed", path)
      assert(fs.append(path, "more"))
      expect(w, "changed", path)
    end
  end)

  -- chokidar 404: a directory that was removed and is made again is not seen.
  it("sees what is in a directory that was removed and is made again", function()
    local dir <close> = assert(fs.temp_dir())
    local sub <const> = dir.path .. "/sub"
    assert(fs.mkdir(sub))
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    for i = 1, 3 do
      assert(os.execute(("rm -r %s && mkdir %s && touch %s/x%d"):format(sub, sub, sub, i)))
      expect(w, "created", ("%s/x%d"):format(sub, i))
      assert(fs.write(sub .. "/later", ""))
      expect(w, "created", sub .. "/later")
    end
  end)
end)

describe("a child", function()
  -- cpython 119710: wait() hangs until the pipes end, which another process holds.
  it("has ended when it has, whoever holds its pipes", function()
    local p <close> = assert(process.spawn {
      "sh", "-c", "setsid sleep 1000 & echo $!; exit 5", stdout = "pipe", stderr = "null",
    })
    local pid <const> = p.stdout:read "n"
    assert.same({ status = 5 }, p:wait(PATIENCE))
    os.execute(("kill %d"):format(pid))
  end)

  -- cpython 79363: communicate() fails when the child closes its outputs and lives on.
  it("that closes its outputs and lives on is run to its end", function()
    local result = assert(process.run { "sh", "-c", "echo a; exec >&- 2>&-; sleep 0.05; exit 4", input = "unread" })
    assert.same({ 4, "a\n" }, { result.status, result.stdout })
  end)

  -- cpython 100133, golang/go 69060, node-pty 726: what a short program wrote is lost at times when it has ended.
  it("that ends at once has all of its output read, by pipes and by a terminal", function()
    local numbers = {}
    for i = 1, 100 do numbers[i] = i end
    require("moonlet.task").map(numbers, function(i)
      local text <const> = ("%5d"):format(i):rep(i % 2 == 0 and 1 or 4000)
      if i % 10 > 0 then
        assert.equal(text, process.run { "/bin/echo", "-n", text }.stdout)
      else
        local p <close> = assert(process.spawn { "/bin/echo", "-n", text, pty = {} })
        assert.equal(text, p.pty:read_all())
        assert.same({ status = 0 }, p:wait(PATIENCE))
      end
    end, 20)
  end)

  -- nodejs/node 862, joyent/libuv 1074, libuv 226: one file for two outputs, or the two exchanged, closes one of them.
  it("gets one file for both outputs, and this program's two exchanged", function()
    local dir <close> = assert(fs.temp_dir())
    do
      local file <close> = assert(fs.open(dir.path .. "/both", "w"))
      local p <close> = assert(process.spawn { "sh", "-c", "echo a; echo b >&2", stdout = file, stderr = file })
      assert.same({ status = 0 }, p:wait())
    end
    assert.equal("a\nb\n", fs.read(dir.path .. "/both"))
    local command, script = support.command [[
      local exchanged = { "sh", "-c", "echo out; echo err >&2", stdout = io.stderr, stderr = io.stdout }
      require "moonlet.process".spawn(exchanged):wait()
    ]]
    local result <const> = assert(process.run(process.shell(command)))
    os.remove(script)
    assert.same({ "err\n", "out\n" }, { result.stdout, result.stderr })
  end)

  -- plumbum 840: a time limit does not hold when a grandchild has the pipes.
  it("is over at its time limit, though a grandchild has its pipes", function()
    local _, _, code, result = process.run { "sh", "-c", "sleep 1000 & wait", timeout = 0.05 }
    assert.same({ "ETIMEDOUT", "TERM" }, { code, result.signal })
  end)
end)

describe("an event", function()
  -- Reads until an event has the path; what came before it, as "kind path".
  local function upto(w, root, last)
    local seen, event = {}
    repeat
      event = assert(w:next(PATIENCE))
      if event.kind ~= "changed" then seen[#seen + 1] = event.kind .. " " .. event.path:sub(#root + 2) end
    until event.path == root .. "/" .. last
    return seen
  end

  local function watched(prepare)
    local dir <const> = assert(fs.temp_dir())
    assert(os.execute(("mkdir %s/in %s/out; cd %s/in; %s"):format(dir.path, dir.path, dir.path, prepare or ":")))
    local w <const> = assert(fs.watch(dir.path .. "/in", { recursive = true }))
    return dir, dir.path .. "/in", w
  end

  -- nsfw 60, notify-rs 124, PyInotify 110: of `mkdir -p a/b/c` only the first directory is seen.
  it("comes for each directory that mkdir -p makes", function()
    local dir <close>, root, watch = watched()
    local w <close> = watch
    assert(os.execute("mkdir -p " .. root .. "/foo/bar/baz"))
    assert.same({ "created foo", "created foo/bar", "created foo/bar/baz" }, upto(w, root, "foo/bar/baz"))
  end)

  -- fswatch 387: a file that is moved in from elsewhere is reported without its name.
  it("names a file that is moved in from a directory that is not watched", function()
    local dir <close>, root, watch = watched("touch ../out/file")
    local w <close> = watch
    assert(fs.rename(dir.path .. "/out/file", root .. "/file"))
    assert.same({ "created file" }, upto(w, root, "file"))
  end)

  -- watcher 109, inotify-tools 130, watchdog 24 and 325: after a directory above was renamed, the old path is reported.
  it("has the path of today when directories above were renamed, twice and in the middle", function()
    local dir <close>, root, watch = watched("mkdir -p a1/a2/a3/a4")
    local w <close> = watch
    assert(os.execute(("cd %s; mv a1 b1; mv b1 c1; touch c1/a2/a3/a4/new"):format(root)))
    assert.same({ "renamed b1", "renamed c1", "created c1/a2/a3/a4/new" }, upto(w, root, "c1/a2/a3/a4/new"))
    assert(os.execute(("cd %s/c1/a2; mv a3 b3; touch b3/a4/later"):format(root)))
    assert.equal("created c1/a2/b3/a4/later", table.remove(upto(w, root, "c1/a2/b3/a4/later")))
  end)
end)

describe("two watches", function()
  -- chokidar 817, efsw 128: a directory that two watches see is lost to both when one of them closes.
  it("of one directory, one within the other, do not end together", function()
    local dir <close> = assert(fs.temp_dir())
    local sub <const> = dir.path .. "/sub"
    assert(fs.mkdir(sub))
    local outer <close> = assert(fs.watch(dir.path, { recursive = true }))
    local function created(w, path)
      local event
      repeat event = assert(w:next(PATIENCE)) until event.kind == "created" and event.path == path
    end
    do
      local inner <close> = assert(fs.watch(sub))
      assert(fs.write(sub .. "/one", ""))
      created(inner, sub .. "/one")
    end
    assert(fs.write(sub .. "/two", ""))
    created(outer, sub .. "/two")
    local again <close> = assert(fs.watch(sub))
    outer:close()
    assert(fs.write(sub .. "/three", ""))
    created(again, sub .. "/three")
  end)
end)

describe("a watched directory", function()
  -- notify 165: what becomes of a watch when a directory above is renamed is left open. Here it goes on, as documented.
  it("is watched on, by the path of before, when one above it is renamed", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.mkdir(dir.path .. "/above/in", { parents = true }))
    local w <close> = assert(fs.watch(dir.path .. "/above/in"))
    assert(fs.rename(dir.path .. "/above", dir.path .. "/other"))
    assert(fs.write(dir.path .. "/other/in/f", ""))
    assert.equal(dir.path .. "/above/in/f", assert(w:next(PATIENCE)).path)
  end)
end)

describe("a quiet directory", function()
  -- superfsmon 5 and 6, by watchdog: files that are only read are reported, and what reads them then never ends.
  it("is quiet while its files are read, listed and walked", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.mkdir(dir.path .. "/sub"))
    assert(fs.write(dir.path .. "/sub/f", "text"))
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    assert.equal("text", fs.read(dir.path .. "/sub/f"))
    assert.same({ "f" }, fs.list(dir.path .. "/sub"))
    for _ in fs.walk(dir.path) do fs.stat(dir.path .. "/sub/f") end
    assert(fs.write(dir.path .. "/last", ""))
    assert.equal(dir.path .. "/last", assert(w:next(PATIENCE)).path)
  end)

  -- osquery 3920: a file that was opened to be written, and was not, counts as changed. So it does here, as documented:
  -- nothing else tells of what was written through a mapping.
  it("has a changed file when one is closed that was open to be written", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.write(dir.path .. "/f", "text"))
    local w <close> = assert(fs.watch(dir.path))
    do local file <close> = assert(fs.open(dir.path .. "/f", "r+")) end
    local event = assert(w:next(PATIENCE))
    assert.same({ "changed", dir.path .. "/f" }, { event.kind, event.path })
  end)

  -- watcher 66: a directory that is gone before it could be watched is told to be removed, and never was there.
  it("hears of nothing that was removed without having been created", function()
    local dir <close> = assert(fs.temp_dir())
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    assert(os.execute(("cd %s; for i in 1 2 3 4 5; do mkdir -p a/b/c; rm -r a; done; touch last"):format(dir.path)))
    local there = {}
    local event
    repeat
      event = assert(w:next(PATIENCE))
      if event.kind == "created" then
        assert.is_nil(there[event.path])
        there[event.path] = true
      elseif event.kind == "removed" then
        assert.is_true(there[event.path])
        there[event.path] = nil
      end
    until event.path == dir.path .. "/last"
    there[dir.path .. "/last"] = nil
    assert.same({}, there)
  end)
end)

describe("a directory", function()
  -- dlang/phobos 1818, ocaml/dune 5613: of several that make one path at a time, some fail since it is there.
  it("is made with its parents by many tasks and programs at once", function()
    local dir <close> = assert(fs.temp_dir())
    local numbers = {}
    for i = 1, 20 do numbers[i] = i end
    task.map(numbers, function(i)
      local path <const> = dir.path .. "/a/b/c/d/e/" .. i % 3
      if i % 5 == 0 then assert(process.run { "mkdir", "-p", path, check = true }) end
      assert(fs.mkdir(path, { parents = true }))
    end, 20)
    assert.same({ "0", "1", "2" }, fs.list(dir.path .. "/a/b/c/d/e"))
  end)

  -- rust 31594: a link to nowhere in the way makes mkdir say that the directory is not there.
  it("is not made below a file, nor in place of a link to nowhere", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.write(dir.path .. "/f", ""))
    assert(fs.symlink("nowhere", dir.path .. "/l"))
    local options <const> = { parents = true }
    assert.equal("ENOTDIR", select(3, fs.mkdir(dir.path .. "/f/a/b", options)))
    assert.equal("EEXIST", select(3, fs.mkdir(dir.path .. "/f", options)))
    assert.equal("EEXIST", select(3, fs.mkdir(dir.path .. "/l", options))) -- it said "ENOENT"
    assert.is_nil(fs.mkdir(dir.path .. "/l/a", options))
    assert.is_false(fs.exists(dir.path .. "/nowhere"))
  end)
end)

describe("a file of the kernel", function()
  -- rsyslog 5403, adbfs-rootless 13: a file whose size is told as 4096, or 0, is read wrong.
  it("is read to its end, whatever size it tells", function()
    assert.equal(4096, fs.stat("/sys/kernel/mm/transparent_hugepage/enabled").size)
    local text <const> = fs.read "/sys/kernel/mm/transparent_hugepage/enabled"
    assert.is_true(#text > 0 and #text < 4096)
    assert.equal("\n", text:sub(-1))
    local file <close> = assert(fs.open "/proc/self/maps")
    assert.is_true(#file:read_all() > 4096)
  end)
end)

describe("a copy", function()
  -- nodejs/node 34624 and 27746, cpy 126: a file that is copied to itself, by whatever name, is emptied.
  it("to the file itself, by its name, a hard link or a symbolic one, is refused and leaves it", function()
    local dir <close> = assert(fs.temp_dir())
    local path <const> = dir.path .. "/f"
    assert(fs.write(path, "text"))
    assert(fs.link(path, dir.path .. "/hard"))
    assert(fs.symlink("f", dir.path .. "/soft"))
    for _, name in ipairs { "f", "hard", "soft", "./f" } do
      local other <const> = dir.path .. "/" .. name
      assert.equal("EINVAL", select(3, fs.copy(path, other)))
      assert.equal("EINVAL", select(3, fs.copy(other, path)))
      assert.equal("text", fs.read(path))
    end
  end)
end)

describe("a time", function()
  -- nodejs/node 32369, 64597: times before 1970 become now, or no time at all.
  it("before 1970 is kept, with its fraction", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.utime(dir.path, -1.5, -14245440.25))
    local status <const> = fs.stat(dir.path)
    assert.same({ -1.5, -14245440.25, -14245440250000000 }, { status.atime, status.mtime, status.mtime_ns })
  end)
end)

describe("a tree", function()
  -- golang/go 29178: an empty directory that may not be read stops the removal, though rmdir needs to read nothing.
  it("is removed with an empty directory that may not be read, and not with one that has something in it", function()
    local dir <close> = assert(fs.temp_dir())
    assert(fs.chmod(dir.path, "777"))
    local command, script = support.command(([[
      local fs = require "moonlet.fs"
      local D = %q
      fs.mkdir(D .. "/t/empty", { parents = true })
      fs.chmod(D .. "/t/empty", 0)
      print(fs.remove(D .. "/t", { recursive = true }))
      fs.mkdir(D .. "/t/full/x", { parents = true })
      fs.chmod(D .. "/t/full", 0)
      print(fs.remove(D .. "/t", { recursive = true }))
      print(fs.chmod(D .. "/t/full", "700"), #fs.list(D .. "/t/full"))]]):format(dir.path))
    assert(fs.chmod(script, "644"))
    local output = support.shell("setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"" .. command .. "\"")
    os.remove(script)
    if output:find "setpriv:" then return end -- not allowed here
    assert.equal(("true\nnil\t%s/t/full: Permission denied\tEACCES\ntrue\t1\n"):format(dir.path), output)
  end)
end)
