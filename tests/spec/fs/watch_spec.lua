local channel = require "moonlet.channel"
local fs = require "moonlet.fs"
local reader = require "tests.spec.fs.watch_reader"
local support = require "tests.spec.support"
local task = require "moonlet.task"

local it = support.limited(it)
local sh, events_until = reader.sh, reader.events_until

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text or "x"))
end

describe("a watch of a directory", function()
  it("reports what is created, changed, renamed and removed in it", function()
    local dir <close> = reader.directory()
    local root = dir.path
    local w <close> = assert(fs.watch(root))
    write(root .. "/a")
    assert.same({ "created a" }, events_until(w, root, "1"))
    sh("mv %s/a %s/b", root, root)
    assert.same({ "renamed b a" }, events_until(w, root, "2"))
    sh("rm %s/b", root)
    assert.same({ "removed b" }, events_until(w, root, "3"))
    for _, change in ipairs { "echo x >> FILE", "chmod 600 FILE", ": > FILE", "touch -d yesterday FILE" } do
      sh("touch %s/c", root)
      events_until(w, root, "x")
      sh("rm %s/x; " .. change:gsub("FILE", "%%s/c"), root, root)
      local event
      repeat event = assert(w:next(20)) until event.path == root .. "/c"
      assert.same({ kind = "changed", path = root .. "/c", directory = false }, event)
      events_until(w, root, "y")
      sh("rm %s/y", root)
    end
  end)

  it("says which are directories, and does not look into them unless it is recursive", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path))
    sh("mkdir %s/d && touch %s/d/file", dir.path, dir.path)
    assert.same({ kind = "created", path = dir.path .. "/d", directory = true }, w:next(20))
    assert.same({}, events_until(w, dir.path, "end"))
  end)

  it("reports a directory that was filled before it could be watched", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    sh("mkdir -p %s/1/2/3; touch %s/1/2/3/file", dir.path, dir.path)
    local seen = {}
    while not seen["created 1/2/3/file"] do
      local event = assert(w:next(20))
      seen[event.kind .. " " .. event.path:sub(#dir.path + 2)] = true
    end
    assert.is_true(seen["created 1"] and seen["created 1/2"] and seen["created 1/2/3"])
  end)

  it("keeps the paths below a directory that is renamed", function()
    local dir <close> = reader.directory()
    local root = dir.path
    sh("mkdir -p %s/a/b", root)
    local w <close> = assert(fs.watch(root, { recursive = true }))
    sh("mv %s/a %s/z", root, root)
    assert.same({ "renamed z a" }, events_until(w, root, "1"))
    write(root .. "/z/b/file")
    local event
    repeat event = assert(w:next(20)) until event.path ~= root .. "/1"
    assert.same({ kind = "created", path = root .. "/z/b/file", directory = false }, event)
  end)

  it("reports each of many directories that are renamed at once by one event", function()
    local dir <close> = reader.directory()
    sh("cd %s && for i in $(seq 30); do mkdir -p a$i/b/c; touch a$i/b/f; done", dir.path)
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    local mover = task.spawn(sh, "cd %s && for i in $(seq 30); do mv a$i d$i; touch d$i/b/g; done", dir.path)
    local renamed, others = {}, {}
    for event in w:events() do
      local name = event.path:sub(#dir.path + 2)
      if event.kind == "renamed" and event.from == dir.path .. "/a" .. name:match "%d+$" then
        assert.is_nil(renamed[name])
        renamed[name] = true
      elseif not name:find "^d%d+/b/g$" then
        others[#others + 1] = event.kind .. " " .. name
      end
      if name == "d30/b/g" then break end
    end
    support.finish(mover)
    assert.same({}, others)
    for i = 1, 30 do assert.is_true(renamed["d" .. i]) end
  end)

  it("reports a tree that leaves as removed, its content first, and one that comes as created", function()
    local dir <close> = reader.directory()
    local other <close> = reader.directory()
    local root = dir.path
    sh("mkdir -p %s/a/b; touch %s/a/b/f", root, root)
    local w <close> = assert(fs.watch(root, { recursive = true }))
    sh("mv %s/a %s", root, other.path)
    assert.same({ "removed a/b/f", "removed a/b", "removed a" }, events_until(w, root, "1"))
    sh("mv %s/a %s/c", other.path, root)
    local seen = {}
    repeat
      local event = assert(w:next(20))
      if event.kind ~= "changed" then seen[#seen + 1] = event.kind .. " " .. event.path:sub(#root + 2) end
    until event.path == root .. "/c/b/f"
    assert.same({ "created c", "created c/b", "created c/b/f" }, seen)
  end)

  it("sees both sides of an exchange", function()
    local dir <close> = reader.directory()
    local picture = {}
    sh("mkdir -p %s/in/d %s/out; touch %s/in/f %s/in/d/x", dir.path, dir.path, dir.path, dir.path)
    local root = dir.path .. "/in"
    local w <close> = assert(fs.watch(root, { recursive = true, initial = true }))
    picture[root] = "directory"
    reader.agrees(w, picture, root)
    for seed = 1, 5 do
      sh("%s/tree_storm %s %d 40 3", os.getenv "MOONLET_TESTS", dir.path, seed)
      reader.agrees(w, picture, root)
    end
  end)

  it("tells of a file that changes often once, while that waits", function()
    local dir <close> = reader.directory()
    local root = dir.path
    write(root .. "/a")
    write(root .. "/b")
    local w <close> = assert(fs.watch(root))
    for i = 1, 300 do write(root .. (i % 2 == 0 and "/a" or "/b"), ("x"):rep(i)) end
    local changes = { [root .. "/a"] = 0, [root .. "/b"] = 0, [root .. "/end"] = 0 }
    write(root .. "/end")
    repeat
      local event = assert(w:next(20))
      if event.kind == "changed" then changes[event.path] = changes[event.path] + 1 end
    until event.path == root .. "/end"
    assert.is_true(changes[root .. "/a"] > 0 and changes[root .. "/b"] > 0)
    local most = os.getenv("MOONLET"):find "hostile" and 300 or 2 -- the hostile build takes few at a time
    assert.is_true(changes[root .. "/a"] + changes[root .. "/b"] <= most)
  end)

  it("does not follow links, and follows the one that it is given", function()
    local dir <close> = reader.directory()
    local other <close> = reader.directory()
    local root = dir.path
    sh("mkdir %s/d; ln -s %s %s/link; ln -s %s/d %s/given", root, other.path, root, root, other.path)
    local w <close> = assert(fs.watch(root, { recursive = true }))
    write(other.path .. "/unseen")
    assert.same({}, events_until(w, root, "1"))
    local given <close> = assert(fs.watch(other.path .. "/given"))
    write(root .. "/d/seen")
    assert.equal(other.path .. "/given/seen", assert(given:next(20)).path)
  end)

  it("takes names of any bytes", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path))
    for _, name in ipairs { "a\nb", "\xff\xfe", " ", "'\"\\", ("n"):rep(255) } do
      write(dir.path .. "/" .. name)
      local event
      repeat event = assert(w:next(20)) until event.kind == "created"
      assert.equal(dir.path .. "/" .. name, event.path)
    end
  end)

  it("sees into trees whose paths are longer than the kernel takes", function()
    local dir <close> = reader.directory()
    local name = ("d"):rep(200)
    sh("mkdir %s/%s", dir.path, name)
    local inside <close> = assert(io.popen(("cd %s/%s && read line && touch deep"):format(dir.path, name), "w"))
    for _ = 2, 30 do sh("cd %s && mkdir x && mv %s x && mv x %s", dir.path, name, name) end
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    inside:write "now\n"
    inside:flush()
    local event = assert(w:next(20))
    assert.equal("created", event.kind)
    assert.equal(dir.path .. ("/" .. name):rep(30) .. "/deep", event.path)
  end)

  it("begins with what is there, if it is asked to", function()
    local dir <close> = reader.directory()
    sh("mkdir -p %s/a/b; touch %s/a/f", dir.path, dir.path)
    local w <close> = assert(fs.watch(dir.path, { recursive = true, initial = true }))
    local picture = { [dir.path] = "directory" }
    reader.agrees(w, picture, dir.path)
    assert.equal("directory", picture[dir.path .. "/a/b"])
  end)

  it("prints as its path and state, and closes more than once", function()
    local dir <close> = reader.directory()
    local w = assert(fs.watch(dir.path))
    assert.equal("fs.watch " .. dir.path .. " (open)", tostring(w))
    assert.is_true(w:close())
    assert.is_true(w:close())
    assert.equal("fs.watch " .. dir.path .. " (closed)", tostring(w))
    support.is_failure("CLOSED", "closed", w:next())
    support.is_failure("CLOSED", "closed", w:next(0))
    for _ in w:events() do error "an event of a closed watch" end
  end)

  -- A finalizer could run while an event became a table, and free the event.
  it("may be read and closed by a finalizer while it is read", function()
    local dir <close> = reader.directory()
    local w = assert(fs.watch(dir.path))
    local w2 <close> = assert(fs.watch(dir.path))
    local armed, seen = true, {}
    local function note(event)
      if event then seen[#seen + 1] = event.kind .. " " .. event.path:match "[^/]*$" end
      return event
    end
    local function arm(action)
      setmetatable({}, { __gc = function()
        if armed then action() arm(action) end
      end })
    end
    for i = 1, 40 do sh("mkdir %s/%d; mv %s/%d %s/x%d", dir.path, i, dir.path, i, dir.path, i) end
    local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 10000)
    arm(function() note(w2:next(0)) end)
    local event = w2:next(support.patience)
    while note(event) do event = w2:next(0.2) end
    arm(function() w:close() end)
    while w:next(0) do end
    collectgarbage()
    armed = false
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
    support.is_failure("CLOSED", "closed", w:next())
    local counts = {}
    for _, text in ipairs(seen) do counts[text] = (counts[text] or 0) + 1 end
    for i = 1, 40 do assert.equal(1, counts["renamed x" .. i]) end
    assert.equal(80, #seen)
  end)
end)

describe("the end of a watched directory", function()
  local function ends(change, how)
    local dir <close> = reader.directory()
    sh("mkdir -p %s/root/d; touch %s/root/d/f", dir.path, dir.path)
    local root = dir.path .. "/root"
    local w <close> = assert(fs.watch(root, { recursive = true }))
    sh(change:gsub("ROOT", root))
    local seen = {}
    for event in w:events() do seen[#seen + 1] = event.kind .. " " .. event.path:sub(#dir.path + 2) end
    assert.same({ "removed root/d/f", "removed root/d", "removed root" }, seen)
    for _ = 1, 2 do support.is_failure("ENOENT", root .. ": the watched directory was " .. how, w:next()) end
  end

  it("is an event, and then a message: removed", function() ends("rm -r ROOT", "removed") end)
  it("is an event, and then a message: renamed", function() ends("mv ROOT ROOT2", "renamed") end)
end)

describe("a watch of a file", function()
  it("sees what becomes of its name, and nothing else", function()
    local dir <close> = reader.directory()
    local path = dir.path .. "/file"
    write(path)
    local w <close> = assert(fs.watch(path))
    local function next_event()
      local event = assert(w:next(20))
      assert.equal(path, event.path)
      return event.kind
    end
    write(dir.path .. "/other")
    sh("echo more >> %s", path)
    assert.equal("changed", next_event())
    sh("echo new > %s.new; mv %s.new %s", path, path, path)
    assert.equal("changed", next_event())
    sh("echo more >> %s", path)
    assert.equal("changed", next_event())
    sh("mv %s %s.1", path, path)
    assert.equal("removed", next_event())
    write(path)
    assert.equal("created", next_event())
  end)

  it("ends with the directory in which it is", function()
    local dir <close> = reader.directory()
    sh("mkdir %s/d; touch %s/d/f", dir.path, dir.path)
    local w <close> = assert(fs.watch(dir.path .. "/d/f"))
    sh("rm -r %s/d", dir.path)
    assert.equal("removed", assert(w:next(20)).kind)
    support.is_failure("ENOENT", "removed", w:next(20))
  end)
end)

describe("fs.watch", function()
  it("returns what is wrong with the path", function()
    local dir <close> = reader.directory()
    write(dir.path .. "/file")
    support.is_failure("ENOENT", dir.path .. "/none: ", fs.watch(dir.path .. "/none"))
    support.is_failure("ENOENT", nil, fs.watch "")
    support.is_failure("ENOTDIR", nil, fs.watch(dir.path .. "/file/x"))
    support.is_failure("ENAMETOOLONG", nil, fs.watch(("x"):rep(5000)))
    assert.matches("zero byte", support.message_of(fs.watch, "a\0b"))
    assert.matches("bad argument #1", support.message_of(fs.watch, {}))
    assert.matches("unknown option 'recursiv'", support.message_of(fs.watch, "/tmp", { recursiv = true }))
  end)

  it("opens more watches than a user has inotify descriptors", function()
    local dir <close> = reader.directory()
    local watches = {}
    sh("cd %s && seq 300 | xargs mkdir", dir.path)
    for i = 1, 300 do
      watches[i] = assert(fs.watch(dir.path .. "/" .. i))
    end
    write(dir.path .. "/77/f")
    assert.equal(dir.path .. "/77/f", assert(watches[77]:next(20)).path)
    support.is_failure("ETIMEDOUT", nil, watches[78]:next(0))
    for _, w in ipairs(watches) do w:close() end
  end)

  it("gives two watches of one directory both all events", function()
    local dir <close> = reader.directory()
    local a <close> = assert(fs.watch(dir.path))
    local b <close> = assert(fs.watch(dir.path, { recursive = true }))
    write(dir.path .. "/f")
    assert.equal("created", assert(a:next(20)).kind)
    assert.equal("created", assert(b:next(20)).kind)
    a:close()
    sh("rm %s/f", dir.path)
    repeat local event = assert(b:next(20)) until event.kind == "removed"
  end)

  it("warns of a watch that is collected while open", function()
    local output = support.run([[
      local fs = require "moonlet.fs"
      do local w = fs.watch "/tmp" end
      collectgarbage()
      collectgarbage()
    ]], "-W")
    assert.matches("fs.watch /tmp %(open%) was never closed; made at script:2", output)
  end)
end)

describe("the wait for an event", function()
  it("has a time limit, and can be cancelled", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path))
    support.is_failure("ETIMEDOUT", "timeout", w:next(0))
    support.is_failure("ETIMEDOUT", "timeout", w:next(0.01))
    support.is_failure("EDEADLINE", nil, task.timeout(0.01, w.next, w))
    local t = support.parked(task.spawn(w.next, w))
    t:cancel()
    support.is_failure("ECANCELED", nil, t:join())
    write(dir.path .. "/f")
    assert.equal("created", assert(w:next(20)).kind)
  end)

  it("ends when another task closes the watch", function()
    local dir <close> = reader.directory()
    local w = assert(fs.watch(dir.path))
    local t = support.parked(task.spawn(w.next, w))
    w:close()
    support.is_failure("CLOSED", "closed", support.finish(t))
  end)

  it("is one task's", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path))
    local t = support.parked(task.spawn(w.next, w))
    support.is_failure("EBUSY", "another task reads this watch", w:next(1))
    support.is_failure("EBUSY", "another task reads this watch", w:next(0))
    write(dir.path .. "/f")
    assert.equal("created", support.finish(t).kind)
  end)

  it("is a case of channel.select", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path, { recursive = true }))
    local ch = channel.new(1)
    assert.equal("default", (channel.select { { w, "next" }, { ch, "get" }, default = true }))
    support.is_failure("ETIMEDOUT", nil, channel.select { { w, "next" }, timeout = 0.01 })
    local t = support.parked(task.spawn(channel.select, { { ch, "get" }, { w, "next" } }))
    sh("mkdir -p %s/a/b", dir.path)
    local index, event = support.finish(t)
    assert.equal(2, index)
    assert.same({ kind = "created", path = dir.path .. "/a", directory = true }, event)
    index, event = channel.select { { ch, "get" }, { w, "next" }, timeout = 20 }
    assert.equal(2, index)
    assert.equal(dir.path .. "/a/b", event.path)
    ch:put "x"
    assert.same({ 1, "x" }, { channel.select { { ch, "get" }, { w, "next" } } })
    t = support.parked(task.spawn(channel.select, { { ch, "get" }, { w, "next" } }))
    w:close()
    assert.same({ 2, nil, "closed", "CLOSED" }, { support.finish(t) })
  end)

  it("costs nothing while no task waits", function()
    local dir <close> = reader.directory()
    local w <close> = assert(fs.watch(dir.path))
    support.is_failure("ETIMEDOUT", nil, w:next(0.01))
    for i = 1, 50 do write(dir.path .. "/" .. i) end
    task.sleep(0.01)
    assert.equal("created", assert(w:next(20)).kind)
  end)
