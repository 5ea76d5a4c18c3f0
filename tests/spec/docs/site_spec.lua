--- Links of the documentation lead somewhere: those of the Markdown pages, as they are read in the repository, and
-- those of the site that `make docs` builds. Links to elsewhere are not followed, only looked at.

package.path = "tools/docs/?.lua;" .. package.path

local support = dofile "tests/spec/support.lua"
local html = require "html"
local it, read_file = support.limited(it), support.read_file

local function files(command)
  local pipe <close> = assert(io.popen(command))
  local list = {}
  for path in pipe:lines() do table.insert(list, path) end
  return list
end

-- "docs/a.md", "../README.md" -> "README.md"
local function join(from, target)
  local path = from:gsub("[^/]*$", "") .. target
  local count
  repeat path, count = path:gsub("[^/]+/%.%./", "", 1) until count == 0
  return path
end

-- What is wrong with a link of a page; nil: nothing. anchors(path): set of those of a page, nil: there is none.
local function complaint(page, link, anchors)
  if link:find "^%a+:" then return not link:find "^https://" and "is not https" or nil end
  local path, anchor = link:match "^([^#]*)#?(.*)$"
  local known = anchors(path == "" and page or join(page, path))
  if not known then return "there is no such page" end
  if anchor ~= "" and not known[anchor] then return "there is no such place" end
end

-- links(text): iterator over those of a page.
local function complaints(paths, links, anchors)
  local list, count = {}, 0
  for _, path in ipairs(paths) do
    for link in links(path) do
      count = count + 1
      local what = complaint(path, link, anchors)
      if what then table.insert(list, ("%s: %s: %s"):format(path, link, what)) end
    end
  end
  return list, count
end

local function remembering(read)
  local known = {}
  return function(path)
    if known[path] == nil then known[path] = read(path) or false end
    return known[path]
  end
end

describe("the pages in Markdown", function()
  -- A page without its blocks of code and its `code`.
  local function prose(path)
    return ("\n" .. read_file(path)):gsub("\n```.-\n```", "\n"):gsub("`[^`\n]*`", "")
  end

  local anchors = remembering(function(path)
    local text = read_file(path)
    if not text then return nil end
    local set, used = {}, {}
    for heading in ("\n" .. text):gsub("\n```.-\n```", "\n"):gmatch "\n#+ ([^\n]+)" do
      set[html.anchor(heading, used)] = true
    end
    return set
  end)

  local function links(path) return prose(path):gmatch "%]%(([^)%s]+)%)" end

  it("have links that lead somewhere", function()
    local list, count = complaints(files "ls *.md docs/*.md", links, anchors)
    assert.same({}, list)
    assert.is_true(count > 20, count)
  end)

  it("are complained about when a link leads nowhere", function()
    assert.equal("there is no such page", complaint("docs/tutorial.md", "nowhere.md", anchors))
    assert.equal("there is no such place", complaint("docs/tutorial.md", "../README.md#nowhere", anchors))
    assert.equal("is not https", complaint("README.md", "http://example.org", anchors))
    assert.is_nil(complaint("docs/tutorial.md", "../README.md#why", anchors))
  end)
end)

describe("the site", function()
  if not os.execute "command -v ldoc >/dev/null && command -v cmark-gfm >/dev/null" then
    pending "needs LDoc and cmark-gfm (Debian: lua-ldoc, cmark-gfm)"
    return
  end
  local root = files "mktemp -d"[1]
  local program = os.getenv "MOONLET"
  local output, status = support.shell(("'%s' tools/docs/site.lua '%s'"):format(program, root))
  local paths = files(("cd '%s' && find . -name '*.html' | sed 's|^./||'"):format(root))

  teardown(function() os.execute(("rm -r '%s'"):format(root)) end)

  local anchors = remembering(function(path)
    local text = read_file(root .. "/" .. path)
    if not text then return nil end
    local set = {}
    for id in text:gmatch ' id="([^"]+)"' do set[id] = true end
    return set
  end)

  it("is built, with a page for each in Markdown and each module", function()
    assert.equal("", output)
    assert.equal(0, status)
    for _, path in ipairs(files "ls docs/*.md") do assert(anchors(path:gsub("md$", "html")), path) end
    for _, page in ipairs { "index", "reference/net", "reference/c" } do assert(anchors(page .. ".html"), page) end
  end)

  it("has links that lead somewhere", function()
    local function links(path) return read_file(root .. "/" .. path):gmatch ' href="([^"]+)"' end
    local list, count = complaints(paths, links, anchors)
    assert.same({}, list)
    assert.is_true(count > 1000, count)
  end)

  it("shows no link as text", function()
    for _, path in ipairs(paths) do
      assert.is_nil(read_file(root .. "/" .. path):match "%]%([%w./-]*%.md[^%s]*", path)
    end
  end)

  it("needs nothing from elsewhere", function()
    for _, path in ipairs(paths) do
      for source in read_file(root .. "/" .. path):gmatch ' src="([^"]+)"' do
        assert.is_truthy(anchors(join(path, source)), source)
      end
    end
    for _, name in ipairs { "style.css", "search.js" } do
      assert.is_nil(read_file(root .. "/" .. name):find("//%w+%.%w"), name)
    end
  end)

  it("has each anchor once in a page", function()
    for _, path in ipairs(paths) do
      local seen = {}
      for id in read_file(root .. "/" .. path):gmatch ' id="([^"]+)"' do
        assert.is_nil(seen[id], path .. "#" .. id)
        seen[id] = true
      end
    end
  end)

  it("names each page once in its navigation", function()
    local seen = {}
    local navigation = read_file(root .. "/index.html"):match "<nav>(.-)</nav>"
    for link in navigation:gmatch '<li><a href="([^"#]+)"' do
      assert.is_nil(seen[link], link)
      seen[link] = true
    end
    assert.is_true(seen["docs/guide-inspect.html"])
  end)

  it("has the pictures of its pages", function()
    local count = 0
    for source in read_file(root .. "/docs/guide-inspect.html"):gmatch '<img src="(images/[^"]+)"' do
      assert.equal("\137PNG", read_file(root .. "/docs/" .. source):sub(1, 4))
      count = count + 1
    end
    assert.is_true(count >= 2, count)
  end)

  it("has an index in which each entry is the place of a page", function()
    local count = 0
    for page, anchor in read_file(root .. "/search-index.js"):gmatch '\n%["([^"]+)","([^"]+)",' do
      assert.is_true(anchors(page)[anchor], page .. "#" .. anchor)
      count = count + 1
    end
    assert.is_true(count > 250, count)
  end)
end)
