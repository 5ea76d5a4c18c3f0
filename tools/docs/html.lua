--- Markdown as HTML: what cmark-gfm makes of it, with anchors on headings, links to .html and code in colours.

local highlight = require "highlight"

local html = { escape = highlight.escape }

local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"' }

--- The text of a piece of HTML.
function html.text(source)
  return (source:gsub("<!%-%-.-%-%->", ""):gsub("<[^>]*>", ""):gsub("&(%l+);", ENTITIES))
end

--- The anchor of a heading, as GitHub makes it; `used` counts those of the page.
function html.anchor(heading, used)
  local anchor = heading:lower():gsub("[^%w%s_\128-\255-]", ""):gsub("%s", "-")
  local count = used[anchor] or 0
  used[anchor] = count + 1
  return count > 0 and ("%s-%d"):format(anchor, count) or anchor
end

local function run_cmark(markdown)
  local path = os.tmpname()
  do
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(markdown))
  end
  local pipe = assert(io.popen("cmark-gfm --unsafe -e table -e strikethrough -e autolink " .. path))
  local output = pipe:read "a"
  assert(pipe:close())
  os.remove(path)
  return output
end

-- A heading may end in the {#anchor} that it shall have.
local function add_anchors(source)
  local used = {}
  return source:gsub("<h(%d)>(.-)</h%d>", function(level, content)
    local text, anchor = content:match "^(.-) {#(.-)}$"
    text = text or content
    anchor = anchor or html.anchor(html.text(text), used)
    return ('<h%s id="%s">%s <a class="anchor" href="#%s" aria-label="link">#</a></h%s>'):format(
      level, anchor, text, anchor, level)
  end)
end

local function link_pages(source)
  return source:gsub('href="([^":]-)%.md([^"]*)"', function(path, rest)
    return ('href="%s.html%s"'):format(path:gsub("%f[^/\0]README$", "index"), rest)
  end)
end

--- The HTML of a page's body.
function html.render(markdown)
  local source = run_cmark(markdown):gsub("<!%-%-.-%-%->\n", "")
  source = link_pages(add_anchors(source))
  source = source:gsub('<code class="language%-(%w+)">(.-)</code>', function(language, code)
    return ("<code>%s</code>"):format(highlight.mark(html.text(code), language))
  end)
  return (source:gsub("<table>", '<div class="table"><table>'):gsub("</table>", "</table></div>"))
end

return html
