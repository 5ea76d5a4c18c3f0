-- scripts/supervisor.lua: commands that end are started again, and none is left when it ends.

local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("scripts/supervisor.lua", function()
  local directory, list

  setup(function()
    directory = programs.open_directory()
    list = directory .. "/commands"
  end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  local function start(text, ...)
    programs.write_file(list, text)
    local supervisor = programs.start(programs.command_line("supervisor.lua", ...) .. " " .. programs.quote(list))
    supervisor:printed "supervisor: ready"
    return supervisor
  end

  local function is_alive(pid)
    local state = (support.read_file("/proc/" .. pid .. "/stat") or ""):match "%) (%a)"
    return state ~= nil and state ~= "Z"
  end

  local function stop(supervisor, signal)
    os.execute(("kill -%s %d"):format(signal, supervisor.pid))
    return supervisor:wait()
  end

  it("starts a command again that ends, after pauses that grow", function()
    local supervisor = start("# a comment\n\nshort: echo hello; exit 3\n", "-b", "0.02", "-B", "0.1")
    supervisor:printed "short: hello"
    supervisor:printed "short: ended with status 3; again in 0.02 s"
    supervisor:printed "again in 0.04 s"
    supervisor:printed "again in 0.08 s"
    supervisor:printed "again in 0.1 s"
    assert.equal(0, stop(supervisor, "TERM"))
  end)

  it("ends all of them, also those that ignore that", function()
    local supervisor = start("quiet: sleep 1000 & echo pid $!; wait\n" ..
      "deaf: trap '' TERM; echo pid $$; sleep 1000; sleep 1000\n", "-k", "0.1")
    local quiet, deaf = supervisor:printed "quiet: pid (%d+)", supervisor:printed "deaf: pid (%d+)"
    assert.is_true(is_alive(quiet) and is_alive(deaf))
    assert.equal(0, stop(supervisor, "INT"))
    assert.is_false(is_alive(quiet))
    assert.is_false(is_alive(deaf))
  end)

  it("reads its list again, and changes what has changed", function()
    local supervisor = start("stays: echo pid $$; exec sleep 1000\ngoes: echo pid $$; exec sleep 1000\n")
    local stays, goes = supervisor:printed "stays: pid (%d+)", supervisor:printed "goes: pid (%d+)"
    programs.write_file(list, "stays: echo pid $$; exec sleep 1000\ncomes: echo pid $$; exec sleep 1000\n")
    os.execute("kill -HUP " .. supervisor.pid)
    supervisor:printed "comes: pid (%d+)"
    programs.eventually("the end of a command", function() return not is_alive(goes) end)
    assert.is_true(is_alive(stays))
    programs.write_file(list, "no command\n")
    os.execute("kill -HUP " .. supervisor.pid)
    supervisor:printed ":1: NAME: COMMAND expected"
    assert.is_true(is_alive(stays))
    assert.equal(0, stop(supervisor, "TERM"))
  end)

  -- A directory in place of the list ended the supervisor.
  it("goes on when its list disappears, or is none", function()
    local supervisor = start("stays: echo pid $$; exec sleep 1000\n")
    local stays = supervisor:printed "stays: pid (%d+)"
    os.remove(list)
    os.execute("kill -HUP " .. supervisor.pid)
    supervisor:printed "commands: No such file or directory"
    os.execute("mkdir " .. list .. "; kill -HUP " .. supervisor.pid)
    supervisor:printed "commands: Is a directory"
    assert.is_true(is_alive(stays))
    assert.equal(0, stop(supervisor, "TERM"))
    os.remove(list)
  end)

  it("begins a changed command when the former one has ended", function()
    local lock = directory .. "/lock"
    local supervisor = start(("port: mkdir %s; trap 'sleep 0.3; rmdir %s; exit' TERM; echo open; "
      .. "while :; do sleep 0.05; done\n"):format(lock, lock))
    supervisor:printed "port: open"
    programs.write_file(list, ("port: test -e %s && echo early; echo second; exec sleep 1000\n"):format(lock))
    os.execute("kill -HUP " .. supervisor.pid)
    supervisor:printed "port: second"
    assert.is_nil(supervisor:output():find "early")
    assert.equal(0, stop(supervisor, "TERM"))
  end)

  it("keeps the lines of each command in a file", function()
    local supervisor = start("logs: echo one; echo two >&2; exec sleep 1000\n", "-l", directory)
    local log = directory .. "/logs.log"
    programs.eventually("two lines", function() return programs.read_file(log):find "two\n" end)
    assert.truthy(programs.read_file(log):find "^%d+-%d+-%d+ %d+:%d+:%d+ one\n%d+-%d+-%d+ %d+:%d+:%d+ two\n$")
    assert.equal(0, stop(supervisor, "TERM"))
  end)

  it("says how it is used, and what is wrong with the list", function()
    programs.refuse_words("supervisor.lua", { {}, { "-x", "1", "list" }, { "-b", "x", "list" }, { "a", "b" } })
    programs.write_file(list, "a: true\na: false\n")
    local output, errors, status = programs.run_script("supervisor.lua", list)
    assert.same({ "", list .. ":2: two commands named a\n", 1 }, { output, errors, status })
  end)
end)
