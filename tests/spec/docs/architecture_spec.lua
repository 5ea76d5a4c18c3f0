--- The map of the sources, docs/architecture.md, names files and functions that exist.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local map = support.read_file "docs/architecture.md"

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- All of the sources of runtime/, in one.
local function sources()
  return support.shell "cat $(find runtime -name '*.[chS]')"
end

describe("docs/architecture.md", function()
  it("names files that are there", function()
    local count = 0
    for path in map:gmatch "`([%w_]+/[%w_/.]+%.[chS])`" do
      count = count + 1
      assert(exists("runtime/" .. path) or exists(path), path .. " is not there")
    end
    assert.is_true(count > 50, count)
  end)

  it("names functions that are there", function()
    local text, count = sources(), 0
    for name in map:gmatch "`(m[lo][%w_]+)%(%)`" do
      count = count + 1
      assert(text:find("%f[%w_]" .. name .. "%("), name .. "() is not there")
    end
    assert.is_true(count > 5, count)
  end)
end)
