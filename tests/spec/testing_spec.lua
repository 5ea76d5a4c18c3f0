-- docs/testing.md: its examples, run as they stand there.

local support = dofile("tests/spec/support.lua")

local function code_of(path)
  local blocks = {}
  local file <close> = assert(io.open(path))
  for block in file:read("a"):gmatch("```lua\n(.-)```") do blocks[#blocks + 1] = block end
  assert(#blocks > 1, "no code in " .. path)
  return table.concat(blocks, "\n")
end

describe("the examples of docs/testing.md", function()
  local environment = setmetatable({ it = support.limited(it) }, { __index = _ENV })
  assert(load(code_of("docs/testing.md"), "@docs/testing.md", "t", environment))()
end)
