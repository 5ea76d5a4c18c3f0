--- scripts/tail.lua, run as its reader would.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local programs = dofile "tests/spec/programs.lua"

describe("scripts/tail.lua", function()
  local directory, path

  before_each(function()
    directory = programs.open_directory()
    path = directory .. "/log"
  end)
  after_each(function()
    programs.stop_all()
    programs.remove_directory()
  end)

  local function tail(...)
    return programs.start(programs.command_line("tail.lua", ...))
  end

  local function append(text, to)
    local file <close> = assert(io.open(to or path, "a"))
    assert(file:write(text))
  end

  local function shows(program, text)
    programs.eventually(("%q from tail"):format(text), function()
      return program:output() == text or program:status() and error(program:errors())
    end)
  end

  it("prints its usage when the arguments are wrong", function()
    programs.refuse_words("tail.lua", { {}, { "-n" }, { "-n", "x", "f" }, { "-n", "-1", "f" }, { "-n", "1" },
      { "-x", "f" } })
  end)

  it("begins with the last lines, the last of which need not have ended", function()
    append "1\n2\n3\n"
    shows(tail("-n", "2", path), "2\n3\n")
    append "4"
    shows(tail("-n", "2", path), "3\n4")
    shows(tail("-n", "100", path), "1\n2\n3\n4")
    append(("long line %d\n"):rep(1):format(1) .. ("x"):rep(200000) .. "\nend\n")
    shows(tail("-n", "2", path), ("x"):rep(200000) .. "\nend\n")
  end)

  it("shows what is appended, byte by byte", function()
    append "older\nold\n"
    local program = tail("-n", "1", path)
    shows(program, "old\n")
    append "a"
    shows(program, "old\na")
    append "b\nc"
    shows(program, "old\nab\nc")
    append "d\n"
    shows(program, "old\nab\ncd\n")
  end)

  it("waits for a file, and for its directory", function()
    local program = tail(directory .. "/later/log")
    programs.eventually("its complaint", function() return program:errors():find "waiting for it" end)
    os.execute(("mkdir %s/later && echo here > %s/later/log"):format(directory, directory))
    shows(program, "here\n")
  end)

  it("follows the name when the file is rotated, and loses nothing of the old one", function()
    append "1\n"
    local program = tail(path)
    shows(program, "1\n")
    append "2\n"
    os.rename(path, path .. ".1")
    append "3\n"
    shows(program, "1\n2\n3\n")
    local complaint = program:errors() -- it may have looked between the two calls
    assert.is_truthy(complaint:find "following the new file" or complaint:find "waiting for a new one")
    append "4\n"
    shows(program, "1\n2\n3\n4\n")
  end)

  it("begins again when the file is cut short, and when it goes and comes", function()
    append "one\ntwo\n"
    local program = tail(path)
    shows(program, "one\ntwo\n")
    programs.write_file(path, "new\n")
    shows(program, "one\ntwo\nnew\n")
    os.remove(path)
    programs.eventually("its complaint", function() return program:errors():find "has gone" end)
    append "again\n"
    shows(program, "one\ntwo\nnew\nagain\n")
  end)

  it("says of several files which one a text is from", function()
    local other = directory .. "/other"
    append "a\n"
    append("b\n", other)
    local program = tail(path, other)
    shows(program, ("==> %s <==\na\n\n==> %s <==\nb\n"):format(path, other))
    append("c\n", other)
    shows(program, ("==> %s <==\na\n\n==> %s <==\nb\nc\n"):format(path, other))
    append "d\n"
    shows(program, ("==> %s <==\na\n\n==> %s <==\nb\nc\n\n==> %s <==\nd\n"):format(path, other, path))
    program:kill "INT"
    assert.equal(130, program:wait())
  end)
end)
