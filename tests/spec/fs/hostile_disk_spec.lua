-- Disks that are full or may not be written to, and directories that change under a walk.
local fs = require "moonlet.fs"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local it = support.limited(it)

local has_namespaces = os.execute "unshare -Urm true 2>/dev/null"

-- A test that mounts, in namespaces of its own.
local function mounting(title, fn)
  it(title, has_namespaces and fn or function() pending "no namespaces can be made here" end)
end

describe("a disk of one's own", function()
  -- Runs a script with the directory D, where a file system is mounted with `options`.
  local function run_on(options, source)
    local dir <close> = assert(fs.temp_dir())
    local command, path = support.command(("local D = %q\n"):format(dir.path) .. source)
    local output = support.shell(("unshare -Urm sh -c %q"):format(
      ("mount -t tmpfs -o %s none %s && %s"):format(options, dir.path, command)))
    os.remove(path)
    return output
  end

  mounting("that is full in the middle of an atomic write keeps the old file, and no other", function()
    local output = run_on("size=64k", [[
      local fs = require "moonlet.fs"
      assert(fs.write(D .. "/a", "old"))
      local big = ("x"):rep(200000)
      print(select(3, fs.write(D .. "/a", big, { atomic = true })))
      print(fs.read(D .. "/a"), #fs.list(D))
      local saving = require "moonlet.http.saving"
      local given = 0
      print(select(3, saving.save(D .. "/a", nil, function()
        given = given + 1
        return given <= 10 and big or nil
      end)))
      print(fs.read(D .. "/a"), #fs.list(D))
      print(select(3, fs.copy("/proc/self/exe", D .. "/b")))
      print(#fs.list(D))
      print(fs.write(D .. "/a", ("y"):rep(30000), { atomic = true }), #fs.read(D .. "/a"))
    ]])
    assert.equal("ENOSPC\nold\t1\nENOSPC\nold\t1\nENOSPC\n1\ntrue\t30000\n", output)
  end)

  mounting("that may only be read is told so by each function that writes", function()
    local output = run_on("size=64k", [[
      local fs = require "moonlet.fs"
      assert(fs.write(D .. "/a", "old"))
      assert(fs.mkdir(D .. "/d"))
      assert(os.execute("mount -o remount,ro " .. D))
      local a = D .. "/a"
      local calls = {
        { fs.write, a, "new" }, { fs.write, a, "new", { atomic = true } }, { fs.append, a, "new" },
        { fs.open, a, "w" }, { fs.open, a, "r+" }, { fs.remove, a }, { fs.rename, a, D .. "/b" },
        { fs.mkdir, D .. "/e" }, { fs.copy, a, D .. "/b" }, { fs.symlink, a, D .. "/b" }, { fs.link, a, D .. "/b" },
        { fs.chmod, a, 384 }, { fs.utime, a, 1, 1 }, { fs.remove, D .. "/d", { recursive = true } },
        { fs.copy, D .. "/d", D .. "/f", { recursive = true } },
        { require "moonlet.http.files.core".create, a },
      }
      for i, call in ipairs(calls) do
        local ok, _, code = call[1](table.unpack(call, 2))
        if ok or code ~= "EROFS" then print(i, ok, code) end
      end
      print(fs.read(a), #fs.list(D))
    ]])
    assert.equal("old\t2\n", output)
  end)
end)

describe("an atomic write", function()
  -- Runs a script with the directory D as root of a user namespace of its own without power over files, as `user`.
  local function run_as(options, source)
    local dir <close> = assert(fs.temp_dir())
    local command, path = support.command(("local D = %q\n"):format(dir.path) .. source)
    local output = support.shell(("unshare -Urm sh -c %q"):format(options:gsub("D", dir.path) .. command))
    os.remove(path)
    return output
  end

  mounting("of a file that is mounted says so, and leaves it and nothing else", function()
    local output = run_as("echo old >D/a; echo below >D/b; mount --bind D/b D/a; ", [[
      local fs = require "moonlet.fs"
      print(fs.write(D .. "/a", "new", { atomic = true }))
      print(#fs.list(D), fs.read(D .. "/a"))
    ]])
    assert.matches("^nil\t%S+/a: mounted there, and not replaced by a file\tEBUSY\n2\tbelow\n", output)
  end)

  mounting("in a directory that may not be written to says that it is the directory", function()
    local output = run_as("echo old >D/a; chmod 555 D; setpriv --bounding-set=-all --inh-caps=-all ", [[
      local fs = require "moonlet.fs"
      print(fs.write(D .. "/a", "new", { atomic = true }))
      print(fs.write(D .. "/a", "plain"), #fs.list(D), fs.read(D .. "/a"))
    ]])
    assert.matches("^nil\t%S+/a: no permission to make files in its directory\tEACCES\ntrue\t1\tplain\n", output)
  end)
end)

describe("a directory that becomes a link to another one again and again", function()
  local dir, swapper, script

  -- D/tree/d is a directory with files, or a link to D/outside, in turn, changed by another process.
  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute(("mkdir -p %s/outside/deep %s/tree && echo keep > %s/outside/f && echo keep > %s/outside/deep/f")
      :format(dir, dir, dir, dir)))
    local command
    command, script = support.command(("local D = %q\n"):format(dir) .. [[
      local fs, rename = require "moonlet.fs", os.rename
      local d, l, was, rounds = D .. "/tree/d", D .. "/tree/l", D .. "/tree/was", 0
      repeat
        fs.mkdir(d .. "/deep", { parents = true })
        fs.write(d .. "/f", "own\n")
        fs.write(d .. "/deep/f", "own\n")
        fs.symlink("../outside", l)
        for _ = 1, 20 do
          local ok = rename(d, was) and rename(l, d) and rename(d, l) and rename(was, d)
          if not ok then break end
          rounds = rounds + 1
          if rounds == 1 then fs.write(D .. "/begun", "") end
        end
        fs.remove(was, { recursive = true })
      until fs.exists(D .. "/stop")
      print(rounds)
    ]])
    swapper = assert(io.popen(command))
    task.timeout(30, function()
      while not fs.exists(dir .. "/begun") do task.sleep(.001) end
    end)
  end)
  after_each(function()
    os.execute("touch " .. dir .. "/stop")
    assert.is_true(swapper:read "n" > 0) -- it did swap them
    swapper:close()
    os.remove(script)
    os.execute("rm -rf " .. dir)
  end)

  local function is_untouched()
    assert.equal("keep\n", support.read_file(dir .. "/outside/f"))
    assert.equal("keep\n", support.read_file(dir .. "/outside/deep/f"))
  end

  it("is removed without a touch of what the link leads to", function()
    for i = 1, 400 do
      fs.remove(dir .. "/tree/d", { recursive = true })
      if i % 40 == 0 then is_untouched() end
      if i % 10 == 0 then task.sleep(.002) end
    end
    is_untouched()
  end)

  it("is copied without what the link leads to", function()
    for i = 1, 200 do
      fs.copy(dir .. "/tree", dir .. "/copy", { recursive = true })
      local found <const> = fs.lstat(dir .. "/copy/d")
      if found and found.type == "directory" then
        assert.not_equal("keep\n", fs.read(dir .. "/copy/d/f"))
        assert.not_equal("keep\n", fs.read(dir .. "/copy/d/deep/f"))
      end
      fs.remove(dir .. "/copy", { recursive = true })
      if i % 20 == 0 then is_untouched() end
    end
    is_untouched()
  end)
end)

describe("a directory that is written while it becomes a link to another one again and again", function()
  local dir, swapper

  -- Another process exchanges D/tree/d, whenever it is a directory, and a link to D/outside; D/begun has a byte for
  -- each time.
  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute(("mkdir -p %s/outside/deep %s/tree %s/source/deep && echo keep > %s/outside/f"):format(
      dir, dir, dir, dir)))
    for i = 1, 20 do
      assert(fs.write(dir .. "/source/" .. i, "own\n"))
      assert(fs.write(dir .. "/source/deep/" .. i, "own\n"))
    end
    swapper = assert(io.popen(("%s/link_swapper %s/tree/d ../outside %s/begun"):format(
      os.getenv "MOONLET_TESTS", dir, dir), "w"))
  end)
  after_each(function()
    if io.type(swapper) == "file" then swapper:close() end
    os.execute("rm -rf " .. dir)
  end)

  -- Calls fn until the directory was swapped so many times.
  local function while_swapped(count, fn)
    local deadline = task.now() + support.patience
    repeat
      fn()
      assert(task.now() < deadline, "it is not swapped")
    until #(support.read_file(dir .. "/begun") or "") >= count
  end

  it("gets a copy that never goes to what the link leads to, nor does its undoing", function()
    while_swapped(30, function()
      fs.copy(dir .. "/source", dir .. "/tree/d", { recursive = true, keep = true })
      fs.remove(dir .. "/tree/d", { recursive = true })
      assert.equal("deep f", table.concat(fs.list(dir .. "/outside"), " "))
      assert.same({}, fs.list(dir .. "/outside/deep"))
    end)
    assert.equal("keep\n", support.read_file(dir .. "/outside/f"))
  end)

  it("gets an atomic write whole, in one place or the other, and keeps no other file", function()
    assert(fs.mkdir(dir .. "/tree/d"))
    local text <const> = ("new"):rep(10000)
    while_swapped(50, function()
      fs.write(dir .. "/tree/d/f", text, { atomic = true, sync = false })
    end)
    swapper:close()
    for _, place in ipairs { "/outside", "/tree/d", "/tree/d.link" } do
      local names = table.concat(fs.list(dir .. place) or {}, " ")
      assert.is_nil(names:find("part", 1, true), names)
      local found <const> = support.read_file(dir .. place .. "/f")
      assert.is_true(found == nil or found == text or found == "keep\n")
    end
  end)

  it("gets a file renamed into it, which is in one place afterwards", function()
    assert(fs.mkdir(dir .. "/tree/d"))
    local count = 0
    while_swapped(50, function()
      count = count + 1
      assert(fs.write(dir .. "/new", tostring(count)))
      if not fs.rename(dir .. "/new", dir .. "/tree/d/g") then return end
      assert.is_nil(fs.lstat(dir .. "/new"))
    end)
  end)
end)
