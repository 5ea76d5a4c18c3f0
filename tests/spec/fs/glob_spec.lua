-- Patterns, and what lasts as long as a block.
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("moonlet.fs: glob", function()
  local place

  dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)

  local function make(names)
    for name in names:gmatch "%S+" do
      fs.mkdir(place .. "/" .. (name:match "^(.*)/" or ""), { parents = true })
      if name:sub(-1) ~= "/" then assert(fs.write(place .. "/" .. name, "")) end
    end
  end

  local function found(pattern)
    local list = {}
    for path in fs.glob(place .. "/" .. pattern) do list[#list + 1] = path:sub(#place + 2) end
    return table.concat(list, " ")
  end

  it("stars, question marks and sets stand for parts of a name", function()
    make "a.c b.c ab.c abc.h .hidden.c d/e.c d/f.h x-y [z] caf\xc3\xa9"
    assert.equal("a.c ab.c b.c", found "*.c")
    assert.equal("a.c b.c", found "?.c")
    assert.equal("ab.c abc.h", found "ab*")
    assert.equal("ab.c abc.h", found "a*b*.*")
    assert.equal("a.c ab.c", found "a*c")
    assert.equal("a.c b.c", found "[ab].c")
    assert.equal("b.c", found "[!a].c")
    assert.equal("b.c", found "[^a].c")
    assert.equal("a.c b.c", found "[a-c].c")
    assert.equal("x-y", found "x[-]y")
    assert.equal("[z]", found "\\[z]")
    assert.equal("[z]", found "[[]z]")
    assert.equal("caf\xc3\xa9", found "caf?")
    assert.equal("d/e.c", found "*/*.c")
    assert.equal("d/e.c d/f.h", found "d/*")
    assert.equal("", found "*.C")
    assert.equal("", found "nothing*")
    assert.equal("a.c", found "a.c")
    assert.equal("", found "a.d")
    assert.equal("", found "[")
  end)

  it("characters of several bytes are one character in a set, too", function()
    make "é.c ä.c b.c"
    assert.equal("ä.c é.c", found "[!b].c")
    assert.equal("b.c ä.c", found "[äb].c")
    assert.equal("é.c", found "[å-ÿ].c")
    assert.equal("b.c ä.c é.c", found "[%-ÿ].c")
  end)

  it("two stars stand for any number of directories, and do not follow links", function()
    make "a.c s/b.c s/t/c.c s/t/u/d.c s/t/u/e.h .git/x.c s/.hid/y.c"
    fs.symlink("s", place .. "/link")
    assert.equal("a.c s/b.c s/t/c.c s/t/u/d.c", found "**/*.c")
    assert.equal("s/b.c s/t/c.c s/t/u/d.c", found "s/**/*.c")
    assert.equal("s/t/c.c s/t/u/d.c", found "**/t/**/*.c")
    assert.equal("s/b.c s/t s/t/c.c s/t/u s/t/u/d.c s/t/u/e.h", found "s/**")
    assert.equal("s/t/u/e.h", found "**/**/e.h")
    assert.equal("link/b.c", found "link/*.c")
    assert.equal("link/ s/", found "*/")
    assert.equal("s/t/", found "s/*/")
  end)

  it("a dot at the begin is only found by a dot", function()
    make ".a .b/c d/.e"
    assert.equal(".a .b", found ".*")
    assert.equal(".b/c", found ".b/*")
    assert.equal("d/.e", found "*/.*")
    assert.equal("d", found "*")
  end)

  it("names with newlines and bad UTF-8 are found, and no pattern takes for ever", function()
    assert(fs.write(place .. "/a\nb", ""))
    assert(fs.write(place .. "/\xff\xfe", ""))
    assert(fs.write(place .. "/" .. ("a"):rep(250), ""))
    assert.equal("a\nb", found "a?b")
    assert.equal("\xff\xfe", found "??")
    local started = os.clock()
    assert.equal("", found(("a*"):rep(60) .. "b"))
    assert.is_true(os.clock() - started < 5)
  end)

  it("patterns from the root, and from here", function()
    local list = {}
    for path in fs.glob "/pro[c]/sel?/status" do list[#list + 1] = path end
    assert.same({ "/proc/self/status" }, list)
    for path in fs.glob "README.m?" do list[#list + 1] = path end
    assert.equal("README.md", list[2])
    for path in fs.glob "/" do assert.equal("/", path) end
    assert.is_nil((function(step, search) return step(search) end)(fs.glob ""))
    assert.error_matches(function() fs.glob() end, "bad argument #1 to 'glob' %(string expected")
    assert.error_matches(function() fs.glob "a\0" end, "bad argument #1 to 'glob' %(the path has a zero byte")
  end)

  it("is a cancellation point in each step, and can be left at any time", function()
    make "a b c"
    assert.same({ nil, "deadline passed", "EDEADLINE" }, { task.timeout(0, function()
      for _ in fs.glob(place .. "/*") do end
    end) })
    local first
    for path in fs.glob(place .. "/*") do
      first = first or path
      if path == first then break end
    end
    assert.equal(place .. "/a", first)
  end)
end)

describe("moonlet.fs: temporary files and directories", function()
  it("a file is private, and gone when it is closed", function()
    local path
    do
      local file <close> = assert(fs.temp_file { suffix = ".txt" })
      path = file.path
      assert.matches("%.txt$", path)
      assert.equal(384, fs.stat(path).mode)
      file:write "text"
      file:seek "set"
      assert.equal("text", file:read())
      assert.equal("text", fs.read(path))
    end
    assert.is_false(fs.exists(path))
  end)

  it("a directory is private, and gone with all that is in it at the end of its block", function()
    local path
    do
      local dir <close> = assert(fs.temp_dir { prefix = "test." })
      path = dir.path
      assert.matches("/test%.%x+$", path)
      assert.equal(448, fs.stat(path).mode)
      assert.equal("fs.directory " .. path .. " (open)", tostring(dir))
      fs.mkdir(path .. "/a/b", { parents = true })
      fs.write(path .. "/a/b/c", "x")
    end
    assert.is_false(fs.exists(path))
  end)

  it("a directory is removed when its task is cancelled, and may be removed before", function()
    local path
    local worker = task.spawn(function()
      local dir <close> = assert(fs.temp_dir())
      path = dir.path
      fs.write(path .. "/x", "x")
      task.sleep(1000)
    end)
    while not path or not fs.exists(path .. "/x") do task.sleep(0.001) end
    worker:cancel()
    worker:join()
    assert.is_false(fs.exists(path))
    local dir = assert(fs.temp_dir())
    fs.remove(dir.path)
    assert.is_true(dir:close())
    assert.is_true(dir:close())
    assert.equal("fs.directory " .. dir.path .. " (removed)", tostring(dir))
  end)

  -- Two programs with the same numbers of math.random, by a seed or by starting in one second, had the same names.
  it("names leave math.random alone, and do not follow it", function()
    local names = {}
    for round = 1, 2 do
      math.randomseed(7)
      local first = math.random(0)
      local file <close> = assert(fs.temp_file())
      local dir <close> = assert(fs.temp_dir())
      names[round] = { first, file.path, dir.path, math.random(0) }
    end
    assert.equal(names[1][1], names[2][1])
    assert.not_equal(names[1][2], names[2][2])
    assert.not_equal(names[1][3], names[2][3])
    assert.equal(names[1][4], names[2][4])
    math.randomseed(7)
    math.random(0)
    assert.equal(names[1][4], math.random(0)) -- the next one
    math.randomseed()
  end)

  it("wrong options raise, and failures are told", function()
    assert.equal("ENOENT", select(3, fs.temp_file { dir = "/none" }))
    assert.equal("ENOENT", select(3, fs.temp_dir { dir = "/none" }))
    assert.error_matches(function() fs.temp_dir { name = "x" } end, "unknown option 'name'")
    assert.error_matches(function() fs.temp_file { prefix = "a/b" } end, "option 'prefix' must be")
    assert.error_matches(function() fs.temp_file(1) end, "bad argument #1 to 'temp_file' %(table expected")
  end)
end)
