-- moonlet.net, streams: every format of io's read gives what it gives on a file, however the bytes come.

local support = dofile("tests/spec/support.lua")
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)
local is_failure = support.is_failure

local random = math.random
math.randomseed(20240229)

--- A stream from which `text` can be read, in pieces of any size, and then the end.
local function stream_of(text)
  local writer, reader = net.memory_pair { chunk = random(3) == 1 and random(1, 5) or 65536 }
  task.spawn(function()
    local at, ok = 1, true
    while ok and at <= #text do
      local size = random(3) == 1 and 1 or random(1, 12)
      ok = writer:write(text:sub(at, at + size - 1))
      at = at + size
      if random(2) == 1 then task.yield() end
    end
    writer:close()
  end)
  return reader
end

--- A file with that text, at its beginning; removed when it is closed.
local function file_of(text)
  local file = assert(io.tmpfile())
  file:write(text)
  file:seek("set")
  return file
end

--- Fails unless both agree, in values, their types and their number.
local function agree(text, formats, expected, got)
  local function show(values)
    local words = {}
    for i = 1, values.n do
      words[i] = ("%s %q"):format(math.type(values[i]) or type(values[i]), values[i])
    end
    return table.concat(words, ", ")
  end
  if show(expected) ~= show(got) then
    error(("%q read with %s: a file gives %s, a stream %s"):format(text,
      show(table.pack(table.unpack(formats))), show(expected), show(got)), 2)
  end
end

--- Reads a file and a stream with the same formats again and again, to the end and beyond.
local function compare(text, next_formats, steps)
  local file <close> = file_of(text)
  local stream <close> = stream_of(text)
  for _ = 1, steps do
    local formats = next_formats()
    agree(text, formats, table.pack(file:read(table.unpack(formats))),
      table.pack(stream:read(table.unpack(formats))))
  end
  agree(text, { "a" }, table.pack(file:read("a")), table.pack(stream:read("a")))
end

local NUMERALS = {
  "0", "7", "-12", "+3", "1.5", ".5", "5.", "-.5e3", "1e5", "1E+05", "1e-3", "0x10", "-0XfF", "0x.8p1", "0xA.8P-2",
  "9007199254740993", "9223372036854775807", "9223372036854775808", "0xffffffffffffffffff", "1e400",
  -- What begins like a number and is none, or goes on behind it.
  "", "-", "+", ".", "e5", "1e", "1e+", "0x", "0xg", "0x.p1", "--1", "1.2.3", "1e5e5", "nan", "inf", "0b1", "1_000",
  "12abc", "x12", "1,5", "00", "007", "0e0", "0x1p", "1..2", "-0x", "- 1", "1-", "\0001",
  ("1"):rep(199), ("1"):rep(200), ("1"):rep(201), ("1"):rep(300), "0." .. ("0"):rep(250) .. "1",
}

