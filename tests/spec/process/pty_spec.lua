-- Children with a terminal of their own.

local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("a child with a terminal", function()
  it("has it as its standard files and as the terminal of its session", function()
    local p <close> = assert(process.spawn { "sh", "-c", "tty && stty size && ps -o tty= -p $$; echo $TERM >/dev/tty",
      pty = { rows = 33, cols = 101 } })
    assert.is_nil(p.stdin or p.stdout or p.stderr)
    local text = p.pty:read_all()
    assert.truthy(text:find "^/dev/pts/%d+\r\n33 101\r\npts/%d+", text)
    assert.same({ status = 0 }, p:wait())
  end)

  it("gives all that it has written before the end", function()
    local p <close> = assert(process.spawn { "seq", "20000", pty = {} })
    local count = 0
    for line in p.pty:lines() do
      count = count + 1
      if line ~= count .. "\r" and line ~= tostring(count) then error(("line %d is %q"):format(count, line)) end
    end
    assert.equal(20000, count)
    assert.is_nil(p.pty:read_some())
    p:wait()
  end)

  it("reads what is typed, and gets the signals of the keys", function()
    local p <close> = assert(process.spawn { "sh", "-c", "read line; echo got $line; exec cat", pty = {} })
    assert(p.pty:write "hello\n")
    assert.truthy(p.pty:read_until "got hello\r\n")
    p.pty:write "\3"
    assert.same({ signal = "INT" }, p:wait())
  end)

  it("is told its new size", function()
    local p <close> = assert(process.spawn { "sh", "-c",
      "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done", pty = {} })
    p.pty:read_until "ready\r\n"
    assert.is_true(p:resize(50, 132))
    assert.truthy(p.pty:read_all():find "50 132")
    p:close()
    assert.same({ nil, "CLOSED" }, { p:resize(1, 1), (select(3, p:resize(1, 1))) })
    p:wait()
  end)

  it("loses it when it is closed here", function()
    local p = assert(process.spawn { "sh", "-c", "echo ready; exec sleep 1000", pty = {} })
    p.pty:read_line()
    p.pty:close()
    assert.same({ signal = "HUP" }, p:wait(support.patience))
    p:close()
  end)

  it("keeps a pipe beside it", function()
    local p <close> = assert(process.spawn { "sh", "-c", "echo out; echo err >&2", pty = {}, stderr = "pipe" })
    assert.equal("err\n", p.stderr:read_all())
    assert.equal("out\r\n", p.pty:read_all())
    p:wait()
  end)

  it("is run to its end, too", function()
    local result = assert(process.run { "sh", "-c", "tty >/dev/null && cat", input = "typed\n", pty = {} })
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find "typed\r\n.*typed\r\n")
  end)

  -- After a line that is not finished, one ^D hands that over, and only the second is the end: cat
  -- waited for ever.
  it("sees the end of its input after a line that is not finished, too", function()
    local function pieces(...)
      local list = { ... }
      return function() return table.remove(list, 1) end
    end
    for _, input in ipairs { "a\nend", { "a", "\nend", "" }, pieces("a\nen", "d"), pieces(1, "\nend"), "", "end\n" } do
      local result, message = process.run { "cat", input = input, pty = {}, timeout = support.patience }
      assert(result, message)
      assert.equal(0, result.status)
      assert.equal(input ~= "", result.stdout:find "end" ~= nil)
    end
  end)
end)

describe("a process without a terminal", function()
  it("cannot be resized", function()
    local p <close> = assert(process.spawn { "true" })
    assert.has_error(function() p:resize(1, 1) end, "bad argument #1 to 'resize' (the process has no terminal)")
    p:wait()
  end)
end)
