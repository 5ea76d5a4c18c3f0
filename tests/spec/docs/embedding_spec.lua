--- The C programs of docs/guide-embedding.md: each is compiled, with warnings as errors, and prints what the page says.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local TESTS = assert(os.getenv "MOONLET_TESTS")
local PAGE = "docs/guide-embedding.md"

local function read_page()
  local file <close> = assert(io.open(PAGE))
  return file:read "a"
end

-- The programs, each with its output and the number of its first line.
local function programs()
  local text, list = read_page(), {}
  for start, program, output in text:gmatch "()```c\n(.-)```\n\n```text\n(.-)```\n" do
    local _, line = text:sub(1, start):gsub("\n", "")
    list[#list + 1] = { text = program, output = output, line = line + 2 }
  end
  local _, blocks = text:gsub("```c\n", "")
  assert(blocks == #list and blocks >= 5, "a program without output")
  return list
end

local function check(program)
  local path = os.tmpname()
  local source <close> = assert(io.open(path .. ".c", "w"))
  source:write(program.text)
  source:flush()
  local output, status = support.shell(("sh '%s/cc.sh' -o '%s' '%s.c'"):format(TESTS, path, path))
  if status == 0 then output, status = support.shell(path) end
  os.remove(path)
  os.remove(path .. ".c")
  assert.equal(program.output, (output:gsub("\t", " ")))
  assert.equal(0, status)
end

describe("the program on", function()
  for _, program in ipairs(programs()) do
    it(("%s, line %d, does what the page says"):format(PAGE, program.line), function() check(program) end)
  end
end)
