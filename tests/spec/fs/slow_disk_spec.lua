--- A disk that answers late stops the task that asks it, and no other (tests/support/slow_disk.c, over FUSE).
local fs = require "moonlet.fs"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local TESTS = assert(os.getenv "MOONLET_TESTS")
local NOT_MOUNTED = 77

-- What a script prints that runs beside such a disk; its arguments are the disk's files and its place. nil: here no
-- such disk can be mounted.
local function run_on_slow_disk(script, ...)
  local dir <close> = assert(fs.temp_dir())
  assert(fs.mkdir(dir.path .. "/files"))
  assert(fs.mkdir(dir.path .. "/place"))
  local words = {}
  for i, word in ipairs { ... } do words[i] = ("%q"):format(word) end
  local command = "'%s/slow_disk' %s/files %s/place '%s' --slow 0 %s %s/files %s/place %s"
  local output, status = support.shell(command:format(
    TESTS, dir.path, dir.path, os.getenv "MOONLET", script, dir.path, dir.path, table.concat(words, " ")))
  if status == NOT_MOUNTED then return nil end
  return output
end

-- A test that says why it cannot run here.
local function it_on_slow_disk(title, script, words, expected)
  it(title, function()
    local output = run_on_slow_disk(script, words)
    if not output then return pending "a FUSE file system cannot be mounted here" end
    assert.equal(expected, output)
  end)
end

describe("on a disk that answers late", function()
  local CALLS = "tests/spec/fs/slow_calls.lua"

  it_on_slow_disk("every call of moonlet.fs makes its task alone wait", CALLS, "fs.", "29\n")

  it_on_slow_disk("files of io, os and require make their task alone wait, and have the same content", CALLS, "io",
    "12\n")

  it_on_slow_disk("programs that lie there, or get a file of it, start while others run", CALLS, "process", "7\n")

  it_on_slow_disk("a task that is cancelled does not wait for it, and the program ends",
    "tests/spec/fs/stuck_calls.lua", "",
    "fs.read EDEADLINE\nfs.stat EDEADLINE\nfs.list EDEADLINE\nfs.open EDEADLINE\n"
    .. "io.open EDEADLINE\nio.lines EDEADLINE\nrequire EDEADLINE\nother tasks go on\n")
end)
