-- docs/testing.md, and the spec in docs/guide-networking.md: the examples, run as they stand there.

local support = dofile("tests/spec/support.lua")

local function code_of(path)
  local blocks = {}
  local file <close> = assert(io.open(path))
  for block in file:read("a"):gmatch("```lua\n(.-)```") do blocks[#blocks + 1] = block end
  assert(#blocks > 1, "no code in " .. path)
  return table.concat(blocks, "\n")
end

local environment = setmetatable({ it = support.limited(it) }, { __index = _ENV })

describe("the examples of docs/testing.md", function()
  assert(load(code_of("docs/testing.md"), "@docs/testing.md", "t", environment))()
end)

describe("the spec in docs/guide-networking.md", function()
  for _, name in ipairs { "net", "task", "test" } do environment[name] = require("moonlet." .. name) end
  local file <close> = assert(io.open "docs/guide-networking.md")
  local code = file:read("a"):match "```lua\n(it%(.-)```"
  assert(load(code, "@docs/guide-networking.md", "t", environment))()
end)