end)

describe("what only some users see", function()
  -- Runs a script with directory D after words that change what it may; nothing to do where they fail.
  local function run_as(words, first, source)
    local dir <close> = reader.directory()
    if not os.execute(words .. " true 2>/dev/null") then return nil end
    sh("chmod 777 %s", dir.path)
    local command, path = support.command(("local D = %q\n"):format(dir.path) .. source)
    sh("chmod 644 %s", path)
    local output = support.shell(("%s sh -c %q"):format(words, first .. " " .. command))
    os.remove(path)
    return (output:gsub(dir.path:gsub("%p", "%%%0"), "D"))
  end

  it("is the limit of watches: at the begin, and later once for each directory", function()
    local output = run_as("unshare -Ur", "echo 3 > /proc/sys/user/max_inotify_watches;", [[
      local fs = require "moonlet.fs"
      os.execute("mkdir -p " .. D .. "/a/b")
      local w = assert(fs.watch(D, { recursive = true }))
      os.execute("mkdir " .. D .. "/c")
      print(w:next(20).path)
      print(w:next(20))
      print(w:next(0.2))
      os.execute("touch " .. D .. "/a/f")
      print(w:next(20).path)
      os.execute("mkdir " .. D .. "/d " .. D .. "/e")
      print(fs.watch(D, { recursive = true }))
    ]])
    if output then
      local full = "nil\tD: too many watches of the user, see the sysctl fs.inotify.max_user_watches\tENOSPC\n"
      assert.equal("D/c\n" .. full .. "nil\ttimeout\tETIMEDOUT\nD/a/f\n" .. full, output)
    end
  end)

  it("is the limit of inotify descriptors", function()
    local output = run_as("unshare -Ur", "echo 0 > /proc/sys/user/max_inotify_instances;",
      [[print(require "moonlet.fs".watch(D))]])
    local message = "D: too many inotify descriptors of the user, see the sysctl fs.inotify.max_user_instances"
    if output then assert.equal("nil\t" .. message .. "\tEMFILE\n", output) end
  end)

  it("is the end of a mounted file system, as the root and below", function()
    local output = run_as("unshare -Urm", "", [[
      local fs = require "moonlet.fs"
      assert(os.execute("mkdir " .. D .. "/m && mount -t tmpfs none " .. D .. "/m && mkdir " .. D .. "/m/d"))
      local w, above = fs.watch(D .. "/m", { recursive = true }), fs.watch(D, { recursive = true })
      assert(os.execute("umount " .. D .. "/m"))
      for event in w:events() do print(event.kind, event.path) end
      print(w:next())
      local event = above:next(20)
      print(event.kind, event.path)
      os.execute("touch " .. D .. "/m/below")
      print(above:next(20).path)
    ]])
    if output then
      assert.equal("removed\tD/m/d\nremoved\tD/m\nnil\tD/m: the watched file system was unmounted\tENODEV\n"
        .. "removed\tD/m/d\nD/m/below\n", output)
    end
  end)

  it("is a directory that may not be read, until its mode changes", function()
    local output = run_as("setpriv --reuid=65534 --regid=65534 --clear-groups", "", [[
      local fs = require "moonlet.fs"
      os.execute("mkdir " .. D .. "/shut && touch " .. D .. "/shut/f && chmod 000 " .. D .. "/shut")
      local w = assert(fs.watch(D, { recursive = true }))
      print(fs.watch(D .. "/shut"))
      os.execute("chmod 755 " .. D .. "/shut")
      print(w:next(20).kind)
      print(w:next(20).path)
    ]])
    if output then assert.equal("nil\tD/shut: Permission denied\tEACCES\nchanged\nD/shut/f\n", output) end
  end)
end)

