--- The map of the sources, docs/architecture.md and the pages beside it, names files and functions that exist.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local FRONT = "docs/architecture.md"

-- { path =, text = } of each page, the front among them.
local function read_pages()
  local list = {}
  for path in support.shell "ls docs/architecture*.md":gmatch "%S+" do
    table.insert(list, { path = path, text = support.read_file(path) })
  end
  return list
end

local pages, front = read_pages(), support.read_file(FRONT)

-- "dir/name.c" of the page, in code or not; with the count of all.
local function each_file(text) return text:gmatch "%f[%w_/.]([%w_]+/[%w_/]+%.[chS])%f[^%w_]" end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- The file that a page means by a path; nil: it is not there.
local function find_file(path)
  return exists("runtime/" .. path) and "runtime/" .. path or exists(path) and path or nil
end

-- All of the sources of runtime/, in one.
local function sources()
  return support.shell "cat $(find runtime -name '*.[chS]')"
end

local function count_words(text)
  local _, count = text:gsub("%S+", "")
  return count
end

describe("the pages on the architecture", function()
  it("name files that are there", function()
    local count = 0
    for _, page in ipairs(pages) do
      for path in each_file(page.text) do
        count = count + 1
        assert(find_file(path), page.path .. ": " .. path .. " is not there")
      end
      -- Others: `stdlib/moonlet/net.lua`, `interpose/calls.def`; without a folder: `prompt.c`.
      for path in page.text:gmatch "`([%w_]+/[%w_/.]+%.[%a]+)`" do
        assert(find_file(path), page.path .. ": " .. path .. " is not there")
      end
      for name in page.text:gmatch "%f[%w_/.]([%w_]+%.[chS])%f[^%w_]" do
        assert.not_equal("", support.shell("find runtime -name " .. name), page.path .. ": there is no " .. name)
      end
    end
    assert.is_true(count > 150, count)
  end)

  it("name functions that are there", function()
    local text, count = sources(), 0
    for _, page in ipairs(pages) do
      for name in page.text:gmatch "`(m[lo][%w_]+)%(%)`" do
        count = count + 1
        assert(text:find("%f[%w_]" .. name .. "%("), page.path .. ": " .. name .. "() is not there")
      end
    end
    assert.is_true(count > 30, count)
  end)

  it("name a function with the file in which it stands", function()
    local count = 0
    for _, page in ipairs(pages) do
      -- `name()` (`path`), also over the end of a line.
      for name, path in page.text:gmatch "`(m[lo][%w_]+)%(%)`%s+%(`([%w_/.]+)`%)" do
        count = count + 1
        local source = support.read_file(assert(find_file(path)))
        -- A definition, in C at the begin of a line, in assembly a label.
        local is_there = ("\n" .. source):find("\n[%a][^\n;=]*%f[%w_]" .. name .. "%([^;]-%)%s*{") or
          ("\n" .. source):find("\n" .. name .. ":", 1, true)
        assert(is_there, ("%s: %s() is not defined in %s"):format(page.path, name, path))
      end
    end
    assert.is_true(count > 20, count)
  end)

  it("name the rooms and their folders", function()
    local rooms = front:match "## The rooms\n(.-)\n## "
    for path in support.shell "cd runtime && find . -mindepth 1 -maxdepth 2 -type d":gmatch "%./(%S+)" do
      local name = path:match "[^/]+$"
      assert(rooms:find((path == name and "runtime/" or "  ") .. name .. "/", 1, true), path .. " is in no picture")
    end
  end)

  it("are listed at the front, and each leads to others", function()
    for _, page in ipairs(pages) do
      if page.path ~= FRONT then
        local name = page.path:match "[^/]+$"
        assert(front:find("](" .. name .. ")", 1, true), FRONT .. " does not lead to " .. name)
        assert(page.text:find "%]%([%w-]+%.md[)#]", name .. " leads nowhere")
      end
    end
  end)

  it("take ten minutes each", function()
    for _, page in ipairs(pages) do
      local words = count_words(page.text)
      assert(words <= 2000, ("%s has %d words"):format(page.path, words))
    end
  end)
end)

describe("the comments of the sources", function()
  it("name files that are there", function()
    local count, rooms = 0, {}
    for room in support.shell "ls -d runtime/*/":gmatch "runtime/(%w+)/" do rooms[room] = true end
    for source in support.shell "find runtime -name '*.[ch]'":gmatch "%S+" do
      for comment in support.read_file(source):gmatch "/%*.-%*/" do
        for path in each_file(comment) do
          count = count + 1
          assert(find_file(path) or not rooms[path:match "^[^/]+"], source .. ": " .. path .. " is not there")
        end
      end
    end
    assert(count > 100, count)
  end)
end)