describe("stream:read", function()
  it("reads a numeral as a file does, and leaves the same behind it", function()
    for _, numeral in ipairs(NUMERALS) do
      for _, before in ipairs { "", " ", "\n\t \r\f\v" } do
        for _, behind in ipairs { "", " ", "\n", " 42", "e", ".", "x", "-", "f", "p" } do
          compare(before .. numeral .. behind, function() return { "n" } end, 2)
        end
      end
    end
  end)

  it("reads numerals of random characters as a file does", function()
    local alphabet = "00011279..eExXpPaAfF+-- \n"
    for _ = 1, 3000 do
      local characters = {}
      for i = 1, random(0, 14) do
        local at = random(#alphabet)
        characters[i] = alphabet:sub(at, at)
      end
      compare(table.concat(characters), function() return { "n" } end, 4)
    end
  end)

  it("reads any text with any formats as a file does", function()
    local words = { "\n", "\n\n", "\r\n", "line\n", "12 ", "-0x1F", "3.5e2", " ", "\0", ("long "):rep(30), "x" }
    local formats = { "n", "l", "L", "*n", "*l", "*L", "a", "*a", 0, 1, 2, 7, 100, 3.0 }
    for _ = 1, 2000 do
      local text = {}
      for i = 1, random(0, 12) do text[i] = words[random(#words)] end
      compare(table.concat(text), function()
        local chosen = {}
        for i = 1, random(0, 4) do
          chosen[i] = formats[random(random(6) == 1 and #formats or 6)]
        end
        return chosen
      end, 8)
    end
  end)

  it("with 0 tells the end, for which it waits, as a file does", function()
    local a <close>, other = net.memory_pair()
    local b <close> = other
    local reader = support.parked(task.spawn(function() return b:read(0) end))
    a:write("x")
    assert.equal("", support.finish(reader))
    assert.equal("x", b:read(1))
    a:shutdown()
    assert.is_nil(b:read(0))
  end)

  it("keeps a numeral that was not all there when the time was over", function()
    local a <close>, other = net.memory_pair()
    local b <close> = other
    b:set_timeout(0.005)
    a:write("  12")
    is_failure("ETIMEDOUT", "timeout", b:read("n"))
    is_failure("ETIMEDOUT", "timeout", b:read(1, "n"))
    a:write("34 ")
    assert.same({ 1234, " ", n = 2 }, table.pack(b:read("n", 1)))
  end)
end)

describe("stream:lines", function()
  it("takes formats as a file's lines do", function()
    local text = "1 one\n2 two\n\n0x3 three\nfour 4\n5"
    for _, formats in ipairs { { "n", "l" }, { "L" }, { "l" }, { 3 }, { "n" }, { 1, "n", "L" }, { "l", "l" }, { 0 } } do
      local file <close> = file_of(text)
      local stream <close> = stream_of(text)
      local expected, got = file:lines(table.unpack(formats)), stream:lines(table.unpack(formats))
      for _ = 1, 8 do
        local values = table.pack(expected())
        if values.n == 0 then values = { nil, n = 1 } end -- at the end
        agree(text, formats, values, table.pack(got()))
        if values[1] == nil then break end
      end
    end
  end)

  it("names the argument when a format is wrong, before any is read", function()
    local b <close> = stream_of("x")
    for i, formats in ipairs { { "x" }, { "l", "x" }, { "l", "n", {} } } do
      assert.matches(("bad argument #%d to 'lines'"):format(i),
        support.message_of(function() b:lines(table.unpack(formats)) end))
    end
  end)
end)

describe("stream:set_limit", function()
  local function flood(text)
    local a, b = net.memory_pair()
    task.spawn(function() repeat until not a:write(text) end)
    return b, a
  end

  it("ends every read of endless input that was given no limit itself", function()
    for text, reads in pairs {
      x = { { "read", "l" }, { "read", "L" }, { "read", "a" }, { "read_all" }, { "read_line" },
        { "read_until", "\n" } },
      [" "] = { { "read", "n" }, { "read", "l", "n" } } } do
      local b <close>, other = flood(text)
      local _ <close> = other
      b:set_limit(1000)
      for _, read in ipairs(reads) do
        is_failure("EMSGSIZE", "too long", b[read[1]](b, table.unpack(read, 2)))
      end
      for _, format in ipairs { "l", "L", "a" } do
        local ok, err = pcall(function() for _ in b:lines(format) do error("no line") end end)
        assert.is_true(not ok and err.code == "EMSGSIZE", tostring(err))
      end
      assert.equal(text:rep(1000), b:read(1000))
    end
  end)

  it("gives way to a limit of the read itself", function()
    local b <close>, other = flood("12345;")
    local _ <close> = other
    b:set_limit(3)
    assert.equal("12345;", b:read_until(";", 6))
    assert.equal(600, #b:read_exactly(600))
    is_failure("EMSGSIZE", "input too long", b:read_until(";"))
    b:set_limit(nil)
    assert.equal("12345;", b:read_until(";"))
  end)

  it("names the argument when it is wrong", function()
    local b <close> = stream_of("")
    for _, limit in ipairs { 0, -1, 1.5, "x" } do
      assert.matches("bad argument #1 to 'set_limit'", support.message_of(function() b:set_limit(limit) end))
    end
  end)
end)
