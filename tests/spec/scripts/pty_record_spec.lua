-- scripts/pty_record.lua: what a command shows in a terminal is recorded, and replayed.

local json = require "moonlet.json"
local process = require "moonlet.process"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

describe("scripts/pty_record.lua", function()
  local file

  setup(function() file = programs.open_directory() .. "/session" end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  local function events()
    local head, list = nil, {}
    for line in programs.read_file(file):gmatch "[^\n]+" do
      local value = assert(json.decode(line))
      if head then list[#list + 1] = value else head = value end
    end
    return head, list
  end

  it("records a command and its size, and ends with its status", function()
    local output, errors, status = programs.run_script("pty_record.lua", "record", "-s", "91x31", file,
      "sh", "-c", "stty size; printf 'a\\303\\244\\377b'; exit 7")
    assert.same({ "31 91\r\na\u{e4}\xffb", "", 7 }, { output, errors, status })
    local head, list = events()
    assert.same({ 2, 91, 31 }, { head.version, head.width, head.height })
    local text = {}
    for i, event in ipairs(list) do
      assert.equal("o", event[2])
      text[i] = event[3]
    end
    assert.equal("31 91\r\na\u{e4}\u{fffd}b", table.concat(text))
  end)

  it("passes on what is typed at a terminal, and leaves that as it was", function()
    local p <close> = assert(process.spawn { "sh", "-c",
      ('"$1" "$2" record "$3" sh -c "%s"; stty -a | grep -o " echo "')
      :format("echo ready; read a; echo got [\\$a]"), "sh", os.getenv "MOONLET",
      programs.scripts .. "pty_record.lua", file, pty = {} })
    assert(p.pty:read_until "ready\r\n")
    p.pty:write "some words\r"
    local rest = p.pty:read_all()
    assert.truthy(rest:find("got [some words]", 1, true), rest)
    assert.truthy(rest:find " echo ", rest)
    assert.same({ status = 0 }, p:wait())
  end)

  it("passes on the size of a terminal that changes", function()
    local p <close> = assert(process.spawn { os.getenv "MOONLET", programs.scripts .. "pty_record.lua", "record", file,
      "sh", "-c", "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done", pty = {} })
    assert(p.pty:read_until "ready\r\n")
    p:resize(11, 23)
    local rest = p.pty:read_all()
    assert.truthy(rest:find("11 23", 1, true), rest)
    assert.same({ status = 0 }, p:wait())
    local _, list = events()
    local sizes = {}
    for _, event in ipairs(list) do
      if event[2] == "r" then sizes[#sizes + 1] = event[3] end
    end
    assert.same({ "23x11" }, sizes)
  end)

  it("refuses sizes that no terminal has, and says when the file is full", function()
    programs.refuse_words("pty_record.lua", { { "record", "-s", "0x5", file }, { "record", "-s", "5x65536", file } })
    local _, errors, status = programs.run_script("pty_record.lua", "record", "/dev/full", "echo", "text")
    assert.same({ "/dev/full: No space left on device\n", 1 }, { errors, status })
  end)

  it("replays at the same pace, or faster", function()
    programs.write_file(file, table.concat({ json.encode { version = 2, width = 80, height = 24 },
      json.encode { 0.01, "o", "one " }, json.encode { 1000.01, "o", "two\n" }, "" }, "\n"))
    local output, errors, status = programs.run_script("pty_record.lua", "replay", "-i", "0.05", file)
    assert.same({ "one two\n", "", 0 }, { output, errors, status })
    output, errors, status = programs.run_script("pty_record.lua", "replay", "-x", "100000", file)
    assert.same({ "one two\n", "", 0 }, { output, errors, status })
  end)

  it("says how it is used, and refuses what is no recording", function()
    programs.refuse_words("pty_record.lua", { {}, { "play", "x" }, { "replay" }, { "replay", "-x", "0", "f" },
      { "record", "-s", "80", "f" }, { "replay", "f", "g" } })
    programs.write_file(file, "no recording\n")
    local _, errors, status = programs.run_script("pty_record.lua", "replay", file)
    assert.same({ file .. ": no recording\n", 1 }, { errors, status })
  end)
end)
