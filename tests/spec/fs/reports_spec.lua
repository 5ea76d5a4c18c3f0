--- Files and children as users of other libraries have reported them to go wrong; each test names a report.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local process = require "moonlet.process"

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

  -- plumbum 840: a time limit does not hold when a grandchild has the pipes.
  it("is over at its time limit, though a grandchild has its pipes", function()
    local _, _, code, result = process.run { "sh", "-c", "sleep 1000 & wait", timeout = 0.05 }
    assert.same({ "ETIMEDOUT", "TERM" }, { code, result.signal })
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
