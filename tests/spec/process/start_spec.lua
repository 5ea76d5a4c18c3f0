-- What a child starts with, and what is told when it cannot start.

local process = require "moonlet.process"
local net = require "moonlet.net"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local directory -- of the test's files

local function write_file(name, text, mode)
  local path = directory .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  file:close()
  os.execute(("chmod %s '%s'"):format(mode or "644", path))
  return path
end

local function shell(text, opts)
  local list = process.shell(text)
  for name, value in pairs(opts or {}) do list[name] = value end
  local result = assert(process.run(list))
  return result.stdout, result
end

-- Fails unless the call raises, at the function's first argument.
local function refused(opts, text, name)
  local ok, message = pcall(process[name or "spawn"], opts)
  assert.is_false(ok)
  assert.truthy(message:find(text, 1, true), message)
  assert.truthy(message:find("bad argument #1 to '" .. (name or "spawn"), 1, true), message)
end

before_each(function()
  directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. directory)
end)

after_each(function() os.execute("rm -r " .. directory) end)

describe("a start that fails", function()
  it("names a file that may not be run", function()
    local path = write_file("text", "echo hi\n")
    assert.same({ nil, path .. ": Permission denied", "EACCES" }, { process.spawn { path } })
    assert.same({ nil, directory .. ": Permission denied", "EACCES" }, { process.spawn { directory } })
  end)

  it("names the interpreter that is missing", function()
    local path = write_file("script", "#!/no/such/lua -W\n", "755")
    assert.same({ nil, path .. ": bad interpreter /no/such/lua: No such file or directory", "ENOENT" },
      { process.spawn { path } })
  end)

  it("names a file in no format of programs", function()
    local path = write_file("garbage", "no program\n", "755")
    assert.same({ nil, path .. ": Exec format error", "ENOEXEC" }, { process.spawn { path } })
  end)

  it("names a file that is being written", function()
    local path = directory .. "/true"
    os.execute(("cp '%s' '%s'"):format(process.which "true", path))
    local writer <close> = assert(io.open(path, "a"))
    assert.same({ nil, path .. ": Text file busy", "ETXTBSY" }, { process.spawn { path } })
  end)

  it("says when the arguments are too long", function()
    local _, message, code = process.spawn { "true", ("x"):rep(1024 * 1024) }
    assert.equal("E2BIG", code)
    assert.truthy(message:find("Argument list too long", 1, true))
  end)

  it("says what is wrong with the directory", function()
    local file = write_file("file", "")
    assert.same({ nil, "cwd " .. file .. ": Not a directory", "ENOTDIR" }, { process.spawn { "true", cwd = file } })
  end)

  it("leaves a stream that was to be given as it was", function()
    local here <close>, other = net.pair()
    local there <close> = other
    assert.equal("ENOENT", select(3, process.spawn { "/no/such", stdin = there, stdout = there }))
    there:write "still here\n"
    assert.equal("still here", here:read_line())
    there:set_timeout(0)
    assert.equal("ETIMEDOUT", select(3, there:read_some()))
  end)

  it("says when no process can be made", function()
    local command = ("ulimit -u 1; exec '%s' -e '%s'"):format(os.getenv "MOONLET", [[
      local _, message, code = require "moonlet.process".spawn { "true", stdin = "pipe", stdout = "pipe" }
      io.write(code, " ", message)]])
    local result = assert(process.run { "/bin/sh", "-c", command, user = "54321:54321" })
    if result.status ~= 0 then pending("the limit cannot be set here: " .. result.stderr) end
    assert.equal("EAGAIN true: cannot start a process: Resource temporarily unavailable", result.stdout)
  end)

  it("loses no descriptor, however many there are left", function()
    local output, status = support.run [[
      local process, test = require "moonlet.process", require "moonlet.test"
      local all = { stdin = "pipe", stdout = "pipe", stderr = "pipe" }
      process.spawn { "/bin/true" }:wait()
      local held = {}
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        held[#held + 1] = file
      end
      for free = 0, 8 do
        if free > 0 then table.remove(held):close() end
        local leaks = test.leaks()
        local p, message, code = process.spawn { "/bin/cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
        assert(p or code == "EMFILE", message)
        assert(p ~= nil == (free >= 7), free)
        if p then
          p.stdin:close()
          assert(p:wait().status == 0)
          p:close()
        end
        local left = leaks()
        assert(#left == 0, left[1])
      end
    ]]
    assert.equal("", output)
    assert.equal(0, status)
  end)
end)

describe("wrong arguments", function()
  it("are errors that name them", function()
    refused(nil, "table expected, got nil")
    refused({}, "the list needs a command")
    refused({ "true", false }, "argument 2 must be a string, not a boolean")
    refused({ "echo", nil, "x" }, "argument 2 is nil")
    refused({ "echo", "a\0b" }, "argument 2 contains a zero byte")
    refused({ "true", shell = true }, "unknown option 'shell'")
    refused({ "true", cwd = 1 == 1 }, "option 'cwd' must be a string, not a boolean")
    refused({ "true", cwd = "a\0" }, "option 'cwd' contains a zero byte")
    refused({ "true", env = "A=1" }, "option 'env' must be a table, not a string")
    refused({ "true", env = { "A=1" } }, "option 'env' has a name that is a number")
    refused({ "true", env = { ["A=B"] = "1" } }, "option 'env' has a wrong name")
    refused({ "true", env = { A = false } }, "option 'env': A must be a string, not a boolean")
    refused({ "true", stdin = "stdout" }, "option 'stdin' must be \"pipe\", \"inherit\", \"null\", a file or a stream")
    refused({ "true", stderr = "terminal" }, "\"stdout\", a file or a stream")
    refused({ "true", stdin = 7 }, "option 'stdin' must be a word, a file or a stream, not a number")
    refused({ "true", pty = true }, "option 'pty' must be a table, not a boolean")
    refused({ "true", pty = { rows = 0 } }, "option 'pty.rows' must be an integer from 1 on")
    refused({ "true", pty = { cols = 100000 } }, "option 'pty.cols' is too large")
    refused({ "true", pty = { lines = 1 } }, "option 'pty': unknown option 'lines'")
    refused({ "true", kill_after = -1 }, "option 'kill_after' must be a number from 0 on")
    refused({ "true", kill_after = 0 / 0 }, "option 'kill_after' must be a number from 0 on")
    refused({ "true", limit = { memory = 0 } }, "option 'limit.memory' must be an integer from 1 on")
    refused({ "true", limit = { disk = 1 } }, "option 'limit': unknown option 'disk'")
    refused({ "true", group = 1 }, "option 'group' must be true or false, not a number")
    refused({ "true", group = false, pty = {} }, "option 'group' cannot be false with 'pty'")
    refused({ "true", user = {} }, "option 'user' must be a name or a number")
    refused({ "true", timeout = 1 }, "unknown option 'timeout'")
    refused({ "true", input = 7 }, "option 'input' must be a string, a list of them or a function, not a number", "run")
    refused({ "true", input = "", stdin = "null" }, "options 'input' and 'stdin' exclude each other", "run")
    refused({ "true", detached = true }, "a detached process is not waited for", "run")
    refused({ "true", max_output = 1.5 }, "option 'max_output' must be an integer from 0 on", "run")
    refused({ "true", timeout = "1" }, "option 'timeout' must be a number from 0 on", "run")
  end)

  it("are files and streams that cannot be given", function()
    local file = assert(io.open "/dev/null")
    file:close()
    refused({ "true", stdin = file }, "option 'stdin' is a closed file")
    local here <close>, there = net.pair()
    there:write "more than is read"
    assert.equal("more", here:peek(4))
    refused({ "true", stdin = here }, "option 'stdin' is a stream with input that was received already")
    there:close()
    refused({ "true", stdout = there }, "option 'stdout' is a closed stream")
    local a <close>, b = net.memory_pair()
    refused({ "true", stdout = a }, "option 'stdout' is a stream without a descriptor")
    b:close()
  end)

  it("are told with the line of the caller", function()
    local output = support.run('\nrequire "moonlet.process".run { "true", stdin = 7 }')
    assert.truthy(output:find("script:2: bad argument #1 to 'run' (option 'stdin' must be", 1, true), output)
    output = support.run('\nrequire "moonlet.process".spawn { false }')
    assert.truthy(output:find("script:2: bad argument #1 to 'spawn' (argument 1 must be", 1, true), output)
  end)

  it("are told there by a method, too", function()
    local p <close> = assert(process.spawn { "true" })
    local ok, message = pcall(function() p:wait "soon" end)
    assert.is_false(ok)
    assert.truthy(message:find "start_spec.lua:%d+: bad argument #1 to 'wait'", message)
    p:wait()
  end)

  it("are what the function of the option input returns", function()
    local leaks = require "moonlet.test".leaks()
    local ok, message = pcall(process.run, { "cat", input = function() return true end })
    assert.is_false(ok)
    assert.equal("the function of option 'input' must return strings or nil, not a boolean", message)
    support.eventually(function() return #leaks() == 0 end)
  end)

  it("leave no process and no descriptor", function()
    refused({ "true", stdin = "pipe", stdout = "pipe", stderr = {} }, "option 'stderr' must be a word")
  end)
end)

describe("a child", function()
  it("has its three descriptors and no other", function()
    local kept <close> = assert(io.open "/dev/null")
    os.execute "true"
    assert.equal("0\n1\n2\n", (shell "cd /proc/$$/fd; for fd in *; do [ -e $fd ] && echo $fd; done"))
  end)

  it("has no descriptor of a C library that does not close them", function()
    -- a descriptor without FD_CLOEXEC: one that a shell has opened for the program
    local output = support.shell(([[exec 9</dev/null; '%s' -e '
      local process = require "moonlet.process"
      io.write(process.run { "sh", "-c", "test -e /proc/self/fd/9 && echo open || echo closed" }.stdout)
      os.execute "test -e /proc/self/fd/9 && echo open || echo closed"']]):format(os.getenv "MOONLET"))
    assert.equal("open\nclosed\n", output)
  end)

  it("starts with the mask and the handling of signals that the program was started with", function()
    local function signals(text)
      return text:match "SigBlk:%s*(%x+)", text:match "SigIgn:%s*(%x+)", text:match "SigCgt:%s*(%x+)"
    end
    local source = "io.write(require 'moonlet.process'.run { 'cat', '/proc/self/status' }.stdout)"
    local function child(prefix)
      return { signals((support.shell(("%s '%s' -e \"%s\""):format(prefix, os.getenv "MOONLET", source)))) }
    end
    assert.same({ "0000000000000000", "0000000000000000", "0000000000000000" }, child "exec env --default-signal")
    assert.same({ "0000000000000000", "0000000000000001", "0000000000000000" },
      child "trap '' HUP; exec env --default-signal=PIPE")
    assert.same({ "0000000000000200", "0000000000001000", "0000000000000000" },
      child "exec env --default-signal --block-signal=USR1 --ignore-signal=PIPE")
  end)

  it("leads a group of its own, unless that is not wanted", function()
    local text = "ps -o pgid= -p $$; echo $$"
    local group, pid = (shell(text)):match "(%d+)%s+(%d+)"
    assert.equal(pid, group)
    group, pid = (shell(text, { group = false })):match "(%d+)%s+(%d+)"
    assert.not_equal(pid, group)
  end)

  it("runs in the directory, from which a relative command is looked for", function()
    write_file("here.sh", "#!/bin/sh\npwd\n", "755")
    assert.equal(directory .. "\n", shell("pwd", { cwd = directory }))
    assert.equal(directory .. "\n", process.run { "./here.sh", cwd = directory }.stdout)
  end)

  it("is looked for in the PATH that it is given", function()
    write_file("a-command", "#!/bin/sh\necho found\n", "755")
    assert.equal("found\n", process.run { "a-command", env = { PATH = "/no/such:" .. directory } }.stdout)
    assert.equal("found\n", process.run { "a-command", cwd = directory, env = { PATH = "" } }.stdout)
    assert.equal("ENOENT", select(3, process.run { "a-command" }))
  end)

  it("is found behind a file of its name that may not be run", function()
    write_file("sh", "")
    local path = directory .. ":" .. os.getenv "PATH"
    assert.equal("hi\n", process.run { "sh", "-c", "echo hi", env = { PATH = path } }.stdout)
    assert.equal("EACCES", select(3, process.run { "sh", env = { PATH = directory } }))
  end)

  it("has limits", function()
    local text = "ulimit -v; ulimit -t; ulimit -n"
    assert.equal("1048576\n7\n50\n",
      shell(text, { limit = { memory = 1024 * 1024 * 1024, cpu = 6.5, files = 50 } }))
    assert.same({ signal = "XCPU", stdout = "", stderr = "" },
      process.run { "sh", "-c", "while :; do :; done", limit = { cpu = 1 } })
  end)

  it("is another user's, if that is allowed", function()
    local result, _, code = process.run { "id", "-u", user = 12345 .. ":54321" }
    if result then
      assert.equal("12345\n", result.stdout)
      assert.equal("54321\n54321\n", process.run { "sh", "-c", "id -g; id -G", user = "12345:54321" }.stdout)
      assert.equal("nobody\n", process.run { "id", "-un", user = "nobody" }.stdout)
    else
      assert.equal("EPERM", code)
    end
    assert.same({ nil, "user no-such-user: no such user or group", "ENOENT" },
      { process.run { "id", user = "no-such-user" } })
  end)

  it("gets a file, which stays open here", function()
    local path = write_file("in", "from the file\n")
    local input <close> = assert(io.open(path))
    local output <close> = assert(io.tmpfile())
    output:write "before\n"
    assert.same({ status = 0 }, process.spawn({ "cat", stdin = input, stdout = output }):wait())
    output:seek "set"
    assert.equal("before\nfrom the file\n", output:read "a")
  end)

  it("gets a file of moonlet.fs, from where that is", function()
    local fs = require "moonlet.fs"
    local path = write_file("in", "first\nsecond\n")
    local input <close> = assert(fs.open(path))
    assert.equal("first", input:read_line())
    local output <close> = assert(fs.open(directory .. "/out", "w"))
    output:write "before\n"
    assert.same({ status = 0 }, process.spawn({ "cat", stdin = input, stdout = output }):wait())
    assert.equal("before\nsecond\n", support.read_file(directory .. "/out"))
    assert.equal("second", input:read_line())
    input:close()
    refused({ "true", stdin = input }, "option 'stdin' is a closed file")
  end)

  it("gets a stream, which is closed here and waits there", function()
    local here <close>, there = net.pair()
    local p <close> = assert(process.spawn { "cat", stdin = there, stdout = there })
    assert.equal("CLOSED", select(3, there:read_some()))
    assert(here:write "to and fro")
    assert(here:shutdown "write")
    assert.equal("to and fro", here:read_all())
    assert.same({ status = 0 }, p:wait())
  end)

  it("writes its errors to where its output goes", function()
    assert.equal("out\nerr\n", shell("echo out; echo err >&2", { stderr = "stdout" }))
    local output = support.run [[
      require "moonlet.process".spawn({ "sh", "-c", "echo err >&2", stderr = "stdout" }):wait()]]
    assert.equal("err\n", output)
  end)

  it("may use standard files that the program was started without", function()
    local path = directory .. "/out"
    local source = [[
      local process = require "moonlet.process"
      local p = process.spawn { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
      p.stdin:write "through"
      p.stdin:close()
      local file = io.open(arg[1], "w")
      file:write(p.stdout:read_all(), p:wait().status)
      file:close()]]
    local script = write_file("script.lua", source)
    for _, closed in ipairs { "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-" } do
      support.shell(("'%s' '%s' '%s' %s"):format(os.getenv "MOONLET", script, path, closed))
      assert.equal("through0", support.read_file(path), closed)
    end
  end)
end)
