-- Paths of 4,095 bytes, the longest that the kernel takes, and of 4,096.
local fs = require "moonlet.fs"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("a path", function()
  local place

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  local function at(name) return place .. "/" .. name end

  -- The path of a name in the place, in so many bytes.
  local function long(name, size)
    local rest = size - #place - #name - 1
    return place .. ("/"):rep(rest % 2) .. ("/."):rep(rest // 2) .. "/" .. name
  end

  local calls = {
    read = function(path) return fs.read(path("f")) end,
    write = function(path) return fs.write(path("new"), "x") end,
    append = function(path) return fs.append(path("f"), "x") end,
    open = function(path)
      local file <close>, message, code = fs.open(path("f"))
      return file and file:read(4) == "text", message, code
    end,
    stat = function(path) return fs.stat(path("f")) end,
    lstat = function(path) return fs.lstat(path("f")) end,
    exists = function(path) return fs.exists(path("f")) end,
    list = function(path) return fs.list(path("d")) end,
    mkdir = function(path) return fs.mkdir(path("new")) end,
    ["mkdir with parents"] = function(path) return fs.mkdir(path("new/deep"), { parents = true }) end,
    ["copy from"] = function(path) return fs.copy(path("f"), at "new") end,
    ["copy of a tree from"] = function(path) return fs.copy(path("d"), at "new", { recursive = true }) end,
    ["copy of a tree to"] = function(path) return fs.copy(at "d/e", path("new"), { recursive = true }) end,
    ["rename from"] = function(path) return fs.rename(path("f"), at "new") end,
    ["rename to"] = function(path) return fs.rename(at "f", path("new")) end,
    ["link from"] = function(path) return fs.link(path("f"), at "new") end,
    ["link to"] = function(path) return fs.link(at "f", path("new")) end,
    ["symlink to"] = function(path) return fs.symlink("f", path("new")) end,
    ["symlink from"] = function(path)
      local ok, message, code = fs.symlink(path("f"), at "new")
      return ok and fs.readlink(at "new") == path("f") and fs.read(at "new") == "text", message, code
    end,
    readlink = function(path) return fs.readlink(path("link")) end,
    chmod = function(path) return fs.chmod(path("f"), "600") end,
    chown = function(path) return fs.chown(path("f")) end,
    utime = function(path) return fs.utime(path("f"), 1, 1) end,
    remove = function(path) return fs.remove(path("f")) end,
    ["remove of a tree"] = function(path) return fs.remove(path("d"), { recursive = true }) end,
    ["cwd of a child"] = function(path) return process.run { "true", cwd = path("d") } end,
    ["command of a child"] = function(path) return process.run { path("program") } end,
  }

  local function prepare()
    fs.write(at "f", "text")
    fs.mkdir(at "d/e", { parents = true })
    fs.symlink("f", at "link")
    fs.write(at "program", "#!/bin/sh\n", { mode = "755" })
  end

  for name, call in pairs(calls) do
    it(("of 4,095 bytes works, and one of 4,096 is refused by its name: %s"):format(name), function()
      for _, size in ipairs { 4096, 4095 } do
        local used
        prepare()
        local result, message, code = call(function(last)
          used = long(last, size)
          return used
        end)
        assert.equal(size, #used)
        if size == 4095 then
          assert(result, message)
        else
          assert.equal("ENAMETOOLONG", code)
          assert(message:find(used, 1, true), message)
        end
      end
    end)
  end

  it("that is longer than the kernel takes is told by what loops over a directory, too", function()
    prepare()
    local ok, message = pcall(function() for _ in fs.walk(long("d", 4096)) do end end)
    assert.is_false(ok)
    assert.truthy(tostring(message):find("File name too long", 1, true))
    for _ in fs.glob(long("no-such-*", 4096)) do error "a file was found" end
    local count = 0
    for _ in fs.walk(long("d", 4095)) do count = count + 1 end -- what is below has a longer path
    for _ in fs.glob(long("[df]", 4095)) do count = count + 1 end
    assert.equal(3, count)
  end)

  it("of 4,096 bytes can be copied to and written atomically, for which its directory is named alone", function()
    fs.write(at "source", "copied")
    assert(fs.write(long("f", 4096), "x", { atomic = true }))
    assert.equal("x", fs.read(at "f"))
    assert(fs.copy(at "source", long("f", 4096)))
    assert.equal("copied", fs.read(at "f"))
    assert.equal("ENAMETOOLONG", select(3, fs.write(long("f", 4200), "x", { atomic = true })))
    assert.equal("ENAMETOOLONG", select(3, fs.copy(at "source", long("f", 4200))))
  end)
end)
