--- scripts/watch_run.lua, run as its reader would. The command says its pid, and then lives on.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local programs = dofile "tests/spec/programs.lua"

describe("scripts/watch_run.lua", function()
  local directory

  before_each(function()
    directory = programs.open_directory()
    os.execute("mkdir -p " .. directory .. "/src/sub")
    programs.write_file(directory .. "/src/a.lua", "")
  end)
  after_each(function()
    programs.stop_all()
    programs.remove_directory()
  end)

  local function start(command, ...)
    local words = { ... }
    for _, word in ipairs { directory .. "/src", "--", "sh", "-c", command } do words[#words + 1] = word end
    return programs.start(programs.command_line("watch_run.lua", table.unpack(words)))
  end

  local function is_alive(pid)
    return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == true
  end

  it("prints its usage when the arguments are wrong", function()
    programs.refuse_words("watch_run.lua", { {}, { "." }, { ".", "--" }, { "--", "true" }, { "-x", ".", "--", "true" },
      { "-d", "-1", ".", "--", "true" }, { "-i" } })
  end)

  it("says what cannot be watched", function()
    local output, errors, status = programs.run_script("watch_run.lua", directory .. "/none", "--", "true")
    assert.equal("", output)
    assert.matches("none: No such file or directory", errors)
    assert.equal(1, status)
  end)

  it("ends the command with all that it started, and runs it again", function()
    local program = start "sleep 1000 & echo run $! $$; wait"
    local child, shell = program:printed "^run (%d+) ", program:printed "^run %d+ (%d+)\n"
    programs.write_file(directory .. "/src/sub/new.lua", "x")
    local second = program:printed "run %d+ %d+\nrun (%d+)"
    programs.eventually("the end of the group", function() return not is_alive(child) and not is_alive(shell) end)
    assert.matches("sub/new.lua has changed", program:errors())
    program:kill "INT"
    assert.equal(130, program:wait())
    programs.eventually("the end of the command", function() return not is_alive(second) end)
  end)

  it("says how the command ended, and waits for the next change", function()
    local program = start "echo run; exit 3"
    programs.eventually("the status", function() return program:errors():find "exit status 3 after %d" end)
    programs.write_file(directory .. "/src/a.lua", "x")
    program:printed "run\nrun\n"
  end)

  it("leaves out what is ignored: a name, a directory, a path", function()
    local program = start("echo run", "-i", "*.o", "-i", "b[a-c]d", "-i", "sub/x*", "-d", "0.05")
    program:printed "run\n"
    os.execute(("mkdir %s/src/.git %s/src/bbd"):format(directory, directory))
    for _, name in ipairs { "a.o", ".git/index", "bbd/f", "sub/xy", "file~" } do
      programs.write_file(directory .. "/src/" .. name, "x")
    end
    programs.write_file(directory .. "/src/counts", "x")
    program:printed "run\nrun\n"
    local changed = program:errors():match "watch_run: ([^\n]*) has changed"
    assert.equal(directory .. "/src/counts", changed)
  end)

  it("goes on with a directory that goes and comes again", function()
    local program = start "echo run"
    program:printed "run\n"
    os.execute(("mv %s/src %s/old"):format(directory, directory))
    programs.eventually("its end", function() return program:errors():find "was renamed" end)
    os.execute(("mv %s/old %s/src"):format(directory, directory))
    programs.eventually("its return", function() return program:errors():find "is there again" end)
    local _, before = program:output():gsub("run\n", "")
    programs.write_file(directory .. "/src/z", "x")
    programs.eventually("another run", function() return select(2, program:output():gsub("run\n", "")) > before end)
  end)
end)
