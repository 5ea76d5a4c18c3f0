-- Names: mkdir, remove, rename, copy, links, permissions, times, lists.
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("moonlet.fs: names", function()
  local place

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  local function at(name) return place .. "/" .. name end

  local function shell(command) return support.shell("cd " .. place .. " && " .. command) end

  -- All that is in the place, sorted, with types.
  local function tree()
    return (shell "find . -mindepth 1 -printf '%P %y\n' | LC_ALL=C sort")
  end

  it("mkdir makes one directory, and with parents all, and then it may be there", function()
    assert.is_true(fs.mkdir(at "a"))
    assert.same({ nil, at "a" .. ": File exists", "EEXIST" }, { fs.mkdir(at "a") })
    assert.equal("ENOENT", select(3, fs.mkdir(at "b/c")))
    for _ = 1, 2 do assert.is_true(fs.mkdir(at "b//c/d/", { parents = true })) end
    assert.equal("a d\nb d\nb/c d\nb/c/d d\n", tree())
    fs.write(at "file", "")
    assert.equal("EEXIST", select(3, fs.mkdir(at "file", { parents = true })))
    assert.equal("ENOTDIR", select(3, fs.mkdir(at "file/x", { parents = true })))
    assert.is_true(fs.mkdir(at "private/x", { parents = true, mode = "700" }))
    assert.equal(tonumber("700", 8), fs.stat(at "private/x").mode)
    assert.is_true(fs.mkdir("/", { parents = true }))
    assert.equal("ENOENT", select(3, fs.mkdir("", { parents = true })))
  end)

  it("remove takes files, links and empty directories, and whole trees if asked to", function()
    shell "mkdir -p t/u/v dir; touch t/a t/u/b file; ln -s ../file t/link; ln -s ../../dir t/u/d"
    shell "mkfifo t/p; touch dir/x"
    assert.is_true(fs.remove(at "t/a"))
    assert.is_true(fs.remove(at "t/u/v"))
    assert.same({ nil, at "t" .. ": Directory not empty", "ENOTEMPTY" }, { fs.remove(at "t") })
    assert.equal("ENOENT", select(3, fs.remove(at "none")))
    assert.equal("ENOENT", select(3, fs.remove(at "none", { recursive = true })))
    assert.is_true(fs.remove(at "t", { recursive = true }))
    assert.equal("dir d\ndir/x f\nfile f\n", tree())
    shell "ln -s dir link"
    assert.is_true(fs.remove(at "link", { recursive = true }))
    assert.equal("dir d\ndir/x f\nfile f\n", tree())
    assert.is_true(fs.remove(at "file", { recursive = true }))
    assert.is_true(fs.remove(at "dir/", { recursive = true }))
    assert.equal("", tree())
  end)

  it("remove refuses what says where it is and not what it is called", function()
    shell "mkdir -p a/b; touch a/b/c"
    for _, path in ipairs { "/", "//", at "a/.", at "a/b/..", at "a/b/../", ".", ".." } do
      assert.same({ nil, path .. ": Invalid argument", "EINVAL" }, { fs.remove(path, { recursive = true }) })
    end
    assert.equal("a d\na/b d\na/b/c f\n", tree())
  end)

  it("trees deeper than a path can name, and than there are descriptors, are walked, copied and removed", function()
    local out = shell [[
      name=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
      mkdir deep && cd deep
      for i in $(seq 150); do mkdir $name && cd -P $name || exit; done; : > last]]
    assert.equal("", out)
    local count, last, kind_of_last = 0, nil, nil
    for path, kind in fs.walk(at "deep") do count, last, kind_of_last = count + 1, path, kind end
    assert.equal(151, count)
    assert.equal("file", kind_of_last)
    assert.equal(#at "deep" + 150 * 51 + 5, #last)
    assert.is_true(fs.copy(at "deep", at "copy", { recursive = true }))
    count = 0
    for _ in fs.walk(at "copy") do count = count + 1 end
    assert.equal(151, count)
    assert.is_true(fs.remove(at "deep", { recursive = true }))
    assert.is_true(fs.remove(at "copy", { recursive = true }))
    assert.equal("", tree())
  end)

  it("rename replaces, and names both paths in its failures", function()
    fs.write(at "a", "a")
    fs.write(at "b", "b")
    assert.is_true(fs.rename(at "a", at "b"))
    assert.equal("a", fs.read(at "b"))
    assert.same({ nil, at "a" .. " -> " .. at "c" .. ": No such file or directory", "ENOENT" },
      { fs.rename(at "a", at "c") })
  end)

  it("links lead where they say", function()
    fs.write(at "a", "text")
    assert.is_true(fs.link(at "a", at "hard"))
    assert.equal(2, fs.stat(at "a").nlink)
    assert.is_true(fs.symlink("a", at "soft"))
    assert.equal("a", fs.readlink(at "soft"))
    assert.equal("text", fs.read(at "soft"))
    assert.equal(fs.realpath(place) .. "/a", fs.realpath(place .. "/./../" .. place:match "[^/]*$" .. "/soft"))
    assert.same({ nil, at "a" .. ": Invalid argument", "EINVAL" }, { fs.readlink(at "a") })
    assert.same({ nil, "a -> " .. at "soft" .. ": File exists", "EEXIST" }, { fs.symlink("a", at "soft") })
    assert.equal("ENOENT", select(3, fs.realpath(at "none")))
    fs.symlink("loop", at "loop")
    assert.equal("ELOOP", select(3, fs.read(at "loop")))
    assert.equal("ELOOP", select(3, fs.realpath(at "loop")))
  end)

  it("chmod takes integers and octal digits", function()
    fs.write(at "a", "")
    assert.is_true(fs.chmod(at "a", "751"))
    assert.equal(489, fs.stat(at "a").mode)
    assert.is_true(fs.chmod(at "a", 256))
    assert.equal(256, fs.stat(at "a").mode)
    for _, mode in ipairs { "rwx", "", "8", -1, 4096, 1.5, true } do
      assert.error_matches(function() fs.chmod(at "a", mode) end, "bad argument #2 to '[%w.]*chmod' %(permissions")
    end
    assert.equal("ENOENT", select(3, fs.chmod(at "none", "644")))
  end)

  it("chown to whom it belongs changes nothing", function()
    fs.write(at "a", "")
    local s = fs.stat(at "a")
    assert.is_true(fs.chown(at "a", s.uid, s.gid))
    assert.is_true(fs.chown(at "a", nil, s.gid))
    assert.is_true(fs.chown(at "a"))
    fs.symlink("none", at "l")
    assert.equal("ENOENT", select(3, fs.chown(at "l", s.uid)))
    assert.is_true(fs.chown(at "l", s.uid, nil, { follow = false }))
    assert.error_matches(function() fs.chown(at "a", -2) end, "bad argument #2")
    assert.error_matches(function() fs.chown(at "a", 1 << 32) end, "bad argument #2")
  end)

  it("utime sets times to the nanosecond, or to now", function()
    fs.write(at "a", "")
    assert.is_true(fs.utime(at "a", 1, 2.5))
    local s = fs.stat(at "a")
    assert.same({ 1000000000, 2500000000, 1.0, 2.5 }, { s.atime_ns, s.mtime_ns, s.atime, s.mtime })
    assert.is_true(fs.utime(at "a", { mtime_ns = 1234567890123456789 }))
    s = fs.stat(at "a")
    assert.same({ 1000000000, 1234567890123456789 }, { s.atime_ns, s.mtime_ns })
    assert.is_true(fs.utime(at "a", { mtime_ns = -1, atime = -1.5 }))
    s = fs.stat(at "a")
    assert.same({ -1500000000, -1 }, { s.atime_ns, s.mtime_ns })
    assert.is_true(fs.utime(at "a"))
    assert.is_true(math.abs(fs.stat(at "a").mtime - os.time()) < 100)
    fs.symlink("a", at "l")
    assert.is_true(fs.utime(at "l", { mtime = 7, follow = false }))
    assert.equal(7.0, fs.lstat(at "l").mtime)
    assert.is_true(fs.stat(at "l").mtime > 7)
    assert.error_matches(function() fs.utime(at "a", "x") end, "bad argument #2.*number of seconds")
    assert.error_matches(function() fs.utime(at "a", 0 / 0) end, "bad argument #2.*number of seconds")
    assert.error_matches(function() fs.utime(at "a", 1, math.huge) end, "bad argument #3.*number of seconds")
    assert.error_matches(function() fs.utime(at "a", { mtime_ns = 1.5 }) end, "bad argument #2.*nanoseconds")
    assert.error_matches(function() fs.utime(at "a", { ctime = 1 }) end, "bad argument #2.*unknown option 'ctime'")
  end)

  it("list gives all names, also those with newlines and bad UTF-8, sorted", function()
    local names = { "\1", "\xff\xfe", ".hidden", "B", "a", "a\nb", "caf\xe9", ("n"):rep(255) }
    table.sort(names)
    for _, name in ipairs(names) do assert(fs.write(at(name), name)) end
    assert.same(names, fs.list(place))
    local walked = {}
    for path in fs.walk(place) do walked[#walked + 1] = path:sub(#place + 2) end
    table.sort(walked)
    assert.same(names, walked)
    assert.same({ nil, at "a" .. ": Not a directory", "ENOTDIR" }, { fs.list(at "a") })
    fs.mkdir(at "dir")
    assert.same({}, fs.list(at "dir"))
  end)

  it("copy copies bytes, permissions and holes, and replaces when it is whole", function()
    local text = ("0123456789"):rep(30000)
    fs.write(at "a", text, { mode = "750" })
    assert.is_true(fs.copy(at "a", at "b"))
    assert.equal(text, fs.read(at "b"))
    assert.equal(tonumber("750", 8), fs.stat(at "b").mode)
    fs.write(at "c", "old", { mode = "600" })
    assert.is_true(fs.copy(at "a", at "c"))
    assert.equal(text, fs.read(at "c"))
    assert.equal(tonumber("600", 8), fs.stat(at "c").mode)
    shell "truncate -s 8M sparse; printf x | dd of=sparse bs=1 seek=4000000 conv=notrunc status=none"
    assert.is_true(fs.copy(at "sparse", at "sparse2"))
    assert.equal("", (shell "cmp sparse sparse2"))
    assert.is_true(fs.stat(at "sparse2").blocks <= fs.stat(at "sparse").blocks + 16)
    assert.equal(8 << 20, fs.stat(at "sparse2").size)
    assert.is_true(fs.copy("/proc/self/status", at "proc"))
    assert.matches("^Name:", fs.read(at "proc"))
    assert.equal("a\nb\nc\nproc\nsparse\nsparse2\n", (shell "ls -A"))
  end)

  it("copy keeps times and permissions if asked to", function()
    shell "mkdir -p d/sub; echo x > d/sub/f; chmod 4755 d/sub/f; ln -s f d/sub/l; chmod 500 d/sub"
    for _, name in ipairs { "d/sub/f", "d/sub", "d" } do
      fs.utime(at(name), { mtime_ns = 1111222233334444555, atime = 5 })
    end
    fs.utime(at "d/sub/l", { mtime_ns = 777, follow = false })
    assert.is_true(fs.copy(at "d", at "e", { recursive = true, keep = true }))
    for _, name in ipairs { "e/sub/f", "e/sub", "e" } do
      assert.equal(1111222233334444555, fs.stat(at(name)).mtime_ns, name)
    end
    assert.equal(777, fs.lstat(at "e/sub/l").mtime_ns)
    assert.equal(tonumber("4755", 8), fs.stat(at "e/sub/f").mode)
    assert.equal(tonumber("500", 8), fs.stat(at "e/sub").mode)
    assert.is_true(fs.copy(at "d", at "g", { recursive = true }))
    assert.equal(tonumber("755", 8), fs.stat(at "g/sub/f").mode)
    assert.is_true(fs.stat(at "g/sub/f").mtime > 2e9 or math.abs(fs.stat(at "g/sub/f").mtime - os.time()) < 100)
  end)

  it("copy of a tree keeps links, FIFOs and sockets what they are, and follows none out", function()
    shell "mkdir -p t/u out; echo secret > out/s; ln -s ../../out t/u/out; ln -s nowhere t/dangling"
    shell "mkfifo t/p; echo f > t/u/f"
    assert.is_true(fs.copy(at "t", at "c", { recursive = true }))
    assert.equal("c d\nc/dangling l\nc/p p\nc/u d\nc/u/f f\nc/u/out l\n",
      (shell "find c -printf '%p %y\n' | LC_ALL=C sort"))
    assert.equal("../../out", fs.readlink(at "c/u/out"))
    assert.is_true(fs.copy(at "t/p", at "p"))
    assert.equal("fifo", fs.stat(at "p").type)
  end)

  it("copy refuses what cannot be, and leaves nothing of it", function()
    shell "mkdir -p t/u; echo f > t/u/f; mkdir there; ln -s t link"
    local before = tree()
    local function fails(code, from, to, opts)
      local ok, message, got = fs.copy(at(from), at(to), opts)
      assert.is_nil(ok)
      assert.equal(code, got)
      assert.equal(at(from) .. " -> " .. at(to) .. ": ", message:sub(1, #at(from) + #at(to) + 6))
      assert.equal(before, tree())
    end
    local all = { recursive = true }
    fails("EISDIR", "t", "x")
    fails("EINVAL", "t", "t/u/x", all)
    fails("EINVAL", "t", "t/x", all)
    fails("EINVAL", "link", "t/u/x", all)
    fails("EEXIST", "t", "there", all)
    fails("EEXIST", "t", "t", all)
    fails("EISDIR", "t/u/f", "there")
    fails("EINVAL", "t/u/f", "t/u/f")
    fails("ENOENT", "none", "x")
    fails("ENOENT", "t/u/f", "none/x")
    fails("ENOENT", "t", "none/x", all)
    fs.link(at "t/u/f", at "t/hard")
    before = tree()
    fails("EINVAL", "t/hard", "t/u/f")
  end)

  it("a cancelled copy of a tree leaves nothing of it", function()
    fs.mkdir(at "t")
    for i = 1, 50 do fs.write(at("t/" .. i), ("x"):rep(100000)) end
    for i = 1, 20 do
      local copier = task.spawn(function() return fs.copy(at "t", at "c", { recursive = true }) end)
      task.sleep(0.0002 * i)
      copier:cancel()
      local ok, err, code = copier:join()
      if ok then
        assert.is_true(err)
        fs.remove(at "c", { recursive = true })
      else
        assert.equal("ECANCELED", code)
      end
      assert.is_false(fs.exists(at "c"))
    end
  end)

  it("walk tells each directory before what is in it, and each thing once", function()
    shell "mkdir -p a/b/c d; touch a/1 a/b/2 a/b/c/3 d/4; ln -s a link; mkfifo p"
    local seen = {}
    for path, kind in fs.walk(place) do
      assert.is_nil(seen[path])
      seen[path] = kind
      local above = path:match "^(.*)/"
      assert.is_true(above == place or seen[above] == "directory")
    end
    local lines = {}
    for path, kind in pairs(seen) do lines[#lines + 1] = path:sub(#place + 2) .. " " .. kind end
    table.sort(lines)
    assert.same({ "a directory", "a/1 file", "a/b directory", "a/b/2 file", "a/b/c directory", "a/b/c/3 file",
      "d directory", "d/4 file", "link link", "p fifo" }, lines)
  end)

  it("walk stops at its depth, skips names, and follows links if asked to, but not in circles", function()
    shell "mkdir -p a/b/c .git/x; touch a/b/c/f; ln -s .. a/up; ln -s ../a/b/c a/b/again; ln -s a/b/c link"
    local function names(opts)
      local list = {}
      for path in fs.walk(place, opts) do list[#list + 1] = path:sub(#place + 2) end
      table.sort(list)
      return list
    end
    assert.same({ ".git", "a", "link" }, names { depth = 1 })
    assert.same({ ".git", ".git/x", "a", "a/b", "a/up", "link" }, names { depth = 2 })
    assert.same({ "a", "a/up", "link" }, names { skip = { ".git", "b" } })
    local followed = names { follow = true, skip = { ".git", "b" } }
    assert.same({ "a", "a/up", "link", "link/f" }, followed)
    assert.error_matches(function() fs.walk(place, { depth = 0 }) end, "option 'depth' must be a positive integer")
    assert.error_matches(function() fs.walk(place, { skip = "x" }) end, "option 'skip' must be a list")
    assert.error_matches(function() fs.walk(place, { skip = { 1 } }) end, "option 'skip' must be a list")
    assert.error_matches(function() fs.walk(place, { on_error = 1 }) end, "option 'on_error' must be a function")
    assert.error_matches(function() fs.walk() end, "bad argument #1")
  end)

  it("walk raises what it cannot read, or tells it", function()
    local ok, err = pcall(function() for _ in fs.walk(at "none") do end end)
    assert.is_false(ok)
    assert.equal(at "none" .. ": No such file or directory", tostring(err))
    assert.equal("ENOENT", err.code)
    local told = {}
    for _ in fs.walk(at "none", { on_error = function(...) told = { ... } end }) do end
    assert.same({ at "none" .. ": No such file or directory", "ENOENT", at "none" }, told)
  end)

  it("a walk can be left at any time, closed, and cancelled", function()
    shell "mkdir -p a/b/c/d/e; touch a/1 a/b/2"
    for steps = 1, 4 do
      local count = 0
      for _ in fs.walk(place) do
        count = count + 1
        if count == steps then break end
      end
    end
    local next_one, walk = fs.walk(place)
    assert.is_string(next_one(walk))
    walk:close()
    walk:close()
    assert.is_nil(next_one(walk))
    next_one, walk = fs.walk(place)
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, next_one, walk) })
    assert.is_string(next_one(walk))
    walk:close()
  end)

  it("a walk prints as its path and state, and tells errors to anything that can be called", function()
    assert(fs.mkdir(at "sub"))
    local told = {}
    local on_error = setmetatable({}, { __call = function(_, message, code, path)
      told = { message, code, path }
    end })
    for _ in fs.walk(at "none", { on_error = on_error }) do error "there is nothing" end
    assert.same({ at "none" .. ": No such file or directory", "ENOENT", at "none" }, told)
    local _, walk = fs.walk(place)
    assert.equal("fs.walk " .. place .. " (open)", tostring(walk))
    walk:close()
    assert.equal("fs.walk " .. place .. " (closed)", tostring(walk))
  end)

  it("a second task in a walk is told so, and the first goes on", function()
    for i = 1, 20 do assert(fs.mkdir(at(i))) end
    local step, walk = fs.walk(place)
    local count, told = 0, nil
    local function go_on()
      local ok, err = pcall(function()
        for _ in step, walk do count = count + 1 end
      end)
      if not ok then told = err end
    end
    local first, second = task.spawn(go_on), task.spawn(go_on)
    first:join()
    second:join()
    assert.equal(20, count)
    assert.equal(place .. ": another task is in this walk", told and told.message)
    assert.equal("EBUSY", told.code)
  end)

  it("a temporary directory that is forgotten is told by a warning, and stays", function()
    local output, status = support.run(([[
      local fs = require "moonlet.fs"
      do local kept <close> = fs.temp_dir { dir = "%s" } end
      do local forgotten = fs.temp_dir { dir = "%s", prefix = "left-" } end
      collectgarbage()
    ]]):format(place, place), "-W")
    local left = assert(fs.list(place))
    assert.equal(1, #left)
    assert.equal(("Lua warning: fs.directory %s (open) was never closed; made at script:3\n"):format(at(left[1])),
      output)
    assert.equal(0, status)
  end)

  it("errors name the functions as scripts do", function()
    for _, name in ipairs { "read", "stat", "walk", "open", "mkdir", "watch" } do
      local _, message = pcall(fs[name])
      assert.equal("bad argument #1 to 'moonlet.fs." .. name .. "' (string expected, got no value)", message)
    end
    for _, name in ipairs { "temp_dir", "temp_file" } do
      local _, message = pcall(function() fs[name] { place = "x" } end)
      local expected = "paths_spec.lua:%d+: bad argument #1 to '" .. name .. "' %(unknown option 'place'%)$"
      assert.truthy(message:find(expected), message)
      assert.has_error(function() fs[name](false) end)
    end
  end)

  it("what vanishes while it is walked is passed over", function()
    for i = 1, 300 do fs.mkdir(at(i .. "/sub"), { parents = true }) end
    local count = 0
    for path in fs.walk(place) do
      count = count + 1
      if count == 1 then fs.remove(place, { recursive = true }) end
      assert.is_string(path)
    end
    assert.is_true(count <= 600)
    fs.mkdir(place)
  end)

  it("every call raises when its scope is cancelled, and does nothing", function()
    fs.write(at "a", "a", { mode = "644" })
    fs.mkdir(at "d")
    local before = tree()
    for _, call in ipairs {
      { fs.mkdir, at "x" }, { fs.remove, at "a" }, { fs.remove, at "d", { recursive = true } },
      { fs.rename, at "a", at "b" }, { fs.copy, at "a", at "b" }, { fs.link, at "a", at "b" },
      { fs.symlink, "a", at "b" }, { fs.readlink, at "a" }, { fs.realpath, at "a" }, { fs.chmod, at "a", "600" },
      { fs.chown, at "a" }, { fs.utime, at "a", 1, 1 }, { fs.list, place },
    } do
      assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, table.unpack(call)) })
    end
    assert.equal(before, tree())
    assert.equal(tonumber("644", 8), fs.stat(at "a").mode)
    assert.is_true(fs.stat(at "a").mtime > 1)
  end)
end)
