-- Builds the documentation as a site of plain files: `moonlet tools/docs/site.lua build/site`, or `make docs`. Its
-- pages are README.md and the like, docs/*.md, and the reference made of the sources. Nothing in it comes from
-- elsewhere, and it works without a server.
package.path = "tools/docs/?.lua;" .. package.path

local api = require "api"
local html = require "html"
local pages = require "pages"

local out = assert(arg[1], "usage: site.lua DIRECTORY")

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write_file(path, text)
  local file <close> = assert(io.open(out .. "/" .. path, "w"))
  assert(file:write(text))
end

-- ---- which pages there are ----

-- The order of the navigation; pages of docs/ that are not named here come under "Guides".
local SECTIONS = {
  { title = "Begin", "README.md", "docs/tutorial.md", "docs/scripts.md", "docs/coming-from.md" },
  { title = "Guides", "docs/guide-tasks.md", "docs/guide-channels.md", "docs/guide-programs.md",
    "docs/guide-networking.md", "docs/guide-tls.md", "docs/guide-system.md", "docs/guide-http.md",
    "docs/http-client.md", "docs/websocket.md", "docs/guide-deploy.md", "docs/data.md",
    "docs/guide-sql.md", "docs/guide-postgres.md", "docs/guide-durable.md",
    "docs/http.md", "docs/c-libraries.md",
    "docs/guide-embedding.md", "docs/guide-inspect.md", "docs/guide-debug.md",
    "docs/guide-performance.md", "docs/testing.md" },
  { title = "Reference" },
  { title = "Project", "docs/performance.md", "CONTRIBUTING.md", "CHANGELOG.md" },
  { title = "Inside", "docs/architecture.md", "docs/architecture-coro.md", "docs/architecture-hub.md",
    "docs/architecture-waits.md", "docs/architecture-io.md", "docs/architecture-tls.md",
    "docs/architecture-system.md", "docs/architecture-files.md", "docs/architecture-children.md",
    "docs/architecture-threads.md", "docs/architecture-workers.md",
    "docs/architecture-interpose.md", "docs/architecture-http.md", "docs/architecture-db.md",
    "docs/architecture-bindings.md", "docs/architecture-preempt.md", "docs/architecture-inspect.md",
    "docs/architecture-metrics.md", "docs/architecture-debug.md", "docs/architecture-durable.md",
    "docs/architecture-hosts.md" },
}

local function new_page(path, markdown)
  local target = path:gsub("README%.md$", "index.md"):gsub("%.md$", ".html")
  return { path = target, root = target:find "/" and "../" or "", body = html.render(markdown),
    title = path == "README.md" and "Overview" or markdown:match "^# ([^\n]+)" }
end

local function add_named(sections)
  local is_named = {}
  for _, section in ipairs(SECTIONS) do
    local list = { title = section.title }
    for _, path in ipairs(section) do
      is_named[path] = true
      table.insert(list, new_page(path, read_file(path)))
    end
    table.insert(sections, list)
    sections[section.title] = list
  end
  local pipe <close> = assert(io.popen "ls docs/*.md")
  for path in pipe:lines() do
    if not is_named[path] then table.insert(sections.Guides, new_page(path, read_file(path))) end
  end
end

local function add_reference(list)
  for _, page in ipairs(pages.of_modules(api.modules())) do
    table.insert(list, new_page("reference/" .. page.name .. ".md", page.text))
  end
  local header = api.header(read_file "runtime/moonlet.h")
  table.insert(list, new_page("reference/c.md", pages.of_header(header)))
end

-- ---- the frame around a page ----

local FRAME = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$(title)</title>
<link rel="stylesheet" href="$(root)style.css">
<script defer src="$(root)search.js" data-root="$(root)"></script>
</head>
<body>
<header>
<label for="menu" aria-hidden="true">&#9776;</label>
<a class="home" href="$(root)index.html">moonlet</a>
<input id="search" type="search" placeholder="Search ( / )" aria-label="search" autocomplete="off">
<div id="results" hidden></div>
</header>
<input id="menu" type="checkbox" aria-label="menu">
<nav>
$(navigation)</nav>
<main>
$(body)</main>
</body>
</html>
]]

local function navigation(sections, current)
  local parts = {}
  local function add(form, ...) table.insert(parts, form:format(...)) end
  for _, section in ipairs(sections) do
    add("<h2>%s</h2>\n<ul>\n", section.title)
    for _, page in ipairs(section) do
      add('<li><a href="%s%s"%s>%s</a>', current.root, page.path, page == current and ' aria-current="page"' or "",
        html.escape(page.title))
      if page == current then
        add "<ul>"
        for id, text in page.body:gmatch '<h2 id="([^"]+)">(.-) <a' do
          add('<li><a href="#%s">%s</a></li>', id, html.escape(html.text(text)))
        end
        add "</ul>"
      end
      add "</li>\n"
    end
    add "</ul>\n"
  end
  return table.concat(parts)
end

local function frame(sections, page)
  return (FRAME:gsub("%$%((%l+)%)", {
    title = html.escape(page.title .. " - moonlet"), root = page.root, body = page.body,
    navigation = navigation(sections, page),
  }))
end

-- ---- the index of the search ----

local function quote(text)
  return '"' .. text:gsub("%s+", " "):gsub('[\\"]', "\\%0") .. '"'
end

-- One entry for each heading: page, anchor, title of the page, heading, text.
local function index_of(page)
  local entries = {}
  for part in page.body:gsub("<h%d id=", "\0%0"):gsub("</[tlp]%a*>", " "):gmatch "%z([^%z]+)" do
    local id, heading, text = part:match '^<h%d id="([^"]+)">(.-) <a class="anchor".-</h%d>(.*)$'
    local entry = { page.path, id, page.title, html.text(heading), html.text(text) }
    for i, item in ipairs(entry) do entry[i] = quote(item) end
    table.insert(entries, ("[%s]"):format(table.concat(entry, ",")))
  end
  return table.concat(entries, ",\n")
end

local sections = {}
add_named(sections)
add_reference(sections.Reference)
assert(os.execute(("mkdir -p '%s/docs/images' '%s/reference'"):format(out, out)))
local entries = {}
for _, section in ipairs(sections) do
  for _, page in ipairs(section) do
    write_file(page.path, frame(sections, page))
    table.insert(entries, index_of(page))
  end
end
write_file("search-index.js", "searchIndex = [\n" .. table.concat(entries, ",\n") .. "\n];\n")
for _, name in ipairs { "docs/comparison.svg", "LICENSE" } do write_file(name, read_file(name)) end
assert(os.execute(("cp docs/images/*.png '%s/docs/images'"):format(out)))
for _, name in ipairs { "style.css", "search.js" } do write_file(name, read_file("tools/docs/" .. name)) end
