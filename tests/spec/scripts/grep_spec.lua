-- scripts/grep.lua, compared with what its options promise.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local SCRIPT = (os.getenv "MOONLET_SOURCE" or ".") .. "/scripts/grep.lua"

local directory

local function write(name, text)
  local file = assert(io.open(directory .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

setup(function()
  directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir -p '" .. directory .. "/sub dir'")
  write("a", "one\nTwo two\n\nthree\n")
  write("b'c", "nothing")
  write("sub dir/d\ne", "bin\0two\n")
  write("sub dir/-f", "TWO\n")
  write("empty", "")
end)

teardown(function() os.execute("rm -r '" .. directory .. "'") end)

-- What it prints, the directory's name left out, and its exit status.
local function grep(arguments)
  local command = ("cd '%s' && %s %s %s"):format(directory, os.getenv "MOONLET", SCRIPT, arguments)
  return support.shell(command)
end

local function sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines, "\n")
end

describe("grep.lua", function()
  it("shows the lines of a file, without its name", function()
    assert.are.same({ "Two two\nthree\n", 0 }, { grep "t[wh][^x] a" })
    assert.are.same({ "2:Two two\n4:three\n", 0 }, { grep "-n t a" })
    assert.are.same({ "3:\n", 0 }, { grep "-n '^$' a" })
    assert.are.same({ "", 1 }, { grep "nowhere a" })
    assert.are.same({ "", 1 }, { grep "'' empty" })
  end)

  it("searches all of a directory, in names of any kind", function()
    local output, status = grep "two ."
    assert.are.equal(0, status)
    assert.are.equal(sorted "./a:Two two\nBinary file ./sub dir/d\ne matches", sorted(output))
    output = grep "-c two ."
    assert.are.equal(sorted "./a:1\n./b'c:0\n./empty:0\n./sub dir/-f:0\n./sub dir/d\ne:1", sorted(output))
    assert.are.equal("./a", sorted((grep "-l three .")))
    assert.are.same({ "nothing\n", 0 }, { grep [[. "b'c"]] })
  end)

  it("takes letters of either case, and plain text", function()
    assert.are.equal("2:Two two\n", (grep "-in 'tWO' a"))
    assert.are.equal("2:Two two\n", (grep "-in '[T]w[n-p]' a"))
    assert.are.equal("2:Two two\n", (grep "-in '^%u%l+ %x*T[^A-M]' a"))
    assert.are.same({ "", 1 }, { grep "-F 't.o' a" })
    assert.are.same({ "Two two\n", 0 }, { grep "-F -i 'TWO T' a" })
  end)

  it("reads standard input", function()
    assert.are.same({ "2:b\n", 0 }, { grep("-n b < /dev/null; printf 'a\\nb' | $MOONLET " .. SCRIPT .. " -n b") })
  end)

  it("says what is wrong, and goes on", function()
    local output, status = grep "three a missing"
    assert.are.equal(2, status)
    assert.matches("a:three\n", output)
    assert.matches("missing", output)
    output, status = grep "'[' a"
    assert.are.same({ "grep.lua: malformed pattern (missing ']')\n", 2 }, { output, status })
    output, status = grep ""
    assert.are.equal(2, status)
    assert.matches("usage", output)
    output, status = grep "-z x a"
    assert.are.same({ "grep.lua: unknown option '-z'\n", 2 }, { output, status })
  end)

  it("shows colours on a terminal only", function()
    if os.execute "command -v script >/dev/null" ~= true then return pending "needs script(1)" end
    local output = support.shell(("cd '%s' && script -qec '%s %s three a' /dev/null"):format(directory,
      os.getenv "MOONLET", SCRIPT))
    assert.matches("\27%[1;31mthree\27%[0m", output)
  end)
end)