describe("a lost event", function()
  it("is an overflow, after which the differences are reported", function()
    local dir <close> = reader.directory()
    local root = dir.path
    sh("mkdir %s/d; touch %s/d/stays %s/d/goes", root, root, root)
    local w <close> = assert(fs.watch(root, { recursive = true, initial = true }))
    local picture, kinds = { [root] = "directory" }, {}
    reader.agrees(w, picture, root)
    local most = tonumber(support.read_file "/proc/sys/fs/inotify/max_queued_events":match "%d+")
    sh("cd %s/d && rm goes && seq -f f%%g %d | xargs touch && rm -f f* 2>/dev/null || ls -U | grep ^f | xargs rm",
      root, most // 2)
    write(root .. "/d/stays", "changed")
    write(root .. "/d/new")
    reader.agrees(w, picture, root, function(event) kinds[event.kind] = (kinds[event.kind] or 0) + 1 end)
    assert.equal(1, kinds.overflow)
  end)
end)

describe("the picture that a reader keeps", function()
  -- Reads at once, and after a while: then many events wait, and directories were renamed before they are listed.
  local function storm(seed, count, pause, delay)
    local dir <close> = reader.directory()
    local root = dir.path .. "/in"
    local program = os.getenv "MOONLET_TESTS" .. "/tree_storm"
    sh("mkdir %s/in %s/out && %s %s %d 40", dir.path, dir.path, program, dir.path, seed + 1000)
    local w <close> = assert(fs.watch(root, { recursive = true, initial = true }))
    local picture = { [root] = "directory" }
    local changes = task.spawn(sh, "%s %s %d %d %d", program, dir.path, seed, count, pause)
    task.sleep(delay)
    repeat reader.follow(w, picture, 0.02) until changes:status() ~= "running" and changes:status() ~= "waiting"
    support.finish(changes)
    reader.agrees(w, picture, root)
  end

  it("is that of the disk, after any changes", function()
    local first = tonumber(os.getenv "WATCH_SEED") or 1
    local count = tonumber(os.getenv "WATCH_RUNS") or 8
    for seed = first, first + count - 1 do
      local ok, message = pcall(storm, seed, 200, seed % 4 * 2, seed % 3 * 0.01)
      assert(ok, ("WATCH_SEED=%d WATCH_RUNS=1: %s"):format(seed, message))
    end
  end)
end)
