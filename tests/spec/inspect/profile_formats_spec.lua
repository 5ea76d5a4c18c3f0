-- The formats of profiles, read by the programs that they are for where those are installed.

local support = dofile "tests/spec/support.lua"
local browser = dofile "tests/spec/browser.lua"
local programs = dofile "tests/spec/programs.lua"
local json = require "moonlet.json"
local profile = require "moonlet.inspect.profile"
local it = support.limited(it)

-- A profile as core.stop() returns it, with names of all kinds.
local function measured()
  return {
    mode = "cpu", hz = 100, seconds = 2.5, samples = 100,
    frames = {
      { kind = "mark", name = "(other)" },
      { kind = "lua", name = "main chunk", source = "a.lua", line = 0 },
      { kind = "lua", name = "f", source = "dir/a.lua", line = 12 },
      { kind = "lua", source = '[string "x;\ny"]', line = 3 },
      { kind = "c", name = "string.rep" },
      { kind = "c" },
      { kind = "mark", name = "(garbage collector)" },
      { kind = "task", name = 'task;<b>"&\'\t\1\xff\u{FFFE}' },
    },
    stacks = {
      { seconds = 0.5, samples = 50, 8, 2, 3, 5 },
      { seconds = 0.25, samples = 25, 8, 2, 3, 7 },
      { seconds = 0.2, samples = 20, 8, 2, 4 },
      { seconds = 0.04, samples = 4, 8, 2, 6 },
      { seconds = 0.01, samples = 1 },
    },
  }
end

local TASK = [[task:<b>"&'\x09\x01\xFF]] .. "\u{FFFE}"

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- fn(path) with a file that has that text.
local function with_file(text, ending, fn)
  local path = os.tmpname()
  write_file(path .. ending, text)
  local ok, result = pcall(fn, path .. ending)
  os.remove(path)
  os.remove(path .. ending)
  assert(ok, result)
  return result
end

describe("the format", function()
  local directory
  setup(function() directory = programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  it("table lists the heaviest stacks first", function()
    local result = profile.render(measured(), "table")
    local names = { "task;" .. TASK:sub(6), "main chunk (a.lua)", "f (dir/a.lua:12)", "string.rep" }
    assert.same(names, result.stacks[1].stack)
    assert.equal(50, result.stacks[1].samples)
    assert.equal(0.5, result.stacks[1].seconds)
    assert.same({ "(other)" }, result.stacks[5].stack)
    assert.equal(5, #result.stacks)
  end)

  it("folded has a line for each stack, whatever the names", function()
    local lines = {}
    for line in profile.render(measured(), "folded"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    local root = TASK .. ";main chunk (a.lua);"
    assert.same({
      "(other) 1",
      root .. "[C] 4",
      root .. "f (dir/a.lua:12);(garbage collector) 25",
      root .. "f (dir/a.lua:12);string.rep 50",
      root .. [[function ([string "x:\ny"]:3) 20]],
    }, lines)
  end)

  it("speedscope has its schema's fields", function()
    local text = profile.render(measured(), "speedscope", 'a "title" \\')
    local file = json.decode(text)
    assert.equal("https://www.speedscope.app/file-format-schema.json", file["$schema"])
    assert.equal('a "title" \\', file.name)
    assert.equal("f (dir/a.lua:12)", file.shared.frames[3].name)
    assert.equal("dir/a.lua", file.shared.frames[3].file)
    assert.equal(12, file.shared.frames[3].line)
    local sampled = file.profiles[1]
    assert.equal("sampled", sampled.type)
    assert.equal("seconds", sampled.unit)
    assert.equal(#sampled.samples, #sampled.weights)
    assert.equal(0, sampled.startValue)
    local sum = 0
    for i, sample in ipairs(sampled.samples) do
      sum = sum + sampled.weights[i]
      for _, index in ipairs(sample) do assert(file.shared.frames[index + 1], index) end
    end
    assert(math.abs(sum - sampled.endValue) < 1e-6)
    assert.same({ 7, 1, 2, 4 }, table.move(sampled.samples[1], 1, 4, 1, {}))
  end)

  it("pprof is read by go tool pprof", function()
    if not programs.installed "go" then return pending "needs go" end
    local output = with_file(profile.render(measured(), "pprof"), ".pb.gz", function(path)
      return (support.shell(("HOME=${HOME:-/tmp} go tool pprof -top '%s'"):format(path)))
    end)
    assert.matches("Type: cpu", output)
    assert.matches("Total samples = 1", output)
    assert.matches("500ms +50%.?0*%% +50%.?0*%% +500ms +50%.?0*%%  string.rep", output)
    assert.matches("0 +0%% +%S+ +750ms +75%.?0*%%  f %(dir/a.lua:12%)", output)
  end)

  it("pprof is gzip", function()
    local text = profile.render(measured(), "pprof")
    assert.equal("\x1f\x8b", text:sub(1, 2))
  end)

  it("svg is a picture, and in a browser a box can be widened and names searched", function()
    local text = profile.render(measured(), "svg", "<title> & 'more'")
    assert.equal(1, select(2, text:gsub("</svg>", "")))
    assert.is_nil(text:find("<b>", 1, true))
    assert.is_nil(text:find("\u{FFFE}", 1, true))
    assert.is_nil(text:find("[%z\1-\8\11\12\14-\31]"))
    with_file(text, ".svg", function(path)
      local page <close> = browser.open(programs, directory, "file://" .. path)
      if page then
        local function is_drawn() return page:evaluate "document.getElementsByClassName('f').length" end
        support.eventually(function() return is_drawn() == 9 end)
        assert.equal(0, page:evaluate "document.getElementsByTagName('parsererror').length")
        page:evaluate [[[...document.getElementsByClassName('f')].find(g =>
          g.textContent.includes('dir/a.lua')).dispatchEvent(new MouseEvent('click'))]]
        assert.equal("visible", page:evaluate "document.getElementById('reset').getAttribute('visibility')")
        assert.equal(2, page:evaluate "document.getElementsByClassName('out').length - 1")
        page:evaluate "moonletProfile.mark('collector')"
        assert.equal("Matched: 25.00%", page:evaluate "document.getElementById('matched').textContent")
        assert.equal(1, page:evaluate "document.getElementsByClassName('found').length")
      end
    end)
  end)

  it("is right for an empty profile, too", function()
    local empty = measured()
    empty.stacks = {}
    assert.equal("", profile.render(empty, "folded"))
    assert.same({}, profile.render(empty, "table").stacks)
    assert.equal(0, json.decode(profile.render(empty, "speedscope")).profiles[1].endValue)
    assert.matches("</svg>", profile.render(empty, "svg"))
    assert.equal("\x1f\x8b", profile.render(empty, "pprof"):sub(1, 2))
  end)
end)
